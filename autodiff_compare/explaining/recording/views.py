"""Views of a program: functions whose derivatives are the numbers of its intermediates.

*Values and tangents.* A function that returns all intermediates, joined to one vector, has their values as its value
and their tangents as its directional derivative.

*Cotangents.* Let a variable v be used as an operand at several places. Each use reads ``v + z`` instead, with an input
z of its own that is zero. The derivative by z is what the operation at that place passes back to v: one term of the
cotangent of v, which is the sum over its uses. One reverse sweep gives all of them.

*Second derivatives.* The product of the Hessian of that function with a tangent that is zero for every z has, in the
place of z, the derivative of that term along the tangent. It is computed by the backend's own order of modes.

The zeros are negative: ``v + (-0.0)`` has the bits of v, also where v is zero of either sign. So ties stay ties, and
nothing is rounded that was not rounded before.

*One operation.* A function that is a single operation of its operands, for a trial of it alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.explaining.recording.program import (
    Program,
    Step,
    Use,
    Variable,
    function,
    function_text,
    lines,
)
from autodiff_compare.problems import SCALAR, Array, Inputs, Problem

_INDENT = "    "


@dataclass(frozen=True)
class View:
    """A function made of a program, and the point at which it is evaluated.

    Parameters
    ----------
    text
        Its source.
    constants, tools
        As in `Program`.
    inputs
        Differentiated inputs and data, in the dtype of the program.
    """

    text: str
    constants: tuple[object, ...]
    tools: tuple[str, ...]
    inputs: Inputs

    def problem(self) -> Problem:
        """Return the function as a problem, so that it can be computed and judged like any other."""
        inputs = self.inputs
        return Problem(
            name="program",
            title="operations of an objective",
            source="recorded",
            sizes={"small": 1},
            inputs=lambda rng, n: inputs,  # noqa: ARG005 - the same point for every seed
            objective=function(self.text, self.constants),
            operators=SCALAR,
            suites=frozenset(),
            uses=self.tools,
            fixed=True,
        )


@dataclass(frozen=True)
class Slot:
    """A part of a result that belongs to an intermediate.

    Parameters
    ----------
    step
        Index of the operation that made the value, or that passes a cotangent back.
    variable
        The variable that has the value, or that receives the cotangent.
    use
        The use that receives the cotangent; `None` for a value.
    part
        Of a complex variable that receives a cotangent: 0 for the real part, 1 for the imaginary part.
    """

    step: int
    variable: Variable
    use: Use | None = None
    part: int = 0


def _made(program: Program, text: str, differentiated: Iterable[Array]) -> View:
    values = program.values
    inputs = Inputs(tuple(map(np.asarray, differentiated)), tuple(np.asarray(values[v.name]) for v in program.data))
    return View(text, program.constants, program.tools, inputs)


def _parameters(program: Program, more: Sequence[str] = ()) -> list[str]:
    return [*(v.name for v in program.inputs), *more, *(v.name for v in program.data)]


def whole_view(program: Program) -> View:
    """Return the function that the program is."""
    text = function_text(_parameters(program), list(lines(program.steps)), program.output)
    return _made(program, text, (program.values[v.name] for v in program.inputs))


def values_view(program: Program, *, differentiable: bool) -> tuple[View, list[Slot]]:
    """Return the function that returns all results of operations, joined to one vector, and what each part of it is.

    Parameters
    ----------
    program
        The program.
    differentiable
        Whether to leave out results that do not depend on the differentiated inputs, or are no floating-point numbers.
    """
    slots = [Slot(k, v) for k, step in enumerate(program.steps) for v in step.results if v.active or not differentiable]
    text = function_text(_parameters(program), list(lines(program.steps)), _joined(program, slots))
    return _made(program, text, (program.values[v.name] for v in program.inputs)), slots


def shapes_view(program: Program, slots: Sequence[Slot]) -> View:
    """Return the function that returns, for each slot of `values_view`, its number of axes and their lengths."""
    names = "".join(f"{slot.variable.name}, " for slot in slots)
    result = f"xp.asarray([float(n) for v in ({names}) for n in (len(v.shape), *v.shape)])"
    text = function_text(_parameters(program), list(lines(program.steps)), result)
    return _made(program, text, (program.values[v.name] for v in program.inputs))


def shapes_in(numbers: Array) -> list[tuple[int, ...]]:
    """Return the shapes in the result of a `shapes_view`."""
    found, rest = [], [int(n) for n in numbers]
    while rest:
        axes = rest[0]
        found.append(tuple(rest[1 : 1 + axes]))
        rest = rest[1 + axes :]
    return found


def weighted_view(program: Program) -> tuple[View, list[Slot]]:
    """Return the sum of all entries of the differentiable `values_view`, each times a weight of one.

    The weights are the last differentiated input. The derivative by a weight is the value of an entry. So the product
    of the Hessian with a tangent that is zero for the weights has, in their place, the tangents of the entries: as the
    order of modes that computes it has them.
    """
    slots = [Slot(k, v) for k, step in enumerate(program.steps) for v in step.results if v.active]
    result = f"xp.sum(weights * {_joined(program, slots)})"
    text = function_text(_parameters(program, ["weights"]), list(lines(program.steps)), result)
    weights = np.ones(sum(map(_size, slots)), dtype=program.inputs[0].dtype)
    return _made(program, text, (*(program.values[v.name] for v in program.inputs), weights)), slots


def _joined(program: Program, slots: Sequence[Slot]) -> str:
    """Return the source of one vector of all parts."""
    first = program.inputs[0]
    parts = [part for slot in slots for part in _flat(slot.variable, first.dtype, f"{first.name}.dtype")]
    return f"xp.concat([{', '.join(parts)}])"


def real_shape(variable: Variable) -> tuple[int, ...]:
    """Return the shape of the numbers of a variable: of a complex one, real and imaginary parts along a first axis."""
    return (2, *variable.shape) if variable.kind == "c" else variable.shape


def _size(slot: Slot) -> int:
    return math.prod(real_shape(slot.variable))


def _flat(variable: Variable, dtype: str, like: str) -> Iterator[str]:
    """Yield the source of the flat real parts of a variable, in the dtype of the inputs."""
    name = variable.name
    complex_of = {"float64": "complex128", "float32": "complex64"}
    same = variable.dtype in (dtype, complex_of.get(dtype))
    for real in [f"xp.real({name})", f"xp.imag({name})"] if variable.kind == "c" else [name]:
        cast = real if same else f"xp.astype({real}, {like})"
        yield f"xp.reshape({cast}, (-1,))"


def split(joined: Array, slots: Sequence[Slot]) -> list[Array]:
    """Return the part of each slot of a joined vector, (entries,) or, of complex numbers, (2, entries)."""
    return np.split(joined, np.cumsum([_size(slot) for slot in slots])[:-1]) if slots else []


def tapped_view(program: Program) -> tuple[View, list[Slot]]:
    """Return the function with an input of zeros at each operand, and what each of these inputs is.

    They follow the program's own differentiated inputs. A complex operand has two: for the real and the imaginary part.
    """
    known, zeros = program.variables(), []
    slots: list[Slot] = []
    spelled: dict[int, str] = {}
    dtype = program.inputs[0].dtype
    for k, step in enumerate(program.steps):
        for use in step.uses():
            variable = known[use.name]
            if not variable.active:
                continue
            names = []
            for part in range(2 if variable.kind == "c" else 1):
                names.append(f"t{len(slots)}")
                slots.append(Slot(k, variable, use, part))
                zeros.append(np.full(variable.shape, -0.0, dtype=dtype))
            spelled[use.number] = _tapped(variable, names, dtype)
    text = function_text(
        _parameters(program, [f"t{i}" for i in range(len(slots))]),
        list(lines(program.steps, lambda use: spelled.get(use.number, use.name))),
        program.output,
    )
    own = (program.values[v.name] for v in program.inputs)
    return _made(program, text, (*own, *zeros)), slots


def _tapped(variable: Variable, names: Sequence[str], dtype: str) -> str:
    """Return the source of an operand with its zeros added."""
    if len(names) == 2:
        # The imaginary unit times -0.0 has a real part of zero of one sign or the other.
        return f"({variable.name} + xp.astype({names[0]} + 1j * {names[1]}, {variable.name}.dtype))"
    zero = names[0] if variable.dtype == dtype else f"xp.astype({names[0]}, {variable.name}.dtype)"
    return f"({variable.name} + {zero})"


@dataclass(frozen=True)
class Operation:
    """One operation of a program by itself, as a function of real arrays.

    A complex operand is put together of two inputs, its real and its imaginary part, and a complex result is taken
    apart. So its derivatives follow no convention of complex numbers.

    Parameters
    ----------
    uses
        The uses that are differentiated, each one input of its own, or two.
    parameters
        The names of all its inputs, those of ``uses`` first.
    body
        The source lines that compute its result.
    result
        The source of its result.
    shape
        Shape of the result.
    """

    uses: tuple[Use, ...]
    parameters: tuple[str, ...]
    body: tuple[str, ...]
    result: str
    shape: tuple[int, ...]


def operation(program: Program, step: Step) -> Operation:
    """Return an operation as a function of its operands, each use of a variable an operand of its own."""
    known, dtype = program.variables(), program.inputs[0].dtype
    uses = tuple(use for use in step.uses() if known[use.name].active)
    own: dict[int, tuple[str, ...]] = {}
    for i, use in enumerate(uses):
        own[use.number] = (f"u{i}", f"v{i}") if known[use.name].kind == "c" else (f"u{i}",)
    rest: dict[str, None] = {}

    def spelling(use: Use) -> str:
        names = own.get(use.number, ())
        if not names and use.name in known:
            rest[use.name] = None
        if len(names) == 2:
            return f"({names[0]} + 1j * {names[1]})"
        return names[0] if names else use.name

    body = tuple(lines([step], spelling))
    floats = [v for v in step.results if v.active]
    if len(floats) == 1 and floats[0].kind == "f":
        result, shape = floats[0].name, floats[0].shape
    else:
        like = f"xp.{dtype}" if floats[0].kind == "c" else f"{floats[0].name}.dtype"
        parts = [part for v in floats for part in _flat(v, dtype, like)]
        result, shape = f"xp.concat([{', '.join(parts)}])", (sum(math.prod(real_shape(v)) for v in floats),)
    parameters = [name for names in own.values() for name in names]
    return Operation(uses, (*parameters, *rest), body, result, shape)


def real_parts(variable: Variable, value: Array) -> list[Array]:
    """Return the real arrays of a value: of a complex one, its real and its imaginary part."""
    return [np.real(value), np.imag(value)] if variable.kind == "c" else [np.asarray(value)]


def operation_view(program: Program, found: Operation, weights: Array | None) -> View:
    """Return the function that is one operation, at the operands that it has in the program.

    Parameters
    ----------
    program
        The program.
    found
        The operation.
    weights
        Numbers shaped like the result. If given, the function is the weighted sum of the result, and the weights are
        its last differentiated input.
    """
    values, known = program.values, program.variables()
    first = [part for use in found.uses for part in real_parts(known[use.name], values[use.name])]
    count = len(first)
    parameters, result = list(found.parameters), found.result
    if weights is not None:
        parameters.insert(count, "weights")
        first.append(weights)
        result = f"xp.sum(weights * {result})"
    rest = tuple(np.asarray(values[name]) for name in found.parameters[count:])
    text = function_text(parameters, found.body, result)
    return View(text, program.constants, program.tools, Inputs(tuple(first), rest))


def received(slots: Sequence[Slot], parts: Sequence[Array], own: Mapping[str, Array]) -> dict[str, Array]:
    """Return the cotangent of each variable, in its `real_shape`: the sum of what its uses pass back.

    Parameters
    ----------
    slots, parts
        The slots of a tapped view, and the result in each.
    own
        What variables get besides: the output gets the cotangent that the sweep begins with.
    """
    found = dict(own)
    for slot, part in zip(slots, parts, strict=True):
        name, given = slot.variable.name, part
        if slot.variable.kind == "c":
            given = np.zeros(real_shape(slot.variable))
            given[slot.part] = part
        found[name] = found[name] + given if name in found else given
    return found
