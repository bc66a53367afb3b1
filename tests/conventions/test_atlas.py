"""The atlas run live: all cases on the NumPy engine, a few families on each framework, and the verb with its tables."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import pathlib
import re
import subprocess

import pytest

from autodiff_compare import backends
from autodiff_compare.conventions.judgement import Class, judge
from autodiff_compare.conventions.observation import Observation, observe
from autodiff_compare.problems.conventions import CASES
from autodiff_compare.results.rows import ConventionRow
from autodiff_compare.results.tables import read, rows_from
from autodiff_compare.summary.conventions import LETTERS, order
from tests.commands import called
from tests.conftest import opened
from tests.selection import few

ROOT = pathlib.Path(__file__).parents[2]


@functools.cache
def classed(spec: str, name: str) -> tuple[Class, Observation]:
    found = Observation(**observe(opened(spec), name, "float64"))
    return judge(CASES[name], found, "float64").classed, found


@pytest.mark.parametrize("spec", ["numpy", "numpy:compiled"])
def test_our_engine_has_no_defect(spec: str) -> None:
    defects = {name: classed(spec, name)[1].obtained for name in CASES if classed(spec, name)[0] == Class.DEFECT}
    assert defects == {}


@pytest.mark.parametrize("first", few(range(8), 1))
def test_both_ways_of_our_engine_answer_alike(first: int) -> None:
    """A case that cannot be compiled is not available; all other cases are answered alike."""
    names = list(CASES)[first::8]
    pairs = {name: (classed("numpy", name)[0], classed("numpy:compiled", name)[0]) for name in names}
    assert {name: pair for name, pair in pairs.items() if len({*pair}) > 1 and pair[1] != Class.NOT_AVAILABLE} == {}


#: A few cases of every kind, the frameworks' own functions among them; what they are classed as may change.
SOME = (
    "abs", "relu_zero", "relu_difference", "max", "xlogy_zero", "unused_argument", "vector_output", "integer_scalar",
    "modulus", "eigenvalue_smallest", "take_out_of_range", "cumprod_one_zero", "gelu_one", "square_function",
)  # fmt: skip


@pytest.mark.parametrize("spec", few(["torch", "tensorflow:eager", "jax"], 1))
def test_frameworks_are_asked_live(spec: str) -> None:
    found = {name: classed(spec, name) for name in SOME}
    for name, (_, seen) in found.items():
        assert seen.status in {"answered", "raised"}, (name, seen.message)
        assert seen.spelled
    # What is right everywhere: x^2 at 0, the modulus of a complex number (normalised), one tied entry of a maximum.
    assert found["square_function"][0] == found["modulus"][0] == Class.AGREE
    assert found["max"][0] == found["abs"][0] == Class.CONVENTION
    assert found["vector_output"][0] in {Class.ERROR, Class.UNDEFINED}


@pytest.mark.parametrize("spec", ["torch", "tensorflow:eager", "jax", "numpy"])
def test_own_functions_are_spelled_in_names_that_exist(spec: str) -> None:
    """A misspelt table entry would read as a defect of the framework."""
    backend = opened(spec)
    prelude, table = backends.function_idioms(backend.name)
    scope = {**backend.idiom_scope(), "xp": backend.xp}
    exec(prelude, scope)
    for name, text in table.items():
        source = text if "\n" in text else f"found = {text}"
        exec(source, scope)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and _rooted(node, {"torch", "tf", "jax", "jnp", "F", "special", "np"}):
                assert eval(ast.unparse(node), scope) is not None, (name, ast.unparse(node))


def _rooted(node: ast.Attribute, names: set[str]) -> bool:
    value: ast.expr = node
    while isinstance(value, ast.Attribute):
        value = value.value
    return isinstance(value, ast.Name) and value.id in names


def test_idioms_import_no_framework() -> None:
    for path in (ROOT / "backends" / "idioms").glob("*.py"):
        if path.stem != "__init__":
            importlib.import_module(f"autodiff_compare.backends.idioms.{path.stem}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert ast.unparse(node).split()[1] in {"__future__", "collections.abc", "types"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], pathlib.Path]:
    out = tmp_path_factory.mktemp("out")
    return called(
        "conventions", "kinks", "where_masks", "prod_one_zero", "-b", "numpy", "-b", "numpy:compiled", "--out", str(out)
    ), out


def test_the_terminal_fits_eighty_columns(made: tuple[subprocess.CompletedProcess[str], pathlib.Path]) -> None:
    done, _ = made
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("tables: ")]
    assert max(map(len, lines)) <= 80
    assert "kinks" in done.stdout
    assert re.search(r"\d+ cases in 3 families on 2 backends", done.stdout.replace("\n", " "))


def test_every_row_has_its_evidence(made: tuple[subprocess.CompletedProcess[str], pathlib.Path]) -> None:
    _, out = made
    (folder,) = out.iterdir()
    rows = rows_from(read(folder / "conventions.csv", ConventionRow), ConventionRow)
    wanted = [c for c in CASES.values() if c.family in ("kinks", "where_masks") or c.name == "prod_one_zero"]
    assert len(rows) == 2 * len(wanted)
    assert {row.classed for row in rows} <= {str(c) for c in Class}
    for row in rows:
        assert row.derivation
        if row.classed in (Class.AGREE, Class.CONVENTION, Class.DEFECT):
            assert row.spelled
            assert json.loads(row.obtained)
            assert len(json.loads(row.left)) == len(json.loads(row.right_side)) > 0
            assert len(json.loads(row.hull)) == len(json.loads(row.obtained))
            assert row.tolerance > 0
    assert (folder / "runs.csv").exists()


def test_a_case_is_explained() -> None:
    done = called("conventions", "--explain", "abs", "-b", "numpy")
    assert done.returncode == 0, done.stderr
    for words in ("|x| has slopes -1 and 1", "xp.abs(x)", "from the left", "-1", "numpy, float64: convention"):
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["kink"], "expected a family: kinks"),
        (["./mine.py"], "got './mine.py', expected families or cases of the atlas"),
        (["--explain", "kinks"], "got 'kinks', a family, expected a case: abs, "),
        (["--explain", "nosuchcase"], "got 'nosuchcase', expected a case: --explain FAMILY lists those of kinks, ties"),
        (["kinks", "-b", "nosuch"], "got backend 'nosuch'"),
        (["kinks", "--dtype", "float8"], "got dtype 'float8'"),
    ],
)
def test_a_mistake_is_one_clear_line(args: list[str], words: str) -> None:
    done = called("conventions", *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


_DYING = """
import os
from typing import ClassVar
import numpy as np
from autodiff_compare.backends.interface import NumpyArrays
from autodiff_compare.vocabulary import Operator

class Dying(NumpyArrays):
    name: ClassVar[str] = "dying"
    native: ClassVar[frozenset] = frozenset({Operator.GRADIENT})

    def _native(self, request):
        if float(request.args[0]) == 1.0:
            os._exit(7)
        return lambda *args: tuple(np.zeros_like(args[i]) for i in request.argnums)
"""


def test_a_backend_that_dies_in_a_case_costs_that_case(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "dying.py"
    path.write_text(_DYING)
    done = called(
        "conventions", "abs", "abs_shifted", "abs_of_double", "-b", str(path), "--out", str(tmp_path / "out"), "--json"
    )
    found = {row["case"]: row for row in json.loads(done.stdout)["rows"]}
    assert done.returncode == 3
    assert found["abs_shifted"]["classed"] == "defect"
    assert "exit code 7" in found["abs_shifted"]["message"]
    assert found["abs"]["classed"] == found["abs_of_double"]["classed"] == "convention"


def test_every_class_has_a_letter() -> None:
    assert set(LETTERS) == set(Class)
    assert len({letter for letter, _ in LETTERS.values()}) == len(Class)


def test_defaults_come_first() -> None:
    assert order(["jax:eager", "jax", "torch", "numpy:compiled", "numpy"]) == [
        "numpy", "torch", "jax", "numpy:compiled", "jax:eager",
    ]  # fmt: skip
