"""Sections of a report: each module makes tables and figures from the record of one run."""
