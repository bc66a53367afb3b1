"""Times and errors of all cells: a row for each group of cells, a marker for each backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from autodiff_compare.plots.axes import (
    FigureError,
    chosen,
    flagged,
    labels,
    legend,
    looks_of,
    markers,
    new_axes,
    shared,
    title,
)
from autodiff_compare.report.page import style
from autodiff_compare.results import formatting
from autodiff_compare.results.frames.tidy import right_and_timed
from autodiff_compare.vocabulary import Status

#: Inches of a row, and of what is above and below the rows.
_ROW, _AROUND = 0.34, 1.3
#: Inches of the axes with the handles of the legend, and of a letter.
_AXES, _LETTER = 5.2, 0.085


def time(frame: pd.DataFrame, axes: Axes | None = None, **wanted: Any) -> Axes:
    """Draw the time of a call in each right cell, with its 95 % interval; flagged times are hollow.

    Parameters
    ----------
    frame
        As returned by `autodiff_compare.results.frames.tidy.tidy`.
    axes
        Axes to draw on; by default those of a new figure.
    wanted
        Column -> the value, or values, of the rows that are shown.

    Raises
    ------
    FigureError
        If nothing was timed.
    """
    rows = right_and_timed(chosen(frame, **wanted))
    if rows.empty:
        raise FigureError("got no right and timed cell, expected one: compare with rounds from 8")
    axes, places = _rows(rows, axes)
    for spec, own in rows.groupby("spec", sort=False):
        look, y = looks_of(frame)[str(spec)], places(own)
        known = np.isfinite(own["low_s"]) & np.isfinite(own["high_s"])
        axes.hlines(y[known], own["low_s"][known], own["high_s"][known], color=look.colour, lw=1.2)
        markers(axes, own["median_s"], y, look, (own["flags"] != "").to_numpy())
    style.log_axis(axes.xaxis, [*rows["median_s"], *rows["low_s"], *rows["high_s"]], formatting.seconds)
    axes.set_xlabel("time of one call; bar: 95 % interval of the median")
    title(axes, "Time of one call", shared(rows))
    _legend(axes, frame, rows, {"flagged: read with care": flagged()} if (rows["flags"] != "").any() else {})
    return axes


def error(frame: pd.DataFrame, axes: Axes | None = None, **wanted: Any) -> Axes:
    """Draw the largest error of each computed cell in units of eps; wrong cells are crosses, exact ones at the edge.

    Parameters
    ----------
    frame, axes, wanted
        As of `time`.

    Raises
    ------
    FigureError
        If no cell was compared with a reference.
    """
    rows = chosen(frame, **wanted)
    rows = rows[np.isfinite(rows["error_eps"]) & rows["status"].isin([Status.OK, Status.WRONG])]
    if rows.empty:
        raise FigureError("got no cell with a known error, expected one")
    axes, places = _rows(rows, axes)
    floor = min((e for e in rows["error_eps"] if e > 0), default=1.0) / 3
    shown = rows.assign(error_eps=rows["error_eps"].where(rows["error_eps"] > 0, floor))
    for spec, own in shown.groupby("spec", sort=False):
        look, wrong = looks_of(frame)[str(spec)], own["status"] == Status.WRONG
        y = places(own)
        markers(axes, own["error_eps"][~wrong], y[~wrong.to_numpy()], look, np.zeros(int((~wrong).sum()), bool))
        axes.plot(own["error_eps"][wrong], y[wrong.to_numpy()], "x", color=look.colour, ms=8, mew=2)
    style.log_axis(axes.xaxis, shown["error_eps"], formatting.number)
    if (rows["error_eps"] == 0).any():
        _name_exact(axes, floor)
    axes.set_xlabel("largest relative error, in eps of the dtype")
    title(axes, "Error against the reference", shared(rows))
    wrong = {"wrong": Line2D([], [], marker="x", color=style.INK, ls="none", mew=2)}
    _legend(axes, frame, rows, wrong if (rows["status"] == Status.WRONG).any() else {})
    return axes


def _name_exact(axes: Axes, at: float) -> None:
    """Name the place of exact results on the log axis, in place of the ticks near it."""
    ticks = [float(t) for t in axes.get_xticks() if t > 2 * at]
    axes.set_xticks([at, *ticks], ["exact", *map(formatting.number, ticks)])


def _rows(rows: pd.DataFrame, axes: Axes | None) -> tuple[Axes, Callable[[pd.DataFrame], Any]]:
    """Return the axes with a named row for each group, and a function that places cells in them."""
    names = list(dict.fromkeys(labels(rows)))
    specs = list(dict.fromkeys(rows["spec"]))
    # Names stand at the left of the axes, and backends at the right.
    room = _LETTER * (max(map(len, names)) + max(map(len, specs)))
    axes = axes or new_axes(_AROUND + _ROW * max(len(names), 2), _AXES + room)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    rank = {name: k for k, name in enumerate(names)}
    shift = dict(zip(specs, np.linspace(-0.25, 0.25, len(specs)) if len(specs) > 1 else [0.0], strict=True))
    group = labels(rows)

    def places(own: pd.DataFrame) -> Any:
        return (group[own.index].map(rank) + own["spec"].map(shift)).to_numpy()

    return axes, places


def _legend(axes: Axes, frame: pd.DataFrame, rows: pd.DataFrame, more: dict[str, Line2D]) -> None:
    looks = looks_of(frame)
    there = [spec for spec in looks if spec in set(rows["spec"])]
    legend(axes, {**{spec: Line2D([], [], **looks[spec].points()) for spec in there}, **more})
