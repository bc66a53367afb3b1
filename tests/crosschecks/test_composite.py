"""Composite operators of problems on every backend, judged part by part.

Each operator is tried on at least eight problems. What a batch gives is compared with single calls in
`tests.backends.test_composite`; here the references are those of the problems.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.execution.computation.preparation import prepared
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.plan.cases import build_case, leaves
from autodiff_compare.vocabulary import BATCHES, ON_REQUEST, PARTS, SAMPLED, Operator, Status
from tests.conftest import opened

COMPOSITE = tuple(o for o in (*PARTS, *BATCHES) if o != Operator.VALUE_AND_GRADIENT)
#: Small problems with closed forms, scalar and vector, of several inputs, with loops and with linear algebra.
SMALL = (
    "hello", "sphere", "matyas", "himmelblau", "goldstein_price", "llsq", "logistic_regression", "lse", "spline", "det",
    "chain_rule", "tape_polynomial", "planar_arm", "kepler",
)  # fmt: skip
SAMPLES = tuple(p.name for p in problems.available().values() if p.samples and p.name != "cubic_fit")
#: Backends on which every case is tried, and the quick variants of two that take up to seconds for each. These have the
#: cases in turns: `tests.backends.test_composite` holds every operator of theirs to single calls.
SPECS = ("numpy", "torch")
IN_TURNS = ("jax", "tensorflow:eager")


def _named(operator: Operator) -> list[str]:
    names = SAMPLES if operator in SAMPLED else SMALL
    return [n for n in names if ON_REQUEST[operator] <= problems.available()[n].operators]


CELLS = [
    (name, operator, spec)
    for k, operator in enumerate(COMPOSITE)
    for i, name in enumerate(_named(operator))
    for spec in (*SPECS, IN_TURNS[(i + k) % 2])
]


@functools.cache
def judge_of(name: str, operator: Operator) -> Judge:
    return Judge(build_case(problems.available()[name], problems.available()[name].smallest, "float64", operator, 5))


@pytest.mark.parametrize("operator", COMPOSITE)
def test_an_operator_is_tried_on_eight_problems(operator: Operator) -> None:
    assert len(_named(operator)) >= 8
    assert all(sum(cell[1:] == (operator, spec) for cell in CELLS) >= 4 for spec in (*SPECS, *IN_TURNS))


@pytest.mark.parametrize(("name", "operator", "spec"), CELLS)
def test_every_part_is_right(name: str, operator: Operator, spec: str) -> None:
    backend, problem, judge = opened(spec), problems.available()[name], judge_of(name, operator)
    found = prepared(backend, problem, (problem.smallest, "float64", operator, 5)).timed
    result = [np.asarray(backend.to_numpy(leaf)) for leaf in leaves(backend.block(found.run(*found.args)))]
    assert overall(judge(result)) == (Status.OK, "")
