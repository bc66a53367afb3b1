"""Verification of derivatives: the reference of a case, comparisons with tolerances, and trials of the judge itself."""
