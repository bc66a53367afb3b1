"""The growth of times with the size n, as a table in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from autodiff_compare.results.formatting import number, seconds
from autodiff_compare.results.frames.tidy import tidy
from autodiff_compare.summary.scaling import growths
from autodiff_compare.summary.terminal import plain_table
from autodiff_compare.timing.growth import FEWEST

if TYPE_CHECKING:
    import pandas as pd

_READING = (
    "A call takes a fixed time, and a time that grows like a power of n; in brackets: 95 % interval of the exponent. "
    "once: preparation and first call, with compiling, at the smallest and the largest n."
)


def tables(found: Mapping[str, pd.DataFrame]) -> Iterator[RenderableType]:
    """Yield one table for each problem, dtype and operator that was timed at `FEWEST` sizes or more.

    Parameters
    ----------
    found
        The tables of one machine.
    """
    counts = found["cells"].groupby("problem")["size"].nunique()
    if not len(counts) or counts.max() < FEWEST:
        return
    made = [
        _table(f"{problem}, {operator}, {dtype}", cells)
        for (problem, operator, dtype), cells in tidy(found).groupby(["problem", "operator", "dtype"], sort=False)
        if cells.loc[cells["median_s"] > 0, "n"].nunique() >= FEWEST
    ]
    if made:
        *first, last = made
        yield from first
        yield Group(last, Text(_READING, style="dim"))


def _table(about: str, cells: pd.DataFrame) -> RenderableType:
    low, high = cells["n"].min(), cells["n"].max()
    table = plain_table(f"Time against n = {number(float(low))} to {number(float(high))}: {about}")
    for name in ("backend", "grows like", "fixed", "at the largest n", "once"):
        table.add_column(name, justify="left" if name in ("backend", "grows like") else "right", overflow="fold")
    found = growths(cells)
    for spec, own in cells.groupby("spec", sort=False):
        growth, ends = found.get(str(spec)), own.set_index("n")
        at = ends["median_s"].get(high, float("nan"))
        once = " to ".join(seconds(float(ends["setup_s"].get(n, float("nan")))) for n in (low, high))
        fixed = "-" if growth is None else seconds(growth.fixed_s) if growth.fixed_s != 0 else "none"
        table.add_row(str(spec), "-" if growth is None else str(growth), fixed, seconds(float(at)), once)
    return table
