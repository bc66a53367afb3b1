"""The answers at kinks: where an operator has no derivative, and which subgradient each backend gives."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.table import Table

from autodiff_compare.results.tables import specs_of
from autodiff_compare.summary.terminal import plain_table


def at_kinks(cells: pd.DataFrame, checks: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return the distinct answers at kinks: problem and operator, backends that gave the answer, answer."""
    notes = checks[checks["verdict"] == "subgradient"].drop_duplicates("cell_id").set_index("cell_id")["note"]
    there = cells[cells["cell_id"].isin(notes.index) & (cells["status"] == "ok")]
    found: dict[tuple[str, str], list[str]] = {}
    for row, spec in zip(there.to_dict("records"), specs_of(there), strict=True):
        marks = [m for m, usual in ((row["size"], "small"), (row["dtype"], "float64")) if m != usual]
        place = " ".join([row["problem"], row["operator"], *marks])
        found.setdefault((place, str(notes[row["cell_id"]]).rpartition("; ")[2]), []).append(spec)
    return [
        (place, ", ".join(specs), answer) for (place, answer), specs in sorted(found.items(), key=lambda f: f[0][0])
    ]


def table(found: Sequence[tuple[str, str, str]]) -> Table:
    """Return one row per answer at a kink, with the backends that gave it."""
    made = plain_table("At a kink: each of these answers is a subgradient, and right")
    for name in ("problem", "backends", "answer"):
        made.add_column(name, overflow="fold")
    for row in found:
        made.add_row(*row)
    return made
