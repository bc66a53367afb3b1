"""Tables for a terminal of 80 columns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodiff_compare.studies.tables import StudyTable
from autodiff_compare.summary.headings import heading

#: Columns that every table, sentence and message fits.
WIDTH = 80
#: Columns that a name may take before it is broken after an underscore.
_NAME = 34
#: The entries of a matrix row are printed with four decimals if the largest lies between these.
_SMALL, _LARGE = 1e-3, 1e4


def plain_table(title: str, *, header: bool = True) -> Table:
    """Return an empty table without frames: frames would take a quarter of 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="dim",
        show_header=header,
        min_width=len(title),
    )


# ---- tables of the studies


def show(found: Sequence[StudyTable], console: Console) -> None:
    """Print tables one below the other, each with its note."""
    for table in found:
        console.print(table.title, style="bold", markup=False)
        console.print(_framed(table))
        if table.note:
            console.print(table.note, style="dim", markup=False)
        console.print()


def _framed(given: StudyTable) -> Table:
    numeric = [all(not isinstance(row[k], str) for row in given.rows) for k in range(len(given.columns))]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, collapse_padding=True, pad_edge=False)
    rows = [[text(cell) for cell in row] for row in given.rows]
    for k, name in enumerate(given.columns):
        longest = max((len(word) for row in rows for word in row[k].split()), default=1)
        # At least as wide as the longest word: rich would break it in the middle.
        table.add_column(name, justify="right" if numeric[k] else "left", overflow="fold", min_width=min(longest, 20))
    for row in rows:
        table.add_row(*row)
    return table


def text(cell: Any) -> str:
    """Return a cell as text: integers in full, floats with six digits, a matrix row with four decimals."""
    if cell is None:
        return ""
    if isinstance(cell, np.ndarray):
        fixed = np.all(np.abs(cell) < _LARGE) and (np.any(np.abs(cell) >= _SMALL) or not np.any(cell))
        return " ".join(f"{v:7.4f}" if fixed else f"{v:10.3e}" for v in cell)
    if isinstance(cell, (float, np.floating)):
        return f"{cell:.6g}"
    return str(cell)


# ---- problems by backends, split into tables that fit


def split_tables(
    title: str,
    names: Sequence[str],
    columns: Mapping[str, Sequence[Text | str]],
    *,
    second: Mapping[str, Sequence[str]] | None = None,
    last: Callable[[Sequence[str]], Mapping[str, Sequence[str]]] | None = None,
) -> Iterator[Table]:
    """Yield as few tables of problems by backends as fit into 80 columns without breaking a name or number.

    Parameters
    ----------
    names
        First column: one name per row.
    columns
        Backend -> its cells, one per row.
    second
        A column that every table repeats beside the names.
    last
        Makes the rightmost column of a table from the backends in it; from no backends: of all, for its width.
    """
    shown = [_broken(name) for name in names]
    around = {**(second or {}), **(last([]) if last else {})}
    taken = _wide("problem", shown) + sum(_wide(name, cells) for name, cells in around.items())
    widths = {spec: _wide(heading(spec), cells) for spec, cells in columns.items()}
    for group in side_by_side(widths, WIDTH - taken + 1):  # nothing follows the last column
        right = {**(second or {}), **{spec: columns[spec] for spec in group}, **(last(group) if last else {})}
        table = plain_table(title)
        table.add_column("problem", no_wrap=True)
        for name in right:
            table.add_column(heading(name), justify="right", no_wrap=True)
        for k, name in enumerate(shown):
            table.add_row(name, *(cells[k] for cells in right.values()))
        yield table


def side_by_side(widths: Mapping[str, int], room: int) -> list[list[str]]:
    """Split names into as few groups as fit into ``room`` columns, with about as many names in each."""
    names = list(widths)
    for parts in range(1, len(names) + 1):
        each = math.ceil(len(names) / parts)
        groups = [names[k : k + each] for k in range(0, len(names), each)]
        if all(sum(widths[name] for name in group) <= room for group in groups):
            return groups
    return [[name] for name in names]


def _wide(head: str, cells: Sequence[Text | str]) -> int:
    """Return the width of a column with the gap to the next."""
    lines = [line for text in (head, *map(str, cells)) for line in text.split("\n")]
    return max(map(len, lines)) + 1


def _broken(name: str) -> str:
    """Break a name that is longer than its column into lines that end with an underscore or at a space."""
    lines = [""]
    for part in re.findall(r"[^_ ]*[_ ]*", name):
        if len(lines[-1]) + len(part.rstrip()) > _NAME and lines[-1]:
            lines.append("  ")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)
