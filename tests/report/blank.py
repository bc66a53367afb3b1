"""Blank rows of any table, so that a test names only the fields that it is about."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from autodiff_compare.results import tables

Row = TypeVar("Row")

_BLANK: dict[Any, Any] = {str: "", int: 0, float: math.nan, bool: False, int | None: None}


def blank(table: type[Row], **fields: Any) -> Row:
    """A row of ``table`` with these fields and nothing in the others."""
    return table(**{name: _BLANK[kind] for name, kind in tables.column_types(table).items()} | fields)
