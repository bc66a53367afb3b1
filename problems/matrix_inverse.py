"""The inverse of a matrix by descent: Y with X Y = I, from absolute or from squared residuals.

With the residual ``R = X Y - I``::

    sum |R|:    gradient X^T sign(R), with a kink wherever an entry of R is 0
    sum R^2:    gradient 2 X^T R, Hessian H_ijkl = 2 (X^T X)_ik [j = l]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Adaptive, Array, Descent, Inputs, Problem
from autodiff_compare.vocabulary import Operator, Optimizer

_SOURCE = "classic study: X Y = I for a random 3x3 X, RandomState(seed): X = rand(3, 3), Y0 = rand(3, 3)"


def _absolute(Y: Any, X: Any, target: Any, *, xp: Any) -> Any:
    return xp.sum(xp.abs(xp.matmul(X, Y) - target))


def _squared(Y: Any, X: Any, target: Any, *, xp: Any) -> Any:
    residual = xp.matmul(X, Y) - target
    return xp.sum(residual * residual)


def _absolute_gradient(Y: Array, X: Array, target: Array) -> Array:
    # Where a residual is exactly 0 the subgradient sign(0) = 0 is taken; any value in [-1, 1] is a subgradient.
    return np.asarray(X.T @ np.sign(X @ Y - target))


def _squared_gradient(Y: Array, X: Array, target: Array) -> Array:
    return np.asarray(2 * (X.T @ (X @ Y - target)))


def _squared_hessian(Y: Array, X: Array, target: Array) -> Array:  # noqa: ARG001 - constant in Y
    n = Y.shape[1]
    return np.asarray(np.multiply.outer(2 * (X.T @ X), np.eye(n, dtype=X.dtype)).transpose(0, 2, 1, 3))


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    X, Y = rng.random((n, n)), rng.random((n, n))
    return Inputs((Y,), (X, np.eye(n)))


def _drawn(seed: int, n: int) -> tuple[Inputs, np.random.RandomState]:
    stream = np.random.RandomState(seed)
    X, Y = stream.rand(n, n), stream.rand(n, n)
    return Inputs((Y,), (X, np.eye(n))), stream


def _descent(n: int = 3, max_restarts: int = 10_000, gradient: Any = "fresh", **changes: Any) -> Descent:
    """Return the classic descent for matrices of n rows; an adaptive one starts with the optimizer's learning rate."""
    settings: dict[str, Any] = {
        "optimizer": Optimizer("sgd", learning_rate=0.01),
        "start": lambda seed: _drawn(seed, n)[0],
        "stop_when": "after",
        "max_iterations": 1_000_000,
        "adaptive": Adaptive(lambda seed: _drawn(seed, n)[1], max_restarts=max_restarts, gradient=gradient),
        "sized": lambda other: _descent(other, max_restarts, gradient, **changes),
    }
    return Descent(**(settings | changes))


PROBLEMS = (
    Problem(
        name="matrix_inverse_absolute",
        title="Y with X Y = I: sum |X Y - I|",
        source=f"{_SOURCE}; dE/dY = X^T sign(X Y - I), with a kink wherever a residual is 0; no curvature elsewhere",
        sizes={"small": 3, "medium": 30, "large": 100},
        inputs=_inputs,
        objective=_absolute,
        operators=SCALAR - {Operator.HVP, Operator.HESSIAN},
        reference={
            Operator.VALUE: lambda Y, X, target: np.sum(np.abs(X @ Y - target)),
            Operator.GRADIENT: _absolute_gradient,
        },
        descent={
            "fresh": _descent(stop_loss=1e-3),
            "stale": _descent(stop_loss=1e-3, gradient="stale"),
            # Without restarts the descent stalls at E = 2.78, long before this bound.
            "no_restarts": _descent(stop_loss=1e-3, max_restarts=0, max_iterations=1000),
        },
    ),
    Problem(
        name="matrix_inverse_squared",
        title="Y with X Y = I: sum (X Y - I)^2",
        source=f"{_SOURCE}; dE/dY = 2 X^T (X Y - I)",
        sizes={"small": 3, "medium": 10, "large": 50},
        inputs=_inputs,
        objective=_squared,
        reference={
            Operator.VALUE: lambda Y, X, target: np.sum((X @ Y - target) ** 2),
            Operator.GRADIENT: _squared_gradient,
            Operator.HESSIAN: _squared_hessian,
        },
        descent={"fresh": _descent(stop_loss=1e-7)},
    ),
)
