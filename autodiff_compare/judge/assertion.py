"""The judge as an assertion about one gradient of a user's function, for tests and notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, rounded
from autodiff_compare.problems import Inputs, Problem, typical_sizes
from autodiff_compare.vocabulary import DTYPES, Operator, Status

Array = NDArray[Any]


def assert_gradients(
    f: Callable[..., Any],
    x: Any,
    gradient: Any,
    *,
    dtype: str | None = None,
    seed: int = 0,
    typical: Any = None,
) -> tuple[Comparison, ...]:
    """Assert that ``gradient`` is the gradient of ``f`` at ``x``, by numerical differences with an error bar.

    Parameters
    ----------
    f
        Function of NumPy arrays, one for each input, that returns a scalar. It is called with float64 arrays.
    x
        The inputs: one array, or a tuple of arrays.
    gradient
        One array, or a tuple shaped like ``x``, of any type that ``np.asarray`` accepts; or a function of ``x`` that
        returns this.
    dtype
        The precision in which the gradient was computed, ``float64`` or ``float32``; by default its own dtype.
    seed
        Seed of the random directions, which are used above 32 input entries.
    typical
        Typical size of each input: a number or an array of its shape, a tuple of them for several inputs. By default
        each entry moves in proportion to its own size.

    Returns
    -------
    tuple of Comparison
        The comparisons, with errors and tolerances.

    Raises
    ------
    AssertionError
        If the gradient is wrong, or cannot be proved right because the function is not smooth at ``x`` or too noisy.
    ValueError
        If the function does not return a scalar.

    Examples
    --------
    >>> _ = assert_gradients(lambda x: np.sum(np.sin(x)), np.array([0.3, 1.0]), np.cos)
    """
    inputs = tuple(np.asarray(part) for part in x) if isinstance(x, tuple) else (np.asarray(x),)
    found = gradient(*inputs) if callable(gradient) else gradient
    leaves = tuple(np.asarray(part) for part in found) if isinstance(found, tuple) else (np.asarray(found),)
    output = np.shape(f(*inputs))
    if output != ():
        raise ValueError(f"got an output of shape {output}, expected a scalar: check a component or a projection")
    dtype = dtype or str(np.result_type(*leaves))
    if dtype not in DTYPES:
        raise AssertionError(f"got a gradient of dtype {dtype}, expected one of {', '.join(DTYPES)}")
    comparisons = Judge(_gradient_case(f, inputs, dtype, seed, typical), NUMERICAL)(leaves)
    status, why = overall(comparisons)
    if status != Status.OK:
        raise AssertionError(f"gradient is {status}: {why}")
    return comparisons


def _gradient_case(
    f: Callable[..., Any], inputs: tuple[Array, ...], dtype: str, seed: int, typical: Any = None
) -> Case:
    """Return the case of the gradient of a user's function at the given inputs."""
    problem = Problem(
        name="f",
        title="a function under test",
        source="",
        sizes={"small": 1},
        inputs=lambda *_: Inputs(inputs),
        objective=lambda *args, xp: f(*args),  # noqa: ARG005 - f computes in NumPy
        typical=typical_sizes(typical, [f"input {k}" for k in range(len(inputs))], inputs, "assert_gradients()"),
    )
    return Case(problem, "small", dtype, Operator.GRADIENT, seed, rounded(Inputs(inputs), dtype), (), DEFAULT_OPTIMIZER)
