"""A function at the one point that a user gave: what it gives there, and another point close to it.

A problem of our own draws its inputs, so that a function is prepared at one point and used at another. A file with
``objective`` and ``x`` has one point; the second is found by moving a little from it, within the function's domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from autodiff_compare.backends import PLAIN
from autodiff_compare.problems import SCALAR, VECTOR, Array, Inputs, Problem, ProblemError

#: Relative sizes of a move, tried in this order: a function may be defined in a small neighbourhood only.
_MOVES = (1e-2, 1e-4, 1e-7)


def described(problem: Problem) -> Problem:
    """The problem with its ``operators``, where only an evaluation can tell whether its value is a scalar.

    Raises
    ------
    ProblemError
        If the function fails in plain NumPy, or what it returns is no finite array of floats.
    """
    if problem.operators:
        return problem
    try:
        inputs = problem.inputs(np.random.default_rng(0), next(iter(problem.sizes.values())))
        value = problem.function(PLAIN, inputs.static)(*inputs.arrays)
    except (Exception, SystemExit) as error:
        raise ProblemError(
            f"cannot evaluate {problem.name} at the given point in plain NumPy: {type(error).__name__}: {error}"
        ) from error
    if type(value) is float and not problem.native:
        raise ProblemError(
            f"got a Python number from {problem.name}, expected an array of xp: float() and the module math drop the "
            "derivative, xp.sum, xp.sin and their like keep it"
        )
    shape = _checked(problem.name, value).shape
    return replace(problem, operators=VECTOR if shape else SCALAR)


def nearby(problem: Problem, inputs: Inputs, rng: np.random.Generator) -> Inputs:
    """Differentiated inputs a little off the given ones, where the function is finite; the given ones if nowhere."""
    for moved in _moves(inputs, rng):
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(problem.function(PLAIN, moved.static)(*moved.arrays))
        except Exception:  # a user's function outside its domain: whatever it raises, the next is tried
            continue
        if np.isfinite(value).all():
            return moved
    return inputs


def _moves(inputs: Inputs, rng: np.random.Generator) -> Iterator[Inputs]:
    units = [rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], size=x.shape) for x in inputs.differentiated]
    for size in _MOVES:
        # Zeros move too, but up: below them lies the end of many a domain.
        yield _moved(inputs, [x * (1 + size * u) + (x == 0) * size * abs(u) for x, u in _with(inputs, units)])
        yield _moved(inputs, [x * (1 + size * u) for x, u in _with(inputs, units)])


def _with(inputs: Inputs, units: list[Array]) -> Iterator[tuple[Array, Array]]:
    return zip(inputs.differentiated, units, strict=True)


def _moved(inputs: Inputs, arrays: list[Array]) -> Inputs:
    return Inputs(tuple(np.asarray(a) for a in arrays), inputs.data, inputs.static)


def _checked(name: str, value: object) -> Array:
    """The value as array, if it can be differentiated."""
    if isinstance(value, (tuple, list, dict)) or value is None:
        raise ProblemError(f"got {type(value).__name__} from {name}, expected one array: stack or add the parts")
    array = np.asarray(value)
    if array.dtype.kind != "f":
        got = type(value).__name__ if array.dtype.hasobject else array.dtype
        raise ProblemError(f"got {got} from {name}, expected floats: only a real function can be compared here")
    if not np.isfinite(array).all():
        raise ProblemError(f"got nan or infinity from {name} at the given point, expected a point of its domain")
    return array
