"""Drawing of charts by Vega, in this process: SVG and PNG files, and the JavaScript of a page that shows them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
from importlib.metadata import version

import vl_convert

from autodiff_compare.charts.axes import Json
from autodiff_compare.charts.spec import INVISIBLE, VERSION
from autodiff_compare.results.replacing import write_text

#: Pixels of a PNG for each pixel of the chart.
_SCALE = 1.5
#: Names of clip paths in an SVG of Vega, where they are made and where they are used.
_CLIP = re.compile(r'(?:(?<=id=")|(?<=\(#))clip\d+')


def svg(chart: Json) -> str:
    """Return the drawing of a chart as SVG, without the points that are only there to be hovered over."""
    seen = [layer for layer in chart["layer"] if layer.get("encoding", {}).get("opacity") != INVISIBLE]
    drawn = vl_convert.vegalite_to_svg(json.dumps({**chart, "layer": seen}), vl_version=VERSION)
    # Vega numbers clip paths over all charts of the process; numbered anew, a chart has the same bytes each time.
    names: dict[str, str] = {}
    return _CLIP.sub(lambda found: names.setdefault(found[0], f"clip{len(names)}"), drawn)


def png(drawing: str) -> bytes:
    """Return the PNG of an SVG."""
    return vl_convert.svg_to_png(drawing, scale=_SCALE)


def javascript() -> str:
    """Return the JavaScript that draws charts in a page: Vega, Vega-Lite and Vega-Embed of one version.

    It sets ``window.vegaEmbed``. vl-convert takes five seconds to make it from its own modules, so it is kept in the
    user's cache folder; where that cannot be written to, it is made each time.
    """
    kept = _cache_folder() / f"vega-lite-{VERSION}-by-vl-convert-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeError):
        return kept.read_text(encoding="utf-8")
    made = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VERSION)
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, made)
    return made


def _cache_folder() -> pathlib.Path:
    """Return the folder of this package for files that can be made again (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (pathlib.Path(base) if os.path.isabs(base) else pathlib.Path.home() / ".cache") / "autodiff-compare"
