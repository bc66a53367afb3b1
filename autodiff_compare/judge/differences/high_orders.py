"""Numerical derivatives of any order along a line, with error bars, by interpolation at Chebyshev points.

``phi(t) = f(x + t u)`` is evaluated at N Chebyshev points of [-h, h]. The polynomial through them has the k-th
derivative ``w_k @ phi / h^k`` at 0, with weights that depend on N alone. For a smooth function its error falls
geometrically with N, and with each halving of h by ``2^(N-k)``; the rounding of f is magnified by ``|w_k| / h^k``. So
h falls by factors of two, and each estimate has a bar: its distance from that of the next smaller h, or a part of that
from the next larger one, and the magnified rounding. The estimate with the smallest bar is taken. At a kink no two
agree, and the bar is wide.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from autodiff_compare.judge.differences.derivatives import Wide, float64_only
from autodiff_compare.judge.differences.estimates import Estimates
from autodiff_compare.judge.differences.ladder import FlatFunction
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: Halvings of the interval, from a quarter of the direction.
_HALVINGS = 10
#: Points beyond the order of the derivative.
_MORE = 13
#: Factor by which halving h reduces the error of a smooth function, at least.
_FALL = 16.0
#: Roundings by which a value of the function may be off.
_ROUNDINGS = 4.0


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
    nodes, weights = _weights(order)
    x, u = x.astype(dtype), u.astype(dtype)
    values, roundings, estimates = [], [], []
    steps = 0.25 * 0.5 ** np.arange(_HALVINGS)
    eps = float(np.finfo(dtype).eps)
    with np.errstate(all="ignore"):
        for h in steps:
            phi = np.stack([f(x + dtype(h * t) * u) for t in nodes])
            power = np.array([h**k for k in range(1, order + 1)])[:, None]
            estimates.append((weights.astype(dtype) @ phi / power).astype(np.float64))
            noise = _ROUNDINGS * max(eps, float(np.finfo(phi.dtype).eps)) * np.abs(phi).astype(np.float64)
            roundings.append(np.abs(weights) @ noise / power)
            values.append(np.abs(phi).max(axis=0).astype(np.float64))
        found, rounding = np.stack(estimates), np.stack(roundings)
        apart = np.abs(np.diff(found, axis=0))
        # Two neighbours may agree by chance: the larger h must agree too, whose error is far larger.
        before = np.concatenate([np.full_like(apart[:1], np.inf), apart[:-1]]) / _FALL
        bars = np.maximum(apart, before) + rounding[:-1] + rounding[1:]
        bars = np.where(np.isfinite(bars), bars, np.inf)
        best = np.argmin(bars, axis=0)
    size = np.max(values, axis=0)
    return [_estimates(found[:, k], bars[:, k], best[k], size, steps) for k in range(order)]


def _estimates(found: Array, bars: Array, best: Array, size: Array, steps: Array) -> Estimates:
    column = np.arange(found.shape[1])
    value, bar = found[best, column], bars[best, column]
    good = np.isfinite(value) & np.isfinite(bar)
    none = np.full(value.shape, math.nan)
    return Estimates(
        derivative=np.where(good, value, math.nan),
        bar=np.where(good, bar, math.nan),
        low=none,
        high=none,
        size=size,
        step=steps[best],
        verdicts=tuple(Verdict.PASS if g else Verdict.UNDETERMINED for g in good),
    )


@functools.cache
def _weights(order: int) -> tuple[Array, Array]:
    """Return the Chebyshev points of [-1, 1], and the weights of the derivatives at 0 of the orders 1, 2, ...

    With ``p = sum_j c_j T_j`` the coefficients are ``c_j = 2/N sum_i p(t_i) T_j(t_i)``, half of it for j = 0.
    """
    count = order + _MORE
    angles = (np.arange(count) + 0.5) * (math.pi / count)
    nodes = np.cos(angles)
    coefficients = 2.0 / count * np.cos(np.outer(np.arange(count), angles))
    coefficients[0] /= 2
    units = [np.polynomial.Chebyshev(unit) for unit in np.eye(count)]
    rows = [np.array([unit.deriv(k)(0.0) for unit in units]) @ coefficients for k in range(1, order + 1)]
    return nodes, np.stack(rows)
