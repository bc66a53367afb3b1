"""The bodies of loops: what one root writes at one index, before its loops and after them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op
from autodiff_compare.backends.numpy_autodiff.loops.entries import product
from autodiff_compare.backends.numpy_autodiff.loops.forms import WRITTEN_OUT, Reduction, line
from autodiff_compare.backends.numpy_autodiff.loops.kernel import Kernel
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import literal
from autodiff_compare.backends.numpy_autodiff.loops.terms import (
    BLOCK,
    Affine,
    Buffer,
    Index,
    Term,
    address,
    combine,
    start,
)

Ranges = tuple[tuple[int, int], ...]


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
    pieces: dict[Any, Any] = field(default_factory=dict)
    first: bool = True
    last: bool = True

    @property
    def _kept_loops(self) -> set[int]:
        return {i for i in self.how.kept if i < loops(self)}

    @property
    def in_memory(self) -> bool:
        """Return whether a loop that indexes the result is within one that adds up."""
        return self._kept_loops != set(range(len(self._kept_loops)))

    def entry(self, at: tuple[int, ...]) -> Total:
        """Return the part of a sum at an index of the axes that are written out: each of those kept has its total."""
        begin = loops(self)
        free = [i for i in range(begin, len(self.ranges)) if self.in_memory or i not in self.how.kept]
        first = all(at[i - begin] == self.ranges[i][0] for i in free)
        last = all(at[i - begin] == self.ranges[i][1] - 1 for i in free)
        kept = tuple(at[i - begin] for i in range(begin, len(self.ranges)) if i not in free)
        pieces = self.pieces.setdefault(kept, {}) if kept else self.pieces
        return replace(self, pieces=pieces, first=self.first and first, last=self.last and last)

    def write(self, kernel: Kernel, index: Index) -> None:
        term = product(kernel, self.op, self.how.factors, index, self.how.how)
        base = kernel.depth - loops(self) - _in_blocks(kernel)
        if self.in_memory:
            self._in_memory(kernel, index, term, base)
        else:
            self._local(kernel, index, term, base + len(self._kept_loops))

    def _local(self, kernel: Kernel, index: Index, term: Term, outer: int) -> None:
        """Add up in a variable, known outside of the loops at depth ``outer``; long sums in blocks."""
        how, dtype = self.how.how, self.op.dtype
        many = math.prod(b - a for i, (a, b) in enumerate(self.ranges) if i not in self.how.kept) > BLOCK
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
            fill(kernel, self.buffer, op.size, start(how.how, op.dtype), base)
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
        kernel.add(f"{total} = {literal(-0.0, self.op.dtype)}", kernel.depth - 1 - _in_blocks(kernel))
        kernel.add(f"{total} = {total} + {kernel.value(self.op.args[0], tuple(own)).text}")
        store(kernel, self.buffer, address(tuple(own), self.op.shape), total)


Member = Store | Covered | Part | Total | Running


def _in_blocks(kernel: Kernel) -> bool:
    """Return whether the innermost loop runs over a block of another, because a long sum of the group needs it."""
    return kernel.frames[-1].head.startswith("for") and "min(" in kernel.frames[-1].head


def loops(m: Member) -> int:
    """Return how many axes are loops: the last ones are written out, entry by entry, if they have few entries.

    Places of atoms are rows of three numbers. A loop over them inside the loop over pairs would be too short for vector
    registers, and what it adds up would be in memory.
    """
    n, entries = len(m.ranges), 1
    while n > 1 and not isinstance(m, Running):
        begin, end = m.ranges[n - 1]
        entries *= end - begin
        if not 1 <= entries <= WRITTEN_OUT:
            break
        n -= 1
    return n


def store(kernel: Kernel, buffer: Buffer, at: Affine, text: str) -> None:
    kernel.add(f"{buffer.name}[{(buffer.offset + at).text}] = {text}")


def fill(kernel: Kernel, buffer: Buffer, size: int, text: str, depth: int) -> None:
    shifted = "z" if buffer.offset == Affine() else f"{buffer.offset.text} + z"
    kernel.add(f"for z in range({size}):", depth)
    kernel.add(f"    {buffer.name}[{shifted}] = {text}", depth)
