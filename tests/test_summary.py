"""The summary in a terminal of 80 columns, also with more backends than stand side by side there."""

from __future__ import annotations

import io
import pathlib

import pytest
from rich.console import Console

from harness import summary
from tests.test_recommend import run

VARIANTS = (
    "numpy", "numpy:compiled", "torch", "torch:compile", "tensorflow", "tensorflow:eager", "tensorflow:xla", "jax",
    "jax:eager", "autograd", "torch@older",
)  # fmt: skip


def shown(folder: pathlib.Path) -> list[str]:
    console = Console(file=io.StringIO(), width=80, record=True, highlight=False, markup=False, emoji=False)
    summary.show(folder, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("count", [1, 4, 5, 6, 10, 11])
def test_every_backend_is_shown_in_80_columns(count: int, tmp_path: pathlib.Path) -> None:
    run(tmp_path, *({"spec": spec, "once": 1e-3, "steady": (k + 2) * 1e-5} for k, spec in enumerate(VARIANTS[:count])))
    lines = shown(tmp_path)
    assert max(map(len, lines)) <= 80
    heads = [k for k, line in enumerate(lines) if line.startswith("One gradient")]
    assert len(heads) == -(-count // 5), "as few tables as will do"
    rows = [line.split() for line in lines if line.startswith("p ")]
    assert [f"{20 + 10 * k}" for k in range(count)] == [word for row in rows for word in row if word.isdigit()]
    assert sum(word == "us*" for row in rows for word in row) == 1, "one is the fastest of all"
