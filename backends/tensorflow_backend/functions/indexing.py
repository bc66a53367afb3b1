"""Indexing of tensors as in NumPy: by integers, slices, ``...``, ``None``, masks, and arrays of integers.

TensorFlow has the first four, and a mask alone. An index with arrays is taken in two steps. The first applies the other
parts, with whole slices in the places of the arrays and integers. The second gathers along these places, from indices
that are broadcast against each other: their axes stand where the first of them stood if they were neighbours, else in
front.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from autodiff_compare.backends.tensorflow_backend.functions.dtypes import Tensor

__all__ = ["from_start", "getitem"]

_WHOLE = slice(None)


def getitem(x: Tensor, index: Any) -> Tensor:
    """Return ``x[index]``.

    Raises
    ------
    IndexError
        If there are more parts than axes, or an array in the index holds no integers or truths.
    """
    parts = [_bounded(part) for part in (index if isinstance(index, tuple) else (index,))]
    if not any(map(_is_array, parts)):
        _fit(x, parts)
        return x[tuple(int(part) if isinstance(part, np.integer) else part for part in parts)]
    parts = [_converted(part) if _is_array(part) else part for part in parts]
    if len(parts) == 1 and parts[0].dtype == tf.bool:
        # A single truth adds an axis of length 1 or 0, as in NumPy.
        return tf.boolean_mask(x, parts[0]) if parts[0].shape.rank else tf.boolean_mask(x[None], parts[0][None])
    parts = [part for one in parts for part in _without_masks(one)]
    _fit(x, parts)
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    given = [i for i, part in enumerate(parts) if _is_position(part)]
    at = next(i for i, part in enumerate(parts) if part is Ellipsis)
    parts[at : at + 1] = [_WHOLE] * (x.shape.rank - _used(parts))
    places = [i for i, part in enumerate(parts) if _is_position(part)]
    rest = x[tuple(_WHOLE if i in places else part for i, part in enumerate(parts))]
    in_front = given != list(range(given[0], given[0] + len(given)))
    return _gathered(rest, places, [parts[i] for i in places], in_front)


def _bounded(part: Any) -> Any:
    """Return a slice with bounds of dtypes that TensorFlow slices by; any other part unchanged."""
    if not isinstance(part, slice):
        return part
    ends = (part.start, part.stop, part.step)
    return slice(*(tf.cast(end, tf.int32) if tf.is_tensor(end) and end.dtype.size < 4 else end for end in ends))


def _used(parts: list[Any]) -> int:
    """Return how many axes the parts of an index take."""
    return sum(part is not None and part is not Ellipsis for part in parts)


def _fit(x: Tensor, parts: list[Any]) -> None:
    if _used(parts) > x.shape.rank:
        raise IndexError(f"got {_used(parts)} indices for an array of {x.shape.rank} dimensions, expected no more")


def _is_array(part: Any) -> bool:
    return isinstance(part, (list, np.ndarray, np.bool_, bool)) or bool(tf.is_tensor(part))


def _is_position(part: Any) -> bool:
    return isinstance(part, (int, np.integer)) or _is_array(part)


def _converted(part: Any) -> Tensor:
    """Return an array of an index as a tensor of integers or truths."""
    part = tf.convert_to_tensor(part, tf.int64) if isinstance(part, list) and not part else tf.convert_to_tensor(part)
    if not (part.dtype.is_integer or part.dtype == tf.bool):
        raise IndexError(f"got an index of dtype {part.dtype.name}, expected integers: xp.astype(i, xp.int64)")
    return part


def _without_masks(part: Any) -> list[Any]:
    """Return the positions that a mask stands for, one array for each of its axes; any other part unchanged."""
    if tf.is_tensor(part) and part.dtype == tf.bool:
        if not part.shape.rank:
            raise IndexError("got a single truth beside other indices, expected a mask with axes: xp.where")
        return list(tf.unstack(tf.where(part), num=part.shape.rank, axis=1))
    return [part]


def _gathered(x: Tensor, places: list[int], positions: list[Any], in_front: bool) -> Tensor:
    """Return the entries of ``x`` at positions along some of its axes; ``in_front`` says where the new axes stand."""
    found = [
        from_start(p if tf.is_tensor(p) else tf.constant(p, tf.int64), x.shape[i])
        for i, p in zip(places, positions, strict=True)
    ]
    if len(places) == 1:
        return tf.gather(x, found[0], axis=places[0])
    shape = found[0].shape
    for p in found[1:]:
        shape = tf.broadcast_static_shape(shape, p.shape)
    stacked = tf.stack([tf.broadcast_to(tf.cast(p, tf.int64), shape) for p in found], axis=-1)
    others = [i for i in range(x.shape.rank) if i not in places]
    out = tf.gather_nd(tf.transpose(x, [*places, *others]), stacked)
    k, n = shape.rank, 0 if in_front else places[0]
    # The new axes stand in front: move them behind those before the first place.
    return tf.transpose(out, [*range(k, k + n), *range(k), *range(k + n, out.shape.rank)]) if n else out


def from_start(indices: Any, length: int | None) -> Tensor:
    """Make negative indices count from the end, which ``tf.gather`` does not support."""
    indices = tf.convert_to_tensor(indices)
    return indices if indices.dtype.is_unsigned else tf.where(indices < 0, indices + length, indices)
