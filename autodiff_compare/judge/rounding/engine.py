"""The derivative of a case by our NumPy engine: for references in extended precision, and to measure rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff_compare import backends
from autodiff_compare.backends import Objective
from autodiff_compare.plan.cases import Case, leaves
from autodiff_compare.vocabulary import Operator


def opened(operator: Operator) -> Any:
    """Return the backend of the engine; for Taylor series that which shares no code with its arithmetic of series.

    Raises
    ------
    ImportError, ValueError
        If it is not there.
    """
    backend = backends.load("numpy:nested" if operator is Operator.TAYLOR else "numpy")
    backend.open()
    return backend


def derivative(
    backend: Any,
    case: Case,
    arrays: Sequence[Any],
    directions: Sequence[Any],
    around: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda f: f,
) -> tuple[Any, ...]:
    """Return the leaves of the case's operator, computed by the NumPy engine.

    Parameters
    ----------
    backend
        The engine, as `opened` returns it.
    arrays, directions
        Inputs and directions: arrays of any floating type, or traced values.
    around
        Wraps the objective before it is differentiated.

    Raises
    ------
    Exception
        Whatever the objective raises on the engine.
    """
    function = around(case.problem.function(backend, case.inputs.static))
    run = backend.prepare(
        case.operator,
        Objective(function, **case.facts),
        [backend.to_var(a) for a in case.inputs.arrays],
        argnums=range(len(case.inputs.differentiated)),
        directions=[backend.to_var(a) for a in case.directions],
        optimizer=case.optimizer,
        degree=case.degree,
    )
    return leaves(backend.block(run(*arrays, *directions)))
