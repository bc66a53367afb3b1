"""Runs that are spread over an engine: units, their loss and their order, on every engine that can be had here."""
