"""The summary of a run in the terminal: a module for each of its tables, and its result in one sentence."""
