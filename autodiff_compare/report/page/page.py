"""The HTML page: sections with tables and figures, rendered into one self-contained file.

What a reader sees first is HTML. The rest is packed (`autodiff_compare.report.page.packing`), and a script unpacks it
when it is opened or scrolled to: folded parts, full tables, figures, and the library that draws the charts.
"""

from __future__ import annotations

import json
import pathlib
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup, escape

from autodiff_compare.charts import drawing
from autodiff_compare.charts.axes import Json
from autodiff_compare.charts.looks import themed
from autodiff_compare.report.page import chart, style
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.report.page.grids import Data, Grid
from autodiff_compare.report.page.packing import packed, unpacked
from autodiff_compare.report.page.style import Picture
from autodiff_compare.report.page.wording import inline_json
from autodiff_compare.results.replacing import own_folder, write_text
from autodiff_compare.results.tables import LARGEST_TABLE, TableError, read_bytes

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
#: Parts of the script of a page, in the order in which they use each other.
_SCRIPTS = ("tables.js", "page.js", "figures.js", "explorer.js")


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Parameters
    ----------
    name
        Id of its anchor.
    lead
        Paragraph below the heading.
    parts
        Tables, charts, pictures, full tables, sections, an explorer and paragraphs (text), in order.
    fold
        Whether the section is folded until a reader opens it.
    """

    name: str
    title: str
    lead: str = ""
    parts: tuple[Any, ...] = ()
    fold: bool = False


@dataclass(frozen=True)
class Explorer:
    """The explorer of a run: the numbers of its cells and the charts that a reader may choose, for the script."""

    given: Json


@dataclass(frozen=True)
class Page:
    """Contents of a page.

    Parameters
    ----------
    title, found
        Heading, and the result in one sentence.
    faults, gaps
        Counts of failures, and of cells that were not run, as short texts.
    judged
        Whether the run has cells or descents, so that their success is worth stating.
    """

    title: str
    found: str
    faults: Sequence[str]
    sections: Sequence[Section]
    gaps: Sequence[str] = ()
    judged: bool = True


def write(page: Page, folder: pathlib.Path) -> pathlib.Path:
    """Draw the figures into ``folder/figures``, write ``folder/report.html`` and return its path.

    Figures that only an earlier page in the folder had are removed; other files are left alone.
    """
    figures, path = own_folder(folder / "figures"), folder / "report.html"
    earlier = _figures(path)
    drawings: dict[str, Json] = {}

    def drawn(figure: Chart | Picture) -> Json:
        """Draw a figure, and return its size in the page."""
        is_chart = isinstance(figure, Chart)
        made = chart.save(figure, figures) if isinstance(figure, Chart) else style.save(figure, figures)
        drawings[figure.name] = {"svg": made.svg} | ({"spec": figure.spec} if isinstance(figure, Chart) else {})
        return {"width": made.width, "height": made.height, "chart": is_chart}

    def library() -> str:
        """Return the JavaScript that draws the charts, if the page has any."""
        explored = any(isinstance(part, Explorer) for section in page.sections for part in section.parts)
        return drawing.javascript() if explored or any("spec" in made for made in drawings.values()) else ""

    template = _environment(drawn=drawn, library=library).get_template("report.html.j2")
    with style.drawing():
        html = template.render(
            page=page, css=Markup(_text("report.css")), script=Markup("".join(map(_text, _SCRIPTS))), drawings=drawings,
            colours=Markup(inline_json(themed())),
        )  # fmt: skip
    write_text(path, html)
    names = {f"{name}.{ending}" for name in drawings for ending in ("svg", "png")}
    for name in earlier - names:
        (figures / name).unlink(missing_ok=True)
    return path


def _environment(**functions: Callable[..., Any]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= functions
    environment.tests |= {
        "grid": lambda part: isinstance(part, Grid),
        "figure": lambda part: isinstance(part, (Chart, Picture)),
        "data": lambda part: isinstance(part, Data),
        "section": lambda part: isinstance(part, Section),
        "explorer": lambda part: isinstance(part, Explorer),
    }
    environment.filters["breakable"] = _breakable
    environment.filters["packed"] = lambda text: Markup(packed(str(text)))
    environment.filters["json"] = inline_json
    return environment


def _figures(path: pathlib.Path) -> set[str]:
    """Return the names of the figure files of an existing page; none without a page.

    A page names them in its packed figures; one of an earlier version only in its links.
    """
    try:
        text = read_bytes(path, LARGEST_TABLE).decode("utf-8", "replace")
    except TableError:
        return set()
    linked = set(re.findall(r'<a href="figures/([a-z0-9_-]+\.(?:svg|png))">', text))
    found = re.search(r'data-kind="figures">([A-Za-z0-9+/=]*)<', text)
    try:
        names = json.loads(unpacked(found[1])) if found else {}
    except (ValueError, zlib.error):
        names = {}
    safe = [name for name in names if re.fullmatch("[a-z0-9_-]+", name)]
    return linked | {f"{name}.{ending}" for name in safe for ending in ("svg", "png")}


def _breakable(text: str) -> Markup:
    """Escape text and allow line breaks after underscores."""
    return Markup(escape(text).replace("_", Markup("_<wbr>")))


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
