"""Results for other programs: JSON or CSV on standard output, in place of the tables.

The results of a run are one flat record per cell: its status, its largest error and its steady time. Each record
names the run's folder, which holds everything else. CSV has the records alone; JSON is a document with the runs and
the units of the numbers (`autodiff_compare.cli.formats.document`).
"""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autodiff_compare.cli.formats.document import Record, document
from autodiff_compare.cli.formats.fields import ROWS
from autodiff_compare.results.tables import read_all
from autodiff_compare.vocabulary import Phase


def wanted(options: argparse.Namespace) -> bool:
    """Return whether the options ask for JSON, CSV or Markdown: no other text may be printed beside it."""
    return bool(options.json or options.csv or options.markdown)


def write(
    kind: str, records: Sequence[Record], options: argparse.Namespace, folders: Sequence[pathlib.Path] = ()
) -> None:
    """Print records that have the same fields, as JSON or CSV.

    Parameters
    ----------
    kind
        Kind of the document, a key of `autodiff_compare.cli.formats.fields.ROWS`.
    records
        The rows.
    options
        The options of the verb.
    folders
        The folders of the runs that the records are about, described in the header of a document.
    """
    if options.json:
        print(json.dumps(document(kind, records, folders), indent=1))
        return
    writer = csv.DictWriter(sys.stdout, list(records[0] if records else ROWS[kind]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)


def results(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Return one record per cell of a run: the cell, its largest error, and its time in the steady state."""
    tables = read_all(folder)
    cells, checks, timings = tables["cells"], tables["checks"], tables["timings"]
    worst = checks.sort_values("norm_rel_error", ascending=False).drop_duplicates("cell_id").set_index("cell_id")
    # A cell's time is that on its own machine.
    steady = timings[timings["phase"] == Phase.STEADY].set_index(["cell_id", "machine"])
    error = worst[["reference", "norm_rel_error", "tolerance", "verdict"]]
    time = steady[["n", "median_s", "ci_low_s", "ci_high_s", "ratio_to_value", "ratio_to_fastest", "versus_fastest"]]
    # A cell without rounds has none of them, which only the nullable dtype can hold beside whole numbers.
    time = time.rename(columns={"n": "rounds"}).astype({"rounds": "Int64"})
    joined = cells.join(error, on="cell_id").join(time, on=["cell_id", "machine"])
    records: list[dict[str, Any]] = joined.astype(object).where(joined.notna(), None).to_dict("records")  # type: ignore[assignment]
    return [{"folder": str(folder), **record} for record in records]


def tracebacks(found: Mapping[str, Sequence[str]]) -> None:
    """Print each traceback to standard error, below the cells that ended by it."""
    for text, cells in found.items():
        rest = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        print(f"\n{cells[0]}{rest}:\n{text.rstrip()}", file=sys.stderr)
