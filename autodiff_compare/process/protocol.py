"""How runner and worker talk: one JSON object a line, a request and a response with its id.

Arrays travel as base64 of their bytes with dtype and shape, non-finite floats as strings, so that
every line is strict JSON and every number arrives with the bits it left with.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np

_ARRAY, _FLOAT = "__array__", "__float__"


class ProtocolError(ValueError):
    """A line is not a message of this protocol."""


def encode(message: Any) -> str:
    """One line, without its newline."""
    return json.dumps(_plain(message), allow_nan=False, separators=(",", ":"))


def decode(line: str | bytes) -> Any:
    """The message in a line.

    Raises
    ------
    ProtocolError
        If the line is not JSON or an encoded array is damaged.
    """
    try:
        return json.loads(line, object_hook=_revive)
    except (ValueError, TypeError, KeyError) as error:
        raise ProtocolError(f"got {bytes(str(line)[:80], 'utf-8')!r}, expected a JSON message: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"got an array of {type(value.flat[0] if value.size else None).__name__}, expected numbers")
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {_ARRAY: data, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, (bool, str, int)) or value is None:
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {_FLOAT: repr(float(value))}
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value]


def _revive(found: dict[str, Any]) -> Any:
    if _ARRAY in found:
        dtype = np.dtype(found["dtype"])
        if dtype.hasobject:
            raise ProtocolError("got an object array, expected numbers")
        flat = np.frombuffer(base64.b64decode(found[_ARRAY], validate=True), dtype=dtype)
        return flat.reshape(found["shape"]).copy()
    if _FLOAT in found:
        return float(found[_FLOAT])
    return found
