"""Cubic fit of the sine: the sum of squared residuals of a x^3 + b x^2 + c x + d on [-pi, pi].

The model is V theta, with the powers of the points as columns of V. Therefore::

    L = |V theta - y|^2,    gradient 2 V^T (V theta - y),    Hessian 2 V^T V
"""

from __future__ import annotations

import math
from functools import partial
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


def _start(seed: int) -> Inputs:
    """Return the classic start for seed 0, a random one for other seeds."""
    theta = np.array([0.1, 0.2, 0.3, 0.4]) if seed == 0 else np.random.RandomState(seed).randn(4)
    return Inputs((theta,), _points(2000))


def _normal_start(seed: int) -> Inputs:
    """Return four standard normal numbers, for seed 0 those of ``torch.manual_seed(0)`` and ``torch.randn(())``."""
    if seed:
        return _start(seed)
    return Inputs(
        (np.array([1.5409960746765137, -0.293428897857666, -2.1787893772125244, 0.5684312582015991]),), _points(2000)
    )


_descent = partial(Descent, optimizer=Optimizer("sgd", learning_rate=1e-6), start=_start, max_iterations=2000)

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
        "cleared": _descent(follow={"theta": lambda theta: theta}),
        # The classic mistake: gradients add up from step to step and the loss oscillates. Here it ends at 7.6e4.
        "accumulated": _descent(start=_normal_start, accumulate=True, follow={"theta": lambda theta: theta}),
    },
)
