"""Shrinking: the smallest program and point that still fail in the same way.

`candidates` yields simpler programs, the boldest first: an earlier result, an input in place of a computed value, an
operation left out, shorter inputs, rounder numbers. The first that still fails replaces the program, until none does.
Each candidate is smaller (`_size`), so that this ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from autodiff_compare.fuzzing.program import Input, Program, Step
from autodiff_compare.problems import Array

#: Candidates that are tried at once: one request to a worker for all of them.
_AT_ONCE = 6
#: Candidates that are tried in all.
_MOST = 240

#: Returns for each program whether it fails in the same way.
Fails = Callable[[Sequence[Program]], Sequence[bool]]


def shrunk(program: Program, fails: Fails, *, scalar: bool) -> Program:
    """Return the smallest program that is found to fail in the same way.

    Parameters
    ----------
    program
        A program that fails.
    fails
        Returns for each program whether it fails in the same way.
    scalar
        Whether the result must stay a scalar, as gradients and second derivatives require.
    """
    tried, smooth = 0, not program.singular
    while tried < _MOST:
        simpler = (c for c in candidates(program, scalar) if _valid(c, scalar, smooth))
        for some in _batches(simpler):
            tried += len(some)
            found = next((c for c, failed in zip(some, fails(some), strict=True) if failed), None)
            if found is not None:
                program = found
                break
            if tried >= _MOST:
                break
        else:
            return renamed(program)
    return renamed(program)


def _batches(programs: Iterator[Program]) -> Iterator[list[Program]]:
    while some := list(itertools.islice(programs, _AT_ONCE)):
        yield some


def candidates(program: Program, scalar: bool) -> Iterator[Program]:
    """Yield simpler programs, the boldest first; some cannot be evaluated."""
    size = _size(program)
    for made in _all(program, scalar):
        simpler = made.without_unused()
        if _size(simpler) < size:
            yield simpler


def _size(program: Program) -> tuple[int, int, int, int, int]:
    """Return a size that every step of shrinking reduces: steps, entries, inputs, axes, digits."""
    digits = sum(len(f"{number:.17g}".rstrip("0").rstrip(".")) for x in program.inputs for number in x.value.flat)
    digits += sum(len(repr(dict(step.parameters))) for step in program.steps)
    axes = sum(x.value.ndim for x in program.inputs)
    return len(program.steps), program.size, len(program.inputs), axes, digits


def _all(program: Program, scalar: bool) -> Iterator[Program]:
    yield from _earlier_results(program, scalar)
    yield from _cut(program)
    yield from _bypassed(program)
    yield from _shorter(program)
    yield from _rounder(program)


def _earlier_results(program: Program, scalar: bool) -> Iterator[Program]:
    """Yield programs that return an earlier value, summed if a scalar is needed."""
    for k, step in enumerate(program.steps):
        kept = program.steps[: k + 1]
        yield replace(program, steps=kept, result=step.name)
        if scalar:
            total = Step("total", "sum", (step.name,), {"axis": None, "keepdims": False})
            yield replace(program, steps=(*kept, total), result=total.name)


def _cut(program: Program) -> Iterator[Program]:
    """Yield programs with an input in place of a computed value: all that led to it is gone."""
    for k in reversed(range(len(program.steps))):
        step = program.steps[k]
        if step.name == program.result:
            continue
        value = program.values[step.name]
        for number in (np.round(value, 2), value):
            made = Input(step.name, np.asarray(number, dtype=np.float64))
            yield replace(program, inputs=(*program.inputs, made), steps=program.steps[:k] + program.steps[k + 1 :])


def _bypassed(program: Program) -> Iterator[Program]:
    """Yield programs in which a step is left out, its operand standing for its result; or takes one operand twice."""
    for k, step in enumerate(program.steps):
        for operand in dict.fromkeys(step.operands):
            rest = tuple(_with_operand(s, step.name, operand) for s in program.steps[k + 1 :])
            result = operand if step.name == program.result else program.result
            yield replace(program, steps=program.steps[:k] + rest, result=result)


def _with_operand(step: Step, old: str, new: str) -> Step:
    return replace(step, operands=tuple(new if name == old else name for name in step.operands))


def _shorter(program: Program) -> Iterator[Program]:
    """Yield programs with fewer entries along each axis of each input, or without the axis."""
    for k, x in enumerate(program.inputs):
        for axis, length in enumerate(x.value.shape):
            if length > 1:
                yield _with_value(program, k, np.take(x.value, range(length - 1), axis=axis))
                yield _with_value(program, k, np.take(x.value, range(1, length), axis=axis))
                yield _with_value(program, k, np.take(x.value, length - 1, axis=axis))
            if length:
                yield _with_value(program, k, np.take(x.value, 0, axis=axis))
    if len({x.value.shape for x in program.inputs}) == 1 and program.inputs[0].value.ndim:
        # Operands of equal shapes can only be shortened together.
        parts = [x.value[..., : x.value.shape[-1] - 1] for x in program.inputs]
        shorter = tuple(replace(x, value=part) for x, part in zip(program.inputs, parts, strict=True))
        yield replace(program, inputs=shorter)
    for k, x in enumerate(program.inputs):
        if x.value.ndim == 2 and x.value.shape[0] == x.value.shape[1] > 1:
            yield _with_value(program, k, x.value[:-1, :-1])


def _rounder(program: Program) -> Iterator[Program]:
    for k, x in enumerate(program.inputs):
        for number in (np.ones_like(x.value), np.round(x.value), np.round(2 * x.value) / 2, np.round(x.value, 1)):
            yield _with_value(program, k, number)
        for entry in np.ndindex(x.value.shape):
            value = x.value.copy()
            value[entry] = np.round(value[entry])
            yield _with_value(program, k, value)


def _with_value(program: Program, k: int, value: Array) -> Program:
    inputs = list(program.inputs)
    inputs[k] = replace(inputs[k], value=np.asarray(value, dtype=np.float64))
    return replace(program, inputs=tuple(inputs))


def _valid(program: Program, scalar: bool, smooth: bool) -> bool:
    """Return whether NumPy evaluates the program to finite floats, and it stays scalar and smooth where it must."""
    if not program.steps:
        return False
    try:
        values = program.values
        sound = all(v.dtype == np.float64 and np.isfinite(v).all() for v in values.values())
        return sound and not (scalar and program.value.ndim) and not (smooth and program.singular)
    except Exception:  # NumPy may raise anything for operands that do not fit
        return False


def renamed(program: Program) -> Program:
    """Return the program with its inputs named ``x0``, ... and its steps ``v0``, ... in order."""
    names = {x.name: f"x{k}" for k, x in enumerate(program.inputs)}
    names |= {step.name: f"v{k}" for k, step in enumerate(program.steps)}
    inputs = tuple(replace(x, name=names[x.name]) for x in program.inputs)
    steps = tuple(
        replace(step, name=names[step.name], operands=tuple(names[o] for o in step.operands)) for step in program.steps
    )
    return Program(inputs, steps, names[program.result])
