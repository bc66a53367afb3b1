"""The table of operators: no field is empty, and each says what the backend does."""

from __future__ import annotations

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
    assert all(w in ("native", "derived", "given") or w.startswith("no: ") for w in words.values()), words


class _Values(Backend):
    name, requires, native = "values", (), frozenset({Operator.VALUE})

    open = to_var = to_numpy = grad = step = scan = block = _native = lambda *_, **__: None


def test_what_cannot_be_derived_says_why() -> None:
    assert way(_Values(), Operator.GRADIENT_BATCH) == (
        "no: values offers value; gradient_batch cannot be derived from that"
    )


def test_the_verb_prints_every_operator_and_dtype(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["list", "--operators"]) == 0
    shown = capsys.readouterr().out
    first = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert [str(o) for o in Operator if str(o) not in first] == []
    assert all(dtype in shown for dtype in DTYPES)
