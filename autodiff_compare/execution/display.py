"""How far the work is: what a run, a study or the atlas tells of it, and its display in a terminal, pipe or notebook.

A terminal and a notebook show one line that is rewritten; into a pipe goes a line every ten seconds. While a cell is
timed nothing is written: the line is renewed between rounds. A thread of its own renews it where nothing is timed:
during imports, while results are judged, and in verbs that time nothing.

The time left is told only once some groups have been finished, and is extrapolated from groups. Imports before the
first group has ended are left out of it: they would multiply. An estimate from the first of 108 cells, after an import
of 18 s, was 58 times too long.
"""

from __future__ import annotations

import contextlib
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from autodiff_compare.results.formatting import plural, printable
from autodiff_compare.results.rows import CellRow
from autodiff_compare.vocabulary import BROKEN, Status

#: Widest line, in columns.
WIDTH = 80
#: Seconds between two lines in a pipe, and between two renewals of the line during imports.
_EVERY_S, _RENEWED_S = 10.0, 1.0
#: Groups that have to be finished before the time left is estimated: this number, and this part of all.
_SOME, _PART = 3, 0.1
#: From so many seconds on, durations are told in minutes.
_MINUTES_FROM_S = 120.0


class Silent:
    """A listener that shows nothing.

    A run tells of its cells in groups, in all launches; other work of single pieces, each a group by itself.
    """

    def begin(self, pieces: int, groups: int) -> None:
        """Take note of the numbers of pieces and of groups that are to be done."""

    def doing(self, what: str) -> None:
        """Take note of what the runner does now, such as ``judging sphere gradient on jax``."""

    def starting(self, backend: str) -> contextlib.AbstractContextManager[None]:
        """Return a context in which a framework is imported; several threads may be in one."""
        del backend
        return contextlib.nullcontext()

    def ticking(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which nothing is timed, so that a thread may renew the line."""
        return contextlib.nullcontext()

    def count(self, done: int) -> None:
        """Take note of the number of pieces that are done."""

    def tell(self, row: CellRow) -> None:
        """Count a finished cell."""

    def group_done(self) -> None:
        """Count a finished group."""

    def piece_done(self) -> None:
        """Count a finished piece that is a group by itself."""

    def say(self, text: str) -> None:
        """Take note of a line that is to be kept."""

    def hide(self) -> None:
        """Make room for output of another kind."""


class Display(Silent):
    """Show how far the work is, as a context manager.

    Parameters
    ----------
    pieces
        What is counted, in the plural.
    failures
        Whether a pipe is told of cells that broke or are wrong, each in a line.
    budget_s
        Seconds after which the work ends, if its pieces are not counted beforehand.
    bar
        ``bar(line, share)`` shows the line and the share that is done, in place of a stream; an empty line hides it.
    """

    def __init__(
        self,
        pieces: str = "cells",
        *,
        failures: bool = True,
        budget_s: float | None = None,
        bar: Callable[[str, float], None] | None = None,
    ) -> None:
        self._bar = bar
        self._pieces, self._failures, self._budget_s = pieces, failures, budget_s
        # In a notebook standard error is shown as an error. Both of its streams rewrite a line after a carriage return.
        notebook = "ipykernel" in sys.modules
        self._stream = sys.stdout if notebook else sys.stderr
        self._rewrites = notebook or self._stream.isatty() or bar is not None
        self._lock = threading.RLock()
        self._total = self._groups = self._done = self._groups_done = 0
        self._what, self._shown = "", ""
        self._importing: list[str] = []
        self._began = self._said = time.monotonic()
        self._import_began = self._import_s = 0.0

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.hide()

    def begin(self, pieces: int, groups: int) -> None:
        self._total, self._groups = pieces, groups

    def doing(self, what: str) -> None:
        with self._lock:
            self._what = what
            self._show()

    def tell(self, row: CellRow) -> None:
        with self._lock:
            self._done += 1
            if self._failures and not self._rewrites and (row.status in BROKEN or row.status == Status.WRONG):
                self.say(f"{row.cell_id}: {row.status}: {row.message}")
            self._show()

    def count(self, done: int) -> None:
        with self._lock:
            self._done = done
            self._show()

    def group_done(self) -> None:
        with self._lock:
            self._groups_done += 1
            self._show()

    def piece_done(self) -> None:
        with self._lock:
            self._done += 1
            self.group_done()

    def say(self, text: str) -> None:
        with self._lock:
            self.hide()
            print("\n".join(textwrap.wrap(printable(text), WIDTH, subsequent_indent="  ")), file=self._stream)

    def hide(self) -> None:
        with self._lock:
            self._rewrite("")

    @contextlib.contextmanager
    def starting(self, backend: str) -> Iterator[None]:
        with self._lock:
            if not self._importing:
                self._import_began = time.monotonic()
            self._importing.append(backend)
            self._show()
        try:
            with self.ticking():
                yield
        finally:
            with self._lock:
                self._importing.remove(backend)
                if not self._importing and not self._groups_done:
                    self._import_s += time.monotonic() - self._import_began

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew, args=(ended,), daemon=True)
        renewal.start()
        try:
            yield
        finally:
            ended.set()
            renewal.join()

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(_RENEWED_S):
            with self._lock:
                self._show()

    def line(self) -> str:
        """Return the line that tells how far the run is, in at most `WIDTH` columns."""
        now = time.monotonic()
        what = f"starting {', '.join(self._importing)}" if self._importing else self._what
        done = f"{self._done} of {self._total} {self._pieces}" if self._total else self._counted()
        parts = [done, self._worked(now), self._left(now)]
        text = ", ".join(filter(None, parts)) + (f": {printable(what)}" if what else "")
        # A terminal moves to the next line after its last column.
        widest = WIDTH - 1
        return text if len(text) <= widest else f"{text[: widest - 3]}..."

    def _counted(self) -> str:
        return plural(self._done, self._pieces.removesuffix("s"))

    def _worked(self, now: float) -> str:
        """Return the time so far, of the budget if there is one."""
        spent = now - self._began
        return _duration(spent) if self._budget_s is None else f"{spent:.0f} of {self._budget_s:.0f} s"

    def _left(self, now: float) -> str:
        """Return the estimated time left, in words; empty before it means something."""
        done = self._groups_done
        if not self._groups or self._importing or done < max(_SOME, _PART * self._groups):
            return ""
        worked_s = now - self._began - self._import_s
        return f"about {_duration(worked_s / done * (self._groups - done))} left"

    def _show(self) -> None:
        now = time.monotonic()
        if self._rewrites:
            self._rewrite(self.line())
        elif now - self._said >= _EVERY_S:
            self._said = now
            print(self.line(), file=self._stream)

    def _rewrite(self, text: str) -> None:
        """Put a text in the place of the line that is shown."""
        if self._bar is not None and text != self._shown:
            self._bar(text, self._done / self._total if self._total else 0.0)
            self._shown = text
        elif self._rewrites and text != self._shown:
            blank = " " * len(self._shown)
            print(f"\r{blank}\r{text}", end="", file=self._stream, flush=True)
            self._shown = text


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < _MINUTES_FROM_S else f"{seconds / 60:.0f} min"
