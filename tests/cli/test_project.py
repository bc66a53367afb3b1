"""Options from ``[tool.autodiff-compare]`` of a project's ``pyproject.toml``."""

from __future__ import annotations

import pathlib

import pytest

from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.main import main
from autodiff_compare.cli.project.settings import ProjectError, find
from autodiff_compare.cli.project.words import completed
from autodiff_compare.results.tables import read_all

SETTINGS = """
[project]
name = "mine"

[tool.autodiff-compare]
problems = ["loss/*.py", "sphere"]
backend = ["numpy", "own/backend.py:fast", "torch@.venv/bin/python"]
operator = "gradient"
seed = 7
out = "derivatives"
env = ["PATHS=a:b@c/d"]
traceback = true
no-color = false

[tool.autodiff-compare.run]
rounds = 31
operator = ["gradient", "hvp"]

[tool.autodiff-compare.diff]
threshold = 5.5
"""


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A project with settings, two problem files and a folder ``deep``; its root is the current folder."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (tmp_path / "loss").mkdir()
    for name in ("b", "a"):
        (tmp_path / "loss" / f"{name}.py").write_text(
            "def objective(x, xp):\n    return xp.sum(x * x)\n\n\nx = [1.0]\n"
        )
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(*given: str) -> list[str]:
    return completed(given, parser)[0]


EVERY = [
    *("--backend=numpy", "--backend=own/backend.py:fast", "--backend=torch@.venv/bin/python"),
    *("--operator=gradient", "--seed=7", "--out=derivatives", "--env=PATHS=a:b@c/d", "--traceback"),
]
RUN = [*EVERY[:3], "--operator=gradient", "--operator=hvp", *EVERY[4:]]
FILES = ["loss/a.py", "loss/b.py", "sphere"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # The settings of every verb, then those of this one, which come before them.
        (["check"], ["check", *EVERY, *FILES]),
        (
            ["run", "--dtype", "float32"],
            ["run", *RUN, "--rounds=31", "--dtype", "float32", *FILES],
        ),
        (["diff", "a", "b"], ["diff", "--out=derivatives", "--threshold=5.5", "a", "b"]),
        # What is given comes first: an option, one that excludes it, problems, a suite in their place.
        (["check", "-b", "jax", "--out=x"], ["check", *EVERY[3:5], *EVERY[6:], "-b", "jax", "--out=x", *FILES]),
        (
            ["run", "--quick"],
            ["run", *RUN, "--quick", *FILES],
        ),
        (["check", "hello"], ["check", *EVERY, "hello"]),
        (["check", "--suite", "engine"], ["check", *EVERY, "--suite", "engine"]),
        # A recorded run says all by itself; lists and new files are about the program.
        (["run", "--resume", "RUN"], ["run", "--resume", "RUN"]),
        (["run", "--resume=RUN"], ["run", "--resume=RUN"]),
        (["check", "--no-config"], ["check", "--no-config"]),
        (["check", "--help"], ["check", "--help"]),
        (["list"], ["list"]),
        (["--version"], ["--version"]),
        (["nosuch"], ["nosuch"]),
        ([], []),
    ],
)
def test_settings_become_words(project: pathlib.Path, given: list[str], expected: list[str]) -> None:
    assert words(*given) == expected


def test_paths_are_those_of_the_file(project: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "deep")
    found, sentence = completed(["check"], parser)
    assert found[2:4] == ["--backend=../own/backend.py:fast", "--backend=torch@../.venv/bin/python"]
    assert "--out=../derivatives" in found
    assert found[-3:] == ["../loss/a.py", "../loss/b.py", "sphere"]
    assert sentence.startswith(f"{project / 'pyproject.toml'} adds: --backend=numpy ")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("backends = ['numpy']", r"got key 'backends' in \[tool.autodiff-compare\] of .*, did you mean 'backend'\?"),
        ("xyzzy = 1", r"got key 'xyzzy' .* expected one of: .*backend"),
        ("resume = 'x'", r"got key 'resume'"),
        ("[tool.autodiff-compare.cheque]\nseed = 1", r"got table 'cheque' in \[tool.autodiff-compare\] .*: check, "),
        ("[tool.autodiff-compare.list]\nsuite = 'x'", r"got table 'list'"),
        ("[tool.autodiff-compare.check]\nrounds = 3", r"got key 'rounds' in \[tool.autodiff-compare.check\]"),
        ("traceback = 'yes'", r"got traceback = 'yes' in .*, expected true or false"),
        ("seed = [1, 2]", r"got 2 values for seed in .*, expected one: it cannot be repeated"),
        ("seed = true", r"got seed = True in .*, expected a text, a number or a list of them"),
        ("operator = [[1]]", r"got operator = \[\[1\]\]"),
        ("problems = ['none/*.py']", r"got 'none/\*.py' in .*, expected a pattern of existing files"),
        ("seed = ", r"cannot read .*pyproject.toml: Invalid value"),
    ],
)
def test_a_mistake_names_the_file_and_what_is_right(
    project: pathlib.Path, table: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(f"[tool.autodiff-compare]\n{table}\n")
    with pytest.raises(ProjectError, match=message):
        words("check")
    assert main(["check"]) == 2
    assert str(project / "pyproject.toml") in capsys.readouterr().err


def test_a_table_that_is_none_is_refused(project: pathlib.Path) -> None:
    (project / "pyproject.toml").write_text("[tool]\nautodiff-compare = 3\n")
    with pytest.raises(ProjectError, match=r"got autodiff-compare = 3 .*, expected a table \[tool.autodiff-compare\]"):
        words("check")


def test_a_value_is_checked_as_on_the_command_line(project: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text("[tool.autodiff-compare]\ntimeout = -1\n")
    with pytest.raises(SystemExit):
        main(["check", "sphere"])
    assert "argument --timeout: got '-1', expected a positive number of seconds" in capsys.readouterr().err


def test_the_search_ends_at_the_root_of_the_repository(project: pathlib.Path) -> None:
    inner = project / "inner"
    (inner / "package").mkdir(parents=True)
    # A file of a part of the project without the table does not hide that of the whole.
    (inner / "package" / "pyproject.toml").write_text("[project]\nname = 'part'\n")
    found = find(inner / "package")
    assert found is not None
    assert found.file == project / "pyproject.toml"
    (inner / ".git").write_text("gitdir: elsewhere\n")
    assert find(inner / "package") is None


def test_a_broken_file_of_another_project_is_no_matter(project: pathlib.Path) -> None:
    (project / "pyproject.toml").write_text("[tool.other\n")
    assert words("check") == ["check"]


def test_a_run_records_the_settings_and_tells_of_them(
    project: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "problems = 'loss/a.py'\nbackend = 'numpy'\noperator = 'gradient'\nout = 'derivatives'\n"
    (project / "pyproject.toml").write_text(f"[tool.autodiff-compare]\n{table}")
    assert main(["check"]) == 0
    err = capsys.readouterr().err
    options = "--backend=numpy --operator=gradient --out=derivatives"
    assert f"pyproject.toml adds: {options} loss/a.py (--no-config leaves this out)" in " ".join(err.split())
    (folder,) = (project / "derivatives").iterdir()
    found = read_all(folder, ["runs", "cells"])
    assert found["runs"]["command"].iloc[0] == f"compare.py check {options} loss/a.py"
    assert list(found["cells"]["problem"]) == ["a"]
