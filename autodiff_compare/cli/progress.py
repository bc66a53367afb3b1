"""Progress on standard error: a bar with the time left in a terminal, else a plain line every ten seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from autodiff_compare.results.formatting import printable
from autodiff_compare.results.tables import CellRow
from autodiff_compare.vocabulary import BROKEN, Status

#: Seconds between two plain lines, and columns for the name of a cell in the bar.
_EVERY_S, _NAME = 10.0, 30


class Progress:
    """Show the progress of a run, as a context manager; `tell` counts a finished cell.

    Parameters
    ----------
    total
        Number of cells of the run.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        console = Console(stderr=True)
        columns = (BarColumn(14), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._bar = Bar(
            *columns, TextColumn("{task.description}"), console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._bar.add_task("", total=total)
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def tell(self, row: CellRow) -> None:
        """Count a finished cell; without a terminal, print a line if it broke or is wrong."""
        self.done += 1
        if not self._bar.disable:
            self._bar.update(self._task, advance=1, description=f"{row.cell_id} {row.status}"[:_NAME])
            return
        if row.status in BROKEN or row.status == Status.WRONG:
            print(printable(f"{row.cell_id}: {row.status}: {row.message}"), file=sys.stderr)
        now = time.monotonic()
        if now - self._said >= _EVERY_S:
            self._said, gone = now, now - self._began
            left = gone / self.done * (self.total - self.done)
            print(f"{self.done} of {self.total} cells, {gone:.0f} s, about {left:.0f} s left", file=sys.stderr)
