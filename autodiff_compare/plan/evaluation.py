"""Evaluation points of a user's function: its value at the given point, and a second point close to it.

A function is prepared at one point and called at another. A problem of this package draws both. A user's file with
``objective`` and ``x`` gives one point; the second is a small perturbation of it, within the function's domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from autodiff_compare.backends import PLAIN, hint
from autodiff_compare.problems import SCALAR, VECTOR, Array, Inputs, Problem, ProblemError
from autodiff_compare.process.failures import described

#: Relative sizes of a perturbation, tried in this order: a function may be defined in a small neighbourhood only.
_SIZES = (1e-2, 1e-4, 1e-7)


def with_operators(problem: Problem) -> Problem:
    """Return the problem with its ``operators``; a user's function is evaluated to see whether its value is a scalar.

    Raises
    ------
    ProblemError
        If the function fails in plain NumPy, or returns anything but a finite array of floats.
    """
    if problem.operators:
        return problem
    try:
        inputs = problem.inputs(np.random.default_rng(0), next(iter(problem.sizes.values())))
        value = problem.function(PLAIN, inputs.static)(*inputs.arrays)
    except (Exception, SystemExit) as error:
        advice = hint(error, "numpy", PLAIN.xp) or _whole_numbers(error, problem)
        words = f"{type(error).__name__}: {described(error, hint=advice)}"
        raise ProblemError(f"cannot evaluate {problem.name} at the given point in plain NumPy: {words}") from error
    if type(value) is float and not problem.native:
        raise ProblemError(
            f"got a Python number from {problem.name}, expected an array: float() and the module math drop the "
            "derivative; use xp.sum, xp.sin and other functions of xp"
        )
    shape = _checked(problem.name, value).shape
    return replace(problem, operators=VECTOR if shape else SCALAR)


def _whole_numbers(error: BaseException, problem: Problem) -> str:
    """Return advice where a function takes its whole numbers for indices: they were converted to floats."""
    inputs = problem.draw(next(iter(problem.size_names)), 0).differentiated
    whole = any(x.size and np.array_equal(x, np.trunc(x)) for x in inputs)
    if not whole or not isinstance(error, (IndexError, TypeError)):
        return ""
    return (
        "a value of whole numbers is differentiated, as floats; indices and labels are data, a default: k=np.array(...)"
    )


def perturbed(problem: Problem, inputs: Inputs, rng: np.random.Generator) -> Inputs:
    """Return the inputs with a small perturbation at which the function is finite; unchanged if there is none."""
    for moved in _perturbations(inputs, rng):
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(problem.function(PLAIN, moved.static)(*moved.arrays))
        except Exception:  # outside its domain a user's function may raise anything
            continue
        if np.isfinite(value).all():
            return moved
    return inputs


def _perturbations(inputs: Inputs, rng: np.random.Generator) -> Iterator[Inputs]:
    units = [rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], size=x.shape) for x in inputs.differentiated]
    for size in _SIZES:
        # Zeros are moved too, but upwards only: many domains end at zero.
        yield _moved(inputs, [x * (1 + size * u) + (x == 0) * size * abs(u) for x, u in _with(inputs, units)])
        yield _moved(inputs, [x * (1 + size * u) for x, u in _with(inputs, units)])


def _with(inputs: Inputs, units: list[Array]) -> Iterator[tuple[Array, Array]]:
    return zip(inputs.differentiated, units, strict=True)


def _moved(inputs: Inputs, arrays: list[Array]) -> Inputs:
    return Inputs(tuple(np.asarray(a) for a in arrays), inputs.data, inputs.static)


def _checked(name: str, value: object) -> Array:
    """Return the value as an array; reject one that cannot be differentiated."""
    if isinstance(value, (tuple, list, dict)) or value is None:
        raise ProblemError(f"got {type(value).__name__} from {name}, expected one array: stack or add the parts")
    array = np.asarray(value)
    if array.dtype.kind != "f":
        got = type(value).__name__ if array.dtype.hasobject else array.dtype
        raise ProblemError(f"got {got} from {name}, expected floats: only a real function can be compared here")
    if not np.isfinite(array).all():
        raise ProblemError(f"got nan or infinity from {name} at the given point, expected a point of its domain")
    return array
