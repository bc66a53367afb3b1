"""The smallest differentiable program: x^2, by which GradBench greets a system."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import Inputs, Problem
from autodiff_compare.vocabulary import Operator


def _square(x: Any, *, xp: Any) -> Any:  # noqa: ARG001
    return x * x


def _point(rng: np.random.Generator, n: int) -> Inputs:
    """Where the chain x, 2 x^2, ... from a number around 1 has come to at its link n; 2^31 at most at link 5."""
    x = rng.uniform(0.5, 2.0)
    for _ in range(n - 1):
        x = 2 * x**2
    return Inputs((np.asarray(x),))


PROBLEM = Problem(
    name="hello",
    title="x^2 of one number",
    source="GradBench, evaluation hello: x -> x^2 -> 2 x^2 -> ... from x = 1; sizes: links of that chain",
    sizes={"small": 1, "medium": 3, "large": 5},
    inputs=_point,
    objective=_square,
    reference={
        Operator.VALUE: lambda x: x**2,
        Operator.GRADIENT: lambda x: 2 * x,
        Operator.HESSIAN: lambda x: 2 + 0 * x,
    },
    suites=frozenset({"gradbench"}),
)
