"""The bounds of the judge: an error just beyond each of them is rejected, and one just within is accepted.

A bound that is loosened tenfold, or dropped, makes a test here fail.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge.differences import Estimates, signs
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.probe.findings import Judged
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.vocabulary import Operator, Status, Verdict
from tests.judge.test_judge import case_at

X = np.array([0.5, -1.25, 2.0, 0.75])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("numerically", [False, True], ids=["closed form", "by differences"])
@pytest.mark.parametrize(("roundings", "expected"), [(0, Status.OK), (2, Status.OK), (40, Status.WRONG)])
def test_an_entry_that_is_one_product_is_allowed_few_roundings(
    roundings: int, expected: Status, numerically: bool, dtype: str
) -> None:
    case = case_at(lambda x, *, xp: xp.sum(x * x), X, dtype=dtype, reference={Operator.GRADIENT: lambda x: 2 * x})
    judge, eps = Judge(case, NUMERICAL if numerically else None), np.finfo(dtype).eps
    if numerically and dtype == "float64" and roundings > 2:
        roundings *= 100  # the differences are taken in float64 too, and have an error bar of their own
    for k in range(X.size):
        g = 2 * X * (1 + roundings * eps * (np.arange(X.size) == k))
        assert overall(judge([g.astype(dtype)]))[0] == expected, k


def test_three_error_bars_are_allowed_and_ten_are_not() -> None:
    """Of a function with noise far above rounding, so that the error bar alone decides."""

    def noisy(x: Any, *, xp: Any) -> Any:
        return xp.sum(xp.sin(x)) + 1e-9 * xp.sum(xp.sin(1e9 * x + 1e8 * x * x))

    judge = Judge(case_at(noisy, np.array([1.0])), NUMERICAL)
    seen = judge.probe.entry(0, 0)
    d, bar = float(seen.derivative[0]), float(seen.bar[0])
    assert 1e3 * np.finfo(float).eps < bar / d < 1e-4
    assert abs(np.cos(1.0) - d) <= bar
    for bars, expected in ((0, Status.OK), (0.9, Status.OK), (10, Status.WRONG), (-10, Status.WRONG)):
        assert overall(judge([np.array([d + bars * bar])]))[0] == expected, bars


@pytest.mark.parametrize("closed", [False, True], ids=["by differences", "closed form"])
@pytest.mark.parametrize(
    ("f", "x", "right", "wrong"),
    [
        # The chain rule gives 0 * inf here: rounding cannot be measured, which must not allow any error.
        (lambda x, *, xp: xp.sum(xp.sqrt(x * x)), [0.0, 1.0], [0.5, 1.0], [-1.3, 1.0]),
        (lambda x, *, xp: xp.sum(xp.sqrt(x**4)), [0.0, 1.0], [0.0, 2.0], [0.3, 2.0]),
        (lambda x, *, xp: xp.sum(1 / (1 + xp.exp(-x))), [-1000.0, 0.0], [0.0, 0.25], [0.3, 0.25]),
        (lambda x, *, xp: xp.sqrt(xp.sum(x * x)), [0.0, 0.0], [0.0, 0.0], [0.9, 0.9]),
    ],
    ids=["root of a square", "root of a fourth power", "logistic by hand", "norm by hand"],
)
def test_no_tolerance_is_infinite(f: Any, x: Any, right: Any, wrong: Any, closed: bool) -> None:
    reference = {Operator.GRADIENT: lambda _: np.array(right)} if closed else {}
    with np.errstate(all="ignore"):
        judge = Judge(case_at(f, x, reference=reference), None if closed else NUMERICAL)
        assert overall(judge([np.array(right)])) == (Status.OK, "")
        assert overall(judge([np.array(wrong)]))[0] == Status.WRONG


@pytest.mark.parametrize(("slack", "expected"), [(1e-6, Verdict.FAIL), (np.inf, Verdict.INCONCLUSIVE)])
def test_an_infinite_rounding_error_proves_nothing(slack: float, expected: Verdict) -> None:
    """Of a derivative that is 0 with the error bar 1e-12; the result is 0.3."""
    zero, bar = np.zeros(1), np.array([1e-12])
    found = Estimates(zero, bar, zero, np.full(1, np.nan), np.full(1, np.nan), np.ones(1), bar, (Verdict.PASS,))
    known, excused, alone = np.ones(1, bool), np.zeros(1, bool), np.ones(1, bool)
    judged = Judged(found, known, np.array([0.3]), np.array([slack]), 1e-3, excused, alone)
    assert judged.verdicts == [expected]


def test_random_directions_tell_any_two_entries_apart() -> None:
    """With entries of +-1 a swap is lost where the signs of both agree in all directions: one time in eight."""
    found = np.abs(signs(np.random.default_rng(0), 1000))
    assert found.min() >= 0.5
    assert found.max() <= 1.5
    assert np.unique(found).size > 500


def test_a_swap_of_any_two_entries_is_seen() -> None:
    x = np.linspace(0.3, 1.2, 40)
    judge, right = Judge(case_at(lambda x, *, xp: xp.sum(xp.sin(x)), x), NUMERICAL), np.cos(x)
    for i, j in np.random.default_rng(0).permutation(40).reshape(20, 2)[:12]:
        swapped = right.copy()
        swapped[[i, j]] = right[[j, i]]
        assert overall(judge([swapped]))[0] == Status.WRONG, (i, j)


def test_a_guessed_tolerance_is_a_few_roundings_of_a_sum() -> None:
    """Our engine cannot run this function; 10 sqrt(100) eps of the mean square is 2e-14."""
    square = np.frompyfunc(lambda v: v * v, 1, 1)
    x = np.linspace(0.5, 1.5, 100)

    def f(x: Any, *, xp: Any) -> Any:
        return np.float64(np.sum(square(x)))

    judge, one = Judge(case_at(f, x, reference={Operator.GRADIENT: lambda x: 2 * x})), np.arange(100) == 50
    assert overall(judge([2 * x * (1 + 1e-15 * one)])) == (Status.OK, "")
    assert overall(judge([2 * x * (1 + 1e-12 * one)]))[0] == Status.WRONG
    assert "rounding not measured" in judge.tolerances.note
