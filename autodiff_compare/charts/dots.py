"""Dots: a quantity of named rows, a marker for each series, with intervals where they are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autodiff_compare.charts import spec
from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.looks import SOFT, Looks

#: Pixels of the panel.
_WIDTH = 390
#: Least pixels of a row, and pixels of each series within it.
_ROW, _SERIES = 20, 6


def dots(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    x: Axis,
    looks: Looks,
    *,
    about: str = "",
    hints: Iterable[tuple[str, str]] = (),
    line: tuple[float, str] | None = None,
    dodged: bool = True,
) -> Json:
    """Return the chart of ``x`` for each name, from the top down.

    Parameters
    ----------
    rows
        Each with ``name``, ``series``, the fields of the axis and of ``hints``, and, where known, ``low`` and ``high``
        (the ends of an interval) and ``flags`` (non-empty: the marker is hollow). A zero, which a log axis cannot
        show, is drawn at its left end, with a 0 beside it; ``zero`` then names the field.
    names
        The rows of the chart in order.
    looks
        Series -> look. The markers of a row stand below each other in this order.
    line
        Value of a dashed vertical line, and its text.
    dodged
        Whether the markers of a row stand below each other; otherwise on one line.
    """
    floor = _floor([row[x.field] for row in rows], x)
    kept = [
        {**row, x.field: floor, "zero": x.field} if x.log and row[x.field] == 0 else dict(row)
        for row in rows
        if x.shows(row[x.field]) or row[x.field] == 0
    ]
    along = x.encoding("x")
    dodge = {"field": "series", "type": "nominal", "scale": {"domain": list(looks)}, "sort": None}
    place = {"y": _names(names), "color": spec.colour(looks)} | (
        {"yOffset": dodge} if dodged and len(looks) > 1 else {}
    )
    layers: list[Json] = [
        {
            "params": spec.choices("x"),
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "strokeWidth": 1.4, "clip": True},
            "encoding": {**place, "x": along | {"field": "low"}, "x2": {"field": "high"}, "opacity": spec.opacity()},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 48, "clip": True},
            "encoding": {
                **place, "x": along, "shape": spec.marker(looks), "opacity": spec.opacity(0.95),
                "tooltip": spec.told(hints),
            },
        },
        {
            **spec.hollow(),
            "encoding": {**place, "x": along, **spec.paper(looks)},
        },
        {
            "transform": [{"filter": "datum.zero"}],
            "mark": {"type": "text", "text": "0", "align": "right", "dx": -6, "fontSize": 10, "clip": True},
            "encoding": {**place, "x": along, "color": {"value": SOFT}, "opacity": spec.opacity()},
        },
        *(spec.rule("x", *line, before=_left(line[0], kept, x) > 0.5) if line else []),
    ]  # fmt: skip
    height = max(_ROW, 8 + _SERIES * len(looks)) * max(len(names), 1)
    return spec.framed(title, about, {"width": _WIDTH, "height": height, "layer": layers}, kept)


def _left(at: float, rows: Sequence[Mapping[str, Any]], x: Axis) -> float:
    """Return the share of the values that are smaller than ``at``."""
    smaller = [row for row in rows if row[x.field] < at]
    return len(smaller) / max(len(rows), 1)


def _names(names: Sequence[str]) -> Json:
    """Return the encoding of the names of rows, with a line at each."""
    axis = {"title": None, "domain": False, "ticks": False, "grid": True, "labelLimit": 190, "labelPadding": 6}
    return {"field": "name", "type": "nominal", "sort": list(names), "axis": axis}


def _floor(values: Iterable[float], x: Axis) -> float:
    """Return where zeros are drawn on a log axis: left of all other values."""
    return min((v for v in values if x.shows(v) and v > 0), default=1.0) / 2.5 if x.log else 0.0
