"""The project's own harness."""

OWNER = "project"
