"""Taylor mode: derivatives of any order along a direction, by the arithmetic of truncated power series."""
