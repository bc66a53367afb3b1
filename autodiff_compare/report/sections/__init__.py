"""The sections of a report: each makes tables and figures from the records of one run."""
