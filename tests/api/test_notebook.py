"""`compare` in a notebook: what is displayed, and what is not."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from tests.documents import notebooks

ROOT = pathlib.Path(__file__).parents[2]
_CELLS = """
import autodiff_compare
def squares(x, xp):
    return xp.sum(x**2)
tables = autodiff_compare.compare(squares, [1.0, 2.0], backends="numpy", operators="gradient", rounds=8)
---
tables
---
axes = tables.plot.time()
---
axes
---
advice = tables.recommend()
---
advice
"""


def displayed(folder: pathlib.Path) -> list[list[Any]]:
    """Return the outputs of each cell of a notebook that was run."""
    cells = [
        {"cell_type": "code", "id": f"c{k}", "execution_count": None, "metadata": {}, "outputs": [], "source": text}
        for k, text in enumerate(_CELLS.split("---"))
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path = folder / "mine.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return [cell["outputs"] for cell in notebooks.run(path, PYTHONPATH=str(ROOT))["cells"]]


def test_what_is_assigned_is_not_displayed_and_what_stands_alone_is(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("nbclient", reason="nbclient belongs to the extra test")
    assigned, tables, no_axes, axes, no_advice, advice = displayed(tmp_path)
    assert assigned == no_axes == no_advice == [], "a bar that is done is empty"
    assert "<table>" in "".join(tables[0]["data"]["text/html"])
    assert axes[0]["data"]["image/png"]
    assert "<p>Take numpy" in "".join(advice[0]["data"]["text/html"])
    assert "Take numpy" in "".join(advice[0]["data"]["text/plain"])
