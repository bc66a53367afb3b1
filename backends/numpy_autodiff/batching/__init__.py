"""Batching: the captured graph of one row, evaluated for all rows at once."""
