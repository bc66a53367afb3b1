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

from autodiff_compare.backends.sparsity.pattern import Array, Pattern
from autodiff_compare.vocabulary import Operator


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
        whole = Pattern.beside(patterns)
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
