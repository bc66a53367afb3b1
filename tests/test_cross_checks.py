"""Every problem x operator x backend x dtype against its reference, by the judge that judges a run."""

from __future__ import annotations

import functools
from functools import partial
from typing import Any

import numpy as np
import pytest

from backends import Backend, Objective
from harness.cells import build_case, cast, leaves
from harness.check import Judge
from problems import available
from problems.closed_forms import complete
from tests.test_step import opened
from vocabulary import DTYPES, Operator, Verdict

PROBLEMS = available()
BACKENDS = ("manual", "numpy", "torch", "tensorflow", "jax")
#: Of float64 results relative to the norm of the reference: what the project promises, whatever the judge allows.
PROMISED = 1e-10

backend_of = functools.cache(opened)


@functools.cache
def judge_of(problem: str, operator: Operator, dtype: str) -> Judge:
    return Judge(build_case(PROBLEMS[problem], "small", dtype, operator, seed=0))


def evaluated(backend: Backend, judge: Judge) -> list[Any]:
    """Prepared at one point and called at another, as a worker does."""
    case = judge.case
    other = build_case(case.problem, case.size, case.dtype, case.operator, seed=1)

    def variables(arrays: Any) -> list[Any]:
        return [backend.to_var(cast(a, case.dtype)) for a in arrays]

    run = backend.prepare(
        case.operator,
        Objective(
            partial(case.problem.objective, xp=backend.xp, **case.inputs.static),
            complete(case.problem, case.inputs, case.optimizer),
        ),
        variables(other.inputs.arrays),
        argnums=range(len(case.inputs.differentiated)),
        directions=variables(other.directions),
        optimizer=case.optimizer,
    )
    out = backend.block(run(*variables((*case.inputs.arrays, *case.directions))))
    return [np.asarray(backend.to_numpy(leaf)) for leaf in leaves(out)]


CASES = [
    pytest.param(name, operator, id=f"{name}-{operator}")
    for name, problem in PROBLEMS.items()
    for operator in Operator
    if operator in problem.operators or (operator is Operator.STEP and Operator.GRADIENT in problem.operators)
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("problem", "operator"), CASES)
@pytest.mark.parametrize("spec", [pytest.param(s, marks=pytest.mark.xdist_group(s)) for s in BACKENDS])
def test_agrees_with_the_reference(spec: str, problem: str, operator: Operator, dtype: str) -> None:
    judge = judge_of(problem, operator, dtype)
    comparisons = judge(evaluated(backend_of(spec), judge))
    assert {c.verdict for c in comparisons} == {Verdict.PASS}, comparisons
    assert judge.reference.arrays is not None, "every problem here has closed forms"
    if dtype == "float64":
        assert max(c.norm_rel_error for c in comparisons if np.isfinite(c.norm_rel_error)) <= PROMISED
