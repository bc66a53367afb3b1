"""The verb ``explain``, and ``diff --explain``, as a user meets them: a file of their own, a backend of their own."""

from __future__ import annotations

import json
import pathlib
import shlex
import subprocess
import sys
from collections.abc import Callable

import jsonschema
import pytest

from autodiff_compare.cli.formats import document
from autodiff_compare.cli.formats.fields import ROWS
from autodiff_compare.cli.main import main
from autodiff_compare.cli.regressions import Files, Regression, explained
from autodiff_compare.plan.plan import PlanError
from autodiff_compare.plan.settings import Settings

PROBLEM = """
def objective(x, y, xp):
    h = xp.tanh(x * y)
    return xp.sum(xp.exp(-h) * xp.sin(x))

x = [1.0, 2.0, 0.5]
y = [0.3, 0.2, 0.9]
"""
BACKEND = """
from types import SimpleNamespace

from autodiff_compare.backends import load
from autodiff_compare.backends.interface import NumpyArrays
from autodiff_compare.vocabulary import Operator


class Mine(NumpyArrays):
    name = "mine"
    native = frozenset({Operator.VALUE, Operator.GRADIENT})

    def open(self):
        self.engine = load("numpy")
        self.engine.open()
        own, stop = self.engine.xp, self.engine._engine.stop_gradient
        self.xp = SimpleNamespace(**{name: getattr(own, name) for name in dir(own) if not name.startswith("_")})
        self.xp.tanh = lambda x: stop(own.tanh(x)) + FACTOR * (own.tanh(x) - stop(own.tanh(x)))

    def _native(self, request):
        return self.engine._native(request)
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs a command in this process beside a problem file and a backend file."""
    (tmp_path / "problem.py").write_text(PROBLEM)
    (tmp_path / "random.py").write_text(PROBLEM.replace("xp.tanh(", "__import__('numpy').random.rand() + xp.tanh("))
    (tmp_path / "right.py").write_text(BACKEND.replace("FACTOR", "1.0"))
    (tmp_path / "wrong.py").write_text(BACKEND.replace("FACTOR", "1.5"))

    def run(words: str) -> tuple[int, str, str]:
        code = main(shlex.split(words.replace("@/", f"{tmp_path}/")))
        return code, *capsys.readouterr()

    return run


def test_the_line_of_a_wrong_rule_is_named(command: Command) -> None:
    code, out, _ = command("explain @/problem.py numpy @/wrong.py")
    assert code == 1
    shown = " ".join(out.split())
    assert "numpy and mine part: gradient of problem, small, float64." in shown
    assert "The values of all operations agree within rounding. The cotangents part at operation 2 of 7:" in shown
    assert "problem.py:3 h = xp.tanh(x * y)" in shown
    assert "the cotangent that xp.tanh passes back to `x * y`" in shown
    assert out.rstrip().endswith("mine is wrong in xp.tanh.")


def test_backends_that_agree_are_not_told_apart(command: Command) -> None:
    code, out, _ = command("explain @/problem.py numpy @/right.py")
    assert (code, out) == (0, "numpy and mine agree within rounding: gradient of problem, small, float64.\n")


def test_json_has_the_line_and_the_numbers(command: Command) -> None:
    code, out, _ = command("explain @/problem.py numpy @/wrong.py --json")
    printed = json.loads(out)
    jsonschema.validate(printed, document.schema())
    (found,) = printed["rows"]
    assert code == 1
    assert list(found) == list(ROWS["explanation"])
    assert (found["stage"], found["operation"], found["line"]) == ("cotangents", "xp.tanh", 3)
    assert found["number_b"] == pytest.approx(1.5 * found["number_a"])
    assert (found["alone_a"], found["alone_b"]) == ("right", "wrong")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("explain hello numpy numpy", 2, "got numpy twice, expected two backends"),
        ("explain hello numpy nosuch", 2, "got backend 'nosuch', expected one of"),
        ("explain hello numpy numpy:compiled -o step", 2, "got operator step, expected one that can be explained"),
        ("explain saddle numpy numpy:compiled", 2, "got problem 'saddle'"),
        ("explain hello numpy numpy:fr -o gradient", 2, "numpy:fr (it computes only hvp, hessian, "),
        ("explain hello numpy @/nosuch.py", 2, "expected an existing .py file"),
        ("explain @/problem.py numpy @/wrong.py -o hessian", 3, "no hessian to compare: mine: unsupported"),
        ("explain @/random.py numpy @/right.py", 3, "numpy gives other numbers at a second call"),
    ],
)
def test_what_cannot_be_explained_is_one_clear_line(command: Command, words: str, code: int, message: str) -> None:
    got, out, err = command(words)
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


# ---- diff --explain


def test_a_cell_that_became_wrong_is_explained(tmp_path: pathlib.Path, command: Command) -> None:
    del command
    files = Files([str(tmp_path / "problem.py"), str(tmp_path / "wrong.py")])
    axes = {"problem": "problem", "size": "small", "dtype": "float64", "operator": "gradient", "backend": "mine"}
    lines = list(explained([Regression("the cell", axes, ["numpy"])], files, Settings(rounds=0), 0))
    assert lines[1] == "the cell:"
    assert lines[-1] == "mine is wrong in xp.tanh."


def test_no_file_is_executed_that_is_not_named(tmp_path: pathlib.Path, command: Command) -> None:
    del command
    axes = {"problem": "hello", "size": "small", "dtype": "float64", "operator": "gradient", "backend": "mine"}
    lines = list(explained([Regression("the cell", axes, ["numpy"])], Files([]), Settings(rounds=0), 0))
    assert (
        lines[-1] == "  not explained: the file or Python of mine is executed only if it is named: --explain-file FILE"
    )
    (tmp_path / "neither.py").write_text("x = 1\n")
    with pytest.raises(PlanError, match=r"neither\.py, expected a problem file or a backend file"):
        Files([str(tmp_path / "neither.py")])


def test_diff_explains_the_change_between_two_runs(tmp_path: pathlib.Path) -> None:
    (tmp_path / "problem.py").write_text(PROBLEM)
    runs = []
    for factor in ("1.0", "1.5"):
        (tmp_path / "mine.py").write_text(BACKEND.replace("FACTOR", factor))
        runs += [f"by-{factor}"]
        _compare(tmp_path, f"check ./problem.py -b numpy -b ./mine.py -o gradient --name {runs[-1]}")
    done = _compare(tmp_path, f"diff {' '.join(runs)} --explain --explain-file problem.py --explain-file mine.py")
    assert done.returncode == 1, done.stderr
    assert done.stdout.rstrip().endswith("mine is wrong in xp.tanh.")
    refused = _compare(tmp_path, f"diff {' '.join(runs)} --explain --json")
    assert refused.returncode == 2
    assert "explanations are text" in refused.stderr


def _compare(folder: pathlib.Path, words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autodiff_compare", *shlex.split(words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
