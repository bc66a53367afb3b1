"""The execution of a plan: worker processes that compute, judge and time each cell until it is one row."""
