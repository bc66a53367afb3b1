"""Observations ``l @ M @ r`` of a derivative: which vectors are used, and which entries they leave unseen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.judge.differences import Estimates
from autodiff_compare.problems import Array

#: Multiple of the root of squares that a sum with random signs does not exceed.
_HOEFFDING = 4.0


@dataclass(frozen=True)
class Direction:
    """A vector by its entries that are not zero: ``values`` at ``indices``."""

    indices: Array
    values: Array

    @staticmethod
    def of(row: Array) -> Direction:
        """Return a dense vector as a direction."""
        indices = np.flatnonzero(row)
        return Direction(indices, row[indices])

    def dense(self, n: int) -> Array:
        """Return the vector of ``n`` entries."""
        row = np.zeros(n)
        row[self.indices] = self.values
        return row

    @property
    def halves(self) -> tuple[Direction, Direction]:
        """Return every second entry, and the others."""
        a, b = slice(None, None, 2), slice(1, None, 2)
        return Direction(self.indices[a], self.values[a]), Direction(self.indices[b], self.values[b])

    @property
    def entry(self) -> int | None:
        """Return the index of the only entry; `None` if there are several."""
        return int(self.indices[0]) if self.indices.size == 1 else None


@dataclass(frozen=True, eq=False)
class Group:
    """The observations along one direction: one for each row of ``fixed``.

    The matrix is seen as ``fixed @ M @ direction``: for second derivatives M is transposed, so that its rows vary.

    Parameters
    ----------
    fixed
        The vectors of the other side, shape ``(a, rows)``.
    direction
        The vector that varies from group to group.
    found, known
        The ``a`` estimates, and whether each is narrow enough to decide.
    """

    fixed: Array
    direction: Direction
    found: Estimates
    known: Array

    def seen(self, M: Any) -> Array:
        """Return ``fixed @ M @ direction``, shape ``(a,)``."""
        return np.asarray(self.fixed @ (M[:, self.direction.indices] @ self.direction.values))

    def slack(self, T: Any) -> Array:
        """Return what errors of the entries, at most ``T_ij``, do to the observations, shape ``(a,)``.

        It is at most ``sum |l_i| T_ij |r_j|``. The signs of random directions are independent of the errors: by
        Hoeffding's inequality, k times the root of the sum of squares is exceeded with a probability below
        ``2 exp(-k^2/2)``. The result is the smaller of both, with k = 4. Before terms are squared, the largest is
        divided out.
        """
        part, r = T[:, self.direction.indices], np.abs(self.direction.values)
        left = np.abs(self.fixed)
        with np.errstate(over="ignore"):
            linear: Array = np.asarray(left @ (part @ r))
        # Entries times the sizes of both sides have the unit of the function: their squares are comparable.
        rows, columns = _largest(left.max(axis=0, initial=0.0)), _largest(r)
        unit = linear.max(initial=0.0)
        if not unit > 0 or not np.isfinite(unit):
            return linear
        # An entry that is not seen has size 0 here, or it could be out of all proportion to those that are.
        scaled = _scaled(part, left.max(axis=0, initial=0.0), r, unit)
        root = np.sqrt((left / rows) ** 2 @ (scaled @ (r / columns) ** 2)) * unit
        return np.asarray(np.minimum(linear, _HOEFFDING * root))


def traced(
    group: Group, row: int, observe: Callable[[Array, Direction], Group], miss: Callable[[Group], float]
) -> Group | None:
    """Trace a failed observation to a single entry, by halves: return that of the entry, or `None`.

    A half that fails is halved again. Where an error drowns in a half, no entry can be named.

    Parameters
    ----------
    group, row
        The failed observation.
    observe
        Returns the observation of a fixed vector, as a row, and a direction.
    miss
        Returns by how much an observation misses its tolerance; 0 if it has another verdict than the traced one.
    """
    fixed, direction = Direction.of(group.fixed[row]), group.direction
    n = group.fixed.shape[1]
    while max(fixed.indices.size, direction.indices.size) > 1:
        if direction.indices.size > 1:
            tried = ((fixed, half) for half in direction.halves)
        else:
            tried = ((half, direction) for half in fixed.halves)
        for left, right in tried:
            group = observe(left.dense(n)[None], right)
            if miss(group) > 0:
                fixed, direction, row = left, right, 0
                break
        else:
            return None
    return Group(group.fixed[[row]], direction, group.found.only(row), group.known[[row]])


def _largest(size: Array) -> Array:
    return np.where(size > 0, size, 1.0)


def _scaled(part: Any, rows: Array, columns: Array, unit: float) -> Any:
    """Return the squares of ``rows_i T_ij columns_j / unit``, dense or sparse as T is."""
    if isinstance(part, np.ndarray):
        return (rows[:, None] * part * columns / unit) ** 2
    found = part.tocoo()
    found.data = (rows[found.row] * found.data * columns[found.col] / unit) ** 2
    return found.tocsr()


@dataclass(frozen=True)
class Unseen:
    """The entries whose error a check may have missed.

    Parameters
    ----------
    rows, columns
        The entries that may be anything up to their own size, without those looked at singly.
    resolution
        The error of a single entry that is found with certainty, relative to the largest contribution.
    """

    rows: Array
    columns: Array
    resolution: float

    @property
    def count(self) -> int:
        """Return the number of entries."""
        return int(self.rows.size)


NOTHING_UNSEEN = Unseen(np.zeros(0, int), np.zeros(0, int), 0.0)


def unseen(M: Any, groups: Sequence[Group], limits: Sequence[Array], scales: tuple[Array, Array]) -> Unseen:
    """Return the entries of M that no observation proves.

    An error ``e`` in entry (i, j) changes an observation by ``l_i e r_j``. It is found if that exceeds the
    observation's limit: its tolerance and what it already deviates by. An entry smaller than the least such ``e`` could
    be zero, or have the wrong sign, unnoticed.

    Parameters
    ----------
    M
        The matrix as the groups see it, dense or sparse.
    groups
        The observations.
    limits
        For each group the limits of its observations, shape ``(a,)``; infinite where an observation proves nothing.
    scales
        Scales of the rows and of the columns.
    """
    m, n = M.shape
    sparse = None if isinstance(M, np.ndarray) else M.tocoo()
    rows, columns = (np.arange(m)[:, None], np.arange(n)) if sparse is None else (sparse.row, sparse.col)
    size = np.abs(M if sparse is None else sparse.data)
    least = np.full(size.shape, math.inf)
    with np.errstate(all="ignore"):
        for fixed, along in _by_row(groups, limits, n):
            least = np.minimum(least, along[columns] / np.abs(fixed)[rows])
        keys = [i * n + j for i, j in _singles(groups)]
        single = np.isin(rows * n + columns, keys)
        weight = scales[0][rows] * scales[1][columns]
        biggest = float(np.max(size * weight, initial=0.0))
        hidden = ~(size > least) & ~single
        others = np.where(single, 0.0, least * weight)
        resolution = float(np.max(others[np.isfinite(others)], initial=0.0)) / (biggest or 1.0)
    if sparse is None:
        at = np.nonzero(hidden)
        return Unseen(at[0], at[1], resolution)
    return Unseen(rows[hidden], columns[hidden], resolution)


def _by_row(groups: Sequence[Group], limits: Sequence[Array], n: int) -> Iterable[tuple[Array, Array]]:
    """Yield each vector of the fixed side with the least limit by column: that of the entry times ``|r_j|``."""
    found: dict[bytes, tuple[Array, Array]] = {}
    for group, limit in zip(groups, limits, strict=True):
        for fixed, t in zip(group.fixed, limit, strict=True):
            key = fixed.tobytes()
            if key not in found:
                found[key] = (fixed, np.full(n, math.inf))
            along, at = found[key][1], group.direction.indices
            along[at] = np.minimum(along[at], t / np.abs(group.direction.values))
    return found.values()


def _singles(groups: Sequence[Group]) -> Iterable[tuple[int, int]]:
    """Yield row and column of each entry that was observed alone."""
    for group in groups:
        column = group.direction.entry
        for fixed in group.fixed if column is not None else ():
            at = np.flatnonzero(fixed)
            if at.size == 1:
                yield int(at[0]), int(column or 0)
