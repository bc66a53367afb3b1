"""Random functions whose four inputs lie many decades apart: no false verdict, and nearly every gradient is decided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.vocabulary import Status, Verdict
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


def judged(f: Saturating) -> tuple[Any, Status]:
    """Return the comparisons of the right gradient, and the status of one that is off in one entry."""
    judge, right = Judge(case_at(f, f.p), NUMERICAL), f.gradient
    wrong = right * np.where(np.arange(4) == f.entry, 1 + ERROR, 1.0)
    assert right[f.entry] != 0
    # The differences are computed once, for both.
    return judge((right,)), overall(judge((wrong,)))[0]


def verdicts(s: int, functions: int) -> tuple[list[int], list[int], list[int]]:
    """Return the seeds of false rejections, of false confirmations, and of gradients that are not decided."""
    refused, certified, open_ = [], [], []
    for seed in range(functions):
        right, status = judged(Saturating(s, seed))
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
    refused, certified, open_ = verdicts(s, ALL)
    assert (refused, certified) == ([], [])
    assert len(open_) <= ALL // 20, open_
