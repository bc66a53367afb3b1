"""Parts that all charts share: the frame of a specification, its colours, its legend, and what a reader can do with it.

A chart is a Vega-Lite specification: a plain `dict` of JSON values. The same one is drawn in a page, in a notebook
(``{"application/vnd.vegalite.v6+json": chart}``), and into SVG and PNG files (`autodiff_compare.charts.drawing`).

A reader moves a chart by dragging and zooms it with the wheel while Ctrl is held, so that the page scrolls as
elsewhere. A click on a name in the legend shows that series alone, further clicks add others or take them away, a
double click shows all. A page finds what it may change by name: the parameters ``log``, ``shown`` and ``view``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autodiff_compare.charts.axes import Json
from autodiff_compare.charts.looks import GRID, INK, PAPER, SOFT, Look, Looks

#: Version of Vega-Lite of the specifications, as the schema names it and as vl-convert does.
SCHEMA, VERSION = "https://vega.github.io/schema/vega-lite/v6.json", "6.1"
FONT = "DejaVu Sans, Verdana, sans-serif"
#: Encoding of points that only answer to hovering.
INVISIBLE: Json = {"value": 0}
#: Opacity of a series that is not among those chosen in the legend.
_FADED = 0.06

_CONFIG: Json = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "title": {"anchor": "start", "frame": "bounds", "color": INK, "subtitleColor": SOFT, "fontSize": 13,
              "offset": 8, "subtitleFontSize": 11.5, "fontWeight": "bold", "subtitlePadding": 4},
    "axis": {"gridColor": GRID, "gridWidth": 0.7, "domainColor": SOFT, "tickColor": SOFT, "labelColor": INK,
             "titleColor": INK, "labelFontSize": 11, "titleFontSize": 11.5, "titleFontWeight": "normal",
             "titlePadding": 8},
    "legend": {"labelColor": INK, "labelFontSize": 11.5, "orient": "top", "title": None, "symbolSize": 70,
               "symbolStrokeWidth": 2, "labelLimit": 220, "columnPadding": 10, "offset": 6},
}  # fmt: skip

_LEGEND_CHOICE: Json = {
    "name": "shown",
    "select": {"type": "point", "fields": ["series"], "toggle": "true", "on": "click", "clear": "dblclick"},
    "bind": "legend",
}
_ZOOM = "wheel![event.ctrlKey || event.metaKey]"


def framed(title: str, about: str, body: Json, rows: Sequence[Mapping[str, Any]]) -> Json:
    """Return the specification of a chart from its body, with title, data and style."""
    heading: Json = {"text": title} | ({"subtitle": about} if about else {})
    head = {"$schema": SCHEMA, "title": heading, "data": {"name": "rows", "values": [dict(row) for row in rows]}}
    return {**head, "params": [{"name": "log", "value": True}], **body, "config": _CONFIG}


def choices(*channels: str) -> list[Json]:
    """Return the parameters that a reader sets: series chosen in the legend, and the part that is seen.

    They belong to the first layer of a chart: the legend is that of the first layer, and answers to no other's.
    """
    view = {"type": "interval", "encodings": list(channels), "zoom": _ZOOM}
    return [_LEGEND_CHOICE, {"name": "view", "select": view, "bind": "scales"}]


def colour(looks: Looks) -> Json:
    """Return the encoding of the colours of series, with the legend."""
    return _by_series(looks, [look.colour for look in looks.values()])


def marker(looks: Looks) -> Json:
    """Return the encoding of the markers of series."""
    return _by_series(looks, [look.marker for look in looks.values()])


def plain(field: str, kind: str = "nominal") -> Json:
    """Return the encoding of a property by a field that holds its values, without a scale and a legend."""
    return {"field": field, "type": kind, "scale": None, "legend": None}


def _by_series(looks: Looks, values: Sequence[Any]) -> Json:
    scale = {"domain": list(looks), "range": list(values)}
    return {
        "field": "series",
        "type": "nominal",
        "title": None,
        "scale": scale,
        "legend": {"columns": _columns(looks), "symbolDash": [1, 0]},
    }


def _columns(looks: Mapping[str, Look]) -> int:
    """Return the columns of the legend that fit into 390 pixels: a letter is 6.3 wide, a marker with its gaps 28."""
    widest = max((min(len(name), 30) for name in looks), default=1) * 6.3 + 28
    return max(1, min(len(looks), int(390 / widest)))


def opacity(full: float = 1.0) -> Json:
    """Return the encoding that fades the series that are not among those chosen in the legend."""
    return {"condition": {"param": "shown", "value": full}, "value": _FADED}


def told(hints: Iterable[tuple[str, str]]) -> list[Json]:
    """Return the lines that are shown on hovering, from (field, heading); the fields hold text."""
    return [{"field": field, "type": "nominal", "title": heading} for field, heading in hints]


def hollow() -> Json:
    """Return the layer that makes the markers of flagged cells hollow, without its encoding."""
    mark = {"type": "point", "filled": True, "size": 13, "clip": True, "tooltip": None}
    return {"transform": [{"filter": "datum.flags"}], "mark": mark}


def paper(looks: Looks) -> Json:
    """Return the encoding of markers in the colour of the paper."""
    return {"color": {"value": PAPER}, "shape": marker(looks), "opacity": opacity()}


def rule(channel: str, at: float, text: str = "", *, before: bool = True) -> list[Json]:
    """Return the layers of a dashed line across the chart, and of its text before or after the line."""
    place = {channel: {"datum": at, "type": "quantitative"}}
    line = {"data": {"values": [{}]}, "mark": {"type": "rule", "color": SOFT, "strokeDash": [4, 3]}, "encoding": place}
    side = {"align": "right", "dx": -4} if before else {"align": "left", "dx": 4}
    words = {
        "data": {"values": [{}]},
        "mark": {"type": "text", "text": text, "baseline": "top", "dy": 2, "color": SOFT, **side},
        "encoding": place | {"y" if channel == "x" else "x": {"value": 0}},
    }
    return [line, words] if text else [line]
