"""The tables: one dataclass each, and how they are written to CSV and read back.

The annotation of a field is its documentation; ``results/README.md`` is generated from it. Units are
part of the column name. A missing value is an empty cell. Non-finite floats are written ``nan``, ``inf``
and ``-inf``; floats are written by ``repr``, so that reading gives the same bits. A carriage return in a text becomes
a newline, half a surrogate pair its escape. Texts are written as they are, also those that begin like a
spreadsheet's formula (``=``, ``+``, ``-``, ``@``): a prefix would make them other texts for pandas, and
a spreadsheet takes every column as text when it is told so on import.

Files from elsewhere are data: `read` checks every line and every cell against the schema, and `TableError` says
what is wrong. Nothing in them is executed, and no name in them is used as a path.

Schema history: version 1 is the first.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import pathlib
import stat
import tempfile
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import pandas as pd

SCHEMA_VERSION = 1


#: A table above this is not one of ours; it is refused before it fills the memory.
LARGEST_TABLE = 1 << 28


class TableError(ValueError):
    """A file does not follow the schema; the message names file, column and line."""


@dataclass(frozen=True)
class Run:
    """One invocation."""

    run_id: Annotated[str, "folder name under results/"]
    schema_version: Annotated[int, "version of these tables"]
    started_utc: Annotated[str, "ISO 8601 start time, UTC"]
    command: Annotated[str, "the command line"]
    git_commit: Annotated[str, "commit of the code, '+dirty' if changed, empty outside a checkout"]
    code: Annotated[str, "digest of the code and of the user's files, so that two changed states are told apart"]
    seed: Annotated[int, "seed of all inputs and directions"]
    hostname: Annotated[str, "machine name"]
    cpu_model: Annotated[str, "processor name"]
    cpu_count: Annotated[int, "processors this process may use"]
    memory_bytes: Annotated[int | None, "physical memory"]
    os: Annotated[str, "operating system and release"]
    python: Annotated[str, "Python version"]
    threads: Annotated[int, "threads requested of every backend"]
    rounds: Annotated[int, "timing rounds requested"]
    versions: Annotated[str, "JSON: distribution -> version, for every package that matters"]


@dataclass(frozen=True)
class CellRow:
    """One planned cell: what ran and how it ended."""

    run_id: Annotated[str, "the run"]
    cell_id: Annotated[str, "problem/size/dtype/operator/backend[:variant], unique within the run"]
    problem: Annotated[str, "problem name"]
    size: Annotated[str, "size name: small, medium, large"]
    n_inputs: Annotated[int | None, "number of differentiated input entries"]
    n_outputs: Annotated[int | None, "number of output entries of the function"]
    dtype: Annotated[str, "float64 or float32"]
    operator: Annotated[str, "what is computed"]
    backend: Annotated[str, "backend name"]
    variant: Annotated[str, "variant, empty for the default"]
    how: Annotated[str, "native: the framework's own operator; derived: built from its other operators"]
    status: Annotated[str, "ok wrong unsupported not_installed error timeout crash out_of_memory"]
    message: Annotated[str, "why the status is not ok"]
    value: Annotated[float, "value of the function where it is scalar"]
    gradient_norm: Annotated[float, "Euclidean norm of all result entries (of the gradient, for operator gradient)"]
    objective_calls: Annotated[int | None, "Python calls of the objective in one steady evaluation; 0 where traced"]
    peak_rss_bytes: Annotated[int | None, "growth of peak memory in one evaluation; empty where not measurable"]
    memory_method: Annotated[
        str, "how: VmHWM (resident memory) or the framework's own counter where it keeps freed memory"
    ]
    threads_effective: Annotated[float, "CPU time over wall time of a matrix-product probe in this worker"]
    threads_active: Annotated[int | None, "threads busy for a tenth of that probe or more; empty where not measurable"]
    flags: Annotated[
        str,
        "space separated: noisy (interquartile range of the rounds over 10 % of the median) contended (over 5 % of the "
        "time waiting for a processor) drift (rounds trend) retraced threads (more busy than requested) cut (--budget "
        "left fewer rounds than asked)",
    ]


@dataclass(frozen=True)
class CheckRow:
    """One numerical comparison with a reference."""

    cell_id: Annotated[str, "the cell"]
    quantity: Annotated[str, "what was compared: value, gradient, shape, dtype, repeat, ..."]
    reference: Annotated[str, "closed_form, extended_precision, numerical_difference, ... and how evaluated"]
    max_abs_error: Annotated[float, "largest absolute difference of an entry"]
    norm_rel_error: Annotated[float, "norm of the difference over the norm of the reference"]
    max_ulp_error: Annotated[float, "largest absolute difference in units of eps times the norm of the reference"]
    reference_error_bound: Annotated[float, "error bound of the reference itself, relative to its norm"]
    tolerance: Annotated[float, "largest norm_rel_error that passes"]
    worst_index: Annotated[str, "index of the entry with the largest difference"]
    nonfinite_count: Annotated[int, "entries that are nan or infinite"]
    verdict: Annotated[str, "pass fail inconclusive nonsmooth undetermined subgradient no_grad nonfinite"]
    note: Annotated[str, "normalisations applied before comparing, and remarks"]


@dataclass(frozen=True)
class PairRow:
    """Difference between two backends on one (problem, size, dtype, operator)."""

    problem: Annotated[str, "problem name"]
    size: Annotated[str, "size name"]
    dtype: Annotated[str, "float64 or float32"]
    operator: Annotated[str, "what is computed"]
    backend_a: Annotated[str, "backend[:variant]"]
    backend_b: Annotated[str, "backend[:variant]"]
    max_abs_difference: Annotated[float, "largest absolute difference of an entry"]
    norm_rel_difference: Annotated[float, "norm of the difference over the larger of the two norms"]
    difference_in_eps: Annotated[float, "norm_rel_difference in units of eps of the dtype"]
    note: Annotated[str, "normalisations applied before comparing"]


@dataclass(frozen=True)
class SampleRow:
    """One raw timing; statistics are derived from these, never stored instead."""

    cell_id: Annotated[str, "the cell; 'backend' alone for the phase import"]
    phase: Annotated[str, "import prepare first_call steady"]
    round: Annotated[int, "timing round, counted on through the launches, from 0; other phases: launch, from 0"]
    sample: Annotated[int, "block within the round, from 0"]
    calls: Annotated[int, "calls in the block"]
    seconds: Annotated[float, "seconds of the whole block"]


@dataclass(frozen=True)
class TimingRow:
    """Statistics of one phase of one cell, in seconds per call."""

    cell_id: Annotated[str, "the cell"]
    phase: Annotated[str, "import prepare first_call steady"]
    n: Annotated[int, "rounds (steady) or single timings (other phases)"]
    min_s: Annotated[float, "fastest round"]
    median_s: Annotated[float, "median over rounds of the median over blocks"]
    ci_low_s: Annotated[float, "95 % order-statistic interval of the median; nan under six rounds"]
    ci_high_s: Annotated[float, "its upper end"]
    ratio_to_value: Annotated[float, "median over that of operator 'value' on the same backend"]
    ratio_to_fastest: Annotated[float, "median over the fastest backend of the group"]
    versus_fastest: Annotated[str, "'1.48x [1.42, 1.55]' where slower is proved by the paired rule, '~' where not"]


@dataclass(frozen=True)
class StepRow:
    """One descent iteration that was kept."""

    cell_id: Annotated[str, "problem/descent/dtype/step/backend[:variant]"]
    start: Annotated[int, "seed of the starting point"]
    iteration: Annotated[int, "number of updates made so far"]
    loss: Annotated[float, "objective before the next update"]
    step_size: Annotated[float, "step size of the update"]
    gradient_norm: Annotated[float, "Euclidean norm of the gradient"]
    extra: Annotated[str, "JSON: what the study follows besides, e.g. eigenvalues, restart"]


@dataclass(frozen=True)
class DescentRow:
    """One descent from one start: how it ended."""

    cell_id: Annotated[str, "problem/descent/dtype/step/backend[:variant]"]
    start: Annotated[int, "seed of the starting point"]
    status: Annotated[str, "ok (it ran, converged or not) unsupported not_installed error timeout crash out_of_memory"]
    iterations: Annotated[int | None, "updates made"]
    restarts: Annotated[int | None, "restarts among them"]
    evaluations: Annotated[int | None, "evaluations of value and gradient"]
    converged: Annotated[bool, "whether the stop rule was met"]
    final_loss: Annotated[float, "objective at the last point"]
    seconds: Annotated[float, "from the first evaluation to the last, logging included, preparation excluded"]
    first_point: Annotated[str, "JSON: the differentiated inputs at the start; empty above 1000 entries"]
    last_point: Annotated[str, "JSON: and at the end"]
    message: Annotated[str, "why it did not run or did not converge"]


@dataclass(frozen=True)
class QuestionRow:
    """What a tape was asked and what a backend answered in its own idiom."""

    backend: Annotated[str, "backend[:variant]"]
    question: Annotated[str, "name of the question"]
    asked: Annotated[str, "the question"]
    expected: Annotated[str, "the right answer"]
    obtained: Annotated[str, "this backend's answer"]
    equal: Annotated[bool, "whether they agree"]
    convention: Annotated[str, "where they do not: what the framework legitimately does instead"]
    message: Annotated[str, "the exception or warning with which the framework answered"]
    spelled: Annotated[str, "the source text that was executed"]


TABLES: dict[str, type[Any]] = {
    "runs": Run,
    "cells": CellRow,
    "checks": CheckRow,
    "pairs": PairRow,
    "samples": SampleRow,
    "timings": TimingRow,
    "steps": StepRow,
    "descents": DescentRow,
    "questions": QuestionRow,
}

Row = TypeVar("Row")


def write(path: pathlib.Path, table: type[Row], rows: Iterable[Row]) -> None:
    """Write rows to ``path`` atomically: to a temporary name beside it, then moved into place."""
    names = [f.name for f in dataclasses.fields(table)]  # type: ignore[arg-type]
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([_text(getattr(row, name)) for name in names] for row in rows)
        # mkstemp makes the file private; a table is as readable as any other file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise


def read(path: str | os.PathLike[str], table: type[Any]) -> pd.DataFrame:
    """Read a table with its documented types: ``str``, ``int64`` (``Int64`` where empty), ``float64``, ``bool``.

    Columns that the schema does not know are left out.

    Raises
    ------
    TableError
        If the file is missing, no ordinary file or larger than `LARGEST_TABLE`, if columns are missing or there
        twice, if a line is cut off or has too many cells, or if a cell does not have its type.
    """
    header, lines = _lines(pathlib.Path(path))
    hints = column_types(table)
    absent = [name for name in hints if name not in header]
    if absent:
        raise TableError(f"got no column {', '.join(absent)} in {path}, expected: {', '.join(hints)}")
    if len(set(header)) < len(header):
        raise TableError(f"got a column twice in {path}, expected each once: {', '.join(hints)}")
    cells = dict(zip(header, zip(*lines, strict=True) if lines else [()] * len(header), strict=True))
    return pd.DataFrame({name: _column(name, cells[name], kind, path) for name, kind in hints.items()})


def read_all(folder: str | os.PathLike[str], names: Iterable[str] = ()) -> dict[str, pd.DataFrame]:
    """Every table of a run, or those of ``names``, by name.

    Raises
    ------
    TableError
        As `read`, and if the run was written by a newer program, in a schema that this one does not know.
    """
    path = pathlib.Path(folder)
    wanted = tuple(names) or tuple(TABLES)
    if not (path / "runs.csv").exists() and (path / "log.jsonl").exists():
        raise TableError(f"got {path}, a run that was cut short before its tables: compare.py run --resume {path}")
    _same_schema(path)
    return {name: read(path / f"{name}.csv", TABLES[name]) for name in wanted}


def _same_schema(folder: pathlib.Path) -> None:
    """Checked on its own and first: a newer schema may lack columns that this one expects."""
    header, lines = _lines(folder / "runs.csv")
    column = header.index("schema_version") if "schema_version" in header else -1
    for line in lines if column >= 0 else ():
        if line[column] != str(SCHEMA_VERSION):
            raise TableError(
                f"got schema version {line[column]!r:.40} in {folder}, expected {SCHEMA_VERSION}: read it with the "
                "program that wrote it"
            )


def read_bytes(path: pathlib.Path, largest: int) -> bytes:
    """A whole file, if it is an ordinary one of at most ``largest`` bytes.

    Raises
    ------
    TableError
        If it is not; a pipe or a device of that name would block or never end.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise TableError(f"got {path}, which is no ordinary file")
        if status.st_size > largest:
            raise TableError(f"got {path} of {status.st_size} bytes, expected at most {largest}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def row(table: type[Row], fields: Any) -> Row:
    """One row from decoded JSON.

    Raises
    ------
    TableError
        If fields are missing, unknown or not of their type.
    """
    hints = column_types(table)
    if not isinstance(fields, dict) or set(fields) != set(hints):
        raise TableError(f"got a row that does not have the fields of {table.__name__}: {', '.join(hints)}")
    for name, kind in hints.items():
        value = fields[name]
        if kind is float and type(value) is int:
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TableError(f"got {value!r:.40} in field {name!r} of {table.__name__}, expected {_type_name(kind)}")
    return table(**fields)


def column_types(table: type[Any]) -> dict[str, Any]:
    """Column name -> Python type, without the documentation."""
    return typing.get_type_hints(table)


def schema_markdown() -> str:
    """The schema as Markdown, for ``results/README.md``."""
    parts = [f"Schema version {SCHEMA_VERSION}. Generated from `harness/tables.py`."]
    for name, table in TABLES.items():
        parts += ["", f"## {name}.csv", "", str(table.__doc__), "", "| column | type | meaning |", "|---|---|---|"]
        for column, hint in typing.get_type_hints(table, include_extras=True).items():
            kind, doc = typing.get_args(hint)
            parts.append(f"| {column} | {_type_name(kind)} | {doc} |")
    return "\n".join(parts) + "\n"


def rows_from(frame: pd.DataFrame, table: type[Row]) -> list[Row]:
    """The rows of a table that was read, as dataclasses; missing integers become `None`."""
    records: Sequence[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    return [table(**{k: None if v is pd.NA else v for k, v in record.items()}) for record in records]


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else f"{typing.get_args(kind)[0].__name__} or empty"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # csv leaves a lone carriage return unquoted, which a reader takes for the end of the line.
        return str(value).replace("\r\n", "\n").replace("\r", "\n")
    return repr(float(value)) if isinstance(value, float) else str(value)


def _lines(path: pathlib.Path) -> tuple[list[str], list[list[str]]]:
    """Header and lines of a CSV file, all of one length."""
    data = read_bytes(path, LARGEST_TABLE)
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        header, *lines = list(reader)
    except (csv.Error, ValueError) as error:
        raise TableError(f"cannot read table {path}: {error if data else 'it is empty'}") from error
    if not data.endswith(b"\n"):
        raise TableError(f"got {path} without the end of its last line: it was cut off")
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise TableError(f"got {len(line)} cells in row {number} of {path}, expected {len(header)}")
    return header, lines


def _column(name: str, cells: Sequence[str], kind: Any, path: Any) -> Any:
    optional = isinstance(kind, types.UnionType)
    base = typing.get_args(kind)[0] if optional else kind
    try:
        if base is float:
            return pd.Series([float(text) if text else float("nan") for text in cells], dtype="float64")
        if base is int:
            numbers = [int(text) if text else pd.NA for text in cells]
            return pd.array(numbers, dtype="Int64" if optional else "int64")
        if base is bool:
            return pd.Series([{"True": True, "False": False}[text] for text in cells], dtype="bool")
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise TableError(
            f"got a cell in column {name!r} of {path} that is no {base.__name__}: {error!s:.200}"
        ) from error
    return pd.Series(cells, dtype="str")
