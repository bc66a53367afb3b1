"""Functions of the array API standard with the dtypes that each takes, and a call of each on arrays of four entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = ("int8", "int16", "int32", "int64", *UNSIGNED)
FLOATS, COMPLEX = ("float32", "float64"), ("complex64", "complex128")
REAL, FLOATING = (*INTEGERS, *FLOATS), (*FLOATS, *COMPLEX)
NUMERIC = (*INTEGERS, *FLOATING)
ALL = ("bool", *NUMERIC)

#: Names of functions of one array -> dtypes. The domain of `_UNIT` is from -1 to 1.
UNARY = {
    "abs negative positive square sign round": NUMERIC, "ceil floor trunc": REAL, "isfinite isinf isnan": NUMERIC,
    "signbit": FLOATS, "bitwise_invert": ("bool", *INTEGERS), "logical_not": ("bool",), "real imag conj": COMPLEX,
    "acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10": FLOATING,
    "reciprocal sin sinh sqrt tan tanh": FLOATING,
    "sum prod cumulative_sum cumulative_prod diff": NUMERIC, "max min argmax argmin sort argsort": REAL,
    "mean var std": FLOATS, "all any count_nonzero flip": ALL,
}  # fmt: skip
#: Names of functions of two arrays -> dtypes.
BINARY = {
    "add subtract multiply pow": NUMERIC, "divide": FLOATING, "floor_divide remainder": REAL, "equal not_equal": ALL,
    "less less_equal greater greater_equal maximum minimum": REAL, "atan2 copysign hypot logaddexp nextafter": FLOATS,
    "bitwise_and bitwise_or bitwise_xor": ("bool", *INTEGERS), "bitwise_left_shift bitwise_right_shift": INTEGERS,
    "logical_and logical_or logical_xor": ("bool",),
}  # fmt: skip
#: Other calls -> the call, and dtypes.
CALLS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "expand_dims": (lambda xp, x: xp.expand_dims(x, axis=0), ALL),
    "concat": (lambda xp, x: xp.concat([x, x]), ALL),
    "stack": (lambda xp, x: xp.stack([x, x]), ALL),
    "unstack": (lambda xp, x: xp.unstack(x)[1], ALL),
    "roll": (lambda xp, x: xp.roll(x, 1), ALL),
    "tile": (lambda xp, x: xp.tile(x, (2,)), ALL),
    "repeat": (lambda xp, x: xp.repeat(x, 2), ALL),
    "nonzero": (lambda xp, x: xp.nonzero(x)[0], ALL),
    "tril": (lambda xp, x: xp.tril(xp.stack([x, x])), ALL),
    "triu": (lambda xp, x: xp.triu(xp.stack([x, x])), ALL),
    "take": (lambda xp, x: xp.take(x, xp.asarray([2, 0])), ALL),
    "where": (lambda xp, x: xp.where(xp.asarray([True, False, True, True]), x, xp.flip(x)), ALL),
    "clip": (lambda xp, x: xp.clip(x, 2, 3), REAL),
}
_UNIT = ("acos", "asin", "atanh")


def _arrays(dtype: str) -> tuple[Any, Any]:
    """Return two arrays without zeros in the second, whose powers and products fit into 8 bits."""
    if dtype == "bool":
        return np.array([True, False, True, False]), np.array([True, True, False, False])
    first, second = np.array([3, 1, 2, 5]).astype(dtype), np.array([1, 2, 3, 1]).astype(dtype)
    if dtype in COMPLEX:
        return first + np.array([1j, -2j, 0.5j, 0], dtype), second + np.array([0, 1j, 1j, -1j], dtype)
    return first, second


def cases() -> Iterator[tuple[str, str, Callable[..., Any], tuple[Any, ...]]]:
    """Yield function, dtype, call and arrays."""
    for table, count in ((UNARY, 1), (BINARY, 2)):
        for names, dtypes in table.items():
            for name in names.split():
                for dtype in dtypes:
                    arrays = _arrays(dtype)[:count]
                    if name in _UNIT and dtype in FLOATS:
                        arrays = tuple(a / a.dtype.type(6) for a in arrays)
                    yield name, dtype, lambda xp, *given, name=name: getattr(xp, name)(*given), arrays
    for name, (call, dtypes) in CALLS.items():
        for dtype in dtypes:
            yield name, dtype, call, _arrays(dtype)[:1]
