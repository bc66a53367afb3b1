"""Frames of a run: one row for each cell, and the columns by which the rows of all tables are chosen."""
