"""Blank rows of any table: a test names only the fields that it uses."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from autodiff_compare.results import tables

Row = TypeVar("Row")

_BLANK: dict[Any, Any] = {str: "", int: 0, float: math.nan, bool: False, int | None: None}


def blank(table: type[Row], **fields: Any) -> Row:
    """Return a row of ``table`` with these fields; all others are blank."""
    return table(**{name: _BLANK[kind] for name, kind in tables.column_types(table).items()} | fields)
