"""The project's own problems."""

OWNER = "project"
SCALE = 3.0
