"""Tables of the page: grids of formatted cells, and full tables that a script shows page by page."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.report.page import wording


@dataclass(frozen=True)
class Cell:
    """One cell of a grid.

    Parameters
    ----------
    text, small
        The text, and lines below it in smaller type.
    key
        Sort key; the text if `None`.
    kind
        Class of the style sheet: ``ok wrong bad dim fastest``, or empty.
    hint
        Text shown on hovering.
    share
        Length of a bar below the text, from 0 to 1; no bar if `None`.
    code, long
        Whether the text is source code, and whether it consists of sentences, which need a wide column.
    rank
        Place within the row, from 1, where a narrow page shows the cells one below the other; no place if 0.
    """

    text: str
    small: tuple[str, ...] = ()
    key: float | str | None = None
    kind: str = ""
    hint: str = ""
    share: float | None = None
    code: bool = False
    long: bool = False
    rank: int = 0

    @property
    def sort_key(self) -> str:
        """Return the sort key as text: numbers by repr, nan and infinities last."""
        key = self.text if self.key is None else self.key
        if isinstance(key, str):
            return key
        return repr(float(key)) if math.isfinite(key) else "inf"


@dataclass(frozen=True)
class Grid:
    """A table with a caption; it is false if it has no rows.

    Parameters
    ----------
    name
        Unique on the page: part of the table's id.
    columns, numeric
        Names of the columns, and positions of those that hold numbers.
    note
        Paragraph below the table.
    heads
        Number of columns at the left that name the row.
    matrix
        Whether it is a matrix of numbers, which cannot be sorted.
    fold
        Whether the table is folded until a reader opens it.
    ranked
        Whether a narrow page shows the cells of a row one below the other, in the order of their ranks.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()
    note: str = ""
    heads: int = 1
    matrix: bool = False
    fold: bool = False
    ranked: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True)
class Data:
    """A full table, which a script shows page by page, sortable and filterable.

    Parameters
    ----------
    rows
        Texts, numbers, booleans and `None`.
    note
        Paragraph above the table.
    file
        CSV file beside the page that has these rows; empty if there is none.
    """

    name: str
    title: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Any]] = field(repr=False)
    note: str = ""
    file: str = ""

    @property
    def json(self) -> str:
        """Return the table as JSON for a script element, column by column."""
        columns = [packed([row[k] for row in self.rows]) for k in range(len(self.columns))]
        given = {"names": self.columns, "numeric": self.numeric, "count": len(self.rows), "columns": columns}
        return wording.inline_json(given)


def packed(values: Sequence[Any]) -> Any:
    """Return a column as a list, or run-length encoded as ``{words, runs}`` if that is shorter.

    ``runs`` alternates between a position in ``words`` and its number of repetitions: ``[a, a, b]`` is
    ``{words: [a, b], runs: [0, 2, 1, 1]}``. Most columns of a run are names that repeat for thousands of rows; the
    encoding makes the page a third smaller.
    """
    # Keys by type and repr: 1, 1.0 and True compare equal, and so do 0.0 and -0.0.
    keys = [(type(value), repr(value)) for value in values]
    place = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    runs = [(place[key], sum(1 for _ in group)) for key, group in itertools.groupby(keys)]
    if len(place) + 2 * len(runs) > len(values) / 2:
        return list(values)
    words = dict(zip(reversed(keys), reversed(values), strict=True))
    return {"words": [words[key] for key in place], "runs": list(itertools.chain.from_iterable(runs))}


def words(text: str, kind: str = "", **more: Any) -> Cell:
    """Return a cell of text."""
    return Cell(text, kind=kind, **more)


def figure(value: float, text: str, **more: Any) -> Cell:
    """Return a cell of a number, sorted by its value; nan and infinities are greyed and last."""
    return Cell(
        text, key=value if math.isfinite(value) else math.inf, kind="" if math.isfinite(value) else "dim", **more
    )
