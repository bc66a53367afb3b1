"""The square of a number: the smallest differentiable program, and GradBench's first evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import Inputs, Problem
from autodiff_compare.vocabulary import Operator


def _square(x: Any, *, xp: Any) -> Any:  # noqa: ARG001
    return x * x


def _point(rng: np.random.Generator, n: int) -> Inputs:
    """Return link n of the chain x, 2 x^2, ... from a number x in [0.5, 2]; link 5 is at most 2^31."""
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
