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
"""


def test_a_users_own_tests_have_the_judge_in_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_mine.py").write_text(MINE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "AssertionError: gradient is wrong" in done.stdout
