"""Output for other programs and without a terminal, help texts, shell completion, and the doctor."""

from __future__ import annotations

import csv
import io
import json
import pathlib
import re
from typing import Any

import pytest

from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.verbs.trials import doctor
from tests.commands import called, executed

VERBS = sorted(next(a.choices for a in parser()._actions if isinstance(a.choices, dict)))


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    out = str(tmp_path_factory.mktemp("out"))
    return ["check", "sphere", "tape_cube", "-b", "numpy", "-b", "manual", "-o", "gradient", "--out", out]


def test_json_has_a_record_for_each_cell_and_nothing_else_is_printed(checked: list[str]) -> None:
    done = executed(*checked, "--json")
    records = json.loads(done.stdout)["rows"]
    assert [(r["problem"], r["backend"], r["status"]) for r in records] == [
        (problem, backend, "ok") for problem in ("sphere", "tape_cube") for backend in ("numpy", "manual")
    ]
    assert all(r["norm_rel_error"] <= r["tolerance"] and r["verdict"] == "pass" for r in records)
    assert records[0]["median_s"] is None, "nothing was timed"
    assert pathlib.Path(records[0]["folder"]).is_dir()


def test_csv_has_the_same_fields(checked: list[str]) -> None:
    lines = list(csv.DictReader(io.StringIO(called(*checked, "--csv").stdout)))
    records = json.loads(called(*checked, "--json").stdout)["rows"]
    assert [list(line) for line in lines] == [list(record) for record in records]
    assert [line["cell_id"] for line in lines] == [record["cell_id"] for record in records]


def test_the_doctor_looks_at_machine_clock_noise_and_backends() -> None:
    found = json.loads(executed("doctor", "-b", "manual", "--json").stdout)["rows"]
    assert {f["area"] for f in found} == {"machine", "clock", "noise", "backend", "verdict"}
    assert found[-1]["found"].partition(":")[0] in ("yes", "no")
    (backend,) = [f for f in found if f["area"] == "backend"]
    assert "threads busy of 1 asked for" in backend["found"]


def test_the_doctor_prints_no_line_wider_than_80_columns_and_ends_with_a_verdict() -> None:
    done = executed("doctor", "-b", "manual")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith(
        ("Quote numbers from this machine now? Yes", "Quote numbers from this machine now? No:")
    )


def test_the_doctor_counts_only_what_needs_a_change() -> None:
    def found(**advice: str) -> str:
        areas = {"load": "machine", "spread": "noise", "jax": "backend"}
        return doctor.verdict([doctor.Finding(areas[k], k, "", v) for k, v in advice.items()]).found

    assert found(load="", spread="") == "yes"
    assert found(load="stop", spread="") == "no: load"
    assert found(load="stop", spread="noisy", jax="reinstall") == "no: load, spread; backend jax"


def test_the_doctor_says_what_to_do_about_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os, "getloadavg", lambda: (3.0, 1.0, 1.0))
    assert next(f for f in doctor.machine() if f.what == "load").advice
    monkeypatch.setattr(doctor.os, "getloadavg", lambda: (0.1, 1.0, 1.0))
    assert not next(f for f in doctor.machine() if f.what == "load").advice


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_knows_verbs_problems_and_variants(shell: str) -> None:
    script = called("completion", shell).stdout
    # fish completes options without their dashes.
    for word in ("descend", "cubic_fit", "operator", "matrix_inverse_squared"):
        assert word in script


def test_the_former_name_of_a_verb_runs_it_and_is_shown_nowhere() -> None:
    done = called("tax", "-b", "manual")
    assert (done.returncode, done.stderr) == (2, called("overhead", "-b", "manual").stderr)
    assert "expected one of: jax, numpy, tensorflow, torch" in done.stderr
    texts = (
        parser().format_help(),
        called("nosuch").stderr,
        *(called("completion", s).stdout for s in ("bash", "zsh", "fish", "tcsh")),
    )
    assert [text for text in texts if re.search(r"\btax\b", text)] == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_option_and_fits_80_columns(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    choices: dict[str, Any] = next(a.choices for a in parser()._actions if isinstance(a.choices, dict))
    assert choices[verb].description
    assert [action.dest for action in choices[verb]._actions if not action.help] == []
    shown = choices[verb].format_help()
    assert max(map(len, shown.splitlines())) <= 80
    # An option or a path that is broken at its hyphen cannot be copied.
    whole = "".join(f" {action.help} " for action in choices[verb]._actions) + choices[verb].epilog
    assert {word for word in whole.split() if "-" in word and "%" not in word} <= set(shown.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_and_can_do_without_colours(verb: str) -> None:
    choices: dict[str, Any] = next(a.choices for a in parser()._actions if isinstance(a.choices, dict))
    assert "example: autodiff-compare" in choices[verb].epilog or "source <(autodiff-compare" in choices[verb].epilog
    assert "--no-color" in choices[verb].format_help()
