"""Time, set-up, memory or error against the size, with the exponent by which the time grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from autodiff_compare.plots.axes import (
    FigureError,
    chosen,
    flagged,
    legend,
    looks_of,
    markers,
    new_axes,
    one_each,
    shared,
    title,
)
from autodiff_compare.report.page import style
from autodiff_compare.results import formatting
from autodiff_compare.summary.scaling import growths
from autodiff_compare.timing.growth import Growth
from autodiff_compare.vocabulary import Status


@dataclass(frozen=True)
class _Quantity:
    """A quantity against the size: its column, and the words of the figure."""

    column: str
    title: str
    label: str
    words: Callable[[float], str]


#: Name of a quantity, as `scaling` takes it -> the quantity.
QUANTITIES = {
    "time": _Quantity("median_s", "Time against size", "time of one call", formatting.seconds),
    "setup": _Quantity("setup_s", "Preparation and first call", "once, with compiling", formatting.seconds),
    "memory": _Quantity("peak_bytes", "Memory against size", "growth of peak memory", formatting.size),
    "error": _Quantity("error_eps", "Error against size", "largest error, in eps", formatting.number),
}


def scaling(frame: pd.DataFrame, axes: Axes | None = None, what: str = "time", **wanted: Any) -> Axes:
    """Draw a quantity of one operator of one problem against the size; for times with the exponent in the legend.

    Parameters
    ----------
    frame
        As returned by `autodiff_compare.results.frames.tidy.tidy`.
    axes
        Axes to draw on; by default those of a new figure.
    what
        A key of `QUANTITIES`.
    wanted
        Column -> the value, or values, of the rows that are shown. Of several operators, the leading one is shown.

    Raises
    ------
    FigureError
        If there is no such quantity, there are several problems or dtypes, or fewer than two sizes were run.
    """
    if what not in QUANTITIES:
        raise FigureError(f"got what={what!r}, expected one of: {', '.join(QUANTITIES)}")
    quantity = QUANTITIES[what]
    rows = one_each(chosen(frame, **wanted), ("machine", "problem", "dtype", "operator"))
    values = rows[quantity.column].astype("float64")
    rows = rows.assign(shown=values)[(rows["status"] == Status.OK) & rows["n"].notna() & (values > 0)]
    if rows["n"].nunique() < 2:
        got = f"{formatting.plural(rows['n'].nunique(), 'size')} with a known {what}"
        raise FigureError(f"got {got}, expected two or more: compare(f, x, n=[10, 100, 1000])")
    found = growths(rows) if what == "time" else {}
    axes = axes or new_axes(3.6, 7.4)
    _draw(axes, rows, quantity, found, looks_of(frame))
    return axes


def _draw(
    axes: Axes, rows: pd.DataFrame, quantity: _Quantity, found: dict[str, Growth], looks: style.LineStyles
) -> None:
    entries: dict[str, Line2D] = {}
    timed = quantity.column == "median_s"
    reach = list(rows["shown"])
    for spec, own in _series(rows):
        look = looks[spec]
        entries[f"{spec}   {found[spec]}" if spec in found else spec] = Line2D([], [], **look.lines())
        axes.plot(own["n"].astype(float), own["shown"], **look.lines(marker="none"))
        markers(axes, own["n"], own["shown"], look, (own["flags"] != "") & timed)
        if timed:
            bars = own[(own["low_s"] > 0) & np.isfinite(own["high_s"])]
            axes.vlines(bars["n"].astype(float), bars["low_s"], bars["high_s"], color=look.colour, lw=1.2)
            reach += [*bars["low_s"], *bars["high_s"]]
    style.size_axis(axes.xaxis, rows["n"].astype(float))
    if quantity.words is formatting.size:
        style.byte_axis(axes.yaxis, reach)
    else:
        style.log_axis(axes.yaxis, reach, quantity.words)
    axes.set_xlabel("n")
    axes.set_ylabel(quantity.label)
    title(axes, quantity.title, shared(rows))
    if timed and (rows["flags"] != "").any():
        entries["flagged: read with care"] = flagged()
    legend(axes, entries)


def _series(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each backend with its rows, the fastest at the largest size first."""
    groups = [(str(spec), own.sort_values("n", kind="stable")) for spec, own in rows.groupby("spec", sort=False)]
    yield from sorted(groups, key=lambda pair: _last(pair[1], float(rows["n"].max())))


def _last(own: pd.DataFrame, largest: float) -> float:
    """Return the value at the largest size; infinity for a backend that has none there."""
    return float(own["shown"].iloc[-1]) if own["n"].iloc[-1] == largest else math.inf
