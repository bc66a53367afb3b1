"""The README's examples are run from its text, and its shown output is not stale."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

from harness import tables
from harness.tables import read_all

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """The README's Python files, each named in its first line."""
    for text in blocks("python"):
        first = text.splitlines()[0]
        if first.endswith(".py"):
            (tmp_path / first.removeprefix("# ")).write_text(text)
    return tmp_path


def test_own_problem_and_own_backend_run_as_shown(folder: pathlib.Path) -> None:
    assert {p.name for p in folder.iterdir()} == {"mine.py", "complex_step_backend.py"}
    command = [sys.executable, str(ROOT / "compare.py"), "run", "./mine.py", "-b", "numpy"]
    done = subprocess.run(
        [*command, "-b", "./complex_step_backend.py", "--rounds", "1"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (folder / "results").iterdir()
    cells = read_all(run)["cells"]
    by_backend = {name: set(part["status"]) for name, part in cells.groupby("backend")}
    assert by_backend["numpy"] == {"ok"}
    done_by_complex_step = cells[cells["backend"] == "complex_step"].set_index("operator")["status"]
    assert set(done_by_complex_step[["value", "gradient", "jvp", "jacobian"]]) == {"ok"}
    assert set(done_by_complex_step[["hvp", "hessian"]]) == {"unsupported"}


def test_python_use_runs_as_shown(folder: pathlib.Path) -> None:
    (shown,) = [text for text in blocks("python") if ">>>" in text]
    import doctest

    test = doctest.DocTestParser().get_doctest(shown, {}, "README", "README.md", 0)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert (runner.summarize().failed, test.examples != []) == (0, True)


def test_the_commands_shown_exist() -> None:
    for line in "".join(blocks("sh")).splitlines():
        words = line.partition("#")[0].split()
        if words and words[0] == "make":
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        elif "compare.py" in words:
            done = subprocess.run(
                [sys.executable, "compare.py", words[words.index("compare.py") + 1], "--help"],
                cwd=ROOT,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, line


def test_the_schema_document_is_that_of_the_code() -> None:
    assert (ROOT / "results" / "README.md").read_text(encoding="utf-8") == tables.schema_markdown()
