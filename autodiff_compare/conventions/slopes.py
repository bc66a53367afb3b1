"""The one-sided derivatives of a backend's own function, measured with steps that fall to zero.

Everything is done in coordinates: an input array has one direction per entry, a complex one two (``dL/da`` and
``dL/db``), a symmetric matrix one per entry of its upper triangle, along ``E_ij + E_ji``, since its entries cannot be
moved alone. A gradient ``g`` has the coordinates ``Re <B_k, g>``.

A quotient ``D(h)`` is followed through steps that fall by a constant ratio. It may converge (extrapolated once, with
the distance to its neighbour and the rounding ``eps |f| / h`` as its bar), grow without bound (then the slope is
infinite), or not be a number (outside the domain). For more than one coordinate the subdifferential is the hull of
the gradients nearby (Clarke 1983, theorem 2.5.1), which are central differences at points that come nearer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.problems import Array

#: Flat displacement in coordinates -> the function there, as a flat float64 array.
Function = Callable[[Array], Array]

#: Steps per dtype: largest, ratio, number; the last is still far above the rounding of the quotient.
_STEPS = {"float64": (2.0**-8, 8.0, 5), "float32": (2.0**-4, 4.0, 5)}
#: Distances from the point of the gradients nearby, by the same steps; differences there are this much shorter.
_NEARBY, _SHORTER = 3, 2.0**-4
#: Increments of a quotient that do not even shrink by this are those of one that grows without bound.
_GROWS = 0.9
#: And in all, as it would with the logarithm of the step.
_GROWN = 1.3


@dataclass(frozen=True)
class Coordinates:
    """The directions in which the inputs of a case are moved.

    Parameters
    ----------
    inputs
        The point.
    places
        Per coordinate: which input, and the direction, shaped like it.
    scales
        Per coordinate: the unit of a step, a power of two near the largest entry of its input.
    """

    inputs: tuple[Array, ...]
    places: tuple[tuple[int, Array], ...]
    scales: Array

    @classmethod
    def of(cls, inputs: Sequence[Array], *, symmetric: bool) -> Coordinates:
        """The coordinates at a point."""
        places, scales = [], []
        for k, x in enumerate(inputs):
            for direction in _directions(x, symmetric):
                places.append((k, direction))
                scales.append(_unit(x))
        return cls(tuple(inputs), tuple(places), np.array(scales))

    def moved(self, by: Array) -> tuple[Array, ...]:
        """The inputs after a displacement of each coordinate."""
        out = [x.copy() for x in self.inputs]
        for (k, direction), step in zip(self.places, by, strict=True):
            if step:
                out[k] = np.where(direction != 0, out[k] + np.asarray(step * direction).astype(out[k].dtype), out[k])
        return tuple(out)

    def tangents(self) -> tuple[Array, ...]:
        """The direction 1, 2, 3, ... along the coordinates, shaped like the inputs."""
        out = [np.zeros_like(x) for x in self.inputs]
        for number, (k, direction) in enumerate(self.places, 1):
            out[k] = out[k] + np.asarray(number * direction).astype(out[k].dtype)
        return tuple(out)

    def read(self, gradients: Sequence[Array]) -> Array:
        """The coordinates of gradients that are shaped like the inputs."""
        found = []
        for k, direction in self.places:
            g = gradients[k]
            # Entry by entry, so that an infinite entry meets no zero of the direction.
            parts = np.real(np.conj(direction[direction != 0]) * g[direction != 0])
            found.append(float(np.sum(parts)))
        return np.array(found)


@dataclass(frozen=True)
class Sides:
    """Left and right derivatives along each coordinate, ``(outputs, coordinates)``, with the wider of their bars."""

    left: Array
    right: Array
    bar: Array


def sides(f: Function, at: Coordinates, dtype: str) -> Sides:
    """The one-sided derivatives at the point itself."""
    n, steps = len(at.places), _steps(dtype)
    here = f(np.zeros(n))
    found = np.full((2, here.size, n), np.nan)
    bars = np.zeros((here.size, n))
    for k in range(n):
        for side, sign in enumerate((-1.0, 1.0)):
            h = steps * at.scales[k]
            there = np.stack([f(sign * step * np.eye(n)[k]) for step in h])
            with np.errstate(all="ignore"):
                quotients = sign * (there - here) / h[:, None]
                rounding = _rounding(there, here, quotients * at.scales[k], dtype) / h[:, None]
            for i in range(here.size):
                found[side, i, k], bar = limit(quotients[:, i], rounding[:, i], steps[0] / steps[1])
                bars[i, k] = max(bars[i, k], bar)
    return Sides(found[0], found[1], bars)


def nearby(f: Function, at: Coordinates, dtype: str) -> tuple[Array, Array]:
    """Limits of gradients from several directions, ``(directions, outputs * coordinates)``, and their bars."""
    n, steps = len(at.places), _steps(dtype)
    found, bars = [], []
    for direction in _approaches(n):
        ladder, roundings = [], []
        for distance in steps[:_NEARBY]:
            gradient, rounding = _gradient(f, at, distance * direction * at.scales, distance * _SHORTER, dtype)
            ladder.append(gradient)
            roundings.append(rounding)
        pairs = [
            limit(np.array(d), np.array(r), steps[0] / steps[1])
            for d, r in zip(zip(*ladder, strict=True), zip(*roundings, strict=True), strict=True)
        ]
        found.append([value for value, _ in pairs])
        bars.append([bar for _, bar in pairs])
    return np.array(found), np.array(bars)


def _gradient(f: Function, at: Coordinates, base: Array, step: float, dtype: str) -> tuple[Array, Array]:
    """Central differences around a displaced point, flat, and their rounding."""
    columns, roundings = [], []
    for k in range(len(at.places)):
        h = step * at.scales[k]
        move = h * np.eye(len(at.places))[k]
        above, below = f(base + move), f(base - move)
        with np.errstate(all="ignore"):
            columns.append((above - below) / (2 * h))
            roundings.append(_rounding(above, below, columns[-1] * at.scales[k], dtype) / (2 * h))
    return np.ravel(np.array(columns).T), np.ravel(np.array(roundings).T)


def limit(quotients: Array, rounding: Array, ratio: float) -> tuple[float, float]:
    """What quotients at steps falling by ``ratio`` tend to, and its error bar.

    Returns
    -------
    value, bar
        ``(+-inf, 0)`` where they grow without bound; ``(nan, 0)`` where the last ones are not numbers.
    """
    if not np.isfinite(quotients[-1]):
        infinite = np.isinf(quotients[-1]) and quotients[-2] == quotients[-1]
        return (float(quotients[-1]) if infinite else float("nan")), 0.0
    bad = np.flatnonzero(~np.isfinite(quotients))
    d = quotients[bad[-1] + 1 if bad.size else 0 :]
    r = rounding[-d.size :]
    if d.size < 3:
        return float(d[-1]), float(np.abs(d[-1] - d[0]) + r[-1])
    grown = np.diff(d)
    steady = np.all(np.abs(grown) > 10 * r[1:]) and np.all(np.abs(grown[1:]) >= _GROWS * np.abs(grown[:-1]))
    if steady and np.abs(d[-1]) > _GROWN * np.abs(d[0]):
        return float(np.copysign(np.inf, grown[-1])), 0.0
    better = d[1:] + grown / (ratio - 1)
    raw = [(np.abs(b - a) + e, b) for a, b, e in zip(d, d[1:], r[1:], strict=False)]
    extrapolated = [(np.abs(b - a) + e, b) for a, b, e in zip(better, better[1:], r[2:], strict=False)]
    bar, value = min((*raw, *extrapolated), key=lambda pair: pair[0])
    return float(value), float(bar)


def _rounding(a: Array, b: Array, change: Array, dtype: str) -> Array:
    """What rounding of two values, and of the places where they are taken, does to their difference."""
    return np.asarray(4 * _eps(dtype) * (np.abs(a) + np.abs(b) + np.abs(change)))


def _directions(x: Array, symmetric: bool) -> list[Array]:
    if symmetric:
        n = x.shape[0]
        return [_symmetric_unit(n, i, j, x.dtype) for i in range(n) for j in range(i, n)]
    units = np.eye(x.size).reshape(x.size, *x.shape)
    if np.iscomplexobj(x):
        return [np.asarray(phase * unit) for unit in units for phase in (1, 1j)]
    return list(units)


def _symmetric_unit(n: int, i: int, j: int, dtype: Any) -> Array:
    unit = np.zeros((n, n), dtype)
    unit[i, j] = unit[j, i] = 1
    return unit


def _unit(x: Array) -> float:
    size = np.abs(x[np.isfinite(x)]).max(initial=0.0) if x.dtype.kind in "fc" else 0.0
    return float(2.0 ** np.floor(np.log2(size))) if size > 0 else 1.0


def _approaches(n: int) -> Array:
    """Directions to come from: along each coordinate, and from all around, the same in every process."""
    axes = np.concatenate([np.eye(n), -np.eye(n)])
    around = np.random.default_rng(0).normal(size=(6 * n, n))
    # Multiples of 2^-10, so that a displacement by a power of two of them is exact.
    return np.concatenate([axes, np.round(around / np.abs(around).max(axis=1, keepdims=True) * 2**10) / 2**10])


def _steps(dtype: str) -> Array:
    largest, ratio, number = _STEPS[dtype]
    return largest * ratio ** -np.arange(number, dtype=np.float64)


def _eps(dtype: str) -> float:
    return float(np.finfo(dtype).eps)
