"""The history of cells over many runs: where their times changed, on one machine, and what changed with them."""

from __future__ import annotations

import csv
import io
import pathlib
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import pytest

from autodiff_compare.cli.main import main
from autodiff_compare.cli.verbs.runs import history
from autodiff_compare.cli.verbs.runs.diff import End
from autodiff_compare.cli.verbs.runs.history import Past, Series, series
from autodiff_compare.timing.statistics import Round
from tests.cli.test_diff import RUN, of, side, times, written


def _past(*factors: float, **given: Any) -> list[Past]:
    """Runs a day apart in which the cell x takes so many microseconds."""
    return [_one(k, rounds=times(factor), **given) for k, factor in enumerate(factors)]


def _one(k: int, status: str = "ok", **given: Any) -> Past:
    found = side(status, **given)
    return Past(f"run-{k}", replace(found.run, started_utc=f"2026-11-{k + 1:02}T10:00:00+00:00"), found)


def _only(past: list[Past]) -> Series:
    (found,) = series(past, [], 0.1)
    return found


def test_a_step_is_found_at_its_run_with_its_ratio() -> None:
    found = _only(_past(1, 1, 1.02, 1.4, 1.4))
    assert [(c.run, round(c.ratio, 2)) for c in found.changes] == [("run-3", 1.4)]
    assert found.medians() == pytest.approx([1e-6, 1.4e-6])


@pytest.mark.parametrize("factors", [(1,), (1, 1), (1, 1.05, 0.97, 1.04)])
def test_what_diff_would_not_claim_is_no_change(factors: tuple[float, ...]) -> None:
    assert _only(_past(*factors)).changes == ()


def test_what_changed_with_the_time_is_named() -> None:
    before, after = _past(1, 1), _past(1.5, versions='{"numpy": "2.5"}', code="other")
    (change,) = _only([*before, replace(after[0], name="run-2")]).changes
    assert change.cause == "numpy 2.4 and 2.5; code"


def test_runs_that_are_wrong_busy_or_elsewhere_do_not_count() -> None:
    past = [
        *_past(1, 1),
        _one(2, "wrong", rounds=times(3)),
        _one(3, rounds=times(3), flags="contended"),
        _one(4, rounds=times(3), quiet=False),
        _one(4, rounds=times(3), flags="noisy threads"),
        _one(5, rounds=times(3), cpu_model="another"),
        _one(6, rounds=times(1)),
    ]
    found = _only(past)
    assert found.runs == ("run-0", "run-1", "run-6")
    assert found.changes == ()


def test_cells_are_chosen_by_words() -> None:
    past = [_one(0, cells="xy")]
    assert [s.cell_id for s in series(past, ["x"], 0.1)] == ["x"]
    assert series(past, ["z"], 0.1) == []


@pytest.fixture
def runs(tmp_path: pathlib.Path) -> pathlib.Path:
    """Six stored runs: the cell numpy takes a microsecond, then two; the cell jax stays as it is."""
    for k in range(6):
        run = replace(RUN, started_utc=f"2026-11-{k + 1:02}T10:00:00+00:00")
        cells = {name: End("ok", "", "float64") for name in ("numpy", "jax")}
        rounds = {"numpy": times(2 if k >= 3 else 1), "jax": times(1)}
        made = of(run, cells, {name: [Round(s, True) for s in values] for name, values in rounds.items()})
        written(tmp_path, made).rename(tmp_path / f"run-{k}")
    return tmp_path


def test_the_verb_prints_what_changed_and_draws_it(
    runs: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "history.svg"
    assert main(["history", "--out", str(runs), "--svg", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "Cells whose time changed: 1 of 2" in shown
    assert "from run-3: 1 us -> 2 us, 2x" in shown
    assert "jax" in shown.partition("Cells without a change: 1 of 2")[2]
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_other_programs_get_a_record_for_each_run(runs: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "numpy", "--out", str(runs), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["run"], row["level"]) for row in rows] == [(f"run-{k}", str(1 + (k >= 3))) for k in range(6)]


@pytest.mark.parametrize(
    ("status", "flags", "words", "said"),
    [
        (
            "ok",
            "noisy contended",
            [],
            "got no time that is that of the cell alone in 1 timed run: each is flagged (contend",
        ),
        ("ok", "noisy", [], "none has 8 rounds on a quiet CPU; repeat a run on an idle machine"),
        ("wrong", "", [], "got no cell that is right and timed in 1 timed run"),
        ("ok", "", ["hvp"], "got no cell with hvp in its name in 1 timed run, expected a part of a name"),
    ],
)
def test_no_history_says_whether_the_name_the_result_or_the_time_lacks(
    status: str,
    flags: str,
    words: list[str],
    said: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    past = [_one(0, status, rounds=times(1), flags=flags, quiet=False)]
    monkeypatch.setattr(history, "_read", lambda out, last: (past, 0))
    assert main(["history", *words, "--out", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_no_timed_run_is_one_clear_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--out", str(tmp_path)]) == 2
    assert "got no run that was timed" in capsys.readouterr().err
