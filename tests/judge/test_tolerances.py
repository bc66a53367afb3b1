"""Tolerances: what rounding does to each entry, and verdicts that depend on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.rounding.arithmetic import RoundingTrace
from autodiff_compare.judge.tolerances import SAMPLES, Tolerances
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, rounded
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import Operator, Status

RNG = np.random.default_rng(0)
X = RNG.normal(size=1000)
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in ("float32", "float64")}


def case_at(
    objective: Callable[..., Any],
    *x: Any,
    dtype: str = "float64",
    operator: Operator = Operator.GRADIENT,
    directions: Any = (),
    **fields: Any,
) -> Case:
    inputs = rounded(Inputs(tuple(np.asarray(part, dtype=float) for part in x)), dtype)
    problem = Problem("p", "made", "this test", {"small": 1}, lambda *_: inputs, objective, **fields)
    return Case(problem, "small", dtype, operator, 0, inputs, directions, DEFAULT_OPTIMIZER)


def closed(f: Callable[..., Any]) -> dict[str, Any]:
    return {"reference": {Operator.GRADIENT: f}}


def spread(case: Case) -> tuple[Any, ...]:
    tolerances = Tolerances(case)
    assert tolerances.refined()
    assert tolerances.refined()
    found = tolerances.measured()
    assert found is not None
    return tuple(s / EPS[case.dtype] for s in found)


def status(case: Case, *result: Any) -> Status:
    return overall(Judge(case)([np.asarray(leaf).astype(case.dtype) for leaf in result]))[0]


# ---- spreads, in eps: the difference of the largest and the smallest of eight samples


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_product_spreads_by_its_own_roundings(dtype: str) -> None:
    """The gradient 2x of sum(x*x) is one product of an input that moves by a rounding: at most 2 of them."""
    (found,) = spread(case_at(lambda x, *, xp: xp.sum(x * x), X, dtype=dtype))
    relative = found / np.abs(2 * X)
    assert 0.5 < np.median(relative) < 3
    assert relative.max() < 6


def test_small_leaf_spreads_by_its_own_roundings() -> None:
    large, small = spread(case_at(lambda x, y, *, xp: 1e14 * xp.sum(x * x) + xp.sum(y * y), X[:100], X[100:200]))
    assert (small / np.abs(2 * X[100:200])).max() < 6
    assert (large / np.abs(2e14 * X[:100])).max() < 8


def test_long_sum_spreads_by_its_number_of_terms() -> None:
    """A sum of K terms of one sign, one after the other, errs by eps sqrt(K/36) in the mean square."""
    K = 10_000
    case = case_at(lambda x, y, *, xp: y * xp.sum(x * x), np.full(K, 0.3), 0.7)
    whole = spread(case)[1] / (K * 0.09)
    assert np.sqrt(K / 36) / 2 < whole < 6 * np.sqrt(K / 36)


def test_a_derivative_of_many_operations_is_sampled_eight_times_and_others_more_often() -> None:
    """One wrong entry is refuted either way; the work is counted, and does not depend on the machine."""
    drawn = {}
    for steps in (10, 3000):

        def f(x: Any, *, xp: Any, steps: int = steps) -> Any:
            y = x
            for _ in range(steps):
                y = y * 1.0001
            return xp.sum(y * y)

        case = case_at(f, X[:3], **closed(lambda x, steps=steps: 2 * x * np.longdouble(1.0001) ** (2 * steps)))
        judge = Judge(case)
        right = judge.reference.arrays
        assert right is not None
        off = right[0].astype(float)
        assert overall(judge([off]))[0] == Status.OK
        # Twice as much as few samples allow, so that more are drawn before it is refuted.
        off = off + 2 * judge.tolerances(right)[0]
        assert overall(judge([off]))[0] == Status.WRONG
        drawn[steps] = len(judge.tolerances._samples)
    assert drawn == {10: 24, 3000: 8}


ZEROS = {
    "softmax": lambda x, *, xp: xp.sum(xp.exp(x) / xp.sum(xp.exp(x))),
    "standardised": lambda x, *, xp: xp.sum((x - xp.mean(x)) / xp.std(x)),
    "sin2 + cos2": lambda x, *, xp: xp.sum(xp.sin(x) ** 2 + xp.cos(x) ** 2),
    "exp log": lambda x, *, xp: xp.sum(xp.exp(xp.log(xp.abs(x) + 1)) - xp.abs(x)),
    "norm of a unit vector": lambda x, *, xp: xp.sum((x / xp.sqrt(xp.sum(x * x))) ** 2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ZEROS)
def test_zero_gradient_spreads_by_its_terms(name: str, dtype: str) -> None:
    (found,) = spread(case_at(ZEROS[name], X[:8], dtype=dtype))
    assert (found > 0.01).all()
    assert (found < 50).all()


def test_spread_follows_the_conditioning() -> None:
    """The 6 x 6 Hilbert matrix has condition number 1.5e7 (Higham, Accuracy and Stability, table 28.1)."""
    i = np.arange(6.0)
    case = case_at(lambda b, *, xp: xp.sum(xp.linalg.solve(1 / (i[:, None] + i + 1), b) ** 2), X[:6])
    found = Tolerances(case)
    found.refined()
    found.refined()
    spreads, centre = found.measured(), found.centre()
    assert spreads is not None
    relative = np.linalg.norm(spreads[0]) / np.linalg.norm(centre[0]) / EPS["float64"]
    assert 1e5 < relative < 1e9


def test_kinks_and_ties_are_not_broken_by_roundings() -> None:
    def f(x: Any, *, xp: Any) -> Any:
        return xp.sum(xp.maximum(x, 0)) + xp.max(x) + xp.sum(xp.abs(x - 1)) + xp.max(x @ x.T)

    x = np.array([[1.0, 0.0, 2.3], [2.3, 1.0, -0.7]])
    (found,) = spread(case_at(f, x))
    assert found.max() < 50


@pytest.mark.parametrize("small", [1e-16, 2.0**-54])
def test_a_term_that_a_whole_number_absorbs_is_a_rounding(small: float) -> None:
    """In float64 ``1 + 1e-16`` is 1, and the second derivative of ``sqrt(x^2 + 1e-16)`` at 1 is 0 instead of 1e-16."""
    f = lambda x, *, xp: xp.sum(xp.sqrt(x * x + small))  # noqa: E731
    (found,) = spread(case_at(f, [1.0], operator=Operator.HESSIAN))
    assert 1 < found.max() < 50


def test_symmetric_products_stay_symmetric() -> None:
    trace = RoundingTrace(EPS["float32"], 0)
    A = RNG.normal(size=(5, 5))
    moved = trace.rounded(A + A.T)
    assert np.array_equal(moved, moved.T)
    assert (moved != A + A.T).all()
    assert np.abs(moved / (A + A.T) - 1).max() <= EPS["float32"] / 2


def test_branch_that_rounding_decides_is_an_outlier() -> None:
    """max(a, b) of two products that are equal but for rounding: the slope goes to one or to the other."""
    case = case_at(lambda x, *, xp: xp.maximum(0.1 * x[0] * 3, 0.3 * x[0]) * x[1], [0.7, 1.3])
    found = Tolerances(case)
    found.refined()
    found.refined()
    allowed = found((np.array([0.39, 0.21]),))[0]
    assert (allowed < 1e-12).all()


# ---- verdicts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ZEROS)
def test_zero_gradient_may_be_rounding_and_nothing_else(name: str, dtype: str) -> None:
    case = case_at(ZEROS[name], X[:8], dtype=dtype, **closed(lambda x: 0 * x))
    assert status(case, np.full(8, EPS[dtype] / 8)) == Status.OK
    assert status(case, np.zeros(8)) == Status.OK
    for size in (1e-3, 1e-5):
        assert status(case, np.full(8, size)) == Status.WRONG


@pytest.mark.parametrize(("dtype", "n", "scale"), [("float32", 1000, 1e5), ("float64", 100, 1e14), ("float64", 7, 1e3)])
def test_small_leaf_is_judged_by_itself(dtype: str, n: int, scale: float) -> None:
    x, y = (a.astype(dtype).astype(float) for a in RNG.normal(size=(2, n)))
    case = case_at(
        lambda x, y, *, xp: scale * xp.sum(x * x) + xp.sum(y * y),
        x,
        y,
        dtype=dtype,
        **closed(lambda x, y: (2 * scale * x, 2 * y)),
    )
    right = 2 * scale * x
    assert status(case, right, 2 * y) == Status.OK
    for wrong in (0 * y, -2 * y, 2 * y * (1 + 1e-4), np.where(np.arange(n) == 3, 0, 2 * y)):
        assert status(case, right, wrong) == Status.WRONG


@pytest.mark.parametrize("n", [100, 100_000])
def test_entry_that_is_one_product_is_judged_by_itself(n: int) -> None:
    x = RNG.normal(size=n).astype(np.float32).astype(float)
    case = case_at(lambda x, *, xp: xp.sum(x * x), x, dtype="float32", **closed(lambda x: 2 * x))
    judge = Judge(case)

    def judged(g: Any) -> Status:
        return overall(judge([g.astype(np.float32)]))[0]

    assert judged(2 * x) == Status.OK
    for factor in (0.0, 1.03, 1 + 1e-4):
        wrong = 2 * x
        wrong[n // 3] *= factor
        assert judged(wrong) == Status.WRONG
    assert judged(2 * x * (1 + 100 * EPS["float32"])) == Status.WRONG
    assert judged(2 * x * (1 + EPS["float32"])) == Status.OK


def test_entries_of_other_units_in_one_array_are_judged_by_themselves() -> None:
    """Gradient of c0^2 + (1e8 c1)^2: entries of size 1e4 and 1e10."""
    x = np.array([5800.0, 5e-7])
    scales = np.array([1.0, 1e8])
    case = case_at(
        lambda x, *, xp: xp.sum((x * xp.asarray(scales)) ** 2),
        x,
        dtype="float32",
        **closed(lambda x: 2 * x * scales**2),
    )
    x = case.inputs.differentiated[0]
    right = 2 * x * scales**2
    assert status(case, right) == Status.OK
    assert status(case, right * [0, 1]) == Status.WRONG
    assert status(case, right * [1, 0]) == Status.WRONG


@pytest.mark.parametrize(("error", "samples"), [(1e-17, SAMPLES[0]), (3e-15, SAMPLES[3]), (1e-3, SAMPLES[2])])
def test_more_samples_are_drawn_before_a_result_is_refuted(error: float, samples: int) -> None:
    """The gradient of the sum of a softmax is zero, and its rounding about 1e-16. An error of 1e-3 is beyond doubt."""
    judge = Judge(case_at(ZEROS["softmax"], X[:8], **closed(lambda x: 0 * x)))
    judge([np.full(8, error)])
    assert len(judge.tolerances._samples) == samples


def test_rounding_is_measured_only_where_it_is_needed() -> None:
    judge = Judge(case_at(lambda x, *, xp: xp.sum(x**3), X, **closed(lambda x: 3 * x * x)))
    judge([3 * X * X])
    assert judge.tolerances._samples == []


def test_function_that_our_engine_cannot_run_is_judged_by_a_guess() -> None:
    def opaque(x: Any, *, xp: Any) -> Any:
        return xp.sum(np.asarray([float(v) for v in x], dtype=np.float64) ** 3)

    case = case_at(opaque, X[:10], **closed(lambda x: 3 * x * x))
    judge, right = Judge(case), 3 * X[:10] ** 2
    off = right * (1 + 8 * EPS["float64"])
    assert overall(judge([off]))[0] == Status.OK
    assert "rounding not measured: our engine cannot run the function" in judge([off])[0].note
    assert overall(judge([right * (1 + 1e-9)]))[0] == Status.WRONG


def test_random_function_is_named_before_anything_else() -> None:
    case = case_at(lambda x, *, xp: xp.sum(x * x) + np.random.rand(), X[:3])
    found = overall(Judge(case)([2 * X[:3]]))
    assert found[0] == Status.WRONG
    assert found[1].startswith("repeat: two evaluations of the function at the same inputs differ (")
    assert "not deterministic" in found[1]


def test_failure_names_entry_numbers_and_tolerance() -> None:
    case = case_at(lambda x, *, xp: xp.sum(x**2), [1.0, 3.0], **closed(lambda x: 2 * x))
    found, *_ = Judge(case)([np.array([2.0, 6.0000001])])
    assert (found.worst_index, found.got, found.expected) == ("[1]", 6.0000001, 6.0)
    assert 0 < found.entry_tolerance < 1e-13
    assert "gradient fail at [1]: got 6.0000001, expected 6 +- " in overall([found])[1]
