"""Test functions of optimisation as table rows: formula, search domain, minimisers and minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.problems.base.problem import Optimum, Problem, ProblemError

VLSE = "Surjanovic and Bingham, Virtual Library of Simulation Experiments: test functions"

#: A number, or one for each coordinate.
Bound = Union[float, tuple[float, ...]]  # noqa: UP007 - a worker's Python may be 3.9
Box = tuple[Bound, Bound]


@dataclass(frozen=True)
class OptimisationFunction:
    """One test function.

    Parameters
    ----------
    name, title
        As in `Problem`.
    formula
        In the plane ``formula(x, y, xp)``, elementwise; in space ``formula(x, *data, xp)``, a scalar of x (d,).
    box
        Lower and upper bounds of the search domain, or a function of the dimension d that returns them.
    minimisers
        All global minimisers, (m, d) or (d,), or a function of d that returns them.
    minimum
        The value at the minimisers, or a function of d that returns it.
    source
        Publication with formula, domain and minimum.
    smooth
        See `Optimum`.
    drawn
        The part of the domain from which inputs are drawn, if the rest is flat or too rough for float32.
    clear
        ``clear(*coordinates)`` tells for each point whether it is away from all kinks; `None` for a smooth function.
    data
        Tables of constants, passed to the formula as further arguments.
    tolerance
        As in `Problem`.
    sizes
        Size name -> number of points in the plane, dimension in space; `None` for the default sizes.
    multiple
        Number of which a dimension in space must be a multiple. A function with ``data`` has its own sizes only.
    """

    name: str
    title: str
    formula: Callable[..., Any]
    box: Box | Callable[[int], Box]
    minimisers: Any
    minimum: float | Callable[[int], float] = 0.0
    source: str = VLSE
    smooth: bool = True
    drawn: Box | None = None
    clear: Callable[..., Array] | None = None
    data: tuple[Array, ...] = ()
    tolerance: float | None = None
    sizes: Mapping[str, int] | None = None
    multiple: int = 1

    def optimum(self, d: int) -> Optimum:
        """Return domain, minimisers and minimum in ``d`` dimensions."""
        lower, upper = self.box(d) if callable(self.box) else self.box
        points = self.minimisers(d) if callable(self.minimisers) else self.minimisers
        return Optimum(
            np.broadcast_to(np.asarray(lower, float), (d,)),
            np.broadcast_to(np.asarray(upper, float), (d,)),
            np.atleast_2d(np.asarray(points, dtype=float)),
            self.minimum(d) if callable(self.minimum) else self.minimum,
            self.smooth,
        )

    def require_dimension(self, d: int) -> None:
        """Reject a number of dimensions in which the formula is another function: its arrays would be broadcast."""
        own = sorted((self.sizes or {}).values())
        if self.data and d not in own:
            raise ProblemError(f"got n = {d} of {self.name}, expected {' or '.join(map(str, own))}")
        if d % self.multiple:
            raise ProblemError(f"got n = {d} of {self.name}, expected a multiple of {self.multiple}")

    def points(self, rng: np.random.Generator, count: int, d: int) -> Array:
        """Draw ``count`` points in ``d`` dimensions, (count, d); points near a kink are drawn again."""
        lower, upper = self.drawn or (self.optimum(d).lower, self.optimum(d).upper)
        found = rng.uniform(lower, upper, (count, d))
        while self.clear is not None and (near := ~self.clear(*found.T)).any():
            found[near] = rng.uniform(lower, upper, (np.count_nonzero(near), d))
        return found


def plane_problem(function: OptimisationFunction) -> Problem:
    """Return the sum of a function of x and y over n points; the inputs are x and y, (n,) each."""

    def objective(x: Any, y: Any, *, xp: Any) -> Any:
        return xp.sum(function.formula(x, y, xp))

    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        x, y = function.points(rng, n, 2).T
        return Inputs((x.copy(), y.copy()))

    return _problem(function, objective, inputs, {"small": 1, "medium": 30, "large": 300})


def space_problem(function: OptimisationFunction) -> Problem:
    """Return a function of one vector of n coordinates as a problem."""

    def objective(x: Any, *data: Any, xp: Any) -> Any:
        return function.formula(x, *data, xp)

    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        function.require_dimension(n)
        return Inputs((function.points(rng, 1, n)[0],), function.data)

    return _problem(function, objective, inputs, {"small": 4, "medium": 100, "large": 1000})


def _problem(
    function: OptimisationFunction,
    objective: Callable[..., Any],
    inputs: Callable[..., Inputs],
    sizes: Mapping[str, int],
) -> Problem:
    return Problem(
        name=function.name,
        title=function.title,
        source=function.source,
        sizes=function.sizes or sizes,
        inputs=inputs,
        objective=objective,
        tolerance=function.tolerance,
        suites=frozenset({"tests"}),
        optimum=function.optimum,
    )
