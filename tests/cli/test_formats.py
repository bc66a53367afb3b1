"""The documents of ``--json`` follow their schema, whose fields are those that the verbs print; Markdown of tables."""

from __future__ import annotations

import argparse
import copy
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from rich.console import Group
from rich.table import Table
from rich.text import Text

from autodiff_compare.cli import output
from autodiff_compare.cli.formats import document, markdown
from autodiff_compare.cli.formats.fields import HEADERS, ROWS
from autodiff_compare.cli.main import main
from autodiff_compare.summary import terminal
from tests.documents import json_schema

ROOT = pathlib.Path(__file__).parents[2]
SAMPLE = str(ROOT / "results" / "sample")
SCHEMA = jsonschema.Draft202012Validator(document.schema())

WRONG = """
import numpy as np
from autodiff_compare import Operator
from autodiff_compare.backends.interface import NumpyArrays


class Wrong(NumpyArrays):
    name, native = "wrong", frozenset({Operator.VALUE, Operator.GRADIENT})

    def _native(self, request):
        return (lambda *xs: tuple(3 * x for x in xs)) if request.operator == Operator.GRADIENT else request.function
"""

Print = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def printed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Print:
    """Run a verb in an empty folder; return its exit code and the document that it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        code = main([*words, "--json"])
        found: dict[str, Any] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
        SCHEMA.validate(found)
        return code, found

    return run


def _has_exactly(found: dict[str, Any]) -> None:
    """The rows and runs have the documented fields in their order, and the document has their units."""
    fields = ROWS[found["kind"]]
    for row in found["rows"]:
        assert list(row) == [name for name, field in fields.items() if name in row or not field.optional]
    for table, columns in HEADERS.items():
        assert [list(entry) for entry in found[table]] == [list(columns)] * len(found["runs"])
    assert found["units"]["rows"] == {name: field.unit for name, field in fields.items() if field.unit}


def test_the_file_is_made_from_the_fields() -> None:
    assert json_schema.FILE.read_text(encoding="utf-8") == json_schema.text(), (
        "stale: python -m tests.documents.json_schema"
    )
    jsonschema.Draft202012Validator.check_schema(document.schema())


@pytest.mark.parametrize("kind", ROWS)
def test_every_number_has_a_unit(kind: str) -> None:
    only_names = {"level", "line", "schema_version", "seed"}
    for fields in (ROWS[kind], *HEADERS.values()):
        numbers = [name for name, field in fields.items() if field.numeric and not field.unit]
        assert set(numbers) <= only_names


def test_cells_of_a_run(printed: Print) -> None:
    code, found = printed("check", "sphere", "-b", "numpy", "-b", "manual", "-o", "gradient", "--out", "out")
    assert (code, found["kind"]) == (0, "cells")
    _has_exactly(found)
    assert [row["status"] for row in found["rows"]] == ["ok", "ok"]
    (run,) = found["runs"]
    assert pathlib.Path(run["folder"]).is_dir()
    assert run["versions"]["numpy"]
    assert [machine["key"] for machine in found["machines"]] == [found["rows"][0]["machine"]]
    assert found["units"]["rows"]["median_s"] == "seconds per call"


def test_cells_of_a_run_that_was_timed(printed: Print) -> None:
    # The sample was timed in 8 rounds, each of which has a time per call.
    _, found = printed("show", SAMPLE)
    _has_exactly(found)
    timed = [row for row in found["rows"] if row["median_s"] is not None]
    assert len(timed) == len(found["rows"]) == 520
    assert {row["rounds"] for row in timed} <= set(range(1, 9))


def test_changes_of_two_runs(printed: Print) -> None:
    pathlib.Path("wrong.py").write_text(WRONG)
    words = ("sphere", "-b", "./wrong.py", "--out", "out")
    _, value = printed("check", *words, "-o", "value")
    code, both = printed("check", *words, "-o", "value", "-o", "gradient")
    assert code == 1
    code, found = printed("diff", value["runs"][0]["folder"], both["runs"][0]["folder"])
    _has_exactly(found)
    assert [run["run_id"] for run in found["runs"]] == [d["runs"][0]["run_id"] for d in (value, both)]
    # A cell that appears is no regression; there is no ratio of times, which JSON writes as null.
    assert (code, [(row["kind"], row["regression"], row["ratio"]) for row in found["rows"]]) == (
        0,
        [("appeared", False, None)],
    )
    code, found = printed("diff", both["runs"][0]["folder"], value["runs"][0]["folder"])
    assert (code, [row["kind"] for row in found["rows"]]) == (0, ["disappeared"])


def test_an_explanation_of_results_that_agree_has_no_result(printed: Print) -> None:
    # One of results that part is in test_explain.py.
    code, found = printed("explain", "sphere", "numpy", "numpy:compiled")
    assert (code, found["rows"][0]["agree"]) == (0, True)
    assert list(found["rows"][0]) == [name for name, field in ROWS["explanation"].items() if not field.optional]


def test_findings_of_the_doctor(printed: Print) -> None:
    _, found = printed("doctor", "-b", "manual")
    _has_exactly(found)
    assert found["runs"] == []


def test_runs_and_their_history(printed: Print) -> None:
    shutil.copytree(SAMPLE, "out/sample")
    _, found = printed("runs", "--out", "out")
    _has_exactly(found)
    assert [row["run"] for row in found["rows"]] == ["sample"]
    _, found = printed("history", "cubic_fit", "gradient", "--out", "out")
    _has_exactly(found)
    # One run has one level of times, and no change.
    assert {(row["level"], row["change"]) for row in found["rows"]} == {(1, None)}


def test_answers_at_kinks(printed: Print) -> None:
    _, found = printed("conventions", "abs", "-b", "numpy", "--out", "out")
    _has_exactly(found)
    assert {row["case"] for row in found["rows"]} == {"abs"}
    assert len(found["runs"]) == 1


def test_outcomes_of_random_programs(printed: Print) -> None:
    code, found = printed("fuzz", "-b", "numpy", "--programs", "3", "--out", "out")
    _has_exactly(found)
    assert (code, len(found["runs"])) == (0, 1)


@pytest.fixture(scope="module")
def of_the_sample() -> dict[str, Any]:
    """The document of the first cell of the sample, whose tables take half a second to read."""
    return document.document("cells", output.results(pathlib.Path(SAMPLE))[:1], [pathlib.Path(SAMPLE)])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("units"),
        lambda d: d.update(kind="cell"),
        lambda d: d.update(format_version=2),
        lambda d: d["rows"][0].pop("status"),
        lambda d: d["rows"][0].update(status="fine"),
        lambda d: d["rows"][0].update(median_s="1 s"),
        lambda d: d["runs"][0].update(versions="{}"),
    ],
)
def test_the_schema_rejects_what_is_no_document(spoil: Callable[[Any], Any], of_the_sample: dict[str, Any]) -> None:
    SCHEMA.validate(of_the_sample)
    spoilt = copy.deepcopy(of_the_sample)
    spoil(spoilt)
    assert not SCHEMA.is_valid(spoilt)


def test_csv_without_rows_has_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.write("changes", [], argparse.Namespace(json=False, csv=True))
    assert capsys.readouterr().out == "kind,cell_id,words,ratio,regression\n"


# ---- Markdown


def _table(*, header: bool = True) -> Table:
    table = terminal.plain_table("Times of [a]", header=header)
    table.add_column("problem\n:name")
    table.add_column("time", justify="right")
    table.add_row("long_\n  name", Text("1 us*"))
    table.add_row("a|b\nc", "<b> @me `x` &amp;")
    return table


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            _table(),
            [
                r"**Times of \[a\]**",
                "| problem:name | time |\n| --- | ---: |\n| long\\_name | 1 us\\* |\n"
                "| a\\|b c | \\<b\\> @\u200bme \\`x\\` \\&amp; |",
            ],
        ),
        (
            Group(_table(header=False), Text("below\nit")),
            [
                r"**Times of \[a\]**",
                "|  |  |\n| --- | ---: |\n| long\\_name | 1 us\\* |\n| a\\|b c | \\<b\\> @\u200bme \\`x\\` \\&amp; |",
                "below<br>\nit",
            ],
        ),
        ("2 of 3 cells\nagree", ["2 of 3 cells agree"]),
        ("", []),
    ],
)
def test_what_is_printed_becomes_markdown(given: Any, expected: list[str]) -> None:
    assert list(markdown.blocks(given)) == expected


def test_show_and_diff_print_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", SAMPLE, "--markdown"]) == 0
    shown = capsys.readouterr().out
    assert "\n| cubic\\_fit | " in shown
    assert "520 of 520 cells agree" in shown
    assert main(["diff", SAMPLE, SAMPLE, "--markdown"]) == 0
    assert "no change is proved" in capsys.readouterr().out
