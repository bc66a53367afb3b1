"""The project's own compare."""

OWNER = "project"
