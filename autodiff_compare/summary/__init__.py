"""Summaries in the terminal, made from the tables of a run: times, failures, recommendation, atlas of conventions."""
