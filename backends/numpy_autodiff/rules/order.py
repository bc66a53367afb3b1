"""Order statistics: quantiles, running and nan-ignoring extremes, sets of distinct values.

A sorted array is a permutation of x, constant nearby unless entries are equal. So the cotangent of an order statistic
goes to the entry that it is taken from.

Conventions: an order statistic shares its slope evenly among the entries equal to it, as max does. A running maximum or
minimum, and a set of distinct values, give it to the first of equal entries. A quantile is piecewise linear in its
probability where its method is (at a knot it has the slope to the right), else constant in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import MOVES
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, constant, primal
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array, axes_of
from autodiff_compare.backends.numpy_autodiff.rules.indexing import take_along_axis


def _average_ties(g: Any, ordered: Any) -> Any:
    """Replace each entry of ``g`` by its mean over the run of equal entries of ``ordered``, along the last axis."""
    new = np.ones(ordered.shape, bool)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    if new.all():
        return g
    starts = np.flatnonzero(new)
    lengths = np.diff(np.append(starts, new.size))
    # Lengths and sums in double precision: half precision ends at 65504.
    means = np.add.reduceat(g.ravel().astype(np.result_type(g, float)), starts) / lengths
    return np.repeat(means.astype(g.dtype), lengths).reshape(g.shape)


def _average_again(g: Any, _ans: Any, _x: Any, ordered: Any) -> Any:
    return AVERAGE_TIES(g, ordered)


#: Averaging over ties is linear and symmetric in its first argument, so that it is its own VJP and JVP.
AVERAGE_TIES: Primitive = Primitive(
    "average_ties", _average_ties, (_average_again, None), (_average_again, None), selects=MOVES
)


def _itself(x: Any) -> Any:
    return x


def _shared(g: Any, _ans: Any, x: Any) -> Any:
    return AVERAGE_TIES(g, primal(x))


#: The identity on sorted entries, whose slopes equal entries share.
SHARED: Primitive = Primitive("share_ties", _itself, (_shared,), (_shared,), selects=MOVES)


def _rows(a: Any, axis: Any) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """Join the reduced axes into one, the last. Return also the shape of the others, and that with keepdims."""
    ndim = len(a.shape)
    if not ndim and axis is not None and axis != ():
        raise np.exceptions.AxisError(axis if isinstance(axis, int) else axis[0], 0)
    axes = axes_of(tuple(axis) if isinstance(axis, list) else axis, ndim)
    rest = [i for i in range(ndim) if i not in axes]
    lead = tuple(a.shape[i] for i in rest)
    rows = np.reshape(np.transpose(a, (*rest, *axes)), (*lead, int(np.prod([a.shape[i] for i in axes], dtype=int))))
    return rows, lead, tuple(1 if i in axes else n for i, n in enumerate(a.shape))


#: alpha and beta of Hyndman and Fan (1996): the index is ``n q + alpha + q (1 - alpha - beta) - 1``.
_CONTINUOUS = {
    "linear": (1.0, 1.0),
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


def _index(n: Any, q: Any, method: str) -> Any:
    """Return the fractional index of the quantile in ``n`` sorted entries; ``q`` is a vector."""
    if method in _CONTINUOUS:
        alpha, beta = _CONTINUOUS[method]
        return np.clip(n * q + alpha + q * (1 - alpha - beta) - 1, 0, np.maximum(n - 1, 0))
    # The other methods choose an index or the middle of two. Applied to the indices, they return that index.
    if isinstance(primal(q), Node):
        raise TypeError(f"got a traced probability with method={method!r}, which chooses an index: pass a constant")
    q = constant(q)
    of: Any = np.quantile
    found = np.zeros(np.broadcast_shapes(np.shape(n), q.shape))
    for count in np.unique(n[n > 0]):
        found = np.where(np.equal(n, count), of(np.arange(float(count)), q, method=method), found)
    return found


def _between(ordered: Any, at: Any, n: Any) -> Any:
    """Interpolate the first n entries of sorted rows linearly at fractional indices ``at``, along the last axis."""
    low = np.floor(primal(at)).astype(int)
    # Beyond the first n entries stand those that are not counted, which are nan.
    high = np.minimum(low + 1, np.maximum(n - 1, 0))
    shape = (*ordered.shape[:-1], low.shape[-1])
    below, above = (take_along_axis(ordered, np.broadcast_to(i, shape), -1) for i in (low, high))
    weight = at - low
    weight = weight.astype(ordered.dtype) if ordered.dtype.kind == "f" else weight
    # Equal infinities have no difference.
    same = np.logical_or(np.equal(below, above), np.equal(primal(weight), 0) & (low == high))
    with np.errstate(invalid="ignore"):
        return np.where(same, below, below + (above - below) * weight)


def _statistic(a: Any, axis: Any, keepdims: bool, index: Any, shape: tuple[int, ...], ignore_nan: bool) -> Any:
    """Compute order statistics at ``index(n)``, a vector of fractional indices into n entries, in ``shape``."""
    rows, lead, kept = _rows(a, axis)
    tail = kept if keepdims else lead
    size = rows.shape[-1]
    missing = np.isnan(primal(rows)) if rows.dtype.kind in "fc" else np.zeros(rows.shape, bool)
    if not size:
        return np.full((*shape, *tail), np.nan, rows.dtype)
    ordered = SHARED(np.sort(rows, axis=-1))
    if ignore_nan:
        n = size - np.sum(missing, axis=-1, keepdims=True)
        none = np.equal(n, 0)
    else:
        n = np.asarray(size)
        none = np.any(missing, axis=-1, keepdims=True)
    found = _between(ordered, index(n), n)
    if np.any(none):
        found = np.where(none, found.dtype.type(np.nan), found)
    return np.reshape(np.moveaxis(found, -1, 0), (*shape, *tail))


def _quantile(ignore_nan: bool, scale: float) -> Any:
    def quantile(
        a: Any,
        q: Any,
        axis: Any = None,
        *,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
    ) -> Any:
        del overwrite_input
        a, q = as_array(a), as_array(q)
        a = a if a.dtype.kind in "fc" else a.astype(float)
        probability = q / scale if scale != 1 else q
        if np.any(np.less(probability, 0)) or np.any(np.greater(probability, 1)):
            raise ValueError(f"got a quantile outside its range, expected 0 to {scale:g}")
        flat = np.reshape(probability, (-1,))
        return _statistic(a, axis, keepdims, lambda n: _index(n, flat, method), np.shape(q), ignore_nan)

    return quantile


def _median(ignore_nan: bool) -> Any:
    def median(a: Any, axis: Any = None, *, overwrite_input: bool = False, keepdims: bool = False) -> Any:
        del overwrite_input

        def middle(n: Any) -> Any:
            return np.reshape(np.maximum(n - 1, 0) / 2, np.shape(n) or (1,))

        return _statistic(a, axis, keepdims, middle, (), ignore_nan)

    return median


def _running(ufunc: Any) -> Any:
    """Make `numpy.maximum.accumulate` or its like: entries are taken where the running extreme is first reached."""

    def positions(x: Any, axis: int) -> Any:
        top = ufunc.accumulate(x, axis=axis)
        before = np.delete(top, -1, axis=axis)
        later = np.delete(top, 0, axis=axis)
        fresh = np.logical_and(later != before, np.logical_not(np.isnan(before)))
        first = np.ones_like(np.take(fresh, [0], axis=axis)) if x.shape[axis] > 1 else np.ones(x.shape, bool)
        fresh = np.concatenate((first, fresh), axis=axis) if x.shape[axis] > 1 else first
        column = tuple(-1 if i == axis % x.ndim else 1 for i in range(x.ndim))
        return np.maximum.accumulate(np.where(fresh, np.arange(x.shape[axis]).reshape(column), 0), axis=axis)

    where = Primitive(f"running_{ufunc.__name__}", positions, constant=True)
    return lambda x, axis: take_along_axis(x, where(primal(x), axis), axis)


ACCUMULATE = {f: _running(f) for f in (np.maximum, np.minimum, np.fmax, np.fmin)}

#: Functions whose results have shapes that depend on values; a compiler refuses them by these names.
_UNIQUE = Primitive("unique", np.unique, constant=True)
_COMMON = Primitive("intersect1d", np.intersect1d, constant=True)


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """Compute `numpy.unique`, sorted: each value is the first of its equals."""
    del sorted
    found = _UNIQUE(primal(ar), True, return_inverse, return_counts, axis=axis, equal_nan=equal_nan)
    index = found[1]
    values = np.ravel(ar)[index] if axis is None else np.take(ar, index, axis=axis)
    extra = found[2:] if not return_index else found[1:]
    return (values, *extra) if extra else values


def _unique_like(function: Any) -> Any:
    """Make `numpy.unique_all` or its like, a named tuple of which the values are differentiable."""
    primitive = Primitive("unique", function, constant=True)
    return lambda x: primitive(primal(x))._replace(values=unique(x, equal_nan=False))


def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """Compute `numpy.intersect1d`; the values are those of the first array."""
    _, first, second = _COMMON(primal(ar1), primal(ar2), assume_unique, True)
    values = np.ravel(ar1)[first]
    return (values, first, second) if return_indices else values


def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Compute `numpy.setdiff1d`."""
    values = np.ravel(ar1) if assume_unique else unique(ar1)
    return values[np.isin(primal(values), primal(ar2), invert=True)]


def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Compute `numpy.setxor1d`."""
    del assume_unique
    joined = unique(np.concatenate((np.ravel(ar1), np.ravel(ar2))))
    return joined[np.logical_xor(*(np.isin(primal(joined), primal(part)) for part in (ar1, ar2)))]


median, nanmedian = _median(False), _median(True)
HANDLERS: dict[Any, Any] = {
    np.median: median,
    np.nanmedian: nanmedian,
    np.quantile: _quantile(False, 1.0),
    np.nanquantile: _quantile(True, 1.0),
    np.percentile: _quantile(False, 100.0),
    np.nanpercentile: _quantile(True, 100.0),
    np.unique: unique,
    np.unique_values: lambda x: unique(x, equal_nan=False),
    np.unique_all: _unique_like(np.unique_all),
    np.unique_counts: _unique_like(np.unique_counts),
    np.unique_inverse: _unique_like(np.unique_inverse),
    np.union1d: lambda ar1, ar2: unique(np.concatenate((np.ravel(ar1), np.ravel(ar2)))),
    np.intersect1d: intersect1d,
    np.setdiff1d: setdiff1d,
    np.setxor1d: setxor1d,
}
