"""A user's problem: the sum of squares of ten numbers."""

import numpy as np

from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import Operator

PROBLEM = Problem(
    name="quadratic",
    title="sum of squares",
    source="by hand",
    sizes={"small": 10},
    inputs=lambda rng, n: Inputs((rng.random(n),)),
    objective=lambda x, xp: xp.sum(x * x),
    operators=frozenset({Operator.VALUE, Operator.GRADIENT, Operator.HESSIAN}),
    reference={Operator.GRADIENT: lambda x: 2 * x, Operator.HESSIAN: lambda x: 2 * np.eye(x.size, dtype=x.dtype)},
)
