"""Indexing, selection and sorting: the VJP adds each cotangent to the entry that its value was taken from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from autodiff_compare.backends.numpy_autodiff.core.cotangent import Scatter, add_cotangent, is_basic
from autodiff_compare.backends.numpy_autodiff.core.ownership import keep_all
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, apply
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, primal, record
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array, axes_of, linear
from autodiff_compare.backends.numpy_autodiff.rules.scatter import pull_view, write_out

#: Cotangents that cover the whole result.
_WHOLE = (np.ndarray, float)


def _getitem(x: Any, index: Any) -> Any:
    return x[index]


def _takes_all_in_order(index: tuple[Any, ...]) -> bool:
    """Return whether a basic index that selects as many entries as there are is a reshape."""
    return not any(p.__class__ is slice and p.step is not None and p.step < 0 for p in index)


def _pull_getitem(node: Any, g: Any) -> None:
    x, index = node.args
    h = x.flow
    if g.__class__ is Scatter:
        if is_basic(index):
            pull_view(node, g)
            return
        g = g.dense()
    elif index.__class__ is tuple and g.__class__ in _WHOLE:
        value = x.primal
        if node.primal.size == value.size and is_basic(index) and _takes_all_in_order(index):
            # As of x[:, None]: no array of zeros to add to.
            add_cotangent(x, g if isinstance(g, float) else g.reshape(value.shape), value)
            return
    if h.__class__ is Scatter:
        h.indices.append(index)
        h.parts.append(g)
    else:
        add_cotangent(x, Scatter(write_out, x.primal, index, g), node.primal)


GETITEM: Primitive = linear("getitem", _getitem, lambda g, ans, x, index: Scatter(write_out, x, index, g))

GETITEM.specialise((0,), _pull_getitem, view=True)
GETITEM_CALL = GETITEM.call((0,))


#: Stands for a computed part in the form of an index.
COMPUTED = object()


def _filled(form: tuple[Any, ...], indices: Sequence[Any]) -> tuple[Any, ...]:
    parts = iter(indices)
    return tuple([next(parts) if p is COMPUTED else p for p in form])


def _gather(x: Any, *indices: Any, form: tuple[Any, ...]) -> Any:
    return x[_filled(form, indices)]


def _spread(g: Any, *indices: Any, form: tuple[Any, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    out, index = np.zeros(shape, dtype), _filled(form, indices)
    if any(isinstance(p, np.ndarray) for p in index):
        np.add.at(out, index, g)
    else:
        out[index] += g
    return out


#: Indexing by indices that a compiler records, because it computes them anew at other values, and its transpose.
GATHER: Primitive = Primitive(
    "gather",
    _gather,
    (lambda g, ans, x, *indices, form: SPREAD(g, *indices, form=form, shape=x.shape, dtype=x.dtype),),
    (lambda t, ans, x, *indices, form: GATHER(t, *indices, form=form),),
)
SPREAD: Primitive = Primitive(
    "spread",
    _spread,
    (lambda g, ans, x, *indices, form, **like: GATHER(g, *indices, form=form),),
    (lambda t, ans, x, *indices, form, **like: SPREAD(t, *indices, form=form, **like),),
)


def getitem(x: Any, index: Any) -> Any:
    """Return ``x[index]``, basic or advanced; a list is an index array."""
    if index.__class__ is tuple:
        for part in index:
            if isinstance(part, Node):
                return _by_computed(x, index)
    elif isinstance(index, Node):
        return _by_computed(x, (index,))
    if index.__class__ is tuple and isinstance(x, Node):
        # What `apply` does, for the parts of an index are constants and need no look.
        held = x.tape.held
        return record(x.primal[index], x.tape, GETITEM_CALL, (x, index if held is None else keep_all(held, index)))
    return apply(GETITEM, (x, as_array(index) if isinstance(index, list) and index else index))


def _by_computed(x: Any, index: tuple[Any, ...]) -> Any:
    """Index with parts that are variables: integers, which only a symbolic trace records."""
    # Arrays are arguments too, which a compiler copies, lest the caller change them.
    arrays = [isinstance(p, (Node, np.ndarray, list)) for p in index]
    form = tuple(COMPUTED if is_array else p for p, is_array in zip(index, arrays, strict=True))
    parts = [primal(as_array(p)) for p, is_array in zip(index, arrays, strict=True) if is_array]
    for part in parts:
        if part.dtype.kind == "b" and isinstance(part, Node):
            raise TypeError("got an index by a traced mask, whose shape depends on values: use np.where")
        if part.dtype.kind not in "biu":
            raise IndexError(f"got an index of dtype {part.dtype}, expected integers: use x.astype(int)")
    return GATHER(x, *parts, form=form)


def _within(indices: Any, n: int, mode: str) -> Any:
    """Return the indices as ``mode`` brings them into an axis of length n."""
    if mode not in ("raise", "clip", "wrap"):
        raise ValueError(f"got mode={mode!r}, expected 'raise', 'clip' or 'wrap'")
    return indices if mode == "raise" else np.clip(indices, 0, n - 1) if mode == "clip" else indices % n


def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """Compute `numpy.take`."""
    a, indices = as_array(a), as_array(indices)
    if axis is None or not a.shape:
        # A number is a vector of one entry.
        a, axis = np.ravel(a), normalize_axis_index(axis or 0, 1)
    axis = normalize_axis_index(axis, len(a.shape))
    indices = _within(indices, a.shape[axis], mode)
    return getitem(a, (slice(None),) * axis + (indices,))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Compute `numpy.take_along_axis`."""
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, len(arr.shape))
    last = len(arr.shape) - 1
    columns = [indices if i == axis else np.arange(n)[(..., *(None,) * (last - i))] for i, n in enumerate(arr.shape)]
    return getitem(arr, tuple(columns))


def sort(a: Any, axis: int | None = -1, *, stable: bool | None = None, kind: str | None = None) -> Any:
    """Compute `numpy.sort`; equal entries keep their order, which decides which slope each has."""
    del stable, kind
    if axis is None:
        a, axis = np.ravel(a), 0
    return take_along_axis(a, np.argsort(a, axis=axis, stable=True), axis)


def partition(a: Any, kth: Any, axis: int | None = -1) -> Any:
    """Compute `numpy.partition`."""
    if axis is None:
        a, axis = np.ravel(a), 0
    return take_along_axis(a, np.argpartition(a, kth, axis=axis), axis)


def compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    """Compute `numpy.compress`."""
    if np.ndim(condition) != 1:
        raise ValueError(f"got a condition of shape {np.shape(condition)}, expected a vector")
    return np.take(a, np.flatnonzero(np.asarray(condition) if isinstance(condition, list) else condition), axis=axis)


def choose(a: Any, choices: Any, *, mode: str = "raise") -> Any:
    """Compute `numpy.choose`: each entry is taken from one of several arrays; the choice is constant."""
    parts = [part if isinstance(part, (int, float, complex)) else as_array(part) for part in choices]
    a, kind, n = as_array(primal(a)), np.result_type(*parts), len(parts)
    shape = np.broadcast_shapes(a.shape, *map(np.shape, parts))
    if mode == "raise" and np.any(np.logical_or(np.less(a, 0), np.greater_equal(a, n))):
        raise ValueError(f"got a choice outside 0 to {n - 1}, the numbers of the arrays to choose from: see mode=")
    numbers = _within(a, n, mode)
    table = np.stack([np.broadcast_to(as_array(part).astype(kind), shape) for part in parts])
    return getitem(table, (np.broadcast_to(numbers, shape), *np.indices(shape, sparse=True)))


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Compute `numpy.trim_zeros`; a number has no axis to trim."""
    if not filt.shape:
        return filt
    axes = axes_of(axis, len(filt.shape))
    index: list[Any] = [slice(None)] * len(filt.shape)
    for axis, filled in enumerate(np.nonzero(filt)):
        if axis in axes:
            ends = (int(filled.min()), int(filled.max()) + 1) if filled.size else (0, 0)
            front, back = "f" in trim.lower(), "b" in trim.lower()
            index[axis] = slice(ends[0] if front and filled.size else 0, ends[1] if back or not filled.size else None)
    return GETITEM(filt, tuple(index))


def sort_complex(a: Any) -> Any:
    """Compute `numpy.sort_complex`: by real part, then by imaginary part; the result is complex."""
    found = sort(a)
    return found if found.dtype.kind == "c" else found.astype(np.result_type(found.dtype, np.complex64))


HANDLERS: dict[Any, Any] = {
    np.take: take,
    np.take_along_axis: take_along_axis,
    np.sort: sort,
    np.partition: partition,
    np.compress: compress,
    np.extract: lambda condition, arr: compress(np.ravel(condition), arr),
    np.choose: choose,
    np.trim_zeros: trim_zeros,
    np.sort_complex: sort_complex,
}
