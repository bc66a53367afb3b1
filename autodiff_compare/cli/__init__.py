"""The command line: options, verbs, exit codes, and what all verbs print alike."""
