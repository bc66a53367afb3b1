"""The project's own vocabulary."""

OWNER = "project"
