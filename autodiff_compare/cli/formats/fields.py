"""Fields of the JSON documents: the rows of each kind of document, with their types, meanings and units.

``output.schema.json`` is made from these tables (``python -m tests.documents.json_schema``), and `document.write`
takes the units from them. Rows that repeat columns of the CSV tables take over their documentation.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autodiff_compare.results.rows import CellRow, CheckRow, ConventionRow, FuzzRow, MachineRow, Run, TimingRow

#: Units of the numbers in columns of the CSV tables; ``1`` stands for a ratio, or for the objective's own unit.
_UNITS: Mapping[str, str] = {
    "n_inputs": "entries",
    "n_outputs": "entries",
    "value": "1",
    "gradient_norm": "1",
    "objective_calls": "calls",
    "peak_rss_bytes": "bytes",
    "threads_requested": "threads",
    "threads_effective": "threads",
    "threads_active": "threads",
    "contended_rounds": "rounds",
    "n": "1",
    **dict.fromkeys(("median_s", "ci_low_s", "ci_high_s"), "seconds per call"),
    **dict.fromkeys(("ratio_to_value", "ratio_to_fastest", "norm_rel_error", "tolerance"), "1"),
    **dict.fromkeys(("value_expected", "bar", "distance"), "1"),
    **dict.fromkeys(
        ("agree", "convention", "precision", "defect", "unsupported", "error", "hang", "undecided"), "programs"
    ),
    "cpu_count": "processors",
    "memory_bytes": "bytes",
    "threads": "threads",
    "rounds": "rounds",
    "planned_cells": "cells",
}
#: Version of the documents. It rises when a field changes its meaning or goes; a new field does not raise it.
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Field:
    """One field of a row.

    Parameters
    ----------
    kind
        Its Python type.
    meaning
        What it holds.
    unit
        Of a number; empty if it only names something.
    optional
        Whether a row may lack it.
    """

    kind: Any
    meaning: str
    unit: str = ""
    optional: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the field holds a number."""
        return self.kind in (int, float, int | None, float | None)


def _of(table: type[Any], *names: str, absent: bool = False) -> dict[str, Field]:
    """Return the columns of a table as fields, all or those named.

    ``absent``: whether there may be no row of this table, so that each field may be ``None``.
    """
    hints = typing.get_type_hints(table, include_extras=True)
    found = {}
    for name in names or hints:
        kind, meaning = typing.get_args(hints[name])
        field = Field(kind | None if absent else kind, meaning)
        found[name] = replace(field, unit=_UNITS.get(name, "")) if field.numeric else field
    return found


_FOLDER = {"folder": Field(str, "folder of the run")}
_TIMES = ("median_s", "ci_low_s", "ci_high_s", "ratio_to_value", "ratio_to_fastest", "versus_fastest")
_CELLS = {
    **_FOLDER,
    **_of(CellRow),
    **_of(CheckRow, "reference", "norm_rel_error", "tolerance", "verdict", absent=True),
    "rounds": replace(_of(TimingRow, "n", absent=True)["n"], unit="rounds"),
    **_of(TimingRow, *_TIMES, absent=True),
}
_CHANGES = {
    "kind": Field(str, "kind of the change: slower, faster, no longer ok, ok again, missing, appeared, ..."),
    "cell_id": Field(str, "problem/size/dtype/operator/backend[:variant], or a descent and its start"),
    "words": Field(str, "the change in words: statuses, or times with their ratio and its interval"),
    "ratio": Field(float, "time in the later run over the time in the earlier one; null if no time changed", "1"),
    "regression": Field(bool, "whether the change makes the exit code 1"),
}
_DOCTOR = {
    "area": Field(str, "machine, clock, noise or backend; of the last row, verdict: whether to quote numbers"),
    "what": Field(str, "the quantity or the backend"),
    "found": Field(str, "its value, with the unit"),
    "advice": Field(str, "what to change before quoting a number; empty if nothing"),
    "host": Field(str, "name of the host that was examined; only with --on", optional=True),
}
_RUN_LIST = {
    "run": Field(str, "name or id of the run: its folder's name"),
    "latest": Field(str, "how it is also called: latest, latest~1, ..."),
    "started": Field(str, "start time, UTC, to the minute"),
    "results": Field(str, "how its cells ended, or what else it has"),
    "command": Field(str, "its command, without the program"),
    **_FOLDER,
}
_HISTORY = {
    "cell_id": Field(str, "problem/size/dtype/operator/backend[:variant]"),
    "run": Field(str, "name or id of a run in which the cell is right and timed"),
    "median_s": Field(float, "median time of a steady call in this run", "seconds per call"),
    "low_s": Field(float, "lower end of its 99 % interval", "seconds per call"),
    "high_s": Field(float, "upper end of its 99 % interval", "seconds per call"),
    "level": Field(int, "number of the level of time to which the run belongs, from 1", "levels"),
    "change": Field(float | None, "time of this level over that of the one before, in its first run", "1"),
    "cause": Field(str, "what changed from the run before: versions, Python, code; empty where no level begins"),
}
_EXPLANATION = {
    "problem": Field(str, "name of the problem"),
    "size": Field(str, "name of the size"),
    "dtype": Field(str, "dtype of the inputs"),
    "operator": Field(str, "the quantity computed"),
    "a": Field(str, "the first backend"),
    "b": Field(str, "the second backend"),
    "agree": Field(bool, "whether the results agree within rounding"),
    "result_name": Field(str, "leaf of the result with the entry that differs most", optional=True),
    "result_index": Field(str, "index of that entry", optional=True),
    "result_a": Field(float, "the entry by the first backend", "1", optional=True),
    "result_b": Field(float, "the entry by the second backend", "1", optional=True),
    "result_tolerance": Field(float, "difference of that entry that rounding may cause", "1", optional=True),
    "stage": Field(str, "stage at which the backends part: values, cotangents, tangents; empty if none was found"),
    "operation": Field(str, "operation at which they part"),
    "label": Field(str, "name that the function gives to its result"),
    "file": Field(str, "file of the operation"),
    "line": Field(int, "line of the operation; 0 if unknown"),
    "source": Field(str, "source text of the operation"),
    "operand": Field(str, "array with the entry that differs most at this operation"),
    "index": Field(str, "index of that entry"),
    "number_a": Field(float, "that entry by the first backend", "1"),
    "number_b": Field(float, "that entry by the second backend", "1"),
    "tolerance": Field(float, "difference of that entry that rounding may cause", "1"),
    "reference": Field(float, "the reference of the operation tried alone", "1"),
    "alone_a": Field(str, "verdict on the first backend in the operation alone: right, wrong, ..."),
    "alone_b": Field(str, "verdict on the second backend in the operation alone"),
    "conventions": Field(str, "cases of the atlas of conventions about this operation, separated by spaces"),
}

#: Kind of a document -> the fields of its rows, in their order.
ROWS: Mapping[str, Mapping[str, Field]] = {
    "cells": _CELLS,
    "changes": _CHANGES,
    "conventions": {**_FOLDER, **_of(ConventionRow)},
    "doctor": _DOCTOR,
    "history": _HISTORY,
    "run_list": _RUN_LIST,
    "explanation": _EXPLANATION,
    "fuzz": {**_FOLDER, **_of(FuzzRow)},
}
#: Parts of a document that describe its runs, each a table of the same name -> the fields of an entry.
HEADERS: Mapping[str, Mapping[str, Field]] = {
    "runs": {**_FOLDER, **_of(Run)},
    "machines": {**_FOLDER, **_of(MachineRow)},
}
#: Columns of these tables that hold JSON, and are objects in a document.
OBJECTS = ("versions", "environment")
