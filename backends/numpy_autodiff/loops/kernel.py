"""One kernel: the source of a function of loops over arrays and numbers.

Frames are the loops that are open while lines are written. A value is computed in the outermost frame in which all that
it depends on is known, once for each index at which it is used.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op, RollError
from autodiff_compare.backends.numpy_autodiff.loops.plan import Plan
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import TYPES, literal
from autodiff_compare.backends.numpy_autodiff.loops.terms import (
    Affine,
    Alias,
    Buffer,
    Frame,
    Index,
    Term,
    address,
    variable,
)

#: The line that stands for the return of a kernel whose guard failed.
FAILED = "return FAILED"
#: Formulas that are written within each other, each in up to six calls of Python, which allows a thousand.
_MOST_NESTED = 30


class _TooDeepError(Exception):
    """An entry is so deep in formulas that it must be written before they are: its operation and index."""

    def __init__(self, op: Op, index: Index) -> None:
        super().__init__(op, index)
        self.op, self.index = op, index


#: Writes the entry of an operation at an index.
Writer = Callable[["Kernel", Op, Index], Term]


class Kernel:
    """The lines of one kernel, and the arrays and numbers that it takes from outside.

    Parameters
    ----------
    writers
        Form of an operation -> what writes an entry of its result.

    Attributes
    ----------
    taken
        Operations and constants that are parameters, with their names.
    made
        Results that are written into arrays which the caller makes, with their names.
    bound
        Where results are: arrays, numbers (terms), or integers that are an affine function of loop variables.
    work
        How often each operation is computed, if it is written into expressions.
    """

    def __init__(
        self,
        plan: Plan,
        stage: int,
        outside: set[Op],
        names: dict[Any, str],
        forced: set[Op],
        writers: Mapping[str, Writer],
    ) -> None:
        self._writers = writers
        self._stage = stage
        self.frames = [Frame()]
        self.bound: dict[Op, Buffer | Term | Affine | Alias] = {}
        self.forced = forced
        #: Where results of the round that is being written go, if that is no array of their own.
        self.targets: dict[Op, Buffer] = {}
        #: Loop -> its results, and the number of the first sequence with the arrays that hold them.
        self.results: dict[Op, list[Buffer | Term]] = {}
        self.collections: dict[Op, tuple[int, list[Buffer]]] = {}
        self.sequences: dict[Op, Buffer] = {}
        self.bodies: set[Any] = set()
        #: Plans of bodies, with the number of rounds.
        self.nested: list[tuple[Plan, float]] = []
        #: Integers that count from the end, as indices.
        self.from_the_end: set[Op] = set()
        self._tables: dict[Any, Any] = {}
        self.taken: dict[Any, Any] = {}
        self.made: dict[Op, str] = {}
        self.guarded = False
        #: Operations that must be arrays in memory, since they are read at an address or by another kernel.
        self.needed: set[Op] = set()
        self.work: dict[Op, float] = defaultdict(float)
        #: Number of formulas that were written.
        self.formulas = 0
        #: Arrays of this kernel alone: name, number of entries, dtype.
        self.allocations: list[tuple[str, int, Any]] = []
        self.outside = outside
        self._names = names
        self._where: dict[str, int] = {}
        self._number = 0
        #: Formulas that are being written, each an argument of the one before.
        self._nested = 0
        self.plans = [plan]

    # --- Lines and frames

    def fresh(self, prefix: str = "a") -> str:
        self._number += 1
        return f"{prefix}{self._number}"

    @property
    def depth(self) -> int:
        return len(self.frames) - 1

    def add(self, line_: str, depth: int | None = None) -> None:
        self.frames[self.depth if depth is None else depth].lines.append(line_)

    def open(self, low: str, high: str, trips: float, step: str = "") -> Affine:
        """Open a loop and return its variable."""
        name = f"i{len(self.frames)}"
        self._where[name] = len(self.frames)
        self.frames.append(Frame(f"for {name} in range({low}, {high}{step}):", self.frames[-1].trips * trips))
        return variable(name)

    def close(self) -> None:
        frame = self.frames.pop()
        self.frames[-1].lines += [frame.head, *(f"    {one}" for one in frame.lines or ["pass"]), *frame.after]

    def shared(self, key: Any, expression: str, depth: int) -> Term:
        """Return the variable of an expression, which is assigned where it is first needed."""
        known = self.frames[depth].known
        if key not in known:
            name = self.fresh()
            self.add(f"{name} = {expression}", depth)
            known[key] = Term(name, depth)
        return known[key]

    def _recalled(self, key: Any) -> Term | None:
        for frame in self.frames:
            if key in frame.known:
                return frame.known[key]
        return None

    # --- Memory

    def allocate(self, shape: tuple[int, ...], dtype: Any, depth: int) -> Buffer:
        """Return an array of this call alone."""
        name = self.fresh("t")
        self.allocations.append((name, math.prod(shape), dtype))
        return Buffer(name, shape, dtype, depth=depth)

    def place(self, op: Op) -> Buffer:
        """Return the array that a root is written into."""
        if op in self.targets:
            return self.targets[op]
        if op in self.outside and self.depth == 0:
            self.made[op] = self._names[op]
            buffer = Buffer(self._names[op], op.shape, op.dtype)
        else:
            buffer = self.allocate(op.shape, op.dtype, self.depth)
        return buffer

    def read(self, buffer: Buffer, at: Affine) -> Term:
        at = buffer.offset + at
        depth = max([buffer.depth, *(self._where[name] for name, _ in at.terms)])
        return self.shared(("read", buffer.name, at), f"{buffer.name}[{at.text}]", depth)

    def take(self, x: Any) -> Buffer | Term:
        """Return a parameter of the kernel: an operation computed elsewhere, or a constant array."""
        if isinstance(x, np.ndarray) and not x.flags.c_contiguous:
            # Kernels address entries as C orders them. The original is kept too, so that its id stays its own.
            x = self._tables.setdefault(id(x), (np.ascontiguousarray(x), x))[0]
        key = x if isinstance(x, Op) else id(x)
        if key not in self.taken:
            self._names.setdefault(key, f"c{len(self._names)}")
            self.taken[key] = x
        name = self._names[key]
        if isinstance(x, Op) and not x.shape:
            return Term(name)
        return Buffer(name, x.shape, x.dtype)

    def guard(self, op: Op) -> None:
        """Leave the kernel where a branch of a derivative rule would go the other way."""
        self.guarded = True
        test = self.value(op.args[0], ()).text
        self.add(f"if {'not ' if op.kwargs['way'] else ''}({test}):")
        self.add(f"    {FAILED}")

    def name_of(self, x: Any) -> str:
        """Return the name of a parameter."""
        return self._names[x if isinstance(x, Op) else id(x)]

    # --- Values

    def value(self, x: Any, index: Index, dtype: Any = None) -> Term:
        """Return the entry of an operation or constant at an index, converted to ``dtype``."""
        if not isinstance(x, Op):
            return self._constant(x, index, dtype)
        found = self._entry(x, index)
        if dtype is None or dtype == x.dtype:
            return found
        return Term(f"{TYPES[dtype]}({found.text})", found.depth)

    def _constant(self, x: Any, index: Index, dtype: Any) -> Term:
        if not isinstance(x, np.ndarray) or not x.shape:
            own = np.asarray(x)
            return Term(literal(own, dtype or own.dtype))
        first = x.flat[0] if x.size else 0
        if not x.size or (
            (x.strides == (0,) * x.ndim or (x == first).all())
            and not (first == 0 and x.dtype.kind == "f" and np.signbit(x).any())
        ):
            return Term(literal(first, dtype or x.dtype))
        buffer = self.take(x)
        assert isinstance(buffer, Buffer)
        found = self.read(buffer, self.flat(index, x.shape))
        return found if dtype is None or dtype == x.dtype else Term(f"{TYPES[dtype]}({found.text})", found.depth)

    def bind(self, op: Op) -> Buffer | Term | Affine | None:
        """Return where a result is, None if it has no place."""
        if op in self.bound:
            found = self.bound[op]
            if not isinstance(found, Alias):
                return found
            if isinstance(found.given, Op):
                return self.bind(found.given)
            return self.take(found.given) if np.shape(found.given) else None
        if op.name in ("last", "entry") and op not in self.plans[0].roots:
            return self.result(op)
        plan = self.plans[0]
        if op in plan.passing and plan.at[op][0] == self._stage:
            return None
        outer = op in plan.roots or op in plan.graph.inputs or plan.forms.get(op) == "call"
        return self.take(op) if outer else None

    def result(self, op: Op) -> Buffer | Term:
        """Return where a result of a loop is."""
        source, number = op.args
        if op.name == "last":
            return self.results[source][number] if source in self.results else self.missing(op)
        whole = self.sequence(source)
        at = number + (whole.shape[0] if number < 0 else 0)
        return Buffer(whole.name, op.shape, op.dtype, whole.offset + at * math.prod(op.shape), whole.depth)

    def sequence(self, op: Op) -> Buffer:
        """Return the array that holds the entries of a sequence."""
        place = self.bound.get(op)
        if isinstance(place, Alias):
            outer: Op = place.given
            return self.sequence(outer)
        if op in self.sequences:
            return self.sequences[op]
        if op.name != "collected" or op.args[0] not in self.collections:
            raise RollError(f"got a sequence from a {op.name} that another kernel computes")
        first, lists = self.collections[op.args[0]]
        number: int = op.args[1]
        return lists[number - first]

    def constant(self, *key: Any) -> Buffer:
        """Return the parameter for a table of constants, the last of ``key``; the rest tells which it is."""
        table = self._tables.setdefault(key[:-1], key[-1])
        found = self.take(table)
        assert isinstance(found, Buffer)
        return found

    def flat(self, index: Index, shape: tuple[int, ...]) -> Affine:
        """Return an address; an index of one entry in an array of several axes is the address itself."""
        return index[0] if len(index) == 1 != len(shape) else address(index, shape)

    def _entry(self, op: Op, index: Index) -> Term:
        bound = self.bound.get(op)
        if isinstance(bound, Alias):
            return self.value(bound.given, index, op.dtype if op.dtype in TYPES else None)
        place = self.bind(op)
        if isinstance(place, Buffer):
            return self.read(place, self.flat(index, place.shape))
        if isinstance(place, Term):
            return place
        if isinstance(place, Affine):
            return Term(place.text, max([0, *(self._where[name] for name, _ in place.terms)]))
        return self.expression(op, index)

    def at_address(self, op: Op, at: Affine) -> Term:
        """Return the entry at an address, which only arrays in memory have."""
        place = self.bind(op)
        if not isinstance(place, Buffer):
            return self.missing(self.meant(op))
        return self.read(place, at)

    def missing(self, op: Op) -> Term:
        """Return a number that stands for one of an operation which will be in memory at the next trial."""
        self.needed.add(op)
        return Term(literal(0, op.dtype))

    def meant(self, op: Op) -> Op:
        """Return the operation outside of a loop that an input of its body stands for."""
        place = self.bound.get(op)
        return self.meant(place.given) if isinstance(place, Alias) and isinstance(place.given, Op) else op

    def expression(self, op: Op, index: Index) -> Term:
        """Return an entry of an operation by its formula.

        The formula of y_100 in ``y_(k+1) = tanh(c_k y_k)`` has a hundred others within it. Where too many are begun,
        all are given up, the last is written first, and the others begin again: what they have written so far stands
        in variables, and is not written again.
        """
        known = self._recalled((op, index))
        if known is not None:
            return known
        if self._nested == _MOST_NESTED:
            raise _TooDeepError(op, index)
        if self._nested:
            return self._written(op, index)
        waiting = [(op, index)]
        while True:
            try:
                found = self._written(*waiting[-1])
            except _TooDeepError as deep:
                waiting.append((deep.op, deep.index))
            else:
                waiting.pop()
                if not waiting:
                    return found

    def _written(self, op: Op, index: Index) -> Term:
        self._nested += 1
        self.formulas += 1
        try:
            found = self._writers[self._form(op)](self, op, index)
        finally:
            self._nested -= 1
        self.frames[found.depth].known[(op, index)] = found
        self.work[op] += self.frames[found.depth].trips
        return found

    def _form(self, op: Op) -> str:
        for plan in reversed(self.plans):
            if op in plan.forms:
                return plan.forms[op]
        raise KeyError(op.name)

    def whole(self, op: Op, n: int) -> Affine | None:
        """Return an integer that indexes ``n`` entries, None if it is no affine function of loop variables."""
        place = self.bound.get(op)
        if not isinstance(place, Affine):
            return None
        return place + n if op in self.from_the_end else place

    def depth_of(self, *index: Affine) -> int:
        """Return the depth of the innermost loop that an index depends on."""
        return max([0, *(self._where[name] for i in index for name, _ in i.terms)])
