"""The files that ``new`` writes work as they stand, on the command that it prints."""

from __future__ import annotations

import json
import pathlib

import pytest

from autodiff_compare.cli.main import main
from tests.commands import called


@pytest.mark.parametrize(
    ("kind", "file", "command"),
    [
        ("function", "mine.py", ["check", "./mine.py", "-b", "numpy", "--json"]),
        ("problem", "mine.py", ["check", "./mine.py", "-b", "numpy", "--dtype", "float32", "--json"]),
        ("backend", "mine_backend.py", ["conformance", "./mine_backend.py"]),
    ],
)
def test_a_new_file_passes(
    kind: str,
    file: str,
    command: list[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", kind, "mine"]) == 0
    assert f"Wrote {file}. Try it: compare.py " in capsys.readouterr().out
    assert "NAME" not in (tmp_path / file).read_text()
    done = called(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    if kind == "backend":
        assert "BROKEN" not in done.stdout
        assert "kept   gradient (derived)" in done.stdout
    else:
        assert {row["status"] for row in json.loads(done.stdout)["rows"]} == {"ok"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["function", "my-model"], "got the name 'my-model', expected letters, digits and underscores"),
        (["function", "class"], "got the name 'class'"),
        (["function", "numpy"], "got the name 'numpy', a module of Python or an installed package, which numpy.py"),
        (["problem", "types"], "which types.py would hide, expected another, such as my_types"),
        (["function", "autodiff_compare"], "which autodiff_compare.py would hide"),
        (["backend", "jax"], "got the name 'jax', which is a backend of this project"),
        (["backend", "there"], "got there_backend.py, which is there already, expected a new name"),
    ],
)
def test_a_mistake_writes_nothing(
    words: list[str],
    told: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there_backend.py").write_text("kept")
    assert main(["new", *words]) == 2
    assert told in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
