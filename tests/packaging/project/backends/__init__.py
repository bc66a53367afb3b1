"""The project's own backends."""

OWNER = "project"
