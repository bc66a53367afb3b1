"""Rolling: repeated operations of a graph become loops (see `autodiff_compare.backends.numpy_autodiff.compiler.loop`).

A Python loop, a `scan` and their derivatives of any order leave the same operations in the graph again and again. That
list is all that is needed of them. `periods` finds a stretch that repeats. Here each reference of a round is classified
by its position r in round k = 0, 1, ..., for a period p:

    moves by p, within the round       a value of this round
    moves by p, to an earlier round    a carry; the first round refers to its first value
    does not move                      an invariant
    moves otherwise, to before         an element of a sequence: results of an earlier loop, or separate ones

A constant that differs from round to round is an element too. Operations keep their order, so guards, rounding and
errors are those of the graph that is not rolled.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op, frozen
from autodiff_compare.backends.numpy_autodiff.compiler.loop import (
    Body,
    collected,
    entry,
    last,
    placeholder,
    run,
    together,
)
from autodiff_compare.backends.numpy_autodiff.compiler.periods import FEWEST_ROUNDS, Listing, Stretch, varies

#: How often the bounds of a loop are moved before its operations are left as they are.
_MOST_TRIALS = 64
#: Rounds that are left outside so that all elements come from one earlier loop.
_MOST_OUTSIDE = 3
#: How often each operation is looked at, on average, before the rest is left as it is.
_SEARCHES = 64
#: The farthest round back that a carry reaches.
_FARTHEST = 4


def rolled(graph: Graph, fewest: int) -> Graph:
    """Return the graph with a loop in place of each repetition that saves at least ``fewest`` operations."""
    return graph if len(graph.ops) < fewest + FEWEST_ROUNDS else _Rolling(graph, fewest).graph()


class _MisfitError(Exception):
    """The stretch is no loop with these bounds; it may be one with others, if any are given."""

    def __init__(self, start: int = -1, stop: int = -1) -> None:
        super().__init__(start, stop)
        self.start, self.stop = start, stop


@final
class _Rolling:
    """The new operations, and where to find the value of each old one."""

    def __init__(self, graph: Graph, fewest: int) -> None:
        self.old = graph
        self.listing = Listing(graph.inputs, graph.ops)
        self._fewest = fewest
        self._ops: list[Op] = []
        #: Old operation -> new one, for those outside of loops.
        self._new: dict[Op, Op] = {x: x for x in graph.inputs}
        self._at = {op: i for i, op in enumerate(graph.ops)}
        self._loops: list[_Loop] = []
        self._starts: list[int] = []

    def graph(self) -> Graph:
        self._roll()
        outputs = [self.value(x) if isinstance(x, Op) else x for x in self.old.outputs]
        for loop in self._loops:
            loop.finish(self._fewest)
        return Graph(self.old.inputs, self._ops, outputs, self.old.rebuild)

    def _roll(self) -> None:
        # Each search looks at all operations of its stretch: with many loops, one after the other, that has an end.
        left = _SEARCHES * len(self.old.ops)
        pending: list[tuple[int, int] | Stretch] = [(0, len(self.old.ops))]
        while pending:
            item = pending.pop()
            if isinstance(item, Stretch):
                loop = self._loop(item)
                self._place(item.start, item.stop if loop is None else loop.start)
                if loop is not None:
                    loop.attach()
                    self._add(loop)
                    pending.append((loop.stop, item.stop))
                continue
            left -= item[1] - item[0]
            found = self.listing.stretch(*item) if left >= 0 else None
            if found is None or found.saved < self._fewest:
                self._place(*item)
            else:
                pending += [(found.stop, item[1]), found, (item[0], found.start)]

    def _place(self, start: int, stop: int) -> None:
        for op in self.old.ops[start:stop]:
            new = op.with_args([self.value(a) if a.__class__ is Op else a for a in op.args])
            self._new[op] = new
            self._ops.append(new)

    def _add(self, loop: _Loop) -> None:
        self._ops.append(loop.op)
        self._loops.append(loop)
        self._starts.append(loop.start)

    def _loop(self, stretch: Stretch) -> _Loop | None:
        start, stop, p = stretch.start, stretch.stop, stretch.period
        for _ in range(_MOST_TRIALS):
            if Stretch(start, stop, p).saved < max(self._fewest, 1):
                return None
            try:
                return _Loop(self, Stretch(start, stop, p))
            except _MisfitError as misfit:
                if misfit.start < 0:
                    return None
                start, stop = misfit.start, stop if misfit.stop < 0 else misfit.stop
        return None

    def add(self, op: Op) -> Op:
        """Append an operation that reads the results of a loop."""
        self._ops.append(op)
        return op

    def at(self, i: int) -> Op:
        """Return the old operation at a position, or the input at a negative one."""
        return self.old.ops[i] if i >= 0 else self.old.inputs[-1 - i]

    def within(self, i: int) -> _Loop | None:
        """Return the loop that the old operation at a position became part of."""
        found = bisect.bisect_right(self._starts, i) - 1
        return self._loops[found] if found >= 0 and i < self._loops[found].stop else None

    def value(self, op: Op) -> Op:
        """Return the new operation with the value of an old one."""
        new = self._new.get(op)
        if new is None:
            i = self._at[op]
            loop = self.within(i)
            assert loop is not None
            new = self._new[op] = loop.value(*divmod(i - loop.start, loop.period))
        return new


@final
class _Loop:
    """A loop that is being made of the old operations from ``start`` to ``stop``."""

    def __init__(self, rolling: _Rolling, stretch: Stretch) -> None:
        self._rolling = rolling
        self.start, self.period, self._rounds = stretch.start, stretch.period, stretch.rounds
        self.stop = self.start + self.period * self._rounds
        #: (position in the round, rounds back, first values) -> placeholders, from the nearest round to the farthest.
        self._carries: dict[tuple[int, tuple[int, ...]], list[Op]] = {}
        #: Key -> placeholder, function that returns the sequence, start, step.
        self._elements: dict[tuple[int, int], tuple[Op, Callable[[], Any], int, int]] = {}
        self._invariants: dict[int, Op] = {}
        self._lasts: dict[int, Op] = {}
        self._collected: dict[int, Op] = {}
        self._body: list[Op] = []
        for j in range(self.period):
            self._body.append(self._step(j))
        self.op = Op("loop", run, (), {}, None)

    def _step(self, j: int) -> Op:
        """Return the operation at one position of a round. The second round stands for all."""
        i, p, references = self.start + j, self.period, self._rolling.listing.references
        op, column, args = self._rolling.old.ops[i + p], 0, []
        for at, a in enumerate(op.args):
            if a.__class__ is Op:
                found = [int(references[i + k * p, column]) for k in range(3)]
                args.append(self._reference(i, *found))
                column += 1
            else:
                args.append(self._constant(j, at) if varies(op, at) else a)
        return op.with_args(args)

    def _reference(self, i: int, first: int, second: int, third: int) -> Op:
        """Return what stands for the references of three rounds."""
        start, p, move = self.start, self.period, third - second
        if move == p and second >= start:
            if second < start + p:
                return self._carry(i, second - start, (first,))
            if first != second - p:
                raise _MisfitError(i + 1)
            return self._body[second - start - p]
        if move == 0:
            if second >= start or first != second:
                raise _MisfitError(max(first if first >= start else i, second if second >= start else i) + 1)
            return self._invariant(first)
        if first != second - move:
            raise _MisfitError(i + 1)
        end = first + move * (self._rounds - 1)
        if move == p and end >= start:
            back = -((first - start) // p)
            return self._carry(i, first + back * p - start, tuple(range(first, first + back * p, p)))
        if max(first, end) >= start:
            raise _MisfitError
        return self._results(first, move)

    def _carry(self, i: int, j: int, firsts: tuple[int, ...]) -> Op:
        like = self._rolling.old.ops[self.start + j]
        if any(x >= self.start or not _alike(self._rolling.at(x), like) for x in firsts):
            raise _MisfitError(i + 1)
        if len(firsts) > _FARTHEST:
            raise _MisfitError
        if (j, firsts) not in self._carries:
            self._carries[j, firsts] = [placeholder(like) for _ in firsts]
        return self._carries[j, firsts][-1]

    def _invariant(self, r: int) -> Op:
        if r not in self._invariants:
            self._invariants[r] = placeholder(self._rolling.at(r))
        return self._invariants[r]

    def _results(self, first: int, move: int) -> Op:
        """Return an element of a sequence of earlier results."""
        rolling, key, n = self._rolling, (first, move), self._rounds
        if key in self._elements:
            return self._elements[key][0]
        like = rolling.at(first)
        source = rolling.within(first + move * (n // 2))
        if source is not None and move % source.period == 0:
            inside = [k for k in range(n) if rolling.within(first + move * k) is source]
            if len(inside) == n:
                k, j = divmod(first - source.start, source.period)
                self._elements[key] = (placeholder(like), partial(source.sequence, j), k, move // source.period)
                return self._elements[key][0]
            if len(inside) >= n - _MOST_OUTSIDE:
                begin = self.start + inside[0] * self.period
                raise _MisfitError(begin, begin + len(inside) * self.period)
        ops = [rolling.at(first + move * k) for k in range(n)]
        if not all(_alike(op, like) for op in ops):
            raise _MisfitError
        self._elements[key] = (placeholder(like), partial(self._apart, ops), 0, 1)
        return self._elements[key][0]

    def _apart(self, ops: Sequence[Op]) -> Op:
        return self._rolling.add(together([self._rolling.value(op) for op in ops]))

    def _constant(self, j: int, at: int) -> Any:
        """Return a constant argument, or an element where it differs from round to round."""
        ops = self._rolling.old.ops
        found = [ops[i].args[at] for i in range(self.start + j, self.stop, self.period)]
        x = found[0]
        if all(y is x for y in found) or all(_same(x, y) for y in found):
            return x
        # No position of a result is as far below zero.
        key = (-len(ops) - 1 - j, -1 - at)
        self._elements[key] = (placeholder(x), partial(_even, found), 0, 1)
        return self._elements[key][0]

    def attach(self) -> None:
        """Give the operation its arguments, when all operations before it are placed."""
        value, at = self._rolling.value, self._rolling.at
        firsts = [value(at(x)) for _, found in self._carries for x in reversed(found)]
        sequences = [sequence() for _, sequence, _, _ in self._elements.values()]
        self.op.args = (*firsts, *sequences, *(value(at(r)) for r in self._invariants))

    def value(self, k: int, j: int) -> Op:
        """Return the value of the operation at position ``j`` of round ``k``."""
        if k < self._rounds - 1:
            return self._rolling.add(entry(self.sequence(j), k, self._body[j]))
        if j not in self._lasts:
            self._lasts[j] = self._rolling.add(last(self.op, self._body[j]))
        return self._lasts[j]

    def sequence(self, j: int) -> Op:
        """Return the sequence of the values at position ``j`` of all rounds."""
        if j not in self._collected:
            self._collected[j] = self._rolling.add(collected(self.op))
        return self._collected[j]

    def finish(self, fewest: int) -> None:
        """Give the operation its body, when all who read its results are known."""
        carries = [x for found in self._carries.values() for x in found]
        nexts = [x for (j, _), found in self._carries.items() for x in (self._body[j], *found[:-1])]
        elements = list(self._elements.values())
        inputs = [*carries, *(x for x, *_ in elements), *self._invariants.values()]
        outputs = [*nexts, *(self._body[j] for j in (*self._lasts, *self._collected))]
        for i, op in enumerate((*self._lasts.values(), *self._collected.values()), len(nexts)):
            op.args = (self.op, i)
        graph = rolled(Graph(inputs, self._body, outputs, list), fewest)
        steps = tuple((start, step) for _, _, start, step in elements)
        self.op.kwargs = {"body": Body(graph, self._rounds, len(carries), steps, len(self._lasts))}


def _alike(x: Op, y: Op) -> bool:
    return x.shape == y.shape and x.dtype == y.dtype and x.scalar == y.scalar and x.name != "loop"


def _same(x: Any, y: Any) -> bool:
    """Return whether two constants are the same number, array or index."""
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return x.dtype == y.dtype and x.shape == y.shape and not x.dtype.hasobject and x.tobytes() == y.tobytes()
    return bool(frozen(x) == frozen(y))


def _even(found: Sequence[Any]) -> Any:
    """Return constants as a range if they are evenly spaced integers, else as a tuple."""
    if found[0].__class__ is int:
        even = range(found[0], found[0] + len(found) * (found[1] - found[0]), found[1] - found[0] or 1)
        if list(even) == list(found):
            return even
    return tuple(found)
