"""Rounding errors of a derivative, measured on our engine by Monte Carlo arithmetic."""
