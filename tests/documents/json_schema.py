"""The JSON schema of the documents that ``--json`` prints: ``python -m tests.documents.json_schema`` writes it."""

from __future__ import annotations

import json
import pathlib
import types
import typing
from collections.abc import Mapping
from typing import Any

from autodiff_compare.cli.formats.fields import FORMAT_VERSION, HEADERS, OBJECTS, ROWS, Field
from autodiff_compare.results.rows import SCHEMA_VERSION
from autodiff_compare.vocabulary import Status, Verdict
from tests.documents.shown import ROOT

FILE = ROOT / "autodiff_compare" / "cli" / "formats" / "output.schema.json"

_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}
#: Texts that are one of a few words.
_WORDS = {"status": Status, "verdict": Verdict}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def schema() -> dict[str, Any]:
    """Return the schema: one document for each kind of rows."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:autodiff-compare:output:{FORMAT_VERSION}",
        "title": "Output of autodiff-compare --json",
        "description": "A number that is not finite is null. A later program may add fields.",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in ROWS],
        "$defs": {
            **{f"header_{table}": _record(fields) for table, fields in HEADERS.items()},
            "units": _TEXTS,
            **{kind: _document(kind) for kind in ROWS},
            **{f"row_of_{kind}": _record(fields) for kind, fields in ROWS.items()},
        },
    }


def _document(kind: str) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "kind": {"const": kind},
        "format_version": {"const": FORMAT_VERSION, "description": "version of this schema"},
        "schema_version": {
            "type": "integer",
            "maximum": SCHEMA_VERSION,
            "description": "version of the tables of a run, results/README.md",
        },
        "program": {"type": "string", "description": "name and version of the program"},
        **{table: _several(f"header_{table}", f"the {table} that the rows are about") for table in HEADERS},
        "units": {
            "type": "object",
            "properties": {part: {"$ref": "#/$defs/units"} for part in (*HEADERS, "rows")},
            "required": [*HEADERS, "rows"],
            "description": "unit of each number in these parts",
        },
        "rows": _several(f"row_of_{kind}", "one for each cell, change, case, finding or operation"),
    }
    return {"type": "object", "properties": parts, "required": list(parts)}


def _several(definition: str, meaning: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/{definition}"}, "description": meaning}


def _record(fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _field(name, field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if not field.optional],
    }


def _field(name: str, field: Field) -> dict[str, Any]:
    if name in OBJECTS:
        return {**_TEXTS, "description": field.meaning.removeprefix("JSON: ")}
    empty = isinstance(field.kind, types.UnionType)
    base = typing.get_args(field.kind)[0] if empty else field.kind
    if name in _WORDS:
        words: list[str | None] = [*map(str, _WORDS[name]), *([None] if empty else [])]
        return {"enum": words, "description": field.meaning}
    unit = {"unit": field.unit} if field.unit else {}
    # A number of the objective may be nan or infinite, which JSON cannot say.
    kind: Any = [_TYPES[base], "null"] if empty or base is float else _TYPES[base]
    return {"type": kind, "description": field.meaning, **unit}


def text() -> str:
    """Return the text of the file."""
    return json.dumps(schema(), indent=1) + "\n"


def main() -> None:
    """Write the schema anew."""
    pathlib.Path(FILE).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
