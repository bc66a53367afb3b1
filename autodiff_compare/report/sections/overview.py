"""The first tables of the page: failures, flags, times and errors of all cells, answers at kinks, descents."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from autodiff_compare.report.page import wording
from autodiff_compare.report.page.grids import Cell, Grid, figure, words
from autodiff_compare.report.page.record import Record, largest
from autodiff_compare.results import formatting
from autodiff_compare.results.timings import doubtful
from autodiff_compare.summary import headings
from autodiff_compare.summary.run import conversions
from autodiff_compare.summary.run.failures import remedies
from autodiff_compare.summary.run.flags import FLAGS
from autodiff_compare.summary.run.kinks import at_kinks
from autodiff_compare.timing.statistics import CONTENDED
from autodiff_compare.vocabulary import Phase, Status

#: Status -> its words, if they are not the status itself.
_STATUS = {"not_installed": "not installed", "out_of_memory": "out of memory", "not_run": "not run"}
_ENDED = {
    "wrong": "wrong", "error": "ended in an error", "timeout": "timed out", "crash": "crashed",
    "out_of_memory": "ran out of memory", "not_run": "were not tried",
}  # fmt: skip
_GAPS = ("unsupported", "not_installed")
_KINDS = {"ok": "", "unsupported": "dim", "not_installed": "dim"}


def failures(record: Record) -> Grid:
    """Return one row for each distinct failure of cells and descents: backend, status, reason, place."""
    cells, descents = record.cells, record.tables["descents"]
    rows = [*_failed_cells(cells[cells["status"] != Status.OK]), *_failed_descents(descents)]
    return Grid(
        "failures-table", "Failures and missing results, with the reason",
        ("backend", "status", "why", "problem", "what", "cells"), tuple(rows), numeric=frozenset({5}),
        note=" ".join(remedies([*cells["status"], *descents["status"]], [*cells["message"], *descents["message"]])),
    )  # fmt: skip


def _failed_cells(failed: pd.DataFrame) -> Iterator[tuple[Cell, ...]]:
    keys = ["spec", "status", "message"]
    order = {s: k for k, s in enumerate(("wrong", "crash", "timeout", "out_of_memory", "error", "not_run"))}
    ordered = failed.assign(rank=failed["status"].map(order).fillna(9)).sort_values("rank", kind="stable")
    for (spec, status, message), group in ordered.groupby(keys, sort=False):
        yield (
            words(str(spec)),
            words(_STATUS.get(str(status), str(status)), kind=_KINDS.get(str(status), "bad")),
            words(str(message), long=True),
            words(formatting.listed(group["problem"])),
            words(f"{formatting.listed(group['operator'])}; {formatting.listed(group['dtype'])}"),
            figure(len(group), wording.count(len(group))),
        )


def _failed_descents(descents: pd.DataFrame) -> Iterator[tuple[Cell, ...]]:
    for row in descents[descents["status"] != Status.OK].to_dict("records"):
        problem, _, rest = str(row["cell_id"]).partition("/")
        what, _, spec = rest.rpartition("/")
        status = str(row["status"])
        yield (
            words(spec), words(_STATUS.get(status, status), kind=_KINDS.get(status, "bad")),
            words(str(row["message"]), long=True), words(problem), words(f"descent {what}, start {row['start']}"),
            figure(1, "1"),
        )  # fmt: skip


def flags(record: Record) -> Grid:
    """Return one row for each flag: its meaning, the number of cells that have it, their backends."""
    cells, rows = record.cells, []
    sets = cells["flags"].str.split()
    for flag, meaning in FLAGS.items():
        having = cells[[flag in found for found in sets]]
        if len(having):
            share = f"{len(having)} of {len(cells)}"
            who = formatting.listed(f"{spec} ({n})" for spec, n in having["spec"].value_counts(sort=True).items())
            rows.append((words(flag), words(meaning.partition(": ")[2]), figure(len(having), share), words(who)))
    return Grid("flags", "Flagged times, to be read with care", ("flag", "meaning", "cells", "backends"), tuple(rows),
                numeric=frozenset({2}))  # fmt: skip


def converted(record: Record) -> Grid:
    """Return one row for each conversion of a framework's own derivative by complex numbers."""
    rows = [
        (words(what), words(formatting.listed(operators)), words(formatting.listed(specs)))
        for what, operators, specs in conversions.rows(record.cells)
    ]
    return Grid("conversions", conversions.TITLE, conversions.COLUMNS, tuple(rows))


def overviews(record: Record) -> list[Grid]:
    """Return for each dtype a table of problem by backend, with the leading operator of each problem."""
    cells = record.cells
    return [
        _overview(
            record, cells[(cells["dtype"] == dtype) & cells["leading"]], f"overview-{dtype}", _title(cells, dtype)
        )
        for dtype in cells["dtype"].unique()
    ]


def kinks(record: Record) -> Grid:
    """Return the answers at points without a derivative, with the backends that gave them."""
    rows = tuple(tuple(words(text) for text in row) for row in at_kinks(record.cells, record.tables["checks"]))
    note = "A kink has no derivative. Each of these answers is a subgradient, and right; systems choose differently."
    return Grid("kinks", "Answers at kinks", ("what", "backends", "answer"), rows, note=note)


def all_operators(record: Record) -> list[Grid]:
    """Return for each dtype a table of problem and operator by backend, if there are several operators."""
    cells = record.cells
    return [
        _overview(record, cells[cells["dtype"] == dtype], f"operators-{dtype}", f"Every operator, {dtype}")
        for dtype in cells["dtype"].unique()
        if not cells.loc[cells["dtype"] == dtype, "leading"].all()
    ]


def _title(cells: pd.DataFrame, dtype: Any) -> str:
    names = formatting.listed(cells.loc[(cells["dtype"] == dtype) & cells["leading"], "operator"])
    return f"Time and error of one call ({names}), {dtype}"


def _overview(record: Record, cells: pd.DataFrame, name: str, title: str) -> Grid:
    specs = [s for s in record.specs if s in set(cells["spec"])]
    longest = cells["ratio_to_fastest"].max()
    rows = []
    for (problem, size, operator), group in cells.groupby(["problem", "size", "operator"], sort=False):
        by_spec = {str(row["spec"]): row for row in group.to_dict("records")}
        found = [cell(by_spec[s], longest) if s in by_spec else words("not asked", "dim", key=math.inf) for s in specs]
        where = f"{operator}, {size}: {group['where'].iloc[0]}"
        rows.append((words(str(problem), small=(where,)), *_ranked(found)))
    columns = ("problem", *(headings.heading(s).replace("\n:", ":").replace("\n", " ") for s in specs))
    return Grid(name, title, columns, tuple(rows), frozenset(range(1, len(columns))), _reading(cells), ranked=True)


def _ranked(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells with their places, the fastest first, and those without a ratio last."""
    keys = [float(found.key or 0.0) for found in cells]
    order = sorted(range(len(cells)), key=lambda k: (math.inf if math.isnan(keys[k]) else keys[k], k))
    return [replace(found, rank=order.index(k) + 1) for k, found in enumerate(cells)]


def _reading(cells: pd.DataFrame) -> str:
    ways = headings.legend(cells["spec"].unique()).strip().removesuffix(";").replace("; ", ". ")
    how = (f"{ways}. " if ways else "") + (
        "A cell is one problem, size, dtype, operator and backend. Its error is the largest one against its best "
        "reference, in units of eps, the machine epsilon of the dtype (one rounding)."
    )
    if not cells["median_s"].notna().any():
        return f"This run was checked, not timed. {how}"
    busy = " Contended: other programs used the CPU." if (cells["versus_fastest"] == CONTENDED).any() else ""
    return (
        "In each cell: time relative to the fastest of the row (~ if no difference is proved), its 99 % interval over "
        f"paired rounds, time of one steady call, error, flags.{busy} {how} {headings.overhead(_inputs(cells)).strip()}"
    ).strip()


def _inputs(cells: pd.DataFrame) -> list[float]:
    return [float(n) for n in cells["n_inputs"].dropna()]


def cell(row: dict[Any, Any], longest: float = math.nan) -> Cell:
    """Return the ratio, time and error of a cell; for a failure its status.

    Parameters
    ----------
    row
        Row of `Record.cells`.
    longest
        Largest ratio of the table, for the length of the bar; no bar without it.
    """
    status, error = str(row["status"]), "at a kink" if row["kink"] else f"error {formatting.eps(row['error_eps'])}"
    if status != Status.OK:
        known = not math.isnan(row["error_eps"])
        kind, hint = _KINDS.get(status, "bad"), str(row["message"])
        return Cell(_STATUS.get(status, status), (error,) if known else (), math.inf, kind, hint)
    if math.isnan(row["median_s"]):
        return Cell("ok", (error,), math.inf, "ok", "checked, not timed")
    text, kind = versus(row)
    ratio, _, interval = text.partition(" [")
    ends = [interval.rstrip("]").replace(", ", " to ") + " times"] if interval else []
    small = (*ends, f"{wording.seconds(row['median_s'])}, {error}", *([str(row["flags"])] if row["flags"] else []))
    share = _share(row["ratio_to_fastest"], longest)
    return Cell(ratio, small, row["ratio_to_fastest"], kind, _interval(row), share)


def versus(row: dict[Any, Any]) -> tuple[str, str]:
    """Return the ratio to the fastest in words, and its style class."""
    verdict, times = str(row["versus_fastest"]), formatting.ratio(row["ratio_to_fastest"])
    if verdict == "fastest":
        # A flagged time is not shown as a result.
        return "fastest", "" if doubtful(str(row["flags"])) else "fastest"
    if verdict == "~":
        return f"~ {times}", ""
    if verdict == CONTENDED:
        return "not compared: contended", "dim"
    if verdict:
        return verdict, ""
    return ("not compared" if math.isnan(row["ratio_to_fastest"]) else f"{times} (too few rounds to compare)"), "dim"


def _interval(row: dict[Any, Any]) -> str:
    if math.isnan(row["ci_low_s"]):
        return f"median {wording.seconds(row['median_s'])}; too few rounds for an interval"
    low, high = wording.seconds(row["ci_low_s"]), wording.seconds(row["ci_high_s"])
    return f"median {wording.seconds(row['median_s'])}, 95 % interval {low} to {high}"


def _share(value: float, longest: float) -> float | None:
    """Return the length of the bar, on a log scale up to the largest ratio of the table."""
    if not (value >= 1 and 1 < longest < math.inf):
        return None
    return round(math.log(value) / math.log(longest), 3)


def details(cells: pd.DataFrame, name: str, title: str) -> Grid:
    """Return a table with all numbers of the cells of one problem."""
    rows = []
    for row in cells.to_dict("records"):
        ok = row["status"] == Status.OK
        status = _STATUS.get(row["status"], row["status"])
        rows.append((
            words(str(row["operator"])),
            words(f"{row['size']}: {row['where']}", key=row["n"] if math.isfinite(row["n"]) else None),
            words(str(row["spec"])), words(str(row["how"])),
            figure(row["median_s"], wording.seconds(row["median_s"]), hint=_interval(row)) if ok
            else words(status, kind=_KINDS.get(row["status"], "bad"), key=math.inf, hint=str(row["message"])),
            figure(row["ratio_to_fastest"], versus(row)[0] if not math.isnan(row["ratio_to_fastest"]) else "-"),
            figure(row["setup_s"], wording.seconds(row["setup_s"])),
            figure(row["ratio_to_value"], formatting.ratio(row["ratio_to_value"])),
            figure(*_memory(row), hint=str(row["memory_method"])),
            figure(row["error_eps"], formatting.eps(row["error_eps"]), hint=str(row["reference"])),
        ))  # fmt: skip
    columns = (
        "operator", "size", "backend", "how", "one call", "relative to fastest", "first call, with preparation",
        "relative to the function", "memory", "error",
    )  # fmt: skip
    return Grid(name, title, columns, tuple(rows), numeric=frozenset({4, 5, 6, 7, 8, 9}), heads=3, fold=True)


def _memory(row: dict[Any, Any]) -> tuple[float, str]:
    if row["peak_rss_bytes"] is pd.NA or row["peak_rss_bytes"] is None:
        return math.nan, "-"
    return float(row["peak_rss_bytes"]), formatting.size(float(row["peak_rss_bytes"]))


def imports(record: Record) -> Grid:
    """Return the time to import each backend."""
    timings = record.tables["timings"]
    found = timings[timings["phase"] == Phase.IMPORT]
    rows = [
        (words(spec), figure(time, wording.seconds(time)))
        for spec, time in zip(found["cell_id"], found["median_s"], strict=True)
    ]
    title = "Time to import a backend, once in each process"
    return Grid("imports", title, ("backend", "time"), tuple(rows), numeric=frozenset({1}))


def descents(record: Record) -> Grid:
    """Return one row for each descent: updates, restarts, loss, time, and how it ended."""
    rows = []
    for row in record.tables["descents"].to_dict("records"):
        head, _, spec = str(row["cell_id"]).rpartition("/")
        problem, descent, dtype = (*head.split("/"), "", "")[:3]
        status = _STATUS.get(str(row["status"]), str(row["status"]))
        ended = "stop rule met" if row["converged"] else str(row["message"]) or "stop rule not met"
        ok, loss, time = row["status"] == Status.OK, float(row["final_loss"]), float(row["seconds"])
        rows.append((
            words(problem), words(f"{descent} {dtype}"), figure(float(row["start"]), str(row["start"])), words(spec),
            _whole(row["iterations"]), _whole(row["restarts"]), figure(loss, formatting.number(loss) if ok else "-"),
            figure(time, wording.seconds(time)),
            words(ended if ok else f"{status}: {row['message']}", kind="" if ok else "bad"),
        ))  # fmt: skip
    columns = ("problem", "descent", "start", "backend", "updates", "restarts", "last loss", "time", "end")
    return Grid("descents", "Descents", columns, tuple(rows), numeric=frozenset({2, 4, 5, 6, 7}), heads=4)


def _whole(value: Any) -> Cell:
    return figure(math.nan, "-") if value is None or value is pd.NA else figure(float(value), wording.count(value))


def pairs(record: Record) -> list[Grid]:
    """Return for each dtype the largest difference of each pair of backends, over all problems and operators."""
    frame, found = record.tables["pairs"], []
    for dtype in frame["dtype"].unique():
        rows = frame[frame["dtype"] == dtype]
        specs = [s for s in record.specs if s in {*rows["backend_a"], *rows["backend_b"]}]
        grid = tuple((words(a), *(_pair(rows, a, b) for b in specs)) for a in specs)
        title = f"Largest difference of each pair of backends, {dtype}"
        note = (
            "In eps of the norm, with the place of the difference below. Derivatives that frameworks define "
            "differently are normalised first."
        )
        found.append(
            Grid(f"pairs-{dtype}", title, ("backend", *specs), grid, frozenset(range(1, len(specs) + 1)), note)
        )
    return found


def _pair(rows: pd.DataFrame, a: str, b: str) -> Cell:
    if a == b:
        return Cell("itself", key=-1.0, kind="dim")
    either = rows[rows["backend_a"].isin([a, b]) & rows["backend_b"].isin([a, b])]
    if either.empty:
        return Cell("-", key=math.inf, kind="dim", hint="no cell has results of both")
    unknown = either[either["difference_in_eps"].isna()]
    row = largest(either if unknown.empty else unknown, "difference_in_eps")
    where = f"{row['problem']} {row['operator']}"
    if len(unknown):
        return Cell(row["note"] or "not a number", (where,), math.inf, "bad")
    furthest = float(row["difference_in_eps"])
    return Cell(formatting.eps(furthest), (where if furthest > 0 else f"in all {len(either)}",), furthest)


def faults(record: Record) -> Sequence[str]:
    """Return counts of failures for the top of the page; unsupported operators and missing packages are no failures."""
    counts = record.cells["status"].value_counts()
    found = [f"{wording.plural(int(n), 'cell')} {_ENDED[s]}" for s, n in counts.items() if s in _ENDED]
    broken = record.tables["descents"]
    n = int((broken["status"] != Status.OK).sum())
    return [*found, *([f"{wording.plural(n, 'descent')} failed"] if n else [])]


def gaps(record: Record) -> Sequence[str]:
    """Return counts of cells that were not run: unsupported, or package not installed."""
    counts = record.cells["status"].value_counts()
    return [f"{wording.plural(int(n), 'cell')} {_STATUS.get(str(s), str(s))}" for s, n in counts.items() if s in _GAPS]
