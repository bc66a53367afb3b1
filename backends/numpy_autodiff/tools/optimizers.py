"""Optimizers as pure functions of lists of arrays, with parameters p, gradients g and learning rate lr.

Each takes ``(params, grads, state, **hyperparameters)`` and returns the new parameters and the new state; ``state`` is
None at first. Parameters keep their dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Arrays = Sequence[Any]


def sgd(params: Arrays, grads: Arrays, state: None = None, *, learning_rate: float) -> tuple[tuple[Any, ...], None]:
    """Take a step of gradient descent: ``p - lr g``."""
    return tuple(p - learning_rate * g for p, g in zip(params, grads, strict=True)), state


def momentum(
    params: Arrays, grads: Arrays, state: Arrays | None = None, *, learning_rate: float, momentum: float = 0.9
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Take a step with momentum (Polyak 1964): ``v = momentum v + g``, then ``p - lr v``."""
    velocity = _velocity(grads, state, momentum)
    return tuple(p - learning_rate * v for p, v in zip(params, velocity, strict=True)), velocity


def nesterov(
    params: Arrays, grads: Arrays, state: Arrays | None = None, *, learning_rate: float, momentum: float = 0.9
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Take a step of Nesterov (1983), as in PyTorch: ``v = momentum v + g``, then ``p - lr (g + momentum v)``."""
    velocity = _velocity(grads, state, momentum)
    new = (p - learning_rate * (g + momentum * v) for p, g, v in zip(params, grads, velocity, strict=True))
    return tuple(new), velocity


def _velocity(grads: Arrays, state: Arrays | None, momentum: float) -> tuple[Any, ...]:
    if state is None:
        return tuple(g + 0 for g in grads)
    return tuple(momentum * v + g for v, g in zip(state, grads, strict=True))


class AdamState(NamedTuple):
    """The number of updates, and the first and second moments of the gradients."""

    updates: int
    first: tuple[Any, ...]
    second: tuple[Any, ...]


def adam(
    params: Arrays,
    grads: Arrays,
    state: AdamState | None = None,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_hat: bool = False,
) -> tuple[tuple[Any, ...], AdamState]:
    """Take a step of Adam (Kingma and Ba 2015, algorithm 1).

    ``m = b1 m + (1-b1) g``; ``v = b2 v + (1-b2) g^2``; ``p - lr m' / (sqrt(v') + eps)`` with
    ``m' = m/(1-b1^n)``, ``v' = v/(1-b2^n)``. With ``eps_hat`` (section 2 there, and Keras)
    ``p - lr sqrt(1-b2^n)/(1-b1^n) m / (sqrt(v) + eps)``.
    """
    zeros = tuple(0 * g for g in grads)
    n, first, second = state or AdamState(0, zeros, zeros)
    n += 1
    first = tuple(b1 * m + (1 - b1) * g for m, g in zip(first, grads, strict=True))
    second = tuple(b2 * v + (1 - b2) * (g * g) for v, g in zip(second, grads, strict=True))
    root = math.sqrt(1 - b2**n)
    rate = learning_rate * root / (1 - b1**n)
    shift = eps if eps_hat else eps * root
    new = (p - rate * m / (np.sqrt(v) + shift) for p, m, v in zip(params, first, second, strict=True))
    return tuple(new), AdamState(n, first, second)
