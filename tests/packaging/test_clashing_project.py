"""The installed package beside a user's project that has its own ``harness backends problems vocabulary compare``."""

from __future__ import annotations

import pathlib
import sys

import pytest

from tests.documents import notebooks
from tests.packaging import builds

pytestmark = pytest.mark.xdist_group("packaging")


def _pytest(installed: pathlib.Path, project: pathlib.Path, file: str) -> str:
    # `python -m pytest` puts the current folder first on sys.path, before any plugin is loaded.
    return builds.python(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", file, cwd=project).stdout


def test_pytest_runs_without_the_fixture(installed: pathlib.Path, project: pathlib.Path) -> None:
    assert "1 passed" in _pytest(installed, project, "test_plain.py")


def test_pytest_runs_with_the_fixture(installed: pathlib.Path, project: pathlib.Path) -> None:
    shown = _pytest(installed, project, "test_gradients.py")
    assert "1 failed, 1 passed" in shown
    assert "AssertionError: gradient is wrong" in shown


@pytest.mark.parametrize("problem", ["sphere", "./scaled.py"])
def test_the_command_runs(installed: pathlib.Path, project: pathlib.Path, problem: str) -> None:
    command = installed.parent / "autodiff-compare"
    done = builds.printed(command, "check", problem, "-b", "numpy", "-o", "gradient", cwd=project)
    assert "1 of 1 cells agree" in " ".join(done.split())


def test_the_command_of_a_clone_runs(project: pathlib.Path) -> None:
    command = (sys.executable, str(builds.ROOT / "compare.py"), "check", "./scaled.py", "-b", "numpy", "-o", "gradient")
    assert "1 of 1 cells agree" in " ".join(builds.printed(*command, cwd=project).split())


def test_a_script_runs(installed: pathlib.Path, project: pathlib.Path) -> None:
    assert builds.printed(installed, "script.py", cwd=project) == "by workers ok\n"


def test_a_notebook_runs_in_a_kernel(installed: pathlib.Path, project: pathlib.Path) -> None:
    defined, compared = notebooks.outputs(notebooks.run(project / "notebook.ipynb", installed))
    assert defined == ""
    # The tables are shown once: as the value of the cell's last expression.
    assert compared.startswith("by workers ok\n")
    assert compared.count("1 of 1 cells agree") == 1
