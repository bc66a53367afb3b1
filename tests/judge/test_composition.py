"""Composite results: accepted if every part is right, and the part, row and entry of an error are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge import composition
from autodiff_compare.judge.comparison import layout
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import DIRECTIONS, Case, build_case, sample_count
from autodiff_compare.problems import Inputs, Problem, ProblemError
from autodiff_compare.vocabulary import BATCHES, ON_REQUEST, PARTS, Operator, Status
from tests.examples.layered import LOSS, OUTPUTS, X, Y

COMPOSITE = (*PARTS, *BATCHES)
CASES = [
    (problem, operator)
    for problem in (LOSS, OUTPUTS)
    for operator in COMPOSITE
    if operator in problem.operators or ON_REQUEST.get(operator, {Operator.STEP}) <= problem.operators
]
IDS = [f"{problem.name}-{operator}" for problem, operator in CASES]


def case_of(problem: Problem, operator: Operator, dtype: str = "float64") -> Case:
    return build_case(problem, "small", dtype, operator, 0)


def right(judge: Judge) -> list[Any]:
    assert judge.reference.arrays is not None
    return [np.asarray(leaf).astype(judge.case.dtype) for leaf in judge.reference.arrays]


@pytest.mark.parametrize(
    ("problem", "operator", "numerically"),
    [
        *((*case, False) for case in CASES),
        (OUTPUTS, Operator.VALUE_AND_VJP, True),
        (OUTPUTS, Operator.JVP_BATCH, True),
        (LOSS, Operator.GRADIENT_BATCH, True),
    ],
)
def test_an_error_in_any_leaf_is_found_in_its_row(problem: Problem, operator: Operator, numerically: bool) -> None:
    case = case_of(problem, operator)
    judge = Judge(case)
    result = right(judge)
    if numerically:
        judge = Judge(case, NUMERICAL)
    assert overall(judge(result)) == (Status.OK, "")
    for k, leaf in enumerate(result):
        wrong = leaf.copy()
        wrong.flat[-1] *= 1 + 1e-5
        status, why = overall(judge([*result[:k], wrong, *result[k + 1 :]]))
        assert status == Status.WRONG
        if operator in BATCHES:
            assert f"row {len(leaf) - 1}" in why
            assert str(operator) in why


@pytest.mark.parametrize("operator", [Operator.GRADIENT_BATCH, Operator.JVP_BATCH])
def test_rows_that_are_exchanged_are_wrong(operator: Operator) -> None:
    judge = Judge(case_of(LOSS, operator, "float32"))
    leaves = right(judge)
    assert overall(judge(leaves))[0] == Status.OK
    assert overall(judge([leaf[::-1] for leaf in leaves]))[0] == Status.WRONG


@pytest.mark.parametrize(("problem", "operator"), CASES, ids=IDS)
def test_the_layout_is_that_of_the_parts(problem: Problem, operator: Operator) -> None:
    """Leading axis of a batch: directions of the case, or samples of the problem. Rows are checked by their shape."""
    leaves = list(layout(case_of(problem, operator)))
    if operator in BATCHES:
        rows = len(X) if operator in composition.SAMPLED else DIRECTIONS
        assert {leaf.shape[0] for leaf in leaves} == {rows}
        assert all(leaf.name.startswith(str(operator)) for leaf in leaves)
    else:
        expected = [leaf for part in PARTS[operator] for leaf in layout(case_of(problem, part))]
        assert [(leaf.name, leaf.shape) for leaf in leaves] == [(leaf.name, leaf.shape) for leaf in expected]


def test_a_result_of_another_number_of_rows_is_refused_by_its_shape() -> None:
    judge = Judge(case_of(LOSS, Operator.GRADIENT_BATCH))
    status, why = overall(judge([leaf[:3] for leaf in right(judge)]))
    assert status == Status.WRONG
    assert "got (3, 3), (3,), expected (4, 3), (4,)" in why


def test_rows_that_were_not_looked_at_are_counted() -> None:
    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        return Inputs((rng.normal(size=2),), (rng.normal(size=(n, 2)),))

    many = Problem(
        "many",
        "sum of squares",
        "gradient of a sample a: 2 (x.a) a",
        {"small": composition.MOST_ROWS + 5},
        inputs,
        lambda x, a, *, xp: xp.sum(xp.matmul(a, x) ** 2),
        reference={Operator.GRADIENT: lambda x, a: 2 * a.T @ (a @ x)},
        samples=(1,),
    )
    case = case_of(many, Operator.GRADIENT_BATCH)
    (x,), (a,) = case.inputs.differentiated, case.inputs.data
    found = Judge(case)([2 * (a @ x)[:, None] * a])
    assert overall(found)[0] == Status.OK
    assert "5 other rows were not looked at" in found[0].note


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ((), "expected the arrays that hold one sample in each row"),
        ((1, 2), "expected equal leading axes"),
        ((3,), "without samples in p, expected one row or more"),
    ],
)
def test_samples_that_do_not_fit_are_refused(samples: tuple[int, ...], words: str) -> None:
    inputs = Inputs((np.ones(2),), (X, Y[:3], X[:0]))
    problem = Problem("p", "t", "s", {"small": 1}, lambda *_: inputs, lambda *_: None, samples=samples)
    with pytest.raises(ProblemError, match=words):
        sample_count(problem, inputs)
