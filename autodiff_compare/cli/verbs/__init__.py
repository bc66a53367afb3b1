"""The verbs of the command line, one file each: a function takes the parsed options and returns the exit code."""
