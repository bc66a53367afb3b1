"""The judge on trial: every control on every problem and operator, and numerical differences of known functions."""

from __future__ import annotations

import numpy as np
import pytest

import problems
from harness.controls import CONTROLS, FUNCTIONS, RIGHT, ladder, selftest
from problems import Problem

PROBLEMS = list(problems.available().values())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_judge_rejects_wrong_and_accepts_right_results(problem: Problem, dtype: str) -> None:
    trials = list(selftest([problem], [dtype]))
    assert {t.control for t in trials} == {RIGHT, *CONTROLS}
    assert all(t.tried == 1 for t in trials if t.control == RIGHT), "no right result to alter"
    assert not [t for t in trials if not t.as_it_should]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_numerical_differences_alone_do_the_same(problem: Problem) -> None:
    assert not [t for t in selftest([problem], ["float64", "float32"], numerically=True) if not t.as_it_should]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_controls_are_exempt_only_where_nothing_was_changed(problem: Problem) -> None:
    """In float64 no sign flip, no entry off by 1e-3 and no factor of 1 + 1e-6 is within rounding of a nonzero leaf."""
    trials = list(selftest([problem]))
    zero = {t.operator: t.exempt for t in trials if t.control == "zeros"}
    for t in trials:
        if t.control == "all entries off by 1e-6":
            assert t.exempt == zero[t.operator]
        if t.control in ("one sign flipped", "one entry off by 1e-3", "nan in one place", "infinity in one place"):
            assert t.exempt == 0


@pytest.mark.parametrize("seed", range(3))
def test_numerical_differences_cover_the_truth_everywhere(seed: int) -> None:
    trials = list(ladder(seed=seed))
    assert [t for t in trials if not t.covered] == []
    assert {t.kind for t in trials} == {"smooth", "oscillating", "noisy", "narrow domain", "kink"}
    assert len(trials) == sum(len(f.points) * (1 if f.kind == "kink" else 11) for f in FUNCTIONS)
    # 7e-15 is what the reference implementation reached on 22 functions.
    assert np.median([t.error for t in trials if t.kind == "smooth"]) < 1e-13
