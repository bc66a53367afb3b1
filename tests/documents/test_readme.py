"""The README's examples are run from its text, and its shown output is not stale."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

from autodiff_compare import problems
from autodiff_compare.contract.clauses import CLAUSES
from autodiff_compare.results import tables
from autodiff_compare.results.tables import read_all
from tests.documents import notebooks

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


YOUR_OWN = (ROOT / "docs" / "your_own.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """The README's Python files, each named in its first line."""
    return _written(README, tmp_path)


def _written(document: str, folder: pathlib.Path) -> pathlib.Path:
    for text in blocks("python", document):
        first = text.splitlines()[0]
        if first.endswith(".py"):
            (folder / first.removeprefix("# ")).write_text(text)
    return folder


def _python(*args: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


def test_own_problem_and_own_backend_run_as_shown(folder: pathlib.Path) -> None:
    shown = {"mine.py", "complex_step_backend.py", "valley.py", "from_python.py"}
    assert {p.name for p in folder.iterdir()} == shown
    command = [sys.executable, str(ROOT / "compare.py"), "run", "./mine.py", "-b", "numpy"]
    done = subprocess.run(
        [*command, "-b", "./complex_step_backend.py", "--rounds", "1", "-o", "all", "--name", "mine"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cells = read_all(folder / "results" / "mine")["cells"]
    by_backend = {name: set(part["status"]) for name, part in cells.groupby("backend")}
    assert by_backend["numpy"] == {"ok"}
    done_by_complex_step = cells[cells["backend"] == "complex_step"].set_index("operator")["status"]
    assert set(done_by_complex_step[["value", "gradient", "jvp", "jacobian"]]) == {"ok"}
    assert set(done_by_complex_step[["hvp", "hessian"]]) == {"unsupported"}


def test_a_function_runs_as_shown_from_a_file_and_from_python(folder: pathlib.Path) -> None:
    done = _python(str(ROOT / "compare.py"), "check", "./valley.py", "-o", "all", "-b", "numpy", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "8 of 8 cells agree" in done.stdout
    done = _python("from_python.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 cells agree" in done.stdout
    assert "for 100 000 calls" in done.stdout
    assert done.stderr == ""


def test_the_shown_backend_breaks_the_clauses_that_are_shown(folder: pathlib.Path) -> None:
    done = _python(str(ROOT / "compare.py"), "conformance", "./complex_step_backend.py", cwd=folder)
    (shown,) = [text for text in blocks("text") if "BROKEN" in text]
    assert done.returncode == 1, done.stderr
    assert _without_errors(shown) in _without_errors(done.stdout)
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert len(broken) == 5, "what has an abs, first derivatives only"


def _without_errors(text: str) -> str:
    """The size of an error differs between NumPy versions, its existence does not."""
    return re.sub(r"error [\d.e-]+, tolerance [\d.e-]+", "", " ".join(text.split()))


def test_your_own_runs_as_shown(tmp_path: pathlib.Path) -> None:
    _written(YOUR_OWN, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"valley.py", "python_use.py", "native.py"}
    assert _python("python_use.py", cwd=tmp_path).returncode == 0
    for name in ("valley", "native"):
        (found,) = problems.load(str(tmp_path / f"{name}.py"))
        assert found.name == name
    assert set(found.native) == {"torch", "jax"}
    shown = next(text for text in blocks("text", YOUR_OWN) if text.startswith("dual: "))
    clauses = {clause.name for clause in CLAUSES}
    assert len([c for c in clauses if c in " ".join(shown.split())]) == len(clauses), (
        "stale: conformance of dual numbers"
    )


def test_the_notebook_runs_from_top_to_bottom() -> None:
    path = ROOT / "docs" / "your_own.ipynb"
    outputs = notebooks.outputs(notebooks.run(path, PYTHONPATH=str(ROOT)))
    shown = notebooks.outputs(notebooks.read(path))
    assert "4 of 4 cells agree" in outputs[0]
    assert outputs[1].count("pass") == shown[1].count("pass") == 2
    assert "1 000 000 calls" in outputs[2]
    assert "Warning" not in "".join(shown)
    assert outputs[3] == shown[3]


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
