"""A point at which a problem is differentiated: its cases, its entries in one row, and the function of that row."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from autodiff_compare.backends import PLAIN
from autodiff_compare.fuzzing.evidence.nearness import flat
from autodiff_compare.plan.cases import Case, build_case
from autodiff_compare.problems import Array, Problem
from autodiff_compare.vocabulary import Operator

#: Part of the ladder's first step, in units of the direction.
STEP = 0.25


class Point:
    """The point of a problem's cases in one dtype.

    Parameters
    ----------
    problem, size, dtype, seed
        The arguments of `build_case` beside the operator.
    """

    def __init__(self, problem: Problem, size: str, dtype: str, seed: int) -> None:
        self.problem, self.size, self.dtype, self.seed = problem, size, dtype, seed
        #: Operator -> its case.
        self.case: Callable[[Operator], Case] = functools.cache(
            lambda operator: build_case(problem, size, dtype, operator, seed)
        )

    @functools.cached_property
    def x(self) -> Array:
        """The entries of all differentiated inputs."""
        return flat(self.case(Operator.VALUE).inputs.differentiated)

    @property
    def scale(self) -> Array:
        """The sizes of the entries, 1 for those that are 0."""
        return np.where(self.x == 0, 1.0, np.abs(self.x))

    def f(self, x: Array) -> Array:
        """Return the entries of the output in plain NumPy, in float64, at other entries of the inputs."""
        inputs = self.case(Operator.VALUE).inputs
        ends = np.cumsum([x.size for x in inputs.differentiated])[:-1]
        parts = [p.reshape(like.shape) for p, like in zip(np.split(x, ends), inputs.differentiated, strict=True)]
        return np.ravel(np.asarray(self.problem.function(PLAIN, {})(*parts), dtype=np.float64))
