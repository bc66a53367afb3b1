"""The smallest differentiable program: x^2, by which GradBench greets a system."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import Inputs, Problem
from vocabulary import Operator


def _square(x: Any, *, xp: Any) -> Any:  # noqa: ARG001
    return x * x


def _point(rng: np.random.Generator, n: int) -> Inputs:  # noqa: ARG001 - there is one size
    return Inputs((np.asarray(rng.uniform(0.5, 2.0)),))


PROBLEM = Problem(
    name="hello",
    title="x^2 of one number",
    source="GradBench, evaluation hello: x -> x^2 -> 2 x^2 -> ... from x = 1",
    sizes={"small": 1},
    inputs=_point,
    objective=_square,
    reference={
        Operator.VALUE: lambda x: x**2,
        Operator.GRADIENT: lambda x: 2 * x,
        Operator.HESSIAN: lambda x: 2 + 0 * x,
    },
    suites=frozenset({"gradbench"}),
)
