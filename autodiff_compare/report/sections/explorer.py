"""Section with the explorer: the numbers of all cells, and the charts among which a reader chooses.

The charts are made here without rows; the script of the page puts in the rows of a choice. Numbers come with their
texts, so that the script formats none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.dots import dots
from autodiff_compare.charts.lines import lines
from autodiff_compare.charts.looks import Looks, backend_looks
from autodiff_compare.report.page import wording
from autodiff_compare.report.page.grids import packed
from autodiff_compare.report.page.page import Explorer, Section
from autodiff_compare.report.page.record import Record, largest
from autodiff_compare.report.sections import overview
from autodiff_compare.results import formatting
from autodiff_compare.results.timings import doubtful

#: What a reader may show a quantity across -> its name.
_ACROSS = {"backend": "backends", "size": "sizes", "problem": "problems", "calls": "number of calls"}


@dataclass(frozen=True)
class Measure:
    """A quantity of a cell.

    Parameters
    ----------
    title
        Title of its axis.
    column
        Column of `Record.cells`.
    unit
        Key of `autodiff_compare.charts.axes.LABELS`.
    words
        Format of a number.
    timed
        Whether flags of the timing bear on it.
    """

    title: str
    column: str
    unit: str
    words: Callable[[float], str]
    timed: bool = True


_MEASURES: Mapping[str, Measure] = {
    "time": Measure("time of one call", "median_s", "seconds", wording.seconds),
    "ratio": Measure("time relative to the fastest", "ratio_to_fastest", "ratio", formatting.ratio),
    "cost": Measure("time relative to the function", "ratio_to_value", "ratio", formatting.ratio),
    "setup": Measure("first call, with preparation", "setup_s", "seconds", wording.seconds),
    "error": Measure("error (eps)", "error_eps", "number", formatting.eps, timed=False),
    "memory": Measure("growth of peak memory", "peak_rss_bytes", "bytes", formatting.size, timed=False),
}
#: Columns of the cells that the script needs, under the names that it has for them.
_NAMES = {"problem": "problem", "operator": "operator", "dtype": "dtype", "size": "size", "spec": "backend",
          "status": "status", "message": "message", "axis": "axis", "where": "where"}  # fmt: skip
#: (Field, heading) of what is shown on hovering.
_HINTS = (
    ("backend", "backend"), ("problem", "problem"), ("where", "size"), ("time_words", "time of one call"),
    ("interval", "95 % interval"), ("ratio_words", "relative to the fastest"),
    ("cost_words", "relative to the function"), ("setup_words", "first call"), ("error_words", "error"),
    ("memory_words", "memory"), ("flags_words", "flags"),
)  # fmt: skip


def sections(record: Record) -> Sequence[Section]:
    """Return the section, if the run has right cells."""
    cells = record.cells
    measures = {name: m for name, m in _MEASURES.items() if _numbers(cells, m).notna().any()}
    if not measures:
        return ()
    looks = backend_looks(record.specs)
    given: Json = {
        "table": _table(cells, measures),
        "measures": {name: _measure(name, m) for name, m in measures.items()},
        "looks": {
            spec: {"colour": look.colour, "dash": list(look.dash) or [1, 0]}
            for spec, look in looks.items()
            if spec in set(cells["spec"])
        },
        "charts": _charts(looks),
        "across": {k: v for k, v in _ACROSS.items() if k != "calls" or {"time", "setup"} <= measures.keys()},
        "first": _first(cells, next(iter(measures))),
    }
    lead = (
        "Choose cells and a quantity. Hover over a marker for its value, the 95 % interval of a median time, and its "
        "error. Click a backend to take it out or to put it back."
    )
    return (Section("explore", "Explore", lead, (Explorer(given),)),)


def _first(cells: pd.DataFrame, shown: str) -> Json:
    """Return what is chosen at first: the leading operator of the problem with the most inputs, across backends."""
    leading = cells[cells["leading"]]
    row = largest(leading.assign(inputs=leading["n_inputs"].astype("float64")), "inputs")
    return {name: str(row[name]) for name in ("problem", "operator", "dtype", "size")} | {
        "across": "backend",
        "shown": shown,
    }


def _numbers(cells: pd.DataFrame, measure: Measure) -> pd.Series:
    """Return a quantity of the right cells; nan for others."""
    found = cells[measure.column].astype("float64")
    return found.where((cells["status"] == "ok") & np.isfinite(found))


def _measure(name: str, measure: Measure) -> Json:
    ends = {"low": "low", "high": "high"} if name == "time" else {}
    base = 2 if measure.unit == "bytes" else 10
    axis = Axis("value", measure.title, measure.unit)
    axes = {channel: axis.labels(channel) for channel in ("x", "y")}
    return {"title": measure.title, "axes": axes, "base": base, "timed": measure.timed, **ends}


def _table(cells: pd.DataFrame, measures: Mapping[str, Measure]) -> Json:
    """Return the rows, column by column, in the form of a full table."""
    columns: dict[str, list[Any]] = {name: cells[column].tolist() for column, name in _NAMES.items()}
    columns["n"] = _plain(cells["n"])
    for name, measure in measures.items():
        numbers = _numbers(cells, measure)
        columns[name] = _plain(numbers)
        columns[f"{name}_words"] = [measure.words(v) if math.isfinite(v) else "-" for v in numbers]
    if "time" in measures:
        columns["low"], columns["high"] = _plain(cells["ci_low_s"]), _plain(cells["ci_high_s"])
        columns["interval"] = [
            f"{wording.seconds(low)} to {wording.seconds(high)}" if math.isfinite(low) else "too few rounds"
            for low, high in zip(cells["ci_low_s"], cells["ci_high_s"], strict=True)
        ]
        columns["ratio_words"] = [overview.versus(row)[0] for row in cells.to_dict("records")]
    columns["flags"] = [" ".join(found) for found in map(doubtful, cells["flags"])]
    columns["flags_words"] = [flags or "none" for flags in cells["flags"]]
    given = [packed(values) for values in columns.values()]
    return {"names": list(columns), "count": len(cells), "columns": given}


def _plain(numbers: pd.Series) -> list[float | None]:
    """Return finite numbers with six digits, and `None` for others."""
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in numbers.astype("float64")]


def _charts(looks: Looks) -> Json:
    value = Axis("value", "value")
    return {
        "backend": _bare(dots("", [], [], value, looks, hints=_HINTS, dodged=False)),
        "problem": _bare(dots("", [], [], value, looks, hints=_HINTS)),
        "size": _bare(lines("", [], Axis("n", "size"), value, looks, hints=_HINTS, size=(600, 380))),
        "calls": _bare(lines("", [], Axis("n", "number of calls"), value, looks, hints=_HINTS, size=(600, 380))),
    }


def _bare(chart: Json) -> Json:
    """Return the chart without its legend: the backends of the page have buttons."""

    def without(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {name: None if name == "legend" else without(inner) for name, inner in part.items()}
        return [without(inner) for inner in part] if isinstance(part, list) else part

    kept = without({name: part for name, part in chart.items() if name != "config"})
    return {**kept, "config": _larger(chart["config"])}


def _larger(config: Json) -> Json:
    """Return the style of charts with larger type and markers."""
    axis = {**config["axis"], "labelFontSize": 13, "titleFontSize": 13}
    title = {**config["title"], "fontSize": 15, "subtitleFontSize": 13}
    return {**config, "axis": axis, "title": title}
