"""The preparation of a cell in its worker: the framework's callable with the arguments on which it is timed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN, Backend, Objective, Unsupported
from autodiff_compare.execution.computation.recheck import bits
from autodiff_compare.plan.cases import Case, build_case, cast, received, tracing_case
from autodiff_compare.plan.sparsity import expanded
from autodiff_compare.problems import Problem
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.timing.clock import Elapsed, Timed
from autodiff_compare.vocabulary import Operator

#: Relative step between arguments that nothing is remembered of. A framework may take numbers for equal that differ in
#: their last digits: those of float32, of a text of six digits, or within 1e-5 (the default of ``np.allclose``).
_STEP = 2.0**-13

#: Size, dtype, operator, seed.
Key = tuple[str, str, Operator, int]


@dataclass(frozen=True)
class Prepared:
    """A prepared callable with its arguments, and the numbers from which equal arguments can be made."""

    backend: Backend
    case: Case
    timed: Timed
    #: Of the preparation, and those of them in which another process had the processor.
    seconds: float
    waited_s: float
    #: The arguments with which it was prepared: another point.
    elsewhere: Sequence[Any] = ()
    #: Steps by which the next neighbours differ.
    moves: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def given(self) -> tuple[Any, ...]:
        """Return inputs and directions as NumPy arrays."""
        return (*self.case.inputs.arrays, *self.case.directions)

    def unchanged(self) -> bool:
        """Return whether the arguments still hold the bits that they were given."""
        given = [cast(array, self.case.dtype) for array in self.given]
        return same_bits(given, [np.asarray(self.backend.to_numpy(arg)) for arg in self.timed.args])

    def copies(self, count: int) -> list[list[Any]]:
        """Return new variables that are equal to the arguments, ``count`` times."""
        return [own_arrays(self.backend, self.given, self.case.dtype) for _ in range(count)]

    def neighbours(self, count: int) -> list[list[Any]]:
        """Return new variables that differ from the arguments by some steps of `_STEP`, ``count`` times.

        Each is another number, so that neither its identity nor its value has been seen before. Numbers move towards
        zero, which stays zero: the ends of a domain are there more seldom, and denormal numbers would be slow. Data
        stays: it may hold labels.
        """
        return [own_arrays(self.backend, self._shrunk(next(self.moves)), self.case.dtype) for _ in range(count)]

    def _shrunk(self, steps: int) -> tuple[Any, ...]:
        """Return inputs and directions that are smaller by some relative steps."""
        inputs, factor = self.case.inputs, 1 - steps * max(_STEP, float(np.finfo(self.case.dtype).eps))
        return (
            *(x * factor for x in inputs.differentiated),
            *inputs.data,
            *(t * factor for t in self.case.directions),
        )


@dataclass(frozen=True)
class Companion:
    """The prepared value of the problem of the current cell, which is timed in the same visits."""

    #: Source, problem, size, dtype.
    subject: tuple[str, str, str, str]
    prepared: Prepared
    per_call_s: float


def same_bits(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Return whether two sequences of arrays have the same bits, shapes and dtypes."""
    return len(a) == len(b) and all(
        x.dtype == y.dtype and x.shape == y.shape and bits(x) == bits(y) for x, y in zip(a, b, strict=True)
    )


def variables(backend: Backend, arrays: Sequence[Any], dtype: str) -> list[Any]:
    """Return arrays as variables of the framework."""
    return [backend.to_var(cast(array, dtype)) for array in arrays]


def own_arrays(backend: Backend, arrays: Sequence[Any], dtype: str) -> list[Any]:
    """Return arrays as the framework's own, which a timed call takes.

    JAX copies an array while the program goes on. The rest of the copy would belong to the first call that takes it.
    """
    found = [backend.own_array(var) for var in variables(backend, arrays, dtype)]
    for array in found:
        backend.block(array)
    return found


def prepared(backend: Backend, problem: Problem, key: Key, numbers: Sequence[Any] = ()) -> Prepared:
    """Prepare a cell at one point and return its callable with the arguments of another.

    Parameters
    ----------
    backend
        The opened backend.
    problem, key
        The cell.
    numbers
        What is `sent` of the case, if this process cannot draw the same numbers from the seed.
    """
    if key[1] not in backend.dtypes:
        raise Unsupported(f"{backend.name} computes in {', '.join(backend.dtypes)}, not in {key[1]}")
    if problem.complex_numbers and not backend.complex_numbers:
        raise Unsupported(f"{backend.name} takes no complex numbers")
    if numbers:
        case, other = received(problem, *key, numbers)
    else:
        case = build_case(problem, *key)
        other = tracing_case(case)
    function = problem.function(backend, case.inputs.static)
    closed = complete(problem, case.inputs, case.optimizer, PLAIN)
    wide = expanded(problem, backend, case.inputs) if case.operator == Operator.SPARSE_JACOBIAN else None
    objective = Objective(function, closed, expanded=wide, **case.facts)
    args = variables(backend, other.inputs.arrays, case.dtype)
    directions = variables(backend, other.directions, case.dtype)
    before, start = Elapsed.now(), time.perf_counter()
    run = backend.prepare(
        case.operator,
        objective,
        args,
        argnums=range(len(case.inputs.differentiated)),
        directions=directions,
        optimizer=case.optimizer,
        degree=case.degree,
    )
    seconds = time.perf_counter() - start
    waited_s = (Elapsed.now() - before).contention_s
    given = own_arrays(backend, (*case.inputs.arrays, *case.directions), case.dtype)
    elsewhere = tuple(map(backend.own_array, (*args, *directions)))
    return Prepared(backend, case, Timed(run, given, backend.block), seconds, waited_s, elsewhere)
