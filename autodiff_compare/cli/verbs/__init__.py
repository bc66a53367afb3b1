"""The verbs of the command line, one file each: a function of the parsed options that returns the exit code."""
