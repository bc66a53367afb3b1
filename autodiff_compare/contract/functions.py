"""Small functions on which the operators of a backend are tested, each with a different source of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems import SCALAR, VECTOR, Array, Inputs, Problem


def _problem(
    name: str, title: str, objective: Callable[..., Any], draw: Callable[..., Any], vector: bool = False
) -> Problem:
    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        found = draw(rng, n)
        return found if isinstance(found, Inputs) else Inputs(found)

    return Problem(
        name=name,
        title=title,
        source="the contract of backends/interface.py",
        sizes={"small": 3},
        inputs=inputs,
        objective=objective,
        operators=VECTOR if vector else SCALAR,
        suites=frozenset(),
    )


def _labelled(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.normal(size=n), rng.normal(size=2)), (rng.normal(size=n), np.arange(n) % 2))


def _away(rng: np.random.Generator, shape: Any) -> Array:
    """Draw numbers that are not close to zero, where ``abs`` and ``where`` have a kink."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], size=shape))


PROBLEMS = (
    _problem(
        "power",
        "0-d: x (x^2 - 2 y)",
        lambda x, y, xp: xp.multiply(x, x * x - 2 * y),
        lambda rng, n: tuple(rng.normal(size=n)[:2]),
    ),
    _problem(
        "valley",
        "slices and powers of a vector",
        lambda x, xp: xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
        lambda rng, n: (rng.normal(size=n),),
    ),
    _problem(
        "layer",
        "a product, a bias that is broadcast, exp and log",
        lambda w, b, a, xp: xp.sum(xp.log(1 + xp.exp(xp.matmul(a, w) + b))),
        lambda rng, n: Inputs((rng.normal(size=(n, 2)), rng.normal(size=2)), (rng.normal(size=(4, n)),)),
    ),
    _problem(
        "labels",
        "integer data, an index by it, and a function of data alone",
        lambda x, y, a, k, xp: xp.sum(xp.sin(x) * xp.take(y, k, axis=0) * xp.exp(a)),
        _labelled,
    ),
    _problem(
        "pieces",
        "where, abs and sqrt, away from their kinks",
        lambda x, xp: xp.sum(xp.where(x > 0, x * x, -3.0 * x) + xp.sqrt(xp.abs(x))),
        lambda rng, n: (_away(rng, (2, n)),),
    ),
    _problem(
        "unused",
        "an input that the value does not depend on",
        lambda x, y, xp: xp.sum(x * x),  # noqa: ARG005 - y is unused on purpose
        lambda rng, n: (rng.normal(size=n), rng.normal(size=2)),
    ),
    _problem(
        "rows",
        "a vector of other length than its input",
        lambda x, xp: xp.stack([x[0] * x[1], xp.sin(x[2]), x[0] - x[2], xp.exp(x[1])]),
        lambda rng, n: (rng.normal(size=n),),
        vector=True,
    ),
    _problem(
        "product",
        "a matrix of two matrices, of unequal shapes",
        lambda a, b, xp: xp.matmul(a, b),
        lambda rng, n: (rng.normal(size=(2, n)), rng.normal(size=(n, 2))),
        vector=True,
    ),
)
