"""A dot plot on a log axis: rows by name, a marker for each backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from autodiff_compare.report.page import wording
from autodiff_compare.report.page.style import LEFT, SOFT, LineStyles, byte_axis, canvas, log_axis, positive
from autodiff_compare.results import formatting


def dots(
    title: str,
    rows: Sequence[str],
    series: Mapping[str, Mapping[str, float]],
    styles: LineStyles,
    xlabel: str,
    words: Callable[[float], str],
    *,
    about: str = "",
    line: tuple[float, str] | None = None,
) -> Figure:
    """Draw a dot plot on a log axis: a row for each name, a marker for each backend; zeros are at the left edge.

    Parameters
    ----------
    series
        Backend -> row -> value.
    words
        Format of the ticks.
    line
        Value of a dashed vertical line, and its text.
    """
    values = positive(v for found in series.values() for v in found.values())
    zeros = any(v == 0 for found in series.values() for v in found.values())
    floor = min(values, default=1.0) / (2.5 if zeros else 1)
    figure, (ax,) = canvas(
        title, {name: styles[name] for name in series}, panel=(3.9, max(0.26 * len(rows), 0.8)),
        left=left_of(rows), about=about, room=0.14 if line else 0.0,
    )  # fmt: skip
    spread = [*values, *([floor] if zeros else [])]
    if words is formatting.size:
        byte_axis(ax.xaxis, spread)
    else:
        log_axis(ax.xaxis, spread, words, most=6)
    _show_zero(ax, floor, zeros)
    _draw_markers(ax, rows, series, styles, floor)
    if line:
        _draw_line(ax, *line)
    name_rows(ax, rows)
    ax.set_xlabel(xlabel)
    return figure


def _draw_markers(
    ax: Axes, rows: Sequence[str], series: Mapping[str, Mapping[str, float]], styles: LineStyles, floor: float
) -> None:
    """Draw the markers of each row, those of the backends one below the other, zeros at ``floor``."""
    places = {name: k for k, name in enumerate(rows)}
    shifts = np.linspace(-0.22, 0.22, len(series)) if len(series) > 1 else [0.0]
    for (name, found), shift in zip(series.items(), shifts, strict=True):
        points = [(floor if v == 0 else v, places[r] + shift) for r, v in found.items() if v == 0 or positive([v])]
        ax.plot([p[0] for p in points], [p[1] for p in points], **styles[name].points(alpha=0.95))


def left_of(rows: Sequence[str], least: float = LEFT) -> float:
    """Return the inches that the names of rows need at the left of a panel."""
    return max(least, 0.25 + 0.078 * max((len(wording.label(r)) for r in rows), default=1))


def name_rows(ax: Axes, rows: Sequence[str]) -> None:
    """Write the names of rows at the left of a panel, the first at the top."""
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [wording.label(r) for r in rows])
    ax.tick_params(axis="y", length=0)


def _draw_line(ax: Axes, at: float, text: str) -> None:
    """Draw a dashed vertical line with a text at its top, if it is within the axis."""
    low, high = ax.get_xlim()
    if not low < at < high:
        return
    ax.axvline(at, color=SOFT, lw=1, ls=(0, (4, 2)), zorder=1)
    right = ax.transLimits.transform((math.log10(at), 0))[0] < 0.75
    ax.annotate(text, (at, 1), xycoords=("data", "axes fraction"), ha="left" if right else "right", va="bottom", size=8,
                xytext=(2 if right else -2, 1), textcoords="offset points", color=SOFT)  # fmt: skip


def _show_zero(ax: Axes, floor: float, zeros: bool) -> None:
    """Add a tick for exact zeros, left of all others."""
    if not zeros:
        return
    locator = ax.xaxis.get_major_locator()
    ticks = [t for t in locator.tick_values(0, 1) if t > floor * 1.9]
    names = [t.get_text() for t in ax.xaxis.get_ticklabels()][-len(ticks) :] if ticks else []
    ax.xaxis.set_major_locator(FixedLocator([floor, *ticks]))
    ax.xaxis.set_ticklabels(["0", *names])
