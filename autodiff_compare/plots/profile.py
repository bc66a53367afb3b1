"""The performance profile of a run: in which share of its groups a backend is within a factor of the fastest.

See `autodiff_compare.report.sections.profile` for its definition by Dolan and More.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from autodiff_compare.plots.axes import FigureError, chosen, legend, looks_of, new_axes, one_each, shared, title
from autodiff_compare.report.page import style
from autodiff_compare.report.sections.profile import profile as share_within
from autodiff_compare.results import formatting
from autodiff_compare.results.frames.relative import relative_times


def profile(frame: pd.DataFrame, axes: Axes | None = None, **wanted: Any) -> Axes:
    """Draw the performance profile over the groups of one dtype.

    Parameters
    ----------
    frame
        As returned by `autodiff_compare.results.frames.tidy.tidy`.
    axes
        Axes to draw on; by default those of a new figure.
    wanted
        Column -> the value, or values, of the rows that are used.

    Raises
    ------
    FigureError
        If fewer than two backends were run, no cell was timed, or there are several dtypes or machines.
    """
    rows = one_each(chosen(frame, **wanted), ("machine", "dtype"))
    specs = list(dict.fromkeys(rows["spec"]))
    relative = relative_times(rows, specs)
    if len(specs) < 2 or relative.empty:
        got = f"{len(specs)} backends, and {len(relative)} groups without a flagged time"
        raise FigureError(f"got {got}, expected two backends or more and one group or more: repeat on an idle machine")
    axes = axes or new_axes(3.4)
    looks = looks_of(frame)
    last = max(1.15 * max(r for spec in specs for r in relative[spec] if r < math.inf), 2.0)
    for spec in specs:
        own = [float(r) for r in relative[spec]]
        at = np.array([1.0, *sorted(r for r in own if r < math.inf), last])
        axes.step(at, 100 * share_within(own, at), where="post", **looks[spec].lines(marker="none"))
    style.log_axis(axes.xaxis, [1.0, last], formatting.ratio)
    axes.set_xlim(0.97, last * 1.03)
    axes.set_ylim(-2, 103)
    axes.set_xlabel("factor: time relative to the fastest of the group")
    axes.set_ylabel(f"% of {len(relative)} unflagged groups within it")
    title(axes, "Performance profile", shared(rows))
    legend(axes, {spec: Line2D([], [], **looks[spec].lines(marker="none")) for spec in specs})
    return axes
