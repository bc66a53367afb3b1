"""Sparse Jacobians: patterns, colourings, and the few products from which all entries are read.

Columns of a matrix that share no row can be found by one product with the sum of their unit vectors: each row of the
product is then an entry of one of them (Curtis, Powell and Reid 1974, J. Inst. Maths Applics 13). So the columns are
coloured such that equal colours share no row, and there are as many products as colours; or the rows, by products
from the left. A small example, the columns coloured 0, 1, 0::

        a . .                 1 0
    J = b c .     J @ seeds = [a 0],  seeds = 0 1
        . d e                 [b c]           1 0
                              [e d]

Colours are given greedily (Coleman and Moré 1983, SIAM J. Numer. Anal. 20), in the order of the columns and, where that
is not already the fewest there can be (the most entries of a row), once more by falling number of entries. Rows and
columns are not mixed (bicolouring): an arrow with both a full row and a full column costs as many products as it has
columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocabulary import Operator

Array = NDArray[Any]


@dataclass(frozen=True)
class Pattern:
    """Where a matrix may be non-zero, in CSR order: by rows, and by columns within a row. Made by `Pattern.of`.

    Parameters
    ----------
    shape
        Rows and columns of the matrix.
    rows, columns
        int64 vectors, one entry for each place.
    """

    shape: tuple[int, int]
    rows: Array
    columns: Array

    @staticmethod
    def of(shape: tuple[int, int], rows: Any, columns: Any) -> Pattern:
        """The pattern of places in any order, each any number of times.

        Raises
        ------
        ValueError
            If there are not as many rows as columns, or an index is no integer or outside of ``shape``.
        """
        given = [np.asarray(rows), np.asarray(columns)]
        for index, size, word in zip(given, shape, ("row", "column"), strict=True):
            if index.size and (index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= size):
                raise ValueError(
                    f"got {word}s {index.min()} to {index.max()}, expected whole numbers from 0 to {size - 1}"
                )
        if given[0].shape != given[1].shape or given[0].ndim != 1:
            shapes = " and ".join(str(index.shape) for index in given)
            raise ValueError(f"got rows and columns of shape {shapes}, expected vectors of one length")
        flat = given[0].astype(np.int64) * max(shape[1], 1) + given[1].astype(np.int64)
        if (np.diff(flat) <= 0).any():
            # np.unique hashes first, which takes ten times as long (1 s for a million, NumPy 2.4).
            flat = np.sort(flat)
            flat = flat[np.diff(flat, prepend=-1) > 0]
        return Pattern(shape, *np.divmod(flat, max(shape[1], 1)))

    @property
    def nnz(self) -> int:
        """The number of places."""
        return int(self.rows.size)

    @property
    def transposed(self) -> Pattern:
        """The pattern of the transposed matrix."""
        order = np.argsort(self.columns, kind="stable")
        return Pattern((self.shape[1], self.shape[0]), self.columns[order], self.rows[order])


def colours(pattern: Pattern) -> Array:
    """A colour for each column, equal ones sharing no row; -1 for columns without entries.

    Returns
    -------
    Array
        int64 vector; the colours are 0, 1, ... without a gap. Takes 0.3 us an entry, in plain Python: a greedy
        colouring takes one column after the other, so that there is nothing to vectorise.
    """
    m, n = pattern.shape
    by_column = pattern.transposed
    lines = by_column.columns.tolist()
    starts = np.searchsorted(by_column.rows, np.arange(n + 1))
    fewest = int(np.bincount(pattern.rows, minlength=1).max())
    found = _greedy(lines, starts.tolist(), range(n), m)
    if found.max(initial=-1) + 1 > fewest:
        largest_first = np.argsort(-np.diff(starts), kind="stable").tolist()
        again = _greedy(lines, starts.tolist(), largest_first, m)
        found = min(found, again, key=lambda c: int(c.max()))
    return found


def _greedy(lines: list[int], starts: list[int], order: Iterable[int], m: int) -> Array:
    """Each column in turn gets the first colour that no column in its rows has; ``taken`` are colours as bits."""
    taken = [0] * m
    found = np.full(len(starts) - 1, -1, dtype=np.int64)
    for j in order:
        rows = lines[starts[j] : starts[j + 1]]
        forbidden = 0
        for i in rows:
            forbidden |= taken[i]
        bit = ~forbidden & (forbidden + 1)
        for i in rows:
            taken[i] |= bit
        if rows:
            found[j] = bit.bit_length() - 1
    return found


@dataclass(frozen=True)
class Compression:
    """Which products give a Jacobian of several inputs, and where in them its entries stand.

    Parameters
    ----------
    operator
        ``jvp`` (columns are coloured) or ``vjp`` (rows are).
    number
        How many products.
    colours
        One vector per input for ``jvp``, one for the output for ``vjp``: the colour of each column or row.
    index
        Per input, where the entries of its pattern stand in the products, laid flat: in the output of all ``jvp``, or
        in that input's cotangents of all ``vjp``.
    """

    operator: Operator
    number: int
    colours: tuple[Array, ...]
    index: tuple[Array, ...]

    @staticmethod
    def of(patterns: Sequence[Pattern], operators: Sequence[Operator] = (Operator.JVP, Operator.VJP)) -> Compression:
        """The one with fewest products among ``operators``; of as many, by ``jvp``.

        Parameters
        ----------
        patterns
            One for each differentiated input, all with the same rows.
        operators
            What may be used.
        """
        plans: list[Compression] = []
        whole = _beside(patterns)
        for operator in operators:
            # The longest line bounds the number of colours from below: no need to look where that is no gain.
            lines, size = (whole.rows, whole.shape[0]) if operator == Operator.JVP else (whole.columns, whole.shape[1])
            if not plans or np.bincount(lines, minlength=size).max(initial=0) < plans[0].number:
                plans.append(_BUILD[operator](whole, patterns))
        return min(plans, key=lambda plan: plan.number)

    def sources(self, products: Any) -> Sequence[Any]:
        """Per input, the products in which its entries stand, out of all, stacked along a first axis."""
        return [products] * len(self.index) if self.operator == Operator.JVP else products

    def seeds(self, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> tuple[Array, ...]:
        """The directions of all products, ``(number, *shape)`` for each of ``shapes``."""
        which = np.arange(self.number)[:, None]
        return tuple(
            (which == colour).astype(dtype).reshape(self.number, *shape)
            for colour, shape, dtype in zip(self.colours, shapes, dtypes, strict=True)
        )


def _beside(patterns: Sequence[Pattern]) -> Pattern:
    """The pattern of matrices side by side."""
    rows = {p.shape[0] for p in patterns}
    if len(rows) != 1:
        raise ValueError(f"got patterns with {sorted(rows)} rows, expected one for each input and all of one output")
    starts = np.cumsum([0, *(p.shape[1] for p in patterns)])
    lines = np.concatenate([p.rows for p in patterns])
    columns = np.concatenate([p.columns + start for p, start in zip(patterns, starts, strict=False)])
    order = np.argsort(lines, kind="stable")
    return Pattern((rows.pop(), int(starts[-1])), lines[order], columns[order])


def _by_columns(whole: Pattern, patterns: Sequence[Pattern]) -> Compression:
    found = colours(whole)
    parts = np.split(found, np.cumsum([p.shape[1] for p in patterns])[:-1])
    index = tuple(c[p.columns] * p.shape[0] + p.rows for c, p in zip(parts, patterns, strict=True))
    return Compression(Operator.JVP, int(found.max(initial=-1)) + 1, tuple(parts), index)


def _by_rows(whole: Pattern, patterns: Sequence[Pattern]) -> Compression:
    found = colours(whole.transposed)
    index = tuple(found[p.rows] * p.shape[1] + p.columns for p in patterns)
    return Compression(Operator.VJP, int(found.max(initial=-1)) + 1, (found,), index)


_BUILD = {Operator.JVP: _by_columns, Operator.VJP: _by_rows}
