"""The names of ``xp`` that problems need, and the order in which to write those that a backend lacks."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from autodiff_compare import problems
from autodiff_compare.backends import load
from autodiff_compare.contract.needed import absent, names_of, ranked
from tests.commands import called

ROOT = pathlib.Path(__file__).parents[2]
DUAL = str(ROOT / "tests" / "examples" / "dual_backend.py")


# Read from the files of the problems.
@pytest.mark.parametrize(
    ("problem", "names"),
    [("hello", set()), ("sphere", {"sum"}), ("ackley", {"mean", "sqrt", "exp", "cos"})],
)
def test_the_names_of_a_problem_are_those_that_it_uses(problem: str, names: set[str]) -> None:
    found = names_of(problems.available()[problem])
    assert found >= names
    assert found <= names | {"sum", "multiply"}


def test_names_within_loops_and_extensions_are_seen() -> None:
    assert "linalg.det" in names_of(problems.available()["det_linalg"])


def test_the_name_that_completes_the_most_problems_comes_first() -> None:
    """Without all three: b alone completes q and r, then a completes p, then c completes s."""
    used = {"p": {"a", "b"}, "q": {"b"}, "r": {"b", "x"}, "s": {"a", "b", "c"}, "t": {"x"}}
    frozen = {name: frozenset(names) for name, names in used.items()}
    assert ranked(frozen, ["a", "b", "c"]) == [
        ("b", ["p", "q", "r", "s"], 3),
        ("a", ["p", "s"], 4),
        ("c", ["s"], 5),
    ]


def test_absent_names_are_asked_of_the_namespace() -> None:
    dual: Any = load(DUAL)
    dual.open()
    assert absent(dual, ["sum", "acos", "linalg.det", "linalg", "special.erf"])["absent"] == [
        "acos", "linalg.det", "linalg", "special.erf",
    ]  # fmt: skip


def test_the_verb_lists_what_to_write_next(tmp_path: pathlib.Path) -> None:
    done = called("conformance", "--needed", DUAL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("dual has ")
    assert " names of xp that problems use: enough for " in " ".join(lines[:2])
    assert "Names that dual lacks" in done.stdout
    assert max(map(len, lines)) <= 80
