"""Joining and splitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.numpy_autodiff.primitive import Primitive


def _concatenate(*arrays: Any, axis: int = 0) -> Any:
    return np.concatenate(arrays, axis=axis)


def _span(i: int, arrays: Sequence[Any], axis: int) -> tuple[Any, ...]:
    """The index of array ``i`` within the joined one."""
    axis %= len(arrays[0].shape)
    start = sum(np.shape(a)[axis] for a in arrays[:i])
    return (slice(None),) * axis + (slice(start, start + np.shape(arrays[i])[axis]),)


def _concatenate_vjp(i: int, g: Any, _ans: Any, *arrays: Any, axis: int = 0) -> Any:
    return g[_span(i, arrays, axis)]


def _concatenate_jvp(i: int, t: Any, ans: Any, *arrays: Any, axis: int = 0) -> Any:
    parts = [t if j == i else np.zeros(np.shape(a), ans.dtype) for j, a in enumerate(arrays)]
    return CONCATENATE(*parts, axis=axis)


CONCATENATE: Primitive = Primitive("concatenate", _concatenate, (_concatenate_vjp,), (_concatenate_jvp,), variadic=True)


def _stack(*arrays: Any, axis: int = 0) -> Any:
    return np.stack(arrays, axis=axis)


def _stack_vjp(i: int, g: Any, _ans: Any, *_arrays: Any, axis: int = 0) -> Any:
    return g[(slice(None),) * (axis % len(g.shape)) + (i,)]


def _stack_jvp(i: int, t: Any, ans: Any, *arrays: Any, axis: int = 0) -> Any:
    return STACK(*[t if j == i else np.zeros(np.shape(a), ans.dtype) for j, a in enumerate(arrays)], axis=axis)


STACK: Primitive = Primitive("stack", _stack, (_stack_vjp,), (_stack_jvp,), variadic=True)


def concatenate(arrays: Sequence[Any], /, axis: int | None = 0, *, dtype: Any = None) -> Any:
    """As `numpy.concatenate`."""
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    joined = CONCATENATE(*arrays, axis=axis)
    return joined if dtype is None else joined.astype(dtype)


def stack(arrays: Sequence[Any], axis: int = 0, *, dtype: Any = None) -> Any:
    """As `numpy.stack`."""
    joined = STACK(*arrays, axis=axis)
    return joined if dtype is None else joined.astype(dtype)


def hstack(tup: Sequence[Any]) -> Any:
    """As `numpy.hstack`."""
    arrays = [np.atleast_1d(a) for a in tup]
    return CONCATENATE(*arrays, axis=0 if len(arrays[0].shape) == 1 else 1)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """As `numpy.array_split`."""
    numbers = np.array_split(np.arange(ary.shape[axis]), indices_or_sections)
    return [
        ary[(slice(None),) * (axis % len(ary.shape)) + (slice(n[0], n[-1] + 1) if len(n) else slice(0, 0),)]
        for n in numbers
    ]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """As `numpy.split`."""
    np.split(np.empty(ary.shape[axis], bool), indices_or_sections)
    return array_split(ary, indices_or_sections, axis)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """As `numpy.unstack`."""
    return tuple(np.moveaxis(x, axis, 0))


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False) -> tuple[Any, ...]:
    """As `numpy.meshgrid`."""
    n = len(xi)
    grids = [np.reshape(x, (1,) * i + (-1,) + (1,) * (n - 1 - i)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(x, 0, 1) for x in grids]
    return tuple(grids) if sparse else tuple(np.broadcast_arrays(*grids))


HANDLERS: dict[Any, Any] = {
    np.concatenate: concatenate,
    np.stack: stack,
    np.hstack: hstack,
    np.vstack: lambda tup: CONCATENATE(*[np.atleast_2d(a) for a in tup], axis=0),
    np.dstack: lambda tup: CONCATENATE(*[np.atleast_3d(a) for a in tup], axis=2),
    np.column_stack: lambda tup: CONCATENATE(*[a if np.ndim(a) > 1 else np.reshape(a, (-1, 1)) for a in tup], axis=1),
    np.append: lambda arr, values, axis=None: concatenate((arr, values), axis=axis),
    np.split: split,
    np.array_split: array_split,
    np.unstack: unstack,
    np.meshgrid: meshgrid,
}
