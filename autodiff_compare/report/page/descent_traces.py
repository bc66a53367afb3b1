"""Traces of a run's descents, rebuilt from ``descents.csv`` and ``steps.csv`` for the figures of the studies.

The tables may come from another machine, so malformed entries are dropped, not raised. The data of a problem is in no
table. It is taken from the problem of that name in this package, but only if its start agrees with the recorded one to
the last bit: otherwise the name belongs to another problem.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from autodiff_compare import problems
from autodiff_compare.plan.cases import cast, rounded
from autodiff_compare.problems import Array, Problem
from autodiff_compare.report.page.grids import Cell, Grid, figure, words
from autodiff_compare.report.page.record import Record
from autodiff_compare.results import formatting
from autodiff_compare.studies.changes import descent_of
from autodiff_compare.studies.tables import StudyTable
from autodiff_compare.studies.trace import Step, Trace
from autodiff_compare.vocabulary import DTYPES, Status


def traces(record: Record) -> dict[str, list[Trace]]:
    """Return problem -> traces of its descents that ran, in the order of the table."""
    steps = record.tables["steps"]
    by_key = dict(list(steps.groupby(["cell_id", "start"], sort=False)))
    found: dict[str, list[Trace]] = {}
    for row in record.tables["descents"].to_dict("records"):
        parts = str(row["cell_id"]).split("/")
        ran = row["status"] == Status.OK and len(parts) >= 5 and parts[2] in DTYPES
        part = by_key.get((row["cell_id"], row["start"]))
        if ran and part is not None:
            found.setdefault(parts[0], []).append(_trace(row, part, parts))
    return found


def known(problem: str, found: Sequence[Trace]) -> Problem | None:
    """Return the problem of that name in this package if all traces are its descents, with their data."""
    same = all(t.data and t.last_point for t in found)
    return problems.available().get(problem) if same else None


def _trace(row: Mapping[Any, Any], steps: pd.DataFrame, parts: Sequence[str]) -> Trace:
    problem, descent, dtype = parts[:3]
    first, last = (_point(str(row[name]), dtype) for name in ("first_point", "last_point"))
    whole = {name: _whole(row[name]) for name in ("iterations", "restarts", "evaluations")}
    return Trace(
        problem=problem, descent=descent, backend="/".join(parts[4:]), dtype=dtype, start=int(row["start"]), **whole,
        converged=bool(row["converged"]), final_loss=float(row["final_loss"]), seconds=float(row["seconds"]),
        message=str(row["message"]), steps=_steps(steps), first_point=first, last_point=last,
        data=_data(problem, descent, dtype, int(row["start"]), first),
    )  # fmt: skip


def _whole(value: Any) -> int:
    return 0 if value is None or value is pd.NA else int(value)


def _steps(frame: pd.DataFrame) -> tuple[Step, ...]:
    columns = (frame[name].tolist() for name in ("iteration", "loss", "step_size", "gradient_norm", "extra"))
    return tuple(Step(n, loss, size, norm, _extra(text)) for n, loss, size, norm, text in zip(*columns, strict=True))


def _extra(text: str) -> Mapping[str, Any]:
    found = _json(text) if text and text != "{}" else {}
    return found if isinstance(found, dict) else {}


def _json(text: str) -> Any:
    """Parse JSON; `None` if the text is malformed."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _point(text: str, dtype: str) -> tuple[Array, ...]:
    found = _json(text) if text else None
    try:
        return tuple(np.asarray(part, dtype=dtype) for part in found) if isinstance(found, list) else ()
    except (ValueError, TypeError, OverflowError):
        return ()


def _data(problem: str, descent: str, dtype: str, start: int, first: Sequence[Array]) -> tuple[Array, ...]:
    """Return the data of the problem in this package; empty if its start is not the recorded one."""
    own = problems.available().get(problem)
    if own is None or not 0 <= start < 2**32:
        return ()
    try:
        inputs = rounded(descent_of(own, descent).start(start), dtype)
    except problems.ProblemError:
        return ()
    same = len(first) == len(inputs.differentiated) and all(
        np.array_equal(a, cast(b, dtype)) for a, b in zip(first, inputs.differentiated, strict=True)
    )
    return tuple(cast(a, dtype) for a in inputs.data) if same else ()


def numbers(trace: Trace, name: str) -> tuple[Array, Array]:
    """Return the iterations and the values of a followed quantity.

    Returns
    -------
    iterations, values
        (steps,) and (steps, numbers); both empty unless every step has as many finite numbers.
    """
    kept = [(s.iteration, s.extra[name]) for s in trace.steps if name in s.extra]
    try:
        rows = np.asarray([row for _, row in kept], dtype=np.float64)
    except (ValueError, TypeError):
        rows = np.empty((0, 0))
    good = rows.ndim == 2 and bool(np.all(np.isfinite(rows)))
    return (np.asarray([n for n, _ in kept]), rows) if good else (np.empty(0), np.empty((0, 0)))


# ---- tables of the studies as tables of the page


def grid(name: str, given: StudyTable, *, fold: bool = False) -> Grid:
    """Convert a table of a study to a table of the page."""
    rows = tuple(tuple(_cell(value) for value in row) for row in given.rows)
    kinds = [[row[k] for row in given.rows] for k in range(len(given.columns))]
    numeric = frozenset(
        k for k, cells in enumerate(kinds) if all(isinstance(c, (int, float)) or c is None for c in cells)
    )
    matrix = all(isinstance(c, np.ndarray) for cells in kinds for c in cells)
    return Grid(name, given.title, given.columns, rows, numeric, given.note, 0 if matrix else 1, matrix, fold)


def _cell(value: Any) -> Cell:
    if value is None:
        return words("-", "dim")
    if isinstance(value, np.ndarray):
        return Cell("  ".join(f"{v:8.4f}" if 1e-3 <= abs(v) < 1e4 or v == 0 else f"{v:8.1e}" for v in value), code=True)
    return (
        figure(float(value), formatting.number(float(value))) if isinstance(value, (int, float)) else words(str(value))
    )
