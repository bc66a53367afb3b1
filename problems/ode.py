"""A linear chain of ordinary differential equations, integrated by the classic Runge-Kutta method.

The chain is ``y_0' = x_0``, ``y_i' = x_i y_{i-1}`` with ``y(0) = 0``, integrated from 0 to 2 in s steps of fourth
order. The value is the last of the n components. ``ode`` loops by the `scan` of each backend. ``ode_unrolled`` has
the same steps in a Python loop, which a tracing framework sees as one program of s steps.

For the closed form, let N be the matrix with ``x_i`` below its diagonal. A step multiplies the vector ``(1, y)`` by::

    P(h N),    P(z) = 1 + z + z^2/2 + z^3/6 + z^4/24

The power ``N^k`` moves an entry k places down and multiplies it by the x that it passes. So after all steps::

    y_{n-1} = c x_0 x_1 ... x_{n-1},    c = coefficient of z^n in the product of P(h_k z) over the steps

The gradient is ``y/x_j``; the Hessian is ``y/(x_i x_j)`` off its diagonal and zero on it. A step carries information at
most four components down: for ``n > 4 s`` value and derivatives are zero, and prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.problems.base.runge_kutta import advanced
from autodiff_compare.vocabulary import Operator


def _step(y: Any, h: Any, x: Any, xp: Any) -> Any:
    """Return y after a step of the classic Runge-Kutta method of fourth order."""
    return advanced(lambda y: x * xp.concat([xp.ones_like(y[:1]), y[:-1]]), y, h)


def _last(x: Any, steps: Any, *, scan: Callable[..., Any], xp: Any) -> Any:
    y, _ = scan(lambda y, h: (_step(y, h, x, xp), None), xp.zeros_like(x), steps)
    return y[-1]


def _unrolled(x: Any, steps: Any, *, xp: Any) -> Any:
    y = xp.zeros_like(x)
    for h in xp.unstack(steps):
        y = _step(y, h, x, xp)
    return y[-1]


def _coefficient(n: int, steps: Array) -> Any:
    """Return the coefficient of ``z^n`` in the product of ``P(h z)`` over the steps."""
    c = np.zeros(n + 1, steps.dtype)
    c[0] = 1
    for h in steps:
        moved = [h**k / math.factorial(k) * c[: n + 1 - k] for k in range(min(4, n) + 1)]
        for k, part in enumerate(moved):
            c[k:] = part if k == 0 else c[k:] + part
    return c[n]


def _value(x: Array, steps: Array) -> Array:
    return np.asarray(_coefficient(x.size, steps) * np.prod(x))


def _gradient(x: Array, steps: Array) -> Array:
    # Not y / x_j, which is nan where an x is zero.
    others = np.stack([np.prod(np.delete(x, j)) for j in range(x.size)])
    return np.asarray(_coefficient(x.size, steps) * others)


def _hessian(x: Array, steps: Array) -> Array:
    H = np.zeros((x.size, x.size), x.dtype)
    for i in range(x.size):
        for j in range(i):
            H[i, j] = H[j, i] = np.prod(np.delete(x, [i, j]))
    return np.asarray(_coefficient(x.size, steps) * H)


def _inputs(rng: np.random.Generator, s: int) -> Inputs:
    """Draw n = 8 log10 s components: the value is about ``(2/e)^n / n!``, below float32's range at n = 30."""
    return Inputs((rng.random(round(8 * math.log10(s))),), (np.full(s, 2.0 / s),))


#: XLA takes 2.5, 7 and 29 s of processor time to compile the gradient of these unrolled steps, and 113 s for 60.
_UNROLLED = {"small": 10, "medium": 20, "large": 40}


def _problem(
    name: str, title: str, objective: Callable[..., Any], uses: tuple[str, ...], sizes: Mapping[str, int]
) -> Problem:
    return Problem(
        name=name,
        title=title,
        source="GradBench, evaluation ode; sizes: s steps for 8 log10 s components",
        sizes=sizes,
        inputs=_inputs,
        objective=objective,
        operators=SCALAR,
        reference={Operator.VALUE: _value, Operator.GRADIENT: _gradient, Operator.HESSIAN: _hessian},
        suites=frozenset({"gradbench"}),
        uses=uses,
    )


PROBLEMS = (
    _problem(
        "ode",
        "chain of differential equations by Runge-Kutta, through the backend's scan",
        _last,
        ("scan",),
        {"small": 10, "medium": 100, "large": 1000},
    ),
    _problem("ode_unrolled", "chain of differential equations, unrolled in Python", _unrolled, (), _UNROLLED),
)
