"""Cubic fit of the sine: the sum of squared residuals of a x^3 + b x^2 + c x + d on [-pi, pi].

The model is V theta, with the powers of the points as columns of V. Therefore::

    L = |V theta - y|^2,    gradient 2 V^T (V theta - y),    Hessian 2 V^T V
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Descent, Inputs, Problem
from autodiff_compare.vocabulary import Operator, Optimizer


def _loss(theta: Any, x: Any, y: Any, *, xp: Any) -> Any:
    model = ((theta[0] * x + theta[1]) * x + theta[2]) * x + theta[3]
    residual = model - y
    return xp.sum(residual * residual)


def _powers(x: Array) -> Array:
    """Return the columns x^3, x^2, x, 1, in the dtype of ``x``."""
    return np.stack([x * x * x, x * x, x, np.ones_like(x)], axis=-1)


def _gradient(theta: Array, x: Array, y: Array) -> Array:
    V = _powers(x)
    return np.asarray(2 * (V.T @ (V @ theta - y)))


def _hessian(theta: Array, x: Array, y: Array) -> Array:  # noqa: ARG001 - constant in theta
    V = _powers(x)
    return np.asarray(2 * (V.T @ V))


def _points(n: int) -> tuple[Array, Array]:
    # All backends get NumPy's grid: torch's float32 linspace differs from its rounding at 604 of 2000 points.
    x = np.linspace(-math.pi, math.pi, n)
    return x, np.sin(x)


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.uniform(-1.0, 1.0, 4),), _points(n))


def _classic(seed: int) -> Array:
    """Return the classic start for seed 0, a random one for other seeds."""
    return np.array([0.1, 0.2, 0.3, 0.4]) if seed == 0 else np.random.RandomState(seed).randn(4)


def _normal(seed: int) -> Array:
    """Return four standard normal numbers, for seed 0 those of ``torch.manual_seed(0)`` and ``torch.randn(())``."""
    if seed:
        return _classic(seed)
    return np.array([1.5409960746765137, -0.293428897857666, -2.1787793772125244, 0.5684312582015991])


def _descent(start: Callable[[int], Array] = _classic, n: int = 2000, **changes: Any) -> Descent:
    """Return the classic descent on n points."""
    settings: dict[str, Any] = {
        "optimizer": Optimizer("sgd", learning_rate=1e-6),
        "start": lambda seed: Inputs((start(seed),), _points(n)),
        "max_iterations": 2000,
        "follow": {"theta": lambda theta: theta},
        "sized": lambda other: _descent(start, other, **changes),
    }
    return Descent(**(settings | changes))


PROBLEM = Problem(
    name="cubic_fit",
    title="cubic fit of sin on [-pi, pi], sum of squares",
    source="classic study: 2000 points, gradient descent with lr 1e-6 for 2000 steps; gradient 2 V^T (V theta - y)",
    sizes={"small": 2000, "medium": 20_000, "large": 200_000},
    inputs=_inputs,
    objective=_loss,
    reference={
        Operator.VALUE: lambda theta, x, y: np.sum((_powers(x) @ theta - y) ** 2),
        Operator.GRADIENT: _gradient,
        Operator.HESSIAN: _hessian,
    },
    samples=(1, 2),
    descent={
        "cleared": _descent(),
        # The classic mistake: gradients add up from step to step and the loss oscillates. Here it ends at 7.6e4.
        "accumulated": _descent(_normal, accumulate=True),
    },
)
