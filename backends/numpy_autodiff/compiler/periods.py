"""Repetition in a list of operations: which stretch repeats, with which period.

Operations are compared by *kind*: function, keywords, and form of the result and of the arguments. In a repetition with
period p the operation ``i + p`` is of the kind of ``i``, and its references move evenly: from each round to the next
the distance between what is referred to is the same. So distances of distances are zero, which is checked for all
references at once. A distance of p is a value of the same or an earlier round, a distance of 0 one from outside, any
other one the next entry of a sequence.

Candidates for p are the most frequent distances between a group of four kinds and its previous occurrences, up to the
fourth: the four slopes of a Runge-Kutta step are of the same kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op, frozen

#: Most references of an operation that may be part of a loop. Those that gather the results of all rounds have more.
_MOST_REFERENCES = 8
_CANDIDATES, _OCCURRENCES = 6, 4
_GROUP = 4
#: The fewest rounds: distances of distances need three, and the first round may be apart.
FEWEST_ROUNDS = 4


@final
@dataclass(frozen=True)
class Stretch:
    """Operations ``start`` to ``stop``, which repeat with ``period``."""

    start: int
    stop: int
    period: int

    @property
    def rounds(self) -> int:
        return (self.stop - self.start) // self.period

    @property
    def saved(self) -> int:
        """The number of operations that need not be written."""
        return (self.rounds - 1) * self.period if self.rounds >= FEWEST_ROUNDS else 0


@final
class Listing:
    """A list of operations as numbers.

    Attributes
    ----------
    kinds : ndarray of int, shape (n,)
        Equal for operations that may be the same step of two rounds.
    references : ndarray of int, shape (n, width)
        Positions of the operations among the arguments; inputs are -1, -2, ...; filled up with the own position.
    forms : list of int
        Equal for results of one shape and dtype; those of the inputs are at -1, -2, ...
    """

    def __init__(self, inputs: Sequence[Op], ops: Sequence[Op]) -> None:
        at = {x: -1 - i for i, x in enumerate(inputs)}
        known: dict[Any, int] = {}
        kinds, rows, columns, found = [], [], [], []
        for i, op in enumerate(ops):
            kind, places = _kind(op, at)
            at[op] = i
            # With many references, an operation gets a kind of its own, so that it is in no repetition.
            kinds.append(known.setdefault(kind, len(known)) if len(places) <= _MOST_REFERENCES else -1 - i)
            if len(places) <= _MOST_REFERENCES:
                for column, place in enumerate(places):
                    rows.append(i)
                    columns.append(column)
                    found.append(place)
        self.forms = _forms(inputs, ops)
        self.kinds = np.array(kinds, np.int64)
        self.references = np.repeat(np.arange(len(ops))[:, None], max(columns, default=0) + 1, axis=1)
        self.references[rows, columns] = found

    def stretch(self, start: int, stop: int) -> Stretch | None:
        """Return the stretch between two positions that saves the most operations, if there is one."""
        found = [s for p in self._candidates(start, stop) for s in self._regular(start, stop, p)]
        return max(found, key=lambda s: (s.saved, -s.period), default=None)

    def _candidates(self, start: int, stop: int) -> list[int]:
        kinds = self.kinds[start:stop]
        n = len(kinds) - _GROUP + 1
        if n < FEWEST_ROUNDS:
            return []
        groups = np.zeros(n, np.int64)
        for k in range(_GROUP):
            # A number for each group; two groups with one number would only be a candidate in vain.
            groups = groups * 1_000_003 + kinds[k : n + k]
        order = np.argsort(groups, kind="stable")
        groups = groups[order]
        found: dict[int, None] = {}
        for back in range(1, _OCCURRENCES + 1):
            distances = (order[back:] - order[:-back])[groups[back:] == groups[:-back]]
            counts = np.bincount(distances[distances <= len(kinds) // FEWEST_ROUNDS])
            best = np.argsort(-counts, kind="stable")[:_CANDIDATES]
            found |= dict.fromkeys(int(p) for p in best if p and counts[p])
        return list(found)

    def _regular(self, start: int, stop: int, p: int) -> list[Stretch]:
        """Return the longest stretch of period ``p`` with references that move evenly."""
        kinds, references = self.kinds[start:stop], self.references[start:stop]
        first, last = _longest(kinds[p:] == kinds[:-p])
        if last - first < 2 * p:
            return []
        moves = references[first + p : last + p] - references[first:last]
        begin, end = _longest((moves[p:] == moves[:-p]).all(axis=1))
        if end <= begin:
            return []
        found = Stretch(start + first + begin, start + first + end + 2 * p, p)
        return [self._extended(start, found)] if found.saved else []

    def _extended(self, lowest: int, found: Stretch) -> Stretch:
        """Let the stretch begin up to a period earlier.

        The first round may refer to anything in place of a carry, which is what later rounds find at a distance of p
        in an earlier round. Neither the one nor the other may then be within the first round itself.
        """
        p, start, apart = found.period, found.start, set[int]()
        for i in range(start - 1, max(lowest, start - p) - 1, -1):
            if self.kinds[i] != self.kinds[i + p] or i in apart:
                break
            first, second, third = (self.references[i + k * p].tolist() for k in range(3))
            odd = [(x, y, z) for x, y, z in zip(first, second, third, strict=True) if x - y != y - z]
            if any(max(x, y - p) >= i or z - y != p or self.forms[x] != self.forms[y] for x, y, z in odd):
                break
            apart.update(position for x, y, _ in odd for position in (x, y - p))
            start = i
        return Stretch(start, found.stop, p)


def _forms(inputs: Sequence[Op], ops: Sequence[Op]) -> list[int]:
    known: dict[Any, int] = {}
    return [known.setdefault((op.shape, op.dtype, op.scalar), len(known)) for op in (*ops, *reversed(inputs))]


def _longest(true: Any) -> tuple[int, int]:
    """Return the bounds of the longest run of true entries."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.view(np.int8), [0]])))
    if not edges.size:
        return 0, 0
    starts, stops = edges[::2], edges[1::2]
    i = int(np.argmax(stops - starts))
    return int(starts[i]), int(stops[i])


def varies(op: Op, i: int) -> bool:
    """Return whether argument ``i``, a constant, may differ from round to round: a number, an array or an index."""
    x = op.args[i]
    if x.__class__ is int:
        return isinstance(op.function, np.ufunc) or (op.name == "getitem" and i == 1)
    return x.__class__ is float or isinstance(x, (np.ndarray, np.generic)) or (op.name == "getitem" and i == 1)


def _kind(op: Op, at: Mapping[Op, int]) -> tuple[Any, list[int]]:
    """Return the kind of an operation, and the positions of those among its arguments."""
    args: list[Any] = []
    places: list[int] = []
    name = op.name
    for i, x in enumerate(op.args):
        cls = x.__class__
        if cls is Op:
            args.append(None)
            places.append(at[x])
        elif cls is float or (cls is int and varies(op, i)):
            args.append(cls)
        elif isinstance(x, (np.ndarray, np.generic)):
            args.append((cls, x.shape, x.dtype))
        else:
            args.append(cls if i == 1 and name == "getitem" else frozen(x))
    kwargs = frozen(dict(op.kwargs)) if op.kwargs else None
    return (name, id(op.function), op.shape, op.dtype, op.scalar, tuple(args), kwargs), places
