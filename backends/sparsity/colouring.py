"""Colourings of sparsity patterns: from how few products can all entries of a sparse Jacobian be read?

Let J be an m x n Jacobian with a known pattern. Columns j and k are structurally orthogonal if no row has an entry in
both. Then every row of the product J (e_j + e_k) is an entry of one of the two columns, or zero. So give each column a
colour such that columns of equal colour are structurally orthogonal, and let the seed of colour c be the sum of the
unit vectors of its columns. One forward-mode product (JVP) per colour gives all entries: J_ij stands in row i of the
product with the colour of column j (Curtis, Powell and Reid 1974, J. Inst. Maths Applics 13). An example with the
colours 0, 1, 0::

        a . .             1 0                 a 0
    J = b c .     seeds = 0 1     J @ seeds = b c
        . d e             1 0                 e d

In the same way, one reverse-mode product (VJP) per colour of the rows gives all entries. `Compression.of` takes the
side with fewer colours.

The number of colours is at least the largest number of entries in a row, since the columns of those entries all need
colours of their own. To find the fewest is NP-hard. `colours` gives each column in turn the first colour that is free
(Coleman and Moré 1983, SIAM J. Numer. Anal. 20): first in the given order, and, if that does not reach the lower bound,
once more by falling number of entries. Rows and columns are not combined (bicolouring), so that an arrow-shaped matrix
with a full row and a full column costs as many products as it has columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends.sparsity.pattern import Array, Pattern
from autodiff_compare.vocabulary import Operator


def colours(pattern: Pattern) -> Array:
    """Colour the columns of a pattern such that columns of equal colour share no row.

    Takes 0.3 us per entry, in plain Python: a greedy colouring visits one column after the other, so that nothing can
    be vectorised.

    Returns
    -------
    Array
        int64 vector, one colour per column: 0, 1, ... without a gap, and -1 for columns without entries.
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
    """Give each column, in ``order``, the first colour that no other column in its rows has.

    ``lines[starts[j]:starts[j + 1]]`` are the rows of column j, and m is the number of rows.
    """
    taken = [0] * m  # per row, the set of colours in use: bit c stands for colour c
    found = np.full(len(starts) - 1, -1, dtype=np.int64)
    for j in order:
        rows = lines[starts[j] : starts[j + 1]]
        forbidden = 0
        for i in rows:
            forbidden |= taken[i]
        bit = ~forbidden & (forbidden + 1)  # the lowest bit that is not set
        for i in rows:
            taken[i] |= bit
        if rows:
            found[j] = bit.bit_length() - 1
    return found


@dataclass(frozen=True)
class Compression:
    """The products that give the sparse Jacobians of several inputs, and the positions of the entries in them.

    Parameters
    ----------
    operator
        ``jvp`` if columns are coloured, ``vjp`` if rows are.
    number
        The number of products, which is the number of colours.
    colours
        The colour of each column, one int64 vector per input, for ``jvp``. The colour of each row, a single vector, for
        ``vjp``.
    index
        One int64 vector per input, with the position of each entry of its pattern in the flattened products: those of
        shape ``(number, output size)`` for ``jvp``, ``(number, input size)`` of that input for ``vjp``.
    """

    operator: Operator
    number: int
    colours: tuple[Array, ...]
    index: tuple[Array, ...]

    @staticmethod
    def of(patterns: Sequence[Pattern], operators: Sequence[Operator] = (Operator.JVP, Operator.VJP)) -> Compression:
        """Return the compression with the fewest products; of equals, the first in ``operators``.

        Parameters
        ----------
        patterns
            One per differentiated input, all with the same number of rows.
        operators
            The products that may be used: ``jvp``, ``vjp`` or both.

        Raises
        ------
        ValueError
            If the patterns differ in their number of rows.
        """
        plans: list[Compression] = []
        whole = Pattern.beside(patterns)
        for operator in operators:
            # The most entries in a row (of a column, for vjp) bound the number of colours from below. Where the bound
            # already rules out a gain, the other side is not coloured.
            lines, size = (whole.rows, whole.shape[0]) if operator == Operator.JVP else (whole.columns, whole.shape[1])
            if not plans or np.bincount(lines, minlength=size).max(initial=0) < plans[0].number:
                plans.append(_BUILD[operator](whole, patterns))
        return min(plans, key=lambda plan: plan.number)

    def sources(self, products: Any) -> Sequence[Any]:
        """Return, per input, the stacked products that hold its entries.

        ``products`` is one array ``(number, *output shape)`` for ``jvp``, which all inputs share, and a sequence of
        arrays ``(number, *input shape)`` for ``vjp``.
        """
        return [products] * len(self.index) if self.operator == Operator.JVP else products

    def seeds(self, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> tuple[Array, ...]:
        """Return the directions of all products, one array ``(number, *shape)`` per shape.

        Parameters
        ----------
        shapes, dtypes
            Those of the differentiated inputs for ``jvp``; that of the output, alone, for ``vjp``.
        """
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
