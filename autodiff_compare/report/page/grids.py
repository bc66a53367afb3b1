"""Tables of the page: rows of cells that know their text, how they sort and what to say besides."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.report.page import wording


@dataclass(frozen=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text, small
        What is read, and lines below it in smaller type.
    key
        What the column is sorted by; the text where `None`.
    kind
        A class of the style sheet: ``ok wrong bad dim fastest``, or nothing.
    hint
        Shown when pointed at.
    share
        Length of a bar below the text, from 0 to 1; none where `None`.
    code, long
        Whether the text is source code; whether it is sentences, which need room.
    """

    text: str
    small: tuple[str, ...] = ()
    key: float | str | None = None
    kind: str = ""
    hint: str = ""
    share: float | None = None
    code: bool = False
    long: bool = False

    @property
    def sort_key(self) -> str:
        """As text: numbers by repr, what is not finite last."""
        key = self.text if self.key is None else self.key
        if isinstance(key, str):
            return key
        return repr(float(key)) if math.isfinite(key) else "inf"


@dataclass(frozen=True)
class Grid:
    """A table with a caption.

    Parameters
    ----------
    columns
        Names; ``numeric`` holds the positions that are numbers, aligned and sorted as such.
    heads
        How many columns at the left name the row.
    matrix
        Whether it is a matrix of numbers, which is not to be sorted.
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

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True)
class Data:
    """A full table, shown page by page by a script, sortable and filterable.

    Parameters
    ----------
    rows
        Texts, numbers, booleans and `None`.
    file
        The file beside the page that has these rows; none where empty.
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
        """For a script element, column by column."""
        columns = [packed([row[k] for row in self.rows]) for k in range(len(self.columns))]
        given = {"names": self.columns, "numeric": self.numeric, "count": len(self.rows), "columns": columns}
        return wording.inline_json(given)


def packed(values: Sequence[Any]) -> Any:
    """A column as a list; as ``{words, runs}`` where it repeats itself.

    ``runs`` alternates between positions in ``words`` and how often that one follows. Most columns of a run's tables
    are names that repeat for thousands of rows; this makes the page a third smaller.
    """
    # 1, 1.0 and True are equal, and so are 0.0 and -0.0.
    keys = [(type(value), repr(value)) for value in values]
    place = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    runs = [(place[key], sum(1 for _ in group)) for key, group in itertools.groupby(keys)]
    if len(place) + 2 * len(runs) > len(values) / 2:
        return list(values)
    words = dict(zip(reversed(keys), reversed(values), strict=True))
    return {"words": [words[key] for key in place], "runs": list(itertools.chain.from_iterable(runs))}


def words(text: str, kind: str = "", **more: Any) -> Cell:
    """A cell of text."""
    return Cell(text, kind=kind, **more)


def figure(value: float, text: str, **more: Any) -> Cell:
    """A cell of a number."""
    return Cell(
        text, key=value if math.isfinite(value) else math.inf, kind="" if math.isfinite(value) else "dim", **more
    )
