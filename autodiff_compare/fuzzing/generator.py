"""Drawing of random programs: operations that fit the values made so far, at points where they are defined.

A program grows step by step, and each step is evaluated at the point at once. A *regular* program keeps a margin to
kinks and to the ends of domains (`operations.operation`), so that its derivatives exist and numerical differences see
them. An *awkward* program has zeros, ties, tiny and huge numbers, empty arrays and single entries, and keeps no margin:
there conventions differ, and rules that divide by what may be zero fail. Some of these are regular but for one step,
which is at a kink where it selects: a tie of two operands or entries, a bound, a zero. No other convention meets that
one there, so that an answer outside the one-sided derivatives can be told from a choice.

Program k of a seed depends on nothing but the two numbers and the families.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.fuzzing.operations import FAMILIES, OPERATIONS
from autodiff_compare.fuzzing.program import Input, Program, Step, evaluated, named
from autodiff_compare.problems import Array

#: Shapes of inputs, so chosen that many pairs broadcast, join or multiply.
_SHAPES = ((), (3,), (2,), (2, 3), (3, 3), (2, 2), (3, 2), (1, 3), (2, 2, 2))
_AWKWARD_SHAPES = (*_SHAPES, (1,), (0,), (1, 1), (2, 0))
_AWKWARD = (0.0, 0.0, -0.0, 1.0, 1.0, -1.0, 2.0, 0.5, -2.0)
#: Sizes of all entries of an input of extreme size. A zero among them would have no scale of its own; large ones would
#: leave no digits in a sine.
_SIZES = (1e-12, 1e-8, 1e-4, 1e3)
_OF_ONE_SIZE = (1.0, 1.0, -1.0, 2.0, 0.5, -2.0)
#: Part of the awkward programs with one step at a kink.
_KINKED = 0.3
_MOST_ENTRIES = 24
_MOST_AXES = 3
#: Largest number in a regular and in an awkward program, so that rounding stays small.
_LARGEST = {False: 50.0, True: 1e4}
#: Attempts to find operands for an operation before another one is drawn.
_ATTEMPTS = 6


@dataclass(frozen=True)
class Recipe:
    """What programs are drawn from.

    Parameters
    ----------
    families
        Keys of `FAMILIES`.
    awkward
        Part of the programs that are awkward.
    longest
        Largest number of steps, without those that make a scalar of the last values.
    operations
        Names of the operations to draw from; empty for all of the families.
    """

    families: tuple[str, ...] = tuple(FAMILIES)
    awkward: float = 0.25
    longest: int = 6
    operations: tuple[str, ...] = ()

    @functools.cached_property
    def table(self) -> tuple[str, ...]:
        """Return the names of the operations to draw from."""
        return self.operations or tuple(n for n, kind in OPERATIONS.items() if kind.family in self.families)


def programs(seed: int, recipe: Recipe, start: int = 0) -> Iterator[tuple[int, Program]]:
    """Yield the programs of a seed with their numbers, without end; numbers without a program are left out."""
    number = start
    while True:
        found = program(seed, number, recipe)
        if found is not None:
            yield number, found
        number += 1


def program(seed: int, number: int, recipe: Recipe) -> Program | None:
    """Return one program of a seed; `None` if no operation fits its inputs."""
    rng = np.random.default_rng([seed, number])
    drawn = float(rng.random())
    kinked = drawn < recipe.awkward * _KINKED
    awkward = drawn < recipe.awkward and not kinked
    made = _Growth(rng, awkward, _inputs(rng, awkward))
    count = int(rng.integers(1, recipe.longest + 1))
    # One of the last steps, so that the result depends on it.
    last = count - int(rng.integers(1, 3)) if kinked else -1
    for k in range(count):
        if k == max(last, 0) and kinked:
            made.meet(recipe.table)
        made.grow(recipe.table)
    if not made.steps:
        return None
    return made.finished(scalar=bool(rng.random() < 0.6))


def _inputs(rng: np.random.Generator, awkward: bool) -> tuple[Input, ...]:
    shapes = _AWKWARD_SHAPES if awkward else _SHAPES
    drawn = [_numbers(rng, shapes[int(rng.integers(len(shapes)))], awkward) for _ in range(int(rng.integers(1, 4)))]
    return named(drawn)


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], awkward: bool) -> Array:
    """Draw numbers of three digits, which keep the text of a program short."""
    if awkward:
        if rng.random() < 0.15:
            return np.asarray(rng.choice(_OF_ONE_SIZE, shape) * float(rng.choice(_SIZES)))
        return np.asarray(rng.choice(_AWKWARD, shape))
    size = np.round(rng.uniform(0.2, 1.8, shape), 3)
    return np.asarray(size if rng.random() < 0.5 else size * rng.choice([-1.0, 1.0], shape))


class _Growth:
    """A program that is being drawn, with the values of its inputs and steps."""

    def __init__(self, rng: np.random.Generator, awkward: bool, inputs: tuple[Input, ...]) -> None:
        self.rng, self.awkward, self.inputs = rng, awkward, inputs
        self.steps: list[Step] = []
        self.values: dict[str, Array] = {x.name: x.value for x in inputs}

    def grow(self, table: Sequence[str]) -> None:
        """Add a step by an operation drawn from a table, if one is found that fits."""
        for _ in range(_ATTEMPTS):
            if self._add(table[int(self.rng.integers(len(table)))]):
                return

    def meet(self, table: Sequence[str]) -> None:
        """Add a step at a kink of its operation, with an input of its own as the operand that is there."""
        choices = [name for name in table if OPERATIONS[name].kink]
        for _ in range(_ATTEMPTS if choices else 0):
            operation = choices[int(self.rng.integers(len(choices)))]
            kind, value = OPERATIONS[operation], self._operand()
            assert kind.kink is not None
            fresh = Input(f"x{len(self.inputs)}", kind.kink(self.rng, self.values[value]))
            operands = (value, fresh.name)[-kind.operands :]
            values = {**self.values, fresh.name: fresh.value}
            parameters = kind.draws(self.rng, *(values[name] for name in operands))
            if parameters is None:
                continue
            self.values[fresh.name] = fresh.value
            if self.step(operation, operands, parameters):
                self.inputs = (*self.inputs, fresh)
                return
            del self.values[fresh.name]

    def _add(self, operation: str) -> bool:
        kind = OPERATIONS[operation]
        for _ in range(_ATTEMPTS if kind.operands > 1 else _ATTEMPTS // 2):
            operands = tuple(self._operand() for _ in range(kind.operands))
            given = [self.values[name] for name in operands]
            parameters = kind.draws(self.rng, *given)
            if parameters is not None and (self.awkward or kind.smooth_at(*given)):
                return self.step(operation, operands, parameters)
        return False

    def _operand(self) -> str:
        """Return the name of a value; recent ones are more likely, so that programs are deep and use values again."""
        names = list(self.values)
        return names[-1 - min(len(names) - 1, int(self.rng.geometric(0.4)) - 1)]

    def step(self, operation: str, operands: tuple[str, ...], parameters: Mapping[str, Any]) -> bool:
        """Add a step; return False if NumPy cannot evaluate it, or its value is too large or not finite."""
        step = Step(f"v{len(self.steps)}", operation, operands, parameters)
        try:
            value = evaluated(step, self.values)
        except (ValueError, IndexError, TypeError, np.linalg.LinAlgError, ZeroDivisionError):
            return False
        fits = value.dtype == np.float64 and value.ndim <= _MOST_AXES and value.size <= _MOST_ENTRIES
        if not fits or not np.all(np.abs(value) < _LARGEST[self.awkward]):
            return False
        self.steps.append(step)
        self.values[step.name] = value
        return True

    def finished(self, scalar: bool) -> Program:
        """Return the program; ``scalar``: with the sum of a nonlinear function of its last values as the result.

        The weights of a plain sum are equal, so that it does not see entries that are exchanged. Those of
        ``sum(sin(v + 1/2))`` are different for different entries, and not zero at zero.
        """
        if scalar:
            last = list(self.values)[-int(self.rng.integers(1, 3)) :]
            parts = [self._total(name) for name in last]
            for part in parts[1:]:
                self.step("add", (self.steps[-1].name if part == parts[-1] else part, parts[0]), {})
        return Program(self.inputs, tuple(self.steps), self.steps[-1].name).without_unused()

    def _total(self, name: str) -> str:
        for operation, parameters in _TOTAL:
            self.step(operation, (name,), parameters)
            name = self.steps[-1].name
        return name


_TOTAL: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("shift", {"k": 0.5}),
    ("sin", {}),
    ("sum", {"axis": None, "keepdims": False}),
)
