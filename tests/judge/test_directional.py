"""The judge on derivatives along directions: right results pass, small errors are found, estimates are called so."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Objective
from autodiff_compare.judge.differences import WIDE, Estimates
from autodiff_compare.judge.differences.high_orders import along
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.probe import DirectionalProbe
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import Case, build_case, leaves
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.precision import limits, numpy_dtype
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import available
from autodiff_compare.vocabulary import DIRECTIONAL, Operator, Status, Verdict
from tests.conftest import opened
from tests.judge.test_judge import case_at

OPERATORS = [*sorted(DIRECTIONAL), Operator.SPARSE_HESSIAN]
#: A polynomial, whose high orders are zero; several inputs; for series, exponentials and an array as well.
CASES = [
    *((problem, operator) for problem in ("rosenbrock", "equal_inputs") for operator in OPERATORS),
    ("hartmann3", Operator.TAYLOR),
    ("planar_arm", Operator.TAYLOR),
]


def case_of(problem: str, operator: Operator, dtype: str = "float64") -> Case:
    return build_case(available()[problem], "small", dtype, operator, 0)


def result(case: Case) -> list[Any]:
    backend = opened("numpy")
    f = Objective(case.problem.function(backend, case.inputs.static), **case.facts)
    args = [np.asarray(a, case.dtype)[()] for a in case.inputs.arrays]
    directions = [np.asarray(d, case.dtype)[()] for d in case.directions]
    argnums = range(len(case.inputs.differentiated))
    run = backend.prepare(case.operator, f, args, argnums=argnums, directions=directions)
    return [np.asarray(leaf) for leaf in leaves(run(*args, *directions))]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("problem", "operator"), CASES)
def test_right_results_are_right(problem: str, operator: Operator, dtype: str) -> None:
    case = case_of(problem, operator, dtype)
    judge = Judge(case)
    assert overall(judge(result(case))) == (Status.OK, "")
    assert all(name.startswith("extended_precision") for name in judge.reference.names)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("operator", "directions", "exact"),
    [
        (Operator.HESSIAN_DIAGONAL, (), [[3.0, 4.5]]),
        (Operator.LAPLACIAN, (), [7.5]),
        (Operator.TAYLOR, ([1.0, -1.0],), [0.75 - 1.6875, 7.5, 6 - 6.0, 0.0]),
    ],
)
def test_half_precision_is_judged_in_its_own_roundings(
    operator: Operator, directions: Any, exact: list[Any], dtype: str
) -> None:
    """Of ``sum(x^3)``: a result off by a few roundings is right, one off by a quarter is not."""
    case = case_at(lambda x, *, xp: xp.sum(x**3), [0.5, 0.75], dtype=dtype, operator=operator, directions=directions)
    judge, kind = Judge(case, NUMERICAL), numpy_dtype(dtype)
    off = [np.multiply(e, 1 + 2 * limits(dtype).eps).astype(kind) for e in exact]
    assert overall(judge(off)) == (Status.OK, "")
    assert overall(judge([np.multiply(e, 1.5).astype(kind) for e in exact]))[0] == Status.WRONG


@pytest.mark.parametrize("degree", [1, 2, 7])
def test_a_series_is_judged_to_its_degree(degree: int) -> None:
    # All derivatives of exp are equal.
    case = replace(
        case_at(lambda x, *, xp: xp.exp(x), 0.5, operator=Operator.TAYLOR, directions=(1.0,)), size=f"small^{degree}"
    )
    judge = Judge(case)
    right = [np.asarray(np.exp(0.5))] * degree
    assert overall(judge(right)) == (Status.OK, "")
    assert overall(judge([*right[:-1], right[-1] * (1 + 1e-4)]))[0] == Status.WRONG
    assert "shape" in overall(judge([*right, right[0]]))[1]


def controls(found: list[Any]) -> dict[str, list[Any]]:
    """Return wrong results: each must be refuted."""
    largest = max(range(len(found)), key=lambda k: float(np.abs(found[k]).max(initial=0)))
    at = int(np.argmax(np.abs(found[largest])))

    def with_entry(factor: float) -> list[Any]:
        changed = [leaf.copy() for leaf in found]
        changed[largest].reshape(-1)[at] *= factor
        return changed

    return {
        "zeros": [np.zeros_like(leaf) for leaf in found],
        "sign": [-leaf for leaf in found],
        "one entry off by 1e-9": with_entry(1 + 1e-9),
        "nan": with_entry(np.nan),
        "infinite": with_entry(np.inf),
    }


@pytest.mark.parametrize(("problem", "operator"), CASES)
def test_wrong_results_are_found(problem: str, operator: Operator) -> None:
    case = case_of(problem, operator)
    judge = Judge(case)
    for name, wrong in controls(result(case)).items():
        assert overall(judge(wrong))[0] is Status.WRONG, name


@pytest.mark.parametrize(("problem", "operator"), CASES)
def test_differences_alone_accept_the_right_and_find_errors_of_a_thousandth(problem: str, operator: Operator) -> None:
    case = case_of(problem, operator)
    judge = Judge(case, NUMERICAL)
    found = result(case)
    assert overall(judge(found))[0] is Status.OK
    assert overall(judge([leaf * 1.001 for leaf in found]))[0] is Status.WRONG


def test_a_missing_place_of_a_sparse_hessian_is_found() -> None:
    case = case_of("rosenbrock", Operator.SPARSE_HESSIAN)
    (full,) = case.hessian_patterns
    keep = ~((full.rows == 1) & (full.columns == 2))
    found = [result(case)[0][keep]]
    case.__dict__["hessian_patterns"] = (replace(full, rows=full.rows[keep], columns=full.columns[keep]),)
    assert overall(Judge(case, NUMERICAL)(found))[0] is Status.WRONG


def test_a_right_estimate_is_called_an_estimate_and_compared_with_the_laplacian() -> None:
    case = case_of("rosenbrock", Operator.LAPLACIAN_ESTIMATE)
    mean, width = (c for c in Judge(case)(result(case)) if c.reference)
    assert (mean.quantity, mean.verdict) == ("estimate", Verdict.ESTIMATE)
    assert (width.quantity, width.verdict) == ("half_width", Verdict.PASS)
    assert "the Laplacian is " in mean.note
    assert "within" in mean.note or "outside of" in mean.note


def test_too_many_inputs_for_a_laplacian_by_differences_are_said() -> None:
    case = case_of("rosenbrock", Operator.LAPLACIAN)
    x = np.linspace(0.5, 1.5, 1100)
    case = replace(case, inputs=replace(case.inputs, differentiated=(x,)))
    finding = DirectionalProbe(case).check([np.ones(())], [np.ones(())])
    assert finding.verdict is Verdict.UNDETERMINED
    assert "would take too long" in finding.note


def test_a_query_by_name_computes_them_of_problems_that_have_a_product() -> None:
    query = Query(problems=("rosenbrock", "planar_arm"), backends=("numpy",), operators=tuple(map(str, OPERATORS)))
    cells = {(c.problem, c.operator) for c in plan(query).cells}
    assert cells == {("planar_arm", Operator.TAYLOR), *(("rosenbrock", o) for o in OPERATORS)}
    plain = plan(Query(problems=("rosenbrock",), backends=("numpy",)))
    assert not {c.operator for c in plain.cells} & set(OPERATORS)


#: phi(t) = f(x + t u) in closed form at t = 0, with its derivatives of the orders 1 to 4.
LINES: dict[str, tuple[Any, Any, list[float]]] = {
    "sine": (np.sin, 0.4, [np.cos(0.4), -np.sin(0.4), -np.cos(0.4), np.sin(0.4)]),
    "exponential": (lambda x: np.exp(2 * x), 0.5, [2.0**k * np.exp(1.0) for k in (1, 2, 3, 4)]),
    "cubic": (lambda x: x**3, 2.0, [12.0, 12.0, 6.0, 0.0]),
    "reciprocal near its pole": (lambda x: 1 / x, 0.01, [-1e4, 2e6, -6e8, 24e10]),
    "large offset": (lambda x: 1e8 + np.sin(x), 0.4, [np.cos(0.4), -np.sin(0.4), -np.cos(0.4), np.sin(0.4)]),
}


@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("wide", [None, WIDE], ids=["double", "extended"])
@pytest.mark.parametrize("name", LINES)
def test_bars_of_high_orders_cover_the_error(name: str, wide: Any, order: int) -> None:
    f, x, exact = LINES[name]
    found = along(lambda p: np.asarray(f(p)), np.array([x]), np.array([abs(x)]), order, lambda: wide)
    for k, (one, want) in enumerate(zip(found[:4], exact, strict=True), 1):
        assert abs(one.derivative[0] / abs(x) ** k - want) <= one.bar[0] / abs(x) ** k
    # Also beside an offset of 1e8, whose rounding is 1e-8, the first derivative is known well enough to decide.
    assert found[0].decided.all()


def test_a_kink_has_no_narrow_bar() -> None:
    found: list[Estimates] = along(lambda p: np.abs(p - 1.0), np.array([1.0]), np.array([1.0]), 2)
    assert not found[1].decided.any()


@pytest.mark.parametrize(
    ("f", "exists"),
    [
        (lambda p: np.maximum(p, 0.0) ** 2, [True, False, False]),
        (lambda p: np.maximum(p, 0.0) ** 3, [True, True, False]),
        (np.abs, [False, False, False]),
        (lambda p: np.sin(3 * p), [True, True, True]),
        (lambda p: 1 / (1 + 25 * p * p), [True, True, True]),
    ],
)
def test_no_derivative_exists_from_the_first_that_jumps(f: Any, exists: list[bool]) -> None:
    found = along(f, np.zeros(1), np.ones(1), 3)
    assert [one.verdicts[0] == Verdict.PASS for one in found] == exists
    assert all(
        one.verdicts[0] == Verdict.NONSMOOTH for one, is_there in zip(found, exists, strict=True) if not is_there
    )


@pytest.mark.parametrize("power", [2, 4, 6])
def test_kinks_of_high_derivatives_are_found_and_no_others(power: int) -> None:
    """The derivative of order p of ``max(t, 0)^p`` is 0 on one side and p! on the other."""
    found = along(lambda t: np.maximum(t, 0.0) ** power, np.zeros(1), np.ones(1), 7)
    assert [one.verdicts[0] == Verdict.NONSMOOTH for one in found] == [k >= power for k in range(1, 8)]
    ends = [found[power - 1].low[0], found[power - 1].high[0]]
    np.testing.assert_allclose(ends, [0.0, math.factorial(power)], atol=0.01 * math.factorial(power))
    assert all(one.verdicts[0] != Verdict.NONSMOOTH for one in along(np.sin, np.full(1, 0.4), np.full(1, 0.4), 8))


@pytest.mark.parametrize("f", [lambda x, *, xp: xp.sum(xp.exp(xp.sin(x)) * x), lambda x, *, xp: xp.sum(xp.log(x))])
@pytest.mark.parametrize("x", [[0.8], [0.8, 0.3]])
def test_a_half_width_of_zero_is_proved(f: Any, x: list[float]) -> None:
    """A diagonal Hessian has the same curvature along all directions of signs: their spread is 0, within rounding."""
    directions = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])[:, : len(x)]
    case = case_at(f, x, operator=Operator.LAPLACIAN_ESTIMATE, directions=(directions,))
    judge = Judge(case, NUMERICAL)
    mean = judge.probe.observed[1].derivative[0]
    for width, verdict in [(0.0, Verdict.PASS), (1e-5 * abs(mean), Verdict.FAIL)]:
        found = {c.quantity: c.verdict for c in judge([np.array(mean), np.array(width)])}
        assert (Verdict.FAIL in found.values()) == (verdict == Verdict.FAIL)
        assert (overall(judge([np.array(mean), np.array(width)]))[0] == Status.OK) == (verdict == Verdict.PASS)
