"""Data types, and the conversion of Python scalars.

TensorFlow does not promote dtypes: ``float32 * float64`` raises an error. Functions of two operands and operators of
arrays promote them here. Python scalars are weak: they take the dtype of the other operand.
"""

from __future__ import annotations

import builtins
import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from autodiff_compare.backends.default_dtype import default_dtype

__all__ = [
    "__array_namespace_info__",
    "astype",
    "bool",
    "can_cast",
    "complex64",
    "complex128",
    "finfo",
    "float32",
    "float64",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

Tensor = Any
DType = Any

bool = tf.bool
int8, int16, int32, int64 = tf.int8, tf.int16, tf.int32, tf.int64
uint8, uint16, uint32, uint64 = tf.uint8, tf.uint16, tf.uint32, tf.uint64
float32, float64 = tf.float32, tf.float64
complex64, complex128 = tf.complex64, tf.complex128

_KINDS: dict[str, tuple[DType, ...]] = {
    "bool": (bool,),
    "signed integer": (int8, int16, int32, int64),
    "unsigned integer": (uint8, uint16, uint32, uint64),
    "real floating": (float32, float64),
    "complex floating": (complex64, complex128),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]

_SCALARS = (builtins.bool, int, float, complex)


def default(kind: type) -> DType:
    """Return the dtype of a Python scalar of this class without another operand; that of floats is the cell's."""
    exact: dict[type, DType] = {builtins.bool: bool, int: int64}
    return exact[kind] if kind in exact else tf.as_dtype(default_dtype(kind))


def match(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Return two operands as tensors of one dtype; a Python scalar takes the dtype of the other operand."""
    if isinstance(x2, _SCALARS):
        x1 = tensor(x1)
        dtype = _with_scalar(x1.dtype, x2)
        return _as(x1, dtype), tf.convert_to_tensor(x2, dtype)
    if isinstance(x1, _SCALARS):
        x2, x1 = match(x2, x1)
        return x1, x2
    first, second = promoted(x1, x2)
    return first, second


def promoted(*operands: Any) -> list[Tensor]:
    """Return tensors in their common dtype.

    Within a kind it is that of the standard's promotion table. An integer beside a floating operand takes its dtype, as
    in PyTorch and JAX, which keeps float32; the standard leaves it open. So does a NumPy array of floats.
    """
    tensors = [x if tf.is_tensor(x) else _beside(x, operands) for x in operands]
    dtype = tensors[0].dtype
    for other in tensors[1:]:
        dtype = _common(dtype, other.dtype)
    return [_as(x, dtype) for x in tensors]


def _beside(x: Any, operands: Any) -> Tensor:
    """Return a NumPy array as a tensor; floats take the floating dtype of a tensor beside them."""
    found = tensor(x)
    floating = [o.dtype for o in operands if tf.is_tensor(o) and o.dtype.is_floating]
    return _as(found, floating[0]) if found.dtype.is_floating and floating else found


def _as(x: Tensor, dtype: DType) -> Tensor:
    return x if x.dtype == dtype else tf.cast(x, dtype)


@functools.cache
def _common(a: DType, b: DType) -> DType:
    """Return the dtype to which two dtypes are promoted."""
    if a == b or b == bool:
        return a
    if a == bool:
        return b
    exact = [d.is_integer for d in (a, b)]
    if exact[0] != exact[1]:
        return b if exact[0] else a
    return tf.as_dtype(np.result_type(a.as_numpy_dtype, b.as_numpy_dtype))


def _with_scalar(dtype: DType, scalar: complex) -> DType:
    """Return the dtype to which an array is promoted by a Python scalar of another kind."""
    if isinstance(scalar, (builtins.bool, int)):
        return int64 if dtype == bool and not isinstance(scalar, builtins.bool) else dtype
    if isinstance(scalar, float):
        return dtype if dtype.is_floating or dtype.is_complex else default(float)
    if dtype.is_complex:
        return dtype
    if not dtype.is_floating:
        return default(complex)
    return complex128 if dtype == float64 else complex64


def tensor(x: Any) -> Tensor:
    """Return ``x`` as a tensor; Python scalars get the default dtypes."""
    if isinstance(x, _SCALARS):
        return tf.convert_to_tensor(x, default(next(kind for kind in _SCALARS if isinstance(x, kind))))
    return tf.convert_to_tensor(x)


def floating(x: Any) -> Tensor:
    """Return ``x`` as a tensor of floating or complex dtype: integers and truth values become floats of the default."""
    found = x if tf.is_tensor(x) else tensor(x)
    return found if found.dtype.is_floating or found.dtype.is_complex else tf.cast(found, default(float))


def widened(x: Tensor, dtype: DType | None) -> Tensor:
    """Return the dtype of a sum or product: ``dtype`` if given, and at least the default integer for integers."""
    if dtype is None:
        if x.dtype == bool or x.dtype in _KINDS["signed integer"]:
            dtype = int64
        elif x.dtype in _KINDS["unsigned integer"]:
            dtype = uint64
    return x if dtype is None or x.dtype == dtype else tf.cast(x, dtype)


def is_integral(x: Tensor) -> builtins.bool:
    """Return whether ``x`` holds integers, which rounding does not change."""
    return builtins.bool(x.dtype.is_integer)


def astype(x: Tensor, dtype: DType, /, *, copy: builtins.bool = True, device: Any = None) -> Tensor:
    """Convert to another dtype; tensors are immutable, so ``copy`` and ``device`` have no effect."""
    del copy, device
    return tf.cast(tensor(x), dtype)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """Return the dtype of the standard's promotion table; Python scalars are weak."""
    return tf.as_dtype(np.result_type(*(_for_numpy(a) for a in arrays_and_dtypes)))


def can_cast(from_: Any, to: DType, /) -> builtins.bool:
    """Return whether the cast keeps every value."""
    return builtins.bool(np.can_cast(_for_numpy(from_), to.as_numpy_dtype))


def _for_numpy(a: Any) -> Any:
    if isinstance(a, _SCALARS):
        return a
    return np.dtype(getattr(a, "dtype", a).as_numpy_dtype)


def isdtype(dtype: DType, kind: DType | str | tuple[DType | str, ...]) -> builtins.bool:
    """Return whether ``dtype`` is of a kind such as ``"real floating"``, equals a dtype, or is one of several."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"got kind {kind!r}, expected one of: {', '.join(_KINDS)}")
        return dtype in _KINDS[kind]
    return builtins.bool(dtype == kind)


class FloatInfo(NamedTuple):
    """The limits of a floating dtype, as Python floats."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class IntInfo(NamedTuple):
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: DType


def finfo(type: Any, /) -> FloatInfo:
    """Return the limits of a floating dtype, or of the parts of a complex one."""
    info = np.finfo(_for_numpy(type))
    limits = (float(info.eps), float(info.max), float(info.min), float(info.smallest_normal))
    return FloatInfo(info.bits, *limits, tf.as_dtype(info.dtype))


def iinfo(type: Any, /) -> IntInfo:
    """Return the limits of an integer dtype."""
    info = np.iinfo(_for_numpy(type))
    return IntInfo(info.bits, int(info.max), int(info.min), tf.as_dtype(info.dtype))


class __array_namespace_info__:  # noqa: N801 - the standard's name
    """The standard's inspection interface: dtypes, devices and capabilities of this namespace."""

    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 8}

    def default_device(self) -> str:
        return self.devices()[0]

    def devices(self) -> list[str]:
        return [device.name for device in tf.config.list_logical_devices()]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        del device
        return {
            "real floating": float64,
            "complex floating": complex128,
            "integral": int64,
            "indexing": int64,
        }

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        del device
        every = (bool, *_KINDS["numeric"])
        return {d.name: d for d in every if kind is None or isdtype(d, kind)}
