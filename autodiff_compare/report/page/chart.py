"""A chart of the page: the files that are drawn of it, and its specification for the script of the page."""

from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass, field

from autodiff_compare.charts import drawing
from autodiff_compare.charts.axes import Json
from autodiff_compare.report.page.style import Drawing
from autodiff_compare.results.replacing import replacing, write_text


@dataclass(frozen=True)
class Chart:
    """A chart with its texts.

    Parameters
    ----------
    name
        Name of its files, without extension.
    title, sentence
        Subject of the chart, and what these data show.
    spec
        Its Vega-Lite specification.
    """

    name: str
    title: str
    sentence: str
    spec: Json = field(repr=False)


def save(chart: Chart, folder: pathlib.Path) -> Drawing:
    """Write ``<name>.svg`` and ``<name>.png``, and return the drawing for print."""
    svg = drawing.svg(chart.spec)
    write_text(folder / f"{chart.name}.svg", svg)
    with replacing(folder / f"{chart.name}.png") as path:
        path.write_bytes(drawing.png(svg))
    head = svg[: svg.index(">")]
    width, height = (round(float(re.findall(rf' {side}="([\d.]+)"', head)[0])) for side in ("width", "height"))
    return Drawing(svg, width, height)
