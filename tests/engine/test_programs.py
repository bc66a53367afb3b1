"""Random programs: values used again and again, broadcast, summed and indexed, against forward mode.

The forward sweep shares nothing with the hand-written backward sweeps, which pass cotangents on, keep them as one
number and add to them in place; a mistake in who owns what shows where a value is used often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, hvp, jvp, vjp

C = np.random.default_rng(0).normal(size=(3, 4))
#: What a step may do with two values and a number; shapes are (3, 4), (4,), (3, 1) and ().
STEPS: list[Callable[[Any, Any, float], Any]] = [
    lambda a, b, k: a + b,
    lambda a, b, k: a - b,
    lambda a, b, k: a * b,
    lambda a, b, k: a * a,
    lambda a, b, k: a * k,
    lambda a, b, k: a / 3,
    lambda a, b, k: k - a,
    lambda a, b, k: -a,
    lambda a, b, k: np.tanh(a) ** 2,
    lambda a, b, k: np.tanh(a) ** 3,
    lambda a, b, k: a * C,
    lambda a, b, k: C - a,
    lambda a, b, k: np.mean(a) * b,
    lambda a, b, k: abs(a - k),
    lambda a, b, k: np.maximum(a, k),
    lambda a, b, k: np.sum((a * C)[1:], axis=0),
    lambda a, b, k: (a + C)[:, 1:2],
    lambda a, b, k: np.sum(a * C, axis=0) + (C.T @ (C + b))[0],
]


def program(rng: np.random.Generator) -> Callable[..., Any]:
    """A scalar function of a matrix, a row and a number."""
    length = int(rng.integers(3, 14))
    steps = [
        (STEPS[rng.integers(len(STEPS))], int(rng.integers(99)), int(rng.integers(99)), float(rng.normal()))
        for _ in range(length)
    ]

    def run(x: Any, y: Any, s: Any) -> Any:
        values = [x, y, s]
        for step, i, j, k in steps:
            made = step(values[i % len(values)], values[j % len(values)], k)
            values.append(np.tanh(made) if i % 3 else made)
        return sum(0.5 * np.sum(v) for v in values[3:])

    return run


@pytest.mark.parametrize("seed", range(60))
def test_a_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    f = program(rng)
    args = (rng.normal(size=(3, 4)), rng.normal(size=4), np.float64(rng.normal()))
    before = [np.copy(a) for a in args]
    tangents = (rng.normal(size=(3, 4)), rng.normal(size=4), np.float64(rng.normal()))
    every = (0, 1, 2)

    def along(gradient: Any) -> Any:
        return sum(np.sum(g * t) for g, t in zip(gradient, tangents, strict=True))

    gradient = grad(f, every)(*args)
    scale = 1 + sum(np.sum(np.abs(g * t)) for g, t in zip(gradient, tangents, strict=True))
    assert along(gradient) == pytest.approx(jvp(f, args, tangents)[1], rel=0, abs=1e-12 * scale)
    pullback = vjp(f, *args)[1]
    for g, first, again in zip(gradient, pullback(1.0), pullback(1.0), strict=True):
        np.testing.assert_array_equal(first, again)
        np.testing.assert_allclose(first, g, rtol=1e-12, atol=1e-12 * scale)
    expected = hvp(f, args, tangents)
    for found in (
        grad(lambda *xs: along(grad(f, every)(*xs)), every)(*args),
        grad(lambda *xs: jvp(f, xs, tangents)[1], every)(*args),
    ):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * (1 + np.max(np.abs(b))))
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)
