"""Joining and splitting of arrays: the VJP of a join takes the cotangent of each part, that of a split joins.

A join has a rule for one part, and a sweep for all of them, in either direction. By the rule, n parts would read the
list of n parts n times, and in forward mode join n lists of which all but one are zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from autodiff_compare.backends.numpy_autodiff.core.cotangent import add_cotangent
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SELECTS
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array, refuse_computed


def _concatenate(*arrays: Any, axis: int = 0) -> Any:
    return np.concatenate(arrays, axis=axis)


def _others(i: int, t: Any, ans: Any, arrays: Sequence[Any]) -> list[Any]:
    """Return the tangent of part ``i`` among zeros."""
    return [t if j == i else np.zeros(np.shape(a), ans.dtype) for j, a in enumerate(arrays)]


def _concatenate_vjp(i: int, g: Any, _ans: Any, *arrays: Any, axis: int = 0) -> Any:
    axis %= len(g.shape)
    start = sum(np.shape(a)[axis] for a in arrays[:i])
    return g[(*(slice(None),) * axis, slice(start, start + np.shape(arrays[i])[axis]))]


def _concatenate_jvp(i: int, t: Any, ans: Any, *arrays: Any, axis: int = 0) -> Any:
    return CONCATENATE(*_others(i, t, ans, arrays), axis=axis)


def _pull_concatenate(node: Any, g: Any) -> None:
    args, axis = node.args, node.call.kwargs["axis"] % len(g.shape)
    lead = (slice(None),) * axis
    traced = set(node.call.where)
    start = 0
    for i, x in enumerate(args):
        stop = start + np.shape(x)[axis]
        if i in traced:
            span = slice(start, stop)
            add_cotangent(x, g[(*lead, span)] if lead else g[span], x.primal)
        start = stop


def _tangents(node: Any) -> list[Any]:
    """Return the tangent of each part, zeros where it has none; nothing if no part has any."""
    args, dtype = node.args, node.primal.dtype
    moved = {i: args[i].flow for i in node.call.where if args[i].flow is not None}
    return [moved[i] if i in moved else np.zeros(np.shape(x), dtype) for i, x in enumerate(args)] if moved else []


def _push_concatenate(node: Any) -> None:
    if tangents := _tangents(node):
        node.flow = CONCATENATE(*tangents, **node.call.kwargs)


CONCATENATE: Primitive = Primitive(
    "concatenate",
    _concatenate,
    (_concatenate_vjp,),
    (_concatenate_jvp,),
    variadic=True,
    pull=_pull_concatenate,
    push_all=_push_concatenate,
    keeps=False,
    selects=SELECTS,
)


def _stack(*arrays: Any, axis: int = 0) -> Any:
    if axis:
        return np.stack(arrays, axis=axis)
    try:
        return np.array(arrays)  # the same in a quarter to a half of the time
    except ValueError:  # the shapes differ: `numpy.stack` raises with a message
        return np.stack(arrays)


def _stack_vjp(i: int, g: Any, _ans: Any, *_arrays: Any, axis: int = 0) -> Any:
    return g[(slice(None),) * (axis % len(g.shape)) + (i,)] if axis else g[i]


def _stack_jvp(i: int, t: Any, ans: Any, *arrays: Any, axis: int = 0) -> Any:
    return STACK(*_others(i, t, ans, arrays), axis=axis)


def _pull_stack(node: Any, g: Any) -> None:
    args, axis = node.args, node.call.kwargs["axis"]
    for i in node.call.where:
        add_cotangent(args[i], _stack_vjp(i, g, None, axis=axis), args[i].primal)


def _push_stack(node: Any) -> None:
    if tangents := _tangents(node):
        node.flow = STACK(*tangents, **node.call.kwargs)


STACK: Primitive = Primitive(
    "stack",
    _stack,
    (_stack_vjp,),
    (_stack_jvp,),
    variadic=True,
    pull=_pull_stack,
    push_all=_push_stack,
    keeps=False,
    selects=SELECTS,
)


def _parts(arrays: Sequence[Any]) -> Sequence[Any]:
    """Return the arrays to join; lists among them become arrays."""
    return [as_array(a) for a in arrays] if any(a.__class__ in (list, tuple) for a in arrays) else arrays


def _cast(joined: Any, dtype: Any, casting: Any) -> Any:
    if dtype is None:
        return joined
    if not np.can_cast(joined.dtype, dtype, casting):
        raise TypeError(f"got a join of {joined.dtype} as {np.dtype(dtype)}, expected a cast that {casting!r} allows")
    return joined.astype(dtype)


def concatenate(
    arrays: Sequence[Any], /, axis: int | None = 0, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    """Compute `numpy.concatenate`."""
    arrays = _parts(arrays)
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    return _cast(CONCATENATE(*arrays, axis=axis), dtype, casting)


def stack(arrays: Sequence[Any], axis: int = 0, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Compute `numpy.stack`."""
    return _cast(STACK(*_parts(arrays), axis=axis), dtype, casting)


def hstack(tup: Sequence[Any], *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Compute `numpy.hstack`."""
    arrays = [np.atleast_1d(a) for a in _parts(tup)]
    return _cast(CONCATENATE(*arrays, axis=0 if len(arrays[0].shape) == 1 else 1), dtype, casting)


def vstack(tup: Sequence[Any], *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Compute `numpy.vstack`."""
    return _cast(CONCATENATE(*[np.atleast_2d(a) for a in _parts(tup)], axis=0), dtype, casting)


def column_stack(tup: Sequence[Any]) -> Any:
    """Compute `numpy.column_stack`: vectors are columns."""
    return CONCATENATE(*[a if np.ndim(a) > 1 else np.reshape(a, (-1, 1)) for a in _parts(tup)], axis=1)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Compute `numpy.array_split`."""
    refuse_computed("array_split", indices_or_sections)
    axis = normalize_axis_index(axis, len(ary.shape))
    numbers = np.array_split(np.arange(ary.shape[axis]), indices_or_sections)
    return [ary[(slice(None),) * axis + (slice(n[0], n[-1] + 1) if len(n) else slice(0, 0),)] for n in numbers]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Compute `numpy.split`."""
    refuse_computed("split", indices_or_sections)
    np.split(np.empty(ary.shape[axis], bool), indices_or_sections)
    return array_split(ary, indices_or_sections, axis)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Compute `numpy.unstack`."""
    return tuple(np.moveaxis(x, axis, 0) if axis else x)


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False) -> tuple[Any, ...]:
    """Compute `numpy.meshgrid`."""
    n = len(xi)
    grids = [np.reshape(x, (1,) * i + (-1,) + (1,) * (n - 1 - i)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(x, 0, 1) for x in grids]
    return tuple(grids) if sparse else tuple(np.broadcast_arrays(*grids))


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Compute `numpy.insert`, by a table of the sources of the entries."""
    refuse_computed("insert", obj)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, len(arr.shape))
    n = arr.shape[axis]
    values = as_array(values)
    values = np.reshape(values, (1,) * (len(arr.shape) - len(values.shape)) + values.shape)
    if np.ndim(obj) == 0 and not isinstance(obj, slice):
        # As in NumPy, a single place inserts along the first axis of the values.
        values = np.moveaxis(values, 0, axis)
        obj = [obj] * values.shape[axis]
    count = np.insert(np.arange(n), obj, -1).size - n
    numbers = np.insert(np.arange(n), obj, n + np.arange(count))
    values = np.broadcast_to(values, (*arr.shape[:axis], count, *arr.shape[axis + 1 :])).astype(arr.dtype)
    return np.take(np.concatenate((arr, values), axis=axis), numbers, axis=axis)


def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Compute `numpy.delete`."""
    refuse_computed("delete", obj)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis=axis)


def block(arrays: Any) -> Any:
    """Compute `numpy.block`: join the innermost lists along the last axis, those around them along the one before."""
    depth, ndim = _nesting(arrays)
    return _joined(arrays, depth, max(depth, ndim))


def _nesting(x: Any) -> tuple[int, int]:
    """Return how deep the lists are nested, and the largest number of axes of an array in them."""
    if not isinstance(x, list):
        return 0, np.ndim(x)
    depths, ndims = zip(*map(_nesting, x), strict=True)
    if len(set(depths)) > 1:
        raise ValueError(f"got lists nested {min(depths)} and {max(depths)} deep, expected the same everywhere")
    return depths[0] + 1, max(ndims)


def _joined(x: Any, depth: int, ndim: int) -> Any:
    if not isinstance(x, list):
        return np.reshape(as_array(x), (1,) * (ndim - np.ndim(x)) + np.shape(x))
    return np.concatenate([_joined(part, depth - 1, ndim) for part in x], axis=-depth)


def _split_along(axis: int) -> Any:
    return lambda ary, sections: split(ary, sections, axis)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Compute `numpy.ediff1d`."""
    parts = [to_begin, np.diff(np.ravel(ary)), to_end]
    return np.concatenate([np.ravel(as_array(part)) for part in parts if part is not None]).astype(ary.dtype)


HANDLERS: dict[Any, Any] = {
    np.concatenate: concatenate,
    np.stack: stack,
    np.hstack: hstack,
    np.vstack: vstack,
    np.dstack: lambda tup: CONCATENATE(*[np.atleast_3d(a) for a in _parts(tup)], axis=2),
    np.column_stack: column_stack,
    np.append: lambda arr, values, axis=None: concatenate((arr, values), axis),
    np.split: split,
    np.hsplit: lambda ary, sections: split(ary, sections, 0 if len(ary.shape) == 1 else 1),
    np.vsplit: _split_along(0),
    np.dsplit: _split_along(2),
    np.insert: insert,
    np.delete: delete,
    np.block: block,
    np.ediff1d: ediff1d,
    np.array_split: array_split,
    np.unstack: unstack,
    np.meshgrid: meshgrid,
}
