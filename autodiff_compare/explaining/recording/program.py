"""A program: the operations of one evaluation of an objective, in their order, and their source text.

A program is data, so that other functions can be written from it: the same function, the function that returns all
intermediates, or the function with an extra input at each operand. The text uses the array namespace ``xp`` alone, as
an objective does, and runs on every backend, traced and compiled like any other function. Example, of
``xp.sum(x * xp.sin(x))``::

    def program(a0, *, xp):
        s0 = xp.sin(a0)
        s1 = (a0 * s0)
        s2 = xp.sum(s1)
        return s2

Loops and nested derivatives are single operations. Their functions are programs of their own, nested in the text, where
they read the variables around them as closures do.
"""

from __future__ import annotations

import itertools
import linecache
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.explaining.recording.alignment import FUNCTIONS
from autodiff_compare.problems import Array

#: Members of a backend that a program takes as keywords besides ``xp``.
TOOLS = ("scan", "while_loop", "derivative", "value_and_derivative")
_INDENT = "    "


@dataclass(frozen=True)
class Use:
    """One use of a variable in the text of an operation.

    Parameters
    ----------
    name
        The variable.
    number
        A number that no other use of the program has.
    value
        Whether the use reads the variable's value; else it reads the dtype alone.
    """

    name: str
    number: int
    value: bool = True


#: The text of an expression: pieces of source, and uses of variables between them.
Text = tuple["str | Use", ...]
#: Text of a use: by default the variable's name.
Spelling = Callable[[Use], str]


@dataclass(frozen=True)
class Place:
    """A place in the source of an objective.

    Parameters
    ----------
    file, line
        File and line number, from 1.
    text
        The line without its indentation.
    part
        The part of the line that the operation was called by; empty where Python does not tell.
    caller
        The place within the objective itself from which the function of this place was called; `None` for a place in
        the objective.
    """

    file: str
    line: int
    text: str
    part: str = ""
    caller: Place | None = None


@dataclass(frozen=True)
class Variable:
    """A variable of a program with the shape and the dtype that it has in plain NumPy."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    #: Whether it depends on a differentiated input, by a path of floating-point numbers.
    active: bool

    @property
    def kind(self) -> str:
        """Return the kind of dtype as `numpy.dtype.kind`, ``b``, ``i``, ``u``, ``f`` or ``c``."""
        return "b" if self.dtype == "bool" else self.dtype[0]


@dataclass(frozen=True)
class Body:
    """A function within an operation: the body of a loop, or a function that is differentiated."""

    name: str
    parameters: str
    steps: tuple[Step, ...]
    result: Text

    @property
    def own(self) -> frozenset[str]:
        """Return the variables that the function itself defines."""
        assigned = " ".join(step.target for step in self.steps)
        return frozenset(re.findall(r"\w+", f"{self.parameters} {assigned}"))

    def uses(self) -> Iterator[Use]:
        """Yield the uses of values of variables around the function."""
        inside = (use for step in self.steps for use in step.uses())
        last = (piece for piece in self.result if isinstance(piece, Use) and piece.value)
        yield from (use for use in itertools.chain(inside, last) if use.name not in self.own)


@dataclass(frozen=True)
class Step:
    """One operation.

    Parameters
    ----------
    operation
        Name as the objective writes it: ``xp.linalg.solve``, ``*``, ``[]``, ``.sum``, ``scan``, ``tap``.
    text
        The expression.
    target
        The assigned variable, or a pattern of several.
    results
        The variables of ``target`` that hold arrays.
    place
        Where the objective calls it.
    bodies
        The functions that the expression passes on.
    label
        The name that the user gave to the result by `autodiff_compare.tap`.
    """

    operation: str
    text: Text
    target: str
    results: tuple[Variable, ...]
    place: Place
    bodies: tuple[Body, ...] = ()
    label: str = ""

    def uses(self) -> Iterator[Use]:
        """Yield the uses of values, those that the bodies make of variables around them too."""
        yield from (piece for piece in self.text if isinstance(piece, Use) and piece.value)
        for body in self.bodies:
            yield from body.uses()


@dataclass(frozen=True)
class Program:
    """The operations of one evaluation of an objective.

    Parameters
    ----------
    inputs
        The differentiated inputs.
    data
        The other inputs.
    steps
        The operations.
    output
        The variable that is returned.
    constants
        Arrays and numbers of the objective that have no literal; the text refers to them as ``k[0]``, ``k[1]``, ...
    values
        Variable -> its value in plain NumPy.
    tools
        Members of the backend that the program needs, of `TOOLS`.
    decided
        Places at which the objective read a number of an intermediate, for instance to choose a branch. The program
        has the branch that NumPy took.
    """

    inputs: tuple[Variable, ...]
    data: tuple[Variable, ...]
    steps: tuple[Step, ...]
    output: str
    constants: tuple[Any, ...] = ()
    values: Mapping[str, Array] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    decided: tuple[Place, ...] = ()

    def variables(self) -> dict[str, Variable]:
        """Return the variables of the outermost level by name."""
        own = (*self.inputs, *self.data, *(v for step in self.steps for v in step.results))
        return {v.name: v for v in own}


def plain(use: Use) -> str:
    """Return the name of the variable: the spelling of an unchanged program."""
    return use.name


def written(text: Text, spelling: Spelling = plain) -> str:
    """Return an expression as source text."""
    return "".join(piece if isinstance(piece, str) else spelling(piece) for piece in text)


def lines(steps: Sequence[Step], spelling: Spelling = plain, depth: int = 1) -> Iterator[str]:
    """Yield the source lines of operations, the functions of each before it."""
    margin = _INDENT * depth
    for step in steps:
        for body in step.bodies:
            yield f"{margin}def {body.name}({body.parameters}):"
            yield from lines(body.steps, spelling, depth + 1)
            yield f"{margin}{_INDENT}return {written(body.result, spelling)}"
        yield f"{margin}{step.target} = {written(step.text, spelling)}"


def function_text(parameters: Sequence[str], body: Sequence[str], result: str) -> str:
    """Return the source of ``program(*parameters, *, xp, ...)``."""
    tools = "".join(f", {name}=None" for name in TOOLS)
    head = f"def program({', '.join(parameters)}, *, xp{tools}):"
    return "\n".join([head, *body, f"{_INDENT}return {result}", ""])


def function(text: str, constants: Sequence[Any]) -> Callable[..., Any]:
    """Return the function of a source text, in which ``k`` are the constants."""
    file = f"<program {abs(hash(text)):x}>"
    # Tracebacks, and compilers that read the source of a function, find it there.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope: dict[str, Any] = {"k": tuple(constants), **FUNCTIONS}
    exec(compile(text, file, "exec"), scope)
    found: Callable[..., Any] = scope["program"]
    return found
