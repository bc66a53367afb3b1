"""The columns of the tables, one dataclass for the rows of each; `autodiff_compare.results.rows` lists the tables."""
