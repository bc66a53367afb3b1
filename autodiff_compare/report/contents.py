"""Contents of the report of one run: its sections in order, and the full tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from autodiff_compare.charts.looks import Looks, backend_looks
from autodiff_compare.report.page import style, wording
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.report.page.grids import Data, Grid, words
from autodiff_compare.report.page.page import Page, Section
from autodiff_compare.report.page.record import Record
from autodiff_compare.report.sections import (
    conventions,
    costs,
    explorer,
    fuzz,
    graph,
    overview,
    profile,
    questions,
    robot_arms,
    rounds,
    studies,
)
from autodiff_compare.results import formatting
from autodiff_compare.results.formatting import printable
from autodiff_compare.results.rows import Run
from autodiff_compare.results.tables import column_types
from autodiff_compare.summary.run import sentence
from autodiff_compare.vocabulary import Operator

#: Most rows of a full table; further rows are only in the CSV file, since they would make the page slow to open.
_MOST_ROWS = 50_000
#: Tables of raw rows -> digits of their numbers on the page, and columns that are only in the CSV file.
_RAW: Mapping[str, tuple[int, tuple[str, ...]]] = {"samples": (6, ()), "steps": (6, ("extra",))}
#: First columns of the full table of cells; the others follow in the order of the file.
_CELL_COLUMNS = (
    "problem", "size", "where", "dtype", "operator", "spec", "how", "status", "message", "median_s", "ci_low_s",
    "ci_high_s", "ratio_to_fastest", "versus_fastest", "ratio_to_value", "setup_s", "error_eps", "reference",
)  # fmt: skip
#: Columns of ``machines.csv`` beside those of ``runs.csv`` -> what an empty one is called.
_OF_MACHINES = {"key": "unknown", "cpu_id": "unknown", "affinity": "unknown", "accelerators": "none"}
#: Columns left out of it, since other columns have the same information.
_HIDDEN = frozenset({"run_id", "cell_id", "backend", "variant", "leading", "n", "axis", "error", "machine"})


def page(record: Record) -> Page:
    """Return the page of one run."""
    looks = backend_looks(record.specs)
    parts = [
        Section("failures", "Failures", parts=_failures(record)),
        *explorer.sections(record),
        Section("overview", "Overview", parts=_overview(record, looks)),
        Section("studies", "Studies", parts=tuple(_studies(record, looks))),
        *conventions.sections(record),
        *fuzz.sections(record),
        Section("problems", "Each problem", parts=tuple(_problems(record, looks))),
        Section(
            "together",
            "All problems",
            parts=(*costs.comparisons(record, looks), *overview.pairs(record)),
        ),
        Section(
            "rounds",
            "Rounds and flags",
            parts=(*rounds.pictures(record, style.backend_styles(record.specs)), overview.flags(record)),
        ),
        Section("what", "Run and machine", parts=(*provenance([record]), overview.imports(record))),
        Section("tables", "Full tables", parts=tuple(full(record))),
    ]
    kept = [section for section in map(_kept, parts) if section.parts]
    title, judged = f"Run {record.name}", bool(len(record.cells) + len(record.tables["descents"]))
    return Page(title, found(record), overview.faults(record), kept, overview.gaps(record), judged)


def found(record: Record) -> str:
    """Return the result of the run in a sentence."""
    words = sentence.result({**record.tables, "cells": record.cells}, record.folder)
    return f"{words[0].upper()}{words[1:]}"


def _kept(section: Section) -> Section:
    """Return the section without its empty tables."""
    return replace(section, parts=tuple(p for p in section.parts if p))


def _failures(record: Record) -> tuple[Any, ...]:
    grid = overview.failures(record)
    if grid:
        return (grid,)
    if len(record.cells):
        return ("Every cell is right and every descent ran.",)
    return ("Every descent ran.",) if len(record.tables["descents"]) else ()


def _overview(record: Record, looks: Looks) -> tuple[Any, ...]:
    folded = [replace(grid, fold=True) for grid in overview.all_operators(record)]
    tables = (*overview.overviews(record), overview.kinks(record), overview.converted(record))
    return (*tables, *folded, *profile.pictures(record, looks))


def _studies(record: Record, looks: Looks) -> Iterator[Section | Grid]:
    yield overview.descents(record)
    yield from studies.sections(record, looks)
    yield from robot_arms.sections(record)
    yield from questions.sections(record)
    yield from graph.sections(record)


def _problems(record: Record, looks: Looks) -> Iterator[Section]:
    for k, (problem, cells) in enumerate(record.cells.groupby("problem", sort=False), 1):
        parts = tuple(_problem(f"p{k}", str(problem), cells, looks))
        yield Section(f"problem-{k}", str(problem), parts=parts, fold=True)


def _problem(name: str, problem: str, cells: pd.DataFrame, looks: Looks) -> Iterator[Chart | Grid]:
    several = cells["dtype"].nunique() > 1
    for dtype in cells["dtype"].unique():
        group = cells[(cells["dtype"] == dtype) & cells["leading"]]
        operator, largest = str(group["operator"].iloc[0]), costs.largest_size(group)
        what = f"{problem} {operator}" + (f" {dtype}" if several else "")
        slug = wording.slug(name, problem, str(dtype))
        chart = costs.break_even(f"{slug}-calls", f"{what}, {largest['where'].iloc[0]}", largest, looks)
        if chart:
            yield chart
        yield from costs.scaling(slug, what, group, looks)
        series = cells[(cells["dtype"] == dtype) & (cells["operator"] == Operator.TAYLOR) & ~cells["leading"]]
        yield from costs.scaling(f"{slug}-taylor", what.replace(operator, str(Operator.TAYLOR), 1), series, looks)
    yield overview.details(cells, name, f"All {wording.plural(len(cells), 'cell')} of {problem}")


def provenance(records: Sequence[Record]) -> Iterator[Grid]:
    """Yield the table of command, machine and versions, with a column for each run."""
    facts = {
        name.removesuffix("_bytes").replace("_", " "): [_fact(r, name) for r in records] for name in column_types(Run)
    }
    for hidden in ("run id", "schema version", "versions"):
        del facts[hidden]
    facts |= {
        name.replace("_", " "): [getattr(r.machine, name) or unknown for r in records]
        for name, unknown in _OF_MACHINES.items()
    }
    versions = list(dict.fromkeys(n for r in records for n in r.versions))
    facts |= {printable(n): [printable(r.versions.get(n, "absent")) for r in records] for n in versions}
    rows = tuple((words(fact), *(words(v) for v in values)) for fact, values in facts.items())
    title = "Command, machine and versions"
    yield Grid("run", title, ("property", *(r.name for r in records)), rows)


def _fact(record: Record, name: str) -> str:
    value = getattr(record.run, name)
    if name == "memory_bytes" and value is not None:
        return formatting.size(float(value))
    return "unknown" if value is None or value == "" else str(value)


# ---- full tables


def full(record: Record) -> Iterator[Data]:
    """Yield every table of the run; those of raw rows are abridged.

    The column ``machine`` is only in the CSV files: the page is of one machine.
    """
    yield data(
        "cells", cell_table(record), "One row for each cell, with its timing and its largest error.", "cells.csv"
    )
    for name, frame in record.tables.items():
        if len(frame) and name not in {"runs", "machines", "cells", *_RAW}:
            yield data(name, frame.drop(columns="machine"), file=f"{name}.csv")
    if len(record.rounds):
        yield data("rounds", record.rounds, "The median of each steady round, computed from samples.csv.")
    for name, (digits, left) in _RAW.items():
        frame = record.tables[name]
        if len(frame):
            yield data(name, _rounded(frame, digits).drop(columns=[*left, "machine"]), _abridged(name, digits, left),
                       f"{name}.csv")  # fmt: skip


def _rounded(frame: pd.DataFrame, digits: int) -> pd.DataFrame:
    changed = {c: frame[c].map(lambda v: float(f"{v:.{digits}g}")) for c in frame.columns[frame.dtypes == "float64"]}
    return frame.assign(**changed)


def _abridged(name: str, digits: int, left: Sequence[str]) -> str:
    without = f" and the column {formatting.listed(left)}" if left else ""
    return f"Rounded to {digits} digits; {name}.csv has all of them{without}."


def cell_table(record: Record) -> pd.DataFrame:
    """Return the cells with their timings and errors."""
    rest = [c for c in record.cells.columns if c not in {*_CELL_COLUMNS, *_HIDDEN}]
    return record.cells[[*_CELL_COLUMNS, *rest]].rename(columns={"spec": "backend", "where": "size in numbers"})


def data(name: str, frame: pd.DataFrame, note: str = "", file: str = "") -> Data:
    """Convert a frame to a full table of the page."""
    numeric = [kind.kind in "fi" for kind in frame.dtypes]
    if len(frame) > _MOST_ROWS:
        cut = f"The first {wording.count(_MOST_ROWS)} of {wording.count(len(frame))} rows, to keep the page small."
        note = f"{note} {cut}".strip()
    columns = [_values(frame[column].iloc[:_MOST_ROWS]) for column in frame.columns]
    return Data(name, f"{name} ({wording.plural(len(frame), 'row')})", list(frame.columns), numeric,
                list(zip(*columns, strict=True)), note, file)  # fmt: skip


def _values(column: pd.Series) -> list[Any]:
    """Return the values of a column for JSON: missing values as `None`, infinities as text."""
    if column.dtype.kind == "f":
        return [None if math.isnan(v) else str(v) if math.isinf(v) else v for v in column.tolist()]
    return [None if v is pd.NA else v for v in column.tolist()]
