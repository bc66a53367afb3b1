"""The results of random programs, read again from the tables of a run."""

from __future__ import annotations

import io
import pathlib
from dataclasses import asdict

import pandas as pd
import pytest
from rich.console import Console

from autodiff_compare.results.rows import FindingRow, FuzzRow
from autodiff_compare.summary.random_programs import counted, findings, show, told

_NONE = dict.fromkeys(("agree", "convention", "precision", "defect", "unsupported", "error", "hang", "undecided"), 0)


def _outcomes(operation: str, operator: str, variant: str = "", **counts: int) -> FuzzRow:
    return FuzzRow("r", "elementwise", operation, operator, "mine", variant, "float64", **(_NONE | counts))


def _finding(number: int, programs: int, dtype: str = "float64") -> FindingRow:
    return FindingRow(
        "r", number, "mine", "defect", "number", "exp sum", "mine:fast", "jvp", dtype, programs, "{}", "",
        "got 1.0, expected 2.0", "def f(x, xp): ...",
    )  # fmt: skip


def test_outcomes_are_added_over_operations_and_operators() -> None:
    rows = [
        _outcomes("exp", "jvp", agree=3, defect=1),
        _outcomes("exp", "vjp", agree=2),
        _outcomes("sin", "jvp", agree=5, undecided=1),
        _outcomes("sin", "jvp", "fast", agree=7),
    ]
    assert {spec: {k: n for k, n in each.items() if n} for spec, each in counted(rows).items()} == {
        "mine": {"operations": 2, "agree": 10, "defect": 1, "undecided": 1},
        "mine:fast": {"operations": 1, "agree": 7},
    }


def test_a_new_finding_is_told_with_the_next_command(tmp_path: pathlib.Path) -> None:
    lines = list(findings([_finding(1, 1), _finding(0, 9), _finding(2, 4, "float32")], tmp_path))
    assert lines[:4] == [
        "defect: mine:fast jvp of exp sum (float64)",
        "  got 1.0, expected 2.0",
        f"  shown by 1 program; {tmp_path}/findings/001",
        f"  next: compare.py check {tmp_path}/findings/001/program.py -b mine:fast -o jvp",
    ]
    assert len(lines) == 8
    assert lines[-1].endswith("002/program.py -b mine:fast -o jvp --dtype float32")


@pytest.mark.parametrize(
    ("written", "backend"),
    [
        ({"mine:fast": "./other.py:fast"}, "./other.py:fast"),
        ({"mine:fast": "mine:fast@py=/opt/python"}, "mine:fast@py=/opt/python"),
        ({"mine": "folder/mine.py"}, "folder/mine.py:fast"),
        ({"another": "another.py"}, "mine:fast"),
    ],
)
def test_the_next_command_names_the_file_of_a_backend(
    written: dict[str, str], backend: str, tmp_path: pathlib.Path
) -> None:
    *_, command = findings([_finding(1, 1)], tmp_path, written)
    assert command.endswith(f"program.py -b {backend} -o jvp")


def test_a_stored_campaign_names_the_file_of_its_command(tmp_path: pathlib.Path) -> None:
    tables = {
        "fuzz": pd.DataFrame([asdict(_outcomes("exp", "jvp", defect=1))]),
        "findings": pd.DataFrame([asdict(_finding(1, 1))]),
        "runs": pd.DataFrame({"command": ["compare.py fuzz -b my/mine.py:fast --programs 3"]}),
    }
    text = io.StringIO()
    show(tables, tmp_path, Console(file=text, width=200))
    assert "-b my/mine.py:fast -o jvp" in text.getvalue()


def test_counts_agree_with_their_nouns() -> None:
    assert told([_finding(1, 1)]) == "1 new finding; known defects in 0 programs"
    assert told([_finding(1, 1), _finding(2, 5), _finding(0, 1)]) == "2 new findings; known defects in 1 program"
