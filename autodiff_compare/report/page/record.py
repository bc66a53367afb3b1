"""Record of a run on one machine, for the report: its tables, and one frame that joins cells, timings and errors.

Every figure and table of a page is made from one record, so that no number joins two machines.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from autodiff_compare.report.page import wording
from autodiff_compare.results import tables
from autodiff_compare.results.frames.tidy import in_eps, setup_seconds, sized, worst_errors
from autodiff_compare.results.machines import OF_THE_MACHINE, split
from autodiff_compare.results.provenance import HARDWARE, differences, versions
from autodiff_compare.results.rows import MachineRow, Run
from autodiff_compare.results.tables import TableError, specs_of
from autodiff_compare.summary.headings import whole
from autodiff_compare.vocabulary import Phase

#: The leading operator of a problem is the first of these that it has.
_LEADING = ("gradient", "jacobian", "value_and_gradient", "value")


@dataclass(frozen=True)
class Record:
    """Tables of a run, read and joined; of a run on several machines, the part that one of them computed.

    Parameters
    ----------
    name
        Name of its folder, with the number of the machine if there are several; unique among the records of a report.
    run
        Its row in ``runs.csv``, with the machine of the record.
    machine
        The row of this machine in ``machines.csv``.
    versions
        Distribution -> version, on this machine.
    tables
        Tables as read, with unprintable characters escaped, and the rows of this machine.
    cells
        ``cells.csv`` with additional columns: ``spec`` (``backend[:variant]``); ``n`` and ``axis`` (the size as a
        number, and what it counts); ``leading`` (whether the operator is the leading one of the problem); ``error_eps``
        and ``reference`` (the largest error against the best reference, in eps); ``kink`` (whether the point is a kink
        and the answer is a subgradient); the columns of the steady phase in ``timings.csv``;
        ``setup_s`` (preparation and first call); ``where`` (the size in numbers).
    rounds
        One row for each steady round: ``cell_id``, ``round``, ``seconds`` per call.
    specs
        All backends and variants in order of appearance.
    """

    name: str
    folder: pathlib.Path
    run: Run
    machine: MachineRow
    versions: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame]
    cells: pd.DataFrame
    rounds: pd.DataFrame
    specs: tuple[str, ...]


def read(folder: pathlib.Path) -> Record:
    """Read the tables of a run on one machine and join them.

    Raises
    ------
    TableError
        As `read_all`; also if the run is on several machines.
    """
    found = read_all(folder)
    if len(found) != 1:
        raise TableError(
            f"got a run on {len(found)} machines in {folder}, expected one: read_all gives each its record"
        )
    return found[0]


def read_all(folder: pathlib.Path) -> list[Record]:
    """Read the tables of a run and join them; return a record for each machine.

    Raises
    ------
    TableError
        If its tables are missing, damaged or of another schema, or do not fit together.
    """
    found = tables.read_all(folder)
    if len(found["runs"]) != 1:
        raise TableError(f"got {len(found['runs'])} rows in the table runs of {folder}, expected 1")
    (run,) = tables.rows_from(found["runs"], Run)
    known = {row.key: row for row in tables.rows_from(found["machines"], MachineRow)}
    parts = split(found)
    lost = [key for key in parts if key not in known]
    if lost:
        raise TableError(f"got rows of machine {lost[0]!r} in {folder}, which its table machines lacks")
    if len(parts) == 1:
        return [_record(folder, "", run, known[key], part) for key, part in parts.items()]
    # How many of the planned cells each machine should have is not known.
    whole = {"runs": found["runs"].assign(planned_cells=pd.array([pd.NA], dtype="Int64"))}
    return [
        _record(folder, f", machine {k}", run, known[key], part | whole)
        for k, (key, part) in enumerate(parts.items(), 1)
    ]


def comparable(a: Record, b: Record) -> bool:
    """Return whether times of two records may be divided: two runs on one machine, or on equal ones."""
    return a.run.run_id != b.run.run_id and not differences(a.machine, b.machine, HARDWARE)


def _record(
    folder: pathlib.Path, which: str, run: Run, machine: MachineRow, found: Mapping[str, pd.DataFrame]
) -> Record:
    """Return the record of one machine, from its part of the tables."""
    cells = _joined(found)
    others = [*(c.rpartition("/")[2] for c in found["descents"]["cell_id"]), *found["questions"]["backend"]]
    specs = tuple(dict.fromkeys([*cells["spec"], *others]))
    cells["where"] = _in_numbers(cells, found["cells"])
    here = replace(run, **{name: getattr(machine, name) for name in OF_THE_MACHINE})
    name, rounds = f"{folder.resolve().name}{which}", _rounds(found["samples"])
    return Record(name, folder, here, machine, versions(here), found, cells, rounds, specs)


def _in_numbers(cells: pd.DataFrame, stored: pd.DataFrame) -> list[str]:
    """Return the size of each cell in numbers: ``n = 2000, 4 inputs``; its name if no number is known.

    The number that was stored with a cell counts, not that of today's problem; older tables have none.
    """
    own = stored["n"].astype("float64") if "n" in stored else cells["n"].where(cells["axis"] == "size of the problem")
    columns = (cells["size"], own, cells["n"], cells["axis"], cells["n_inputs"].astype("float64"))
    return [_where(*row) for row in zip(*columns, strict=True)]


def _where(size: str, own: float, n: float, axis: str, inputs: float) -> str:
    counts = f"{whole(inputs)} input{'s' if inputs != 1 else ''}" if math.isfinite(inputs) else ""
    parts = [f"n = {whole(own)}"] if math.isfinite(own) and own != inputs else []
    if axis == "rows of the batch":
        parts = [wording.plural(int(n), "row")]
    if axis == "degree of the Taylor series":
        parts = [f"degree {n:g}"]
    return ", ".join([*parts, *([counts] if counts else [])]) or size


def leading(operators: pd.Series) -> str:
    """Return the leading operator of a problem: gradient or Jacobian if it has one."""
    have = list(operators)
    return next((o for o in _LEADING if o in have), have[0] if have else "")


def largest(frame: pd.DataFrame, column: str) -> dict[Any, Any]:
    """Return the row with the largest known value of a column; the last such row, or the last one if none is known."""
    return dict(frame.sort_values(column, kind="stable", na_position="first").to_dict("records")[-1])


def _joined(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    cells = found["cells"].copy()
    cells["spec"] = specs_of(cells)
    stands = cells.groupby("problem")["operator"].agg(leading)
    cells["leading"] = cells["operator"].to_numpy() == cells["problem"].map(stands).to_numpy()
    errors = worst_errors(found["checks"]).drop(columns="tolerance")
    cells = cells.merge(errors, on="cell_id", how="left")
    cells["reference"] = cells["reference"].fillna("")
    cells["kink"] = cells["cell_id"].isin(found["checks"].loc[found["checks"]["verdict"] == "subgradient", "cell_id"])
    cells["error_eps"] = in_eps(cells["error"], cells["dtype"])
    timings = found["timings"].drop_duplicates(["cell_id", "phase"])
    steady = timings[timings["phase"] == Phase.STEADY].drop(columns=["phase", "n", "machine"])
    cells = cells.merge(steady, on="cell_id", how="left")
    cells["versus_fastest"] = cells["versus_fastest"].fillna("")
    cells["setup_s"] = cells["cell_id"].map(setup_seconds(timings)).astype("float64")
    return sized(cells)


def _rounds(samples: pd.DataFrame) -> pd.DataFrame:
    steady = samples[samples["phase"] == Phase.STEADY]
    per_call = steady.assign(seconds=steady["seconds"] / steady["calls"])
    return per_call.groupby(["cell_id", "round"], sort=False)["seconds"].median().reset_index()
