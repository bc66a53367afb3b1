"""Linear least squares: a polynomial with 128 coefficients fitted to the sign function.

With the Vandermonde matrix ``V_ij = t_i^j``::

    L = |V x - s|^2 / 2,    gradient V^T (V x - s),    Hessian V^T V
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_COEFFICIENTS = 128


def _loss(x: Any, t: Any, s: Any, *, xp: Any) -> Any:
    powers = xp.reshape(t, (-1, 1)) ** xp.arange(x.shape[0], dtype=x.dtype)
    residual = s - xp.matmul(powers, x)
    return xp.sum(residual * residual) / 2


def _vandermonde(x: Array, t: Array) -> Array:
    """Return V, by repeated products in the dtype of ``t``."""
    columns = [np.ones_like(t)]
    for _ in range(x.shape[0] - 1):
        columns.append(columns[-1] * t)
    return np.stack(columns, axis=-1)


def _value(x: Array, t: Array, s: Array) -> Array:
    return np.asarray(np.sum((s - _vandermonde(x, t) @ x) ** 2) / 2)


def _gradient(x: Array, t: Array, s: Array) -> Array:
    V = _vandermonde(x, t)
    return np.asarray(V.T @ (V @ x - s))


def _hessian(x: Array, t: Array, s: Array) -> Array:  # noqa: ARG001 - constant in x
    V = _vandermonde(x, t)
    return np.asarray(V.T @ V)


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    t = -1 + 2 * np.arange(n) / (n - 1)
    return Inputs((rng.random(_COEFFICIENTS),), (t, np.sign(t)))


PROBLEM = Problem(
    name="llsq",
    title="1/2 sum_i (s_i - sum_j x_j t_i^j)^2, s the sign of n points t in [-1, 1]",
    source="GradBench, evaluation llsq: 128 coefficients in [0, 1), n = 16 ... 16384; gradient V^T (V x - s)",
    sizes={"small": 16, "medium": 1024, "large": 16384},
    inputs=_inputs,
    objective=_loss,
    reference={Operator.VALUE: _value, Operator.GRADIENT: _gradient, Operator.HESSIAN: _hessian},
    samples=(1, 2),
    suites=frozenset({"gradbench"}),
)
