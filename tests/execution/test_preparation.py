"""Arguments of timed calls: they are there before the clock starts."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import load
from autodiff_compare.execution.computation.preparation import Prepared, own_arrays, prepared
from autodiff_compare.execution.worker import Worker, answer
from autodiff_compare.problems import load as problems
from autodiff_compare.vocabulary import Operator


class _Copies:
    """A backend that copies arrays in the background: a variable is a list whose second entry says that it is there."""

    def to_var(self, array: Any) -> Any:
        return [array, False]

    def own_array(self, var: Any) -> Any:
        return var

    def block(self, out: Any) -> Any:
        out[1] = True
        return out


def test_arguments_are_copied_before_a_timed_call() -> None:
    backend: Any = _Copies()
    made = own_arrays(backend, (np.ones(3), np.zeros((2, 2))), "float64")
    assert [there for _, there in made] == [True, True]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_neighbours_differ_also_for_who_rounds_them(dtype: str) -> None:
    backend = load("numpy")
    backend.open()
    (problem,) = problems("rosenbrock")
    cell: Prepared = prepared(backend, problem, ("small", dtype, Operator.GRADIENT, 0))
    made = [np.concatenate([np.ravel(x) for x in args]) for args in (cell.timed.args, *cell.neighbours(48))]
    assert not any(np.allclose(a, b) for i, a in enumerate(made) for b in made[:i])
    for text in (lambda x: x.astype(np.float32).tobytes(), lambda x: np.round(x, 5).tobytes(), np.array2string):
        assert len({text(x) for x in made}) == 49
    assert max(np.abs(x / made[0] - 1).max() for x in made) < 0.01


@pytest.mark.parametrize("way", ["copies", "neighbours"])
def test_further_arguments_of_a_cell_are_copied_too(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = load("numpy")
    backend.open()
    (problem,) = problems("sphere")
    cell: Prepared = prepared(backend, problem, ("small", "float64", Operator.GRADIENT, 0))
    awaited: list[Any] = []
    monkeypatch.setattr(type(backend), "block", lambda _, out: awaited.append(out) or out)
    made = getattr(cell, way)(3)
    assert [id(x) for args in made for x in args] == [id(x) for x in awaited]
    assert len(awaited) == 3 * len(cell.given)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_integers_of_an_objective_have_the_digits_of_the_cell_on_torch(dtype: str, tmp_path: pathlib.Path) -> None:
    """Between requests, torch's default dtype is its own again."""
    torch = pytest.importorskip("torch")
    file = tmp_path / "thirds.py"
    file.write_text("def objective(x, xp):\n    return x * (xp.asarray(1) / 3)\n\n\nx = 1.0\n")
    worker = Worker("torch")
    answer(worker, "open", {})
    cell = {
        "source": str(file),
        "problem": "thirds",
        "size": "small",
        "dtype": dtype,
        "operator": "gradient",
        "seed": 0,
    }
    done = answer(worker, "cell", cell)["ok"]
    assert done["result"][0] == np.asarray(1, dtype) / np.asarray(3, dtype)
    assert torch.get_default_dtype() == torch.float32
    with worker.computing("visit", {}):
        assert torch.get_default_dtype() == getattr(torch, dtype)
