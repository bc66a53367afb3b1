"""Reductions, cumulative operations, searching, sorting and sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Union

import tensorflow as tf

from autodiff_compare.backends.tensorflow_backend.functions.dtypes import DType, Tensor, floating, tensor, widened
from autodiff_compare.backends.tensorflow_backend.functions.manipulation import concat, moveaxis

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "max",
    "mean",
    "min",
    "nonzero",
    "prod",
    "searchsorted",
    "sort",
    "std",
    "sum",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "var",
]

Axis = Union[int, tuple[int, ...], None]  # noqa: UP007 - a worker's Python may be 3.9


def _axes(axis: Axis) -> Any:
    """Convert ``axis`` for TensorFlow, which takes an empty tuple for a float tensor."""
    return tf.zeros((0,), tf.int32) if axis == () else axis


def _reduction(op: Callable[..., Any], prepare: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def reduction(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return op(prepare(x), axis=_axes(axis), keepdims=keepdims)

    return reduction


def _truth(x: Tensor) -> Tensor:
    return x if x.dtype == tf.bool else tf.math.not_equal(x, tf.zeros_like(x))


max, min = (_reduction(op, tensor) for op in (tf.reduce_max, tf.reduce_min))
# The mean of integers by TensorFlow is an integer: that of 0 and 1 is 0.
mean = _reduction(tf.reduce_mean, floating)
all, any = (_reduction(op, _truth) for op in (tf.reduce_all, tf.reduce_any))


def sum(x: Tensor, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """Sum over axes; small integers are summed as int64."""
    return tf.reduce_sum(widened(x, dtype), axis=_axes(axis), keepdims=keepdims)


def prod(x: Tensor, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """Multiply over axes; small integers are multiplied as int64."""
    return tf.reduce_prod(widened(x, dtype), axis=_axes(axis), keepdims=keepdims)


def var(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Return the sum of squared deviations from the mean, divided by ``n - correction``."""
    x = floating(x)
    centred = x - tf.reduce_mean(x, axis=_axes(axis), keepdims=True)
    squares = tf.reduce_sum(centred * centred, axis=_axes(axis), keepdims=keepdims)
    n = tf.cast(_count(x, axis), x.dtype)
    return squares / tf.maximum(n - correction, tf.zeros_like(n))


def _count(x: Tensor, axis: Axis) -> Tensor:
    """Return the number of entries that a reduction over ``axis`` combines."""
    lengths = tf.shape(x, tf.int64)
    return tf.reduce_prod(lengths if axis is None else tf.gather(lengths, _from_the_front(axis, x.shape.rank)))


def _from_the_front(axis: int | tuple[int, ...], rank: int) -> Tensor:
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tf.constant([a % rank for a in axes], tf.int32)


def std(x: Tensor, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Return the square root of `var`; its derivative is nan where all values are equal."""
    return tf.math.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def count_nonzero(x: Tensor, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Count the entries that are not zero, int64."""
    return tf.reduce_sum(tf.cast(_truth(x), tf.int64), axis=_axes(axis), keepdims=keepdims)


def _scan(op: Callable[..., Any], initial: int) -> Callable[..., Tensor]:
    def scan(
        x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
    ) -> Tensor:
        if axis is None:
            if x.shape.rank != 1:
                raise ValueError(f"got axis=None for an array of {x.shape.rank} dimensions: pass axis")
            axis = 0
        out = op(widened(x, dtype), axis=axis)
        if not include_initial:
            return out
        shape = [1 if i == axis % x.shape.rank else n for i, n in enumerate(out.shape)]
        return tf.concat([tf.fill(shape, tf.cast(initial, out.dtype)), out], axis=axis)

    return scan


cumulative_sum, cumulative_prod = _scan(tf.math.cumsum, 0), _scan(tf.math.cumprod, 1)


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Return the ``n``-th differences along an axis, after joining ``prepend`` and ``append``."""
    ends = [part for part in (prepend, x, append) if part is not None]
    x = moveaxis(concat(ends, axis=axis), axis, -1)
    for _ in range(n):
        x = tf.math.logical_xor(x[..., 1:], x[..., :-1]) if x.dtype == tf.bool else x[..., 1:] - x[..., :-1]
    return moveaxis(x, -1, axis)


def _arg(op: Callable[..., Any]) -> Callable[..., Tensor]:
    def arg(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
        if axis is None:
            flat = op(tf.reshape(x, (-1,)), axis=0, output_type=tf.int64)
            return tf.reshape(flat, (1,) * x.shape.rank) if keepdims else flat
        found = op(x, axis=axis, output_type=tf.int64)
        return tf.expand_dims(found, axis) if keepdims else found

    return arg


argmax, argmin = _arg(tf.math.argmax), _arg(tf.math.argmin)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """Return the indices of the entries that are not zero, one array per axis."""
    return tuple(tf.unstack(tf.where(_truth(x)), num=x.shape.rank, axis=1))


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Return the indices that sort along an axis, int64; the sort is always stable."""
    direction = "DESCENDING" if descending else "ASCENDING"
    return tf.cast(tf.argsort(x, axis=axis, direction=direction, stable=stable), tf.int64)


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Sort along an axis; a cotangent goes back to the entry that was moved to its position."""
    del stable
    return tf.sort(x, axis=axis, direction="DESCENDING" if descending else "ASCENDING")


def searchsorted(
    x1: Tensor, x2: Tensor, /, *, side: Literal["left", "right"] = "left", sorter: Tensor | None = None
) -> Tensor:
    """Return the positions at which ``x2`` would be inserted into the sorted ``x1``, int64."""
    ordered = x1 if sorter is None else tf.gather(x1, sorter)
    found = tf.searchsorted(ordered, tf.reshape(x2, (-1,)), side=side, out_type=tf.int64)
    return tf.reshape(found, tf.shape(x2))


class UniqueAll(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    values: Tensor
    inverse_indices: Tensor


def _order(x: Tensor) -> Tensor:
    """Return the indices that sort a vector, int64; complex numbers by real part, then by imaginary part.

    TensorFlow sorts by negative numbers, which truth values and unsigned integers do not have.
    """
    if x.dtype.is_complex:
        by_imaginary = _order(tf.math.imag(x))
        return tf.gather(by_imaginary, _order(tf.gather(tf.math.real(x), by_imaginary)))
    if x.dtype == tf.uint64:
        # With the highest bit turned, the order is that of signed integers.
        x = tf.bitcast(tf.bitwise.bitwise_xor(x, tf.constant(1 << 63, tf.uint64)), tf.int64)
    elif x.dtype == tf.bool or x.dtype.is_unsigned:
        x = tf.cast(x, tf.int64)
    elif x.dtype.is_floating:
        # nan compares with nothing, and would part equal numbers.
        lost = tf.math.is_nan(x)
        by_value = tf.argsort(tf.where(lost, tf.constant(math.inf, x.dtype), x), stable=True)
        return tf.cast(
            tf.gather(by_value, tf.argsort(tf.cast(tf.gather(lost, by_value), tf.int32), stable=True)), tf.int64
        )
    return tf.cast(tf.argsort(x, stable=True), tf.int64)


def unique_all(x: Tensor, /) -> UniqueAll:
    """Return distinct values, ascending, with first index, inverse and count; nan differs from nan."""
    flat = tf.reshape(x, (-1,))
    order = _order(flat)
    ordered = tf.gather(flat, order)
    new = tf.concat([tf.ones_like(ordered[:1], tf.bool), ordered[1:] != ordered[:-1]], axis=0)
    starts = tf.reshape(tf.where(new), (-1,))
    counts = tf.concat([starts[1:], tf.size(flat, tf.int64)[None]], axis=0)[: tf.size(starts)] - starts
    rank = tf.cumsum(tf.cast(new, tf.int64)) - 1
    inverse = tf.reshape(tf.scatter_nd(order[:, None], rank, tf.shape(flat, tf.int64)), tf.shape(x))
    return UniqueAll(tf.gather(ordered, starts), tf.gather(order, starts), inverse, counts)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """Return distinct values, ascending, with their counts."""
    every = unique_all(x)
    return UniqueCounts(every.values, every.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """Return distinct values, ascending, and the position of each entry of ``x`` among them."""
    every = unique_all(x)
    return UniqueInverse(every.values, every.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """Return distinct values, ascending."""
    return unique_all(x).values
