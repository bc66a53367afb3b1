"""The schema of the tables: its version, its history, and the dataclass for the rows of each table.

The dataclasses are in `autodiff_compare.results.schema`. The annotation of a field is the documentation of its column;
``results/README.md`` is generated from it. A unit is part of the column name. `autodiff_compare.results.tables` writes
and reads the files.

Schema history: version 1 is the first; version 2 adds ``runs.onednn``; version 3 adds ``runs.environment``,
``runs.planned_cells``, ``samples.waited_s``, and the columns of ``checks`` from ``got`` on;
version 4 adds the tables ``fuzz`` and ``findings``, and ``cells.conversion``;
version 5 adds the table ``machines``, the column ``machine`` of every table but ``runs``, and ``cells.n``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from autodiff_compare.results.schema.cells import CellRow, CheckRow, PairRow, SampleRow, TimingRow
from autodiff_compare.results.schema.machine import MachineRow, Run
from autodiff_compare.results.schema.searches import ConventionRow, FindingRow, FuzzRow
from autodiff_compare.results.schema.studies import DescentRow, QuestionRow, StepRow

__all__ = [
    "ADDED",
    "LATER_TABLES",
    "SCHEMA_VERSION",
    "TABLES",
    "CellRow",
    "CheckRow",
    "ConventionRow",
    "DescentRow",
    "FindingRow",
    "FuzzRow",
    "MachineRow",
    "PairRow",
    "QuestionRow",
    "Run",
    "SampleRow",
    "StepRow",
    "TimingRow",
]

SCHEMA_VERSION = 5

_UNKNOWN_ENTRY = {"got": math.nan, "expected": math.nan, "entry_tolerance": math.nan, "how": ""}
_UNKNOWN_MACHINE = MappingProxyType({"machine": ""})
#: Columns that older versions of the schema lack, and the value that stands for an unknown one.
ADDED: Mapping[type[Any], Mapping[str, Any]] = MappingProxyType(
    {
        Run: MappingProxyType({"onednn": "", "environment": "", "planned_cells": None}),
        CellRow: MappingProxyType({"conversion": "", "n": None, **_UNKNOWN_MACHINE}),
        CheckRow: MappingProxyType({**_UNKNOWN_ENTRY, **_UNKNOWN_MACHINE}),
        SampleRow: MappingProxyType({"waited_s": math.nan, **_UNKNOWN_MACHINE}),
        **dict.fromkeys(
            (PairRow, TimingRow, StepRow, DescentRow, QuestionRow, ConventionRow, FuzzRow, FindingRow),
            _UNKNOWN_MACHINE,
        ),
    }
)

#: Table name -> dataclass of its rows.
TABLES: dict[str, type[Any]] = {
    "runs": Run,
    "machines": MachineRow,
    "cells": CellRow,
    "checks": CheckRow,
    "pairs": PairRow,
    "samples": SampleRow,
    "timings": TimingRow,
    "steps": StepRow,
    "descents": DescentRow,
    "questions": QuestionRow,
    "conventions": ConventionRow,
    "fuzz": FuzzRow,
    "findings": FindingRow,
}
#: Tables that folders of older versions lack: they are read as empty.
LATER_TABLES = frozenset({"machines", "fuzz", "findings"})
