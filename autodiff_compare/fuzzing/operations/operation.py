"""One operation of random programs: its text, its parameters, and the points at which it is smooth.

The text is a template over the neutral namespace: ``{0}`` and ``{1}`` stand for operands, names for parameters, as in
``xp.sum({0}, axis={axis})``. The functions of `Operation.draws` return the parameters for given operands, or `None` if
the operation does not take them. The predicates of `Operation.smooth` keep a margin to kinks, poles and the ends of a
domain, so that numerical differences have room for their steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Optional

import numpy as np

from autodiff_compare.problems import Array

Parameters = Mapping[str, Any]
#: Returns parameters for operands, or `None` if the operation does not take these.
Draw = Callable[..., Optional[Parameters]]  # noqa: UP045 - a worker's Python may be 3.9
#: Returns whether an operation is smooth at its operands, with a margin.
Smooth = Callable[..., bool]
#: Returns the last operand of an operation at a kink, shaped like a given value, which is the first of two operands.
Kink = Callable[[np.random.Generator, Array], Array]

#: Distance to a kink, a pole or the end of a domain in programs that are smooth at their point.
MARGIN = 0.1
_NONE: Parameters = MappingProxyType({})


@dataclass(frozen=True)
class Operation:
    """One operation of the neutral namespace.

    Parameters
    ----------
    family
        A key of `FAMILIES`.
    template
        The text in the neutral namespace.
    operands
        Number of operands.
    draws
        ``draws(rng, *operands)`` returns the parameters, or `None`.
    smooth
        ``smooth(*operands)`` returns whether the operation is smooth there, with a margin.
    spelled
        Framework -> template of its own, where replacing ``xp.`` by the framework's module is not enough.
    uses
        The member of a backend that the text calls: ``scan`` or ``derivative``.
    kink
        ``kink(rng, value)`` returns the last operand at a kink where the operation selects: a tie, a bound, a zero.
        `None` if it selects nothing.
    """

    family: str
    template: str
    operands: int = 1
    draws: Draw = lambda rng, *operands: _NONE  # noqa: ARG005
    smooth: Smooth = lambda *operands: True  # noqa: ARG005
    spelled: Mapping[str, str] = field(default_factory=dict)
    uses: str = ""
    kink: Optional[Kink] = None  # noqa: UP045 - a worker's Python may be 3.9

    def smooth_at(self, *operands: Array) -> bool:
        """Return whether the operation is smooth at its operands, with a margin."""
        with np.errstate(all="ignore"):
            try:
                return self.smooth(*operands)
            except np.linalg.LinAlgError:
                return False


def everywhere(*_: Array) -> bool:
    """Return True: the operation is smooth at every operand that it takes."""
    return True


def away_from_zero(a: Array, *_: Array) -> bool:
    """Return whether no entry of the first operand is near zero."""
    return bool(np.all(np.abs(a) > MARGIN))


def above_zero(a: Array, *_: Array) -> bool:
    """Return whether all entries of the first operand are positive, with a margin."""
    return bool(np.all(a > MARGIN))


def within_one(a: Array, *_: Array) -> bool:
    """Return whether all entries are in (-1, 1), with a margin."""
    return bool(np.all(np.abs(a) < 1 - MARGIN))


def away_from_integers(a: Array, *_: Array) -> bool:
    """Return whether no entry is near a multiple of 1/2, where a rounding jumps."""
    return bool(np.all(np.abs(2 * a - np.round(2 * a)) > MARGIN))


def apart(a: Array, *_: Array) -> bool:
    """Return whether all entries differ from each other, with a margin: no tie is near."""
    return bool(np.all(np.diff(np.sort(np.ravel(a))) > MARGIN))


def different(a: Array, b: Array) -> bool:
    """Return whether the two operands differ in all entries, with a margin."""
    return bool(np.all(np.abs(a - b) > MARGIN))


def some(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw about half of the places of an array, and at least one."""
    chosen = np.asarray(rng.random(shape) < 0.5)
    if chosen.size:
        chosen.flat[int(rng.integers(chosen.size))] = True
    return chosen


def equal_to(rng: np.random.Generator, a: Array) -> Array:
    """Draw a second operand that equals the first in some entries, and differs from it in the others."""
    size = np.round(rng.uniform(2 * MARGIN, 1.0, a.shape), 3)
    return np.asarray(np.where(some(rng, a.shape), a, a + size * rng.choice([-1.0, 1.0], a.shape)))


def at(*points: float) -> Kink:
    """Return a function that draws an operand with some entries at one of the points, and the others away from them."""

    def drawn(rng: np.random.Generator, a: Array) -> Array:
        beside = rng.choice(points, a.shape) + np.round(rng.uniform(2 * MARGIN, 0.8, a.shape), 3)
        return np.asarray(np.where(some(rng, a.shape), rng.choice(points, a.shape), beside))

    return drawn


def tied(rng: np.random.Generator, a: Array) -> Array:
    """Draw an operand in which the largest entry occurs twice, and the smallest too if there are four or more."""
    found = np.round(rng.permutation(a.size) * 0.3 - 0.2 * a.size + 0.05, 3)
    order = np.argsort(found)
    if a.size > 1:
        found[order[-2]] = found[order[-1]]
    if a.size > 3:
        found[order[1]] = found[order[0]]
    return np.asarray(found.reshape(a.shape))


def moderate(a: Array, *_: Array) -> bool:
    """Return whether an exponential of the first operand is of moderate size."""
    return bool(np.all(np.abs(a) < 4))


def one_axis(rng: np.random.Generator, a: Array, *_: Array) -> Parameters | None:
    """Draw an axis of the first operand."""
    return {"axis": int(rng.integers(-a.ndim, a.ndim))} if a.ndim else None


def axes(rng: np.random.Generator, a: Array, *_: Array) -> Parameters | None:
    """Draw all axes or one of them, and whether to keep it."""
    axis = None if not a.ndim or rng.random() < 0.4 else int(rng.integers(-a.ndim, a.ndim))
    return {"axis": axis, "keepdims": bool(rng.random() < 0.3)}


def occupied_axes(rng: np.random.Generator, a: Array, *_: Array) -> Parameters | None:
    """Draw axes as `axes`, for operands that have entries."""
    return axes(rng, a) if a.size else None


def with_axis(rng: np.random.Generator, a: Array, *_: Array) -> Parameters | None:
    """Draw an axis of a first operand that has entries."""
    return one_axis(rng, a) if a.size else None


def scalar(*choices: float) -> Draw:
    """Return a function that draws one number ``k``."""
    return lambda rng, *_: {"k": float(rng.choice(choices))}


def broadcastable(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    """Accept two operands that broadcast."""
    del rng
    try:
        return _NONE if np.broadcast_shapes(a.shape, b.shape) is not None else None
    except ValueError:
        return None


def square(rng: np.random.Generator, a: Array, *_: Array) -> Parameters | None:
    """Accept a square matrix, or a stack of them."""
    del rng
    return _NONE if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and a.shape[-1] else None
