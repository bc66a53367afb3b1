"""Recorded arrays within tuples, lists, dictionaries and slices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autodiff_compare.explaining.recording.arrays import RecordedArray, RecordedDtype


def plain(value: Any) -> Any:
    """Return a value with NumPy's in place of recorded arrays and dtypes."""
    if isinstance(value, RecordedArray):
        return value.value
    if isinstance(value, RecordedDtype):
        return value.dtype
    if isinstance(value, (tuple, list)):
        parts = [plain(part) for part in value]
        return type(value)._make(parts) if hasattr(value, "_make") else type(value)(parts)
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, slice):
        return slice(*map(plain, (value.start, value.stop, value.step)))
    return value


def is_array(value: Any) -> bool:
    """Return whether a value is an array, recorded or not."""
    return hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, type)


def holds_array(value: Any) -> bool:
    """Return whether a value is an array, or a tuple or list with one in it."""
    return any(map(holds_array, value)) if isinstance(value, (tuple, list)) else is_array(value)


def arrays_in(value: Any) -> Iterator[RecordedArray]:
    """Yield the recorded arrays in nested sequences."""
    if isinstance(value, RecordedArray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from arrays_in(part)
