"""The bare operations of the cubic fit, whose targets are missed.

Command: ``python -m autodiff_compare.backends.numpy_autodiff.tools.bare``.

Each form below does what a system must do at least, without recording, checks of arguments or a sweep. It is timed in
turns with the gradient by hand, and the ratio of the minima is printed. No system that calls the same NumPy functions
is faster than its form. Set ``OPENBLAS_NUM_THREADS=1`` for one thread.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

_ROUNDS, _CALLS = 200, 50


def cubic_as_recorded(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Compute the terms as they are written, and the products of the backward sweep."""
    bx, cx, dx = b * x, c * x, d * x
    cxx, dxx = cx * x, dx * x
    dxxx = dxx * x
    r = a + bx + cxx + dxxx - y
    g = 2.0 * r
    gx = g * x
    return r.dot(r), (g.sum(), g.dot(x), gx.dot(x), (gx * x).dot(x))


def cubic_in_fewest_passes(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Use Horner's rule, no memory but two vectors, and dot products for all sums: fourteen passes."""
    r = np.multiply(d, x)
    for k in (c, b, a):
        np.add(r, k, r)
        if k is not a:
            np.multiply(r, x, r)
    np.subtract(r, y, r)
    value, by_a, by_b = r.dot(r), r.dot(_ONES), r.dot(x)
    np.multiply(r, x, r)
    by_c = r.dot(x)
    np.multiply(r, x, r)
    return value, (2 * by_a, 2 * by_b, 2 * by_c, 2 * r.dot(x))


def cubic_by_matrix(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """Fill a matrix of powers, and use two products with it."""
    powers = np.empty((4, len(x)))
    powers[0], powers[1] = 1.0, x
    np.multiply(x, x, powers[2])
    np.multiply(powers[2], x, powers[3])
    r = np.array([a, b, c, d]).dot(powers)
    np.subtract(r, y, r)
    return r.dot(r), tuple(2 * powers.dot(r))


_POINTS = 2000
_ONES = np.ones(_POINTS)
FORMS: tuple[Callable[..., Any], ...] = (cubic_as_recorded, cubic_in_fewest_passes, cubic_by_matrix)


def arguments() -> tuple[Any, ...]:
    """Return coefficients and points of the cubic fit."""
    x = np.linspace(-np.pi, np.pi, _POINTS)
    return (*map(float, np.random.default_rng(0).normal(size=4)), x, np.sin(x))


def ratios() -> dict[str, float]:
    """Return the time of each form over that of the gradient by hand."""
    hand: Any = importlib.import_module("autodiff_compare.problems.engine_suite").cubic_by_hand
    args, best = arguments(), dict.fromkeys((hand, *FORMS), float("inf"))
    for _ in range(_ROUNDS):
        for f in best:
            start = time.perf_counter()
            for _ in range(_CALLS):
                f(*args)
            best[f] = min(best[f], time.perf_counter() - start)
    return {f.__name__: best[f] / best[hand] for f in FORMS}


if __name__ == "__main__":
    for name, ratio in ratios().items():
        print(f"{name.replace('_', ' ')}: {ratio:.2f} times the gradient by hand")
