"""Every problem x operator x backend x dtype against its reference, and the backends against each other."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest

import problems
from backends import PLAIN, Objective
from harness import check
from harness.cells import Case, build_case, cast, leaves
from harness.plan import DEFAULT_BACKENDS, plan
from problems.closed_forms import complete
from tests.conftest import opened
from vocabulary import DTYPES, Operator, Status, Verdict

SEED = 20
BACKENDS = (*DEFAULT_BACKENDS, "manual")
#: Relative to the norm of the reference: what the project promises of float64, whatever the judge allows.
PROMISED = 1e-10


@functools.cache
def case_of(problem: str, dtype: str, operator: Operator, seed: int = SEED) -> Case:
    return build_case(problems.available()[problem], "small", dtype, operator, seed)


@functools.cache
def judge_of(problem: str, dtype: str, operator: Operator) -> check.Judge:
    return check.Judge(case_of(problem, dtype, operator))


@functools.cache
def result_of(problem: str, dtype: str, operator: Operator, spec: str) -> tuple[Any, ...]:
    """Prepared at the inputs of one seed, used at those of another."""
    backend, case = opened(spec), case_of(problem, dtype, operator)
    other = case_of(problem, dtype, operator, SEED + 1)

    def var(array: Any) -> Any:
        return backend.to_var(cast(array, dtype))

    function = case.problem.function(backend, case.inputs.static)
    run = backend.prepare(
        operator,
        Objective(function, complete(case.problem, case.inputs, case.optimizer, PLAIN)),
        [var(a) for a in other.inputs.arrays],
        argnums=range(len(case.inputs.differentiated)),
        directions=[var(t) for t in other.directions],
        optimizer=case.optimizer,
    )
    found = run(*(var(a) for a in (*case.inputs.arrays, *case.directions)))
    return tuple(np.asarray(backend.to_numpy(leaf)) for leaf in leaves(backend.block(found)))


GROUPS = list(dict.fromkeys((cell.problem, cell.operator) for cell in plan().cells))


def grouped(*values: Any) -> Any:
    """One problem stays in one test process, so that its results are computed once."""
    return pytest.param(*values, marks=pytest.mark.xdist_group(values[0]))


@pytest.mark.parametrize(
    ("problem", "operator", "spec", "dtype"),
    [grouped(*group, spec, dtype) for group, spec, dtype in itertools.product(GROUPS, BACKENDS, DTYPES)],
)
def test_a_result_agrees_with_its_reference(problem: str, operator: Operator, spec: str, dtype: str) -> None:
    result = result_of(problem, dtype, operator, spec)
    comparisons = judge_of(problem, dtype, operator)(result, repeatable=True, inputs_unchanged=True)
    status, message = check.overall(comparisons)
    assert status == Status.OK, message
    assert {c.verdict for c in comparisons} == {Verdict.PASS}, comparisons
    if dtype == "float64":
        assert max(c.norm_rel_error for c in comparisons if np.isfinite(c.norm_rel_error)) <= PROMISED


@pytest.mark.parametrize(("problem", "operator"), [grouped(*group) for group in GROUPS])
def test_the_backends_agree_to_1e_10(problem: str, operator: Operator) -> None:
    results = {spec: result_of(problem, "float64", operator, spec) for spec in DEFAULT_BACKENDS}
    pairs = check.pairwise(case_of(problem, "float64", operator), results)
    assert len(pairs) == 6
    for pair in pairs:
        assert pair.norm_rel_difference <= PROMISED, pair
