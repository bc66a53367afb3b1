"""Random functions whose four inputs lie many decades apart: no false verdict, and nearly every gradient is decided."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.vocabulary import Operator, Status, Verdict
from tests.judge.test_judge import case_at

#: Functions of each spread: in ``make test``, and for the rate of decided gradients.
SHARE, ALL = 6, 200
#: An error of this part of one entry must never be certified: a bar above 1e-3 of the value decides nothing.
ERROR = 1e-2


class Saturating:
    """``sum_c (c p_a / (p_a + k_a c)) p_i / (p_j + k_j)`` of four inputs and constants over ``10^[-s, s]``."""

    def __init__(self, s: int, seed: int) -> None:
        rng = np.random.default_rng([s, seed])
        self.p, k = 10.0 ** rng.uniform(-s, s, (2, 4))
        self.c = 10.0 ** rng.uniform(-s, s, 5)
        self.a, self.i, self.j = (int(v) for v in rng.permutation(4)[:3])
        self.k, self.entry = k, int(rng.choice([self.a, self.i, self.j]))

    def __call__(self, p: Any, *, xp: Any = np) -> Any:
        first, i, j = p[self.a], p[self.i], p[self.j]
        return xp.sum(self.c * first / (first + self.k[self.a] * self.c)) * i / (j + self.k[self.j])

    @property
    def gradient(self) -> Any:
        """Return the gradient by complex steps, which do not cancel (Squire and Trapp 1998)."""
        units = np.diag(1e-30 * self.p)
        return np.array([self(self.p + 1j * unit).imag / unit.sum() for unit in units])


def judged(f: Saturating, *, both: bool = True) -> tuple[Any, Status | None]:
    """Return the comparisons of the right gradient; for ``both``, also the status of one that is off in one entry."""
    judge, right = Judge(case_at(f, f.p), NUMERICAL), f.gradient
    wrong = right * np.where(np.arange(4) == f.entry, 1 + ERROR, 1.0)
    assert right[f.entry] != 0
    # The differences are computed once, for both.
    return judge((right,)), overall(judge((wrong,)))[0] if both else None


def verdicts(s: int, functions: int, every: int = 1) -> tuple[list[int], list[int], list[int]]:
    """Return the seeds of false rejections, of false confirmations, and of gradients that are not decided.

    An error is judged of one function in ``every``: its rounding is measured better and better before it is refuted,
    which takes four times as long as to find the gradient right.
    """
    refused, certified, open_ = [], [], []
    for seed in range(functions):
        right, status = judged(Saturating(s, seed), both=seed % every == 0)
        if overall(right)[0] != Status.OK:
            refuted = any(c.verdict in (Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE) for c in right)
            (refused if refuted else open_).append(seed)
        if status == Status.OK:
            certified.append(seed)
    return refused, certified, open_


@pytest.mark.parametrize("s", range(7))
def test_no_verdict_is_false_at_any_spread(s: int) -> None:
    refused, certified, _ = verdicts(s, SHARE)
    assert (refused, certified) == ([], [])


@pytest.mark.parametrize("s", range(7))
def test_nineteen_of_twenty_gradients_are_decided_at_any_spread(s: int) -> None:
    refused, certified, open_ = verdicts(s, ALL, every=2)
    assert (refused, certified) == ([], [])
    assert len(open_) <= ALL // 20, open_


def test_a_result_is_not_excused_by_a_rounding_of_our_engine() -> None:
    # Taken again, the differences along the first input show the rounding of our engine, 4e-6 of the entry.
    right, status = judged(Saturating(6, 52))
    assert (overall(right)[0], status) == (Status.OK, Status.WRONG)


#: Functions of one number with their first two derivatives.
CURVES: list[tuple[Any, Any, Any]] = [
    (lambda z: z * z, lambda z: 2 * z, lambda z: 2 + 0 * z),
    (np.sin, np.cos, lambda z: -np.sin(z)),
    (lambda z: z**3 + z, lambda z: 3 * z * z + 1, lambda z: 6 * z),
    (lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z), lambda z: (4 * z * z - 2) * np.exp(-z * z)),
    (lambda z: np.log1p(z * z), lambda z: 2 * z / (1 + z * z), lambda z: (2 - 2 * z * z) / (1 + z * z) ** 2),
]


class Mixed:
    """``c sum(g(x / s))`` of one array whose entries have sizes s over hundreds of decades, and its derivatives."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 4))
        self.s = 10.0 ** rng.uniform(-200, 200, n) * rng.choice([-1, 1], n)
        self.c = 10.0 ** rng.uniform(-250, 250)
        self.curve = CURVES[rng.integers(5)]
        self.x = rng.uniform(0.3, 2, n) * self.s
        z, self.v = self.x / self.s, rng.uniform(0.5, 1.5, n) * abs(self.x)
        with np.errstate(all="ignore"):
            slopes, curvatures = self.c * self.curve[1](z), self.c * self.curve[2](z)
            self.right = {
                Operator.GRADIENT: slopes / self.s,
                Operator.JVP: np.array(np.sum(slopes * (self.v / self.s))),
                Operator.HVP: curvatures / self.s * (self.v / self.s),
                Operator.HESSIAN: np.diag(curvatures / self.s / self.s),
            }

    def __call__(self, x: Any, *, xp: Any) -> Any:
        return self.c * xp.sum(self.curve[0](x / self.s))

    def judge(self, operator: Operator) -> Judge:
        given = (self.v,) if operator in (Operator.JVP, Operator.HVP) else ()
        return Judge(case_at(self, self.x, operator=operator, directions=given), NUMERICAL)


def _in_range(operator: Operator, seed: int) -> bool:
    """Return whether every derivative that is not zero for all x is a normal number."""
    right = Mixed(seed).right[operator]
    numbers = np.abs(np.diag(right) if operator == Operator.HESSIAN else right)
    return bool((np.isfinite(numbers) & (numbers > 1e-290)).all())


#: Seeds of which earlier forms of the judge refused a right product, accepted a wrong one, or warned of an overflow.
SEEDS = (2, 3, 4, 5, 10, 18, 32, 36, 40, 53)
OF_ANY_UNITS = [
    (operator, seed)
    for operator in (Operator.GRADIENT, Operator.JVP, Operator.HVP, Operator.HESSIAN)
    for seed in SEEDS
    if _in_range(operator, seed)
]


@pytest.mark.parametrize(("operator", "seed"), OF_ANY_UNITS)
def test_entries_of_one_array_may_have_any_units(operator: Operator, seed: int) -> None:
    f = Mixed(seed)
    right = f.right[operator]
    judge = f.judge(operator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = judge((right,))
        assert not {c.verdict for c in found} & {Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE}, overall(found)
        for place in zip(*np.nonzero(right), strict=True) if right.ndim else [()]:
            for factor in (-1.0, 0.0, 1.03):
                wrong = right.copy()
                wrong[place] *= factor
                assert overall(judge((wrong,)))[0] != Status.OK, (place, factor)


def test_most_products_with_entries_of_any_units_are_decided() -> None:
    """An array of 1e30, 1 and 1e-11: steps of the middle size miss what the function does at 1e-11."""
    open_ = []
    for seed in range(12):
        for operator in (Operator.JVP, Operator.HVP):
            rng, f = np.random.default_rng(seed), Mixed(seed)
            f.s = np.sort(10.0 ** rng.uniform(-30, 30, 3))
            f.x, f.v, f.c = 0.7 * f.s, rng.uniform(0.5, 1.5, 3) * f.s, 1.0
            z = f.x / f.s
            right = np.array(f.curve[1](z) @ (f.v / f.s))
            if operator == Operator.HVP:
                right = f.curve[2](z) / f.s * (f.v / f.s)
            if overall(f.judge(operator)((right,)))[0] != Status.OK:
                open_.append((seed, operator))
    assert open_ == []


def test_a_zero_of_1e_300_among_others_is_no_unit() -> None:
    """Steps of its own size move nothing: what they give must not stand for the slope, which is 3 there."""
    case = case_at(
        lambda x, *, xp: xp.sum(x[:2] ** 2) + 3 * x[2],
        [1.0, 1.5, 1e-300],
        operator=Operator.JVP,
        directions=(np.ones(3),),
    )
    judge = Judge(case, NUMERICAL)
    assert overall(judge((np.array(8.0),)))[0] == Status.OK
    assert overall(judge((np.array(5.0),)))[0] == Status.WRONG


def test_a_result_that_overflows_in_units_of_the_function_is_left_open_without_a_warning() -> None:
    case = case_at(
        lambda x, *, xp: xp.sum(x * xp.log(x)), [1e-160], operator=Operator.HVP, directions=(np.array([1.0]),)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Judge(case, NUMERICAL)((np.array([1e160]),))
    assert [c.verdict for c in found if c.quantity == "hvp"] == [Verdict.UNDETERMINED]
