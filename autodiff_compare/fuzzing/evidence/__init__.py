"""Evidence on a derivative at a point: results of our engine, and the numerical differences that may confirm them."""
