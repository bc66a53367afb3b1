"""Reductions and scans; largest and smallest entries are in `autodiff_compare.backends.numpy_autodiff.rules.extremes`.

    sum        dy = sum_i dx_i: the cotangent of y is that of every entry
    prod       dy = sum_i dx_i prod_(j != i) x_j
    cumsum     y_k = sum_(j <= k) x_j: the cotangent of x_i is the reversed cumulative sum sum_(k >= i) g_k
    cumprod    y_k = x_k y_(k-1): dy_k = dx_k y_(k-1) + x_k dy_(k-1), a linear recurrence; the cotangent of x_k is
               y_(k-1) s_k with the transposed recurrence s_k = g_k + x_(k+1) s_(k+1)
    var        y = sum_i |x_i - m|^2 / (n - ddof) with the mean m: dy = 2 Re sum_i conj(x_i - m) dx_i / (n - ddof),
               for m drops out, since sum_i (x_i - m) = 0
    std        the norm of x - m divided by sqrt(n - ddof). The slope of the norm is 0 where all entries are equal; the
               slope of the square root of the variance would be 0/0

prod and cumprod are right with any number of zeros, to any order. A count divides in single precision at least, because
half precision ends at 65504.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import row_sums
from autodiff_compare.backends.numpy_autodiff.core.cotangent import add_cotangent
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, apply, apply_to_one
from autodiff_compare.backends.numpy_autodiff.core.reach import SPREADS
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
from autodiff_compare.backends.numpy_autodiff.rules.builders import axes_of, expand, linear
from autodiff_compare.backends.numpy_autodiff.rules.exclusive import EXCLUSIVE, RECURRENCE, backwards, delayed
from autodiff_compare.backends.numpy_autodiff.rules.extremes import MAX, MIN, NANMAX, NANMIN, has_many_short_rows
from autodiff_compare.backends.numpy_autodiff.rules.norms import NORM

_DOUBLE = np.dtype(float)
_add: Any = np.add
_multiply: Any = np.multiply


def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is not None and has_many_short_rows(x, axis) and x.dtype is _DOUBLE and x.flags.c_contiguous:
        # NumPy takes 30 ns for each row of ten numbers, and a product with ones 5 ns.
        return row_sums(x, keepdims)
    return _add.reduce(x, axis, None, None, keepdims)


def _sum_vjp(g: Any, _ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _stretched(expand(g, x, axis, keepdims), x.shape)


#: Entries up to which a copy costs less than a broadcast view and the slower reading of it.
_WORTH_COPYING = 8192


def _stretched(g: Any, shape: tuple[int, ...]) -> Any:
    """Repeat ``g`` along its axes of length 1."""
    if g.__class__ is not np.ndarray or math.prod(shape) > _WORTH_COPYING:
        return np.broadcast_to(g, shape)
    out = np.empty(shape, g.dtype)
    out[...] = g
    return out


def _pull_sum(node: Any, g: Any) -> None:
    """Send one number back from a sum over everything; it is written out only when an array is needed."""
    x = node.args[0]
    value = x.primal
    if g.__class__ is float and x.flow is None and value.__class__ is np.ndarray and value.ndim:
        x.flow = g
        return
    number = g.__class__ is float or (g.__class__ is np.float64 and value.shape)
    add_cotangent(x, float(g) if number else _sum_vjp(g, None, value), value)


def _pull_sum_along(node: Any, g: Any) -> None:
    x = node.args[0]
    value = x.primal
    add_cotangent(x, _sum_vjp(g, None, value, *node.args[1:], **node.call.kwargs), value)


SUM: Primitive = linear("sum", _sum, _sum_vjp, pull=_pull_sum_along)
SUM.specialise((0,), _pull_sum)


def _mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if x.__class__ is np.ndarray and x.dtype is _DOUBLE and x.size:
        # As NumPy computes it, in a third of the time. It adds up other dtypes in ways of its own.
        return _add.reduce(x, axis, None, None, keepdims) / _count(x, axis)
    return np.mean(x, axis=axis, keepdims=keepdims)


def _count(x: Any, axis: Any) -> float:
    if axis is None:
        return float(x.size)
    count = 1.0
    for a in axes_of(axis, len(x.shape)):
        count *= x.shape[a]
    return count


def _per(total: Any, count: Any) -> Any:
    """Divide by a count or by degrees of freedom, Python's or NumPy's, and keep the dtype."""
    dtype = total.dtype
    if dtype.itemsize > 2 and count.__class__ in (int, float):
        return total / count
    wide = total.astype(np.result_type(dtype, np.float32)) if dtype.itemsize == 2 else total
    return (wide / count).astype(dtype)


def _mean_vjp(g: Any, _ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    count = _count(x, axis)
    return _stretched(expand(_per(g, count) if count else g, x, axis, keepdims), x.shape)


def _pull_mean(node: Any, g: Any) -> None:
    x = node.args[0]
    value = x.primal
    number = g.__class__ is float or (g.__class__ is np.float64 and value.shape)
    add_cotangent(x, float(g) / (value.size or 1) if number else _mean_vjp(g, None, value), value)


MEAN: Primitive = linear("mean", _mean, _mean_vjp)
MEAN.specialise((0,), _pull_mean)


def _prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _multiply.reduce(x, axis=axis, keepdims=keepdims)


def _prod_vjp(g: Any, _ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return expand(g, x, axis, keepdims) * EXCLUSIVE(x, axis=axis)


def _prod_jvp(t: Any, _ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sum(t * EXCLUSIVE(x, axis=axis), axis=axis, keepdims=keepdims)


PROD: Primitive = Primitive("prod", _prod, (_prod_vjp,), (_prod_jvp,), selects=SPREADS)


def _flip_sum(g: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


CUMSUM: Primitive = linear(
    "cumsum", lambda x, axis: np.cumsum(x, axis=axis), lambda g, ans, x, axis: _flip_sum(g, axis)
)


def _cumprod_vjp(g: Any, ans: Any, x: Any, axis: int) -> Any:
    g, ans, x = (np.moveaxis(v, axis, -1) for v in (g, ans, x))
    return np.moveaxis(backwards(x, g) * delayed(ans, 1.0), -1, axis)


def _cumprod_jvp(t: Any, ans: Any, x: Any, axis: int) -> Any:
    t, ans, x = (np.moveaxis(v, axis, -1) for v in (t, ans, x))
    return np.moveaxis(RECURRENCE(x, t * delayed(ans, 1.0)), -1, axis)


CUMPROD: Primitive = Primitive(
    "cumprod", lambda x, axis: np.cumprod(x, axis=axis), (_cumprod_vjp,), (_cumprod_jvp,), selects=SPREADS
)


def _reduction(primitive: Primitive, fill: Any, combine: Any) -> Any:
    """Make a reduction. Masked entries become ``fill`` (or ``initial``); ``combine`` adds ``initial``."""

    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Any:
        if dtype is None and where is True and initial is None and not isinstance(axis, list):
            if axis is None and not keepdims and isinstance(a, Node):
                return apply_to_one(primitive, a)
            return apply(primitive, (a,), {"axis": axis, "keepdims": keepdims})
        axis = tuple(axis) if isinstance(axis, list) else axis
        a = a if dtype is None else a.astype(dtype)
        if where is not True:
            if fill is None and initial is None:
                raise ValueError("got where= without initial= in a maximum or minimum, expected both")
            a = np.where(where, a, initial if fill is None else fill)
        found = primitive(a, axis=axis, keepdims=keepdims)
        return found if initial is None else combine(found, initial)

    return reduction


def _computed_in(a: Any, dtype: Any) -> Any:
    """Return ``a`` in the dtype that a statistic is computed in.

    Raises
    ------
    TypeError
        If it is of integers, in which every step of the statistic would be cut.
    """
    if dtype is None:
        return a
    if np.dtype(dtype).kind not in "fc":
        raise TypeError(f"got dtype={np.dtype(dtype)} in a statistic of a variable, expected floating or complex")
    return a.astype(dtype)


def _weights(a: Any, where: Any) -> Any:
    """Return which entries of ``a`` count, in its shape."""
    return np.broadcast_to(where, np.broadcast_shapes(np.shape(where), a.shape))


def mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True) -> Any:
    """Compute `numpy.mean`."""
    if where is not True:
        half = dtype is None and a.dtype == np.float16
        a = _computed_in(a, dtype)
        counted = np.sum(_weights(a, where), axis=axis, keepdims=keepdims).astype(a.real.dtype if not half else float)
        if half:
            # NumPy adds half precision up in single precision.
            return (sum_(a, axis, np.float32, keepdims=keepdims, where=where) / counted).astype(a.dtype)
        return _per(sum_(a, axis, keepdims=keepdims, where=where), counted)
    if axis is None and dtype is None and not keepdims:
        return apply(MEAN, (a,))
    axis = tuple(axis) if isinstance(axis, list) else axis
    return MEAN(_computed_in(a, dtype), axis=axis, keepdims=keepdims)


def _scan(primitive: Primitive) -> Any:
    def scan(a: Any, axis: Any = None, dtype: Any = None) -> Any:
        a = a if dtype is None else a.astype(dtype)
        return primitive(np.ravel(a), axis or 0) if axis is None or not a.shape else primitive(a, axis)

    return scan


def _cumulative(primitive: Primitive, first: float) -> Any:
    """Make the array API's scan, with the empty sum or product in front if asked for."""

    def scan(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        x = x if dtype is None else x.astype(dtype)
        x = np.atleast_1d(x)
        axis = 0 if axis is None and len(x.shape) == 1 else axis
        if axis is None:
            raise ValueError(f"got axis=None for an array of shape {x.shape}, expected an axis")
        found = primitive(x, axis)
        if not include_initial:
            return found
        axis %= len(x.shape)
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        return np.concatenate((np.full(shape, first, found.dtype), found), axis=axis)

    return scan


def _centred(a: Any, axis: Any, where: Any) -> tuple[Any, Any]:
    """Return the differences from the mean, 0 where masked, and the number of entries that count."""
    if where is True:
        return a - MEAN(a, axis=axis, keepdims=True), _count(a, axis)
    axis = axis if a.shape else None
    wide = a.real.dtype if a.dtype.itemsize > 2 else float
    counted = np.sum(_weights(a, where), axis=axis, keepdims=True).astype(wide)
    centred = np.where(where, a - mean(a, axis, keepdims=True, where=where), 0)
    return centred, counted


def _degrees(counted: Any, ddof: float, correction: float | None) -> Any:
    """Return the degrees of freedom, 0 if fewer than none are left."""
    free = counted - (ddof if correction is None else correction)
    return np.maximum(free, 0) if np.shape(free) else max(free, 0.0)


def _free(counted: Any, ddof: float, correction: float | None, like: Any) -> Any:
    """Return the degrees of freedom in the shape of the reduced result."""
    free = _degrees(counted, ddof, correction)
    return np.reshape(free, like.shape) if np.shape(free) else free


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    correction: float | None = None,
    keepdims: bool = False,
    where: Any = True,
) -> Any:
    """Compute `numpy.var`."""
    a = _computed_in(a, dtype)
    centred, counted = _centred(a, axis, where)
    square = np.real(centred * np.conj(centred)) if a.dtype.kind == "c" else centred * centred
    total = SUM(square, axis=axis, keepdims=keepdims)
    found = _per(total, _free(counted, ddof, correction, total))
    return found if dtype is None else found.astype(dtype)


def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: float = 0,
    correction: float | None = None,
    keepdims: bool = False,
    where: Any = True,
) -> Any:
    """Compute `numpy.std`; its slope at equal entries is 0."""
    a = _computed_in(a, dtype)
    centred, counted = _centred(a, axis, where)
    free = _degrees(counted, ddof, correction)
    if np.shape(free) and not keepdims:
        free = np.squeeze(free, axis=axes_of(axis, len(centred.shape)))
    # One call, so that the square of it is known to be smooth where all entries are equal.
    found = NORM(centred, free**0.5, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    return found if dtype is None else found.astype(dtype)


def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    """Compute `numpy.average`, with weights shaped like ``a`` or, along one axis, a vector of its length."""
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        if not isinstance(axis, int) or np.shape(weights) != (np.shape(a)[axis],):
            raise ValueError(
                f"got weights of shape {np.shape(weights)}, expected {np.shape(a)} or a vector along an axis"
            )
        weights = np.reshape(weights, tuple(n if i == axis % np.ndim(a) else 1 for i, n in enumerate(np.shape(a))))
    total = np.sum(np.broadcast_to(weights, np.shape(a)), axis=axis, keepdims=keepdims)
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / total


sum_: Any = _reduction(SUM, 0, np.add)
prod: Any = _reduction(PROD, 1, np.multiply)

HANDLERS: dict[Any, Any] = {
    np.sum: sum_,
    np.mean: mean,
    np.max: _reduction(MAX, None, np.maximum),
    np.min: _reduction(MIN, None, np.minimum),
    np.amax: _reduction(MAX, None, np.maximum),
    np.amin: _reduction(MIN, None, np.minimum),
    np.nanmax: _reduction(NANMAX, None, np.fmax),
    np.nanmin: _reduction(NANMIN, None, np.fmin),
    np.prod: prod,
    np.average: average,
    np.var: var,
    np.std: std,
    np.cumsum: _scan(CUMSUM),
    np.cumprod: _scan(CUMPROD),
    np.cumulative_sum: _cumulative(CUMSUM, 0),
    np.cumulative_prod: _cumulative(CUMPROD, 1),
    np.ptp: lambda a, axis=None, keepdims=False: (
        MAX(a, axis=axis, keepdims=keepdims) - MIN(a, axis=axis, keepdims=keepdims)
    ),
}
#: ufunc -> the function that its ``reduce`` is, and the replacement of its ``accumulate``.
WHOLE: dict[Any, Any] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.fmax: np.nanmax,
    np.fmin: np.nanmin,
}
ACCUMULATE = {np.add: CUMSUM, np.multiply: CUMPROD}
