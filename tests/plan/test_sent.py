"""Cases that are sent to another process: it draws nothing, and gets the same numbers, keywords and patterns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.plan.cases import build_case, received, sent, tracing_case
from autodiff_compare.problems import Inputs, Problem, available
from autodiff_compare.process import protocol
from autodiff_compare.vocabulary import Operator


def _never(*_: Any) -> Any:
    raise AssertionError("the inputs were drawn")


#: Keywords of numbers and texts, nested tuples, no keywords; integer data.
@pytest.mark.parametrize("name", ["gmm", "particle_forward_forward", "hand", "ur5_arm", "kmeans", "heat_inverse"])
def test_a_case_arrives_without_being_drawn(name: str) -> None:
    problem = available().get(name) or next(p for n, p in available().items() if n.startswith(name.partition("_")[0]))
    operator = next(o for o in (Operator.JVP, Operator.VALUE) if o in problem.operators)
    case = build_case(problem, problem.smallest, "float64", operator, 0)
    undrawn = replace(problem, inputs=_never)
    arrived = received(undrawn, problem.smallest, "float64", operator, 0, protocol.decode(protocol.encode(sent(case))))
    for got, expected in zip(arrived, (case, tracing_case(case)), strict=True):
        assert got.inputs.static == expected.inputs.static
        assert len(got.inputs.differentiated) == len(expected.inputs.differentiated)
        for a, b in zip(
            (*got.inputs.arrays, *got.directions), (*expected.inputs.arrays, *expected.directions), strict=True
        ):
            np.testing.assert_array_equal(a, b, strict=True)


def test_patterns_arrive_with_a_sparse_case() -> None:
    problem = available()["spline"]
    case = build_case(problem, problem.smallest, "float64", Operator.SPARSE_JACOBIAN, 0)
    given = protocol.decode(protocol.encode(sent(case)))
    got, _ = received(replace(problem, pattern=_never), problem.smallest, "float64", Operator.SPARSE_JACOBIAN, 0, given)
    assert [p.shape for p in got.entries] == [p.shape for p in case.entries]
    for a, b in zip(got.entries, case.entries, strict=True):
        np.testing.assert_array_equal(a.rows, b.rows)
        np.testing.assert_array_equal(a.columns, b.columns)


def test_keywords_that_cannot_be_sent_are_drawn_there() -> None:
    """A function as a keyword stays in the file that defines it."""
    problem = Problem(
        name="keyword",
        title="a function as a keyword",
        source="this test",
        sizes={"small": 2},
        inputs=lambda rng, n: Inputs((rng.normal(size=n),), (), {"f": np.sum, "levels": ((0, 1), [2, {"a": 3.0}])}),
        objective=lambda x, *, xp, f, levels: f(x),
        suites=frozenset(),
    )
    case = build_case(problem, "small", "float64", Operator.VALUE, 0)
    given = protocol.decode(protocol.encode(sent(case)))
    got, _ = received(problem, "small", "float64", Operator.VALUE, 0, given)
    assert got.inputs.static == {"f": np.sum, "levels": ((0, 1), [2, {"a": 3.0}])}
    np.testing.assert_array_equal(got.inputs.arrays[0], case.inputs.arrays[0])
