"""The JSON document of a verb: what made it, the runs and machines that it is about, units, and rows.

Its fields are those of `autodiff_compare.cli.formats.fields`; ``output.schema.json`` beside this module describes
them as a JSON schema (draft 2020-12).
"""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from autodiff_compare import __version__
from autodiff_compare.cli.formats.fields import FORMAT_VERSION, HEADERS, OBJECTS, ROWS, Field
from autodiff_compare.results.rows import SCHEMA_VERSION
from autodiff_compare.results.tables import read_all

Record = Mapping[str, Any]


def document(kind: str, rows: Sequence[Record], folders: Sequence[pathlib.Path]) -> dict[str, Any]:
    """Return a document that JSON can represent: a number that is not finite is ``None``.

    Parameters
    ----------
    kind
        A key of `fields.ROWS`.
    rows
        Records that have its fields.
    folders
        The folders of the runs that the rows are about.
    """
    return {
        "kind": kind,
        "format_version": FORMAT_VERSION,
        "schema_version": SCHEMA_VERSION,
        "program": f"autodiff-compare {__version__}",
        **{table: [entry for folder in folders for entry in _entries(folder, table)] for table in HEADERS},
        "units": {name: _units(fields) for name, fields in {**HEADERS, "rows": ROWS[kind]}.items()},
        "rows": [_plain_record(row) for row in rows],
    }


def schema() -> Any:
    """Return the JSON schema of all documents."""
    return json.loads(resources.files(__package__).joinpath("output.schema.json").read_text(encoding="utf-8"))


def _entries(folder: pathlib.Path, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table that describes a run, its columns of JSON decoded."""
    frame = read_all(folder, [table])[table]
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")  # type: ignore[assignment]
    decoded = [{**row, **{name: _object(row[name]) for name in OBJECTS}} for row in rows]
    return [_plain_record({"folder": str(folder), **row}) for row in decoded]


def _object(text: str) -> Any:
    """Return the object of a column of JSON; empty where an older schema has none."""
    return json.loads(text) if text else {}


def _units(fields: Mapping[str, Field]) -> dict[str, str]:
    return {name: field.unit for name, field in fields.items() if field.unit}


def _plain_record(record: Record) -> dict[str, Any]:
    return {name: _plain(value) for name, value in record.items()}


def _plain(value: Any) -> Any:
    """Return a value that JSON can represent."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
