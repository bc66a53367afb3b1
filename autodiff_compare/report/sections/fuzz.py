"""Section of random programs: a heat map of what was covered, and the findings with their programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from autodiff_compare.report.page import style, wording
from autodiff_compare.report.page.grids import Cell, Grid, figure, words
from autodiff_compare.report.page.page import Section
from autodiff_compare.report.page.record import Record
from autodiff_compare.report.page.style import Picture
from autodiff_compare.results.rows import FuzzRow
from autodiff_compare.results.tables import rows_from, specs_of
from autodiff_compare.summary import random_programs

#: Columns of classes -> words and colour; where a cell has outcomes of several, the last in this order shows.
_SHOWN = {
    "undecided": ("undecided only", style.GRID),
    "agree": ("agrees", style.GREEN),
    "convention": ("a convention", style.SKY),
    "unsupported": ("no rule", style.GREY),
    "precision": ("lost digits", style.ORANGE),
    "error": ("error or hang", style.PURPLE),
    "defect": ("wrong", style.VERMILLION),
}
_READING = "A cell shows the worst outcome of all programs that contain the operation."
#: Inches of a row and of a column.
_ROW, _COLUMN = 0.14, 0.42
#: Inches: the narrowest panel above which the legend has room, and a letter of a column's label.
_NARROWEST, _LETTER = 4.0, 0.055
#: Angle of the columns' labels.
_TURN = math.radians(60)


def sections(record: Record) -> Iterator[Section]:
    """Yield the section, if the run drew random programs."""
    frame, found = record.tables["fuzz"], record.tables["findings"]
    if frame.empty:
        return
    frame = frame.assign(spec=specs_of(frame))
    operations, new = frame["operation"].nunique(), int((found["number"] > 0).sum())
    lead = (
        f"{wording.plural(operations, 'operation')} on {wording.plural(frame['spec'].nunique(), 'backend')}; "
        f"{wording.plural(new, 'new finding')}, {wording.plural(len(found) - new, 'known defect')}."
    )
    pictures = [
        Picture(
            wording.slug("fuzz", str(dtype)),
            f"Random programs: operations by backend and operator, {dtype}",
            _sentence(group),
            partial(_draw, group, str(dtype)),
        )
        for dtype, group in frame.groupby("dtype", sort=False)
    ]
    parts = (*pictures, outcomes(record), findings(record))
    yield Section("fuzz", "Random programs", lead, tuple(part for part in parts if part))


def _sentence(frame: pd.DataFrame) -> str:
    wrong = frame[(frame[["defect", "precision", "error", "hang"]] > 0).any(axis=1)]
    names = sorted(set(wrong["operation"]))
    if not names:
        return f"No outcome is wrong. {_READING}"
    return (
        f"{wording.plural(len(names), 'operation')} occur in programs with a wrong outcome; the findings say which of "
        f"them are at fault. {_READING}"
    )


def _draw(frame: pd.DataFrame, dtype: str) -> Figure:
    """Draw one cell for each operation, backend and operator, in the colour of its worst class."""
    operations = list(dict.fromkeys(frame["operation"]))
    places = list(dict.fromkeys(zip(frame["spec"], frame["operator"], strict=True)))
    places.sort(key=lambda place: list(dict.fromkeys(frame["spec"])).index(place[0]))
    image = np.full((len(operations), len(places)), np.nan)
    rows, columns = ({name: k for k, name in enumerate(names)} for names in (operations, places))
    for row in frame.to_dict("records"):
        counts = {**row, "error": row["error"] + row["hang"]}
        worst = [k for k, name in enumerate(_SHOWN) if counts[name]]
        if worst:
            image[rows[row["operation"]], columns[row["spec"], row["operator"]]] = worst[-1]
    shown = sorted({int(k) for k in image[np.isfinite(image)]})
    colours = [colour for _, colour in _SHOWN.values()]
    handles = [Patch(color=colours[k], label=list(_SHOWN.values())[k][0]) for k in shown]
    if np.isnan(image).any():
        handles.append(Patch(facecolor=style.PAPER, edgecolor=style.GREY, linewidth=0.4, label="no program"))
    labels = [f"{spec} {operator}" for spec, operator in places]
    panel = (max(_COLUMN * len(places) + 0.4, _NARROWEST), _ROW * len(operations))
    over = max(_LETTER * math.cos(_TURN) * len(label) - panel[0] * (1 - (k + 0.5) / len(labels))
               for k, label in enumerate(labels))  # fmt: skip
    drawn, (ax,) = style.canvas(
        "Random programs", about=f"worst outcome by operation, {dtype}", panel=panel, left=1.8,
        room=0.2 + _LETTER * math.sin(_TURN) * max(map(len, labels)), right=0.3 + max(over, 0.0),
    )  # fmt: skip
    ax.pcolormesh(
        image, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, edgecolors=style.PAPER, linewidth=0.4
    )
    ax.set_yticks(np.arange(len(operations)) + 0.5, operations, fontsize=6.5)
    ax.set_xticks(np.arange(len(places)) + 0.5, labels, rotation=math.degrees(_TURN), ha="left", fontsize=6.5)
    ax.xaxis.tick_top()
    ax.invert_yaxis()
    ax.grid(visible=False)
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.01), ncols=4, fontsize=7)
    return drawn


def outcomes(record: Record) -> Grid:
    """Return the number of outcomes by backend and class; an outcome counts once for each operation of its program."""
    counts = random_programs.counted(rows_from(record.tables["fuzz"], FuzzRow))
    classes = [name for name in random_programs.CLASSES if any(each[name] for each in counts.values())]
    columns = ("operations", *classes)
    rows = [
        (words(spec), *(figure(n, str(n)) for n in map(each.__getitem__, columns))) for spec, each in counts.items()
    ]
    note = "Each outcome counts once for every operation of its program."
    numeric = frozenset(range(1, len(columns) + 1))
    return Grid(
        "fuzz-outcomes", "Random programs: outcomes by backend", ("backend", *columns), tuple(rows), numeric, note
    )


def findings(record: Record) -> Grid:
    """Return the findings, new ones first, each with its smallest program."""
    rows = []
    for row in record.tables["findings"].to_dict("records"):
        seen = ", ".join(f"{where} ({count})" for where, count in json.loads(row["seen"]).items())
        place = f"findings/{row['number']:03d}" if row["number"] else "known"
        rows.append((
            words(str(row["operations"]), small=(place, str(row["spec"]), f"{row['operator']}, {row['dtype']}")),
            words(f"{row['classed']}: {row['kind']}", kind="bad"),
            figure(row["programs"], str(row["programs"])),
            words(str(row["message"]), long=True),
            Cell(_body(str(row["program"])), code=True, long=True),
            words(seen, long=True),
        ))  # fmt: skip
    columns = ("operations", "what", "programs", "got and expected", "smallest program", "seen in")
    return Grid("findings", "Findings", columns, tuple(rows), frozenset({2}))


def _body(program: str) -> str:
    """Return the lines of a program's function and its point."""
    lines = program.splitlines()
    start = next((k for k, line in enumerate(lines) if line.startswith("def ")), 0)
    return "; ".join(line.strip() for line in lines[start + 1 :] if line.strip() and not line.startswith("PROBLEM"))
