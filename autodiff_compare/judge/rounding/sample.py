"""Samples of a derivative in Monte Carlo arithmetic: one evaluation of it on our engine, with random roundings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import lift
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant
from autodiff_compare.judge.rounding import engine
from autodiff_compare.judge.rounding.arithmetic import RoundingTrace, is_inexact
from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator


def sample(backend: Any, case: Case, eps: float, seed: int) -> tuple[tuple[Array, ...], float]:
    """Return the leaves of a case's result in Monte Carlo arithmetic, each an array, and the work in operations.

    Inputs move by one rounding too: an algorithm may compute with inputs that are off by as much. Whole numbers and
    those of few digits stay, and the parameters of a step, which are a term of its result.

    Parameters
    ----------
    backend
        Our engine, as `engine.opened` returns it.
    case
        A case of any operator.
    eps
        Spacing of numbers at 1 in the arithmetic that is imitated.
    seed
        Seed of the roundings.

    Raises
    ------
    Exception
        Whatever the objective raises on our engine.
    """
    trace = RoundingTrace(eps, seed)
    one = lift(np.float64(1.0), trace)
    moves = case.operator != Operator.STEP

    def seen(array: Any) -> Any:
        return lift(_moved(trace, array) if moves else _scalar(array), trace) if is_inexact(array) else array

    def multiplied(x: Any) -> Any:
        trace.exact = True
        product = x * one
        trace.exact = False
        return product

    def around(f: Callable[..., Any]) -> Callable[..., Any]:
        # A factor 1 on the outer trace, before and behind the function. Tangents and cotangents pass through it, so
        # that products with constants of the function are seen too.
        count = len(case.inputs.differentiated)

        def function(*args: Any) -> Any:
            found = f(*[multiplied(x) if i < count else x for i, x in enumerate(args)])
            return multiplied(found)

        return function

    arrays, directions = [seen(a) for a in case.inputs.arrays], [seen(a) for a in case.directions]
    with np.errstate(all="ignore"):
        found = engine.derivative(backend, case, arrays, directions, around)
    return tuple(np.asarray(constant(leaf)) for leaf in found), trace.work


def _scalar(array: Array) -> Any:
    """Return a 0-d array as a NumPy scalar, as the engine keeps them."""
    return array.astype(np.float64)[()]


def _moved(trace: RoundingTrace, array: Array) -> Any:
    value = array.astype(np.float64)[()]
    return np.where(trace.few_digits(value), value, trace.rounded(value))[()]
