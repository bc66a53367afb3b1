"""Figure of the rounds in time order: if the machine slows down or is disturbed, the lines leave 1."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from autodiff_compare.report.page import style, wording
from autodiff_compare.report.page.record import Record, largest
from autodiff_compare.report.page.style import LineStyles, Picture
from autodiff_compare.results import formatting

#: Range of the axis, relative to a cell's median; rounds beyond it are drawn at the edge.
_LOW, _HIGH = 0.5, 2.0


def pictures(record: Record, styles: LineStyles) -> Iterator[Picture]:
    """Yield figures with a panel for each backend: rounds of every cell relative to its median, and their median."""
    rounds = relative(record)
    if rounds.empty or rounds["round"].nunique() < 2:
        return
    title = "Rounds in time order"
    specs = [s for s in record.specs if s in set(rounds["spec"])]
    for k in range(0, len(specs), 8):
        part = specs[k : k + 8]
        shown = rounds[rounds["spec"].isin(part)]
        name = "rounds" + (f"-{k // 8 + 1}" if k else "")
        yield Picture(name, title, _sentence(shown, record.cells), partial(_draw, title, shown, part, styles))


def relative(record: Record) -> pd.DataFrame:
    """Return ``cell_id``, ``spec``, ``round``, ``drift`` (flagged), ``relative`` (time / median of the cell)."""
    cells = record.cells[["cell_id", "spec", "flags"]]
    found = record.rounds.merge(cells, on="cell_id", how="inner")
    found = found[np.isfinite(found["seconds"]) & (found["seconds"] > 0)].copy()
    middle = found.groupby("cell_id")["seconds"].transform("median")
    drifts = {f: "drift" in str(f).split() for f in found["flags"].unique()}
    found["relative"], found["drift"] = found["seconds"] / middle, [drifts[f] for f in found["flags"]]
    return pd.DataFrame(found)


def _sentence(shown: pd.DataFrame, cells: pd.DataFrame) -> str:
    middle = shown.groupby(["spec", "round"])["relative"].median().reset_index()
    worst = largest(middle.assign(off=(middle["relative"] - 1).abs()), "off")
    words = (
        f"The typical cell stays within {worst['off']:.1%} of its median. The largest deviation is in round "
        f"{worst['round']} of {worst['spec']} ({worst['relative'] - 1:+.1%})."
    )
    drifting = cells.loc[[("drift" in f.split()) for f in cells["flags"]], "cell_id"]
    if len(drifting):
        return f"{words} Cells flagged as drifting (dark lines): {formatting.listed(drifting, 4)}."
    return f"{words} No cell is flagged as drifting."


def _draw(title: str, shown: pd.DataFrame, specs: list[str], styles: LineStyles) -> Figure:
    columns = min(len(specs), 2)
    rows = -(-len(specs) // columns)
    figure, axes = style.canvas(title, panels=(rows, columns), panel=(3.4, 1.6), left=0.72, gap=(0.62, 0.72), room=0.16)
    last = int(shown["round"].max())
    ticks = [0.5, 0.7, 1.0, 1.4, 2.0]
    for ax, spec in zip(axes, specs, strict=False):
        part = shown[shown["spec"] == spec]
        for drift, colour, width, alpha in ((False, style.SOFT, 0.7, 0.3), (True, style.INK, 1.1, 0.8)):
            groups = part[part["drift"] == drift].groupby("cell_id", sort=False)
            lines = [np.column_stack([g["round"], g["relative"].clip(_LOW, _HIGH)]) for _, g in groups]
            ax.add_collection(LineCollection(lines, colors=colour, linewidths=width, alpha=alpha))
        middle = part.groupby("round")["relative"].median().clip(_LOW, _HIGH)
        ax.plot(middle.index, middle, **styles[spec].lines(linewidth=2.2, markersize=4))
        ax.set_title(f"{wording.label(spec)}: {part['cell_id'].nunique()} cells", loc="left", pad=3)
        ax.set_yscale("log")
        ax.set_ylim(_LOW * 0.97, _HIGH * 1.03)
        ax.set_xlim(-0.3, last + 0.3)
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        ax.yaxis.set_major_locator(FixedLocator(ticks))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_ticklabels([f"{t:g}" for t in ticks])
    for ax in axes[len(specs) :]:
        ax.remove()
    for k, ax in enumerate(axes[: len(specs)]):
        if k >= len(specs) - columns:
            ax.set_xlabel("round")
        if k % columns == 0:
            ax.set_ylabel("time / median")
    return figure
