"""Exit codes of the command line."""

from __future__ import annotations

#: All results right; a wrong result or a regression; a mistaken command; a broken cell or backend; interrupted.
OK, WRONG, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
