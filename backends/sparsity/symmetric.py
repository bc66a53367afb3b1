"""Star colourings of symmetric matrices: how few products of a Hessian with vectors give all of its entries?

Let H be symmetric, and take it for the adjacency matrix of a graph. Products with one vector per colour are compressed
columns: ``B_ic`` is the sum of ``H_ik`` over the k of colour c. The entry ``H_ij`` stands alone in ``B_ic``, c the
colour of j, if no other neighbour of i has that colour. It also stands in ``B_jd``, d the colour of i, since
``H_ij = H_ji``. A *star colouring* gives neighbours different colours and leaves no path of four vertices with two
colours. Then one of the two always stands alone: otherwise i had a second neighbour of the colour of j, and j a second
one of the colour of i, and these four were such a path (Coleman and Moré 1984, Math. Program. 28). An example, an
arrow, which needs as many colours as columns without the symmetry::

        a b c d             b+c+d a
    H = b e . .   B  =      e     b      colours 1 0 0 0
        c . f .             f     c
        d . . g             g     d

A tridiagonal matrix needs three colours. An acyclic colouring needs fewer (here two), but its entries come from one
another by subtraction, along a chain as long as the matrix, and so do their errors. It is therefore not used.

Finding the fewest colours is NP-hard. `star_colours` colours greedily (Gebremedhin, Manne and Pothen 2005, SIAM Review
47, algorithm 4.1), in three orders (as given, largest degree first, smallest degree last), and takes the best.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends.sparsity.colouring import colours
from autodiff_compare.backends.sparsity.pattern import Array, Pattern


def star_colours(pattern: Pattern) -> Array:
    """Colour the columns of a symmetric pattern such that each entry or its mirror image can be read off a product.

    Takes about 1 us per entry and order, in plain Python: a greedy colouring visits one vertex after the other.

    Returns
    -------
    Array
        int64 vector, one colour per column: 0, 1, ... without a gap, and -1 for columns without entries.

    Raises
    ------
    ValueError
        If the pattern is not symmetric.
    """
    mirrored = pattern.transposed
    if pattern.shape[0] != pattern.shape[1] or not (
        np.array_equal(pattern.rows, mirrored.rows) and np.array_equal(pattern.columns, mirrored.columns)
    ):
        raise ValueError(f"got a pattern of shape {pattern.shape} that is not symmetric, expected that of a Hessian")
    if pattern.nnz == pattern.shape[0] ** 2:
        return np.arange(pattern.shape[0])
    near = _neighbours(pattern)
    used = np.bincount(pattern.rows, minlength=pattern.shape[0]) > 0
    # What suits columns of any matrix suits those of a symmetric one.
    best = colours(pattern)
    for order in (_as_given, _largest_first, _smallest_last):
        if best.max(initial=-1) < 2:
            break
        found = np.where(used, _greedy(near, order(near)), -1)
        best = min(best, found, key=lambda c: int(c.max(initial=-1)))
    return best


def _neighbours(pattern: Pattern) -> list[list[int]]:
    """Return, per column, the rows of its entries off the diagonal."""
    off = pattern.rows != pattern.columns
    ends = np.searchsorted(pattern.rows[off], np.arange(pattern.shape[0] + 1)).tolist()
    columns = pattern.columns[off].tolist()
    return [columns[start:stop] for start, stop in itertools.pairwise(ends)]


def _as_given(near: Sequence[Sequence[int]]) -> Sequence[int]:
    return range(len(near))


def _largest_first(near: Sequence[Sequence[int]]) -> Sequence[int]:
    return sorted(range(len(near)), key=lambda v: -len(near[v]))


def _smallest_last(near: Sequence[Sequence[int]]) -> Sequence[int]:
    """Remove a vertex of the smallest degree among those left, again and again, and colour in the reverse order."""
    degree = [len(others) for others in near]
    heap = [(d, v) for v, d in enumerate(degree)]
    heapq.heapify(heap)
    order: list[int] = []
    left = [True] * len(near)
    while heap:
        d, v = heapq.heappop(heap)
        if not left[v] or d != degree[v]:
            continue
        left[v] = False
        order.append(v)
        for w in near[v]:
            if left[w]:
                degree[w] -= 1
                heapq.heappush(heap, (degree[w], w))
    return order[::-1]


def _greedy(near: Sequence[Sequence[int]], order: Sequence[int]) -> Array:
    """Give each vertex the first colour that makes no path of four vertices with two colours.

    Vertex v may not have the colour c

    1. if a neighbour has it;
    2. if it were the end of a path v-w-x-y: a neighbour x of w has the colour c and a second neighbour of w's colour;
    3. if it were inside of a path u-v-w-x: another neighbour u of v has the colour of w, and a neighbour x of w has c.

    ``first[w][c]`` is the first coloured neighbour of w with the colour c. Once there is a second, c is in
    ``again[w]``. For 2, ``hubs[w]`` holds the colours of the neighbours x of w that have w's colour in ``again[x]``.
    """
    n = len(near)
    found = [-1] * n
    first: list[dict[int, int]] = [{} for _ in range(n)]
    again: list[set[int]] = [set() for _ in range(n)]
    hubs: list[set[int]] = [set() for _ in range(n)]
    for v in order:
        forbidden = set(first[v])
        for w in near[v]:
            if found[w] >= 0:
                forbidden |= hubs[w]
                if found[w] in again[v]:
                    forbidden.update(first[w])
        c = 0
        while c in forbidden:
            c += 1
        found[v] = c
        for w in near[v]:
            if c not in first[w]:
                first[w][c] = v
            elif found[w] >= 0:
                again[w].add(c)
                hubs[first[w][c]].add(found[w])
                hubs[v].add(found[w])
            else:
                again[w].add(c)
            if found[w] in again[v]:
                hubs[w].add(c)
    return np.array(found, np.int64)


@dataclass(frozen=True)
class SymmetricCompression:
    """The products that give a sparse Hessian of several inputs, and the positions of the entries in them.

    Parameters
    ----------
    number
        The number of products, which is the number of colours.
    colours
        The colour of each entry of each differentiated input, one int64 vector per input.
    index
        One int64 vector per input, with the position of each entry of the input's rows in the products, flattened from
        the shape ``(number, all inputs together)``.
    """

    number: int
    colours: tuple[Array, ...]
    index: tuple[Array, ...]

    @staticmethod
    def of(patterns: Sequence[Pattern]) -> SymmetricCompression:
        """Return the compression of a Hessian given by its rows.

        Parameters
        ----------
        patterns
            One per differentiated input, of shape (entries of that input, entries of all inputs): its rows.

        Raises
        ------
        ValueError
            If they do not make a symmetric matrix.
        """
        starts = np.cumsum([0, *(p.shape[0] for p in patterns)])
        n = int(starts[-1])
        rows = np.concatenate([p.rows + start for p, start in zip(patterns, starts, strict=False)])
        columns = np.concatenate([p.columns for p in patterns])
        found = star_colours(Pattern.of((n, n), rows, columns))
        # An entry is read from its own row where no other of the row has its column's colour, else from its mirror
        # image's.
        number = int(found.max(initial=-1)) + 1
        places = rows * max(number, 1) + found[columns]
        alone = np.bincount(places, minlength=1)[places] == 1
        index = np.where(alone, found[columns] * n + rows, found[rows] * n + columns)
        ends = np.cumsum([p.nnz for p in patterns])[:-1]
        return SymmetricCompression(number, tuple(np.split(found, starts[1:-1])), tuple(np.split(index, ends)))

    def seeds(self, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> tuple[Array, ...]:
        """Return the directions of all products, one array ``(number, *shape)`` per differentiated input."""
        which = np.arange(self.number)[:, None]
        return tuple(
            (which == colour).astype(dtype).reshape(self.number, *shape)
            for colour, shape, dtype in zip(self.colours, shapes, dtypes, strict=True)
        )
