"""Observations of a case: inputs of any unit and size, kinks at any number of inputs, and what was not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest

from autodiff_compare.judge.comparison import allowed_rounding
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.probe import Finding, Probe
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.vocabulary import Operator, Status, Verdict

EPS = float(np.finfo(np.float64).eps)
#: Few terms are summed in these functions.
TERMS = 8


def case_of(
    f: Callable[..., Any],
    *x: Any,
    operator: Operator = Operator.GRADIENT,
    directions: Sequence[Any] = (),
    **fields: Any,
) -> Case:
    inputs = Inputs(tuple(np.asarray(part, dtype=float) for part in x))

    def objective(*args: Any, xp: Any) -> Any:
        with np.errstate(all="ignore"):
            return f(*args)

    problem = Problem("p", "made", "this test", {"small": 1}, lambda *_: inputs, objective, **fields)
    given = tuple(np.asarray(t, dtype=float) for t in directions)
    return Case(problem, "small", "float64", operator, 0, inputs, given, DEFAULT_OPTIMIZER)


def check(case: Case, *leaves: Any, every: bool = False) -> Finding:
    """Return the finding on a result, with no warning on the way."""
    result = [np.asarray(leaf, dtype=float) for leaf in leaves]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Probe(case, every).check(result, allowed_rounding(case, result, EPS, TERMS))


# ---- units

#: Concentrations in mol/l and rates of an enzyme; Michaelis and Menten's law has two parameters of different units.
S, V = np.array([1e-5, 3e-5, 1e-4, 3e-4, 1e-3]), np.array([8.0, 21.0, 46.0, 71.0, 90.0])
VMAX, KM = 90.0, 1e-4


def misfit(vmax: Any, km: Any) -> Any:
    return np.sum((vmax * S / (km + S) - V) ** 2)


def _misfit_derivatives(*orders: tuple[int, int]) -> list[float]:
    """Return mixed partial derivatives of `misfit` with 40 digits, by mpmath."""
    with mpmath.workdps(40):
        points = [(mpmath.mpf(float(s)), mpmath.mpf(float(v))) for s, v in zip(S, V, strict=True)]
        at = (mpmath.mpf(VMAX), mpmath.mpf(KM))
        f = lambda a, b: sum((a * s / (b + s) - v) ** 2 for s, v in points)  # noqa: E731
        return [float(mpmath.diff(f, at, n)) for n in orders]


G = _misfit_derivatives((1, 0), (0, 1))
HAA, HAB, HBB = _misfit_derivatives((2, 0), (1, 1), (0, 2))
RATES = [S / (KM + S), -VMAX * S / (KM + S) ** 2]


def rates(vmax: Any, km: Any) -> Any:
    return vmax * S / (km + S)


def quadratic(x: Any) -> Any:
    return x[0] ** 2 + np.exp(-(((x[1] - 2e-6) / 1e-6) ** 2))


def inverse(x: Any) -> Any:
    return np.sum(1 / x)


ONE_SMALL = np.concatenate([[1e-4], np.linspace(1, 2, 39)])
#: Planck's law per wavelength at 5800 K and 500 nm, up to 2 h c^2; derivatives by hand.
C2 = 1.438776877e-2
U = C2 / (5e-7 * 5800.0)


def planck(temperature: Any, wavelength: Any) -> Any:
    return 1 / (wavelength**5 * np.expm1(C2 / (wavelength * temperature)))


def _planck_gradient() -> list[float]:
    value, factor = planck(5800.0, 5e-7), U * np.exp(U) / np.expm1(U)
    return [value * factor / 5800.0, value * (factor - 5) / 5e-7]


#: Name, function, inputs, operator, given directions, the right leaves.
UNITS: list[tuple[str, Callable[..., Any], tuple[Any, ...], Operator, tuple[Any, ...], list[Any]]] = [
    ("enzyme", misfit, (VMAX, KM), Operator.GRADIENT, (), G),
    ("enzyme", misfit, (VMAX, KM), Operator.HESSIAN, (), [HAA, HAB, HAB, HBB]),
    ("enzyme", misfit, (VMAX, KM), Operator.HVP, (1.0, 1.0), [HAA + HAB, HAB + HBB]),
    ("enzyme", rates, (VMAX, KM), Operator.JACOBIAN, (), RATES),
    ("enzyme", rates, (VMAX, KM), Operator.JVP, (1.0, 1.0), [RATES[0] + RATES[1]]),
    ("enzyme", rates, (VMAX, KM), Operator.VJP, (V,), [V @ RATES[0], V @ RATES[1]]),
    ("enzyme", misfit, (VMAX, KM), Operator.STEP, (), [-1e-3 * G[0], -1e-3 * G[1]]),
    ("narrow peak", quadratic, ([1, 1e-6],), Operator.GRADIENT, (), [[2, 2e6 * np.exp(-1)]]),
    ("inverse", inverse, ([1e-4, 2, -3],), Operator.GRADIENT, (), [[-1e8, -1 / 4, -1 / 9]]),
    ("inverse of 40", inverse, (ONE_SMALL,), Operator.GRADIENT, (), [-1 / ONE_SMALL**2]),
    ("Planck", planck, (5800.0, 5e-7), Operator.GRADIENT, (), _planck_gradient()),
    (
        "product",
        lambda a, b: np.sum(a * a * b),
        ([1e-150, 2e150], [1e300, 1e-300]),
        Operator.GRADIENT,
        (),
        [[2e150, 4e-150], [1e-300, 4e300]],
    ),
]


@pytest.mark.parametrize(
    ("f", "x", "operator", "directions", "right"), [pytest.param(*row[1:], id=f"{row[0]} {row[3]}") for row in UNITS]
)
def test_inputs_of_any_unit_are_judged_alike(f: Any, x: Any, operator: Operator, directions: Any, right: Any) -> None:
    """The right result passes; with 1e-3 of any entry, or zero in its place, it fails."""
    case = case_of(f, *x, operator=operator, directions=directions)
    leaves = [np.asarray(leaf, dtype=float) for leaf in right]
    assert check(case, *leaves).verdict == Verdict.PASS
    for k, leaf in enumerate(leaves):
        for index in list(np.ndindex(leaf.shape))[:4]:
            for factor in (1.001, 0.0):
                wrong = [part.copy() for part in leaves]
                wrong[k][index] *= factor
                found = check(case, *wrong)
                assert found.verdict == Verdict.FAIL, (k, index, factor, found.note)


@pytest.mark.parametrize("spread", [0, 2, 3, 4, 6])
def test_saturating_functions_of_any_spread_get_no_false_verdict(spread: float) -> None:
    """``sum(c p/(p + k c)) p_i/(p_j + k_j)``, log-uniform over ``10^[-s, s]``; the gradient by hand in longdouble."""
    rng, decided, draws = np.random.default_rng(spread), 0, 12
    for _ in range(draws):
        p, c, k = 10.0 ** rng.uniform(-spread, spread, (3, 4))
        i, j = rng.integers(4, size=2)

        def f(x: Any, c: Any = c, k: Any = k, i: int = i, j: int = j) -> Any:
            return np.sum(c * x / (x + k * c)) * x[i] / (x[j] + k[j])

        w = p.astype(np.longdouble)
        total, quotient = np.sum(c * w / (w + k * c)), w[i] / (w[j] + k[j])
        right = c * k * c / (w + k * c) ** 2 * quotient
        right[i] += total / (w[j] + k[j])
        right[j] -= total * w[i] / (w[j] + k[j]) ** 2
        found = check(case_of(f, p), right)
        assert found.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE), found.note
        decided += found.verdict == Verdict.PASS
        largest = int(np.argmax(np.abs(right * p)))
        wrong = right.astype(float)
        wrong[largest] *= 1.001
        assert check(case_of(f, p), wrong).verdict == Verdict.FAIL
    # Beyond a spread of 10^4 a contribution may be below the rounding of the function even in extended precision.
    assert decided >= (draws if spread <= 3 else draws - 3)


# ---- size


@pytest.mark.parametrize("size", [1e-308, 1e-300, 1e-163, 1e-100, 1.0, 1e155, 1e300])
def test_inputs_of_any_size_are_judged_without_a_warning(size: float) -> None:
    x = np.array([0.3, 1.0, -2.0]) * size
    case = case_of(lambda x: np.sum(np.sin(x / size)), x)
    right = np.cos(x / size) / size
    assert check(case, right).verdict == Verdict.PASS
    assert check(case, right * [1, 1 + 1e-9, 1]).verdict == Verdict.FAIL


@pytest.mark.parametrize(
    ("f", "x", "gradient"),
    [
        (lambda x: 1e155 * np.sum(np.sin(x)), [0.3, 1, 2], lambda x: 1e155 * np.cos(x)),
        (lambda x: 1e-200 * np.sum(np.sin(x)), [0.3, 1, 2], lambda x: 1e-200 * np.cos(x)),
        (lambda x: np.sum(np.exp(x)), [700, 1], np.exp),
        (lambda x: np.sum(np.exp(x)), [709.7, -700], np.exp),
        (lambda x: np.sum(np.cosh(x)), [710, 3], np.sinh),
        (lambda x: np.sum(x**8), [3e38, 1e-38], lambda x: 8 * x**7),
    ],
)
def test_overflow_near_the_point_is_no_failure(f: Any, x: Any, gradient: Any) -> None:
    right = gradient(np.asarray(x, dtype=float))
    case = case_of(f, x)
    assert check(case, right).verdict == Verdict.PASS
    assert check(case, right * [1 + 1e-9, *np.ones(len(x) - 1)]).verdict == Verdict.FAIL


# ---- scales much smaller than the input


@pytest.mark.parametrize(
    ("f", "x", "right"),
    [
        (lambda x: np.sum(np.abs(x) + x * x), [1e-6, 0.5], [1 + 2e-6, 2]),
        (lambda x: np.sum(np.abs(x - 1) + x), [1 + 1e-6, 1 - 1e-5], [2, 0]),
        (lambda x: np.sum(np.maximum(x - 1, 0) * x), [1 + 1e-7, 0.5], [1 + 2e-7, 0]),
        (lambda x: np.sum(np.sin(1e6 * x)), [0.3, 1], 1e6 * np.cos(1e6 * np.array([0.3, 1]))),
        (lambda x: np.sum(np.tanh((x - 1) / 1e-7)), [1, 1], [1e7, 1e7]),
        (lambda x: np.sum(x + np.sin(1e5 * x) / 1e5), [0.3, 2], 1 + np.cos(1e5 * np.array([0.3, 2]))),
    ],
    ids=["kink near zero", "kinks near", "relu near", "oscillation", "step", "ripple"],
)
def test_function_may_live_on_a_scale_far_below_its_input(f: Any, x: Any, right: Any) -> None:
    case = case_of(f, x)
    assert check(case, right).verdict == Verdict.PASS
    for k, size in enumerate(np.abs(right)):
        wrong = np.array(right, dtype=float)
        wrong[k] += 1e-2 * size + 1e-2
        assert check(case, wrong).verdict == Verdict.FAIL


def test_typical_size_replaces_a_size_that_misleads() -> None:
    """At zero an entry has no size: that of 1 does not see a function that lives on 1e-13."""
    f, right = (lambda x: np.sum(np.sin(x / 1e-13))), [1e13, 1e13]
    assert check(case_of(f, [0.0, 0.0], typical=(1e-13,)), right).verdict == Verdict.PASS
    assert check(case_of(f, [0.0, 0.0], typical=(1e-13,)), [1e13, 1.001e13]).verdict == Verdict.FAIL
    assert check(case_of(lambda x: np.sum(np.sin(x)), [0.0, 0.0]), [1, 1]).verdict == Verdict.PASS


# ---- kinks


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


@pytest.mark.parametrize("n", [1, 32, 33, 64, 65, 500])
@pytest.mark.parametrize("closed", [True, False], ids=["closed form", "numerical"])
def test_right_subgradient_never_depends_on_the_number_of_inputs(n: int, closed: bool) -> None:
    weights = np.linspace(0.5, 2, n)
    case = case_of(
        lambda x: np.sum(weights * relu(x)), np.zeros(n), reference={Operator.GRADIENT: lambda x: weights * (x > 0)}
    )
    judge = Judge(case, None if closed else NUMERICAL)
    for part in (0.5, 0.1, 1.0):
        assert overall(judge([weights * part]))[0] == Status.OK
    assert overall(judge([weights * 1.5]))[0] == Status.WRONG
    assert overall(judge([-weights]))[0] == Status.WRONG


@pytest.mark.parametrize("n", [6, 90])
def test_kinks_of_both_signs_hide_no_wrong_entry_elsewhere(n: int) -> None:
    """Along a direction that moves all inputs, kinks of opposite signs leave no interval in which a result must lie."""
    sign, x = np.where(np.arange(n) % 2, 1.0, -1.0), np.sin(np.arange(n)) * (np.arange(n) % 3 > 0)
    case = case_of(lambda x: np.sum(sign * relu(x)), x)
    right = sign * np.where(x == 0, 0.25, x > 0)
    assert check(case, right).verdict == Verdict.SUBGRADIENT
    wrong = right.copy()
    wrong[4] += 1e-6
    assert check(case, wrong).verdict == Verdict.FAIL


def test_one_sided_derivatives_are_in_the_users_units() -> None:
    found = check(case_of(lambda x: np.sum(np.abs(x)), [0.0, 2.0, -3e-5]), [1.5, 1, -1])
    assert found.verdict == Verdict.NONSMOOTH
    assert found.position == (0, 0)
    assert (found.got, found.low, found.high) == pytest.approx((1.5, -1, 1))
    assert "entry [0]: got 1.5, one-sided derivatives -1 and 1" in found.note
    scaled = check(case_of(lambda x: np.sum(np.abs(x - 8e-5)), [8e-5, 1.0]), [0.5, 1])
    assert scaled.verdict == Verdict.SUBGRADIENT
    assert (scaled.got, scaled.low, scaled.high) == pytest.approx((0.5, -1, 1))


# ---- words, and what was not seen


def test_failure_names_the_entry_among_thousands() -> None:
    x = np.random.default_rng(0).normal(size=(100, 30))
    wrong = np.cos(x)
    wrong[41, 7] += 1e-6
    found = check(case_of(lambda x: np.sum(np.sin(x)), x), wrong)
    assert (found.verdict, found.position, found.index) == (Verdict.FAIL, (0, 41 * 30 + 7), "[41, 7]")
    assert found.got == pytest.approx(wrong[41, 7], rel=1e-14)
    assert abs(found.expected - np.cos(x[41, 7])) <= found.half_width < 1e-9
    assert "central differences along it, in steps down to" in found.how


def test_failure_names_the_entry_of_a_hessian() -> None:
    x = np.array([1e-3, 2.0, 5e4])
    hessian = 2 * np.outer(1 / x, 1 / x) + 2 * np.diag(1 / x**2)
    size = np.array([1e-3, 2.0, 5e4])
    case = case_of(lambda x: np.sum(x / size) ** 2 + np.sum((x / size) ** 2), x, operator=Operator.HESSIAN)
    assert check(case, hessian).verdict == Verdict.PASS
    hessian[1, 2] *= 1.001
    found = check(case, hessian)
    assert (found.verdict, found.position, found.index) == (Verdict.FAIL, (1, 2), "[1, 2]")
    assert found.expected == pytest.approx(2 / (2.0 * 5e4))


def test_small_leaf_and_small_entries_are_looked_at() -> None:
    """A leaf or an entry that is small beside others drowns in their bars: it is observed apart from them."""
    x, y = np.linspace(1, 2, 60), np.linspace(1, 3, 50)
    case = case_of(lambda x, y: 1e10 * np.sum(x * x) + np.sum(y * y), x, y)
    assert check(case, 2e10 * x, 2 * y).verdict == Verdict.PASS
    weights = np.ones(50)
    weights[[3, 30]] = 1e-13
    case = case_of(lambda x: np.sum(weights * x * x), y)
    assert check(case, 2 * weights * y).verdict == Verdict.PASS
    wrong = 2 * weights * y
    wrong[30] = 0
    found = check(case, wrong)
    assert (found.verdict, found.index) == (Verdict.FAIL, "[30]")


def test_what_was_not_seen_is_told_and_every_entry_can_be() -> None:
    x = np.linspace(1, 2, 300)
    weights = np.where(np.arange(300) % 2, 1.0, 1e-16)
    case = case_of(lambda x: np.sum(weights * x), x)
    found = check(case, weights)
    assert found.verdict == Verdict.PASS
    assert 0 < found.resolution < 1e-11
    assert 100 < found.unproved <= 150
    assert f"{found.unproved} entries are smaller than that: --entries all looks at each" in found.note
    smooth = case_of(lambda x: np.sum(np.sin(x)), x)
    assert check(smooth, np.cos(x)).unproved == 0
    whole = check(smooth, np.cos(x), every=True)
    assert (whole.resolution, whole.unproved) == (0, 0)


def test_wide_bar_decides_nothing() -> None:
    """Beside 1e14 the noise of the function is 1e-2: a slope of 1 is seen with a bar above 1e-3."""

    def f(x: Any) -> Any:
        return np.float64(1e14) + np.sum(np.asarray(x, dtype=np.float64))

    for claimed in (1.0, 0.0, 3.0):
        assert check(case_of(f, [1.0]), [claimed]).verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("n", "most"), [(2, 200), (33, 1100), (5000, 1100)])
def test_number_of_evaluations_does_not_grow(n: int, most: int) -> None:
    count = 0

    def f(x: Any) -> Any:
        nonlocal count
        count += 1
        return np.sum(np.sin(x))

    x = np.linspace(0.3, 1.2, n)
    assert check(case_of(f, x), np.cos(x)).verdict == Verdict.PASS
    assert count <= most
