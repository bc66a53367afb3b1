"""Style of the figures: palette, canvas, axes, and files whose bytes depend only on the data.

Colours are those of the charts (`autodiff_compare.charts.looks`). Each backend also has a marker and each variant a
line style, so colour alone carries no information. Figures here are drawn by matplotlib: those that no chart can show,
such as matrices, graphs and poses. A figure is drawn once and saved three times: as PNG and SVG beside the page, and as
SVG inside it, where a script replaces the colours by those of the page's theme.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from autodiff_compare.charts import looks
from autodiff_compare.report.page import wording
from autodiff_compare.results import formatting
from autodiff_compare.results.replacing import replacing, write_text

INK, SOFT, GRID, PAPER = looks.INK, looks.SOFT, looks.GRID, looks.PAPER
BLUE, VERMILLION, ORANGE, GREEN, PURPLE, SKY, GREY = (
    looks.BLUE, looks.VERMILLION, looks.ORANGE, looks.GREEN, looks.PURPLE, looks.SKY, looks.GREY,
)  # fmt: skip
#: Marker of a chart -> that of matplotlib.
_MARKERS = {
    "circle": "o", "square": "s", "triangle-up": "^", "diamond": "D", "triangle-down": "v", "cross": "P",
    "triangle-right": ">", "triangle-left": "<",
}  # fmt: skip

_SETTINGS: Any = {
    "font.family": "DejaVu Sans", "font.size": 9.5, "axes.labelsize": 9.5, "axes.titlesize": 10, "legend.fontsize": 9,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "axes.edgecolor": SOFT, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": SOFT, "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.grid": True,
    "grid.color": GRID, "grid.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "lines.linewidth": 1.7, "lines.markersize": 5, "figure.facecolor": PAPER,
    "axes.facecolor": "none", "legend.frameon": False, "text.parse_math": False, "axes.unicode_minus": False,
    "svg.fonttype": "none", "svg.hashsalt": "autodiff-compare",
}  # fmt: skip

#: Inches around the axes.
_TITLE, _LEGEND_ROW, _BELOW, LEFT, _RIGHT, _GAP = 0.34, 0.185, 0.52, 0.86, 0.2, 0.5


@dataclass(frozen=True)
class LineStyle:
    """Colour, marker and line of a backend in figures.

    Parameters
    ----------
    size
        Marker size in points. Markers drawn later are smaller, so that coinciding ones remain visible.
    width
        Line width in points; derived from the marker's size if `None`.
    """

    colour: str
    marker: str
    line: Any
    size: float = 5.0
    width: float | None = None

    def points(self, **changes: Any) -> dict[str, Any]:
        """Return matplotlib arguments for markers without a line."""
        return {"color": self.colour, "marker": self.marker, "markersize": self.size, "linestyle": "none", **changes}

    def lines(self, **changes: Any) -> dict[str, Any]:
        """Return matplotlib arguments for a line with markers."""
        given = {"color": self.colour, "marker": self.marker, "markersize": self.size, "linestyle": self.line}
        return {**given, "linewidth": self.width or 0.8 + self.size / 5, **changes}


LineStyles = Mapping[str, LineStyle]


@dataclass(frozen=True)
class Picture:
    """A figure with its texts, drawn on demand.

    Parameters
    ----------
    name
        Name of its files, without extension.
    title, sentence
        Subject of the figure, and what these data show.
    draw
        Function that draws it; called within `drawing`.
    """

    name: str
    title: str
    sentence: str
    draw: Callable[[], Figure]


def backend_styles(names: Iterable[str]) -> dict[str, LineStyle]:
    """Return the style of each ``backend[:variant]``: an own colour, a marker by backend, a line style by variant."""
    found = looks.backend_looks(names)
    return {
        name: LineStyle(look.colour, _MARKERS[look.marker], (0, look.dash) if look.dash else "-", 7.5 - 1.2 * (k % 4))
        for k, (name, look) in enumerate(found.items())
    }


def canvas(
    title: str,
    legend: LineStyles | None = None,
    *,
    about: str = "",
    panels: tuple[int, int] = (1, 1),
    panel: tuple[float, float] = (3.7, 2.3),
    left: float = LEFT,
    gap: tuple[float, float] = (_GAP, _GAP),
    heights: Sequence[float] | None = None,
    handles: Mapping[str, Line2D] | None = None,
    share_x: bool = False,
    room: float = 0.0,
    right: float = _RIGHT,
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, row by row.

    Parameters
    ----------
    title, about
        Bold first line, and a second line in grey.
    legend, handles
        Legend entries: styles by name, and finished handles by name.
    panels
        Rows and columns of panels.
    panel, left, gap, heights, room, right
        Inches: size of a panel, margin at the left, gaps between columns and rows, heights of the rows instead of that
        of ``panel``, additional room above the panels for their titles or a note, margin at the right.
    share_x
        Whether the panels of a column share their x axis.
    """
    rows, columns = panels
    tall = list(heights or [panel[1]] * rows)
    width = left + columns * panel[0] + (columns - 1) * gap[0] + right
    entries = {wording.label(name, 24): Line2D([], [], **given.lines()) for name, given in (legend or {}).items()}
    entries |= dict(handles or {})
    legend_columns = _legend_columns(entries, width)
    legend_rows = math.ceil(len(entries) / legend_columns) if entries else 0
    head = _TITLE + (0.2 if about else 0)
    top = head + _LEGEND_ROW * legend_rows + 0.1 + room
    height = top + sum(tall) + (rows - 1) * gap[1] + _BELOW
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    _write_head(figure, title, about)
    if entries:
        _add_legend(figure, entries, legend_columns, head)
    axes: list[Axes] = []
    for r in range(rows):
        low = height - top - sum(tall[: r + 1]) - r * gap[1]
        for c in range(columns):
            box = ((left + c * (panel[0] + gap[0])) / width, low / height, panel[0] / width, tall[r] / height)
            axes.append(figure.add_axes(box, sharex=axes[c] if share_x and r else None))
    return figure, axes


def _add_legend(figure: Figure, entries: Mapping[str, Line2D], columns: int, below: float) -> None:
    """Add a legend with its top ``below`` inches under the top of the figure."""
    width, height = figure.get_size_inches()
    figure.legend(
        list(entries.values()), list(entries), loc="upper left", ncols=columns, borderaxespad=0,
        bbox_to_anchor=(0.1 / width, 1 - below / height), handlelength=2.0, columnspacing=1.0, handletextpad=0.5,
        labelspacing=0.25, borderpad=0,
    )  # fmt: skip


def _write_head(figure: Figure, title: str, about: str) -> None:
    """Write the title and the line below it, cut to the width: a letter is 0.082 and 0.072 inches wide there."""
    width, height = figure.get_size_inches()
    fits = int((width - 0.2) / 0.082)
    figure.text(0.1 / width, 1 - 0.1 / height, wording.label(title, fits), va="top", weight="bold", size=10.5)
    if about:
        fits = int((width - 0.2) / 0.072)
        figure.text(0.1 / width, 1 - 0.32 / height, wording.label(about, fits), va="top", size=9, color=SOFT)


def _legend_columns(entries: Mapping[str, Any], width: float) -> int:
    """Return as many columns as fit: a letter is about 0.075 inches wide at this size, a handle with its gaps 0.5."""
    lengths = [0.5 + 0.075 * len(name) for name in entries]
    for columns in range(len(lengths), 1, -1):
        # A legend is filled column by column, each as wide as its longest entry.
        if sum(part.max() for part in np.array_split(lengths, columns)) <= width - 0.2:
            return columns
    return 1


# ---- axes


def log_axis(axis: Axis, values: Iterable[float], words: Callable[[float], str], *, most: int = 7) -> None:
    """Set a log scale over the positive finite values, with ticks at powers of ten formatted by ``words``."""
    kept = positive(values)
    low, high = (min(kept), max(kept)) if kept else (1.0, 10.0)
    first, last = math.log10(low), math.log10(high)
    pad = max(0.06 * (last - first), 0.12)
    if last - first < 1:
        pad = max(pad, (1.05 - (last - first)) / 2)
    first, last = max(first - pad, -307), min(last + pad, 307)
    _scale(axis, 10.0**first, 10.0**last)
    whole = list(range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1))
    step = math.ceil(len(whole) / most)
    shown = [10.0**k for k in whole if (k - whole[0]) % step == 0]
    if len(shown) < 3:
        shown = [m * 10.0**k for k in range(math.floor(first), math.ceil(last) + 1) for m in (1, 2, 5)]
        shown = [t for t in shown if 10.0**first <= t <= 10.0**last]
    axis.set_major_locator(FixedLocator(shown))
    axis.set_minor_locator(NullLocator())
    axis.set_ticklabels([words(t) for t in shown])


def byte_axis(axis: Axis, values: Iterable[float]) -> None:
    """Set a log scale for bytes, with ticks at powers of two."""
    log_axis(axis, values, formatting.size)
    low, high = axis.get_view_interval()
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    step = next((s for s in (1, 2, 5, 10, 20) if (last - first) / s <= 5.5), 40)
    shown = [2.0**k for k in range(first, last + 1) if k % step == 0]
    axis.set_major_locator(FixedLocator(shown))
    axis.set_ticklabels([formatting.size(t) for t in shown])


def _scale(axis: Axis, low: float, high: float) -> None:
    axes, is_x = axis.axes, axis.axis_name == "x"  # type: ignore[attr-defined]
    # Autoscaling would use all values, and a log scale cannot show some of them.
    axes.set_autoscale_on(False)
    if is_x:
        axes.set_xscale("log")
        axes.set_xlim(low, high)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)


def size_axis(axis: Axis, values: Iterable[float]) -> None:
    """Set a log scale with a tick at each size that was run, if these are few."""
    kept = sorted(set(positive(values)))
    log_axis(axis, kept, formatting.number)
    gaps = [math.log10(b / a) for a, b in itertools.pairwise(kept)]
    if len(kept) <= 6 and min(gaps, default=1.0) > 0.08 * (math.log10(kept[-1] / kept[0]) or 1.0):
        axis.set_major_locator(FixedLocator(kept))
        axis.set_ticklabels([f"{v:g}" for v in kept])


def positive(values: Iterable[float]) -> list[float]:
    """Return the values that a log axis can show."""
    return [float(v) for v in values if v is not None and 0 < v < math.inf]


# ---- files


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Use the settings of the report alone: settings of the user would change the bytes."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


@dataclass(frozen=True)
class Drawing:
    """A figure inside the page: its SVG, and its width and height in pixels of the page."""

    svg: str
    width: int
    height: int


def save(picture: Picture, folder: pathlib.Path) -> Drawing:
    """Write ``<name>.svg`` and ``<name>.png``, and return the drawing for the page."""
    figure, drawn = picture.draw(), io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None, "Title": picture.title})
    with replacing(folder / f"{picture.name}.png") as path:
        figure.savefig(path, dpi=144, metadata={"Software": None, "Title": picture.title})
    # Verdana is as wide as DejaVu Sans, so the layout also fits where that font is missing.
    svg = drawn.getvalue().decode("utf-8").replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
    write_text(folder / f"{picture.name}.svg", svg)
    inline = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.S)
    # A CSS pixel is 1/96 inch.
    width, height = (round(float(length) * 96) for length in figure.get_size_inches())
    return Drawing(inline, width, height)
