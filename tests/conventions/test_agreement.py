"""The atlas and the judge answer alike: what one calls right is never wrong for the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from autodiff_compare.conventions.judgement import Class, coordinates, judge, numpy_function
from autodiff_compare.conventions.observation import Observation
from autodiff_compare.judge.judge import Comparison, Judge, overall
from autodiff_compare.judge.reference import NUMERICAL
from autodiff_compare.judge.singular.slopes import Coordinates, nearby, sides
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER
from autodiff_compare.plan.cases import Case as JudgedCase
from autodiff_compare.problems import Inputs, Problem
from autodiff_compare.problems.conventions import CASES, FAMILIES, Case, Kink, Undefined
from autodiff_compare.vocabulary import Operator, Status, Verdict

OPERATORS = {"gradient": Operator.GRADIENT, "jvp": Operator.JVP, "second": Operator.HESSIAN}
REFUTED = {Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE}
#: An answer that is wrong by this part of the largest entry is wrong for the atlas, which compares half of the digits.
OFF = 0.3

#: Case -> why the judge cannot see its derivative by numerical differences, which the atlas knows from its formula.
APART = {
    "square_of_tiny": "a derivative of 2e-200 times the input of 1e-200 is below the smallest number",
    "cube_of_tiny": "a derivative of 3e-300 times the input of 1e-150 is below the smallest number",
    "cancellation": "log(1 + x) does not move with x near 1e-17",
}


def known(case: Case) -> bool:
    """Return whether both know a case: a finite derivative by real float64 inputs, of a function that NumPy has."""
    if case.operator == "answer" or isinstance(case.right, Undefined) or case.symmetric or "float64" not in case.dtypes:
        return False
    if any(x.dtype != np.float64 for x in case.inputs("float64")) or not np.isfinite(case.right.array).all():
        return False
    with np.errstate(all="ignore"):
        try:
            value = np.asarray(numpy_function(case)(*case.inputs("float64"), *case.constants("float64")))
        except Exception:  # not a function of NumPy, or no value at the point
            return False
    return value.shape == () and value.dtype == np.float64 and bool(np.isfinite(value))


@dataclass(frozen=True)
class Both:
    """A case as the atlas sees it and as the judge does."""

    case: Case
    judge: Judge
    seen: Observation

    @classmethod
    def of(cls, case: Case) -> Both:
        f, inputs = numpy_function(case), Inputs(case.inputs("float64"), case.constants("float64"))
        problem = Problem("p", case.name, "", {"small": 1}, lambda *_: inputs, lambda *a, xp: f(*a))
        operator = OPERATORS[case.operator]
        at = Coordinates.of(inputs.differentiated, symmetric=False)
        directions = at.tangents() if operator == Operator.JVP else ()
        made = JudgedCase(problem, "small", "float64", operator, 0, inputs, directions, DEFAULT_OPTIMIZER)
        return cls(case, Judge(made, NUMERICAL), measured(case, at, f))

    def class_of(self, answer: Any) -> Class:
        self.seen.obtained = answer
        return judge(self.case, self.seen, "float64").classed

    def comparisons_of(self, answer: Any) -> tuple[Comparison, ...]:
        shapes = [leaf.shape for leaf in self.judge.layout]
        parts = np.split(answer, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
        return self.judge(tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))


def measured(case: Case, at: Coordinates, f: Any) -> Observation:
    """Return the observation of a backend whose function is that of NumPy, without its derivative."""
    data = case.constants("float64")

    def value(by: Any) -> Any:
        return np.ravel(np.asarray(f(*at.moved(by), *data), dtype=np.float64))

    found = Observation(value=value(np.zeros(len(at.places))))
    if case.operator != "second":
        seen = sides(value, at, "float64")
        found.left, found.right, found.bar = (np.ravel(a) for a in (seen.left, seen.right, seen.bar))
        if isinstance(case.right, Kink) and len(at.places) > 1:
            directions = case.right.array if case.operator == "gradient" else ()
            found.hull, found.hull_bar = nearby(value, at, "float64", tuple(directions))
    return found


def answers(case: Case) -> Iterator[Any]:
    """Yield right and wrong answers: the derivative and its vertices, their mean, and what lies beyond them."""
    vertices = np.atleast_2d(coordinates(case.right, case, "float64"))  # type: ignore[arg-type]
    middle, size = vertices.mean(axis=0), np.abs(vertices).max(initial=0.0) or 1.0
    yield middle
    yield (middle + vertices[0]) / 2
    for vertex in vertices:
        yield vertex
        yield vertex + OFF * (vertex - middle)
        for k in range(vertex.size):
            yield vertex + OFF * size * np.eye(vertex.size)[k]
    yield vertices.max(axis=0)
    yield np.zeros(vertices.shape[1])
    yield np.full(vertices.shape[1], np.nan)


def contradictions(case: Case) -> Iterator[str]:
    with np.errstate(all="ignore"):
        both = Both.of(case)
        for answer in answers(case):
            classed, comparisons = both.class_of(answer), both.comparisons_of(answer)
            status, why = overall(comparisons)
            right = classed in (Class.AGREE, Class.CONVENTION)
            refuted = any(c.verdict in REFUTED for c in comparisons)
            if (right and refuted) or (classed == Class.DEFECT and status == Status.OK):
                yield f"{case.name} = {case.f} at {case.at}: {answer} is {classed}, and {status} for the judge: {why}"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_atlas_and_the_judge_do_not_contradict_each_other(family: str) -> None:
    cases = [c for c in CASES.values() if c.family == family and known(c) and c.name not in APART]
    assert [words for case in cases for words in contradictions(case)] == []


@pytest.mark.parametrize("family", ["kinks", "clip"])
def test_they_agree_on_kinks(family: str) -> None:
    test_the_atlas_and_the_judge_do_not_contradict_each_other(family)


def test_most_cases_are_known_to_both() -> None:
    compared = [case.name for case in CASES.values() if known(case)]
    assert set(APART) <= set(compared)
    assert len(compared) > 400


@pytest.mark.parametrize("name", ["second_norm_squared_zero", "second_square", "second_prod_two_zeros"])
def test_a_hessian_at_a_singular_point_is_that_of_the_function(name: str) -> None:
    """The Hessian of norm(x)^2 = x.x is 2 I everywhere, also at 0, where that of the norm is infinite."""
    both = Both.of(CASES[name])
    right = CASES[name].right.array  # type: ignore[union-attr]
    assert both.class_of(right) == Class.AGREE
    assert overall(both.comparisons_of(right)) == (Status.OK, "")
    assert both.class_of(right + 1.0) == Class.DEFECT
    assert overall(both.comparisons_of(right + 1.0))[0] == Status.WRONG
