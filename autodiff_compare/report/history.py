"""The figure of a history: the time of each cell over many runs, with its levels."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from autodiff_compare.report.page import style, wording
from autodiff_compare.results.replacing import replacing

#: Cells in one figure.
_MOST = 12


@dataclass(frozen=True)
class Panel:
    """One cell.

    Parameters
    ----------
    title
        Its name.
    at
        Number of the run of each point, from 0.
    times
        Median, and the ends of its interval, in seconds.
    starts
        Index into ``times`` of the first point of each level.
    levels
        Time of each level, in seconds.
    """

    title: str
    at: Sequence[int]
    times: Sequence[tuple[float, float, float]]
    starts: Sequence[int]
    levels: Sequence[float]


def draw(panels: Sequence[Panel], runs: Sequence[str], path: pathlib.Path) -> int:
    """Write the figure of the first cells as SVG; return the number of cells that it leaves out.

    Parameters
    ----------
    panels
        The cells.
    runs
        Label of each run.
    path
        The file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    shown = panels[:_MOST]
    with style.drawing():
        figure, axes = style.canvas(
            "Time of a call over the runs",
            about=f"{wording.label(runs[0], 60)} to {wording.label(runs[-1], 60)}; bars: 99 % intervals",
            panels=(len(shown), 1),
            panel=(6.6, 1.15),
            gap=(0.45, 0.5),
            room=0.16,
        )
        for ax, panel in zip(axes, shown, strict=True):
            _draw(ax, panel, len(runs))
        axes[-1].set_xlabel("run, the earliest first")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg")
    return len(panels) - len(shown)


def _draw(ax: Axes, panel: Panel, runs: int) -> None:
    at = [k + 1 for k in panel.at]
    middle, low, high = ([t[k] for t in panel.times] for k in range(3))
    below, above = ([abs(m - e) for m, e in zip(middle, end, strict=True)] for end in (low, high))
    ax.errorbar(at, middle, yerr=(below, above), fmt="o", ms=3, lw=0.9, color=style.BLUE)
    bounds = [*panel.starts, len(at)]
    for k, level in enumerate(panel.levels):
        first, last = at[bounds[k]], at[bounds[k + 1] - 1]
        ax.plot((first - 0.4, last + 0.4), (level, level), color=style.VERMILLION, lw=1.2)
        if k:
            between = (at[bounds[k] - 1] + first) / 2
            ax.axvline(between, color=style.SOFT, lw=0.8, ls=(0, (4, 2)))
            words = f"{level / panel.levels[k - 1]:.3g}x"
            ax.annotate(words, (between, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=7)
    ax.set_title(wording.label(panel.title, 70), loc="left", pad=11 if len(panel.levels) > 1 else 3)
    ax.set_xlim(0.4, runs + 0.6)
    ax.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    style.log_axis(ax.yaxis, [*low, *high], wording.seconds, most=4)
