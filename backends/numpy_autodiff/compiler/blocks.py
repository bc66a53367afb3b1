"""Cache-blocked loops over long elementwise chains.

A chain of ten operations on a million numbers reads and writes main memory ten times. Done block by block, with a
few buffers that stay in cache, it reads the arguments and writes the results once. A loop over vectors of one length
may hold elementwise operations, sums and dot products of whole vectors (added up block by block), and additions into a
slice of a longer vector.

The order of operations is by *stages*: the operations of stage s outside of loops, then the loops of stage s, then
stage s + 1. An operation is put into the first stage where its arguments exist; the sum of a loop exists one stage
after the loop. A guard keeps its place: no operation that came after it is moved before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op
from autodiff_compare.backends.numpy_autodiff.compiler.source import ADD_REDUCE, Source, elementwise_text, operand

#: The length from which on vectors exceed the cache of a core, and the bytes that the buffers of a loop may take there.
SHORTEST = 32_768
_IN_CACHE = 384 << 10
#: Lengths of a block: the fewer buffers a loop needs, the longer it is, up to 128 KB in float64. A call of NumPy takes
#: as long as 2000 products.
_BLOCKS = (16_384, 8_192)
_LOOP_TOTALS = frozenset({"sum", "dot"})


@dataclass
class Loop:
    """Operations of one stage over vectors of one length."""

    length: int
    ops: list[Op] = field(default_factory=list)


def loop_length(op: Op) -> int:
    """Return the length of the loop that an operation may be part of, else 0."""
    if op.dtype is None or not op.dtype.isnative or op.kwargs.get("axis") is not None:
        return 0
    if op.name == "scatter":
        return _scatter_length(op)
    plain = isinstance(op.function, np.ufunc) and op.function.nout == 1 and not op.kwargs
    if not plain and op.name not in _LOOP_TOTALS:
        return 0
    vectors = {a.shape if isinstance(a, Op) else np.shape(a) for a in op.args} - {()}
    if op.name in _LOOP_TOTALS:
        fits = op.scalar and op.dtype.kind == "f" and len(vectors) == 1 and not op.kwargs
    else:
        fits = op.dtype.kind in "fb" and vectors == {op.shape}
    (shape,) = vectors if len(vectors) == 1 else ((),)
    return shape[0] if fits and len(shape) == 1 and shape[0] >= SHORTEST else 0


def _scatter_length(op: Op) -> int:
    """Return the length of the parts, if all are equally long slices of a vector, else 0."""
    parts = {a.shape if isinstance(a, Op) else np.shape(a) for a in op.args}
    (shape,) = parts if len(parts) == 1 else ((),)
    simple = "views" not in op.kwargs and all(
        isinstance(i, slice) and i.step in (None, 1) for i in op.kwargs["indices"]
    )
    return shape[0] if simple and len(op.shape) == 1 == len(shape) and shape[0] >= SHORTEST else 0


def schedule(graph: Graph) -> list[Op | Loop]:
    """Order the operations so that loops are as long as possible."""
    stage: dict[Op, int] = dict.fromkeys(graph.inputs, 0)
    later: set[Op] = set()
    outside: dict[int, list[Op]] = {}
    loops: dict[int, dict[int, Loop]] = {}
    floor = 0
    for op in graph.ops:
        n = loop_length(op)
        at = floor
        for a in op.inputs:
            apart = a in later and (not n or loop_length(a) != n or a.name in _LOOP_TOTALS or a.name == "scatter")
            at = max(at, stage[a] + apart)
        stage[op] = at
        if n:
            later.add(op)
            loops.setdefault(at, {}).setdefault(n, Loop(n)).ops.append(op)
        else:
            outside.setdefault(at, []).append(op)
            floor = at if op.name == "guard" else floor
    order: list[Op | Loop] = []
    for at in range(max([*outside, *loops, 0]) + 1):
        order += outside.get(at, [])
        for loop in loops.get(at, {}).values():
            order += [loop] if len(loop.ops) > 1 else loop.ops
    return order


def emit_loop(source: Source, loop: Loop, names: dict[Op, str], number: str, needed: Set[Op]) -> None:
    """Write the lines of one loop, and add those of its results to ``names`` that are ``needed`` outside."""
    kept = {op for op in loop.ops if op in needed}
    local: dict[Any, str] = {}
    rows: dict[Any, int] = {}
    before: list[str] = []
    body: list[str] = []
    after: list[str] = []
    last = {a: i for i, op in enumerate(loop.ops) for a in op.inputs}
    free: dict[Any, list[str]] = {}
    for i, op in enumerate(loop.ops):
        args = [_operand(source, a, op, names, local, body) for a in op.args]
        name = names[op] = f"w{number}_{i}"
        for a in dict.fromkeys(op.inputs):
            if last[a] == i and local.get(a, "").startswith("b"):
                free.setdefault(a.dtype, []).append(local[a])
        if op.name in _LOOP_TOTALS:
            before.append(f"{name} = {source.name(op.dtype.type(0), f'zero_{op.dtype.name}')}")
            body.append(f"{name} += {_total(source, op, args)}")
        elif op.name == "scatter":
            _scatter(source, op, args, name, (before, body, after), loop.length)
        else:
            if op in kept:
                before.append(f"{name} = {source.function(np.empty, 'empty')}({op.shape[0]}, {_dtype(source, op)})")
                out = f"{name}[i:j]"
                local[op] = f"r{i}"
                body.append(f"r{i} = {out}")
            elif free.get(op.dtype):
                local[op] = free[op.dtype].pop()
            else:
                rows[op.dtype] = rows.get(op.dtype, 0) + 1
                local[op] = f"b{op.dtype.num}_{rows[op.dtype] - 1}"
            body.append(elementwise_text(source, op, args, local[op]))
    source.lines += [f"    {line}" for line in [*before, *_frame(source, loop.length, rows)]]
    source.lines += [f"        {line}" for line in body]
    source.lines += [f"    {line}" for line in after]


def _total(source: Source, op: Op, args: list[str]) -> str:
    if op.name == "sum":
        return f"{source.name(ADD_REDUCE, 'add_reduce')}({args[0]})"
    return (
        f"{args[0]}.dot({args[1]})" if op.function is np.dot else f"{source.name(np.vdot, 'vdot')}({', '.join(args)})"
    )


def _dtype(source: Source, op: Op) -> str:
    return source.dtype(op.dtype)


def _operand(source: Source, a: Any, op: Op, names: Mapping[Op, str], local: dict[Any, str], body: list[str]) -> str:
    """Return an argument within a block; slices of vectors are taken once a block."""
    if isinstance(a, Op):
        if a in local or not a.shape:
            return local.get(a) or operand(source, a, op, names)
        local[a] = f"p{len(local)}"
        body.append(f"{local[a]} = {names[a]}[i:j]")
        return local[a]
    if not np.shape(a):
        return operand(source, a, op, names)
    if id(a) not in local:
        local[id(a)] = f"p{len(local)}"
        body.append(f"{local[id(a)]} = {source.literal(a)}[i:j]")
    return local[id(a)]


def _scatter(
    source: Source, op: Op, args: list[str], name: str, places: tuple[list[str], list[str], list[str]], length: int
) -> None:
    """Add the parts at their places. The part that is farthest ahead comes first, so that it need not meet zeros."""
    before, body, after = places
    starts = [index.indices(op.shape[0])[0] for index in op.kwargs["indices"]]
    ahead = max(starts)
    order = sorted(range(len(starts)), key=lambda k: starts[k] != ahead)
    add = source.function(np.add, "add")
    before.append(f"{name} = {source.function(np.empty, 'empty')}({op.shape[0]}, {_dtype(source, op)})")
    if ahead:
        before.append(f"{name}[:{ahead}] = 0.0")
    for k in order:
        part = f"q{name[1:]}_{k}"
        body.append(f"{part} = {name}[{_shifted(starts[k])}]")
        # As if added to zeros: -0.0 becomes 0.0.
        body.append(f"{add}({args[k]}, {source.number(0.0, op.dtype) if k == order[0] else part}, {part})")
    if ahead + length < op.shape[0]:
        after.append(f"{name}[{ahead + length}:] = 0.0")


def _shifted(start: int) -> str:
    return f"i + {start}:j + {start}" if start else "i:j"


def _frame(source: Source, n: int, rows: Mapping[Any, int]) -> list[str]:
    """Return the head of the loop: buffers, and a last block that may be shorter."""
    lines, last = [], []
    needed = sum(count * dtype.itemsize for dtype, count in rows.items())
    block = next((length for length in _BLOCKS if length * needed <= _IN_CACHE), _BLOCKS[-1])
    for dtype, count in rows.items():
        buffers = ", ".join(f"b{dtype.num}_{k}" for k in range(count)) + ("," if count == 1 else "")
        made = f"{source.function(np.empty, 'empty')}(({count}, {block}), {source.dtype(dtype)})"
        lines += [f"scratch{dtype.num} = {made}", f"{buffers} = scratch{dtype.num}"]
        last.append(f"        {buffers} = scratch{dtype.num}[:, :j - i]")
    lines += [f"for i in range(0, {n}, {block}):", f"    j = i + {block}"]
    if n % block:
        lines += [f"    if j > {n}:", f"        j = {n}", *last]
    return lines
