"""The console of the verbs: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from rich.console import Console

from autodiff_compare.cli.exits import USAGE
from autodiff_compare.summary.terminal import WIDTH


def console() -> Console:
    """Standard output, never wider than 80 columns unless the terminal says so."""
    made = Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal or made.width < WIDTH:
        made = Console(highlight=False, markup=False, emoji=False, width=WIDTH)
    return made


def usage(message: str) -> int:
    """One clear line on standard error."""
    print(f"autodiff-compare: {message}", file=sys.stderr)
    return USAGE


def users_prints_aside() -> contextlib.redirect_stdout[TextIO]:
    """While functions of users run here: what they print goes to standard error, for results are read by programs."""
    return contextlib.redirect_stdout(sys.stderr)
