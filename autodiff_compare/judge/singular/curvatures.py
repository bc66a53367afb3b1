"""Measure second derivatives near a point where they jump, and compare a result with all of them together.

The gradient of ``max(x, 0)^2`` is continuous and has a kink at 0, so that there is no second derivative. The
*generalised Hessian* of such a function is the convex hull of the limits of Hessians nearby (Hiriart-Urruty, Strodiot
and Nguyen 1984, Applied Mathematics and Optimization 11), as the subdifferential is that of gradients. Its entries are
not independent: near ``x + y = 0`` every Hessian of ``max(x + y, 0)^2`` is zero or has four entries of 2, so that the
unit matrix times 2 is none of them, although each of its entries is one.

A second derivative nearby is the difference

    (f(z + k s + k t) - f(z + k s - k t) - f(z - k s + k t) + f(z - k s - k t)) / 4k^2

at ``z = x + h d``, for several directions d, with steps k far below h. It is the mean of ``s H t`` over a square around
z, so that a kink within the square leaves it in the hull.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from autodiff_compare.judge.singular import hull
from autodiff_compare.judge.singular.slopes import MOST, Function, approaches, limit
from autodiff_compare.problems import Array

#: Distances from the point, in units of the inputs, and the part of one that a step is.
_DISTANCES, _SHORTER = 2.0 ** np.array([-6.0, -8.0, -10.0]), 2.0**-5
_EPS = float(np.finfo(np.float64).eps)


def contains(f: Function, x: Array, scale: Array, pairs: Sequence[tuple[Array, Array]], got: Array) -> bool:
    """Return whether numbers belong to one matrix of the generalised Hessian, within half of the digits.

    Parameters
    ----------
    f
        Function of a flat vector, shape ``(n,)``, that returns one number as an array of shape ``(1,)``.
    x, scale
        Point and scale of each input, shape ``(n,)``.
    pairs
        Directions s and t of each number ``s H t``; they move the inputs by about their scales.
    got
        The numbers, shape ``(len(pairs),)``.

    Returns
    -------
    bool
        True also where nothing can be said: for more than `MOST` inputs, and outside the domain.
    """
    if x.size > MOST or not len(pairs):
        return True
    points, bars = [], []
    for d in approaches(x.size, ()):
        ladder = [[_second(f, x + h * d * scale, h * _SHORTER, s, t) for s, t in pairs] for h in _DISTANCES]
        ends = [_extrapolated(np.array(column)) for column in zip(*ladder, strict=True)]
        points.append([value for value, _ in ends])
        bars.append([bar for _, bar in ends])
    found, width = np.array(points), np.array(bars)
    known = np.isfinite(found).all(axis=1)
    if not known.any():
        return True
    size = float(np.abs(found[known]).max(initial=0.0))
    tolerance = math.sqrt(_EPS) * size + 3 * float(width[known].max(initial=0.0))
    return hull.distance(found[known], got) <= tolerance


def _second(f: Function, z: Array, k: float, s: Array, t: Array) -> tuple[float, float]:
    """Return ``s H t`` at a point by steps ``k``, and the bound of its rounding error."""
    signs = tuple(itertools.product((1.0, -1.0), repeat=2))
    values = np.array([float(f(z + k * (a * s + b * t))[0]) for a, b in signs])
    weights = np.array([a * b for a, b in signs])
    return float(weights @ values) / (4 * k * k), 4 * _EPS * float(np.abs(values).sum()) / (4 * k * k)


def _extrapolated(ladder: Array) -> tuple[float, float]:
    return limit(ladder[:, 0], ladder[:, 1], float(_DISTANCES[0] / _DISTANCES[1]))
