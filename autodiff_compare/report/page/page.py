"""The HTML page: sections with tables and figures, rendered into one self-contained file."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup, escape

from autodiff_compare.report.page import style
from autodiff_compare.report.page.grids import Data, Grid
from autodiff_compare.report.page.style import Picture
from autodiff_compare.results.replacing import own_folder, write_text
from autodiff_compare.results.tables import LARGEST_TABLE, TableError, read_bytes

_TEMPLATES = pathlib.Path(__file__).parent / "templates"


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
        Tables, pictures, full tables, sections and paragraphs (text), in order.
    """

    name: str
    title: str
    lead: str = ""
    parts: tuple[Any, ...] = ()


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
    names: set[str] = set()

    def drawn(picture: Picture) -> tuple[Markup, float]:
        drawing = style.save(picture, figures)
        names.update(f"{picture.name}.{ending}" for ending in ("svg", "png"))
        # Matplotlib's XML writer has escaped the texts of the tables in it.
        return Markup(drawing.svg), drawing.width

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["drawn"] = drawn
    environment.tests["grid"] = lambda part: isinstance(part, Grid)
    environment.tests["picture"] = lambda part: isinstance(part, Picture)
    environment.tests["data"] = lambda part: isinstance(part, Data)
    environment.tests["section"] = lambda part: isinstance(part, Section)
    environment.filters["breakable"] = _breakable
    environment.filters["raw_json"] = lambda data: Markup(data.json)
    template = environment.get_template("report.html.j2")
    with style.drawing():
        html = template.render(page=page, css=Markup(_text("report.css")), script=Markup(_text("report.js")))
    write_text(path, html)
    for name in earlier - names:
        (figures / name).unlink(missing_ok=True)
    return path


def _figures(path: pathlib.Path) -> set[str]:
    """Return the names of the figure files that an existing page links to; none without a page."""
    try:
        text = read_bytes(path, LARGEST_TABLE).decode("utf-8", "replace")
    except TableError:
        return set()
    return set(re.findall(r'<a href="figures/([a-z0-9_-]+\.(?:svg|png))">', text))


def _breakable(text: str) -> Markup:
    """Escape text and allow line breaks after underscores."""
    return Markup(escape(text).replace("_", Markup("_<wbr>")))


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
