"""Emission: a graph as the source of one Python function on NumPy arrays, without branches but with rolled loops.

The function checks that its arguments have the classes, shapes and dtypes it was made for, computes, and returns. Where
a check or a guard fails it returns ``again(...)`` with its arguments.

Memory: an elementwise result is written, by ``out=``, into an array of this call that is not needed any more. No array
is kept between calls, so threads may run it at once. The results share no memory with arguments or constants.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.blocks import Loop, emit_loop, schedule
from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op
from autodiff_compare.backends.numpy_autodiff.compiler.rounds import rounds
from autodiff_compare.backends.numpy_autodiff.compiler.source import Source, header, statement

#: Bytes below which a fresh array costs no more than finding one to reuse.
_WORTH_REUSING = 4096
_COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
#: Functions whose results share no memory with their arguments, as those of ufuncs.
_FRESH = frozenset(
    {"matmul", "sum", "scatter", "concatenate", "stack", "astype", "where", "dot", "mean", "embed_diagonal"}
    | {"convolve", "spread", "cumsum", "cumprod", "roll", "logaddexp", "share"}
)


def emit(graph: Graph, name: str, leaves: Sequence[Any], rewrites: frozenset[str]) -> Source:
    """Write a function of the input leaves; its scope must define ``again`` besides.

    Parameters
    ----------
    leaves
        Example inputs, for the checks.
    rewrites
        With "reuse", write into arrays that are not needed any more; with "blocks", loop over long vectors.
    """
    source = Source()
    inputs = [f"x{i}" for i in range(len(graph.inputs))]
    header(source, name, inputs, leaves)
    names: dict[Op, str] = dict(zip(graph.inputs, inputs, strict=True))
    for op, x, leaf in zip(graph.inputs, inputs, leaves, strict=True):
        if isinstance(leaf, np.ndarray) and not leaf.shape:
            names[op], source.unboxed[op] = f"n{x[1:]}", x
        elif leaf.__class__ is float:
            source.lines.append(f"    {x} = {source.name(np.float64, 'float64')}({x})")
    start = len(source.lines)
    memory = _body(source, graph, names, rewrites, "v", f"again({', '.join(inputs)})")
    results = [_result(source, *pair, names) for pair in zip(graph.outputs, memory.copied(), strict=True)]
    source.lines.append(f"    return {source.arranged(graph, results)}")
    used = set(re.findall(r"\bn\d+\b", "\n".join(source.lines[start:])))
    source.lines[start:start] = [f"    {names[op]} = {x}[()]" for op, x in source.unboxed.items() if names[op] in used]
    if _divides_by_zero(graph):
        _quiet(source)
    return source


def compared_early(graph: Graph) -> list[Op]:
    """Return the operations, with comparisons directly behind their arguments where these are not needed later.

    The slope of ``maximum(x, 0)`` asks on the way back where x is positive, and whether an entry is 0. Asked on the way
    forth, the answers take an eighth of the memory of x, and the maximum is written into x. A comparison neither raises
    nor warns, so it may pass a guard.
    """
    ops = graph.ops
    last = {a: i for i, op in enumerate(ops) if not _compares(op) for a in op.inputs}
    last.update(dict.fromkeys([x for x in graph.outputs if isinstance(x, Op)], len(ops)))
    place: dict[Op, int] = {}
    moved: dict[int, list[Op]] = {}
    early: set[Op] = set()
    for i, op in enumerate(ops):
        made = [a for a in op.inputs if a in place]
        ends = _compares(op) and made and all(last.get(a, -1) < i for a in made)
        place[op] = i
        if ends or (op.name in ("any", "all") and not early.isdisjoint(made)):
            place[op] = max(place[a] for a in made)
            early.add(op)
            moved.setdefault(place[op], []).append(op)
    return [x for i, op in enumerate(ops) for x in ([] if op in early else [op]) + moved.get(i, [])]


def _compares(op: Op) -> bool:
    """Return whether an operation compares entries of an array that is worth reusing."""
    large = op.name in _COMPARISONS and op.size * 8 >= _WORTH_REUSING
    return large and not op.kwargs and all(a.dtype is not None and a.dtype.kind == "f" for a in op.inputs)


def _flat(order: Sequence[Op | Loop]) -> list[Op]:
    return [op for item in order for op in (item.ops if isinstance(item, Loop) else [item])]


def _body(
    source: Source, graph: Graph, names: dict[Op, str], rewrites: frozenset[str], prefix: str, called: str
) -> Memory:
    """Write the statements, in order; results are named by the prefix and a number, which no other body has."""
    if "reuse" in rewrites:
        graph = Graph(graph.inputs, compared_early(graph), graph.outputs, graph.rebuild)
    order = schedule(graph) if "blocks" in rewrites else list(graph.ops)
    loops = any(isinstance(item, Loop) for item in order)
    needed = _between(order) | {x for x in graph.outputs if isinstance(x, Op)} if loops else set()
    memory = Memory(Graph(graph.inputs, _flat(order), graph.outputs, graph.rebuild), "reuse" in rewrites and not loops)
    results: dict[Op, list[str]] = {}
    for i, item in enumerate(order):
        name = f"{prefix}{i}"
        if isinstance(item, Loop):
            emit_loop(source, item, names, name[1:], needed)
        elif item.name == "loop":
            write = partial(_statements, source, names, rewrites, f"{name}_", called)
            lines, results[item] = rounds(source, item, names, f"{name[1:]}_", write, source.literal)
            source.lines += [f"    {line}" for line in lines]
        elif item.name in ("last", "collected"):
            names[item] = results[item.args[0]][item.args[1]]
        elif item.name == "guard":
            test = f"if {'not ' if item.kwargs['way'] else ''}{names[item.args[0]]}:"
            source.lines += [f"    {test}", f"        return {called}"]
        else:
            out = None if loops else memory.place(i, item)
            names[item] = name
            source.lines += [f"    {line}" for line in statement(source, item, names, out and names[out])]
    return memory


def _statements(
    source: Source, names: dict[Op, str], rewrites: frozenset[str], prefix: str, called: str, graph: Graph
) -> list[str]:
    """Return the statements of a graph, which are not written yet."""
    start = len(source.lines)
    _body(source, graph, names, rewrites, prefix, called)
    lines = source.lines[start:]
    del source.lines[start:]
    return [line[4:] for line in lines]


def _divides_by_zero(graph: Graph) -> bool:
    """Return whether a rule that avoids a zero divides by it, and drops the quotient by ``where``."""
    return any(
        (op.name == "guard" and not op.kwargs["way"] and op.args[0].name == "equal")
        or (op.name == "loop" and _divides_by_zero(op.kwargs["body"].graph))
        for op in graph.ops
    )


def _between(order: Sequence[Op | Loop]) -> set[Op]:
    """Return the operations whose results are used outside of the loop that they are part of."""
    place = {op: i for i, item in enumerate(order) for op in _flat([item])}
    return {a for op, i in place.items() for a in op.inputs if place.get(a) != i}


def _quiet(source: Source) -> None:
    """Silence the warnings of divisions in the whole function."""
    start = 3 if source.lines[1].startswith("    if ") else 1
    with_ = f"    with {source.name(np.errstate, 'errstate')}(divide='ignore', invalid='ignore'):"
    source.lines[start:] = [with_, *(f"    {line}" for line in source.lines[start:])]


def _result(source: Source, x: Any, copied: bool, names: dict[Op, str]) -> str:
    if isinstance(x, Op):
        return f"{names[x]}.copy()" if copied else names[x]
    return source.literal(x) + (".copy()" if isinstance(x, np.ndarray) else "")


class Memory:
    """The arrays that results live in, and when each of them is needed last."""

    def __init__(self, graph: Graph, reuse: bool) -> None:
        self._reuse = reuse
        self._homes: dict[Op, frozenset[Op]] = {x: frozenset({x}) for x in graph.inputs}
        self._inputs = frozenset(graph.inputs)
        self._outputs = graph.outputs
        self._last: dict[Op, int] = {}
        self._free: dict[Any, list[Op]] = {}
        for i, op in enumerate(graph.ops):
            below = _union([self._homes[a] for a in op.inputs])
            # The arrays that a chain of views refers to are the same set, which need not be copied for each view.
            self._homes[op] = frozenset({op}) if fresh(op) or not below else below
            for home in below | self._homes[op]:
                self._last[home] = i
        for x in graph.outputs:
            if isinstance(x, Op):
                self._last.update(dict.fromkeys(self._homes[x], len(graph.ops)))
        self._dying: dict[int, list[Op]] = {}
        for home, i in self._last.items():
            if home not in self._inputs and fresh(home) and not home.scalar and home.dtype is not None:
                self._dying.setdefault(i, []).append(home)

    def place(self, i: int, op: Op) -> Op | None:
        """Return the earlier result whose array ``op``, the i-th operation, may overwrite."""
        free = self._dying.get(i, ())
        for home in free:
            if home is not op:
                self._free.setdefault((home.shape, home.dtype), []).append(home)
        if not self._reuse or not isinstance(op.function, np.ufunc) or op.kwargs or op.scalar or op.dtype is None:
            return None
        if op.size * op.dtype.itemsize < _WORTH_REUSING or op.function.nout > 1:
            return None
        found = self._free.get((op.shape, op.dtype))
        return found.pop() if found else None

    def copied(self) -> list[bool]:
        """Return which outputs must be copied, lest they share memory with an argument, constant or earlier output."""
        found = []
        taken = set(self._inputs)
        for x in self._outputs:
            mine = self._homes[x] if isinstance(x, Op) else frozenset()
            found.append(isinstance(x, Op) and not x.scalar and (not fresh(x) or not taken.isdisjoint(mine)))
            taken |= mine
        return found


def _union(sets: Sequence[frozenset[Op]]) -> frozenset[Op]:
    first = sets[0] if sets else frozenset()
    return first if all(s is first or s <= first for s in sets) else first.union(*sets[1:])


def fresh(op: Op) -> bool:
    """Return whether the result is a new array, not a view of an argument."""
    several = op.name == "einsum" and len(op.args) > 1
    number = op.scalar and op.dtype is not None
    return isinstance(op.function, np.ufunc) or op.name in _FRESH or several or number
