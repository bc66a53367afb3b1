"""Cells, the unit that is run, checked and timed, and cases, the numbers a cell is about."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN, Pattern
from autodiff_compare.plan.evaluation import nearby
from autodiff_compare.plan.sparsity import patterns
from autodiff_compare.problems import Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator, Optimizer, join_spec

#: The update rule of a `step` cell where the problem names none.
DEFAULT_OPTIMIZER = Optimizer("sgd", learning_rate=1e-3)


@dataclass(frozen=True)
class Cell:
    """(problem, size, dtype, operator, backend[:variant]): one row of ``cells.csv``."""

    problem: str
    size: str
    dtype: str
    operator: Operator
    backend: str
    #: With the order of modes of second derivatives, if one was asked for: ``eager``, ``fr``, ``eager:fr``.
    variant: str = ""

    @property
    def spec(self) -> str:
        return join_spec(self.backend, self.variant)

    @property
    def group(self) -> tuple[str, str, str, Operator]:
        """What is common to the cells that are compared with each other."""
        return (self.problem, self.size, self.dtype, self.operator)

    @property
    def cell_id(self) -> str:
        """Readable and unique within a run: ``problem/size/dtype/operator/backend[:variant]``."""
        return "/".join((*self.group, self.spec))


@dataclass(frozen=True)
class Case:
    """The numbers of one (problem, size, dtype, operator): the same in every process.

    Parameters
    ----------
    inputs
        float64 arrays already rounded to ``dtype``, so that the reference is evaluated at
        exactly the point at which the backend is.
    directions
        Tangents (jvp, hvp: one per differentiated input) or a cotangent (vjp), float64 arrays
        rounded to ``dtype``; empty for the other operators.
    """

    problem: Problem
    size: str
    dtype: str
    operator: Operator
    seed: int
    inputs: Inputs
    directions: tuple[Array, ...]
    optimizer: Optimizer

    @functools.cached_property
    def output(self) -> Array:
        """`objective_value` at the inputs, evaluated once: a problem may take seconds in plain NumPy."""
        return objective_value(self.problem, self.inputs)

    @functools.cached_property
    def patterns(self) -> tuple[Pattern, ...]:
        """Where the Jacobian may be non-zero, for each differentiated input."""
        return patterns(self.problem, self.inputs)


def objective_value(problem: Problem, inputs: Inputs) -> Array:
    """The problem's objective in plain NumPy, in the dtype of the inputs."""
    return np.asarray(problem.function(PLAIN, inputs.static)(*inputs.arrays))


def build_case(problem: Problem, size: str, dtype: str, operator: Operator, seed: int) -> Case:
    """Draw inputs and directions from ``seed``, rounded to ``dtype`` but held in float64."""
    return _case(problem, size, dtype, operator, seed, problem.draw(size, seed))


def _case(problem: Problem, size: str, dtype: str, operator: Operator, seed: int, inputs: Inputs) -> Case:
    inputs = rounded(inputs, dtype)
    directions = _directions(problem, operator, inputs, _stream(problem.name, size, operator, seed))
    rounded_directions = tuple(_round(t, dtype) for t in directions)
    return Case(problem, size, dtype, operator, seed, inputs, rounded_directions, _optimizer(problem))


def elsewhere(case: Case) -> Case:
    """The same case at another point, with other directions: where a function is prepared before it is used here."""
    problem, seed = case.problem, case.seed + 1
    if problem.fixed or case.size in problem.files:
        inputs = nearby(problem, case.inputs, np.random.default_rng(seed))
    else:
        inputs = problem.draw(case.size, seed)
    return _case(problem, case.size, case.dtype, case.operator, seed, inputs)


def rounded(inputs: Inputs, dtype: str) -> Inputs:
    """Floating inputs rounded to ``dtype`` and held in float64; other arrays as they are."""
    return Inputs(
        tuple(_round(x, dtype) for x in inputs.differentiated),
        tuple(_round(x, dtype) for x in inputs.data),
        inputs.static,
    )


def cast(array: Array, dtype: str) -> Array:
    """What the backend is given: floating arrays in the cell's dtype, others as they are."""
    return array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array


def leaves(result: Any) -> tuple[Any, ...]:
    """The arrays in the nested tuples that a prepared callable returns, in order."""
    if isinstance(result, (tuple, list)):
        return tuple(leaf for part in result for leaf in leaves(part))
    return (result,)


def _optimizer(problem: Problem) -> Optimizer:
    return next((d.optimizer for d in problem.descent.values()), DEFAULT_OPTIMIZER)


def _round(array: Array, dtype: str) -> Array:
    return cast(np.asarray(array), dtype).astype(np.float64) if _floating(array) else np.asarray(array)


def _floating(array: Array) -> bool:
    return np.issubdtype(np.asarray(array).dtype, np.floating)


def _stream(*key: Any) -> np.random.Generator:
    """A generator seeded by names, equal in every process (``hash`` is not)."""
    return np.random.default_rng(zlib.crc32(repr(tuple(map(str, key))).encode()))


def _directions(problem: Problem, operator: Operator, inputs: Inputs, rng: np.random.Generator) -> Iterator[Array]:
    """sign * U(0.5, 1.5) entries: pure +-1 directions miss a swap of two coordinates."""
    if operator in (Operator.JVP, Operator.HVP):
        shapes = [x.shape for x in inputs.differentiated]
    elif operator == Operator.VJP:
        shapes = [objective_value(problem, inputs).shape]
    else:
        shapes = []
    for shape in shapes:
        yield rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 1.5, size=shape)


def sent(case: Case) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Inputs and directions of a case, for a process that cannot draw the same."""
    return case.inputs.arrays, case.directions


def received(
    problem: Problem, size: str, dtype: str, operator: Operator, seed: int, numbers: Sequence[Sequence[Array]]
) -> Case:
    """The case of which another process `sent` the numbers."""
    arrays, directions = map(tuple, numbers)
    drawn = problem.draw(size, seed)
    n = len(drawn.differentiated)
    return Case(
        problem,
        size,
        dtype,
        operator,
        seed,
        Inputs(arrays[:n], arrays[n:], drawn.static),
        directions,
        _optimizer(problem),
    )
