"""Exit codes of the command line."""

from __future__ import annotations

#: Every result is right; one is wrong, or a regression; wrong words; something broke; interrupted.
OK, WRONG, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
