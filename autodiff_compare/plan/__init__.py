"""The plan of a run: from names to the cells that are computed, with the numbers each is computed at."""
