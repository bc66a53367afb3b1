"""Typical sizes of inputs: how a user states them, and what is refused."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import numpy as np
import pytest

from autodiff_compare import compare
from autodiff_compare.judge.probe import Probe
from autodiff_compare.plan.cases import build_case
from autodiff_compare.problems import ProblemError, load, problem_of
from autodiff_compare.testing import assert_gradients
from autodiff_compare.vocabulary import Operator

W, B = np.ones((2, 2)), np.zeros(3)


def f(p: Any, q: Any, *, xp: Any) -> Any:
    return xp.sum(p["w"]) + xp.sum(p["b"]) + q


def stated(typical: Any, one: bool = False) -> tuple[Any, ...]:
    if one:
        return problem_of("g", lambda x, xp: xp.sum(x), {}, {"x": B, "TYPICAL": typical}, "here").typical
    return problem_of("f", f, {}, {"p": {"w": W, "b": B}, "q": 1.0, "TYPICAL": typical}, "here").typical


def shown(sizes: tuple[Any, ...]) -> list[Any]:
    return [None if size is None else size.tolist() for size in sizes]


@pytest.mark.parametrize(
    ("typical", "one", "expected"),
    [
        (None, False, []),
        ({"q": 2.0}, False, [None, None, 2.0]),
        ((0.5, None), False, [[[0.5, 0.5], [0.5, 0.5]], [0.5, 0.5, 0.5], None]),
        (({"b": [1.0, 2.0, 3.0]}, 4.0), False, [None, [1.0, 2.0, 3.0], 4.0]),
        (7.0, True, [[7.0, 7.0, 7.0]]),
        ([1.0, 2.0, 3.0], True, [[1.0, 2.0, 3.0]]),
        ((7.0,), True, [[7.0, 7.0, 7.0]]),
    ],
)
def test_sizes_are_stated_by_name_by_position_or_for_one_parameter(typical: Any, one: bool, expected: Any) -> None:
    assert shown(stated(typical, one)) == expected


@pytest.mark.parametrize(
    ("typical", "words"),
    [
        ({"r": 1.0}, "expected a tuple with one size for each of p, q, or a dictionary from parameter to size"),
        ((1.0,), "expected a tuple with one size for each of p, q"),
        ((0.0, 1.0), "got TYPICAL 0.0 for p['w'] in here, expected positive finite sizes"),
        ((1.0, -2.0), "got TYPICAL -2.0 for q in here, expected positive finite sizes"),
        ((1.0, np.inf), "expected positive finite sizes"),
        (([1.0, 2.0], 1.0), "for p['b'] in here, expected a positive number or an array of shape (3,)"),
        (("small", 1.0), "expected a positive number or an array of shape (2, 2)"),
    ],
)
def test_sizes_that_fit_nothing_are_refused(typical: Any, words: str) -> None:
    with pytest.raises(ProblemError, match=re.escape(words)):
        stated(typical)


def test_file_states_sizes_that_the_judge_uses(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "angles.py"
    text = (
        "def objective(x, y, xp):\n    return xp.sum(x) * y\nx = [0.0, 3.0]\ny = 5.0\nTYPICAL = {'x': [1e-6, 1e-6]}\n"
    )
    path.write_text(text)
    (problem,) = load(str(path))
    scales = Probe(build_case(problem, "small", "float64", Operator.GRADIENT, 0)).objective.scales
    # Powers of two at or below 1e-6 and 5.
    assert scales.tolist() == [2.0**-20, 2.0**-20, 4.0]


def test_python_states_sizes_too() -> None:
    def narrow(x: Any) -> Any:
        return np.sum(np.sin(x / 1e-13))

    assert_gradients(narrow, np.zeros(2), np.full(2, 1e13), typical=1e-13)
    with pytest.raises(AssertionError, match=r"entry +\[1\]"):
        assert_gradients(narrow, np.zeros(2), np.array([1e13, 1.001e13]), typical=1e-13)

    def objective(x: Any, *, xp: Any) -> Any:
        return xp.sum(xp.sin(x / 1e-13))

    tables = compare(objective, [0.0, 0.0], backends="numpy", operators="gradient", rounds=0, typical=1e-13)
    assert set(tables.cells.status) == {"ok"}
