"""A random program as data: inputs, steps of one operation each, and the text of a problem file.

Every step is one line of text, so that a line of the objective is one operation::

    def objective(x0, x1, xp):
        v0 = xp.sin(x0)
        v1 = v0 * x1
        v2 = xp.sum(v1, axis=None, keepdims=False)
        return v2

    INPUTS = (np.array([0.5, 1.5]), np.array(2.0))

The text is a problem file: ``compare.py check`` runs it, and so do workers, which get programs as text. Shrinking,
printing and the scripts in a framework's own words read the steps.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN
from autodiff_compare.fuzzing.operations import OPERATIONS, Operation
from autodiff_compare.problems import Array, Problem, problem_of

#: Name of every program as a problem, and so of its file: the directions of a case are drawn from the problem's name.
NAME = "program"
_INDENT = "    "
#: Points near to another at which a jump is looked for, their distance, and the smallest jump, in units of the numbers.
_NEARBY, _NEAR, _FAR = 8, 1e-7, 1e-2


@dataclass(frozen=True)
class Input:
    """A differentiated input with its value at the point, a float64 array."""

    name: str
    value: Array = field(compare=False)


@dataclass(frozen=True)
class Step:
    """One operation: ``name = operation(*operands, **parameters)``; operands are names of inputs or earlier steps."""

    name: str
    operation: str
    operands: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Operation:
        """Return the operation's row of `OPERATIONS`."""
        return OPERATIONS[self.operation]

    def text(self, template: str = "") -> str:
        """Return the right-hand side as text, by default in the neutral namespace."""
        return (template or self.kind.template).format(*self.operands, **self.parameters)


@dataclass(frozen=True)
class Program:
    """A function of arrays with the point at which it is differentiated.

    Parameters
    ----------
    inputs
        The differentiated inputs.
    steps
        The operations in order.
    result
        Name of the step or input that is returned.
    """

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    result: str

    @property
    def operations(self) -> tuple[str, ...]:
        """Return the names of the operations, each once, in order of use."""
        return tuple(dict.fromkeys(step.operation for step in self.steps))

    @property
    def squared(self) -> Program:
        """Return the program of the square of the result."""
        step = Step(f"{self.result}_squared", "square", (self.result,))
        return replace(self, steps=(*self.steps, step), result=step.name)

    @property
    def uses(self) -> tuple[str, ...]:
        """Return the members of a backend that the program calls."""
        return tuple(dict.fromkeys(step.kind.uses for step in self.steps if step.kind.uses))

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Return the pairs of operations of which the second takes the result of the first."""
        made = {step.name: step.operation for step in self.steps}
        return frozenset((made[o], step.operation) for step in self.steps for o in step.operands if o in made)

    @functools.cached_property
    def singular_steps(self) -> tuple[Step, ...]:
        """Return the steps whose operation is not smooth at its own operands, even if the whole function is."""
        return tuple(s for s in self.steps if not s.kind.smooth_at(*(self.values[name] for name in s.operands)))

    @property
    def singular(self) -> tuple[str, ...]:
        """Return the operations of the steps that are not smooth, each once."""
        return tuple(dict.fromkeys(step.operation for step in self.singular_steps))

    @property
    def mixes_conventions(self) -> bool:
        """Return whether several conventions may meet: of several steps, or of the operands of one.

        ``copysign(x, x)`` is x; at 0 each operand follows a convention of its own, and their sum may be no derivative.
        """
        if len(self.singular_steps) != 1:
            return bool(self.singular_steps)
        sources = [self._sources(name) for name in self.singular_steps[0].operands]
        return len(sources) > 1 and bool(frozenset.intersection(*sources))

    @functools.cached_property
    def jumps(self) -> bool:
        """Return whether the value of a singular step jumps at its operands, as that of a sign does at 0.

        Its value there is a convention too. ``sign(x) sin(x sign(x))`` is sin(x), with slope 1; by the chain rule its
        slope at 0 is 0, whatever that of the sign.
        """
        return any(
            np.any(np.abs(side - value) > _FAR * (1.0 + np.abs(value)))
            for value, *sides in self._nearby
            for side in sides
        )

    @functools.cached_property
    def kinks(self) -> bool:
        """Return whether the slopes of a singular step differ between two sides of its operands.

        The slope that a convention gives there is a factor of second derivatives: that of ``maximum(x**2, 0)`` is 2,
        and by the chain rule 2 times any number from 0 to 1.
        """
        return any(
            np.any(np.abs(there - 2 * value + back) > _FAR * _NEAR * (1.0 + np.abs(value)))
            for value, there, back in self._nearby
        )

    @functools.cached_property
    def _nearby(self) -> list[tuple[Array, Array, Array]]:
        """Return values of the singular steps at and near their operands, the latter in opposite directions.

        Beyond the end of a domain NumPy has nan, which is neither a jump nor a kink.
        """
        rng, found = np.random.default_rng(0), []
        for step in self.singular_steps * _NEARBY:
            moves = {
                name: _NEAR * _scale(x := self.values[name]) * rng.choice([-1.0, 1.0], x.shape)
                for name in step.operands
            }
            with contextlib.suppress(np.linalg.LinAlgError):
                there, back = (
                    evaluated(step, {name: self.values[name] + side * move for name, move in moves.items()})
                    for side in (1.0, -1.0)
                )
                found.append((self.values[step.name], there, back))
        return found

    def _sources(self, name: str) -> frozenset[str]:
        """Return the inputs on which a value depends."""
        found = {x.name: frozenset([x.name]) for x in self.inputs}
        for step in self.steps:
            found[step.name] = frozenset().union(*(found[operand] for operand in step.operands))
        return found[name]

    def as_data(self) -> dict[str, Any]:
        """Return the program as data for JSON."""
        return {
            "inputs": [[x.name, list(x.value.shape), x.value.ravel().tolist()] for x in self.inputs],
            "steps": [[s.name, s.operation, list(s.operands), dict(s.parameters)] for s in self.steps],
            "result": self.result,
        }

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Program:
        """Return the program of `as_data`."""
        inputs = (Input(name, np.array(flat, dtype=np.float64).reshape(shape)) for name, shape, flat in data["inputs"])
        steps = (Step(name, operation, tuple(operands), given) for name, operation, operands, given in data["steps"])
        return Program(tuple(inputs), tuple(steps), data["result"])

    def without_unused(self) -> Program:
        """Return the program without steps and inputs on which the result does not depend."""
        needed = {self.result}
        for step in reversed(self.steps):
            if step.name in needed:
                needed.update(step.operands)
        steps = tuple(step for step in self.steps if step.name in needed)
        inputs = tuple(x for x in self.inputs if x.name in needed)
        # A function without inputs has no derivative: one stays, unused.
        return replace(self, inputs=inputs or self.inputs[:1], steps=steps)

    def source(self, title: str = "A random program.") -> str:
        """Return the text of a problem file."""
        return "\n".join(self._lines(title)) + "\n"

    def _lines(self, title: str) -> Iterator[str]:
        names = ", ".join(x.name for x in self.inputs)
        point = ", ".join(map(array_text, (x.value for x in self.inputs)))
        point = f"({point},)" if len(self.inputs) == 1 else f"({point})"
        yield from (f'"""{title}"""', "", "import numpy as np", "")
        if self.uses:
            yield "from autodiff_compare import Inputs, Problem"
            yield f"from autodiff_compare.problems import {self._operators}"
            yield ""
        parameters = ", ".join([names, *(["*"] if self.uses else []), "xp", *self.uses])
        yield from ("", f"def objective({parameters}):")
        yield from (f"{_INDENT}{step.name} = {step.text()}" for step in self.steps)
        yield from (f"{_INDENT}return {self.result}", "", "")
        yield from self._declaration(point) if self.uses else (f"INPUTS = {point}",)

    def _declaration(self, point: str) -> Iterator[str]:
        """Yield the lines of a whole problem, which an objective that uses more than ``xp`` needs."""
        fields = {
            "name": repr(NAME),
            "title": repr("a random program"),
            "source": repr("compare.py fuzz"),
            "sizes": repr({"small": self.size}),
            "inputs": "lambda rng, n: Inputs(POINT)",
            "objective": "objective",
            "operators": self._operators,
            "uses": repr(self.uses),
            "fixed": "True",
        }
        yield from (f"POINT = {point}", "PROBLEM = Problem(")
        yield from (f"{_INDENT}{name}={text}," for name, text in fields.items())
        yield ")"

    @property
    def _operators(self) -> str:
        return "VECTOR" if self.value.ndim else "SCALAR"

    @property
    def size(self) -> int:
        """Return the number of entries of all inputs."""
        return sum(x.value.size for x in self.inputs)

    @functools.cached_property
    def values(self) -> Mapping[str, Array]:
        """Return the value of every input and step at the point, in plain NumPy, by name.

        Raises
        ------
        Exception
            Whatever NumPy raises.
        """
        found = {x.name: x.value for x in self.inputs}
        for step in self.steps:
            found[step.name] = evaluated(step, found)
        return found

    @property
    def value(self) -> Array:
        """Return the value at the point, in plain NumPy."""
        return self.values[self.result]


def _scale(x: Array) -> Array:
    """Return the size of each entry; 1 for one that is zero, or a rounding of zero beside the others."""
    size = np.abs(x)
    return np.where(size <= 1e-12 * np.max(size, initial=0.0), 1.0, size)


def array_text(array: Array) -> str:
    """Return an array as NumPy source text that makes the same bits."""
    if not array.size:
        return f"np.zeros({array.shape})"
    return f"np.array({array.tolist()!r})"


def problem_of_text(text: str) -> Problem:
    """Return the problem that the text of a program declares.

    The text is executed: it must come from `Program.source`.
    """
    scope: dict[str, Any] = {}
    exec(compile(text, f"<{NAME}>", "exec"), scope)
    if "PROBLEM" in scope:
        problem: Problem = scope["PROBLEM"]
        return problem
    return problem_of(NAME, scope["objective"], {}, scope, NAME)


def evaluated(step: Step, values: Mapping[str, Array]) -> Array:
    """Return the value of a step in plain NumPy from the values of its operands.

    Raises
    ------
    Exception
        Whatever NumPy raises.
    """
    with np.errstate(all="ignore"):
        scope = {"xp": PLAIN.xp, "scan": PLAIN.scan, "derivative": PLAIN.derivative, **values}
        return np.asarray(eval(_compiled(step.text()), scope))


@functools.lru_cache(maxsize=4096)
def _compiled(text: str) -> Any:
    return compile(text, f"<{NAME}>", "eval")


def named(values: Sequence[Array]) -> tuple[Input, ...]:
    """Return arrays as inputs ``x0``, ``x1``, ..."""
    return tuple(Input(f"x{i}", np.asarray(value, dtype=np.float64)) for i, value in enumerate(values))
