"""Files that cannot be planned: they cost their own rows beside others, and end the command where there are none."""

from __future__ import annotations

import pathlib
import signal

import pytest

from autodiff_compare.cli.main import main
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.time_limit import TimeLimitExceeded, time_limit
from autodiff_compare.results.store import RunFolder
from autodiff_compare.vocabulary import Status

GOOD = "def objective(x, xp):\n    return xp.sum(x**3)\nx = [1.0, 2.0]\n"
#: Text of a file -> words of the reason.
BROKEN = {
    "def f(:\n": "SyntaxError",
    "1 / 0\n": "ZeroDivisionError: division by zero",
    "import no_such_module\n": "No module named 'no_such_module'",
    "raise SystemExit('not today')\n": "SystemExit: not today",
    "def objective(x, xp):\n    return xp.sum(x)\n": "got no value for x",
    "def objective(x, xp):\n    return x @ x\nx = [[1.0, 2.0]]\n": "cannot evaluate broken at the given point",
    "def objective(x, xp):\n    return None\nx = [1.0]\n": "expected one array",
    "x = [1.0]\n": "got no problem in",
    "PROBLEMS = (1,)\n": "got no problem in",
    "def objective(x, xp):\n    return xp.sum(x)\nx = [True]\n": "a truth value has no derivative",
}


def written(folder: pathlib.Path, text: str) -> tuple[str, str]:
    """Write a good file and a broken one; return their paths."""
    good, broken = folder / "good.py", folder / "broken.py"
    good.write_text(GOOD)
    broken.write_text(text)
    return str(good), str(broken)


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_cannot_be_planned_has_a_row_for_each_backend(text: str, tmp_path: pathlib.Path) -> None:
    good, broken = written(tmp_path, text)
    made = plan(Query([broken, good], ["numpy", "manual"], ["gradient"]))
    assert [(cell.problem, cell.operator, cell.backend) for cell in made.cells] == [
        (problem, "gradient", backend) for problem in ("good", "broken") for backend in ("numpy", "manual")
    ]
    folder = RunFolder(tmp_path / "out")
    Runner(made, Settings(rounds=0), folder, pool=_Idle()).run()  # type: ignore[arg-type]
    folder.close()
    rows = [row for row in folder.rows["cells"] if row.problem == "broken"]
    assert [row.status for row in rows] == [Status.ERROR] * 2
    for row in rows:
        assert BROKEN[text] in row.message
        assert "ProblemError" not in row.message


class _Idle:
    """A pool without backends: every request fails, as the good file is not of interest here."""

    threads: dict[str, float]
    shares = ()

    def request(self, spec: str, *_: object, **__: object) -> None:
        raise WorkerError(Status.NOT_INSTALLED, spec)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("given", "cells"),
    [
        ({}, {("small", "float64", "value")}),
        ({"operators": ["hvp", "jvp"]}, {("small", "float64", "hvp"), ("small", "float64", "jvp")}),
        ({"dtypes": ["float32", "float64"]}, {("small", "float32", "value"), ("small", "float64", "value")}),
        ({"sizes": ["medium"]}, {("medium", "float64", "value")}),
        ({"sizes": ["med*"]}, {("medium", "float64", "value")}),
    ],
)
def test_its_rows_are_those_that_the_query_asks_for(
    given: dict[str, list[str]], cells: set[tuple[str, str, str]], tmp_path: pathlib.Path
) -> None:
    _, broken = written(tmp_path, "def f(:\n")
    made = plan(Query(["sphere", broken], ["numpy"], **given))  # type: ignore[arg-type]
    assert {(c.size, c.dtype, str(c.operator)) for c in made.cells if c.problem == "broken"} == cells
    assert any(c.problem == "sphere" for c in made.cells)


def test_functions_of_single_frameworks_still_decide_the_backends(tmp_path: pathlib.Path) -> None:
    good, broken = written(tmp_path, "def f(:\n")
    pathlib.Path(good).write_text("OBJECTIVES = {'numpy': lambda x: (x * x).sum()}\nx = [1.0, 2.0]\nINPUTS = (x,)\n")
    assert plan(Query([good, broken])).specs == ("numpy",)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["broken.py"], "SyntaxError"),
        (["broken.py", "also.py"], "also.py"),
        (["good.py", "nosuch.py"], "expected an existing .py file"),
        (["good.py", "nosuch"], "got problem 'nosuch'"),
        (["good.py", "folder/good.py"], "got two problems named 'good'"),
    ],
)
def test_the_command_is_refused_where_nothing_can_be_planned_or_a_name_is_wrong(
    names: list[str], words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "def f(:\n")
    (tmp_path / "also.py").write_text("def g(:\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "good.py").write_text("def g(:\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlanError) as caught:
        plan(Query(names, ["numpy"]))
    assert words in str(caught.value)


def test_a_single_broken_file_ends_the_command_with_the_usage_code(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, broken = written(tmp_path, "def f(:\n")
    assert main(["check", broken, "--out", str(tmp_path / "out")]) == 2
    assert "SyntaxError" in capsys.readouterr().err


@pytest.mark.parametrize(
    "source",
    [
        "def objective(x, xp):\n    while True:\n        pass\n",
        "while True:\n    pass\n",
    ],
)
def test_the_first_evaluation_has_the_time_limit_of_a_cell(source: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "endless.py"
    path.write_text(f"import numpy as np\nx = np.ones(3)\n{source}")
    with pytest.raises(PlanError, match=r"no value of .*endless.py in plain NumPy within 0.5 s: .* --timeout"):
        plan(Query([str(path)], ["manual"], timeout_s=0.5))


def test_the_time_limit_holds_after_an_exception_that_python_dropped() -> None:
    """A signal may arrive in a destructor, where Python prints the exception and goes on."""
    ended = []

    def work() -> None:
        try:
            while True:
                pass
        except TimeLimitExceeded:
            ended.append("dropped")
        while True:
            pass

    with pytest.raises(TimeLimitExceeded), time_limit(0.05):
        work()
    assert ended == ["dropped"]


def test_a_time_limit_that_is_over_as_its_block_ends_leaves_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next signal would end other code."""
    set_timer, before = signal.setitimer, signal.getsignal(signal.SIGALRM)

    def late(which: int, seconds: float, interval: float = 0.0) -> tuple[float, float]:
        if not seconds:
            signal.raise_signal(signal.SIGALRM)
        return set_timer(which, seconds, interval)

    monkeypatch.setattr(signal, "setitimer", late)
    with time_limit(600.0):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before
