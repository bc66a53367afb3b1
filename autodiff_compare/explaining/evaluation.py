"""Evaluation of a program inside a worker process: its text and numbers come in a request, its derivative goes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend, Objective
from autodiff_compare.explaining.recording.views import View
from autodiff_compare.plan.cases import Case, cast, leaves
from autodiff_compare.problems import Inputs
from autodiff_compare.vocabulary import Operator


def request(view: View, case: Case) -> dict[str, Any]:
    """Return the parameters of `evaluate` for a view, and a case of its problem."""
    constants = [
        (
            "array" if isinstance(c, np.ndarray) else "scalar" if isinstance(c, np.generic) else "number",
            np.asarray(c),
        )
        for c in view.constants
    ]
    return {
        "text": view.text,
        "constants": constants,
        "tools": view.tools,
        "dtype": case.dtype,
        "operator": str(case.operator),
        "differentiated": case.inputs.differentiated,
        "data": case.inputs.data,
        "directions": case.directions,
    }


def evaluate(
    backend: Backend,
    text: str,
    constants: Sequence[Sequence[Any]],
    tools: Sequence[str],
    dtype: str,
    operator: str,
    differentiated: Sequence[Any],
    data: Sequence[Any],
    directions: Sequence[Any],
) -> Mapping[str, Any]:
    """Return the leaves of an operator of a program, under ``result``.

    Parameters
    ----------
    backend
        An opened backend.
    text, constants, tools
        As in `autodiff_compare.explaining.recording.views.View`. Each constant stands behind its kind: ``array``,
        ``scalar`` of NumPy, or ``number`` of Python.
    dtype, operator, differentiated, data, directions
        The case.
    """
    kinds: dict[str, Callable[[Any], Any]] = {
        "array": np.asarray,
        "scalar": lambda a: a[()],
        "number": lambda a: a.item(),
    }
    given = tuple(kinds[kind](array) for kind, array in constants)
    view = View(text, given, tuple(tools), Inputs(tuple(differentiated), tuple(data)))
    objective = Objective(view.problem().function(backend, {}))
    args = [backend.to_var(cast(array, dtype)) for array in (*differentiated, *data)]
    along = [backend.to_var(cast(array, dtype)) for array in directions]
    run = backend.prepare(Operator(operator), objective, args, argnums=range(len(differentiated)), directions=along)
    found = backend.block(run(*args, *along))
    return {"result": [np.asarray(backend.to_numpy(leaf)) for leaf in leaves(found)]}
