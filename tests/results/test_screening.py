"""Tables from elsewhere: impossible numbers are refused in one line, and no control character reaches a reader."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_compare.results.formatting import printable
from autodiff_compare.results.screening import _impossible_text, escaped, impossible

SAMPLE = {"cell_id": "c", "phase": "steady", "round": 0, "sample": 0, "calls": 1, "seconds": 1e-3, "machine": "m"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"calls": 0}, "got 0 in column 'calls'"),
        ({"calls": -1}, "got -1 in column 'calls'"),
        ({"seconds": 0.0}, "expected a positive number"),
        ({"seconds": 0.0, "phase": "prepare"}, ""),
        ({"seconds": -1.0}, "in column 'seconds'"),
        ({"seconds": float("nan")}, "in column 'seconds'"),
        ({"seconds": float("inf")}, "in column 'seconds'"),
        ({"round": -1}, "got -1 in column 'round'"),
        ({"sample": -3}, "got -3 in column 'sample'"),
    ],
)
def test_an_impossible_sample_is_named(changes: dict[str, float], words: str) -> None:
    found = impossible("samples", pd.DataFrame([SAMPLE | changes]))
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize("column", ["min_s", "median_s"])
def test_a_time_that_is_no_number_is_named(column: str) -> None:
    row = {"cell_id": "c", "phase": "steady", "machine": "", "n": 8, "min_s": 1e-3, "median_s": 2e-3}
    assert impossible("timings", pd.DataFrame([row])) == ""
    for value in (float("nan"), float("inf"), -1.0):
        found = impossible("timings", pd.DataFrame([{**row, column: value}]))
        assert f"got {value} in column '{column}' of the table timings" in found


def test_a_row_that_is_there_twice_is_named() -> None:
    assert impossible("samples", pd.DataFrame([SAMPLE, SAMPLE | {"round": 1}])) == ""
    assert impossible("samples", pd.DataFrame([SAMPLE, SAMPLE | {"machine": "n"}])) == ""
    words = "got c/steady/0/0/m twice in the table samples, expected each cell_id once"
    assert impossible("samples", pd.DataFrame([SAMPLE, SAMPLE])) == words


@pytest.mark.parametrize(
    ("table", "column", "good", "bad"),
    [
        ("cells", "dtype", ["", "float64", "bfloat16"], ["float", "FLOAT64", "float64 "]),
        ("runs", "versions", ["", "{}", '{"numpy": "2.4"}'], ["{", "[]", "1", '{"numpy": 2}', "[" * 60_000]),
        ("machines", "environment", ["", '{"A": ""}'], ["null", '{"A": null}']),
        (
            "conventions",
            "expected",
            ["[]", "2.0", '[["(1+2j)", "nan"], ["-inf", true]]'],
            ["null", '"x"', "{}", "[null]"],
        ),
        ("conventions", "hull", ["[]", "[[0, 1]]"], ["[0, 1]", "[[0]]", "[[0, {}]]"]),
        ("findings", "seen", ["", '{"jax hvp float64": 3}'], ['{"jax": "3"}', "[3]", '{"jax": 1.5}', '{"jax": true}']),
    ],
)
def test_a_text_that_cannot_be_read_is_named(table: str, column: str, good: list[str], bad: list[str]) -> None:
    given = {"cells": {}, "findings": {}, "runs": {"environment": "", "versions": ""}, "machines": {"versions": ""}}
    blank = dict.fromkeys(("point", "expected", "obtained", "left", "right_side", "hull"), "") | {"dtype": "float64"}
    beside = given.get(table, blank)
    for text in good:
        assert _impossible_text(table, pd.DataFrame([{**beside, column: text}])) == ""
    for text in bad:
        found = _impossible_text(table, pd.DataFrame([{**beside, column: text}]))
        assert f"in column '{column}' of the table {table}, expected " in found


@given(st.text())
def test_no_control_character_is_left_and_printable_text_stays(text: str) -> None:
    found = printable(text)
    assert all(c.isprintable() or c == "\n" for c in found)
    assert found == text or not text.replace("\n", "").isprintable()


def test_texts_of_a_table_are_escaped() -> None:
    frame = pd.DataFrame({"cell_id": pd.Series(["a\x1b[2J\x07", "b\nc"], dtype="str"), "calls": [1, 2]})
    found = escaped(frame)
    assert list(found["cell_id"]) == ["a\\x1b[2J\\x07", "b\nc"]
    assert list(found["calls"]) == [1, 2]
