"""Dependence: which entries of a result depend on which entries of the inputs, by index sets beside the values."""
