"""Half precision: limits of the dtypes, and what the judge still tells apart in them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from autodiff_compare.judge import judge
from autodiff_compare.plan.cases import build_case
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.precision import limits, numpy_dtype
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import DTYPES, HALF_DTYPES, Operator, Status

SQUARES = Problem(
    name="squares",
    title="sum of squares",
    source="gradient 2 x",
    sizes={"small": 20},
    inputs=lambda rng, n: Inputs((rng.normal(size=n),)),
    objective=lambda x, *, xp: xp.sum(x * x),
)


@pytest.mark.parametrize("name", [*DTYPES, *HALF_DTYPES])
def test_limits_are_those_of_the_dtype(name: str) -> None:
    """Expected: ml_dtypes, which reads them off the format."""
    expected = ml_dtypes.finfo(numpy_dtype(name))
    assert limits(name) == (float(expected.eps), float(expected.smallest_normal), float(expected.max))


@pytest.mark.parametrize("name", HALF_DTYPES)
def test_inputs_are_rounded_to_half_precision(name: str) -> None:
    (x,) = build_case(SQUARES, "small", name, Operator.GRADIENT, 0).inputs.differentiated
    assert x.dtype == np.float64
    assert np.array_equal(x.astype(numpy_dtype(name)).astype(np.float64), x)


def test_a_dtype_that_is_none_is_refused_with_the_choices() -> None:
    told = r"got dtype 'float8', did you mean .*\? Expected one of: float64, float32, float16, bfloat16"
    with pytest.raises(PlanError, match=told):
        plan(Query(("sphere",), dtypes=("float8",)))


# ---- the gradient of the sum of squares is 2 x, which is exact in every dtype

_RIGHT, _WRONG = Status.OK, Status.WRONG


@pytest.mark.parametrize(
    ("name", "factor", "status"),
    [
        ("float16", 1.0, _RIGHT),
        # Two roundings: what a framework may lose.
        ("float16", 1 + 2 * 2.0**-10, _RIGHT),
        ("float16", 1.05, _WRONG),
        ("float16", -1.0, _WRONG),
        ("bfloat16", 1.0, _RIGHT),
        ("bfloat16", 1 + 2 * 2.0**-7, _RIGHT),
        ("bfloat16", 1.3, _WRONG),
        ("bfloat16", 0.5, _WRONG),
    ],
)
def test_the_judge_tells_a_wrong_gradient_from_rounding(name: str, factor: float, status: Status) -> None:
    case = build_case(SQUARES, "small", name, Operator.GRADIENT, 0)
    got = (2 * factor * case.inputs.differentiated[0]).astype(numpy_dtype(name))
    assert judge.overall(judge.Judge(case)([got]))[0] == status


@pytest.mark.parametrize("name", HALF_DTYPES)
def test_a_result_of_another_dtype_is_wrong(name: str) -> None:
    case = build_case(SQUARES, "small", name, Operator.GRADIENT, 0)
    status, message = judge.overall(judge.Judge(case)([2 * case.inputs.differentiated[0].astype(np.float32)]))
    assert (status, message) == (Status.WRONG, f"dtype: got float32, expected {name}")
