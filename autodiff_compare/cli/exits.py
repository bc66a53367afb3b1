"""Exit codes of the command line."""

from __future__ import annotations

#: All results right; a wrong result or a regression; a mistaken command; a broken cell or backend.
OK, WRONG, USAGE, FAILED = 0, 1, 2, 3
#: A defect of this program; standard output is closed or full; interrupted.
DEFECT, UNWRITTEN, INTERRUPTED = 4, 5, 130
