"""A run on two machines, drawn at random: every group from either of them, and some cells of a group from each.

No run is mixed like that, since a group is computed on one machine as a whole; what is shown of a run must not depend
on it. `perturbed` changes every number of one machine, and nothing of the other.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

from autodiff_compare.results.machines import key_of
from autodiff_compare.results.rows import (
    SCHEMA_VERSION,
    CellRow,
    CheckRow,
    DescentRow,
    FuzzRow,
    MachineRow,
    PairRow,
    QuestionRow,
    Run,
    SampleRow,
    StepRow,
)
from autodiff_compare.results.timings import timings
from tests.report.made_run import row, written

Rows = dict[str, list[Any]]

BACKENDS = ("a", "b", "manual")
_PROBLEMS = ("sphere", "rosenbrock", "matyas")
_SIZES = {"small": 2, "medium": 8, "large": 32}
_ROUNDS = 9


def _machine(name: str, cpu: str) -> MachineRow:
    facts = {"cpu_model": cpu, "cpu_count": 2, "memory_bytes": 2**33, "os": "Linux 6.1", "python": "3.11.7"}
    made: MachineRow = row(
        MachineRow, hostname=f"host-{name}", versions='{"numpy": "2.4.6"}', environment="{}", accelerators="", **facts
    )
    return dataclasses.replace(made, key=key_of(made))


A, B = _machine("a", "Fast 9000"), _machine("b", "Slow 100")


def drawn(seed: int) -> Rows:
    """Return the rows of a run, each with its machine."""
    rng = random.Random(seed)
    cells = [*_cells(rng)]
    run = row(
        Run, run_id="two", schema_version=SCHEMA_VERSION, command="compare.py run", cpu_model=A.cpu_model,
        hostname=A.hostname, cpu_count=2, versions=A.versions, environment="{}", planned_cells=len(cells), threads=1,
        rounds=_ROUNDS, os=A.os, python=A.python,
    )  # fmt: skip
    descents = [
        row(DescentRow, cell_id=f"cubic_fit/cleared/float64/step/{backend}", start=start, status="ok", iterations=9,
            restarts=0, evaluations=9, converged=True, final_loss=rng.random(), seconds=rng.random(),
            machine=rng.choice([A.key, B.key]))
        for start in range(3) for backend in BACKENDS
    ]  # fmt: skip
    return {
        "runs": [run],
        "machines": [A, B],
        "cells": cells,
        "checks": [_check(rng, cell) for cell in cells],
        "pairs": [_pair(rng, cell) for cell in cells if cell.backend == "a"],
        "samples": [*_samples(rng, cells)],
        "steps": [
            row(StepRow, cell_id=d.cell_id, start=d.start, iteration=k, loss=rng.random(), step_size=0.1,
                gradient_norm=1.0, extra="{}", machine=d.machine)
            for d in descents for k in range(3)
        ],
        "descents": descents,
        "questions": [
            row(QuestionRow, backend=b, question="no_seed", asked="?", expected="1", obtained="1", equal=True,
                machine=rng.choice([A.key, B.key]))
            for b in BACKENDS
        ],
        "fuzz": [
            row(FuzzRow, run_id="two", family="f", operation="sin", operator="gradient", backend=b, dtype="float64",
                agree=rng.randrange(1, 99), machine=key)
            for b in BACKENDS for key in (A.key, B.key)
        ],
    }  # fmt: skip


def _cells(rng: random.Random) -> Iterator[CellRow]:
    for problem in _PROBLEMS:
        for size, n in _SIZES.items():
            for operator in ("value", "gradient"):
                whole = rng.choice([A.key, B.key, ""])
                for backend in BACKENDS:
                    yield row(
                        CellRow, run_id="two", cell_id=f"{problem}/{size}/float64/{operator}/{backend}", how="native",
                        problem=problem, size=size, n_inputs=n, n_outputs=1, dtype="float64", operator=operator,
                        backend=backend, status="ok" if rng.random() < 0.9 else "wrong", threads_requested=1,
                        memory_method="VmHWM", peak_rss_bytes=4096 * rng.randrange(1, 99), value=rng.random(),
                        gradient_norm=1.0, threads_effective=1.0, flags=rng.choice(["", "", "noisy"]),
                        machine=whole or rng.choice([A.key, B.key]),
                    )  # fmt: skip


def _check(rng: random.Random, cell: CellRow) -> CheckRow:
    made: CheckRow = row(
        CheckRow, cell_id=cell.cell_id, quantity="gradient", reference="closed_form", verdict="pass",
        norm_rel_error=1e-16 * rng.randrange(1, 99), tolerance=1.0, machine=cell.machine,
    )  # fmt: skip
    return made


def _pair(rng: random.Random, cell: CellRow) -> PairRow:
    made: PairRow = row(
        PairRow, problem=cell.problem, size=cell.size, dtype="float64", operator=cell.operator, backend_a="a",
        backend_b="b", difference_in_eps=rng.random(), norm_rel_difference=1e-16, machine=cell.machine,
    )  # fmt: skip
    return made


def _samples(rng: random.Random, cells: Sequence[CellRow]) -> Iterator[SampleRow]:
    for backend in BACKENDS:
        for key in (A.key, B.key):
            yield SampleRow(backend, "import", 0, 0, 1, rng.random(), machine=key)
    for cell in cells:
        each = 1e-6 * rng.uniform(1, 50) * (cell.n_inputs or 1)
        # A launch on the other machine must not be pooled with those of the cell's own.
        keys = [cell.machine, *([B.key if cell.machine == A.key else A.key] if rng.random() < 0.2 else [])]
        for key in keys:
            for phase in ("prepare", "first_call"):
                yield SampleRow(cell.cell_id, phase, 0, 0, 1, 1e-3 * rng.random(), machine=key)
            for k in range(_ROUNDS):
                for phase, share in (("steady", 1.0), ("value", 0.3)):
                    if phase == "steady" or cell.operator != "value":
                        yield SampleRow(cell.cell_id, phase, k, 0, 10, 10 * each * share * rng.uniform(0.99, 1.01),
                                        machine=key)  # fmt: skip


def perturbed(rows: Rows, key: str, seed: int = 0) -> Rows:
    """Return the rows with every number that a machine has measured changed, each by a factor of its own."""
    rng = random.Random(seed)

    def changed(row: Any) -> Any:
        if getattr(row, "machine", "") != key:
            return row
        numbers = {
            name: value * rng.uniform(2, 9) for name, value in vars(row).items()
            if isinstance(value, float) and math.isfinite(value) and name not in {"threads_effective", "tolerance"}
        }  # fmt: skip
        counts = {name: vars(row)[name] * 3 for name in ("peak_rss_bytes", "agree", "iterations") if name in vars(row)}
        flags = {"flags": "drift" if row.flags else ""} if isinstance(row, CellRow) else {}
        return dataclasses.replace(row, **numbers, **counts, **flags)

    return {name: [changed(row) for row in found] for name, found in rows.items()}


def folder(out: pathlib.Path, rows: Rows) -> pathlib.Path:
    """Write the tables of a run, with its timings, into ``out/two``."""
    return written(out / "two", {**rows, "timings": timings(rows["cells"], rows["samples"])})


def as_json(rows: Sequence[Any]) -> list[str]:
    """Return each row as text; nan is equal to itself there."""
    return [json.dumps(vars(row), sort_keys=True) for row in rows]
