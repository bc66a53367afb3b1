"""Nests of loops: the roots of one level, grouped so that loops over the same ranges are one.

A scatter of slices, the gradient of ``x[1:] - x[:-1]``, is written from the side of its result: entry i is the sum of
the parts that cover it. Its range is cut where a part begins or ends, and other loops of that level are cut at the same
places:

    i = 0            g[0]  = a(0)
    i = 1 ... n - 2  g[i]  = a(i) + b(i - 1);  total += t(i)
    i = n - 1        g[i]  = b(i - 1)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op
from autodiff_compare.backends.numpy_autodiff.core.cotangent import is_basic
from autodiff_compare.backends.numpy_autodiff.loops.forms import positions, reduction
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel
from autodiff_compare.backends.numpy_autodiff.loops.members import (
    Covered,
    Member,
    Part,
    Ranges,
    Running,
    Store,
    Total,
    fill,
    loops,
)
from autodiff_compare.backends.numpy_autodiff.loops.plan import written_out
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import literal
from autodiff_compare.backends.numpy_autodiff.loops.terms import BLOCK, Affine, Buffer, Index

#: Loops that one range may be cut into.
MOST_CUTS = 6


def full(shape: Sequence[int]) -> Ranges:
    return tuple((0, n) for n in shape)


# --- From roots to members


def members(kernel: Kernel, op: Op, kind: str) -> list[list[Member]]:
    """Return the loops of a root: the first list may be joined with others, the rest come after it, in order."""
    if kind == "reduction" and not written_out(op):
        how = reduction(op)
        assert how is not None
        buffer = kernel.place(op) if op.shape else None
        return [[Total(op, buffer, full(how.domain), how)]]
    buffer = kernel.place(op)
    if kind == "scan":
        axis = op.kwargs.get("axis", op.args[1] if len(op.args) > 1 else None)
        axis = 0 if axis is None else int(axis) % len(op.shape)
        lengths = [n for i, n in enumerate(op.shape) if i != axis] + [op.shape[axis]]
        return [[Running(op, buffer, full(lengths), axis)]]
    if kind == "join":
        return [list(_joined(op, buffer))]
    if kind == "scatter":
        return _scattered(kernel, op, buffer)
    return [[Store(op, buffer, full(op.shape))]]


def _joined(op: Op, buffer: Buffer) -> Iterator[Member]:
    axis = int(op.kwargs.get("axis", 0)) % len(op.shape)
    begin = 0
    for a in op.args:
        shape = a.shape
        if op.name == "stack":
            index: tuple[Any, ...] = (*(slice(None),) * axis, begin)
            length = 1
        else:
            length = shape[axis]
            index = (*(slice(None),) * axis, slice(begin, begin + length))
        begin += length
        yield Part(op, buffer, full(shape), a, positions(op.shape, lambda whole, at=index: whole[at]))


def _scattered(kernel: Kernel, op: Op, buffer: Buffer) -> list[list[Member]]:
    boxes = [_box(i, op.shape) for i in op.kwargs["indices"]] if "views" not in op.kwargs else [None]
    # An array without entries has no cells, and its parts stand for it.
    if op.size and len(boxes) <= MOST_CUTS and all(boxes):
        cuts = [
            sorted({0, n, *(edge for box in boxes if box for edge in box[0][axis])}) for axis, n in enumerate(op.shape)
        ]
        if math.prod(len(c) - 1 for c in cuts) <= 2 * MOST_CUTS:
            return [list(_cells(op, buffer, boxes, cuts))]  # type: ignore[arg-type]
    fill(kernel, buffer, op.size, literal(0, op.dtype), kernel.depth)
    views = op.kwargs.get("views", ())
    places = op.kwargs.get("places", [0] * len(op.args))
    whole = positions(op.shape)
    seen = [whole]
    for origin, (step, args) in views:
        seen.append(step(seen[origin], *args))
    found: list[list[Member]] = [[]]
    for part, index, place in zip(op.args, op.kwargs["indices"], places, strict=True):
        at = np.ascontiguousarray(seen[place][index]).reshape(np.shape(seen[place][index]))
        shape = part.shape if isinstance(part, Op) else np.shape(part)
        at = np.ascontiguousarray(np.broadcast_to(at, shape)) if at.shape != shape else at
        found.append([Part(op, buffer, full(shape), part, at, adds=True)])
    return found


def _box(index: Any, shape: tuple[int, ...]) -> tuple[Ranges, tuple[int, ...]] | None:
    """Return the ranges that a basic index of step 1 selects, and the axes of the part; None for others."""
    if not is_basic(index):
        return None
    parts = list(index) if isinstance(index, tuple) else [index]
    if None in parts:
        return None
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    ranges, kept = [], []
    for axis, (p, n) in enumerate(zip(parts, shape, strict=True)):
        if isinstance(p, slice):
            begin, end, step = p.indices(n)
            if step != 1:
                return None
            ranges.append((begin, max(begin, end)))
            kept.append(axis)
        else:
            i = int(p) + (n if p < 0 else 0)
            ranges.append((i, i + 1))
    return tuple(ranges), tuple(kept)


def _cells(
    op: Op, buffer: Buffer, boxes: Sequence[tuple[Ranges, tuple[int, ...]]], cuts: Sequence[Sequence[int]]
) -> Iterator[Member]:
    for cell in itertools.product(*(list(itertools.pairwise(c)) for c in cuts)):
        parts = [
            (part, tuple(ranges[a][0] for a in kept), kept)
            for part, (ranges, kept) in zip(op.args, boxes, strict=True)
            if all(a <= low and high <= b for (low, high), (a, b) in zip(cell, ranges, strict=True))
        ]
        yield Covered(op, buffer, tuple(cell), parts)


# --- From members to loops


def write_level(kernel: Kernel, roots: Sequence[tuple[Op, str]]) -> None:
    """Write the loops of the roots of one level."""
    together: list[Member] = []
    later: list[list[Member]] = []
    buffers: list[tuple[Op, Buffer]] = []
    for op, kind in roots:
        first, *rest = members(kernel, op, kind)
        together += first
        later += rest
        buffers += [(op, m.buffer) for m in (first or rest[0])[:1] if m.buffer is not None]
    for group in _grouped(_cut(_collapsed(kernel, together))):
        _write_group(kernel, group)
    for group in later:
        _write_group(kernel, group)
    kernel.bound.update(buffers)


def _grouped(found: Sequence[Member]) -> list[list[Member]]:
    """Return the members of each loop, by the beginnings of their ranges: a total begins in the first piece of its."""
    groups: dict[Ranges, list[Member]] = {}
    for m in found:
        groups.setdefault(m.ranges[: loops(m)], []).append(m)
    return [groups[ranges] for ranges in sorted(groups, key=lambda ranges: ranges[:1])]


def _write_group(kernel: Kernel, group: Sequence[Member]) -> None:
    ranges = group[0].ranges[: loops(group[0])]
    length = ranges[0][1] - ranges[0][0] if len(ranges) == 1 else 0
    blocked = length > BLOCK and any(isinstance(m, Total) and m.how.how == "sum" for m in group)
    base = kernel.depth
    if blocked:
        blocks = math.ceil(length / BLOCK)
        block = kernel.open(str(ranges[0][0]), str(ranges[0][1]), blocks, f", {BLOCK}")
        end = f"min({block.text} + {BLOCK}, {ranges[0][1]})"
        # The last block may be shorter: on average.
        index: Index = (kernel.open(block.text, end, length / blocks),)
    else:
        index = tuple([kernel.open(str(a), str(b), b - a) for a, b in ranges])
    for m in group:
        for at in itertools.product(*(range(a, b) for a, b in m.ranges[len(ranges) :])):
            entry = m.entry(at) if isinstance(m, Total) else m
            entry.write(kernel, (*index, *map(Affine, at)))
    while kernel.depth > base:
        kernel.close()


def _cut(found: Sequence[Member]) -> list[Member]:
    """Cut ranges of the first axis where others of the same further axes are cut."""
    edges: dict[Any, set[int]] = {}
    for m in found:
        if m.ranges and isinstance(m, (Store, Covered, Total)):
            edges.setdefault(m.ranges[1:], set()).update(m.ranges[0])
    pieces: list[Member] = []
    for m in found:
        at = sorted(e for e in edges.get(m.ranges[1:], ()) if m.ranges[0][0] <= e <= m.ranges[0][1]) if m.ranges else []
        movable = isinstance(m, (Store, Covered)) or (isinstance(m, Total) and (not m.how.kept or 0 in m.how.kept))
        if not movable or len(at) <= 2 or len(edges[m.ranges[1:]]) > MOST_CUTS:
            pieces.append(m)
            continue
        spans = list(itertools.pairwise(at))
        for k, span in enumerate(spans):
            pieces.append(_piece(m, (span, *m.ranges[1:]), k == 0, k == len(spans) - 1))
    return pieces


def _piece(m: Member, ranges: Ranges, first: bool, last: bool) -> Member:
    if isinstance(m, Store):
        return Store(m.op, m.buffer, ranges)
    if isinstance(m, Covered):
        return Covered(m.op, m.buffer, ranges, m.parts)
    assert isinstance(m, Total)
    apart = bool(m.how.kept) and not m.in_memory
    return Total(m.op, m.buffer, ranges, m.how, {} if apart else m.pieces, first or apart, last or apart)


def _collapsed(kernel: Kernel, found: Sequence[Member]) -> list[Member]:
    """Run over arrays of several axes in one loop where nothing over the same axes needs to know them."""
    flat = [len(m.ranges) > 1 and isinstance(m, (Store, Total)) and _needs_no_axes(kernel, m) for m in found]
    kept = {m.ranges[: loops(m)] for m, alone in zip(found, flat, strict=True) if not alone}
    return [
        _piece(m, ((0, math.prod(b for _, b in m.ranges)),), True, True)
        if alone and m.ranges[: loops(m)] not in kept
        else m
        for m, alone in zip(found, flat, strict=True)
    ]


def _needs_no_axes(kernel: Kernel, m: Store | Total) -> bool:
    if isinstance(m, Total):
        if m.how.kept or any(
            not isinstance(x, Op) or axes != tuple(range(len(m.how.domain))) for x, axes in m.how.factors
        ):
            return False
        shape, waiting = m.how.domain, [x for x, _ in m.how.factors]
    else:
        if kernel._form(m.op) != "pointwise":
            return False
        shape, waiting = m.op.shape, list(m.op.args)
    known: set[Any] = set()
    while waiting:
        x = waiting.pop()
        # An input of a loop's body may stand for an expression outside, which is written where it is read.
        x = kernel.meant(x) if isinstance(x, Op) else x
        own = x.shape if isinstance(x, Op) else np.shape(x)
        # One number for all entries is read at the start; one entry of several axes may need to know them.
        if (isinstance(x, Op) and x in known) or (math.prod(own) == 1 and own != shape):
            continue
        if own != shape:
            return False
        if isinstance(x, Op):
            known.add(x)
            if kernel.bind(x) is None:
                if kernel._form(x) != "pointwise":
                    return False
                waiting += x.args
    return True
