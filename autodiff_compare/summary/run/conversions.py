"""The conversions of a run: what was done to frameworks' own derivatives by complex numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from rich.table import Table

from autodiff_compare.summary.terminal import plain_table

TITLE = "Complex numbers: own results brought to the convention dL/da + i dL/db"
COLUMNS = ("conversion", "operators", "backends")


def rows(cells: pd.DataFrame) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each conversion with its operators and backends.

    Parameters
    ----------
    cells
        The table of cells, with the column ``spec`` besides: the backend with its variant.
    """
    for words, group in cells[cells["conversion"] != ""].groupby("conversion", sort=False):
        yield str(words), list(group["operator"].unique()), list(group["spec"].unique())


def table(cells: pd.DataFrame) -> Table:
    """Return the conversions as a table for the terminal; of ``cells`` as for `rows`."""
    found = plain_table(TITLE)
    for name in COLUMNS:
        found.add_column(name, overflow="fold")
    for words, operators, specs in rows(cells):
        found.add_row(words, ", ".join(operators), ", ".join(specs))
    return found
