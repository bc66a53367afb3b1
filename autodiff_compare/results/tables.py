"""The CSV format of the tables: writing, and reading with a check of every cell against the schema.

The columns are described in `autodiff_compare.results.rows`.

- A missing value is an empty cell. Floats are written by ``repr``, so that reading gives the same bits; non-finite ones
  are ``nan``, ``inf`` and ``-inf``.
- In a text, a carriage return becomes a newline and half a surrogate pair becomes its escape.
- Texts that begin like a spreadsheet's formula (``=``, ``+``, ``-``, ``@``) are written unchanged. A prefix would
  change them for every other reader; a spreadsheet imports columns as text if it is told to.

A file may come from anywhere. `read` checks every line and every cell, and `TableError` says what is wrong. Nothing in
a file is executed, and no name in it is used as a path.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import operator
import os
import pathlib
import shlex
import stat
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd

from autodiff_compare.results.machines import of_run
from autodiff_compare.results.replacing import replacing
from autodiff_compare.results.rows import (
    ADDED,
    LATER_TABLES,
    SCHEMA_VERSION,
    TABLES,
    CellRow,
    CheckRow,
    ConventionRow,
    DescentRow,
    FindingRow,
    FuzzRow,
    MachineRow,
    PairRow,
    QuestionRow,
    Run,
    SampleRow,
    StepRow,
    TimingRow,
)
from autodiff_compare.results.screening import escaped, impossible
from autodiff_compare.vocabulary import join_spec

#: Whoever reads tables needs the classes of their rows: the documents import both from here.
__all__ = [
    "LARGEST_TABLE",
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
    "TableError",
    "TimingRow",
    "column_types",
    "read",
    "read_all",
    "read_bytes",
    "resume_command",
    "row",
    "rows_from",
    "schema_markdown",
    "write",
]

#: Largest table that is read, in bytes. No run writes more; a larger file would fill the memory.
LARGEST_TABLE = 1 << 28
#: Characters of a log's first line that are read to find the command in it.
_LONGEST_LINE = 1 << 16


class TableError(ValueError):
    """Raised if a file does not follow the schema; the message names file, column and line."""


Row = TypeVar("Row")


def write(path: pathlib.Path, table: type[Row], rows: Iterable[Row]) -> None:
    """Write rows to ``path`` atomically: under a temporary name beside it, then moved into place."""
    names = [f.name for f in dataclasses.fields(table)]  # type: ignore[arg-type]
    values = operator.attrgetter(*names)
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(map(_text, values(row)) for row in rows)


def read(path: str | os.PathLike[str], table: type[Any]) -> pd.DataFrame:
    """Read a table into a data frame with the documented types.

    The dtypes are ``str``, ``int64`` (``Int64`` for columns that may be empty), ``float64`` and ``bool``. Columns that
    are not in the schema are left out; columns that an older schema lacks are filled in (`rows.ADDED`).

    Raises
    ------
    TableError
        If the file is missing, is not an ordinary file or is larger than `LARGEST_TABLE`; if a column is missing or
        occurs twice; if a line is cut off or has too many cells; if a cell does not have the type of its column.
    """
    header, lines = _lines(pathlib.Path(path))
    hints = column_types(table)
    later = {name: value for name, value in ADDED.get(table, {}).items() if name not in header}
    absent = [name for name in hints if name not in header and name not in later]
    if absent:
        raise TableError(f"got no column {', '.join(absent)} in {path}, expected: {', '.join(hints)}")
    if len(set(header)) < len(header):
        raise TableError(f"got a column twice in {path}, expected each once: {', '.join(hints)}")
    cells = dict(zip(header, zip(*lines, strict=True) if lines else [()] * len(header), strict=True))
    cells |= {name: ("" if value is None else str(value),) * len(lines) for name, value in later.items()}
    return pd.DataFrame({name: _column(name, cells[name], kind, path) for name, kind in hints.items()})


def read_all(folder: str | os.PathLike[str], names: Iterable[str] = ()) -> dict[str, pd.DataFrame]:
    """Read the tables of a run, all or those of ``names``, into data frames by table name.

    Control characters in texts are escaped, line breaks excepted.

    Raises
    ------
    TableError
        As `read`; also if the run has no tables yet, was written in another version of the schema, or has a number
        that no run has, such as a block of no calls.
    """
    path = pathlib.Path(folder)
    wanted = tuple(names) or tuple(TABLES)
    if not (path / "runs.csv").exists() and (path / "log.jsonl").exists():
        resume = resume_command(_command(path), path)
        raise TableError(f"got {path}, a run that was interrupted before its tables were written: use {resume}")
    _check_schema(path)
    found = {name: _read_or_empty(path / f"{name}.csv", name) for name in wanted}
    damaged = next(filter(None, (impossible(name, frame) for name, frame in found.items())), "")
    if damaged:
        raise TableError(f"{damaged}: {path} is damaged")
    return {name: escaped(frame) for name, frame in _with_machine(found, path).items()}


def _with_machine(found: Mapping[str, pd.DataFrame], folder: pathlib.Path) -> Mapping[str, pd.DataFrame]:
    """Return tables with the only machine of a run that has no table of machines: that of its row in ``runs.csv``."""
    runs, known = (
        found[name] if name in found else _read_or_empty(folder / f"{name}.csv", name) for name in ("runs", "machines")
    )
    if len(known) or len(runs) != 1:
        return found
    machine = of_run(rows_from(runs, Run)[0])
    cells = {name: [_text(value)] for name, value in vars(machine).items()}
    hints = column_types(MachineRow)
    own = pd.DataFrame({name: _column(name, cells[name], kind, folder) for name, kind in hints.items()})
    filled = {
        name: frame.assign(machine=frame["machine"].mask(frame["machine"] == "", machine.key))
        for name, frame in found.items()
        if "machine" in frame.columns
    }
    return {name: own if name == "machines" else filled.get(name, frame) for name, frame in found.items()}


def _read_or_empty(path: pathlib.Path, name: str) -> pd.DataFrame:
    """Read a table; return it without rows if the folder is older than the table."""
    if name in LATER_TABLES and not path.exists():
        hints = column_types(TABLES[name])
        return pd.DataFrame({column: _column(column, (), kind, path) for column, kind in hints.items()})
    return read(path, TABLES[name])


def resume_command(command: str, folder: pathlib.Path) -> str:
    """Return the command line that resumes a run which was started by ``command``.

    A run that executes a user's file or another Python is resumed only if its whole command is repeated.
    """
    try:
        program, *words = shlex.split(command)
    except ValueError:
        program, words = "", []
    if any(word.endswith(".py") or "@" in word or ".py:" in word for word in words) and "--resume" not in words:
        return shlex.join([program, *words, "--resume", str(folder)])
    verb = words[0] if words and words[0] in ("descend", "check") else "run"
    return f"compare.py {verb} --resume {folder}"


def _command(folder: pathlib.Path) -> str:
    """Return the command in the first line of a run's log; empty if it cannot be found there."""
    try:
        with (folder / "log.jsonl").open(encoding="utf-8") as log:
            return str(json.loads(log.readline(_LONGEST_LINE))["runs"][0]["command"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""


def _check_schema(folder: pathlib.Path) -> None:
    """Raise `TableError` for another schema version; called before `read`, which would miss columns instead."""
    header, lines = _lines(folder / "runs.csv")
    column = header.index("schema_version") if "schema_version" in header else -1
    for line in lines if column >= 0 else ():
        if line[column] not in map(str, range(1, SCHEMA_VERSION + 1)):
            raise TableError(
                f"got schema version {line[column]!r:.40} in {folder}, expected 1 to {SCHEMA_VERSION}: read it with "
                "the program that wrote it"
            )


def read_bytes(path: pathlib.Path, largest: int) -> bytes:
    """Return the bytes of an ordinary file of at most ``largest`` bytes.

    Raises
    ------
    TableError
        If the file is missing, too large, or a pipe or device, which might block or never end.
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
    """Return one row of a table from decoded JSON; fields that an older schema lacks are filled in.

    Raises
    ------
    TableError
        If a field is missing, unknown or not of its type.
    """
    hints = column_types(table)
    if isinstance(fields, dict):
        fields = {**ADDED.get(table, {}), **fields}
    if not isinstance(fields, dict) or set(fields) != set(hints):
        raise TableError(f"got a row that does not have the fields of {table.__name__}: {', '.join(hints)}")
    for name, kind in hints.items():
        value = fields[name]
        if kind is float and type(value) is int:
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TableError(f"got {value!r:.40} in field {name!r} of {table.__name__}, expected {_type_name(kind)}")
    return table(**fields)


def column_types(table: type[Any]) -> Mapping[str, Any]:
    """Return column name -> Python type, without the documentation."""
    return _COLUMN_TYPES[table]


#: Table -> `column_types`. They are asked for at each row of a log, and take longer to find than the rest of the row.
_COLUMN_TYPES: Mapping[type[Any], Mapping[str, Any]] = {
    table: typing.get_type_hints(table) for table in TABLES.values()
}


def schema_markdown() -> str:
    """Return the schema as Markdown, for ``results/README.md``."""
    parts = [f"Schema version {SCHEMA_VERSION}. Generated from `autodiff_compare/results/rows.py`."]
    for name, table in TABLES.items():
        parts += ["", f"## {name}.csv", "", str(table.__doc__), "", "| column | type | meaning |", "|---|---|---|"]
        for column, hint in typing.get_type_hints(table, include_extras=True).items():
            kind, doc = typing.get_args(hint)
            parts.append(f"| {column} | {_type_name(kind)} | {doc} |")
    return "\n".join(parts) + "\n"


def rows_from(frame: pd.DataFrame, table: type[Row]) -> list[Row]:
    """Return the rows of a data frame as dataclasses; missing integers become `None`."""
    records: Sequence[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    return [table(**{k: None if v is pd.NA else v for k, v in record.items()}) for record in records]


def specs_of(frame: pd.DataFrame) -> pd.Series[str]:
    """Return the column ``spec`` (``backend[:variant]``) of a table with the columns ``backend`` and ``variant``."""
    return pd.Series(list(map(join_spec, frame["backend"], frame["variant"])), frame.index)


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else f"{typing.get_args(kind)[0].__name__} or empty"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = str(value)
        # The csv module leaves a lone carriage return unquoted; a reader would end the line there.
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return repr(float(value)) if isinstance(value, float) else str(value)


def _lines(path: pathlib.Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the lines of a CSV file, each with as many cells as the header."""
    data = read_bytes(path, LARGEST_TABLE)
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        header, *lines = list(reader)
    except (csv.Error, ValueError) as error:
        raise TableError(f"cannot read table {path}: {error if data else 'it is empty'}") from error
    if not data.endswith(b"\n"):
        raise TableError(f"got {path} without the end of its last line: the file was cut off")
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
