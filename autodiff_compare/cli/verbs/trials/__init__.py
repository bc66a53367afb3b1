"""Verbs that put something on trial: this tool, a backend, the systems' conventions, the machine."""
