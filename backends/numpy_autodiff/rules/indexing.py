"""Indexing, selection and sorting: the VJP puts each cotangent back where its entry came from; repeated indices add."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.numpy_autodiff.fitting import spread
from backends.numpy_autodiff.primitive import Primitive, Scatter, give
from backends.numpy_autodiff.rules.building import linear
from backends.numpy_autodiff.tracing import apply


def _getitem(x: Any, index: Any) -> Any:
    return x[index]


def _pull_getitem(node: Any, g: Any) -> None:
    x, index = node.args
    give(x, Scatter(x.value, index, spread(g, node.value) if g.__class__ is float else g), node.value)


GETITEM: Primitive = linear("getitem", _getitem, lambda g, ans, x, index: Scatter(x, index, g))

GETITEM.specialise((0,), _pull_getitem)
GETITEM_CALL = GETITEM.call((0,))


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``, basic or advanced; a list is an index array."""
    return apply(GETITEM, (x, np.asarray(index) if isinstance(index, list) and index else index))


def take(a: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
    """As `numpy.take`."""
    indices = np.asarray(indices)
    if axis is None:
        a, axis = np.ravel(a), 0
    n = a.shape[axis]
    if mode != "raise":
        indices = np.clip(indices, 0, n - 1) if mode == "clip" else indices % n
    return GETITEM(a, (slice(None),) * (axis % len(a.shape)) + (indices,))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """As `numpy.take_along_axis`."""
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis %= len(arr.shape)
    shape = [1] * len(arr.shape)
    index = []
    for i, n in enumerate(arr.shape):
        index.append(indices if i == axis else np.arange(n).reshape((*shape[:i], n, *shape[i + 1 :])))
    return GETITEM(arr, tuple(index))


def sort(a: Any, axis: int | None = -1, *, stable: bool | None = None, kind: str | None = None) -> Any:
    """As `numpy.sort`; equal entries keep their order, which settles who gets which slope."""
    del stable, kind
    if axis is None:
        a, axis = np.ravel(a), 0
    return take_along_axis(a, np.argsort(a, axis=axis, stable=True), axis)


def partition(a: Any, kth: Any, axis: int | None = -1) -> Any:
    """As `numpy.partition`."""
    if axis is None:
        a, axis = np.ravel(a), 0
    return take_along_axis(a, np.argpartition(a, kth, axis=axis), axis)


HANDLERS: dict[Any, Any] = {
    np.take: take,
    np.take_along_axis: take_along_axis,
    np.sort: sort,
    np.partition: partition,
}
