"""A constructed run: small tables with every kind of row, written by the package's own writer, always the same.

Times follow a rule, so that tests know the right report: the function takes 1 us per input on backend ``a`` and 4 us on
``b`` for any size, a derivative three times as long; the first call takes 10 us on ``a`` and 1 ms on ``b``. Backend
``c`` fails. The text ``name`` is put into every text that comes from outside.
"""

from __future__ import annotations

import functools
import json
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autodiff_compare.problems import available
from autodiff_compare.results import tables
from autodiff_compare.results.rows import (
    SCHEMA_VERSION,
    TABLES,
    CellRow,
    CheckRow,
    ConventionRow,
    DescentRow,
    PairRow,
    QuestionRow,
    Run,
    SampleRow,
    StepRow,
)
from autodiff_compare.results.timings import timings

PROBLEMS = ("goldstein_price", "planar_arm", "own")
SIZES = {"small": 2, "large": 32}
ROUNDS = 8
_EMPTY: dict[Any, Any] = {str: "", int: 0, float: math.nan, bool: False}


def row(table: type[Any], **given: Any) -> Any:
    """Return a row with the given fields; all other columns of the schema are empty."""
    kinds = tables.column_types(table)
    return table(**{name: _EMPTY.get(kind) for name, kind in kinds.items()} | given)


def made(
    out: pathlib.Path,
    run_id: str = "20260101T000000-aaaa",
    *,
    name: str = "",
    slow: float = 1.0,
    problems: Sequence[str] = PROBLEMS,
    studied: bool = True,
) -> pathlib.Path:
    """Write the run's folder under ``out``, with finished descents if ``studied``; ``slow`` multiplies all times."""
    cells = [*_cells(run_id, name, problems)]
    samples = [*_samples(cells, slow)]
    descents = [*_descents()] if studied else []
    rows: dict[str, Sequence[Any]] = {
        "runs": [_run(run_id, name)],
        "cells": cells,
        "checks": [*_checks(cells)],
        "pairs": [*_pairs(name)],
        "samples": samples,
        "timings": timings(cells, samples),
        "steps": [step for _, steps in descents for step in steps],
        "descents": [*(d for d, _ in descents), _broken_descent(name)],
        "questions": [*_questions(name)],
        "conventions": [*_conventions(name)],
    }
    return written(out / run_id, rows)


def written(folder: pathlib.Path, rows: dict[str, Sequence[Any]]) -> pathlib.Path:
    """Write all tables; those that are not given are empty."""
    folder.mkdir(parents=True)
    for table, kind in TABLES.items():
        tables.write(folder / f"{table}.csv", kind, rows.get(table, ()))
    return folder


def _run(run_id: str, name: str) -> Run:
    made_by: Run = row(
        Run, run_id=run_id, schema_version=SCHEMA_VERSION, started_utc="2026-01-01T00:00:00+00:00",
        command=f"compare.py run {name}", hostname=f"host{name}", cpu_model=f"cpu{name}", cpu_count=2, threads=1,
        rounds=ROUNDS, memory_bytes=2**33, python="3.11.0", os=f"Linux{name}",
        versions=json.dumps({"numpy": "2.4.0", f"other{name}": name}),
    )  # fmt: skip
    return made_by


def _cells(run_id: str, name: str, problems: Sequence[str]) -> Iterator[CellRow]:
    for problem in problems:
        word = problem + (name if problem == "own" else "")
        for size, n in SIZES.items():
            for operator in ("value", "jacobian" if problem == "planar_arm" else "gradient"):
                for backend in ("a", "b", "c"):
                    yield _cell(run_id, word, size, n, operator, backend, name)


def _cell(run_id: str, problem: str, size: str, n: int, operator: str, backend: str, name: str) -> CellRow:
    failed = backend == "c"
    found: CellRow = row(
        CellRow, run_id=run_id, cell_id=f"{problem}/{size}/float64/{operator}/{backend}{name if failed else ''}",
        problem=problem, size=size, n_inputs=n, n_outputs=1, dtype="float64", operator=operator,
        backend=f"{backend}{name if failed else ''}", how="native", threads_requested=1,
        status=("wrong" if operator == "value" else "unsupported") if failed else "ok",
        message=f"the sky is falling{name}" if failed else "", peak_rss_bytes=None if failed else 4096 * n,
        memory_method="VmHWM", flags="drift noisy" if backend == "b" and size == "large" else "",
    )  # fmt: skip
    return found


def _seconds(cell: CellRow) -> tuple[float, float]:
    """Return the seconds of the first call and of each later call."""
    scale = 1.0 if cell.operator == "value" else 3.0
    return (10e-6, 1e-6 * scale * (cell.n_inputs or 1)) if cell.backend == "a" else (1e-3, 4e-6 * scale)


def _samples(cells: Sequence[CellRow], slow: float) -> Iterator[SampleRow]:
    for backend in ("a", "b"):
        yield SampleRow(backend, "import", 0, 0, 1, 0.25)
    for cell in cells:
        if cell.status != "ok":
            continue
        first, each = _seconds(cell)
        yield SampleRow(cell.cell_id, "prepare", 0, 0, 1, 0.0)
        yield SampleRow(cell.cell_id, "first_call", 0, 0, 1, first * slow)
        for k in range(ROUNDS):
            yield SampleRow(cell.cell_id, "steady", k, 0, 10, 10 * each * slow * (1 + 0.001 * (k % 3)))
            if cell.operator != "value":
                yield SampleRow(cell.cell_id, "value", k, 0, 10, 10 * each / 3 * slow)


def _checks(cells: Sequence[CellRow]) -> Iterator[CheckRow]:
    for cell in cells:
        if cell.status == "ok":
            error = 2.0**-52 * (0.5 if cell.backend == "a" else 2.0)
            for reference, times in (("closed_form", 1.0), ("numerical_difference", 1e6)):
                yield row(
                    CheckRow, cell_id=cell.cell_id, quantity=cell.operator, reference=reference, verdict="pass",
                    norm_rel_error=error * times, tolerance=1.0,
                )  # fmt: skip
            yield row(CheckRow, cell_id=cell.cell_id, quantity="shape", verdict="pass")


def _pairs(name: str) -> Iterator[PairRow]:
    for problem, difference in zip(PROBLEMS, (1.5, 2.5, 0.0), strict=True):
        word = problem + (name if problem == "own" else "")
        operator = "jacobian" if problem == "planar_arm" else "gradient"
        yield row(
            PairRow, problem=word, size="small", dtype="float64", operator=operator, backend_a="a", backend_b="b",
            difference_in_eps=difference, norm_rel_difference=difference * 2.0**-52,
        )  # fmt: skip


@functools.cache
def _descents() -> tuple[tuple[DescentRow, tuple[StepRow, ...]], ...]:
    """Return descents from the starts of the problems to their known ends, along constructed steps."""
    inverse = available()["matrix_inverse_squared"].descent["fresh"].start(0)
    X, Y0 = inverse.data[0], inverse.differentiated[0]
    cubic = available()["cubic_fit"].descent["cleared"].start(0).differentiated[0]
    fitted = np.array([-0.0920, -0.0019, 0.8476, 0.0112])
    equal = available()["eigenvalue_targeting_equal"].descent["by_hand"]
    ways = [
        ("matrix_inverse_squared/fresh", 0, Y0, np.linalg.inv(X) + 1e-5, {}),
        ("cubic_fit/cleared", 0, cubic, fitted, {"theta": fitted.tolist()}),
        *(
            ("eigenvalue_targeting_equal/by_hand", s, equal.start(s).differentiated[0], np.array([1.0] * 3 + [0.0] * 3),
             {"eigenvalues": [0.999, 1.0, 1.001]})
            for s in range(4)
        ),
    ]  # fmt: skip
    return tuple(_descent(*way, backend) for way in ways for backend in ("a", "b"))


def _descent(way: str, start: int, first: Any, last: Any, extra: Any, backend: str) -> Any:
    cell_id = f"{way}/float64/step/{backend}"
    steps = tuple(
        StepRow(cell_id, start, k, 10.0 / (k + 1) ** 2 + 8.82 * ("cubic" in way), 0.01 * 1.1 ** (k % 7), 1.0,
                json.dumps({**extra, **({"restart": k // 5} if "inverse" in way and k % 5 == 4 else {})}))
        for k in range(40)
    )  # fmt: skip
    ended = DescentRow(
        cell_id, start, "ok", 39, 8, 41, True, steps[-1].loss, 0.5, json.dumps([first.tolist()]),
        json.dumps([last.tolist()]), "",
    )  # fmt: skip
    return ended, steps


def _broken_descent(name: str) -> DescentRow:
    failed: DescentRow = row(
        DescentRow, cell_id=f"own{name}/quick/float64/step/c", status="timeout", message=f"too slow{name}"
    )
    return failed


def _questions(name: str) -> Iterator[QuestionRow]:
    for backend in ("a", "b"):
        same = backend == "a"
        yield QuestionRow(
            backend, "no_seed", f"is there an error?{name}", '"error"', '"error"' if same else "[2.0, 4.0]", same,
            "" if same else f"sums the output{name}", f"RuntimeError: no{name}", f"answer = 1  # {name}",
        )  # fmt: skip


def _conventions(name: str) -> Iterator[ConventionRow]:
    """Yield one case in which b is wrong, and one in which both are right."""
    for case, classes in (("abs_zero", ("convention", "defect")), ("cube", ("agree", "agree"))):
        for backend, classed in zip(("a", "b"), classes, strict=True):
            yield row(
                ConventionRow, family="kinks", case=case, backend=backend, dtype="float64", operator="gradient",
                classed=classed, function=f"abs(x){name}", right="kink", expected="[[-1.0], [1.0]]",
                obtained="[2.0]" if classed == "defect" else "[0.0]", message=name, safe=f"sqrt(x * x){name}",
            )  # fmt: skip
