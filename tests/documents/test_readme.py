"""Longer examples of the documents: their files together, the shown answers of the contract, the notebook."""

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
README, OWN_PROBLEM, OWN_BACKEND, YOUR_OWN = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/own_problem.md", "docs/own_backend.md", "docs/your_own.md")
)


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """The files of the README, and of the pages on problems and backends, each named in its first line."""
    for document in (README, OWN_PROBLEM, OWN_BACKEND):
        _written(document, tmp_path)
    return tmp_path


def _written(document: str, folder: pathlib.Path) -> pathlib.Path:
    for text in blocks("python", document):
        first = text.splitlines()[0]
        if first.endswith(".py"):
            (folder / first.removeprefix("# ")).write_text(text)
    return folder


def _python(*args: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


def test_own_problem_and_own_backend_run_as_shown(folder: pathlib.Path) -> None:
    assert {p.name for p in folder.iterdir()} == {"growth.py", "test_growth.py", "mine.py", "complex_step_backend.py"}
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


def test_the_first_function_is_right(folder: pathlib.Path) -> None:
    done = _python(str(ROOT / "compare.py"), "check", "./growth.py", "-b", "numpy", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"(\d+) of \1 cells agree", done.stdout)


def test_the_shown_backend_breaks_the_clauses_that_are_shown(folder: pathlib.Path) -> None:
    done = _python(str(ROOT / "compare.py"), "conformance", "./complex_step_backend.py", cwd=folder)
    (shown,) = [text for text in blocks("text", OWN_BACKEND) if "BROKEN" in text]
    assert done.returncode == 1, done.stderr
    assert _without_errors(shown) in _without_errors(done.stdout)
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert len(broken) == 5, "what has an abs, first derivatives only"


def _without_errors(text: str) -> str:
    """The size of an error differs between NumPy versions, its existence does not."""
    return re.sub(r"error [\d.e-]+, tolerance [\d.e-]+", "", " ".join(text.split()))


def test_your_own_runs_as_shown(tmp_path: pathlib.Path) -> None:
    _written(YOUR_OWN, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"valley.py", "python_use.py", "native.py", "ridge.py"}
    assert _python("python_use.py", cwd=tmp_path).returncode == 0
    for name in ("valley", "native"):
        (found,) = problems.load(str(tmp_path / f"{name}.py"))
        assert found.name == name
    assert set(found.native) == {"torch", "jax"}


def test_the_shown_answer_of_the_contract_has_every_clause() -> None:
    shown = next(text for text in blocks("text", OWN_BACKEND) if text.startswith("dual: "))
    clauses = {clause.name for clause in CLAUSES}
    assert {c for c in clauses if c not in " ".join(shown.split())} == set(), "stale: conformance of dual numbers"


def test_the_notebook_runs_from_top_to_bottom() -> None:
    path = ROOT / "docs" / "your_own.ipynb"
    outputs = notebooks.outputs(notebooks.run(path, PYTHONPATH=str(ROOT)))
    shown = notebooks.outputs(notebooks.read(path))
    assert "4 of 4 cells agree" in outputs[0]
    assert outputs[1].count("pass") == shown[1].count("pass") == 2
    assert "1 000 000 calls" in outputs[2]
    assert "Warning" not in "".join(shown)
    assert outputs[3] == shown[3]
    assert "PictureAxes" in outputs[4]
    assert "Take numpy" in outputs[5]
    assert outputs[6] == shown[6]


def test_the_schema_document_is_that_of_the_code() -> None:
    assert (ROOT / "results" / "README.md").read_text(encoding="utf-8") == tables.schema_markdown()
