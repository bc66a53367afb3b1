"""The fixture as a user's own tests see it: nothing imported, nothing configured."""

from __future__ import annotations

import pathlib
import subprocess
import sys

MINE = """
import numpy as np

def f(x):
    return np.sum(np.sin(x) * x)

def test_right(assert_gradients):
    assert_gradients(f, np.array([0.3, 1.0, 2.0]), lambda x: np.cos(x) * x + np.sin(x))

def test_wrong(assert_gradients):
    assert_gradients(f, np.array([0.3, 1.0, 2.0]), lambda x: np.cos(x) * x)

def test_jacobian(assert_jacobian):
    assert_jacobian(np.sin, np.array([0.3, 1.0]), lambda x: np.diag(np.cos(x)))

def test_other():
    pass
"""


def pytest_on(folder: pathlib.Path, *options: str) -> str:
    (folder / "test_mine.py").write_text(MINE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_mine.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_users_own_tests_have_the_judge_in_one_line(tmp_path: pathlib.Path) -> None:
    out = pytest_on(tmp_path)
    assert "1 failed, 3 passed" in out, out
    assert "AssertionError: gradient is wrong" in out
    assert "autodiff_compare/testing" not in out, "internals are hidden"


def test_tests_of_derivatives_have_a_marker(tmp_path: pathlib.Path) -> None:
    out = pytest_on(tmp_path, "-m", "derivatives", "--strict-markers")
    assert "1 failed, 2 passed, 1 deselected" in out, out
