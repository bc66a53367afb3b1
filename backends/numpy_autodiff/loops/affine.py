"""Affine indices: integers ``c + sum a_k i_k`` of loop variables, as the entries of arrays are addressed by.

A slice, a transpose or a reshape of an array has no loop of its own: it changes the index at which the array below is
read. Entry (i, j) of ``x[1:].T`` is entry (j + 1, i) of x, and of a C-ordered x of three columns it is the number
``3 (j + 1) + i`` in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


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
