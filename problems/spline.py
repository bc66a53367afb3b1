"""A natural cubic spline fitted to data: the sum of squared residuals, in the values at the knots.

On an interval of length h with values y0, y1 and second derivatives m0, m1 at its ends, at the fraction f::

    s = (1-f) y0 + f y1 + h^2/6 ((1-f)^3 - (1-f)) m0 + h^2/6 (f^3 - f) m1

Continuity of s' at an inner knot, with the intervals h0 and h1 on its two sides, gives a row of ``A m = B y``::

    h0/6 m0 + (h0 + h1)/3 m1 + h1/6 m2 = (y2 - y1)/h1 - (y1 - y0)/h0

A natural spline has m = 0 at both ends. The spline is linear in the values, s = W y, so with the data z::

    L = |W y - z|^2,    gradient 2 W^T (W y - z),    Hessian 2 W^T W
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import solve
from autodiff_compare.vocabulary import Operator


def _misfit(
    y: Any, A: Any, B: Any, interval: Any, left: Any, right: Any, left_m: Any, right_m: Any, z: Any, *, xp: Any
) -> Any:
    end = xp.zeros_like(y[:1])
    m = xp.concat([end, xp.linalg.solve(A, xp.matmul(B, y)), end])
    s = left * xp.take(y, interval) + right * xp.take(y, interval + 1)
    s = s + left_m * xp.take(m, interval) + right_m * xp.take(m, interval + 1)
    return xp.sum((s - z) ** 2)


def _design(y: Array, A: Array, B: Array, interval: Array, *weights: Array) -> Array:
    """Return W, (points, knots)."""
    left, right, left_m, right_m = (w[:, None] for w in weights)
    values = np.eye(y.size, dtype=y.dtype)
    curves = np.pad(solve(A, B), ((1, 1), (0, 0)))
    return np.asarray(
        left * values[interval]
        + right * values[interval + 1]
        + left_m * curves[interval]
        + right_m * curves[interval + 1]
    )


def _value(y: Array, *data: Array) -> Array:
    return np.asarray(np.sum((_design(y, *data[:-1]) @ y - data[-1]) ** 2))


def _gradient(y: Array, *data: Array) -> Array:
    W = _design(y, *data[:-1])
    return np.asarray(2 * (W.T @ (W @ y - data[-1])))


def _hessian(y: Array, *data: Array) -> Array:
    W = _design(y, *data[:-1])
    return np.asarray(2 * (W.T @ W))


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n knots with uneven spacing, and ten points of a noisy sine for each."""
    h = rng.uniform(0.5, 1.5, n - 1)
    knots = np.concatenate([[0.0], np.cumsum(h)])
    points = np.sort(rng.uniform(0.0, knots[-1], 10 * n))
    interval = np.clip(np.searchsorted(knots, points, side="right") - 1, 0, n - 2)
    width, f = h[interval], (points - knots[interval]) / h[interval]
    weights = (1 - f, f, width**2 / 6 * ((1 - f) ** 3 - (1 - f)), width**2 / 6 * (f**3 - f))
    z = np.sin(points) + 0.1 * rng.normal(size=points.size)
    return Inputs((rng.normal(size=n),), (*_system(h), interval, *weights, z))


def _system(h: Array) -> tuple[Array, Array]:
    """Return the tridiagonal A (n-2, n-2) and B (n-2, n) for interval lengths h (n-1,)."""
    before, after, inside = h[:-1], h[1:], np.arange(h.size - 1)
    A = np.diag((before + after) / 3) + np.diag(after[:-1] / 6, 1) + np.diag(before[1:] / 6, -1)
    B = np.zeros((inside.size, h.size + 1))
    B[inside, inside], B[inside, inside + 1], B[inside, inside + 2] = 1 / before, -1 / before - 1 / after, 1 / after
    return A, B


PROBLEM = Problem(
    name="spline",
    title="natural cubic spline through n values fitted to 10 n points, in the values",
    source="de Boor, A Practical Guide to Splines, chapter IV; linear in the values, gradient 2 W^T (W y - z)",
    sizes={"small": 6, "medium": 50, "large": 300},
    inputs=_inputs,
    objective=_misfit,
    reference={Operator.VALUE: _value, Operator.GRADIENT: _gradient, Operator.HESSIAN: _hessian},
    suites=frozenset({"tests"}),
)
