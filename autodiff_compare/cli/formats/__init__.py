"""Formats for other programs and for comments: the JSON document with its schema, and Markdown."""
