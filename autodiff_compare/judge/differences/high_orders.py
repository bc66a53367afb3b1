"""Numerical derivatives of any order along a line, with error bars, by interpolation at Chebyshev points.

``phi(t) = f(x + t u)`` is evaluated at N Chebyshev points of [-h, h]. The polynomial through them has the k-th
derivative ``w_k @ phi / h^k`` at 0, with weights that depend on N alone. For a smooth function its error falls
geometrically with N, and with each halving of h by ``2^(N-k)``; the rounding of f is magnified by ``|w_k| / h^k``. So
h falls by factors of two, and each estimate has a bar: its distance from that of the next smaller h, or a part of that
from the next larger one, and the magnified rounding. The estimate with the smallest bar is taken.

At a kink of a derivative the polynomial settles on a mean of both sides, or not at all. The points of either side alone
give one-sided derivatives in the same way. Where they exclude each other, that derivative does not exist, nor do those
of higher order.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from autodiff_compare.judge.differences.derivatives import Wide, float64_only
from autodiff_compare.judge.differences.estimates import EPS, Estimates
from autodiff_compare.judge.differences.ladder import WIDE, FlatFunction
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: Orders up to which intervals begin at a quarter of the direction. The rounding of higher ones is magnified more, so
#: that they need larger intervals, where the function allows them.
_LOW = 4
#: Largest interval, in units of the direction, and its halvings, for low and for high orders.
_LADDERS = ((0.25, 10), (8.0, 15))
#: Factor by which halving h reduces the error of a smooth function, at least.
_FALL = 16.0
#: Roundings by which a value of the function may be off.
_ROUNDINGS = 4.0
#: Part of a one-sided derivative by which the other one must differ to be another one.
_JUMP = 1e-3
#: Part of their distance by which three successive distances may differ from it.
_STEADY = 0.1


def along(f: FlatFunction, x: Array, u: Array, order: int, wide: Wide = float64_only) -> list[Estimates]:
    """Estimate the derivatives of the orders 1, 2, ... of ``t -> f(x + t u)`` at 0, of every output.

    Parameters
    ----------
    f
        Function of a flat vector of shape ``(n,)``, with values of shape ``(m,)``.
    x, u
        Point and direction, shape ``(n,)``. ``u`` should move each input by about its scale.
    order
        The highest order.
    wide
        Returns a floating type wider than float64 in which ``f`` computes, `None` if there is none.

    Returns
    -------
    list of Estimates
        One for each order, of m derivatives.
    """
    dtype = wide() or np.float64
    top, halvings = _LADDERS[order > _LOW]
    # The points of one side are half of them, and must tell derivatives up to the order as well.
    nodes, every = _weights(order, order + 13 if order <= _LOW else 2 * order + 5)
    x, u = x.astype(dtype), u.astype(dtype)
    ladder, values = [], []
    steps = top * 0.5 ** np.arange(halvings)
    eps = float(np.finfo(dtype).eps)
    with np.errstate(all="ignore"):
        for h in steps:
            phi = np.stack([f(x + dtype(h * t) * u) for t in nodes])
            power = np.array([h**k for k in range(1, order + 1)])[:, None]
            noise = _ROUNDINGS * max(eps, float(np.finfo(phi.dtype).eps)) * np.abs(phi).astype(np.float64)
            ladder.append([(w.astype(dtype) @ phi / power, np.abs(w) @ noise / power) for w in every])
            values.append(np.abs(phi).max(axis=0).astype(np.float64))
        sets = [[np.stack([row[k][j] for row in ladder]).astype(np.float64) for j in (0, 1)] for k in range(3)]
        middle, right, left = (_best(*each) for each in sets)
        corners = np.logical_or.accumulate(_jumps(right, left, sets[1][0] - sets[2][0]), axis=0)
        ends = _ends(right, left)
    size = np.max(values, axis=0)
    return [
        _estimates(middle[0][k], middle[1][k], (corners[k], *(e[k] for e in ends)), size, steps[middle[2][k]])
        for k in range(order)
    ]


def _best(found: Array, rounding: Array) -> tuple[Array, Array, Array]:
    """Return the estimates with the smallest bars, these bars, and the indices of their intervals, of shape (order, m).

    Parameters
    ----------
    found, rounding
        The estimates and the magnified rounding of each interval, shape (intervals, order, m).
    """
    apart = np.abs(np.diff(found, axis=0))
    # Two neighbours may agree by chance: the larger h must agree too, whose error is far larger.
    before = np.concatenate([np.full_like(apart[:1], np.inf), apart[:-1]]) / _FALL
    # An estimate in extended precision is itself rounded to a double.
    bars = np.maximum(apart, before) + rounding[:-1] + rounding[1:] + EPS * np.abs(found[:-1])
    bars = np.where(np.isfinite(bars), bars, np.inf)
    best = np.argmin(bars, axis=0)
    value, bar = (np.take_along_axis(a, best[None], axis=0)[0] for a in (found, bars))
    return value, bar, best


def _jumps(right: tuple[Array, ...], left: tuple[Array, ...], gaps: Array) -> Array:
    """Return where the derivatives of both sides exclude each other, shape (order, m).

    ``gaps`` are their distances in all intervals. Three successive ones must agree: noise grows with each halving.
    """
    (a, a_bar, _), (b, b_bar, _) = right, left
    apart = np.abs(a - b)
    near = np.abs(gaps - (a - b)) <= _STEADY * apart
    steady = (near[2:] & near[1:-1] & near[:-2]).any(axis=0)
    return np.asarray(steady & (apart > 3 * (a_bar + b_bar)) & (apart > _JUMP * np.maximum(np.abs(a), np.abs(b))))


def _ends(right: tuple[Array, ...], left: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return the interval of the one-sided derivatives, widened by their bars."""
    (a, a_bar, _), (b, b_bar, _) = right, left
    return np.minimum(a - a_bar, b - b_bar), np.maximum(a + a_bar, b + b_bar)


def _estimates(value: Array, bar: Array, kink: tuple[Array, ...], size: Array, step: Array) -> Estimates:
    """Return the estimates of one order; ``kink`` tells where there is one, and the interval of both sides."""
    corner, low, high = kink
    good = np.isfinite(value) & np.isfinite(bar) & ~corner
    return Estimates(
        derivative=np.where(good, value, math.nan),
        bar=np.where(good, bar, math.nan),
        doubt=np.zeros(good.shape),
        low=np.where(corner, low, math.nan),
        high=np.where(corner, high, math.nan),
        size=size,
        step=step,
        verdicts=tuple(
            Verdict.NONSMOOTH if c else Verdict.PASS if g else Verdict.UNDETERMINED
            for c, g in zip(corner.tolist(), good.tolist(), strict=True)
        ),
    )


@functools.cache
def _weights(order: int, count: int) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return ``count`` Chebyshev points of [-1, 1], and the weights of the derivatives at 0 of the orders 1, 2, ...

    There are three sets of weights: of all points, of those on the right, and of those on the left.

    With ``p = sum_j c_j T_j`` the coefficients are ``c_j = 2/N sum_i p(t_i) T_j(t_i)``, half of it for j = 0.
    """
    # In extended precision: an error of the weights is a relative error of the derivative, at all intervals alike.
    angles = (np.arange(count) + 0.5) * (np.arctan2(WIDE(0), WIDE(-1)) / count)
    nodes = np.cos(angles)
    coefficients = 2 / WIDE(count) * np.cos(np.outer(np.arange(count), angles))
    coefficients[0] /= 2
    units = [np.polynomial.Chebyshev(unit) for unit in np.eye(count)]
    rows = [np.array([unit.deriv(k)(0.0) for unit in units]) @ coefficients for k in range(1, order + 1)]
    right, left = (_one_sided(nodes.astype(np.float64), side, order) for side in (1.0, -1.0))
    return nodes, (np.stack(rows), right, left)


def _one_sided(nodes: Array, side: float, order: int) -> Array:
    """Return the weights of the derivatives at 0 of the polynomial through the points of one side.

    With ``s = 2 side t - 1`` the side is [-1, 1], and 0 is at s = -1.
    """
    which = np.flatnonzero(side * nodes > 0)
    matrix = np.polynomial.chebyshev.chebvander(2 * side * nodes[which] - 1, which.size - 1)
    units = [np.polynomial.Chebyshev(unit) for unit in np.eye(which.size)]
    weights = np.zeros((order, nodes.size))
    for k in range(1, order + 1):
        slopes = np.array([unit.deriv(k)(-1.0) for unit in units])
        weights[k - 1, which] = (2 * side) ** k * np.linalg.solve(matrix.T, slopes)
    return weights
