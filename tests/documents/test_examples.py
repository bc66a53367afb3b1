"""Every Python block of the documents runs: as a program, as tests, as a problem file, or as a backend file.

A block is a file whose first line is its name, ``# mine.py``; it may import the other files of its document. Blocks
that a shown command runs are run by `test_documents`, and those behind ``<!-- run by FILE -->`` by that file of tests.
A block without a name must be a session with ``>>>``.
"""

from __future__ import annotations

import doctest
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from autodiff_compare import problems
from autodiff_compare.backends import load
from tests.documents.shown import DOCUMENTS, ROOT, shown

_PYTHON = re.compile(r"^```(?:python|pycon)\n(.*?)^```", re.M | re.S)
#: A block that needs more than its document, such as input, and the file of tests that runs it.
_ELSEWHERE = re.compile(r"^<!-- run by (\S+) -->\n```python\n# (\S+)\n", re.M)
#: Pages made from docstrings, whose examples the tests of their modules run.
_MADE = "reference"


def _blocks(document: pathlib.Path) -> dict[str, str]:
    """Return the blocks of a document by their names; a session is named by its first line."""
    found = {}
    for text in _PYTHON.findall(document.read_text(encoding="utf-8")):
        first = text.partition("\n")[0]
        found[first.removeprefix("# ") if first.endswith(".py") else first] = text
    return found


def _examples() -> Iterator[tuple[pathlib.Path, str]]:
    """Yield each document with the name of a block that no shown command of it runs."""
    for document in DOCUMENTS:
        run = " ".join(block.command for block in shown(document) if block.compared).replace("./", "")
        elsewhere = {name for _, name in _ELSEWHERE.findall(document.read_text(encoding="utf-8"))}
        for name in () if document.parent.name == _MADE else _blocks(document):
            if name not in run and name not in elsewhere:
                yield document, name


EXAMPLES = list(_examples())


@pytest.mark.parametrize(("document", "name"), EXAMPLES, ids=[f"{d.stem}-{n.partition('.')[0]}" for d, n in EXAMPLES])
def test_it_runs(document: pathlib.Path, name: str, tmp_path: pathlib.Path) -> None:
    blocks = _blocks(document)
    for other, text in blocks.items():
        if other.endswith(".py"):
            (tmp_path / other).write_text(text, encoding="utf-8")
    text, path = blocks[name], tmp_path / name
    if name.startswith(">>>"):
        _session(text, document)
    elif name.startswith("test_"):
        assert "passed" in _run("-m", "pytest", "-q", "-p", "no:cacheprovider", name, cwd=tmp_path)
    elif re.search(r"^(def objective|PROBLEM|OBJECTIVES)\b", text, re.M):
        (problem,) = problems.load(str(path))
        backend = "numpy" if problem.objective else next(iter(problem.native))
        out = _run(str(ROOT / "compare.py"), "check", f"./{name}", "-b", backend, "-o", "value", cwd=tmp_path)
        assert re.search(r"(\d+) of \1 cells agree", out), out
    elif re.search(r"\((NumpyArrays|Backend)\):", text):
        assert load(str(path)).name == path.stem.removesuffix("_backend")
    else:
        _run(name, cwd=tmp_path)


def _session(text: str, document: pathlib.Path) -> None:
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(text, {}, document.name, document.name, 0))
    assert runner.summarize().failed == 0


def _run(*args: str, cwd: pathlib.Path) -> str:
    """Run a command of Python in a folder with the package of this clone; return what it prints."""
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(cwd)}
    done = subprocess.run(
        [sys.executable, *args], cwd=cwd, env=settings, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_block_that_is_run_elsewhere_is_run_there() -> None:
    for document in DOCUMENTS:
        for path, name in _ELSEWHERE.findall(document.read_text(encoding="utf-8")):
            assert f'"{name}"' in (ROOT / path).read_text(encoding="utf-8"), f"{path} does not run {name}"


def test_every_block_has_a_name_or_is_a_session() -> None:
    nameless = [
        f"{document.name}: {name}"
        for document in DOCUMENTS
        for name in _blocks(document)
        if not name.endswith(".py") and not name.startswith(">>>")
    ]
    assert nameless == []
