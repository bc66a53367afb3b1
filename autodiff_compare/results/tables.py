"""How the tables are written to CSV and read back; what they hold is in `autodiff_compare.results.rows`.

A missing value is an empty cell. Non-finite floats are written ``nan``, ``inf``
and ``-inf``; floats are written by ``repr``, so that reading gives the same bits. A carriage return in a text becomes
a newline, half a surrogate pair its escape. Texts are written as they are, also those that begin like a
spreadsheet's formula (``=``, ``+``, ``-``, ``@``): a prefix would make them other texts for pandas, and
a spreadsheet takes every column as text when it is told so on import.

Files from elsewhere are data: `read` checks every line and every cell against the schema, and `TableError` says
what is wrong. Nothing in them is executed, and no name in them is used as a path.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import operator
import os
import pathlib
import stat
import tempfile
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import pandas as pd

from autodiff_compare.results.rows import (
    ADDED,
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
    TimingRow,
)

__all__ = [
    "LARGEST_TABLE",
    "SCHEMA_VERSION",
    "TABLES",
    "CellRow",
    "CheckRow",
    "ConventionRow",
    "DescentRow",
    "PairRow",
    "QuestionRow",
    "Run",
    "SampleRow",
    "StepRow",
    "TableError",
    "TimingRow",
    "column_types",
    "go_on",
    "read",
    "read_all",
    "read_bytes",
    "row",
    "rows_from",
    "schema_markdown",
    "write",
]

#: A table above this is not one of ours; it is refused before it fills the memory.
LARGEST_TABLE = 1 << 28
#: Characters of the first line of a log that are read for the command in it.
_LONGEST_LINE = 1 << 16


class TableError(ValueError):
    """A file does not follow the schema; the message names file, column and line."""


Row = TypeVar("Row")


def write(path: pathlib.Path, table: type[Row], rows: Iterable[Row]) -> None:
    """Write rows to ``path`` atomically: to a temporary name beside it, then moved into place."""
    names = [f.name for f in dataclasses.fields(table)]  # type: ignore[arg-type]
    values = operator.attrgetter(*names)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows(map(_text, values(row)) for row in rows)
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

    Columns that the schema does not know are left out; those that an older schema lacks are filled in (`rows.ADDED`).

    Raises
    ------
    TableError
        If the file is missing, no ordinary file or larger than `LARGEST_TABLE`, if columns are missing or there
        twice, if a line is cut off or has too many cells, or if a cell does not have its type.
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
    cells |= {name: (value,) * len(lines) for name, value in later.items()}
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
        raise TableError(f"got {path}, a run that was cut short before its tables: {go_on(_command(path), path)}")
    _same_schema(path)
    return {name: read(path / f"{name}.csv", TABLES[name]) for name in wanted}


def go_on(command: str, folder: pathlib.Path) -> str:
    """The command line that goes on with a run which was begun by ``command``."""
    verb = "descend" if command.split()[1:2] == ["descend"] else "run"
    return f"compare.py {verb} --resume {folder}"


def _command(folder: pathlib.Path) -> str:
    """The command in the first line of a run's log, empty if it cannot be found there."""
    try:
        with (folder / "log.jsonl").open(encoding="utf-8") as log:
            return str(json.loads(log.readline(_LONGEST_LINE))["runs"][0]["command"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""


def _same_schema(folder: pathlib.Path) -> None:
    """Checked on its own and first: a newer schema may lack columns that this one expects."""
    header, lines = _lines(folder / "runs.csv")
    column = header.index("schema_version") if "schema_version" in header else -1
    for line in lines if column >= 0 else ():
        if line[column] not in map(str, range(1, SCHEMA_VERSION + 1)):
            raise TableError(
                f"got schema version {line[column]!r:.40} in {folder}, expected 1 to {SCHEMA_VERSION}: read it with "
                "the program that wrote it"
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
    """One row from decoded JSON; fields that an older schema lacks are filled in.

    Raises
    ------
    TableError
        If fields are missing, unknown or not of their type.
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


def column_types(table: type[Any]) -> dict[str, Any]:
    """Column name -> Python type, without the documentation."""
    return typing.get_type_hints(table)


def schema_markdown() -> str:
    """The schema as Markdown, for ``results/README.md``."""
    parts = [f"Schema version {SCHEMA_VERSION}. Generated from `autodiff_compare/results/rows.py`."]
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
        text = str(value)
        # csv leaves a lone carriage return unquoted, which a reader takes for the end of the line.
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
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
