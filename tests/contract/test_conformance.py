"""The clauses of the contract: right backends keep them all, each faulty backend breaks the clause it should break."""

from __future__ import annotations

import functools
import pathlib
import runpy
import shlex
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import array_api
from autodiff_compare.cli.verbs.trials import conformance
from autodiff_compare.cli.verbs.trials.conformance import Finding, findings_of, lines, sentence
from autodiff_compare.contract.clause import Clause
from autodiff_compare.contract.clauses import outcome
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from tests.commands import called
from tests.examples.careless_backend import CARELESS

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"
CARELESS_FILE = str(EXAMPLES / "careless_backend.py")
DUAL = str(EXAMPLES / "dual_backend.py")


@functools.cache
def tried(spec: str) -> dict[str, Finding]:
    # A faulty backend shows in its own operators; testing the derived ones would take most of the time.
    operators = ("value", "gradient", "jvp", "hvp") if spec.startswith(f"{CARELESS_FILE}:") else ()
    made = plan(Query([conformance._FUNCTIONS], [spec], operators, dtypes=("float64", "float32")))
    return {f.clause.partition(" (")[0]: f for f in findings_of(made)}


def broken(spec: str) -> set[str]:
    return {name for name, f in tried(spec).items() if f.kept is False}


@pytest.mark.parametrize("spec", ["numpy", CARELESS_FILE, DUAL])
def test_a_right_backend_keeps_every_clause(spec: str) -> None:
    assert {name: tried(spec)[name].words for name in broken(spec)} == {}


def test_dual_numbers_have_first_derivatives_and_say_that_there_is_no_second() -> None:
    found = tried(DUAL)
    assert all(found[o].kept for o in ("value", "gradient", "jvp", "vjp", "jacobian"))
    assert found["gradient"].words == "6 functions, float64 and float32"
    assert {found[o].kept for o in ("hvp", "hessian", "step: sgd, momentum, nesterov and adam")} == {None}
    assert "cannot be differentiated again" in found["hvp"].words
    assert found["names of the array API standard"].words.startswith("18 of 132; without ")


#: Variant of the careless backend -> clauses that it must break.
FAULTS = {
    "aliases": {"to_var copies"},
    "widens": {"to_var and to_numpy keep shape, dtype and numbers", "to_var takes a dtype", "gradient", "jvp"},
    "bakes": {"a function prepared at one point is right at another", "gradient", "jvp"},
    "flips": {"grad of a scalar function", "gradient", "jvp"},
    "in_place": {"gradient", "jvp"},
    "silent": {"hvp"},
    "not_implemented": {"a missing operator raises Unsupported with a reason"},
    "dies": {"grad of a scalar function", "gradient", "jvp"},
    "bare": {"a function prepared at one point is right at another"},
    "late": {"a result is complete when block returns"},
    "lazy": {"a result is computed when block returns"},
    "tires": {"every call gives the result of the first"},
    "remembers": {"every call computes"},
    "in_place_later": {"no call changes its inputs"},
    "one_buffer": {"a result outlives the next call"},
}


def test_every_fault_is_tried() -> None:
    assert set(FAULTS) == set(CARELESS) - {""}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_careless_backend_breaks_the_clause_that_it_should(fault: str) -> None:
    found = broken(f"{CARELESS_FILE}:{fault}")
    assert found >= FAULTS[fault]
    assert all(tried(f"{CARELESS_FILE}:{fault}")[name].words for name in found), "it says what was wrong"
    # Each fault leaves most of the contract alone: the clauses tell faults apart.
    assert not found & {"block returns its argument", "an unknown variant is a ValueError"}


def test_the_verb_says_what_is_broken_and_what_to_do(tmp_path: pathlib.Path) -> None:
    done = called("conformance", f"{CARELESS_FILE}:aliases", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "  BROKEN to_var copies: got a float64 variable that changes" in done.stdout
    assert "-> copy the array, as np.array(array) does and np.asarray does not" in done.stdout
    assert "clauses are kept, " in done.stdout.splitlines()[-1]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == [], "no folder is left behind"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("1 / 0", 2, "ZeroDivisionError"),
        ("x = 1", 2, "got 0 backends"),
        (
            "CLASS\n    requires = ('no-such-thing',)",
            3,
            "cannot be opened: not installed: no-such-thing",
        ),
        ("CLASS\n    def open(self): raise ImportError('libmissing.so')", 3, "cannot be opened: error: ImportError"),
    ],
)
def test_a_backend_that_cannot_be_opened_is_one_clear_line(
    text: str, code: int, words: str, tmp_path: pathlib.Path
) -> None:
    head = (
        "from autodiff_compare.backends.interface import NumpyArrays\n"
        "class Mine(NumpyArrays):\n    name, native = 'mine', frozenset()\n"
    )
    (tmp_path / "mine_backend.py").write_text(text.replace("CLASS\n", head + "    def _native(self, *_): ...\n"))
    done = called("conformance", "./mine_backend.py", cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_remedy_names_the_python_of_another_environment() -> None:
    made = plan(Query([conformance._FUNCTIONS], [f"numpy@mine={sys.executable}"], ["value"]))
    assert made.written("numpy@mine") == f"numpy@mine={sys.executable}"
    here = plan(Query([conformance._FUNCTIONS], ["numpy"], ["value"]))
    assert here.written("numpy") == "numpy"


def test_a_backend_in_words() -> None:
    long = "word " * 40
    for kept in (True, False, None):
        shown = list(lines(Finding("a clause", kept, long, long)))
        assert max(map(len, shown)) <= 80
        assert any("->" in line for line in shown) is (kept is False)
    findings = [Finding("a", True, ""), Finding("b", False, ""), Finding("c", None, "")]
    assert sentence(findings) == "1 of 3 clauses are kept, 1 broken, 1 not offered."
    assert sentence(findings[:1]) == "1 of 1 clauses are kept."


def test_the_names_are_those_of_the_standard() -> None:
    assert [name for name in array_api.NAMES if not hasattr(np, name)] == []
    assert [name for name in array_api.LINALG if not hasattr(np.linalg, name)] == []
    assert len(set(array_api.NAMES)) == len(array_api.NAMES)


def test_an_exception_of_a_clause_names_the_line_of_the_adapter(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mine_backend.py"
    file.write_text("def total(x):\n    return x.reshape(1.0)\n\n\ndef empty(x):\n    assert not x\n", encoding="utf-8")
    names = runpy.run_path(str(file))
    found = outcome(names["total"], Clause("", "", lambda f: f(np.ones(1))))
    assert found["kept"] is False
    assert found["words"].startswith("TypeError: ")
    assert found["words"].endswith(f"({file}:2: return x.reshape(1.0))")
    words = outcome(names["empty"], Clause("", "", lambda f: f(1)))["words"]
    assert words == f"AssertionError: no message ({file}:6: assert not x)"


@pytest.mark.parametrize(
    ("dtypes", "status", "message", "remedy"),
    [
        (["float64"], "wrong", "got 1", "compare.py check F -b ./b.py -o jvp shows every error"),
        (["float32"], "wrong", "got 1", "compare.py check F -b ./b.py -o jvp --dtype float32 shows every error"),
        (
            ["float64", "float32"], "wrong", "got 1",
            "compare.py check F -b ./b.py -o jvp --dtype float64 --dtype float32 shows every error",
        ),
        (
            ["float64"], "error", "TypeError: no",
            "make it work, or raise Unsupported with the reason; compare.py check F -b ./b.py -o jvp shows where",
        ),
        (
            ["float64"], "error", "TypeError: unsupported operand type(s) for @: 'numpy.ndarray' and 'Function'",
            "give Function the method of @ and its reflection, and __array_ufunc__ = None, so that NumPy leaves the "
            "operation to it",
        ),
    ],
)  # fmt: skip
def test_the_remedy_of_a_broken_operator(dtypes: list[str], status: str, message: str, remedy: str) -> None:
    """The command computes the dtypes that are broken: ``check`` alone computes float64."""
    cells: Any = [
        SimpleNamespace(operator="jvp", status=status, how="", message=message, problem="valley", dtype=dtype)
        for dtype in dtypes
    ]
    (finding,) = conformance._operators(cells, "./b.py")
    assert finding.remedy.replace(conformance._FUNCTIONS, "F") == remedy


def test_a_remedy_can_be_pasted_where_a_path_has_spaces() -> None:
    cell: Any = SimpleNamespace(
        operator="jvp", status="crash", how="", message="died", problem="valley", dtype="float64"
    )
    (finding,) = conformance._operators([cell], "./my files/b.py@old=/opt/py 39/bin/python")
    pasted = shlex.split(finding.remedy.partition("; ")[2])
    assert pasted[pasted.index("-b") + 1] == "./my files/b.py@old=/opt/py 39/bin/python"


def test_each_reason_to_refuse_cells_is_given_with_its_cells() -> None:
    refused = [
        ("valley", "float64", "no axes"),
        ("valley", "float32", "float64 only"),
        ("rows", "float32", "float64 only"),
    ]
    cells: Any = [
        SimpleNamespace(operator="jvp", how="", problem=problem, dtype=dtype, status="unsupported", message=why)
        for problem, dtype, why in refused
    ]
    cells.append(SimpleNamespace(operator="jvp", how="", problem="rows", dtype="float64", status="ok", message=""))
    (finding,) = conformance._operators(cells, "./b.py")
    words = "valley; float64: no axes; valley, rows; float32: float64 only"
    assert (finding.kept, finding.words) == (True, f"right where offered; unsupported: {words}")
