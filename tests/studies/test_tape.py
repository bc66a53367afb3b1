"""The tape study: its questions, and the comparison of answers, which wrong answers must not pass."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from autodiff_compare.problems import Question, available
from autodiff_compare.problems.tape import QUESTIONS
from autodiff_compare.studies.tape import Answer, ask, ask_all


class Idiomatic:
    """The part of a backend that a question needs; its arrays are lists in a box."""

    name = spec = "idiomatic"

    def __init__(self, source: str | None) -> None:
        self.idioms: Mapping[str, str] = {} if source is None else {"q": source}

    def idiom_scope(self) -> Mapping[str, Any]:
        return {"np": np, "Box": Box}

    def to_numpy(self, var: Any) -> Any:
        return np.asarray(var.content)


class Box:
    def __init__(self, content: Any) -> None:
        self.content = content


def answer_to(source: str, expected: Any = 0.0, conventions: Mapping[str, Any] | None = None) -> Answer:
    question = Question("q", "asked", expected, conventions or {})
    return ask(Idiomatic(source), question)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "expected", "equal"),
    [
        ("answer = 2.0", 2.0, True),
        ("answer = np.float32(2.0000001)", 2.0, True),
        ("answer = 2.001", 2.0, False),
        ("answer = -2.0", 2.0, False),
        ("answer = np.nan", 2.0, False),
        ("answer = np.nan", math.nan, False),
        ("answer = [2.0]", 2.0, False),
        ("answer = Box([2.0, 3.0])", [2.0, 3.0], True),
        ("answer = (Box(2.0), 3)", [2.0, 3.0], True),
        ("answer = Box([2.0, 3.0])", [3.0, 2.0], False),
        ("answer = None", "none", True),
        ("answer = [None, 1.0]", ["none", 1.0], True),
        ("answer = None", 0.0, False),
        ("answer = 0.0", "none", False),
        ("raise RuntimeError('no seed')", "error", True),
        ("answer = 1.0", "error", False),
    ],
)
def test_an_answer_is_equal_only_if_it_is(source: str, expected: Any, equal: bool) -> None:
    assert answer_to(source, expected).equal is equal


@pytest.mark.parametrize("source", ["anser = 1", "answer = undefined_name", "answer = (", "answer = np.no_such"])
def test_a_misspelt_idiom_is_not_the_error_that_was_expected(source: str) -> None:
    row = answer_to(source, "error", {"any": "broken_idiom_"})
    assert (row.obtained, row.equal, row.convention) == ('"broken_idiom"', False, "")
    assert row.message


def test_an_idiom_that_is_absent_is_not_an_answer() -> None:
    row = ask(Idiomatic("answer = 1"), Question("other", "asked", "error"))  # type: ignore[arg-type]
    assert (row.obtained, row.equal) == ('"not_asked"', False)


def test_a_convention_is_named_and_not_called_equal() -> None:
    row = answer_to("answer = Box([1.0, 2.0])", "error", {"sums the output": [1.0, 2.0], "other": 3.0})
    assert (row.equal, row.convention) == (False, "sums the output")


def test_what_the_framework_says_is_kept() -> None:
    assert answer_to("raise ValueError('seed it\\nmore')", "error").message == "ValueError: seed it"
    row = answer_to("import warnings\nwarnings.warn('not a leaf')\nanswer = None", "none")
    assert (row.equal, row.message) == (True, "UserWarning: not a leaf")


def test_a_row_is_plain_text() -> None:
    row = asdict(answer_to("answer = Box([1.0])", [1.0]))
    assert json.loads(row["obtained"]) == [1.0]
    assert row["spelled"] == "answer = Box([1.0])"


def test_a_backend_without_idioms_is_not_asked() -> None:
    assert ask_all(Idiomatic(None), QUESTIONS) == []  # type: ignore[arg-type]


def test_the_tape_study_asks_its_questions() -> None:
    assert available()["tape_polynomial"].questions == QUESTIONS
    assert len({q.name for q in QUESTIONS}) == len(QUESTIONS)


# Numbers of study 3 of the classic problems: y = x^2 - 2x + 1 and its gradient at 5 and on the 2x3 matrix,
# dz = -1 when retained, 3x^2, 6x and 6 for x^3, 3x^2 + 6x when gradients are not cleared; here x = 5.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("value", 16.0),
        ("gradient", 8.0),
        ("intermediate_dropped", "none"),
        ("intermediate_retained", -1.0),
        ("seed_ones", [[0, 2, 4], [6, 8, 10]]),
        ("seed_rows", [[0, 0, 0], [6, 16, 30]]),
        ("no_seed", "error"),
        ("second_derivative", [75.0, 30.0]),
        ("third_derivative", 6.0),
        ("accumulates", 105.0),
        ("cleared", 30.0),
    ],
)
def test_the_expected_answers_are_those_of_the_study(name: str, expected: Any) -> None:
    assert {q.name: q.expected for q in QUESTIONS}[name] == expected
