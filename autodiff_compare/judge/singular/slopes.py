"""Measure one-sided derivatives of a function, by difference quotients with steps that fall to zero.

The atlas of conventions measures a backend's own function, the judge the objective in NumPy.

Coordinates. An input array has one direction B_k per entry; a complex array has two (``dL/da`` and ``dL/db``); a
symmetric matrix has one per entry of its upper triangle, along ``E_ij + E_ji``, since its entries cannot be moved
alone. A gradient ``g`` has the coordinates ``Re <B_k, g>``.

One-sided derivatives. Where f has a derivative D from one side, the quotient is

    D(h) = (f(x + h) - f(x)) / h = D + c h + O(h^2).

The steps fall by a constant ratio r. One step of Richardson's extrapolation removes the linear term:
``D(h/r) + (D(h/r) - D(h)) / (r - 1) = D + O(h^2)``. The error bar of a value is its distance to the one before,
plus the rounding ``eps |f| / h``; of all plain and extrapolated values the one with the smallest bar counts.

Infinite derivatives. The quotients of ``sqrt(h)`` grow by ``sqrt(r)`` a step, those of ``h log h`` by the constant
``log r``: their increments do not shrink. The increments of a quotient that converges shrink by 1/r a step. A quotient
that is not a number means a step out of the domain.

Several coordinates. The subdifferential is the convex hull of the limits of gradients nearby (Clarke 1983,
*Optimization and Nonsmooth Analysis*, theorem 2.5.1). These are central differences at points that approach x from
several directions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.problems import Array

#: Flat displacement in coordinates -> the function value there, flat float64.
Function = Callable[[Array], Array]

#: Steps per dtype: largest, ratio, number. Rounding of the quotient is still small at the last step.
_STEPS = {"float64": (2.0**-8, 8.0, 5), "float32": (2.0**-4, 4.0, 5)}
#: Gradients nearby are taken at the first 3 of these distances, by differences whose steps are shorter by this factor.
#: Near the tip of a cone the curvature grows as fast as the distance falls, so that the factor bounds the error: it is
#: about its square, 1e-8 in float64. Rounding in float32 allows no shorter steps.
_NEARBY, _SHORTER = 3, {"float64": 2.0**-13, "float32": 2.0**-4}
#: Most coordinates of which every choice of signs is a direction of approach.
MOST = 5
#: A quotient grows without bound if each increment keeps 90 % of the one before; a convergent one keeps 1/r ...
_GROWS = 0.9
#: ... and if the last quotient is 1.3 times the first: log h grows no faster over these steps.
_GROWN = 1.3


@dataclass(frozen=True)
class Coordinates:
    """Directions in which the inputs of a case are moved.

    Parameters
    ----------
    inputs
        The point.
    places
        Per coordinate: index of its input, and the direction, shaped like that input.
    scales
        Per coordinate: the unit of a step, a power of two near the largest entry of its input.
    """

    inputs: tuple[Array, ...]
    places: tuple[tuple[int, Array], ...]
    scales: Array

    @classmethod
    def of(cls, inputs: Sequence[Array], *, symmetric: bool) -> Coordinates:
        """Return the coordinates at a point."""
        places, scales = [], []
        for k, x in enumerate(inputs):
            for direction in _directions(x, symmetric):
                places.append((k, direction))
                scales.append(_unit(x))
        return cls(tuple(inputs), tuple(places), np.array(scales))

    def moved(self, by: Array) -> tuple[Array, ...]:
        """Return the inputs after a displacement of each coordinate."""
        out = [x.copy() for x in self.inputs]
        for (k, direction), step in zip(self.places, by, strict=True):
            if step:
                out[k] = np.where(direction != 0, out[k] + np.asarray(step * direction).astype(out[k].dtype), out[k])
        return tuple(out)

    def tangents(self) -> tuple[Array, ...]:
        """Return the direction 1, 2, 3, ... along the coordinates, shaped like the inputs."""
        out = [np.zeros_like(x) for x in self.inputs]
        for number, (k, direction) in enumerate(self.places, 1):
            out[k] = out[k] + np.asarray(number * direction).astype(out[k].dtype)
        return tuple(out)

    def read(self, gradients: Sequence[Array]) -> Array:
        """Return the coordinates of gradients that are shaped like the inputs."""
        found = []
        for k, direction in self.places:
            g = gradients[k]
            # Zeros of the direction are left out: an infinite entry times zero is nan.
            parts = np.real(np.conj(direction[direction != 0]) * g[direction != 0])
            found.append(float(np.sum(parts)))
        return np.array(found)


@dataclass(frozen=True)
class Sides:
    """Left and right derivatives along each coordinate, (outputs, coordinates), with the wider of their error bars."""

    left: Array
    right: Array
    bar: Array


def sides(f: Function, at: Coordinates, dtype: str) -> Sides:
    """Measure the one-sided derivatives at the point itself."""
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


def nearby(f: Function, at: Coordinates, dtype: str, towards: Sequence[Array] = ()) -> tuple[Array, Array]:
    """Measure the limits of gradients from several directions.

    Parameters
    ----------
    f, at, dtype
        The function, the point, and the dtype in which the function computes.
    towards
        Further directions of approach, in units of the coordinates. A round hull, like the ball of the norm at 0, is
        reached in the direction of a gradient only from there.

    Returns
    -------
    limits, bars
        (directions, outputs * coordinates) each.
    """
    n, steps = len(at.places), _steps(dtype)
    found, bars = [], []
    for direction in approaches(n, towards):
        ladder, roundings = [], []
        for distance in steps[:_NEARBY]:
            gradient, rounding = _gradient(f, at, distance * direction * at.scales, distance * _SHORTER[dtype], dtype)
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
    """Return central differences at a displaced point, flat, and their rounding errors."""
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
    """Extrapolate quotients at steps that fall by ``ratio`` to the step 0.

    Returns
    -------
    value, bar
        The limit and its error bar; ``(+-inf, 0)`` if the quotients grow without bound, ``(nan, 0)`` if the last one
        is nan.
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
    """Bound the rounding error of the difference of two values, with that of the points where they are taken."""
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


def approaches(n: int, towards: Sequence[Array]) -> Array:
    """Return directions of approach: those given, along each coordinate, one for each choice of signs, and random ones.

    They are the same in every process. The choices of signs reach every vertex of independent kinks, as in ``sum |x|``;
    above `MOST` coordinates they are left out.
    """
    rng = np.random.default_rng(0)
    axes = np.concatenate([np.eye(n), -np.eye(n)])
    around = rng.normal(size=(6 * n, n))
    if n <= MOST:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
        around = np.concatenate([around, signs * rng.uniform(0.5, 1.0, signs.shape)])
    given = [d[None] for d in towards if d.size == n and np.isfinite(d).all() and d.any()]
    # Multiples of a power of two: a displacement by a power of two along them is exact.
    return np.concatenate([axes, _unit_rows(around, 10), *(_unit_rows(d, 30) for d in given)])


def _unit_rows(rows: Array, bits: int) -> Array:
    """Return rows with a largest entry of 1, rounded to multiples of ``2^-bits``."""
    return np.asarray(np.round(rows / np.abs(rows).max(axis=1, keepdims=True) * 2.0**bits) / 2.0**bits)


def _steps(dtype: str) -> Array:
    largest, ratio, number = _STEPS[dtype]
    return largest * ratio ** -np.arange(number, dtype=np.float64)


def _eps(dtype: str) -> float:
    return float(np.finfo(dtype).eps)
