"""A batch of programs on one backend: programs go to a worker as text, numbers come back.

`compute` runs in the worker. A batch holds everything that it needs, so that it could run on any machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend
from autodiff_compare.conventions.observation import status_of
from autodiff_compare.execution.computation.preparation import prepared
from autodiff_compare.fuzzing.program import problem_of_text
from autodiff_compare.plan.cases import leaves
from autodiff_compare.plan.evaluation import with_operators
from autodiff_compare.problems import Array, Problem
from autodiff_compare.vocabulary import Operator, Status

#: Size and seed of the case that is made of a program.
SIZE, SEED = "small", 0


@dataclass(frozen=True)
class Outcome:
    """What one backend made of one operator of one program.

    Parameters
    ----------
    status
        ``ok`` if there are numbers; else `Status` of the failure.
    leaves
        The arrays of the result.
    message
        The failure in words.
    """

    status: str
    leaves: tuple[Array, ...] = ()
    message: str = ""


def compute(backend: Backend, texts: Sequence[str], operators: Sequence[Sequence[str]], dtype: str) -> dict[str, Any]:
    """Compute operators of programs on an opened backend.

    Parameters
    ----------
    backend
        The opened backend.
    texts
        The programs, as `Program.source` returns them.
    operators
        For each program the operators to compute.
    dtype
        The dtype of the inputs.

    Returns
    -------
    dict
        ``outcomes``: for each program a list with, for each operator, the fields of an `Outcome`.
    """
    outcomes = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for text, wanted in zip(texts, operators, strict=True):
            problem = with_operators(problem_of_text(text))
            outcomes.append([vars(_outcome(backend, problem, Operator(name), dtype)) for name in wanted])
    return {"outcomes": outcomes}


def _outcome(backend: Backend, problem: Problem, operator: Operator, dtype: str) -> Outcome:
    try:
        now = prepared(backend, problem, (SIZE, dtype, operator, SEED))
        found = backend.block(now.timed.run(*now.timed.args))
        return Outcome(Status.OK, tuple(np.asarray(backend.to_numpy(leaf)) for leaf in leaves(found)))
    except Exception as error:  # a framework may raise anything, and this is its answer
        lacks, words = status_of(error)
        return Outcome(Status.UNSUPPORTED if lacks == "not_available" else Status.ERROR, (), words)
