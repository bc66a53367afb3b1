"""Test functions of optimisation attain their published minima, on every backend."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import PLAIN, Objective
from autodiff_compare.plan.plan import DEFAULT_BACKENDS
from autodiff_compare.problems import Inputs, Optimum, Problem
from autodiff_compare.vocabulary import Operator
from tests.conftest import opened

PROBLEMS = [p for p in problems.available().values() if p.optimum is not None]
KINKS = {p.name for p in PROBLEMS if not p.optimum(2).smooth}
every_function = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)


@functools.cache
def drawn(name: str) -> Inputs:
    problem = problems.available()[name]
    return problem.inputs(np.random.default_rng(20), problem.sizes["small"])


def dimension(problem: Problem) -> int:
    """Return the dimension: 2 in the plane, where each coordinate is an input; else the length of the input."""
    inputs = drawn(problem.name).differentiated
    return len(inputs) if len(inputs) > 1 else inputs[0].size


def optimum_of(problem: Problem) -> Optimum:
    return problem.optimum(dimension(problem))


def arrays_at(problem: Problem, points: Any) -> tuple[Any, ...]:
    """Return the arguments of the objective at points (m, d): all points at once in the plane, one in space."""
    given = drawn(problem.name)
    if len(given.differentiated) > 1:
        return (*np.ascontiguousarray(points.T), *given.data)
    (point,) = points
    return (point, *given.data)


def value(problem: Problem, point: Any) -> float:
    return float(problem.function(PLAIN, {})(*arrays_at(problem, point[None, :])))


def test_there_are_at_least_twenty() -> None:
    assert len(PROBLEMS) >= 20
    assert all("tests" in p.suites for p in PROBLEMS)


def test_kinks_at_a_minimum_are_declared_by_name() -> None:
    assert {"ackley", "bukin6"} == KINKS


@every_function
def test_the_minimum_is_attained_at_every_minimiser(problem: Problem) -> None:
    optimum = optimum_of(problem)
    typical = max(abs(value(problem, optimum.lower + f * (optimum.upper - optimum.lower))) for f in (0.3, 0.7))
    for point in optimum.minimisers:
        assert point.shape == (dimension(problem),)
        assert np.all((optimum.lower <= point) & (point <= optimum.upper))
        # Up to rounding of the terms that cancel there, which are as large as the function elsewhere.
        assert abs(value(problem, point) - optimum.minimum) <= 4e-15 * max(typical, abs(optimum.minimum))


@every_function
def test_no_value_in_the_domain_is_below_the_minimum(problem: Problem) -> None:
    optimum, rng = optimum_of(problem), np.random.default_rng(1)
    spread = rng.uniform(optimum.lower, optimum.upper, (1000, dimension(problem)))
    near = optimum.minimisers[0] + 0.01 * rng.normal(size=spread.shape)
    inside = np.clip(np.concatenate([spread, near]), optimum.lower, optimum.upper)
    slack = 4e-15 * abs(optimum.minimum)
    assert min(value(problem, point) for point in inside) >= optimum.minimum - slack


@every_function
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_inputs_are_in_the_domain(problem: Problem, seed: int, size: str) -> None:
    if size in problem.sizes:
        inputs = problem.inputs(np.random.default_rng(seed), problem.sizes[size]).differentiated
        points = np.stack(inputs, axis=1) if len(inputs) > 1 else inputs[0][None, :]
        optimum = problem.optimum(points.shape[1])
        assert np.all((optimum.lower <= points) & (points <= optimum.upper))


@functools.cache
def gradient_of(name: str, spec: str) -> Any:
    backend, problem = opened(spec), problems.available()[name]
    given = drawn(name)
    points = optimum_of(problem).minimisers
    example = arrays_at(problem, points if len(given.differentiated) > 1 else points[:1])
    return backend.prepare(
        Operator.GRADIENT,
        Objective(problem.function(backend, {})),
        [backend.to_var(np.full_like(a, 0.6)) for a in example],
        argnums=range(len(given.differentiated)),
    )


def gradient_at(name: str, spec: str, arrays: tuple[Any, ...]) -> Any:
    backend = opened(spec)
    found = backend.block(gradient_of(name, spec)(*map(backend.to_var, arrays)))
    return np.stack([backend.to_numpy(g) for g in found])


@pytest.mark.parametrize("spec", DEFAULT_BACKENDS)
@pytest.mark.parametrize("name", [p.name for p in PROBLEMS if p.name not in KINKS])
def test_the_gradient_vanishes_at_every_minimiser(name: str, spec: str) -> None:
    problem = problems.available()[name]
    optimum = optimum_of(problem)
    in_plane = len(drawn(name).differentiated) > 1
    for points in [optimum.minimisers] if in_plane else optimum.minimisers[:, None, :]:
        gradient = gradient_at(name, spec, arrays_at(problem, points))
        gradient = gradient.T if in_plane else gradient
        # On the boundary only the inward part of a step counts: a step against the gradient, projected onto the domain.
        step = np.clip(points - gradient, optimum.lower, optimum.upper) - points
        # Rounding of the minimiser changes the gradient in proportion to the curvature.
        assert np.linalg.norm(step) <= 1e-13 * curvature(name) * max(1.0, np.linalg.norm(points)), gradient


@functools.cache
def curvature(name: str) -> float:
    """Return the norm of the Hessian at a minimiser, by central differences of the NumPy engine's gradient."""
    problem, h = problems.available()[name], 1e-4
    point = optimum_of(problem).minimisers[0]
    columns = []
    for unit in np.eye(point.size):
        ends = [np.repeat((point + s * h * unit)[None, :], len(optimum_of(problem).minimisers), 0) for s in (1, -1)]
        rows = [e if len(drawn(name).differentiated) > 1 else e[:1] for e in ends]
        up, down = (gradient_at(name, "numpy", arrays_at(problem, r)) for r in rows)
        columns.append((up - down) / (2 * h))
    return max(1.0, float(np.linalg.norm(columns)))


@pytest.mark.parametrize("name", sorted(KINKS))
def test_at_a_kink_the_function_rises_in_every_direction(name: str) -> None:
    problem = problems.available()[name]
    optimum, rng = optimum_of(problem), np.random.default_rng(2)
    (point,) = optimum.minimisers
    for _ in range(20):
        direction = rng.normal(size=point.size)
        direction /= np.linalg.norm(direction)
        slopes = [(value(problem, point + h * direction) - optimum.minimum) / h for h in (1e-5, 1e-6, 1e-7)]
        # At a smooth minimum the slopes would fall with h.
        assert min(slopes) > 5e-3
        assert slopes[-1] > 0.9 * slopes[0]
