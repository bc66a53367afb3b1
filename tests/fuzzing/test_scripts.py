"""Scripts in a framework's own words: every operation has the value of NumPy, and scripts need no package of ours."""

from __future__ import annotations

import functools
import itertools
import pathlib
import subprocess
import sys
import types
from typing import Any

import numpy as np
import pytest

from autodiff_compare.fuzzing.generator import Recipe, programs
from autodiff_compare.fuzzing.operations import OPERATIONS
from autodiff_compare.fuzzing.oracle import Oracle
from autodiff_compare.fuzzing.program import Input, Program, Step
from autodiff_compare.fuzzing.scripts import script
from autodiff_compare.vocabulary import ORDERS, Operator

SINE = Program((Input("x0", np.array([0.5, -1.25])),), (Step("v0", "sin", ("x0",)),), "v0")


def written(program: Program, spec: str, operator: Operator, right: bool = True) -> str:
    oracle = Oracle(program, "float64")
    expected = oracle.reference(operator)
    expected = expected if right else tuple(1.5 * e for e in expected)
    return script(program, spec, operator, "float64", oracle.point.case(operator).directions, expected, "a title")


def ends(text: str) -> Any:
    """Run a script in this process; return what it exits with, `None` if nothing differs."""
    try:
        exec(compile(text, "script.py", "exec"), types.ModuleType("script").__dict__)
    except SystemExit as end:
        return end.code
    return None


@pytest.mark.parametrize("operator", [Operator.VALUE, Operator.JVP, Operator.VJP, Operator.JACOBIAN])
@pytest.mark.parametrize("right", [True, False])
def test_a_script_tells_whether_results_differ(operator: Operator, right: bool, capsys: Any) -> None:
    assert ends(written(SINE, "numpy", operator, right)) == (None if right else "they differ")
    printed = capsys.readouterr().out
    assert "got" in printed
    assert "expected" in printed


@pytest.mark.parametrize("digits", [False, True])
def test_a_script_for_lost_digits_looks_at_all_of_them(digits: bool) -> None:
    expected = (np.sin(SINE.inputs[0].value) * (1 + 1e-10),)
    text = script(SINE, "numpy", Operator.VALUE, "float64", (), expected, "a title", digits)
    assert ends(text) == ("they differ" if digits else None)


@pytest.mark.parametrize(
    ("operator", "order"), list(itertools.product([Operator.HVP, Operator.HESSIAN], ["", ":fr", ":rr"]))
)
def test_a_derivative_without_words_has_no_script(operator: Operator, order: str) -> None:
    scalar = Program(SINE.inputs, (*SINE.steps, Step("s", "sum", ("v0",), {"axis": None, "keepdims": False})), "s")
    text = written(scalar, f"numpy{order}", operator)
    assert bool(text) == (operator == Operator.HVP and order in ("", ":fr"))


@functools.cache
def covering() -> tuple[Program, ...]:
    """Return regular programs that hold every operation."""
    left, found = set(OPERATIONS), []
    for _, program in itertools.islice(programs(0, Recipe(awkward=0.0, longest=2)), 6000):
        if left & set(program.operations):
            left -= set(program.operations)
            found.append(program)
        if not left:
            return tuple(found)
    raise AssertionError(f"no program holds {sorted(left)}")


def batch(backend: str) -> str:
    """Return a script that evaluates every operation in the words of a framework, and names those that differ."""
    parts = ["differ = []"]
    for program in covering():
        text = script(program, backend, Operator.VALUE, "float64", (), (program.value,), "a value")
        parts += ["try:", f"    exec({text!r}, {{}})", "except BaseException as error:"]
        parts.append(f"    differ.append(({program.operations!r}, repr(error)[:300]))")
    return "\n".join([*parts, "assert not differ, differ"])


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "tensorflow"])
def test_every_operation_is_spelled_in_the_words_of_a_framework(backend: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "batch.py"  # longer than what a command line may hold
    path.write_text(batch(backend))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


#: Framework -> its variants. One process runs the scripts of them all: most of its time goes into the import.
VARIANTS = {
    "torch": ("torch", "torch:rr", "torch:fr", "torch:rf", "torch:ff"),
    "jax": ("jax", "jax:eager:ff"),
    "tensorflow": ("tensorflow", "tensorflow:eager"),
}


@pytest.mark.parametrize("backend", VARIANTS)
def test_scripts_of_a_framework_agree_where_nothing_is_wrong(backend: str) -> None:
    scalar = Program(SINE.inputs, (*SINE.steps, Step("s", "sum", ("v0",), {"axis": None, "keepdims": False})), "s")
    every = (Operator.VALUE, Operator.GRADIENT, Operator.JVP, Operator.VJP, Operator.HVP)
    texts = [
        written(scalar, spec, operator)
        for spec in VARIANTS[backend]
        for operator in (every if spec.rpartition(":")[2] not in ORDERS else (Operator.HVP,))
    ]
    assert all(texts)
    code = "\n".join(f"exec({text!r}, {{}})" for text in texts)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
