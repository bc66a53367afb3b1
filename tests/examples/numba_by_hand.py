"""Loops written by hand and compiled by numba: the limit that a compiler of the same programs can reach.

``compare.py run --suite engine --size medium -o value_and_gradient -b manual -b ./tests/examples/numba_by_hand.py``

Each loop reads its inputs once, keeps everything else in registers and writes the gradient. Programs in which matrix
products decide have no loop here: nothing is faster than BLAS.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autodiff_compare.backends.interface import NumpyArrays, Objective, Prepared, Request, Unsupported
from autodiff_compare.problems import engine_suite
from autodiff_compare.vocabulary import Operator

_STEP = 1.0001


def cubic(a: float, b: float, c: float, d: float, x: Any, y: Any) -> Any:
    value = s0 = s1 = s2 = s3 = 0.0
    for i in range(len(x)):
        t = x[i]
        r = ((d * t + c) * t + b) * t + a - y[i]
        value += r * r
        s0 += r
        s1 += r * t
        s2 += r * t * t
        s3 += r * t * t * t
    return value, (2 * s0, 2 * s1, 2 * s2, 2 * s3)


def rosenbrock(x: Any) -> Any:
    g = np.empty_like(x)
    value = carried = 0.0
    for i in range(len(x) - 1):
        a = x[i]
        t, u = x[i + 1] - a * a, 1 - a
        value += 100 * t * t + u * u
        g[i] = carried - 400 * a * t - 2 * u
        carried = 200 * t
    g[len(x) - 1] = carried
    return value, g


def number_chain(y: float, n: int) -> Any:
    slope = 1.0
    for _ in range(n):
        y = y * _STEP + 0.5
        slope *= _STEP
    return y, slope


def vector_chain(y: Any, n: int) -> Any:
    value, g = 0.0, np.empty_like(y)
    for i in range(len(y)):
        z, slope = y[i], 1.0
        for _ in range(n):
            z = z * _STEP + 0.5
            slope *= _STEP
        value += z
        g[i] = slope
    return value, g


def atoms(x: Any, itself: Any) -> Any:
    # No atom is paired with itself here.
    g = np.zeros_like(x)
    value = 0.0
    for i in range(len(x)):
        for j in range(i):
            a, b, c = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1], x[i, 2] - x[j, 2]
            s = 1 / (a * a + b * b + c * c)
            cube = s * s * s
            value += 4 * (cube * cube - cube)
            w = -24 * (2 * cube - 1) * cube * s
            g[i, 0] += w * a
            g[i, 1] += w * b
            g[i, 2] += w * c
            g[j, 0] -= w * a
            g[j, 1] -= w * b
            g[j, 2] -= w * c
    return value, g


def populations(parameters: Any, start: Any, steps: Any) -> Any:
    a, b, c, d = parameters
    path = np.empty((len(steps), 4))
    u, v = start
    for i in range(len(steps)):
        h = steps[i] / 2
        m, n = u + h * u * (a - b * v), v + h * v * (d * u - c)
        path[i, 0], path[i, 1], path[i, 2], path[i, 3] = u, v, m, n
        u, v = u + 2 * h * m * (a - b * n), v + 2 * h * n * (d * m - c)
    value = u + v
    p, q, ga, gb, gc, gd = 1.0, 1.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(steps) - 1, -1, -1):
        h = steps[i] / 2
        u, v, m, n = path[i, 0], path[i, 1], path[i, 2], path[i, 3]
        s, t = 2 * h * p, 2 * h * q
        ga, gb, gc, gd = ga + s * m, gb - s * m * n, gc - t * n, gd + t * m * n
        s, t = (a - b * n) * s + d * n * t, (d * m - c) * t - b * m * s
        p, q = p + s, q + t
        s, t = h * s, h * t
        ga, gb, gc, gd = ga + s * u, gb - s * u * v, gc - t * v, gd + t * u * v
        p, q = p + (a - b * v) * s + d * v * t, q + (d * u - c) * t - b * u * s
    return value, (np.array([ga, gb, gc, gd]), np.array([p, q]))


def _of_numbers(loop: Any) -> Prepared:
    """Return the loop as a function of 0-d arrays that are numbers to it."""

    def call(*args: Any, **static: Any) -> Any:
        value, gradient = loop(*(x.item() if x.ndim == 0 else x for x in args), **static)
        return np.float64(value), tuple(map(np.float64, gradient)) if isinstance(gradient, tuple) else np.float64(
            gradient
        )

    return call


#: Program -> its loop.
LOOPS: dict[str, Callable[..., Any]] = {
    "engine_goldstein_price": engine_suite.goldstein_price_by_hand,
    "engine_cubic": cubic,
    "engine_rosenbrock": rosenbrock,
    "engine_number_chain": number_chain,
    "engine_vector_chain": vector_chain,
    "engine_atoms": atoms,
    "engine_populations": populations,
}
_NUMBERS = frozenset({"engine_goldstein_price", "engine_cubic", "engine_number_chain"})


class NumbaByHand(NumpyArrays):
    """The loops as a backend of one operator."""

    name = "numba_by_hand"
    requires = ("numba",)
    native = frozenset({Operator.VALUE, Operator.VALUE_AND_GRADIENT})

    def _native(self, request: Request) -> Prepared:
        if request.operator is Operator.VALUE:
            return request.function
        # Closed forms are methods of an object that has the problem and its inputs.
        forms = request.f.closed_forms if isinstance(request.f, Objective) else {}
        known = getattr(forms.get(Operator.VALUE_AND_GRADIENT), "__self__", None)
        name = known.problem.name if known is not None else "a function"
        if known is None or name not in LOOPS:
            raise Unsupported(f"no loop is written by hand for {name}")
        return partial(compiled(name), **known.inputs.static)


def compiled(name: str) -> Prepared:
    """Return the compiled loop of a program."""
    import numba

    loop = numba.njit(LOOPS[name])
    return _of_numbers(loop) if name in _NUMBERS else loop
