"""What a kernel is written of: addresses, numbers, arrays, open loops, and the texts of reductions.

Addresses are affine: integers ``c + sum a_k i_k`` of loop variables. A slice, a transpose or a reshape of an array has
no loop of its own: it changes the index at which the array below is read. Entry (i, j) of ``x[1:].T`` is entry (j + 1,
i) of x, and of a C-ordered x of three columns it is the number ``3 (j + 1) + i`` in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.loops.pointwise import literal

#: Sums of more entries are added up in blocks, whose totals are added with compensation: NumPy adds in pairs.
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Affine:
    """An integer ``constant + sum of factor * variable``, with sorted variables and no factor 0."""

    constant: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.constant + other, self.terms)
        factors = dict(self.terms)
        for name, factor in other.terms:
            factors[name] = factors.get(name, 0) + factor
        kept = tuple(sorted((name, factor) for name, factor in factors.items() if factor))
        return Affine(self.constant + other.constant, kept)

    def __mul__(self, factor: int) -> Affine:
        if not factor:
            return Affine()
        return Affine(self.constant * factor, tuple((name, f * factor) for name, f in self.terms))

    @property
    def text(self) -> str:
        parts = [name if factor == 1 else f"{factor} * {name}" for name, factor in self.terms]
        if self.constant > 0 or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts) + (f" - {-self.constant}" if self.constant < 0 and self.terms else "")


Index = tuple[Affine, ...]
ZERO = Affine()


def variable(name: str) -> Affine:
    """Return the index that is one loop variable."""
    return Affine(0, ((name, 1),))


def strides(shape: Sequence[int]) -> list[int]:
    """Return the distances of neighbours along each axis in a C-ordered array, in entries."""
    found, step = [], 1
    for n in reversed(shape):
        found.append(step)
        step *= n
    return found[::-1]


def address(index: Index, shape: Sequence[int]) -> Affine:
    """Return the number of an entry in a C-ordered array."""
    found = Affine()
    for i, step in zip(index, strides(shape), strict=True):
        found += i * step
    return found


def pattern(positions: Any) -> tuple[int, list[int]] | None:
    """Return start and strides if ``positions`` is an affine function of its own index, else None."""
    start = int(positions.flat[0]) if positions.size else 0
    steps, expected = [], np.full((), start)
    for axis, n in enumerate(positions.shape):
        first = (0,) * axis
        step = (
            int(positions[(*first, 1, *(0,) * (positions.ndim - axis - 1))]) - start if n > 1 and positions.size else 0
        )
        steps.append(step)
        expected = expected[..., None] + step * np.arange(n)
    return (start, steps) if np.array_equal(expected, positions) else None


@dataclass(frozen=True)
class Term:
    """The text of a number, and the depth of the outermost frame where it is known."""

    text: str
    depth: int = 0


@dataclass(frozen=True)
class Buffer:
    """A C-ordered array as a vector in memory, from ``offset`` on; its entries are known at ``depth``."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    offset: Affine = ZERO
    depth: int = 0


@dataclass(frozen=True)
class Alias:
    """What an input of a loop's body stands for: an operation outside of it, or a constant."""

    given: Any


@dataclass
class Frame:
    """An open loop: its head, its lines, and those that follow it."""

    head: str = ""
    trips: float = 1
    lines: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    known: dict[Any, Term] = field(default_factory=dict)


_STARTS = {"sum": 0, "count": 0, "prod": 1, "max": -math.inf, "min": math.inf, "any": False, "all": True}


def start(how: str, dtype: Any) -> str:
    """Return the value that a reduction begins with."""
    return literal(_STARTS[how], dtype)


def combine(how: str, total: str, term: str, dtype: Any, *, loose: bool = True) -> str:
    """Return the expression that adds a term; ``loose`` where the order is free."""
    if how == "sum" and dtype.kind == "f" and loose:
        return f"accumulate({total}, {term})"
    if how in ("max", "min"):
        name = {"max": "greatest", "min": "least"}[how] if loose else {"max": "maximum", "min": "minimum"}[how]
        return f"{name}({total}, {term})"
    if how == "count":
        return f"{total} + np.int64({term} != 0)"
    return f"{total} {{}} {bracketed(term)}".format({"sum": "+", "prod": "*", "any": "|", "all": "&"}[how])


def bracketed(text: str) -> str:
    """Return the text of a number as an operand."""
    return f"({text})" if text.startswith("-") else text
