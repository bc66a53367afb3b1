"""Test functions of optimisation as rows of a table: a formula with its box, its minimisers and its minimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from autodiff_compare.problems.base.inputs import Array, Inputs
from autodiff_compare.problems.base.problem import Optimum, Problem

VLSE = "Surjanovic and Bingham, Virtual Library of Simulation Experiments: test functions"

#: A number, or one number per coordinate.
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
        In the plane ``formula(x, y, xp)``, value by value; in space ``formula(x, *data, xp)``, a scalar of x (d,).
    box
        Where it is searched; a function of d where the box grows with the dimension.
    minimisers
        All of them, or a function of d that returns them.
    minimum
        The value there; a function of d where it grows with the dimension.
    source
        Where formula, box and minimum stand.
    smooth
        See `Optimum`.
    drawn
        Part of the box from which inputs are drawn, where the rest is flat, or so rough that float32 cannot follow.
    clear
        Whether inputs lie away from all kinks, point by point; by default there are none.
    data
        Further arguments of the formula: tables of constants.
    tolerance
        As in `Problem`.
    sizes
        In the plane the number of points, in space the dimension.
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

    def optimum(self, d: int) -> Optimum:
        """Box, minimisers and minimum in ``d`` dimensions."""
        lower, upper = self.box(d) if callable(self.box) else self.box
        points = self.minimisers(d) if callable(self.minimisers) else self.minimisers
        return Optimum(
            np.broadcast_to(np.asarray(lower, float), (d,)),
            np.broadcast_to(np.asarray(upper, float), (d,)),
            np.atleast_2d(np.asarray(points, dtype=float)),
            self.minimum(d) if callable(self.minimum) else self.minimum,
            self.smooth,
        )

    def points(self, rng: np.random.Generator, count: int, d: int) -> Array:
        """``count`` points in ``d`` dimensions, (count, d), redrawn where they are not clear of kinks."""
        lower, upper = self.drawn or (self.optimum(d).lower, self.optimum(d).upper)
        found = rng.uniform(lower, upper, (count, d))
        while self.clear is not None and (near := ~self.clear(*found.T)).any():
            found[near] = rng.uniform(lower, upper, (np.count_nonzero(near), d))
        return found


def plane_problem(shape: OptimisationFunction) -> Problem:
    """The sum over n points of a function of two variables; the inputs are the points' x and y, (n,) each."""

    def objective(x: Any, y: Any, *, xp: Any) -> Any:
        return xp.sum(shape.formula(x, y, xp))

    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        x, y = shape.points(rng, n, 2).T
        return Inputs((x.copy(), y.copy()))

    return _problem(shape, objective, inputs, {"small": 1, "medium": 30, "large": 300})


def space_problem(shape: OptimisationFunction) -> Problem:
    """A function of one vector of n coordinates."""

    def objective(x: Any, *data: Any, xp: Any) -> Any:
        return shape.formula(x, *data, xp)

    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        return Inputs((shape.points(rng, 1, n)[0],), shape.data)

    return _problem(shape, objective, inputs, {"small": 4, "medium": 100, "large": 1000})


def _problem(
    shape: OptimisationFunction, objective: Callable[..., Any], inputs: Callable[..., Inputs], sizes: Mapping[str, int]
) -> Problem:
    return Problem(
        name=shape.name,
        title=shape.title,
        source=shape.source,
        sizes=shape.sizes or sizes,
        inputs=inputs,
        objective=objective,
        tolerance=shape.tolerance,
        suites=frozenset({"tests"}),
        optimum=shape.optimum,
    )
