"""The largest and the smallest entry: dy = dx_i at the extreme, shared evenly among ties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.cotangent import add_cotangent
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SELECTS
from autodiff_compare.backends.numpy_autodiff.rules.builders import expand

_DOUBLE = np.dtype(float)


def _share(ans: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Return the weights of the entries in their maximum: 1 over the number of ties."""
    hit = np.equal(x, expand(ans, x, axis, keepdims))
    if np.count_nonzero(hit) == ans.size and not _has_nan(ans):
        # One each. The check for nan is needed: nan equals nothing and has none, while another could have two.
        return hit
    return hit.astype(x.dtype) * (1 / np.sum(hit, axis=axis, keepdims=True)).astype(x.dtype)


def _has_nan(x: Any) -> bool:
    """Return whether an entry is nan; a compiler guards the answer."""
    if x.__class__ is np.ndarray and x.dtype is _DOUBLE:
        # No sum of squares is nan unless an entry is.
        return math.isnan(np.vdot(x, x))
    return bool(np.isnan(x).any())


def _extreme_vjp(g: Any, ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return expand(g, x, axis, keepdims) * _share(ans, x, axis, keepdims)


def _pull_extreme(node: Any, g: Any) -> None:
    x = node.args[0]
    value = x.primal
    add_cotangent(x, _extreme_vjp(g, node.primal, value, *node.args[1:], **node.call.kwargs), value)


#: Rows from which on, and length of rows up to which, their extremes are found by columns.
_MANY_ROWS, _SHORT_ROW = 64, 16


def has_many_short_rows(x: Any, axis: Any) -> bool:
    """Return whether a matrix has many short rows, whose extremes are found faster by columns.

    NumPy takes 50 ns for each row of ten numbers, and by columns of a copy 16 ns. An extreme does not depend on the
    order of the entries. Of zeros of both signs NumPy returns either.
    """
    if x.__class__ is not np.ndarray or len(x.shape) != 2:
        return False
    rows, columns = x.shape
    if rows < _MANY_ROWS or not 1 < columns <= _SHORT_ROW or x.dtype.char not in "fd":
        return False
    return axis.__class__ is int and (axis == 1 or axis == -1)


def _extreme(name: str, reduction: Any) -> Primitive:
    def function(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if axis is None or not has_many_short_rows(x, axis):
            return reduction(x, axis=axis, keepdims=keepdims)
        found = reduction(x.T.copy(), 0)
        return found.reshape((len(found), 1)) if keepdims else found

    def jvp(t: Any, ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        share = _share(ans, x, axis, keepdims)
        # A tangent of another entry may be infinite.
        return np.sum(np.where(np.equal(share, 0), 0, t) * share, axis=axis, keepdims=keepdims)

    return Primitive(name, function, (_extreme_vjp,), (jvp,), selects=SELECTS, pull=_pull_extreme)


MAX, MIN = _extreme("max", np.maximum.reduce), _extreme("min", np.minimum.reduce)
#: nan equals nothing, so it has no share.
NANMAX, NANMIN = _extreme("nanmax", np.nanmax), _extreme("nanmin", np.nanmin)
