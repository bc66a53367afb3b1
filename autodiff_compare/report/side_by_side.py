"""Report of several records side by side: two machines, two versions or two states of the code.

Times are divided only between runs on equal machines (`autodiff_compare.report.page.record.comparable`); the machines
of one run, and of others, stand beside each other without a ratio.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.dots import dots
from autodiff_compare.charts.looks import Looks, backend_looks
from autodiff_compare.report import contents
from autodiff_compare.report.page import wording
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.report.page.grids import Cell, Grid, figure, words
from autodiff_compare.report.page.page import Page, Section
from autodiff_compare.report.page.record import Record, comparable
from autodiff_compare.report.sections import overview, profile
from autodiff_compare.results import formatting
from autodiff_compare.results.frames.relative import without_doubt
from autodiff_compare.results.frames.tidy import right_and_timed
from autodiff_compare.results.machines import titles
from autodiff_compare.results.provenance import HARDWARE, SOFTWARE, differences
from autodiff_compare.results.timings import doubtful
from autodiff_compare.summary.run.sentence import sentence
from autodiff_compare.vocabulary import Status

#: Columns of ``machines.csv`` and of ``runs.csv`` in which runs are compared.
_OF_MACHINES, _OF_RUNS = (*HARDWARE, *SOFTWARE), ("threads", "seed", "code")


def page(records: Sequence[Record]) -> Page:
    """Return the page of several runs, or of one run on several machines."""
    looks = backend_looks(s for r in records for s in r.specs)
    sections = [
        Section("failures", "Failures", parts=tuple(_failures(records))),
        Section("differences", "Differences", parts=tuple(_differences(records))),
        Section("overview", "Side by side", parts=(*beside(records), *_only(records), *_changes(records, looks))),
        Section("machines", "Each machine", parts=tuple(_machines(records))),
        Section("profiles", "Performance profiles", parts=tuple(_profiles(records, looks))),
        Section("what", "Runs and machines", parts=tuple(contents.provenance(records))),
        Section("tables", "Full tables", parts=(_all_cells(records),)),
    ]
    found = " ".join(
        f"{r.name}: {sentence(r.cells, r.tables['checks'], r.tables['timings'])}" for r in records if len(r.cells)
    )
    faults = [f"{r.name}: {words_}" for r in records for words_ in overview.faults(r)]
    gaps = [f"{r.name}: {words_}" for r in records for words_ in overview.gaps(r)]
    return Page(_title(records), found, faults, [s for s in sections if any(s.parts)], gaps)


def _title(records: Sequence[Record]) -> str:
    """Return the heading of the page."""
    runs = list(dict.fromkeys(r.folder.name for r in records))
    if len(runs) == 1:
        return f"Run {runs[0]} on {len(records)} machines"
    machines = f" on {len(records)} machines" if len(records) > len(runs) else ""
    return f"{len(runs)} runs{machines} side by side"


def folder_name(records: Sequence[Record]) -> str:
    """Return the name of the report's folder: the names of the runs, or a digest if that is too long for a file."""
    names = dict.fromkeys(re.sub(r"[^A-Za-z0-9_-]+", "-", r.folder.name).strip("-") for r in records)
    name = "_and_".join(names)
    return name if len(name) <= 120 else f"{len(records)}_runs_{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _failures(records: Sequence[Record]) -> list[Any]:
    parts: list[Any] = []
    for k, r in enumerate(records):
        grid = overview.failures(r)
        title = f"{r.name}: {grid.title[0].lower()}{grid.title[1:]}"
        if grid:
            parts.append(replace(grid, name=f"{grid.name}-{k}", title=title))
        else:
            parts.append(f"{r.name}: nothing failed.")
    return parts


def _differences(records: Sequence[Record]) -> list[str]:
    """Return the differences of each run from the first one, in words."""
    found = []
    for other in records[1:]:
        apart = differences(records[0].machine, other.machine, _OF_MACHINES)
        words_ = "; ".join([*apart, *differences(records[0].run, other.run, _OF_RUNS)])
        found.append(f"{records[0].name} and {other.name} differ in: {words_}." if words_ else
                     f"{records[0].name} and {other.name} have the same machine, versions and code.")  # fmt: skip
    return found


def _machines(records: Sequence[Record]) -> Iterator[Grid | str]:
    """Yield the overview of each machine of a run on several: their cells stand in no common table."""
    for run, folder in enumerate(dict.fromkeys(r.folder for r in records)):
        own = [r for r in records if r.folder == folder]
        for k, r in enumerate(own if len(own) > 1 else (), 1):
            title = titles([r.machine], [r.machine.key])[r.machine.key].partition(": ")[2]
            page_ = f"{folder.name}/machine-{k}/report.html"
            yield f"{r.name}: {title}. Times are compared within it. Its whole page is {page_}."
            for grid in overview.overviews(r):
                yield replace(grid, name=f"{grid.name}-{run}-{k}", title=f"{grid.title}: {r.name}")


def beside(records: Sequence[Record]) -> list[Grid]:
    """Return for each dtype the leading operators that two or more runs have: time, error, ratio to the first run."""
    cells = pd.concat([r.cells.assign(place=k) for k, r in enumerate(records)], ignore_index=True)
    shared = cells[cells["leading"] & cells.duplicated("cell_id", keep=False)]
    divided = [k for k, r in enumerate(records) if comparable(records[0], r)]
    numbers = [f"{records[k].name} / {records[0].name}" for k in divided]
    columns = ("problem", "backend", *(r.name for r in records), *numbers)
    numeric = frozenset(range(2, len(columns)))
    note = "Time of one steady call, with the error below."
    if divided:
        note += (
            " Ratio: relative to the first run; 'differs' if the 95 % intervals do not overlap and neither time is "
            "flagged. Different runs share no rounds, so this is no proof: compare.py diff is stricter."
        )
    if len(divided) < len(records) - 1:
        note += " There is no ratio between different machines."
    found = []
    for dtype in shared["dtype"].unique():
        groups = shared[shared["dtype"] == dtype].groupby("cell_id", sort=False)
        rows = tuple(_row([*group.to_dict("records")], len(records), divided) for _, group in groups)
        title = f"One call in each run, {dtype}"
        found.append(Grid(f"beside-{dtype}", title, columns, rows, numeric, note, heads=2))
    return found


def _row(cells: Sequence[dict[Any, Any]], runs: int, divided: Sequence[int]) -> tuple[Cell, ...]:
    by_place = {int(row["place"]): row for row in cells}
    first, what = by_place.get(0), cells[0]
    head = words(str(what["problem"]), small=(f"{what['operator']}, {what['size']}: {what['where']}",))
    times = (_time(by_place.get(k)) for k in range(runs))
    return (head, words(str(what["spec"])), *times, *(_ratio(first, by_place.get(k)) for k in divided))


def _time(row: dict[Any, Any] | None) -> Cell:
    if row is None:
        return Cell("not run", key=math.inf, kind="dim")
    plain = overview.cell(row)
    if row["status"] != Status.OK or math.isnan(row["median_s"]):
        return plain
    error = "at a kink" if row["kink"] else f"error {formatting.eps(row['error_eps'])}"
    return Cell(wording.seconds(row["median_s"]), (error,), row["median_s"], plain.kind, plain.hint)


def _ratio(first: dict[Any, Any] | None, row: dict[Any, Any] | None) -> Cell:
    """Return the time relative to that of the first run, if both have one."""
    if first is None or row is None or not (first["status"] == row["status"] == Status.OK and first["median_s"] > 0):
        return figure(math.nan, "-")
    ratio = row["median_s"] / first["median_s"]
    apart = first["ci_high_s"] < row["ci_low_s"] or row["ci_high_s"] < first["ci_low_s"]
    apart = apart and not any(doubtful(str(cell["flags"])) for cell in (first, row))
    return figure(ratio, formatting.ratio(ratio), small=("differs",) if apart else ())


def _only(records: Sequence[Record]) -> list[str]:
    """Return the cells that only one of the runs has, in words."""
    found = []
    for r in records:
        others = {c for other in records if other is not r for c in other.cells["cell_id"]}
        own = r.cells[~r.cells["cell_id"].isin(others)]
        if len(own):
            found.append(
                f"Only in {r.name}: {wording.plural(len(own), 'cell')} of {formatting.listed(own['problem'])}."
            )
    return found


def _changes(records: Sequence[Record], looks: Looks) -> list[Chart]:
    """Return a chart for each later run on an equal machine: the time of every common cell relative to the first."""
    found = []
    for k, other in enumerate(records[1:], 1):
        common = _common(records[0], other)
        if len(common) and comparable(records[0], other):
            title = f"Times of {wording.label(other.name)} relative to {wording.label(records[0].name)}"
            words_ = _change_words(without_doubt(common), records[0], other)
            found.append(Chart(f"change-{k}", title, words_, _change_chart(title, common, looks)))
    return found


def _common(a: Record, b: Record) -> pd.DataFrame:
    """Return the cells that both runs timed, with the flags of both."""
    columns = ["cell_id", "problem", "operator", "where", "spec", "median_s", "flags"]
    other = right_and_timed(b.cells)[["cell_id", "median_s", "flags"]]
    both = right_and_timed(a.cells)[columns].merge(other, on="cell_id", suffixes=("_a", "_b"))
    return both.assign(ratio=both["median_s_b"] / both["median_s_a"], flags=both["flags_a"] + " " + both["flags_b"])


def _change_words(common: pd.DataFrame, a: Record, b: Record) -> str:
    if common.empty:
        return "No change is stated: 0 of the common cells are without a flag."
    middle = common["ratio"].median()
    per = common.groupby("spec", sort=False)["ratio"].median()
    words_ = formatting.listed(f"{spec} {formatting.ratio(value)}" for spec, value in per.items())
    return (
        f"Over {wording.plural(len(common), 'common cell')} without a flag, {b.name} takes {formatting.ratio(middle)} "
        f"the time of {a.name} in the median; by backend: {words_}. Each marker is one operator and size of a problem; "
        f"right of 1, {b.name} is slower."
    )


def _change_chart(title: str, common: pd.DataFrame, looks: Looks) -> Json:
    rows = [
        {"series": row["spec"], "name": row["problem"], "ratio": float(row["ratio"]),
         "flags": str(row["flags"]).strip(),
         "what": f"{row['operator']}, {row['where']}", "words": formatting.ratio(row["ratio"]),
         "first": wording.seconds(row["median_s_a"]), "later": wording.seconds(row["median_s_b"])}
        for row in common.to_dict("records")
    ]  # fmt: skip
    return dots(
        title, rows, list(dict.fromkeys(common["problem"])), Axis("ratio", "time relative to the first run", "ratio"),
        {s: look for s, look in looks.items() if s in set(common["spec"])}, line=(1.0, "no change"),
        hints=(("series", "backend"), ("name", "problem"), ("what", "cell"), ("first", "first run"),
               ("later", "later run"), ("words", "ratio"), ("flags", "flags")),
    )  # fmt: skip


def _profiles(records: Sequence[Record], looks: Looks) -> list[Chart]:
    return [
        replace(chart, sentence=f"{r.name}: {chart.sentence}")
        for k, r in enumerate(records)
        for chart in profile.pictures(r, looks, f"run {k + 1}")
    ]


def _all_cells(records: Sequence[Record]) -> Any:
    frames = [contents.cell_table(r).assign(run=r.name) for r in records]
    frame = pd.concat(frames, ignore_index=True)
    return contents.data("cells", frame[["run", *frame.columns.drop("run")]])
