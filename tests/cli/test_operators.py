"""The table of operators: no field is empty, and each says what the backend does."""

from __future__ import annotations

import pathlib

import pytest

from autodiff_compare import backends
from autodiff_compare.backends import Backend
from autodiff_compare.cli import main
from autodiff_compare.cli.verbs.operators import way
from autodiff_compare.vocabulary import DTYPES, Operator


@pytest.mark.parametrize("name", backends.available())
def test_no_field_is_empty(name: str) -> None:
    backend = backends.load(name)
    words = {operator: way(backend, operator) for operator in Operator}
    assert set(words.values()) <= {"native", "derived", "given", "-"}, words


class _Values(Backend):
    name, requires, native = "values", (), frozenset({Operator.VALUE})

    open = to_var = to_numpy = grad = step = scan = block = _native = lambda *_, **__: None


#: (backend, operator, word): `check -o OPERATOR -b BACKEND` of a scalar function is ok, or unsupported for "-".
WORDS = [
    ("jax", Operator.HESSIAN_DIAGONAL, "derived"),
    ("numpy", Operator.LAPLACIAN, "derived"),
    ("numpy:jet", Operator.LAPLACIAN, "native"),
    ("torch", Operator.TAYLOR, "native"),
    ("autograd", Operator.TAYLOR, "derived"),
    ("finite_difference", Operator.TAYLOR, "-"),
    ("manual", Operator.GRADIENT, "given"),
]


@pytest.mark.parametrize(("spec", "operator", "word"), WORDS)
def test_a_field_is_the_way_of_the_variant(spec: str, operator: Operator, word: str) -> None:
    assert way(backends.load(spec), operator) == word


def test_what_cannot_be_derived_is_not_offered() -> None:
    assert way(_Values(), Operator.GRADIENT_BATCH) == "-"


def test_the_verb_prints_every_operator_and_dtype(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["list", "--operators"]) == 0
    shown = capsys.readouterr().out
    first = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert [str(o) for o in Operator if str(o) not in first] == []
    assert all(dtype in shown for dtype in DTYPES)
    assert all(len(line.rstrip()) <= 80 for line in shown.splitlines())
    assert "float16 on autograd, jax, numpy, tensorflow and torch" in shown


def test_the_page_of_operators_has_a_row_for_each() -> None:
    """The table in the page is remade by the verb, and a new operator must appear in it."""
    page = (pathlib.Path(__file__).parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")
    _, _, table = page.partition("compare.py list --operators -->")
    first = {line.split()[0] for line in table.partition("-->")[0].split("```")[1].splitlines() if line.strip()}
    assert {str(o) for o in Operator} - first == set()
