"""The overview of a run as tables of problems by backends, for a notebook (HTML) and for a page (Markdown)."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autodiff_compare.results.formatting import markdown, markdown_row, seconds
from autodiff_compare.results.timings import doubtful
from autodiff_compare.vocabulary import Status, because

if TYPE_CHECKING:
    import pandas as pd

#: Rows of one table; further ones are counted.
_MOST_ROWS = 60
#: Characters of a message.
_LONGEST = 200
_READING = (
    "Bold: the fastest, unless its time is flagged. ~: not proved slower. ?: not compared, because other programs used "
    "the CPU. error: largest relative error against the reference."
)
_MARKS = {"tie": " ~", "contended": " ?"}


@dataclass(frozen=True)
class Entry:
    """One entry of a table: its text, what is told when it is pointed at, and whether it stands out."""

    text: str
    hint: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: its title, the names of its columns, its rows, and a note below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    note: str = ""


def grids(frame: pd.DataFrame) -> Iterator[Grid]:
    """Yield the overview of each dtype (and machine), then the cells without a right result.

    Parameters
    ----------
    frame
        As returned by `autodiff_compare.results.frames.tidy.tidy`.
    """
    several = frame["machine"].nunique() > 1
    for (dtype, machine), cells in frame.groupby(["dtype", "machine"], sort=False):
        yield _overview(f"{dtype}, machine {machine}" if several else str(dtype), cells)
    failed = frame[frame["status"] != Status.OK]
    if len(failed):
        yield _failures(failed)


def as_html(found: Sequence[Grid], sentence: str) -> str:
    """Return tables and a sentence as HTML; all texts are escaped."""
    return "".join([*map(_html, found), f"<p>{html.escape(sentence)}</p>"])


def as_markdown(found: Sequence[Grid], sentence: str) -> str:
    """Return tables and a sentence as Markdown."""
    return "\n\n".join([*map(_markdown, found), markdown(sentence)]) + "\n"


def _overview(about: str, cells: pd.DataFrame) -> Grid:
    specs = list(dict.fromkeys(cells["spec"]))
    sizes = cells["size"].nunique() > 1
    groups = list(cells.groupby(["problem", "size", "operator"], sort=False))
    rows = []
    for (problem, size, operator), group in groups[:_MOST_ROWS]:
        found = {row["spec"]: row for row in group.to_dict("records")}
        error = group["error"].max()
        rows.append(
            (
                Entry(str(problem)),
                *([Entry(str(size))] if sizes else []),
                Entry(str(operator)),
                *(_entry(found.get(spec)) for spec in specs),
                Entry(f"{error:.0e}" if error == error else "-"),
            )
        )
    more = f" {len(groups) - _MOST_ROWS} more rows are in tidy()." if len(groups) > _MOST_ROWS else ""
    columns = ("problem", *(["size"] if sizes else []), "operator", *specs, "error")
    timed = "Median time of one call" if cells["median_s"].notna().any() else "Results"
    return Grid(f"{timed}, {about}", columns, tuple(rows), _READING + more if timed.startswith("Median") else more)


def _entry(row: dict[Any, Any] | None) -> Entry:
    """Return the time of a cell with its interval and error, or how it ended."""
    if row is None:
        return Entry("")
    if row["status"] != Status.OK or not row["median_s"] > 0:
        return Entry(row["status"].replace("_", " "), row["message"][:_LONGEST])
    parts = [f"95 % interval {seconds(row['low_s'])} to {seconds(row['high_s'])}"] if row["low_s"] > 0 else []
    parts += [f"{row['ratio']:.3g} times the fastest"] if row["ratio"] > 1 else []
    parts += [f"error {row['error_eps']:.2g} eps"] if row["error_eps"] >= 0 else []
    parts += [row["flags"]] if row["flags"] else []
    return Entry(
        seconds(row["median_s"]) + _MARKS.get(row["verdict"], ""),
        "; ".join(parts),
        row["verdict"] == "fastest" and not doubtful(str(row["flags"])),
    )


def _failures(failed: pd.DataFrame) -> Grid:
    rows = []
    for (spec, status, message), group in failed.groupby(["spec", "status", "message"], sort=False):
        what = ", ".join(dict.fromkeys(group["operator"]))
        why = because(str(status).replace("_", " "), str(message))[:_LONGEST]
        rows.append((Entry(", ".join(dict.fromkeys(group["problem"]))), Entry(str(spec)), Entry(what), Entry(why)))
    return Grid("Cells without a right result", ("problem", "backend", "operators", "why"), tuple(rows[:_MOST_ROWS]))


def _html(grid: Grid) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in grid.columns)
    body = "".join(f"<tr>{''.join(map(_html_entry, row))}</tr>" for row in grid.rows)
    note = f"<p><small>{html.escape(grid.note)}</small></p>" if grid.note else ""
    caption = f'<caption style="text-align: left"><b>{html.escape(grid.title)}</b></caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _html_entry(entry: Entry) -> str:
    hint = f' title="{html.escape(entry.hint)}"' if entry.hint else ""
    text = html.escape(entry.text)
    return f"<td{hint}>{f'<b>{text}</b>' if entry.strong else text}</td>"


def _markdown(grid: Grid) -> str:
    lines = [f"**{markdown(grid.title)}**", "", markdown_row(map(markdown, grid.columns))]
    lines.append(markdown_row("---" for _ in grid.columns))
    lines += [markdown_row(map(_markdown_entry, row)) for row in grid.rows]
    return "\n".join([*lines, *(["", markdown(grid.note)] if grid.note else [])])


def _markdown_entry(entry: Entry) -> str:
    text = markdown(entry.text)
    return f"**{text}**" if entry.strong else text
