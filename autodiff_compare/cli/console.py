"""The console of the verbs: results go to standard output, progress and errors to standard error."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from autodiff_compare.cli.exits import FAILED, USAGE
from autodiff_compare.cli.messages import as_called, complain
from autodiff_compare.process.client import WorkerError
from autodiff_compare.results.formatting import printable
from autodiff_compare.summary.terminal import WIDTH
from autodiff_compare.vocabulary import because

#: Seconds after which a verb tells what it is doing.
_SILENT_S = 1.5


class _Console(Console):
    """A console that prints commands as this program was called.

    A reader which has gone is left to `cli.main`; Rich would exit with code 1, which means a wrong result.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string to print, also one within a table or group, with its commands as this program was called."""
        return super().render_str(as_called(text), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def console() -> Console:
    """Return a console on standard output: as wide as the terminal, 80 columns where there is none."""
    made = _Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal or made.width < WIDTH:
        made = _Console(highlight=False, markup=False, emoji=False, width=WIDTH)
    return made


def usage(message: str) -> int:
    """Print a message on standard error; return the exit code of a mistaken command."""
    complain(printable(message))
    return USAGE


def not_opened(backend: str, error: WorkerError) -> int:
    """Print why a backend cannot be opened; return the exit code of a verb that needs it."""
    reason = because(error.status.replace("_", " "), " ".join(str(error).split()))
    print(textwrap.fill(f"{backend} cannot be opened: {reason}", WIDTH, break_on_hyphens=False))
    return FAILED


@contextlib.contextmanager
def told_after(what: str) -> Iterator[None]:
    """Tell a terminal what is being done, once it has taken some seconds: no verb is silent for long."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    timer = threading.Timer(_SILENT_S, print, (f"{what} ...",), {"file": sys.stderr})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def users_prints_aside() -> contextlib.redirect_stdout[TextIO]:
    """Send to standard error what users' functions print: programs read the results on standard output."""
    return contextlib.redirect_stdout(sys.stderr)
