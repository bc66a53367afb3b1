"""The wire protocol of runner and worker: one JSON object a line; each response carries the id of its request.

Strict JSON has no arrays, no nan and no infinities, so these are wrapped. An array becomes the base64 text of its bytes
with dtype and shape, a non-finite float its ``repr``. Every number therefore arrives with the bits it left with.

One request, the response to it, and a response that reports a failure::

    {"id":7,"verb":"visit","backend":"jax","params":{"calls":16}}
    {"id":7,"ok":{"seconds":[0.0016,0.0015],"wall_s":0.0131,"queue_s":0.0,"retraced":false}}
    {"id":8,"status":"unsupported","message":"autograd computes on cpu, not on gpu"}

Inside a message, the array ``[1.0, 2.0]`` and an infinity read::

    {"__array__":"AAAAAAAA8D8AAAAAAAAAQA==","dtype":"<f8","shape":[2]}
    {"__float__":"inf"}
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np

_ARRAY, _FLOAT = "__array__", "__float__"
_BFLOAT16 = "bfloat16"


class ProtocolError(ValueError):
    """Raised for a line that is no message of this protocol."""


def encode(message: Any) -> str:
    """Return a message as one line of strict JSON, without its newline.

    Raises
    ------
    TypeError
        If an array holds Python objects instead of numbers.
    """
    return json.dumps(_plain(message), allow_nan=False, separators=(",", ":"))


def decode(line: str | bytes) -> Any:
    """Return the message in a line, with its arrays and non-finite floats restored.

    Raises
    ------
    ProtocolError
        If the line is not JSON or an encoded array is damaged.
    """
    try:
        return json.loads(line, object_hook=_revive)
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ProtocolError(f"got {bytes(str(line)[:80], 'utf-8')!r}, expected a JSON message: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"got an array of {type(value.flat[0] if value.size else None).__name__}, expected numbers")
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        # NumPy takes a dtype of ml_dtypes for bytes without a type: only its name tells it.
        dtype = value.dtype.name if value.dtype.name == _BFLOAT16 else value.dtype.str
        return {_ARRAY: data, "dtype": dtype, "shape": list(value.shape)}
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
        if found["dtype"] == _BFLOAT16:
            import ml_dtypes  # noqa: F401 - NumPy knows the name once this is imported
        dtype = np.dtype(found["dtype"])
        if dtype.hasobject:
            raise ProtocolError("got an object array, expected numbers")
        flat = np.frombuffer(base64.b64decode(found[_ARRAY], validate=True), dtype=dtype)
        return flat.reshape(found["shape"]).copy()
    if _FLOAT in found:
        return float(found[_FLOAT])
    return found
