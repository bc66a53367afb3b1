"""Evaluation points of a user's function: its value at the given point, and a second point close to it.

A function is prepared at one point and called at another. A problem of this package draws both. A user's file with
``objective`` and ``x`` gives one point; the second is a small perturbation of it, within the function's domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from autodiff_compare.backends import PLAIN, hint
from autodiff_compare.problems import SCALAR, VECTOR, Array, Inputs, Problem, ProblemError
from autodiff_compare.process.failures import described
from autodiff_compare.vocabulary import COMPLEX, Operator

#: Relative sizes of a perturbation, tried in this order: a function may be defined in a small neighbourhood only.
_SIZES = (1e-2, 1e-4, 1e-7)
#: Relative step of the differences that show whether a function is holomorphic. Their error is about 1e-10.
_STEP = 1e-5
#: Largest relative difference of the derivative along ``i t`` and ``i`` times that along ``t``.
_HOLOMORPHIC = 1e-5


def with_operators(problem: Problem) -> Problem:
    """Return the problem with its ``operators``; a user's function is evaluated to see whether its value is a scalar.

    Raises
    ------
    ProblemError
        If the function fails in plain NumPy, or returns anything but a finite array of floats or complex numbers.
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
    array = _checked(problem.name, value)
    if array.dtype.kind == "c" or problem.complex_numbers:
        return _of_complex_numbers(problem, inputs, array)
    return replace(problem, operators=VECTOR if array.shape else SCALAR)


def with_finite_values(problem: Problem) -> Problem:
    """Return the problem as it is, if its value is finite at each of its points in plain NumPy.

    Raises
    ------
    ProblemError
        If the value at a point is nan or infinite, or the function fails there.
    """
    for size, inputs in problem.points.items():
        if problem.stand_in:
            continue
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(problem.function(PLAIN, inputs.static)(*inputs.arrays))
        except Exception as error:  # outside its domain a user's function may raise anything
            raise ProblemError(
                f"cannot evaluate {problem.name} {size} in plain NumPy: {type(error).__name__}: {described(error)}"
            ) from error
        if not np.isfinite(value).all():
            raise ProblemError(f"got nan or infinity from {problem.name} {size}, expected a point of its domain")
    return problem


def _of_complex_numbers(problem: Problem, inputs: Inputs, value: Array) -> Problem:
    """Return the problem with the operators of a function of complex numbers.

    A complex output has no gradient. Its derivative by complex inputs is a matrix only if it is holomorphic.
    """
    operators = (VECTOR if value.shape or value.dtype.kind == "c" else SCALAR) & COMPLEX
    if value.dtype.kind == "c" and not _is_holomorphic(problem.function(PLAIN, inputs.static), inputs):
        operators -= {Operator.JACOBIAN}
    return replace(problem, operators=operators, complex_numbers=True)


def _is_holomorphic(function: Callable[..., object], inputs: Inputs) -> bool:
    """Return whether the derivative by the complex inputs is linear in complex factors, by central differences.

    ``dy = A dz + B conj(dz)`` for matrices ``A`` and ``B``. Along ``t`` it is ``A t + B conj(t)``, along ``i t`` it is
    ``i (A t - B conj(t))``: ``i`` times the former for every ``t`` only if ``B`` is zero.
    """
    rng = np.random.default_rng(0)
    turns = [(rng.uniform(size=x.shape), rng.uniform(0.5, 1.5, x.shape)) for x in inputs.differentiated]
    units = [size * np.exp(2j * np.pi * turn) for turn, size in turns]
    steps = [_STEP * max(float(np.max(np.abs(x), initial=0.0)), _STEP) for x in inputs.differentiated]

    def along(factor: complex) -> Array:
        def at(sign: float) -> Array:
            moved = [
                x + sign * h * factor * u if np.iscomplexobj(x) else x
                for x, u, h in zip(inputs.differentiated, units, steps, strict=True)
            ]
            return np.asarray(function(*moved, *inputs.data))

        return at(1.0) - at(-1.0)

    try:
        with np.errstate(all="ignore"):
            straight, turned = along(1), along(1j)
    except Exception:  # outside its domain a user's function may raise anything
        return False
    size = max(float(np.max(np.abs(d), initial=0.0)) for d in (straight, turned))
    return bool(np.max(np.abs(turned - 1j * straight), initial=0.0) <= _HOLOMORPHIC * size)


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
        advice = "return it" if value is None else "stack or add the parts"
        raise ProblemError(f"got {type(value).__name__} from {name}, expected one array: {advice}")
    array = np.asarray(value)
    if array.dtype.kind not in "fc":
        got = type(value).__name__ if array.dtype.hasobject else array.dtype
        raise ProblemError(f"got {got} from {name}, expected floats or complex numbers")
    if not np.isfinite(array).all():
        raise ProblemError(f"got nan or infinity from {name} at the given point, expected a point of its domain")
    return array
