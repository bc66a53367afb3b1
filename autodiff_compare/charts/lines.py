"""Lines: a quantity against another one, a line with markers for each series, with intervals where they are known."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autodiff_compare.charts import spec
from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.looks import INK, Looks

#: Widths of lines that may coincide, in pixels.
_BANDS = (5.0, 3.4, 2.0, 1.0)


def lines(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    x: Axis,
    y: Axis,
    looks: Looks,
    *,
    about: str = "",
    hints: Iterable[tuple[str, str]] = (),
    step: bool = False,
    markers: bool = True,
    bands: bool = False,
    at: Sequence[float] = (),
    notches: Sequence[float] = (),
    size: tuple[int, int] = (390, 240),
) -> Json:
    """Return the chart of ``y`` against ``x`` with a line for each series.

    Parameters
    ----------
    rows
        Points in the order of the lines, each with ``series``, the fields of both axes, those of ``hints``, and, where
        known, ``low`` and ``high`` (the ends of an interval of y) and ``flags`` (non-empty: the marker is hollow).
    looks
        Series -> look, in the order of the legend.
    hints
        (Field, heading) of what is shown on hovering.
    step
        Whether y keeps its value up to the next point.
    markers
        Whether points are seen; otherwise they only answer to hovering.
    bands
        Whether each line is thinner than the one before, so that coinciding lines are all seen.
    at
        Values of x with a dashed vertical line.
    notches
        Values of x with a short stroke at the bottom.
    size
        Pixels of the panel.
    """
    kept = [row for row in rows if x.shows(row[x.field]) and y.shows(row[y.field])]
    across, up = x.encoding("x"), y.encoding("y")
    shape = "step-after" if step else "linear"
    seen = spec.opacity() if markers else spec.INVISIBLE
    widths = dict(zip(looks, itertools.cycle(_BANDS if bands else [2.0]), strict=False))
    kept = [{**row, "width": widths[row["series"]], "dash": list(looks[row["series"]].dash) or [1, 0]} for row in kept]
    layers: list[Json] = [
        {
            "params": spec.choices("x", "y"),
            "mark": {"type": "line", "interpolate": shape, "clip": True},
            "encoding": {
                "y": up,
                "strokeDash": spec.plain("dash"),
                "strokeWidth": spec.plain("width", "quantitative"),
                "opacity": spec.opacity(),
            },
        },
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "strokeWidth": 1.4, "clip": True},
            "encoding": {"y": up | {"field": "low"}, "y2": {"field": "high"}, "opacity": spec.opacity()},
        },
        *(layer for value in at for layer in spec.rule("x", value)),
        {
            "mark": {"type": "point", "filled": True, "size": 42 if markers else 90, "clip": True},
            "encoding": {"y": up, "shape": spec.marker(looks), "opacity": seen, "tooltip": spec.told(hints)},
        },
    ]
    if markers:
        layers.append({**spec.hollow(), "encoding": {"y": up, **spec.paper(looks)}})
    if notches:
        layers.append(_notches(x, notches, size[1]))
    body = {"width": size[0], "height": size[1], "encoding": {"x": across, "color": spec.colour(looks)}}
    return spec.framed(title, about, {**body, "layer": layers}, kept)


def _notches(x: Axis, values: Sequence[float], height: int) -> Json:
    """Return the layer of short strokes at the bottom."""
    return {
        "data": {"values": [{x.field: value} for value in values]},
        "mark": {"type": "point", "shape": "stroke", "angle": 90, "size": 30, "color": INK, "clip": True},
        "encoding": {"y": {"value": height - 4}, "color": {"value": INK}},
    }
