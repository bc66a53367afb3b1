"""Where runs are written and how they are found: by path, name, id, and as the latest ones."""

from __future__ import annotations

import os
import pathlib

import pytest

from autodiff_compare.results import places
from autodiff_compare.results.places import NameTaken, data_folder, folder_of_new, found, locate, shown
from autodiff_compare.results.tables import TableError


def _run(folder: pathlib.Path, started: str) -> pathlib.Path:
    """Make a folder that holds what tells a run from another folder."""
    folder.mkdir(parents=True)
    (folder / "runs.csv").write_text(f"run_id,started_utc,command\n{folder.name},{started},compare.py run\n")
    return folder


@pytest.fixture
def runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Three runs: a named one here, and two in the data folder; beside them what is no run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    _run(tmp_path / "results" / "before", "2026-11-30T09:00:00+00:00")
    _run(data_folder() / "20261130T080000-aaaa", "2026-11-30T08:00:00+00:00")
    _run(data_folder() / "20261130T100000-bbbb", "2026-11-30T10:00:00+00:00")
    (tmp_path / "results" / "notes").mkdir()
    (data_folder() / "README").write_text("no run")
    return tmp_path


def test_runs_of_all_places_are_ordered_by_their_start(runs: pathlib.Path) -> None:
    assert [path.name for path in found()] == ["20261130T100000-bbbb", "before", "20261130T080000-aaaa"]
    assert [path.name for path in found(runs / "results")] == ["before"]


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("latest", "20261130T100000-bbbb"),
        ("latest~0", "20261130T100000-bbbb"),
        ("latest~1", "before"),
        ("latest~2", "20261130T080000-aaaa"),
        ("before", "before"),
        ("results/before", "before"),
        ("20261130T080000-aaaa", "20261130T080000-aaaa"),
    ],
)
def test_a_run_is_found_by_path_by_name_by_id_and_by_its_age(runs: pathlib.Path, run: str, name: str) -> None:
    assert locate(run).name == name


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("befor", "did you mean before"),
        ("nosuch", "expected a run's folder, or the id or name of one under 'results' or "),
        ("results", "got folder 'results' without runs.csv or log.jsonl, expected a run's folder"),
        ("latest~3", r"got latest~3, expected one of the runs in results and .*: 3 runs"),
    ],
)
def test_a_run_that_is_not_there_is_refused_with_what_is(runs: pathlib.Path, run: str, words: str) -> None:
    with pytest.raises(TableError, match=words):
        locate(run)


def test_runs_of_one_second_are_ordered_by_their_tables(tmp_path: pathlib.Path) -> None:
    for name, age in (("b", 1), ("a", 2), ("c", 3)):
        folder = _run(tmp_path / name, "2026-11-30T08:00:00+00:00")
        os.utime(folder / "runs.csv", (age, age))
    assert [path.name for path in found(tmp_path)] == ["c", "a", "b"]


def test_a_run_is_written_here_only_if_it_is_asked_for(runs: pathlib.Path) -> None:
    assert folder_of_new(None) == runs / "data" / "autodiff-compare" / "runs"
    assert folder_of_new(None, "after") == pathlib.Path("results")
    assert folder_of_new(pathlib.Path("elsewhere"), "after") == pathlib.Path("elsewhere")


@pytest.mark.parametrize("name", ["before", "latest", "latest~1", "a/b", "..", "-x", "a b", "\x1b[31m"])
def test_a_name_that_is_taken_or_no_name_is_refused(runs: pathlib.Path, name: str) -> None:
    with pytest.raises(NameTaken, match="expected "):
        folder_of_new(None, name)


def test_damaged_tables_are_no_runs(tmp_path: pathlib.Path) -> None:
    for name, content in (("binary", b"\xff\xfe"), ("empty", b""), ("other", b"a,b\n1,2\n"), ("quoted", b'"')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "runs.csv").write_bytes(content)
    assert found(tmp_path) == []


def test_a_path_in_the_home_is_shown_as_a_shell_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places.pathlib.Path, "home", lambda: pathlib.Path("/home/me"))
    assert shown(pathlib.Path("/home/me/runs/a")) == "~/runs/a"
    assert shown(pathlib.Path("results/a")) == "results/a"
    assert shown(pathlib.Path("/tmp/a")) == "/tmp/a"
