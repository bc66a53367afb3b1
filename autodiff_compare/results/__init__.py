"""The tables of a run: their columns, CSV files and log, and what is derived from them."""
