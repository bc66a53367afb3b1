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
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op
from autodiff_compare.backends.numpy_autodiff.core.cotangent import is_basic
from autodiff_compare.backends.numpy_autodiff.loops.affine import Affine, Index, address
from autodiff_compare.backends.numpy_autodiff.loops.forms import Reduction, line, positions, reduction
from autodiff_compare.backends.numpy_autodiff.loops.kernel import BLOCK, Buffer, Kernel, Term, combine, product, start
from autodiff_compare.backends.numpy_autodiff.loops.plan import written_out
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import literal

Ranges = tuple[tuple[int, int], ...]
#: Loops that one range may be cut into.
MOST_CUTS = 6


def full(shape: Sequence[int]) -> Ranges:
    return tuple((0, n) for n in shape)


@dataclass
class Store:
    """An array that is written entry by entry."""

    op: Op
    buffer: Buffer
    ranges: Ranges

    def write(self, kernel: Kernel, index: Index) -> None:
        found = kernel.expression(self.op, index)
        store(kernel, self.buffer, kernel.flat(index, self.op.shape), found.text)


@dataclass
class Covered:
    """A part of a scatter's result, and the parts that cover it, each with the start of its own index."""

    op: Op
    buffer: Buffer
    ranges: Ranges
    parts: list[tuple[Any, tuple[int, ...], tuple[int, ...]]]

    def write(self, kernel: Kernel, index: Index) -> None:
        text = literal(0, self.op.dtype)
        for part, starts, kept in self.parts:
            own = tuple(index[axis] + -begin for axis, begin in zip(kept, starts, strict=True))
            text = f"{text} + {kernel.value(part, own).text}"
        store(kernel, self.buffer, address(index, self.op.shape), text)


@dataclass
class Part:
    """A part of an array that is joined: written, or added, at an affine place."""

    op: Op
    buffer: Buffer
    ranges: Ranges
    part: Any
    places: Any
    adds: bool = False

    def write(self, kernel: Kernel, index: Index) -> None:
        found = kernel.value(self.part, index)
        at = line(self.places, index)
        if at is None:
            number = kernel.value(self.places, index).text
            target = f"{self.buffer.name}[{number}]"
        else:
            target = f"{self.buffer.name}[{(self.buffer.offset + at).text}]"
        kernel.add(f"{target} = {target} + {found.text}" if self.adds else f"{target} = {found.text}")


@dataclass
class Total:
    """A reduction. ``pieces`` is shared by the loops that its range is cut into."""

    op: Op
    buffer: Buffer | None
    ranges: Ranges
    how: Reduction
    pieces: dict[str, Any] = field(default_factory=dict)
    first: bool = True
    last: bool = True

    def write(self, kernel: Kernel, index: Index) -> None:
        how, op = self.how, self.op
        term = product(kernel, op, how.factors, index, how.how)
        free = len(index) - len(how.kept) if len(index) == len(how.domain) else 1
        base = kernel.depth - len(index)
        blocked = bool(kernel.frames[-1].head.startswith("for") and "min(" in kernel.frames[-1].head)
        base -= blocked
        if not free:
            self._finish(kernel, combine(how.how, start(how.how, op.dtype), term.text, op.dtype), index, kernel.depth)
        elif set(how.kept) == set(range(len(how.kept))) or len(index) != len(how.domain):
            self._local(kernel, index, term, base, base + len(index) - free, blocked)
        else:
            self._in_memory(kernel, index, term, base)

    def _local(self, kernel: Kernel, index: Index, term: Term, base: int, outer: int, blocked: bool) -> None:
        """Add up in a variable, known outside of the loops at depth ``outer``; long sums in blocks."""
        how, dtype = self.how.how, self.op.dtype
        many = math.prod(b - a for a, b in self.ranges[outer - base :]) > BLOCK
        inner = kernel.depth - 1
        total = self.pieces.setdefault("total", kernel.fresh("s"))
        if self.first:
            kernel.add(f"{total} = {start(how, dtype)}", outer)
        if how == "sum" and dtype.kind == "f" and many and inner > outer:
            part = kernel.fresh("s")
            if "low" not in self.pieces:
                self.pieces["low"] = kernel.fresh("s")
                kernel.add(f"{self.pieces['low']} = {start(how, dtype)}", outer)
            low = self.pieces["low"]
            kernel.add(f"{part} = {start(how, dtype)}", inner)
            kernel.add(f"{part} = {combine(how, part, term.text, dtype)}")
            kernel.frames[-1].after.append(f"{total}, {low} = compensated({total}, {low}, {part})")
        else:
            kernel.add(f"{total} = {combine(how, total, term.text, dtype)}")
        if self.last:
            found = f"settled({total}, {self.pieces['low']})" if "low" in self.pieces else total
            self._finish(kernel, found, index, outer)

    def _finish(self, kernel: Kernel, text: str, index: Index, outer: int) -> None:
        """Store the result after the loops, or leave it in a variable."""
        if self.how.count:
            text = f"({text}) / {literal(self.how.count, self.op.dtype)}"
        lines = kernel.frames[outer + 1].after if outer < kernel.depth else kernel.frames[-1].lines
        if self.buffer is None:
            name = self.pieces.setdefault("result", kernel.fresh("r"))
            lines.append(f"{name} = {text}")
            kernel.bound[self.op] = Term(name, outer)
            return
        kept = tuple(index[i] for i in self.how.kept) if len(index) == len(self.how.domain) else ()
        shape = tuple(self.how.domain[i] for i in self.how.kept)
        at = self.buffer.offset + (address(kept, shape) if kept else Affine())
        lines.append(f"{self.buffer.name}[{at.text}] = {text}")

    def _in_memory(self, kernel: Kernel, index: Index, term: Term, base: int) -> None:
        """Add up in the result itself, where the innermost loop goes along it."""
        assert self.buffer is not None
        how, op = self.how, self.op
        kept = tuple(index[i] for i in how.kept)
        at = self.buffer.offset + address(kept, tuple(how.domain[i] for i in how.kept))
        if self.first:
            _fill(kernel, self.buffer, op.size, start(how.how, op.dtype), base)
        target = f"{self.buffer.name}[{at.text}]"
        kernel.add(f"{target} = {combine(how.how, target, term.text, op.dtype, loose=how.how != 'sum')}")
        if how.count and self.last:
            end = kernel.frames[base + 1].after
            each = f"{self.buffer.name}[{self._shifted('z')}]"
            end += [f"for z in range({op.size}):", f"    {each} = {each} / {literal(how.count, op.dtype)}"]

    def _shifted(self, name: str) -> str:
        assert self.buffer is not None
        return name if self.buffer.offset == Affine() else f"{self.buffer.offset.text} + {name}"


@dataclass
class Running:
    """A cumulative sum along the innermost loop."""

    op: Op
    buffer: Buffer
    ranges: Ranges
    axis: int

    def write(self, kernel: Kernel, index: Index) -> None:
        n = len(index)
        own = list(index)
        own.insert(self.axis, own.pop(n - 1))
        total = kernel.fresh("s")
        # -0.0 + x is x, also where x is -0.0.
        kernel.add(f"{total} = {literal(-0.0, self.op.dtype)}", kernel.depth - 1)
        kernel.add(f"{total} = {total} + {kernel.value(self.op.args[0], tuple(own)).text}")
        store(kernel, self.buffer, address(tuple(own), self.op.shape), total)


Member = Store | Covered | Part | Total | Running


def store(kernel: Kernel, buffer: Buffer, at: Affine, text: str) -> None:
    kernel.add(f"{buffer.name}[{(buffer.offset + at).text}] = {text}")


def _fill(kernel: Kernel, buffer: Buffer, size: int, text: str, depth: int) -> None:
    shifted = "z" if buffer.offset == Affine() else f"{buffer.offset.text} + z"
    kernel.add(f"for z in range({size}):", depth)
    kernel.add(f"    {buffer.name}[{shifted}] = {text}", depth)


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
    if len(boxes) <= MOST_CUTS and all(boxes):
        cuts = [
            sorted({0, n, *(edge for box in boxes if box for edge in box[0][axis])}) for axis, n in enumerate(op.shape)
        ]
        if math.prod(len(c) - 1 for c in cuts) <= 2 * MOST_CUTS:
            return [list(_cells(op, buffer, boxes, cuts))]  # type: ignore[arg-type]
    _fill(kernel, buffer, op.size, literal(0, op.dtype), kernel.depth)
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
    for ranges, group in _grouped(_cut(_collapsed(kernel, together))).items():
        _write_group(kernel, ranges, group)
    for group in later:
        _write_group(kernel, group[0].ranges, group)
    kernel.bound.update(buffers)


def _grouped(found: Sequence[Member]) -> dict[Ranges, list[Member]]:
    groups: dict[Ranges, list[Member]] = {}
    for m in found:
        groups.setdefault(m.ranges, []).append(m)
    return groups


def _write_group(kernel: Kernel, ranges: Ranges, group: Sequence[Member]) -> None:
    length = ranges[0][1] - ranges[0][0] if len(ranges) == 1 else 0
    blocked = length > BLOCK and any(isinstance(m, Total) and m.how.how == "sum" for m in group)
    base = kernel.depth
    if blocked:
        block = kernel.open(str(ranges[0][0]), str(ranges[0][1]), math.ceil(length / BLOCK), f", {BLOCK}")
        end = f"min({block.text} + {BLOCK}, {ranges[0][1]})"
        index: Index = (kernel.open(block.text, end, BLOCK),)
    else:
        index = tuple([kernel.open(str(a), str(b), b - a) for a, b in ranges])
    for m in group:
        m.write(kernel, index)
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
    whole = bool(m.how.kept)
    in_memory = set(m.how.kept) != set(range(len(m.how.kept)))
    apart = whole and not in_memory
    return Total(m.op, m.buffer, ranges, m.how, {} if apart else m.pieces, first or apart, last or apart)


def _collapsed(kernel: Kernel, found: Sequence[Member]) -> list[Member]:
    """Run over arrays of several axes in one loop where nothing in it needs to know the axes."""
    result: list[Member] = []
    for m in found:
        if len(m.ranges) > 1 and isinstance(m, (Store, Total)) and _needs_no_axes(kernel, m):
            result.append(_piece(m, ((0, math.prod(b for _, b in m.ranges)),), True, True))
        else:
            result.append(m)
    return result


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
        own = x.shape if isinstance(x, Op) else np.shape(x)
        if (isinstance(x, Op) and x in known) or math.prod(own) == 1:
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
