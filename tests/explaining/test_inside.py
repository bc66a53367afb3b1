"""A nested derivative that differs is searched: the line of the function that is differentiated is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.explaining import wording
from autodiff_compare.explaining.directions import directions
from autodiff_compare.explaining.parting import differences
from autodiff_compare.explaining.records import Explanation
from autodiff_compare.plan.cases import build_case
from autodiff_compare.problems import SCALAR, Inputs
from autodiff_compare.problems.base.declared.declarations import problem_of
from autodiff_compare.vocabulary import Operator
from tests.explaining.planted import How, Planted, opened, scaled, second_order
from tests.explaining.test_trial import result, searching


def force(x, c, derivative, xp):
    """The derivative of a potential that reads a variable around it."""
    s = xp.cos(c) + 1.0

    def potential(z):
        u = xp.tanh(z * s)
        w = xp.exp(0.5 * z)
        return xp.sum(u * w)

    f = derivative(potential)(xp.sin(x))
    return xp.sum(f * f * c)


def _case(operator: str) -> Any:
    arrays = (np.array([0.4, -0.9]), np.array([0.7, 1.2]))
    plain = problem_of("force", lambda x, c, xp: x, {}, {"x": arrays[0], "c": arrays[1]}, "here")
    subject = replace(
        plain, objective=force, uses=("derivative",), operators=SCALAR, inputs=lambda rng, n: Inputs(arrays)
    )
    return build_case(subject, subject.smallest, "float64", Operator(operator), 0)


@pytest.mark.parametrize(
    ("function", "how", "operator", "line", "stage"),
    [
        # The first derivative is wrong, and with it the value of the nested one.
        ("tanh", scaled(1.5), "gradient", "u = xp.tanh(z * s)", "cotangents"),
        ("exp", scaled(0.5), "value", "w = xp.exp(0.5 * z)", "cotangents"),
        # The second derivative is wrong: what the nested derivative passes back, or its tangent.
        ("tanh", second_order(0.3), "gradient", "u = xp.tanh(z * s)", "derivatives of cotangents"),
        ("exp", second_order(0.3), "jvp", "w = xp.exp(0.5 * z)", "derivatives of cotangents"),
    ],
)
def test_the_line_within_a_nested_derivative_is_named(
    function: str, how: How, operator: str, line: str, stage: str
) -> None:
    case, pair = _case(operator), {"right": opened(), "other": opened(Planted("rule", "force", function, how, line))}
    found = differences(case, *(result(backend, case) for backend in pair.values()))
    stages, parted, decided = searching(case, pair, directions(case, found[0].part, found[0].entry)).found()
    assert parted is not None
    assert (parted.place.text, parted.stage) == (line, stage)
    assert parted.within is not None
    assert parted.within.text == "f = derivative(potential)(xp.sin(x))"
    words = " ".join(wording.lines(Explanation("right", "other", parted.entry, stages, parted, decided), "force"))
    assert "of the function that is differentiated at" in " ".join(words.split())


def test_a_nested_derivative_that_agrees_is_not_searched() -> None:
    case = _case("gradient")
    pair = {"right": opened(), "other": opened(Planted("rule", "force", "cos", scaled(1.5), ""))}
    found = differences(case, *(result(backend, case) for backend in pair.values()))
    parted = searching(case, pair, directions(case, found[0].part, found[0].entry)).found()[1]
    assert parted is not None
    assert parted.within is None
    assert parted.place.text == "s = xp.cos(c) + 1.0"
