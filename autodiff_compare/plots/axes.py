"""Axes for a figure of a run, and the rows of a frame that it shows."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from autodiff_compare.plan.operators import leading
from autodiff_compare.report.page import style

#: Dots per inch of the picture in a notebook: half again as many as a usual screen has.
_DPI = 144


class FigureError(ValueError):
    """A figure cannot be drawn from the tables; the message says what is missing."""


class PictureAxes(Axes):
    """Axes that a notebook displays as a picture where they are the value of a cell, and nowhere else.

    Their figure does not belong to pyplot, which would display it at the end of the cell, also if it is assigned.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture of the whole figure with its size in pixels of the page."""
        # The figure of a figure or subfigure is the whole one; get_figure(root=True) needs matplotlib 3.10.
        figure, file = self.figure.figure, io.BytesIO()
        assert figure is not None
        figure.savefig(file, format="png", dpi=_DPI, bbox_inches="tight")
        width, height = figure.get_tightbbox().size
        return file.getvalue(), {"width": round(96 * width), "height": round(96 * height)}


def new_axes(height: float, width: float = 6.4) -> Axes:
    """Return axes in a new figure, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Axes = figure.add_subplot(axes_class=PictureAxes)
    return axes


def styled(axes: Axes | None) -> contextlib.AbstractContextManager[None]:
    """Return a context with the style of the report; the caller's axes keep the caller's style."""
    return style.drawing() if axes is None else contextlib.nullcontext()


def chosen(frame: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """Return the rows whose columns have the wanted values; `None` takes every value.

    Raises
    ------
    FigureError
        If no row has a wanted value; the message lists those that exist.
    """
    for name, value in wanted.items():
        if value is None:
            continue
        values = [value] if isinstance(value, str) else [str(v) for v in value]
        column = frame["spec"] if name == "backend" else frame[name]
        there = list(dict.fromkeys(column))
        absent = [v for v in values if v not in there]
        if absent:
            raise FigureError(f"got {name} {absent[0]!r}, expected one of: {', '.join(map(str, there)) or 'none'}")
        frame = frame[column.isin(values)]
    return frame


def one_each(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return the rows of one value of each column; of several operators those of the leading one.

    Raises
    ------
    FigureError
        If another column has several values: the caller has to choose one.
    """
    for name in names:
        there = list(dict.fromkeys(frame[name]))
        if len(there) < 2:
            continue
        if name != "operator":
            raise FigureError(f"got tables with more than one {name}, expected {name}= one of: {', '.join(there)}")
        frame = frame[frame[name] == leading(there)]
    return frame


def looks_of(frame: pd.DataFrame) -> dict[str, style.LineStyle]:
    """Return the style of each backend of a run, the same in all of its figures."""
    return style.backend_styles(dict.fromkeys(frame["spec"]))


def labels(frame: pd.DataFrame) -> pd.Series[str]:
    """Return the name of each row's group: its problem, operator, size, dtype and machine, without what all share."""
    columns = ("problem", "operator", "size", "dtype", "machine")
    named = [name for name in columns if frame[name].nunique() > 1] or ["problem", "operator"]
    return frame[named].agg(" ".join, axis=1) if len(frame) else pd.Series(dtype="str")


def shared(frame: pd.DataFrame) -> str:
    """Return what all rows have in common, for the title."""
    names = ("problem", "operator", "size", "dtype")
    return ", ".join(str(frame[name].iloc[0]) for name in names if frame[name].nunique() == 1)


def markers(axes: Axes, x: Any, y: Any, look: style.LineStyle, hollow: Any) -> None:
    """Draw markers, hollow ones where ``hollow`` holds."""
    at, height, empty = np.asarray(x, float), np.asarray(y, float), np.asarray(hollow, bool)
    for which, fill in ((~empty, look.colour), (empty, "white")):
        axes.plot(at[which], height[which], **look.points(markerfacecolor=fill))


def flagged() -> Line2D:
    """Return the entry of a legend for hollow markers."""
    return Line2D([], [], marker="o", color=style.SOFT, markerfacecolor="white", ls="none")


def legend(axes: Axes, entries: dict[str, Line2D]) -> None:
    """Add a legend at the right of the axes."""
    axes.legend(
        list(entries.values()),
        list(entries),
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0,
        frameon=False,
    )


def title(axes: Axes, what: str, about: str) -> None:
    """Write the title of a figure, and below it what all of it has in common."""
    axes.set_title(f"{what}\n{about}" if about else what, loc="left")
