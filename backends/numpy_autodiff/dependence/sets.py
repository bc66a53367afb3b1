"""Sets of numbers of inputs, stored once each, so that an array of sets is an array of integers.

Every entry of a traced array has the set of the inputs that it depends on. Neighbouring entries often have equal sets,
and the entries of a dense result all have the same. So each set has a number, an array has the numbers of its entries'
sets in its own shape, and a function that only moves entries (``x[1:]``, a transpose) is applied to these numbers as
they are. The number 0 is the empty set, so that what such a function fills with zeros depends on nothing.

>>> import numpy as np
>>> sets = IndexSets()
>>> x = sets.singles(0, (4,))
>>> differences = sets.union(x[1:], x[:-1])
>>> [sorted(sets[k]) for k in differences]
[[0, 1], [1, 2], [2, 3]]
>>> sorted(sets[sets.joined(differences, (0,))[()]])
[0, 1, 2, 3]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np

#: Numbers in all sets together: 200 bytes each in the worst case.
MOST_MEMBERS = 20_000_000
_SHIFT = np.int64(32)
_LOW = np.int64((1 << 32) - 1)


class DenseError(ValueError):
    """The sets of a recording have too many members for memory."""


@final
class IndexSets:
    """The table of all sets that occur in one recording."""

    def __init__(self) -> None:
        self._sets: list[frozenset[int]] = [frozenset()]
        self._numbers: dict[frozenset[int], int] = {frozenset(): 0}
        self._unions: dict[int, int] = {}
        self._members = 0
        self._has_marks = False

    def __getitem__(self, number: int) -> frozenset[int]:
        return self._sets[number]

    def number(self, found: frozenset[int]) -> int:
        """Return the number of a set, a new one if it has none yet.

        Raises
        ------
        DenseError
            If the sets have become too many for memory: the matrix is dense, and large.
        """
        known = self._numbers.get(found)
        if known is None:
            known = self._numbers[found] = len(self._sets)
            self._sets.append(found)
            self._members += len(found)
            if self._members > MOST_MEMBERS:
                raise DenseError(
                    f"got index sets of more than {MOST_MEMBERS} members, expected a sparse function: "
                    "declare its pattern, or take dense derivatives"
                )
        return known

    def singles(self, start: int, shape: Sequence[int]) -> Any:
        """Return an array of the sets {start}, {start + 1}, ..., in C order."""
        count = math.prod(shape)
        return np.array([self.number(frozenset((start + k,))) for k in range(count)], np.int64).reshape(shape)

    def all_of(self, numbers: Iterable[int]) -> int:
        """Return the number of the union of several sets."""
        chosen = set(numbers)
        chosen.discard(0)
        if len(chosen) < 2:
            return chosen.pop() if chosen else 0
        return self.number(frozenset().union(*(self._sets[k] for k in chosen)))

    def union(self, a: Any, b: Any) -> Any:
        """Return the unions of two arrays of sets, entry by entry after broadcasting."""
        a, b = np.broadcast_arrays(a, b)
        found = np.where(b == 0, a, np.where((a == 0) | (a == b), b, -1))
        open_ = found < 0
        if open_.any():
            low, high = np.minimum(a[open_], b[open_]), np.maximum(a[open_], b[open_])
            pairs, back = np.unique((low << _SHIFT) | high, return_inverse=True)
            found[open_] = np.array([self._pair(pair) for pair in pairs.tolist()], np.int64)[back]
        return found

    def _pair(self, pair: int) -> int:
        known = self._unions.get(pair)
        if known is None:
            known = self._unions[pair] = self.number(self._sets[pair >> 32] | self._sets[pair & 0xFFFFFFFF])
        return known

    def marked(self, numbers: Any) -> Any:
        """Return the sets with a mark beside each member; the mark of j is ``-1 - j``, and is united as members are."""
        self._has_marks = True
        return self._each(numbers, lambda members: members | {-1 - j for j in members if j >= 0})

    def of_marked(self, numbers: Any) -> Any:
        """Return the marks of the sets alone; a mark stands for its member."""
        if not self._has_marks:
            return np.zeros_like(numbers)
        return self._each(numbers, lambda members: frozenset(j for j in members if j < 0))

    def _each(self, numbers: Any, change: Callable[[frozenset[int]], frozenset[int]]) -> Any:
        known, back = np.unique(numbers, return_inverse=True)
        found = np.array([self.number(change(self._sets[k])) for k in known.tolist()], np.int64)
        return found[back].reshape(np.shape(numbers))

    def joined(self, numbers: Any, axes: Sequence[int], keepdims: bool = False) -> Any:
        """Return the unions along some axes, as `numpy.sum` adds."""
        numbers = np.asarray(numbers)
        kept = [n for i, n in enumerate(numbers.shape) if i not in axes]
        order = [i for i in range(numbers.ndim) if i not in axes] + list(axes)
        rows = (
            numbers.transpose(order).reshape((math.prod(kept), -1)) if numbers.size else np.zeros((math.prod(kept), 0))
        )
        found = np.array([self.all_of(row) for row in rows.tolist()], np.int64)
        shape = [1 if i in axes else n for i, n in enumerate(numbers.shape)] if keepdims else kept
        return found.reshape(shape)

    def running(self, numbers: Any, axis: int) -> Any:
        """Return the unions of each entry with those before it along an axis, as `numpy.cumsum` adds."""
        moved = np.moveaxis(np.asarray(numbers), axis, 0)
        found = np.empty(moved.shape, np.int64)
        before: Any = np.zeros(moved.shape[1:], np.int64)
        for k in range(len(moved)):
            before = found[k] = self.union(before, moved[k])
        return np.moveaxis(found, 0, axis)

    def gathered(self, places: Any, numbers: Any, shape: Sequence[int]) -> Any:
        """Return the union of all sets that were sent to each place of an array, as `numpy.add.at` adds."""
        places, numbers = (np.ravel(x) for x in np.broadcast_arrays(places, numbers))
        found = np.zeros(math.prod(shape), np.int64)
        pairs = np.unique((places[numbers != 0] << _SHIFT) | numbers[numbers != 0])
        places, numbers = pairs >> _SHIFT, pairs & _LOW
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        lengths = np.diff(starts, append=len(places))
        alone = starts[lengths == 1]
        found[places[alone]] = numbers[alone]
        for start, length in zip(starts[lengths > 1].tolist(), lengths[lengths > 1].tolist(), strict=True):
            found[places[start]] = self.all_of(numbers[start : start + length].tolist())
        return found.reshape(shape)

    def places(self, numbers: Any, start: int, stop: int) -> tuple[Any, Any]:
        """Return the pairs (entry of the array, member) with members from ``start`` to ``stop``, less ``start``."""
        flat = np.ravel(numbers).tolist()
        members = {k: self._within(k, start, stop) for k in set(flat)}
        counts = [len(members[k]) for k in flat]
        columns = np.concatenate([np.zeros(0, np.int64), *(members[k] for k in flat)])
        return np.repeat(np.arange(len(flat), dtype=np.int64), counts), columns

    def _within(self, number: int, start: int, stop: int) -> Any:
        members = {max(j, -1 - j) for j in self._sets[number]}
        return np.array(sorted(j - start for j in members if start <= j < stop), np.int64)
