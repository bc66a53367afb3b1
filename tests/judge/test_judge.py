"""The judge: a result for each verdict, and the one-line assertion for users' tests."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.judge.pairs import Pair, pairwise
from autodiff_compare.judge.reference import Reference
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case
from autodiff_compare.problems import Inputs, Normalise, Problem
from autodiff_compare.vocabulary import PARTS, Operator, Optimizer, Status, Verdict
from tests.selection import few

NUMERICAL = Reference(("numerical_difference",), None)
X = np.array([0.5, -1.5, 2.0])
ONE_OFF = np.array([0, 1e-9, 0])


def case_at(
    objective: Callable[..., Any],
    *x: Any,
    operator: Operator = Operator.GRADIENT,
    dtype: str = "float64",
    directions: Sequence[Any] = (),
    optimizer: Optimizer = DEFAULT_OPTIMIZER,
    **fields: Any,
) -> Case:
    inputs = Inputs(tuple(np.asarray(part, dtype=float) for part in x))
    problem = Problem("p", "made", "this test", {"small": 1}, lambda *_: inputs, objective, **fields)
    return Case(problem, "small", dtype, operator, 0, inputs, tuple(map(np.asarray, directions)), optimizer)


def cubes(x: Any, *, xp: Any) -> Any:
    return xp.sum(x**3)


def cubes_case(dtype: str = "float64") -> Case:
    return case_at(cubes, X, dtype=dtype, reference={Operator.GRADIENT: lambda x: 3 * x * x})


def verdict_of(comparisons: Sequence[Comparison], quantity: str = "gradient") -> Verdict:
    (found,) = [c.verdict for c in comparisons if c.quantity == quantity]
    return found


def _derivative(operator: Operator) -> str:
    """Return the name of the last quantity of an operator: the derivative beside a value."""
    return str(PARTS.get(operator, (operator,))[-1])


G = 3 * X * X
WRONG = [
    ("right", G, Verdict.PASS),
    ("one rounding off", G * (1 + 2e-16), Verdict.PASS),
    ("1e-12 off", G * (1 + 1e-12), Verdict.FAIL),
    ("one entry off", G + ONE_OFF, Verdict.FAIL),
    ("negative", -G, Verdict.FAIL),
    ("zeros", 0 * G, Verdict.NO_GRAD),
    ("nan", G * [1, np.nan, 1], Verdict.NONFINITE),
    ("all nan", G * np.nan, Verdict.NONFINITE),
    ("infinite", G * [np.inf, 1, 1], Verdict.NONFINITE),
]


@pytest.mark.parametrize("reference", [None, NUMERICAL], ids=["closed form", "numerical"])
@pytest.mark.parametrize(("name", "result", "expected"), WRONG, ids=[name for name, *_ in WRONG])
def test_verdicts(name: str, result: Any, expected: Verdict, reference: Reference | None) -> None:
    comparisons = Judge(cubes_case(), reference)([result])
    assert verdict_of(comparisons) == expected
    assert (overall(comparisons)[0] == Status.OK) == (expected == Verdict.PASS)


def test_errors_are_relative_to_the_norm_and_the_worst_entry_is_named() -> None:
    found, *_ = Judge(cubes_case())([G + ONE_OFF])
    size = np.linalg.norm(G)
    assert found.max_abs_error == pytest.approx(1e-9, rel=1e-5)
    assert found.norm_rel_error == pytest.approx(1e-9 / size, rel=1e-5)
    assert found.max_ulp_error == pytest.approx(1e-9 / size / np.finfo(float).eps, rel=1e-5)
    assert found.worst_index == "[1]"
    assert found.reference_error_bound < found.tolerance < 1e-13
    assert not found.norm_rel_error <= found.tolerance


def test_float32_is_judged_as_float32() -> None:
    judge = Judge(cubes_case("float32"))
    assert overall(judge([G.astype(np.float32)]))[0] == Status.OK
    assert overall(judge([(G * (1 + 1e-4)).astype(np.float32)]))[0] == Status.WRONG
    status, why = overall(judge([G]))
    assert status == Status.WRONG
    assert "got float64, expected float32: write xp.asarray(A, dtype=x.dtype) of a NumPy array A" in why


@pytest.mark.parametrize(
    ("result", "facts", "words"),
    [
        ([G[:2]], {}, "got (2,), expected (3,)"),
        ([G, G], {}, "got (3,), (3,), expected (3,)"),
        ([], {}, "got nothing, expected (3,)"),
        ([G[None]], {}, "got (1, 3), expected (3,)"),
        ([G + 0j], {}, "got complex128, expected float64"),
        ([G.astype(object)], {}, "got object, expected float64"),
        ([G.astype(np.float16)], {}, "got float16, expected float64"),
        ([G], {"repeatable": False}, "a second call gave other bits"),
        ([G], {"inputs_unchanged": False}, "the call changed its inputs"),
    ],
)
def test_other_faults_make_a_result_wrong(result: Any, facts: dict[str, bool], words: str) -> None:
    status, why = overall(Judge(cubes_case())(result, **facts))
    assert status == Status.WRONG
    assert words in why


def test_nothing_compared_is_not_right() -> None:
    assert overall(()) == (Status.WRONG, "not proved right: nothing was compared")


def test_numbers_above_the_range_of_their_squares_are_compared() -> None:
    case = case_at(lambda x, *, xp: xp.sum(1e200 * x), X, reference={Operator.GRADIENT: lambda x: 1e200 + 0 * x})
    assert verdict_of(Judge(case)([np.full(3, 1e200)])) == Verdict.PASS
    assert verdict_of(Judge(case)([np.full(3, 1e200) * (1 + 1e-9)])) == Verdict.FAIL
    assert verdict_of(Judge(case)([np.full(3, 1e-200)])) == Verdict.FAIL


@pytest.mark.parametrize("seed", few(range(5), 1))
def test_one_wrong_entry_of_thousands_is_seen_by_differences(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=3000)
    judge = Judge(case_at(lambda x, *, xp: xp.sum(xp.sin(x)), x), NUMERICAL)
    right = np.cos(x)
    assert overall(judge([right])) == (Status.OK, "")
    wrong = right.copy()
    wrong[1234] += 1e-6
    assert verdict_of(judge([wrong])) == Verdict.FAIL
    assert verdict_of(judge([right * (1 + 1e-9)])) == Verdict.FAIL


# ---- kinks


def _absolute(x: Any, *, xp: Any) -> Any:
    return xp.sum(xp.abs(x))


@pytest.mark.parametrize("reference", [None, NUMERICAL], ids=["closed form", "numerical"])
@pytest.mark.parametrize(
    ("at_zero", "expected"),
    [(1.0, Verdict.SUBGRADIENT), (-0.5, Verdict.SUBGRADIENT), (1.5, Verdict.FAIL), (np.nan, Verdict.NONFINITE)],
)
def test_anything_between_the_one_sided_derivatives_is_a_subgradient(
    at_zero: float, expected: Verdict, reference: Reference | None
) -> None:
    case = case_at(_absolute, [2.0, 0.0, -3.0], reference={Operator.GRADIENT: np.sign})
    comparisons = Judge(case, reference)([np.array([1.0, at_zero, -1.0])])
    if reference is not None and expected == Verdict.FAIL:
        expected = Verdict.NONSMOOTH
    assert verdict_of(comparisons) == expected
    assert (overall(comparisons)[0] == Status.OK) == (expected == Verdict.SUBGRADIENT)


#: Operator, directions, second derivatives of a matrix diag(h, 2) with h between 0 and 2, and one with h beyond.
_BENT = [
    (Operator.HVP, (np.ones(2),), [np.array([1.0, 2.0])], [np.array([2.5, 2.0])]),
    (Operator.HESSIAN, (), [np.diag([1.5, 2.0])], [np.diag([-0.1, 2.0])]),
    (Operator.SPARSE_HESSIAN, (), [np.array([1.5, 2.0])], [np.array([2.1, 2.0])]),
    (Operator.HESSIAN_DIAGONAL, (), [np.array([0.0, 2.0])], [np.array([2.1, 2.0])]),
    (Operator.LAPLACIAN, (), [np.array(3.0)], [np.array(4.1)]),
]


def _bent(x: Any, *, xp: Any) -> Any:
    return xp.sum(xp.maximum(x, 0.0) ** 2)


@pytest.mark.parametrize(("operator", "directions", "right", "wrong"), _BENT, ids=[str(b[0]) for b in _BENT])
def test_where_the_slope_has_a_kink_second_derivatives_of_either_side_are_right(
    operator: Operator, directions: Any, right: list[Any], wrong: list[Any]
) -> None:
    """``sum(max(x, 0)^2)`` at (0, 1) has the curvatures 0 and 2 along the first entry."""
    judge = Judge(case_at(_bent, [0.0, 1.0], operator=operator, directions=directions))
    found = judge(right)
    assert overall(found) == (Status.OK, "")
    (kinked,) = [c for c in found if c.verdict == Verdict.SUBGRADIENT]
    assert "no second derivative at this point (kink of the slope)" in kinked.note
    status, why = overall(judge(wrong))
    assert status == Status.WRONG
    assert "no second derivative at this point (kink of the slope): from both sides it is" in why


def _ridge(x: Any, *, xp: Any) -> Any:
    return xp.maximum(x[0] + x[1], 0.0) ** 2


def _two_sides(x: Any, *, xp: Any) -> Any:
    return x[0] * xp.abs(x[0]) + xp.maximum(x[1], 0.0) ** 2 + x[0] * x[1]


#: Function, point, operator, directions, result -> whether it is one of the Hessians on the sides of all kinks, or
#: between them. Those of `_ridge` are c [[1, 1], [1, 1]] with c from 0 to 2; those of `_two_sides` are [[a, 1], [1, b]]
#: with a from -2 to 2 and b from 0 to 2.
_TOGETHER = [
    (_ridge, [1.0, -1.0], Operator.HESSIAN, (), np.ones((2, 2)), True),
    (_ridge, [1.0, -1.0], Operator.HESSIAN, (), np.zeros((2, 2)), True),
    (_ridge, [1.0, -1.0], Operator.HESSIAN, (), np.diag([2.0, 2.0]), False),
    (_ridge, [1.0, -1.0], Operator.HVP, (np.array([1.0, 0.5]),), np.array([1.5, 1.5]), True),
    (_ridge, [1.0, -1.0], Operator.HVP, (np.array([1.0, 0.5]),), np.array([1.5, 0.5]), False),
    (_two_sides, [0.0, 0.0], Operator.HESSIAN, (), np.array([[-1.0, 1.0], [1.0, 2.0]]), True),
    (_two_sides, [0.0, 0.0], Operator.HESSIAN, (), np.array([[-1.0, 0.9], [0.9, 2.0]]), False),
    (_two_sides, [0.0, 0.0], Operator.HESSIAN, (), np.array([[-2.5, 1.0], [1.0, 2.0]]), False),
]


@pytest.mark.parametrize(("f", "point", "operator", "directions", "result", "right"), _TOGETHER)
def test_second_derivatives_at_kinks_are_judged_together(
    f: Any, point: Any, operator: Operator, directions: Any, result: Any, right: bool
) -> None:
    case = case_at(f, point, operator=operator, directions=directions)
    assert (overall(Judge(case)([result]))[0] == Status.OK) == right


def test_a_kink_among_many_inputs_hides_no_other_second_derivative() -> None:
    """Of 40 inputs one is at the kink: by unit directions along a v of ones the product is (h, 2, 2, ...)."""
    n = 40
    case = case_at(_bent, [0.0, *np.linspace(0.5, 1.5, n - 1)], operator=Operator.HVP, directions=(np.ones(n),))
    right = np.array([1.0, *[2.0] * (n - 1)])
    assert overall(Judge(case)([right])) == (Status.OK, "")
    for k, other in ((0, 2.5), (17, 1.0)):
        assert overall(Judge(case)([np.where(np.arange(n) == k, other, right)]))[0] == Status.WRONG


def test_the_half_width_of_an_estimate_is_not_known_at_a_kink() -> None:
    case = case_at(_bent, [0.0, 1.0], operator=Operator.LAPLACIAN_ESTIMATE, directions=(np.ones((2, 2)),))
    status, why = overall(Judge(case)([np.array(3.0), np.array(0.0)]))
    assert status == Status.WRONG
    assert "nonsmooth" in why


def test_a_kink_of_the_slope_excuses_no_wrong_entry() -> None:
    case = case_at(lambda x, *, xp: xp.sum(xp.maximum(x, 0.0) ** 2), [0.0, 1.0], operator=Operator.HESSIAN)
    assert verdict_of(Judge(case)([np.diag([1.0, 2.001])]), "hessian") == Verdict.FAIL


@pytest.mark.parametrize(
    "f", [lambda x, *, xp: xp.sum(xp.maximum(x, 0.0) ** 2), lambda x, *, xp: xp.sum(x * xp.abs(x))]
)
def test_a_gradient_of_zero_at_a_kink_of_the_slope_is_decided(f: Any) -> None:
    judge, right = Judge(case_at(f, [0.0, 1.0])), np.array([0.0, 2.0])
    assert overall(judge([right])) == (Status.OK, "")
    assert verdict_of(judge([np.array([1e-9, 2.0])])) == Verdict.FAIL


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (
            "float16",
            "got -inf; the derivative -8e+04 exceeds the largest float16 (6.55e+04): scale the function, or use",
        ),
        ("float32", "got -inf, expected -80000"),
    ],
)
def test_a_number_beyond_the_dtype_is_said_to_be(dtype: str, words: str) -> None:
    case = case_at(lambda x, *, xp: -xp.sum(x * x) * 200.0, [200.0, 1.0], dtype=dtype)
    status, message = overall(Judge(case)([np.array([-np.inf, -400.0], dtype)]))
    assert status == Status.WRONG
    assert f"1 entry nan or infinite (extended_precision); {words}" in message


def test_end_of_the_interval_may_be_rounded_to_float32() -> None:
    case = case_at(
        lambda x, *, xp: xp.sum(0.1 * xp.abs(x)), [0.0], dtype="float32", reference={Operator.GRADIENT: np.sign}
    )
    assert verdict_of(Judge(case)([np.full(1, 0.1, np.float32)])) == Verdict.SUBGRADIENT
    assert verdict_of(Judge(case)([np.full(1, 0.1001, np.float32)])) == Verdict.FAIL


def test_a_kink_excuses_no_other_entry() -> None:
    case = case_at(_absolute, [2.0, 0.0, -3.0], reference={Operator.GRADIENT: np.sign})
    assert verdict_of(Judge(case)([np.array([1.0, 0.5, -1.0 + 1e-9])])) == Verdict.FAIL


def test_subgradients_count_in_a_step_too() -> None:
    x = np.array([2.0, 0.0])
    case = case_at(_absolute, x, operator=Operator.STEP, reference={Operator.GRADIENT: np.sign})
    rate = case.optimizer.learning_rate
    assert verdict_of(Judge(case)([x - rate * np.array([1.0, 0.5])]), "step") == Verdict.SUBGRADIENT
    assert verdict_of(Judge(case)([x - rate * np.array([1.0, 1.5])]), "step") == Verdict.FAIL


@pytest.mark.parametrize(
    ("operator", "directions", "result"),
    [
        (Operator.VALUE_AND_GRADIENT, (), lambda s: [np.array(2.0), np.array([1.0, s])]),
        (Operator.JVP, (np.array([0.5, -1.0]),), lambda s: [np.array(0.5 - s)]),
        (Operator.VJP, (np.array(-2.0),), lambda s: [np.array([-2.0, -2 * s])]),
        (Operator.JACOBIAN, (), lambda s: [np.array([1.0, s])]),
    ],
    ids=["value_and_gradient", "jvp", "vjp", "jacobian"],
)
def test_subgradients_count_in_every_first_derivative(operator: Operator, directions: Any, result: Any) -> None:
    """Of |a| + |b| at (2, 0), with slope s taken for |b| at 0."""

    reference = {Operator.GRADIENT: np.sign}
    case = case_at(_absolute, [2.0, 0.0], operator=operator, directions=directions, reference=reference)
    for slope, expected in ((0.0, Verdict.PASS), (0.5, Verdict.SUBGRADIENT), (-1.0, Verdict.SUBGRADIENT)):
        assert verdict_of(Judge(case)(result(slope)), _derivative(operator)) == expected
    assert verdict_of(Judge(case)(result(1.5)), _derivative(operator)) == Verdict.FAIL


def test_zeros_where_a_kink_allows_them_are_a_subgradient() -> None:
    case = case_at(_absolute, [0.0], reference={Operator.GRADIENT: lambda x: 1 + 0 * x})
    assert verdict_of(Judge(case)([np.zeros(1)])) == Verdict.SUBGRADIENT


# ---- the end of a domain

_TABLE = np.array([3.0, 3.0])


def _looked_up(x: Any, *, xp: Any) -> Any:
    return xp.sum(x * x) * _TABLE[int(4 * x[0])]


def _checked(x: Any, *, xp: Any) -> Any:
    if x[0] >= 0.5:
        raise RuntimeError("beyond the last knot")
    return xp.sum(x * x) * 3.0


@pytest.mark.parametrize("f", [_looked_up, _checked])
def test_a_function_that_raises_nearby_ends_its_domain(f: Any) -> None:
    """At 0.45 a step of an eighth leads beyond the end at 0.5, and smaller ones do not."""
    judge = Judge(case_at(f, [0.45, 1.0]), NUMERICAL)
    assert overall(judge([np.array([2.7, 6.0])])) == (Status.OK, "")
    assert overall(judge([np.array([2.7, 6.1])]))[0] == Status.WRONG


@pytest.mark.parametrize(
    ("f", "words"), [(_looked_up, "IndexError: index 2"), (_checked, "RuntimeError: beyond the la")]
)
def test_an_exception_nearby_is_told_where_it_leaves_too_little(f: Any, words: str) -> None:
    status, why = overall(Judge(case_at(f, [np.nextafter(0.5, 0), 1.0]), NUMERICAL)([np.array([3.0, 6.0])]))
    assert status == Status.WRONG
    assert "gradient undetermined" in why
    assert f"the function raises where entry [0] is 0.5625 instead of 0.5: {words}" in why
    assert "test_judge.py:" in why


def test_second_derivatives_out_of_range_are_not_refuted() -> None:
    """The length of (3e200, 4e200) has second derivatives of 1e-202, which vanish in units of the length."""
    case = case_at(lambda x, *, xp: xp.hypot(x[0], x[1]), [3e200, 4e200], operator=Operator.HESSIAN)
    right = np.array([[16.0, -12.0], [-12.0, 9.0]]) / 125 * 1e-200
    status, why = overall(Judge(case)([right]))
    assert status == Status.WRONG
    assert "too large or too small for second differences" in why


@pytest.mark.parametrize(
    ("f", "right"),
    [
        (lambda x, *, xp: xp.diff(xp.cumulative_sum(x * x)), np.array([[0, 4.0, 0], [0, 0, -0.6]])),
        (lambda x, *, xp: (x + x * x) - x * x - x, np.zeros((3, 3))),
        (lambda x, *, xp: xp.cumulative_sum(x**3)[1:] - x[0] ** 3, np.array([[0, 12.0, 0], [0, 12.0, 0.27]])),
    ],
)
def test_a_derivative_of_zero_whose_terms_cancel_is_proved(f: Any, right: Any) -> None:
    """At large steps the rounding of the terms is no slope: by hand, d(x^2) is 2x and d(x^3) is 3x^2."""
    judge = Judge(case_at(f, [1.0, 2.0, -0.3], operator=Operator.JACOBIAN))
    assert overall(judge([right])) == (Status.OK, "")
    assert overall(judge([right + np.array([1e-9, 0, 0])]))[0] == Status.WRONG


# ---- references that say little, or something wrong


def test_wrong_closed_form_is_suspected() -> None:
    case = case_at(cubes, X, reference={Operator.GRADIENT: lambda x: 2 * x * x})
    found, *_ = Judge(case)([G])
    assert found.verdict == Verdict.FAIL
    assert "check the closed form" in found.note


def test_tolerance_too_wide_to_mean_anything_is_inconclusive() -> None:
    """x - c with both near 1 and 1e-13 apart: one rounding of x is 1e-3 of the derivative."""
    case = case_at(lambda x, *, xp: xp.sum(x * x / 2 - x), [1 + 1e-13], reference={Operator.GRADIENT: lambda x: x - 1})
    right = np.array([1 + 1e-13]) - 1
    assert verdict_of(Judge(case)([right])) == Verdict.PASS
    comparisons = Judge(case)([right * 1.002])
    assert verdict_of(comparisons) == Verdict.INCONCLUSIVE
    assert overall(comparisons)[0] == Status.WRONG
    assert overall(comparisons)[1].startswith("not proved right")


def test_declared_tolerance_replaces_the_default() -> None:
    case = case_at(cubes, X, reference={Operator.GRADIENT: lambda x: 3 * x * x}, tolerance=1e6)
    assert verdict_of(Judge(case)([G * (1 + 1e-11)])) == Verdict.PASS
    assert verdict_of(Judge(case)([G * (1 + 1e-9)])) == Verdict.FAIL


def test_jump_is_never_proved() -> None:
    case = case_at(lambda x, *, xp: xp.sum(xp.where(x > 1, 5.0 + x, x)), [1.0])
    assert overall(Judge(case, NUMERICAL)([np.ones(1)]))[0] == Status.WRONG


def test_point_without_neighbours_is_undetermined() -> None:
    case = case_at(lambda x, *, xp: xp.sum(xp.where(x == 1.0, x, np.nan)), [1.0])
    assert verdict_of(Judge(case, NUMERICAL)([np.ones(1)])) == Verdict.UNDETERMINED


def test_infinite_derivative_must_be_infinite_with_the_same_sign() -> None:
    def roots(x: Any) -> Any:
        with np.errstate(divide="ignore"):
            return 0.5 / np.sqrt(x)

    case = case_at(lambda x, *, xp: xp.sum(xp.sqrt(x)), [0.0, 4.0], reference={Operator.GRADIENT: roots})
    for at_zero, expected in ((np.inf, Verdict.PASS), (-np.inf, Verdict.NONFINITE), (0.0, Verdict.FAIL)):
        assert verdict_of(Judge(case)([np.array([at_zero, 0.25])])) == expected


def test_reference_of_nan_proves_nothing() -> None:
    case = case_at(cubes, X, reference={Operator.GRADIENT: lambda x: 3 * x * x * np.array([1, np.nan, 1])})
    assert verdict_of(Judge(case)([G])) == Verdict.UNDETERMINED
    assert verdict_of(Judge(case)([G * [1, np.nan, 1]])) == Verdict.NONFINITE


def test_leaf_that_cancels_is_judged_by_the_size_of_its_terms() -> None:
    """sin^2 b + cos^2 b does not depend on b: its gradient is 2 sin b cos b - 2 cos b sin b, zero but for rounding."""
    case = case_at(
        lambda x, b, *, xp: xp.sum(x**3) + xp.sum(xp.sin(b) ** 2 + xp.cos(b) ** 2),
        X,
        [1.0],
        reference={Operator.GRADIENT: lambda x, b: (3 * x * x, 0 * b)},
    )
    noise = np.array([np.finfo(float).eps])
    assert overall(Judge(case)([G, noise]))[0] == Status.OK
    assert overall(Judge(case)([G, noise * 1e4]))[0] == Status.WRONG


def test_normalisation_is_applied_and_named() -> None:
    A = np.array([[1.0, 0.5], [0.2, 3.0]])
    halves = Normalise("symmetrised", lambda g: (g + np.swapaxes(g, -1, -2)) / 2)
    case = case_at(lambda A, *, xp: xp.sum(A * A) / 2, A, reference={Operator.GRADIENT: lambda A: A}, normalise=halves)
    lower = np.tril(A + A.T) - np.diag(np.diag(A))
    for reference in (None, NUMERICAL):
        found, *_ = Judge(case, reference)([lower])
        assert found.verdict == Verdict.PASS
        assert "symmetrised" in found.note
    assert verdict_of(Judge(case)([np.tril(A)])) == Verdict.FAIL


# ---- every operator by numerical differences alone, as for a user's function without closed forms


def _mixed(x: Any, y: Any, *, xp: Any) -> Any:
    return xp.sum(x * x * y) + xp.sum(xp.sin(x))


def _vector(x: Any, y: Any, *, xp: Any) -> Any:
    return xp.stack([xp.sum(x * y), xp.sum(x) * xp.sum(y), xp.sum(y * y)])


A, B = np.array([0.7, -1.2]), np.array([1.5, 0.4])
TA, TB, W = np.array([1.0, -0.6]), np.array([0.9, 1.1]), np.array([1.0, -2.0, 0.5])
_GA, _GB = 2 * A * B + np.cos(A), A * A
_HAA, _HAB = np.diag(2 * B - np.sin(A)), np.diag(2 * A)
_JA = np.stack([B, np.full(2, B.sum()), np.zeros(2)])
_JB = np.stack([A, np.full(2, A.sum()), 2 * B])
ADAM = Optimizer("adam", 1e-2)


def _adam(g: Any) -> Any:
    """The first update of Adam: its corrected moments are g and g^2 (Kingma and Ba 2015, algorithm 1)."""
    return 1e-2 * g / (np.sqrt(g * g) + 1e-8)


BY_OPERATOR = [
    (_mixed, Operator.GRADIENT, (), [_GA, _GB]),
    (_mixed, Operator.VALUE_AND_GRADIENT, (), [np.asarray(_mixed(A, B, xp=np)), _GA, _GB]),
    (_mixed, Operator.HVP, (TA, TB), [_HAA @ TA + _HAB @ TB, _HAB @ TA]),
    (_mixed, Operator.HESSIAN, (), [_HAA, _HAB, _HAB, np.zeros((2, 2))]),
    (_mixed, Operator.STEP, (), [A - _adam(_GA), B - _adam(_GB)]),
    (_vector, Operator.JVP, (TA, TB), [_JA @ TA + _JB @ TB]),
    (_vector, Operator.VJP, (W,), [W @ _JA, W @ _JB]),
    (_vector, Operator.JACOBIAN, (), [_JA, _JB]),
]


@pytest.mark.parametrize(
    ("f", "operator", "directions", "right"), BY_OPERATOR, ids=[str(o) for _, o, *_ in BY_OPERATOR]
)
def test_every_operator_by_differences_alone(f: Any, operator: Operator, directions: Any, right: list[Any]) -> None:
    judge = Judge(case_at(f, A, B, operator=operator, directions=directions, optimizer=ADAM), NUMERICAL)
    assert overall(judge(right)) == (Status.OK, "")
    for k, leaf in enumerate(right):
        wrong = leaf.copy()
        wrong.flat[-1] += 1e-6
        assert overall(judge([*right[:k], wrong, *right[k + 1 :]]))[0] == Status.WRONG


# ---- backends against each other


def test_pairs_compare_every_two_backends_leaf_by_leaf() -> None:
    case = case_at(_mixed, A, B)
    results = {"a": (_GA, _GB), "b": (_GA, _GB * (1 + 1e-10)), "c": (_GA, _GB[:1]), "d": (_GA, _GB * np.nan)}
    pairs = {(p.backend_a, p.backend_b): p for p in pairwise(case, results)}
    assert list(pairs) == [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    assert pairs["a", "b"].norm_rel_difference == pytest.approx(1e-10, rel=1e-5)
    assert pairs["a", "b"].max_abs_difference == pytest.approx(1e-10 * np.abs(_GB).max(), rel=1e-5)
    assert pairs["a", "b"].difference_in_eps == pytest.approx(1e-10 / np.finfo(float).eps, rel=1e-5)
    assert "shapes differ: (2,), (2,) and (2,), (1,)" in pairs["a", "c"].note
    assert np.isnan(pairs["a", "d"].norm_rel_difference)
    assert pairwise(case, {"a": results["a"]}) == []


def test_pairs_of_a_step_compare_the_updates() -> None:
    case = case_at(cubes, X, operator=Operator.STEP)
    (pair,) = pairwise(case, {"a": (X - 1e-3,), "b": (X - 2e-3,)})
    assert pair.norm_rel_difference == pytest.approx(0.5)
    assert pair.note == "of the updates"


# ---- rows


def test_comparisons_and_pairs_fit_the_tables() -> None:
    from autodiff_compare.results.rows import CheckRow, PairRow

    def names(kind: Any) -> list[str]:
        # The machine on which a row was made is no part of a comparison.
        return [f.name for f in dataclasses.fields(kind) if f.name != "machine"]

    assert names(CheckRow) == ["cell_id", *names(Comparison)]
    assert names(PairRow) == ["problem", "size", "dtype", "operator", *names(Pair)]


def test_judge_loads_no_pandas_and_no_framework() -> None:
    heavy = "{'pandas', 'torch', 'tensorflow', 'jax'}"
    code = (
        "import sys, autodiff_compare.judge.judge; "
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
