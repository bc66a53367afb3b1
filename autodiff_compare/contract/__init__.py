"""The backend contract as clauses that can be tried on any backend, and small functions for its operators."""
