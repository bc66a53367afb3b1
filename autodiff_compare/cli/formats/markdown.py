"""Summaries as Markdown, for a comment on a change or the summary of a CI job.

The verbs print tables of `rich` on a console. `console` returns one that writes each table as a Markdown table and
every other text as a paragraph, so that a verb needs no second way to print.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from autodiff_compare.results import formatting


class _Markdown(Console):
    """A console that writes Markdown; styles are left out."""

    def print(self, *objects: Any, **_: Any) -> None:
        """Print each object as a block with an empty line behind it."""
        for given in objects:
            for block in blocks(given):
                # Not by a method of Console: all of them wrap lines, or end in this one.
                self.file.write(f"{block}\n\n")


def console() -> Console:
    """Return a console that writes Markdown on standard output."""
    return _Markdown(color_system=None, force_terminal=False)


def blocks(given: Any) -> Iterator[str]:
    """Yield the Markdown blocks of what a verb prints: a table, a group, or a text."""
    if isinstance(given, Group):
        for part in given.renderables:
            yield from blocks(part)
    elif isinstance(given, Table):
        yield from _table(given)
    elif isinstance(given, Text):
        # The lines below a table are sentences of their own; those of other texts are only wrapped.
        if lines := [line for line in map(formatting.markdown, given.plain.splitlines()) if line]:
            yield "<br>\n".join(lines)
    elif text := formatting.markdown(str(given)):
        yield text


def _table(table: Table) -> Iterator[str]:
    """Yield the title and the lines of a table; one without a header gets an empty one, which Markdown needs."""
    if table.title:
        yield f"**{formatting.markdown(str(table.title))}**"
    heads = [_cell(column.header) if table.show_header else "" for column in table.columns]
    marks = ["---:" if column.justify == "right" else "---" for column in table.columns]
    rows = zip(*(map(_cell, column.cells) for column in table.columns), strict=True)
    yield "\n".join(map(formatting.markdown_row, [heads, marks, *rows]))


def _cell(cell: Any) -> str:
    """Return a cell in one line; a terminal breaks a heading before a variant, and a name after an underscore."""
    return formatting.markdown(re.sub(r"\n\s*(?=:)|(?<=_)\n\s*", "", str(cell)))
