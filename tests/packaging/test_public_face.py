"""What ``import autodiff_compare`` gives: its names, their documentation and types, and what it loads."""

from __future__ import annotations

import inspect
import pathlib
import sys

import pytest

import autodiff_compare
from tests.packaging import builds

pytestmark = pytest.mark.xdist_group("packaging")

#: A user's file: every line with an ignored error would be reported if the error were missing.
TYPED = """
import pathlib
from typing import assert_type

import pandas as pd
from matplotlib.axes import Axes

from autodiff_compare import Inputs, Operator, Problem, Tables, compare, read
from autodiff_compare.testing import assert_gradients


def f(x, xp):  # type: ignore[no-untyped-def]
    return xp.sum(x * x)


def drawn(size: int, seed: int) -> Inputs:
    return Inputs(differentiated=())


tables = compare(f, [1.0, 2.0], rounds=0)
assert_type(tables, Tables)
assert_type(tables.cells, pd.DataFrame)
assert_type(tables["timings"], pd.DataFrame)
assert_type(tables.tidy(), pd.DataFrame)
assert_type(tables.recommend(calls=1000).best, str)
assert_type(tables.recommend(calls=1000).sure, bool)
assert_type(tables.plot.scaling("setup"), Axes)
assert_type(tables.report("report.html"), pathlib.Path)
assert_type(read("results/sample"), Tables)
tables.nosuch  # type: ignore[attr-defined]
compare("rosenbrock", n=[10, 100])
compare(f, lambda n, rng: rng.normal(size=n), n="10:1e6:log7")
operator: Operator = Operator.GRADIENT
problem: Problem
compare(3, [1.0])  # type: ignore[arg-type]
compare(f, [1.0], rounds="many")  # type: ignore[arg-type]
assert_gradients(f, [1.0])  # type: ignore[call-arg]
"""


def test_importing_it_loads_no_array_library_and_takes_a_moment(
    installed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    code = (
        "import sys, time; start = time.process_time(); import autodiff_compare; "
        "print(time.process_time() - start, *{name.partition('.')[0] for name in sys.modules})"
    )
    seconds, *loaded = builds.printed(installed, "-c", code, cwd=tmp_path).split()
    print(f"import autodiff_compare: {float(seconds):.3f} s of CPU")
    assert {"numpy", "pandas", "rich", "scipy", "torch", "tensorflow", "jax"} & set(loaded) == set()


def test_a_star_import_gives_the_public_names() -> None:
    given: dict[str, object] = {}
    exec("from autodiff_compare import *", given)
    assert set(given) - {"__builtins__"} == set(autodiff_compare.__all__)


def test_help_and_signatures_are_those_of_the_functions(capsys: pytest.CaptureFixture[str]) -> None:
    parameters = inspect.signature(autodiff_compare.compare).parameters
    assert list(parameters)[:2] == ["f", "x"]
    assert {"at", "n", "backends"} <= set(parameters)
    help(autodiff_compare.compare)
    assert "Compute the derivatives of a function on several backends" in capsys.readouterr().out
    help(autodiff_compare)
    shown = capsys.readouterr().out
    assert "autodiff_compare" in shown
    assert autodiff_compare.__version__ in shown
    assert set(autodiff_compare.__all__) <= set(dir(autodiff_compare))


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'comapre', expected one of: .*compare"):
        autodiff_compare.comapre  # noqa: B018


def test_mypy_sees_the_types_of_the_installed_package(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("mypy", reason="mypy belongs to the extra dev")
    (tmp_path / "mine.py").write_text(TYPED, encoding="utf-8")
    options = ("--strict", "--no-incremental", "--python-executable", str(installed))
    done = builds.python(sys.executable, "-m", "mypy", *options, "mine.py", cwd=tmp_path)
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stdout + done.stderr
