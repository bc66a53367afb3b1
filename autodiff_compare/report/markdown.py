"""The report in Markdown, for pasting into an issue."""

from __future__ import annotations

from collections.abc import Sequence

from autodiff_compare.report import contents
from autodiff_compare.report.page.grids import Cell, Grid
from autodiff_compare.report.page.record import Record
from autodiff_compare.report.page.wording import markdown as escaped
from autodiff_compare.report.sections import conventions, fuzz, overview
from autodiff_compare.results.formatting import markdown_row

#: Longer messages are cut; the CSV files have them in full.
_LONGEST = 300


def summary(records: Sequence[Record], grids: Sequence[Grid] = ()) -> str:
    """Return the Markdown of each run (result, provenance, failures, overview), then of the tables in ``grids``."""
    parts: list[str] = []
    for record in records:
        run = record.run
        parts += [f"# autodiff-compare: run {escaped(record.name)}", ""]
        parts += [escaped(contents.found(record)), ""]
        parts += [f"- command: {escaped(run.command)}"]
        parts += [f"- started: {escaped(run.started_utc)}; commit: {escaped(run.git_commit or 'unknown')}"]
        parts += [f"- machine: {escaped(run.cpu_model)}, {run.cpu_count} processors, {escaped(run.os)}"]
        versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
        parts += [f"- Python {escaped(run.python)}; threads {run.threads}; {escaped(versions)}", ""]
        chosen = (
            overview.failures(record),
            *overview.overviews(record),
            overview.kinks(record),
            overview.converted(record),
            overview.descents(record),
            conventions.counts(record),
            fuzz.outcomes(record),
            fuzz.findings(record),
            overview.flags(record),
        )
        for grid in chosen:
            parts += table(grid)
    for grid in grids:
        parts += table(grid)
    return "\n".join(parts).rstrip() + "\n"


def table(grid: Grid) -> list[str]:
    """Return the lines of a table; none if it has no rows."""
    if not grid:
        return []
    marks = ["---:" if k in grid.numeric else "---" for k in range(len(grid.columns))]
    lines = [f"## {escaped(grid.title)}", "", markdown_row(escaped(c) for c in grid.columns), markdown_row(marks)]
    lines += [markdown_row(_cell(cell) for cell in row) for row in grid.rows]
    return [*lines, "", *([escaped(grid.note), ""] if grid.note else [])]


def _cell(cell: Cell) -> str:
    text = escaped(cell.text[:_LONGEST])
    if cell.kind in ("fastest", "bad", "wrong"):
        text = f"**{text}**"
    return "<br>".join([text, *(escaped(part) for part in cell.small)])
