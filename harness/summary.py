"""The summary: what a person reads in the terminal after a run, made from the CSV files alone."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.ratios import Group, in_words, ratios
from harness.tables import CellRow, SampleRow, read_all, rows_from

_STYLES = {"ok": "green", "wrong": "bold red", "unsupported": "yellow", "not_installed": "dim"}
#: Flag -> what it means for a reader.
FLAGS = {
    "noisy": "noisy: the middle half of the rounds spreads over more than 10 % of the median",
    "contended": "contended: over 5 % of the time spent waiting for a processor; other load on this machine",
    "drift": "drift: faster or slower from round to round",
    "retraced": "retraced: the function was traced again while it was timed",
    "threads": "threads: more were busy than --threads says",
    "cut": "cut: fewer rounds than asked for, the --budget was spent",
}
#: So many backends stand side by side in 80 columns.
_ABREAST = 5
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def show(folder: pathlib.Path, console: Console) -> None:
    """Print the tables of a run, at most 80 columns wide, and one sentence that says what was found."""
    tables = read_all(folder)
    cells, timings = tables["cells"], tables["timings"]
    for dtype in cells["dtype"].unique():
        for part in _side_by_side(cells[cells["dtype"] == dtype]):
            console.print(_overview(part, tables["checks"], timings, str(dtype)))
    by_hand = ratios(rows_from(cells, CellRow), rows_from(tables["samples"], SampleRow))
    if by_hand:
        console.print(_by_hand(by_hand))
    failures = cells[~cells["status"].isin(["ok"])]
    if len(failures):
        console.print(_failures(failures))
    if len(tables["descents"]):
        console.print(_descents(tables["descents"]))
    if len(tables["questions"]):
        console.print(_questions(tables["questions"]))
    if cells["flags"].any():
        console.print(_care(cells))
    console.print()
    console.print(sentence(cells, tables["checks"], timings))


def sentence(cells: pd.DataFrame, checks: pd.DataFrame, timings: pd.DataFrame) -> str:
    """What was found, in words."""
    counts = cells["status"].value_counts()
    ok, total = int(counts.get("ok", 0)), len(cells)
    right = checks[checks["cell_id"].isin(cells.loc[cells["status"] == "ok", "cell_id"])]
    worst = right["norm_rel_error"].max() if len(right) else math.nan
    parts = [f"{ok} of {total} cells agree with their references"]
    if not math.isnan(worst):
        parts[0] += f" (largest relative error {worst:.1e})"
    parts += [f"{int(n)} {str(status).replace('_', ' ')}" for status, n in counts.items() if status != "ok"]
    steady = timings[(timings["phase"] == "steady") & timings["cell_id"].isin(cells["cell_id"])]
    if len(steady):
        wins = cells.set_index("cell_id").loc[steady.loc[steady["versus_fastest"] == "fastest", "cell_id"]]
        shares = (wins["backend"] + wins["variant"].map(lambda v: f":{v}" if v else "")).value_counts()
        parts.append("fastest most often: " + ", ".join(f"{name} {int(n)}" for name, n in shares.items()))
    return "; ".join(parts) + "."


def effort(measured_s: float, wall_s: float) -> str:
    """How long a run took and how much of that the clock was running."""
    return f"{wall_s:.0f} s, {measured_s / wall_s:.0%} of it inside timed calls"


def plain_table(title: str, *, header: bool = True) -> Table:
    """A table without frames, which cost a quarter of 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="dim",
        show_header=header,
        min_width=len(title),
    )


def seconds(value: float) -> str:
    """A duration with three digits and its unit: ``1.25 ms``."""
    if math.isnan(value):
        return "-"
    scale, unit = next(((s, u) for s, u in _UNITS if value >= s), _UNITS[-1])
    return f"{value / scale:.3g} {unit}"


def _side_by_side(cells: pd.DataFrame) -> list[pd.DataFrame]:
    """The cells of as many backends as stand side by side in 80 columns, those of one framework together."""
    specs = _specs(cells)
    names = list(dict.fromkeys(specs))
    if len(names) <= _ABREAST:
        return [cells]
    parts = math.ceil(len(names) / _ABREAST)
    each = math.ceil(len(names) / parts)
    chosen = [set(names[k : k + each]) for k in range(0, len(names), each)]
    return [cells[[spec in group for spec in specs]] for group in chosen]


def _overview(cells: pd.DataFrame, checks: pd.DataFrame, timings: pd.DataFrame, dtype: str) -> Table:
    """Problem by backend: steady time of a gradient or Jacobian; ``~`` where not proved slower than the fastest."""
    steady = timings[timings["phase"] == "steady"].set_index("cell_id")
    errors = checks.groupby("cell_id")["norm_rel_error"].max()
    specs = list(dict.fromkeys(_specs(cells)))
    table = plain_table(f"One gradient (Jacobian: J) call, {dtype}: * fastest, ~ not proved slower")
    table.add_column("problem", overflow="fold")
    for spec in specs:
        table.add_column(spec.replace(":", "\n:"), justify="right", overflow="fold")
    table.add_column("error", justify="right", no_wrap=True)
    for (problem, size), group in cells.groupby(["problem", "size"], sort=False):
        operator = _leading(list(group["operator"].unique()))
        rows = group[group["operator"] == operator]
        shown = dict(zip(_specs(rows), (_cell(row, steady) for row in rows.itertuples()), strict=True))
        worst = errors.reindex(rows["cell_id"]).max()
        name = str(problem) + (" J" if operator == "jacobian" else "") + ("" if size == "small" else f" ({size})")
        table.add_row(name, *(shown.get(s, Text("")) for s in specs), f"{worst:.0e}")
    return table


def _leading(operators: Sequence[str]) -> str:
    """The operator that stands for a problem in the overview."""
    return next((o for o in ("gradient", "jacobian") if o in operators), operators[0])


def _cell(row: object, steady: pd.DataFrame) -> Text:
    status, cell_id = row.status, row.cell_id  # type: ignore[attr-defined]
    if status != "ok" or cell_id not in steady.index:
        return Text(status.replace("_", " "), style=_STYLES.get(status, "red"))
    timing = steady.loc[cell_id]
    mark = {"fastest": "*", "~": "~"}.get(timing["versus_fastest"], " ")
    return Text(seconds(float(timing["median_s"])) + mark, style="bold" if mark == "*" else "")


def _specs(cells: pd.DataFrame) -> list[str]:
    return [f"{b}:{v}" if v else b for b, v in zip(cells["backend"], cells["variant"], strict=True)]


def _by_hand(found: Mapping[Group, Mapping[str, float]]) -> Table:
    """Each group, with the time of each backend over that of the closed form."""
    specs = list(dict.fromkeys(spec for row in found.values() for spec in row))
    table = plain_table("Time over what is written by hand in NumPy (manual = 1)")
    table.add_column("problem", overflow="fold")
    for spec in specs:
        table.add_column(spec.replace(":", "\n:"), justify="right", overflow="fold")
    for (problem, size, dtype, operator), row in found.items():
        marks = [m for m, usual in ((operator, "gradient"), (size, "small"), (dtype, "float64")) if m != usual]
        words = problem + (f" ({', '.join(marks)})" if marks else "")
        table.add_row(words, *(in_words(row[spec]) if spec in row else "" for spec in specs))
    return table


def _failures(failures: pd.DataFrame) -> Table:
    """One row per distinct failure: backend, status, how many cells, which operators, why."""
    table = plain_table("What is not ok")
    for name in ("problem", "backend", "operators", "why"):
        table.add_column(name, overflow="fold")
    keys = ["problem", "backend", "variant", "status", "message"]
    for key, group in failures.groupby(keys, sort=False):
        problem, backend, variant, status, message = map(str, key)
        spec = f"{backend}:{variant}" if variant else backend
        operators = ", ".join(dict.fromkeys(group["operator"]))
        table.add_row(problem, spec, operators, f"{status}: {message}" if message else status)
    return table


def _descents(descents: pd.DataFrame) -> Table:
    """Updates until the stop rule, and how long they took."""
    table = plain_table("Descents: updates and their time (+ not at its goal yet: descend goes on)")
    table.add_column("problem", overflow="fold")
    parts = descents["cell_id"].str.rsplit("/", n=4, expand=True)
    specs = list(dict.fromkeys(parts[4]))
    for spec in specs:
        table.add_column(spec, justify="right", overflow="fold")
    for (problem, dtype), group in descents.groupby([parts[0], parts[2]], sort=False):
        rows = {str(row["cell_id"]).rpartition("/")[2]: row for row in group.to_dict("records")}
        words = str(problem) + ("" if dtype == "float64" else f" {dtype}")
        table.add_row(words, *(_descended(rows.get(spec)) for spec in specs))
    return table


def _descended(row: dict[Hashable, Any] | None) -> str:
    if row is None:
        return ""
    if row["status"] != "ok":
        return str(row["status"]).replace("_", " ")
    return f"{row['iterations']}{'' if row['converged'] else '+'} {seconds(float(row['seconds']))}"


def _care(cells: pd.DataFrame) -> Table:
    """Each flag in words, with how many timings of which backends have it."""
    table = plain_table("Timings to read with care")
    for name in ("why", "cells", "backends"):
        table.add_column(name, overflow="fold", justify="right" if name == "cells" else "left")
    specs, sets = pd.Series(_specs(cells), index=cells.index), cells["flags"].str.split()
    for flag, words in FLAGS.items():
        having = sets.map(lambda flags, flag=flag: flag in flags)
        if having.any():
            table.add_row(words, f"{having.sum()} of {len(cells)}", ", ".join(dict.fromkeys(specs[having])))
    return table


def _questions(questions: pd.DataFrame) -> Table:
    """Asked, expected, and each backend's answer: ``=``, or what it does instead."""
    specs = list(dict.fromkeys(questions["backend"]))
    table = plain_table("Questions to a tape (= as expected)")
    table.add_column("question", no_wrap=True)
    table.add_column("expected", overflow="fold", max_width=13)
    for spec in specs:
        table.add_column(spec, overflow="fold")
    for name, group in questions.groupby("question", sort=False):
        rows = group.to_dict("records")
        answers = {row["backend"]: "=" if row["equal"] else row["convention"] or row["obtained"] for row in rows}
        table.add_row(str(name), str(rows[0]["expected"]), *(str(answers.get(spec, "")) for spec in specs))
    return table
