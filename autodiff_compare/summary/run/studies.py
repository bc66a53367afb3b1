"""The studies of a run: the updates and times of descents, and the answers of the tape study."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from autodiff_compare.results.formatting import seconds
from autodiff_compare.summary.terminal import WIDTH, plain_table, side_by_side, split_tables

#: Columns of the questions with their expected answers, and least columns of an answer.
_ASKED, _ANSWER = 36, 11


def descents(found: pd.DataFrame) -> Iterator[Table]:
    """Yield tables of the updates of each descent and their time on each backend."""
    parts = found["cell_id"].str.split("/", n=4, expand=True)
    frame = pd.concat([found, parts.set_axis(["problem", "descent", "dtype", "_", "spec"], axis=1)], axis=1)
    specs = list(dict.fromkeys(frame["spec"]))
    names, updates = [], []
    columns: dict[str, list[Text | str]] = {spec: [] for spec in specs}
    ways, starts = (dict(frame.groupby("problem")[name].nunique()) for name in ("descent", "start"))
    for (problem, descent, dtype, start), group in frame.groupby(["problem", "descent", "dtype", "start"], sort=False):
        marks = ((descent, ways[problem] > 1), (f"start {start}", starts[problem] > 1), (dtype, dtype != "float64"))
        names.append(" ".join([str(problem), *(str(mark) for mark, needed in marks if needed)]))
        updates.append(_updates(group))
        rows = {row["spec"]: row for row in group.to_dict("records")}
        for spec, column in columns.items():
            column.append(_descent_time(rows.get(spec)))
    title = "Descents: updates and time (+: ended before its stop rule, or has none)"
    return split_tables(title, names, columns, second={"updates": updates})


def _updates(group: pd.DataFrame) -> str:
    """Return the number of updates over the backends that ran the descent: one number, or a range."""
    ran = group[group["status"] == "ok"]
    counts = sorted(set(ran["iterations"].dropna()))
    goal = "" if ran["converged"].all() else "+"
    return "-".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) + goal if counts else "-"


def _descent_time(row: dict[Hashable, Any] | None) -> str:
    if row is None:
        return ""
    return seconds(float(row["seconds"])) if row["status"] == "ok" else str(row["status"]).replace("_", " ")


def questions(found: pd.DataFrame) -> Iterator[Table]:
    """Yield tables of the questions of the tape study: expected, and each backend's answer (``=`` if equal)."""
    specs = list(dict.fromkeys(found["backend"]))
    for group in side_by_side(dict.fromkeys(specs, _ANSWER), WIDTH - _ASKED):
        table = plain_table("Tape study: answers of each backend (= the expected answer)")
        table.add_column("question", no_wrap=True)
        table.add_column("expected", overflow="fold", max_width=13)
        for spec in group:
            table.add_column(spec.replace(":", "\n:"), overflow="fold")
        for name, asked in found.groupby("question", sort=False):
            rows = asked.to_dict("records")
            answers = {row["backend"]: "=" if row["equal"] else row["convention"] or row["obtained"] for row in rows}
            table.add_row(str(name), str(rows[0]["expected"]), *(str(answers.get(spec, "")) for spec in group))
        yield table
