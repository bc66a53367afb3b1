"""Creation, reshaping, joining and indexing of arrays."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Literal, Union

import numpy as np
import tensorflow as tf

from autodiff_compare.backends.tensorflow_backend.functions.dtypes import DType, Tensor, floating, promoted, tensor
from autodiff_compare.backends.tensorflow_backend.functions.indexing import from_start

__all__ = [
    "arange",
    "asarray",
    "broadcast_arrays",
    "broadcast_to",
    "concat",
    "empty",
    "empty_like",
    "expand_dims",
    "eye",
    "flip",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "moveaxis",
    "ones",
    "ones_like",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "take",
    "take_along_axis",
    "tile",
    "tril",
    "triu",
    "unstack",
    "zeros",
    "zeros_like",
]

Shape = Union[int, Sequence[int]]  # noqa: UP007 - a worker's Python may be 3.9
broadcast_to = tf.broadcast_to


def asarray(obj: Any, /, *, dtype: DType | None = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """Return a tensor made of numbers, nested lists (also of tensors), a NumPy array (copied) or a tensor."""
    if device is not None:
        with tf.device(device):
            return asarray(obj, dtype=dtype, copy=copy)
    if not _has_tensors(obj):
        obj = tf.constant(np.array(obj))
    elif not tf.is_tensor(obj):
        obj = tf.stack(promoted(*(asarray(part) if _has_tensors(part) else np.array(part) for part in obj)))
    return obj if dtype is None else tf.cast(obj, dtype)


def _has_tensors(obj: Any) -> bool:
    return any(map(_has_tensors, obj)) if isinstance(obj, (list, tuple)) else builtins.bool(tf.is_tensor(obj))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """Return a tensor from another library's array; ``copy=False`` shares its memory, otherwise it is copied."""
    with tf.device(device):
        out = tf.experimental.dlpack.from_dlpack(x.__dlpack__())
        return out if copy is False else tf.constant(np.array(out))


def _constant(array: np.ndarray[Any, Any], dtype: DType | None) -> Tensor:
    return tf.constant(array, dtype if dtype is not None else array.dtype)


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """Return ``start, start + step, ...`` below ``stop``; with one argument, count from 0."""
    del device
    return _constant(np.arange(start, stop, step) if stop is not None else np.arange(0, start, step), dtype)


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: DType | None = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """Return ``num`` evenly spaced numbers: of Python numbers those of NumPy, rounded to ``dtype``."""
    del device
    if _has_tensors([start, stop]):
        first, last = map(floating, promoted(*(x if tf.is_tensor(x) else np.array(x) for x in (start, stop))))
        share = tf.constant(np.linspace(0.0, 1.0, num, endpoint=endpoint), first.dtype)
        made = first * (1 - share) + last * share  # exact at both ends
        return made if dtype is None else tf.cast(made, dtype)
    return _constant(np.linspace(start, stop, num, endpoint=endpoint), dtype)


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DType | None = None, device: Any = None
) -> Tensor:
    """Return ones on diagonal ``k``, zeros elsewhere."""
    del device
    return _constant(np.eye(n_rows, n_cols, k), dtype)


def full(shape: Shape, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return an array filled with one value."""
    del device
    # By way of `tensor`: tf.cast makes a float32 of a Python number first.
    value = tensor(fill_value) if dtype is None else tf.cast(tensor(fill_value), dtype)
    return tf.fill((shape,) if isinstance(shape, int) else shape, value)


def zeros(shape: Shape, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return zeros, float64 by default."""
    return full(shape, 0.0, dtype=dtype or tf.float64, device=device)


def ones(shape: Shape, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return ones, float64 by default."""
    return full(shape, 1.0, dtype=dtype or tf.float64, device=device)


def full_like(x: Tensor, /, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return an array filled with one value, shaped like ``x``."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return zeros shaped like ``x``."""
    del device
    return tf.zeros_like(x, dtype)


def ones_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Return ones shaped like ``x``."""
    del device
    return tf.ones_like(x, dtype)


# TensorFlow has no uninitialised arrays.
empty, empty_like = zeros, zeros_like


def meshgrid(*arrays: Tensor, indexing: Literal["xy", "ij"] = "xy") -> tuple[Tensor, ...]:
    """Return the coordinate arrays of the grid that the vectors span."""
    return tuple(tf.meshgrid(*arrays, indexing=indexing))


def _triangle(x: Tensor, k: int, lower: bool) -> Tensor:
    rows, columns = x.shape[-2], x.shape[-1]
    mask = np.tri(rows, columns, k if lower else k - 1, dtype=np.bool_)
    return tf.where(mask if lower else ~mask, x, tf.zeros_like(x))


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Set entries above diagonal ``k`` to zero."""
    return _triangle(x, k, lower=True)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Set entries below diagonal ``k`` to zero."""
    return _triangle(x, k, lower=False)


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Broadcast arrays to their common shape."""
    shape = np.broadcast_shapes(*(tuple(a.shape) for a in arrays))
    return tuple(tf.broadcast_to(a, shape) for a in arrays)


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """Join arrays along an axis, or flatten and join them if ``axis`` is `None`."""
    arrays = promoted(*arrays)
    if axis is None:
        return tf.concat([tf.reshape(a, (-1,)) for a in arrays], axis=0)
    return tf.concat(arrays, axis=axis)


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """Join arrays of one shape along a new axis."""
    return tf.stack(promoted(*arrays), axis=axis)


def expand_dims(x: Tensor, /, axis: int = 0) -> Tensor:
    """Insert an axis of length 1."""
    return tf.expand_dims(x, axis)


def squeeze(x: Tensor, /, axis: int | tuple[int, ...]) -> Tensor:
    """Remove the given axes, which have length 1.

    Raises
    ------
    ValueError
        If the length of an axis is another.
    """
    axes = _normalized(axis, x.shape.rank)
    longer = [a for a in axes if x.shape[a] not in (1, None)]
    if longer:
        raise ValueError(f"got axis {longer[0]} of length {x.shape[longer[0]]} to remove, expected length 1")
    # tf.squeeze takes an empty list to mean all axes.
    return tf.squeeze(x, axes) if axes else tf.identity(x)


def _normalized(axis: int | tuple[int, ...] | None, rank: int) -> list[int]:
    """Return axes counted from the front.

    Raises
    ------
    ValueError
        If there is no such axis, or one is named twice.
    """
    axes = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    wrong = [a for a in axes if not -rank <= a < rank]
    if wrong:
        raise ValueError(f"got axis {wrong[0]} of an array of {rank} dimensions, expected {-rank} to {rank - 1}")
    found = [a % rank for a in axes]
    if len(set(found)) < len(found):
        raise ValueError(f"got axes {tuple(axes)} of an array of {rank} dimensions, expected each axis once")
    return found


def flip(x: Tensor, /, *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Reverse the entries along the axes, by default along all."""
    return tf.reverse(x, tf.constant(_normalized(axis, x.shape.rank), tf.int32))


def moveaxis(x: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Tensor:
    """Move axes to other positions; the remaining axes keep their order."""
    rank = x.shape.rank
    places = dict(zip(_normalized(destination, rank), _normalized(source, rank), strict=True))
    rest = iter(a for a in range(rank) if a not in places.values())
    return tf.transpose(x, [places[a] if a in places else next(rest) for a in range(rank)])


def permute_dims(x: Tensor, /, axes: Sequence[int]) -> Tensor:
    """Reorder all axes."""
    return tf.transpose(x, _normalized(tuple(axes), x.shape.rank))


def reshape(x: Tensor, /, shape: Shape, *, copy: bool | None = None) -> Tensor:
    """Change the shape, in C order; tensors are immutable, so ``copy`` has no effect."""
    del copy
    return tf.reshape(x, (shape,) if isinstance(shape, int) else shape)


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Repeat every entry along an axis."""
    return _in_kernel(lambda x: tf.repeat(x, repeats, axis=axis), x)


def _in_kernel(copied: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Copy entries as integers of 32 bits where TensorFlow has no kernel for 16."""
    return tf.cast(copied(tf.cast(x, tf.int32)), x.dtype) if x.dtype in (tf.int16, tf.uint16) else copied(x)


def roll(x: Tensor, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Roll entries along axes, or the flattened array if ``axis`` is `None`."""
    if axis is None:
        return tf.reshape(tf.roll(tf.reshape(x, (-1,)), shift, 0), tf.shape(x))
    if isinstance(axis, tuple) and isinstance(shift, int):
        shift = (shift,) * len(axis)
    return tf.roll(x, shift, axis)


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """Repeat the array along each axis; missing axes of either are 1."""
    rank = max(len(repetitions), x.shape.rank)
    padded = tf.reshape(x, (1,) * (rank - x.shape.rank) + tuple(x.shape))
    times = tf.constant((1,) * (rank - len(repetitions)) + tuple(repetitions), tf.int32)
    return _in_kernel(lambda padded: tf.tile(padded, times), padded)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Return the slices along an axis as a tuple."""
    return tuple(tf.unstack(x, axis=axis))


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """Return the entries at ``indices`` along an axis; the cotangents of repeated indices are added.

    Raises
    ------
    ValueError
        If ``axis`` is `None` and ``x`` is not 1-D.
    """
    if axis is None:
        if x.shape.rank != 1:
            raise ValueError(f"got axis=None for an array of {x.shape.rank} dimensions: pass axis")
        axis = 0
    return tf.gather(x, from_start(indices, x.shape[axis]), axis=axis)


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return, for each position in ``indices``, the entry with that index along an axis; other axes broadcast."""
    x, indices = moveaxis(x, axis, -1), moveaxis(from_start(indices, x.shape[axis]), axis, -1)
    lead = np.broadcast_shapes(tuple(x.shape)[:-1], tuple(indices.shape)[:-1])
    x = tf.broadcast_to(x, (*lead, x.shape[-1]))
    indices = tf.broadcast_to(indices, (*lead, indices.shape[-1]))
    return moveaxis(tf.gather(x, indices, axis=-1, batch_dims=len(lead)), -1, axis)
