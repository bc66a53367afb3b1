"""Mutation tests of the judge on every problem and operator, and numerical differences of known functions."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.judge.known_derivatives import FUNCTIONS, known_derivatives
from autodiff_compare.judge.mutants import MUTATIONS, RIGHT, Trial, selftest
from autodiff_compare.problems import Problem
from autodiff_compare.vocabulary import DTYPES, Operator
from tests.selection import few

#: The function of another problem, written otherwise or derived in other modes: the judge sees the same right results.
REWRITTEN = frozenset({"lstm_unrolled", "ode_unrolled", "particle_fr", "particle_rf", "saddle_fr", "saddle_rf"})
# Not those of the suite field: they are forty more of the same kinds.
PROBLEMS = [p for p in problems.available().values() if "field" not in p.suites and p.name not in REWRITTEN]
CLASSIC = [p for p in PROBLEMS if "classic" in p.suites]
#: The operator with which a problem is tried in single precision: the first that it has.
_FIRST = (Operator.GRADIENT, Operator.JACOBIAN, Operator.JVP, Operator.VALUE)


def grouped(problem: Problem) -> Any:
    """Return a parameter whose tests may run beside those of other problems."""
    return pytest.param(problem, marks=pytest.mark.xdist_group(problem.name))


def distinct(problem: Problem, dtype: str) -> frozenset[Operator]:
    """Return the operators whose results are judged in ways of their own.

    In single precision it is the gradient or the Jacobian: how the judge widens a tolerance with the dtype does not
    depend on the operator. In double precision it is all but value and gradient, which is judged part by part.
    """
    if dtype == "float32":
        return frozenset({next(o for o in _FIRST if o in problem.operators)})
    return problem.operators - {Operator.VALUE_AND_GRADIENT}


@functools.cache
def trials_of(name: str, dtype: str) -> tuple[Trial, ...]:
    """Return the trials of one problem, which more than one test reads: of a classic one with every operator."""
    problem = problems.available()[name]
    if "classic" not in problem.suites:
        problem = replace(problem, operators=distinct(problem, dtype))
    return tuple(selftest([problem], [dtype]))


def undetected(trials: Iterable[Trial]) -> set[tuple[str, str, str]]:
    return {(t.problem, t.dtype, t.mutation) for t in trials if not t.passed}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("problem", [grouped(p) for p in PROBLEMS], ids=lambda p: p.name)
def test_judge_rejects_wrong_and_accepts_right_results(problem: Problem, dtype: str) -> None:
    trials = trials_of(problem.name, dtype)
    assert {t.mutation for t in trials} == {RIGHT, *MUTATIONS}
    assert all(t.tried == 1 for t in trials if t.mutation == RIGHT), "no right result to alter"
    assert undetected(trials) == set()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("problem", CLASSIC, ids=lambda p: p.name)
def test_numerical_differences_alone_do_the_same(problem: Problem, dtype: str) -> None:
    tried = replace(problem, operators=distinct(problem, dtype))
    trials = list(selftest([tried], [dtype], numerically=True))
    assert trials
    assert undetected(trials) == set()


@pytest.mark.parametrize("problem", [grouped(p) for p in CLASSIC], ids=lambda p: p.name)
def test_mutants_are_equivalent_only_where_nothing_was_changed(problem: Problem) -> None:
    """In float64 no sign flip, no entry off by 1e-3 and no factor of 1 + 1e-6 is within rounding of a nonzero leaf."""
    trials = trials_of(problem.name, "float64")
    zero = {t.operator: t.equivalent for t in trials if t.mutation == "zeros"}
    for t in trials:
        if t.mutation == "all entries off by 1e-6":
            assert t.equivalent == zero[t.operator]
        if t.mutation in ("one sign flipped", "one entry off by 1e-3", "nan in one place", "infinity in one place"):
            assert t.equivalent == 0


@pytest.mark.parametrize("seed", few(range(3), 1))
def test_numerical_differences_cover_the_truth_everywhere(seed: int) -> None:
    trials = list(known_derivatives(seed=seed))
    assert [t for t in trials if not t.covered] == []
    assert {t.kind for t in trials} == {f.kind for f in FUNCTIONS}
    assert len(trials) == sum(len(f.points) * (1 if f.exact else 11) for f in FUNCTIONS)
    # 7e-15 is what the reference implementation reached on 22 functions.
    assert np.median([t.error for t in trials if t.kind == "smooth"]) < 1e-13
