"""Tables and numbers for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from autodiff_compare.studies.tables import Sheet

#: Four decimals suit the rows of a matrix with entries in between.
_SMALL, _LARGE = 1e-3, 1e4


def plain_table(title: str, *, header: bool = True) -> Table:
    """A table without frames, which cost a quarter of 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="dim",
        show_header=header,
        min_width=len(title),
    )


def show(found: Sequence[Sheet], console: Console) -> None:
    """Print sheets one below the other, each note under its table."""
    for sheet in found:
        console.print(sheet.title, style="bold", markup=False)
        console.print(_table(sheet))
        if sheet.note:
            console.print(sheet.note, style="dim", markup=False)
        console.print()


def _table(sheet: Sheet) -> Table:
    numeric = [all(not isinstance(row[k], str) for row in sheet.rows) for k in range(len(sheet.columns))]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, collapse_padding=True, pad_edge=False)
    rows = [[text(cell) for cell in row] for row in sheet.rows]
    for k, name in enumerate(sheet.columns):
        longest = max((len(word) for row in rows for word in row[k].split()), default=1)
        # No narrower than its longest word, so that nothing is broken in the middle.
        table.add_column(name, justify="right" if numeric[k] else "left", overflow="fold", min_width=min(longest, 20))
    for row in rows:
        table.add_row(*row)
    return table


def text(cell: Any) -> str:
    """A cell in words: integers in full, floats to six digits, one row of a matrix to four places."""
    if cell is None:
        return ""
    if isinstance(cell, np.ndarray):
        fixed = np.all(np.abs(cell) < _LARGE) and (np.any(np.abs(cell) >= _SMALL) or not np.any(cell))
        return " ".join(f"{v:7.4f}" if fixed else f"{v:10.3e}" for v in cell)
    if isinstance(cell, (float, np.floating)):
        return f"{cell:.6g}"
    return str(cell)
