"""Statistics made of sums and products: covariances, statistics that ignore nan, integrals and weighted counts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, constant, primal
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array
from autodiff_compare.backends.numpy_autodiff.rules.indexing import COMPUTED, SPREAD
from autodiff_compare.backends.numpy_autodiff.rules.reductions import mean, prod, std, sum_, var
from autodiff_compare.backends.numpy_autodiff.rules.scatter import SCATTER


def _there(a: Any) -> Any:
    return np.logical_not(np.isnan(a))


def _without_nan(reduction: Any) -> Any:
    """Make a reduction over the entries that are not nan."""

    def ignoring(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True) -> Any:
        return reduction(a, axis, dtype, keepdims=keepdims, where=np.logical_and(_there(a), where))

    return ignoring


def _spread_without_nan(statistic: Any) -> Any:
    """Make `numpy.nanvar` or `numpy.nanstd`."""

    def ignoring(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        *,
        ddof: float = 0,
        correction: float | None = None,
        keepdims: bool = False,
        where: Any = True,
    ) -> Any:
        there = np.logical_and(_there(a), where)
        return statistic(a, axis, dtype, ddof=ddof, correction=correction, keepdims=keepdims, where=there)

    return ignoring


def _scan_without_nan(scan: Any, fill: float) -> Any:
    return lambda a, axis=None, dtype=None: scan(np.where(_there(a), a, a.dtype.type(fill)), axis=axis, dtype=dtype)


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Compute `numpy.cov`, differentiable in ``aweights`` too; ``fweights`` are counts, and constants."""
    x = _variables(m, rowvar, dtype)
    if y is not None:
        x = np.concatenate((x, _variables(y, rowvar, dtype)), axis=0)
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"got ddof={ddof}, expected an integer")
    ddof = (0 if bias else 1) if ddof is None else ddof
    counts, shares = _frequencies(fweights, x.shape[1]), _importances(aweights, x.shape[1])
    weight = counts if shares is None else shares if counts is None else counts * shares
    total = float(x.shape[1]) if weight is None else np.sum(weight)
    free = total - ddof if shares is None or not ddof else total - ddof * np.sum(weight * shares) / total
    if constant(free) <= 0:
        warnings.warn("got no degrees of freedom left (see ddof), expected more entries", RuntimeWarning, stacklevel=2)
        free = 0.0
    centre = np.sum(x if weight is None else x * weight, axis=1, keepdims=True) / total
    centred = x - centre
    other = np.conj(centred if weight is None else centred * weight).T
    return np.squeeze((centred @ other) / free)


def _frequencies(weights: Any, n: int) -> Any:
    if weights is None:
        return None
    if isinstance(weights, Node):
        raise TypeError("got a variable as fweights, expected integer counts: they have no derivative; see aweights")
    counts = np.asarray(weights, float)
    if np.any(counts != np.around(counts)):
        raise TypeError("got fweights that are not integers, expected counts: see aweights")
    return _checked(counts, n, "fweights")


def _importances(weights: Any, n: int) -> Any:
    if weights is None:
        return None
    weights = as_array(weights)
    return _checked(weights if weights.dtype.kind == "f" else weights.astype(float), n, "aweights")


def _checked(weights: Any, n: int, name: str) -> Any:
    if weights.shape != (n,):
        raise ValueError(f"got {name} of shape {weights.shape}, expected ({n},): one for each observation")
    if np.any(constant(weights) < 0):
        raise ValueError(f"got negative {name}, expected none below 0")
    return weights


def _variables(m: Any, rowvar: bool, dtype: Any) -> Any:
    """Return the data with one variable per row, in double precision or more."""
    m = as_array(m)
    if len(m.shape) > 2:
        raise ValueError(f"got shape {m.shape}, expected at most two axes")
    m = m.astype(np.result_type(m.dtype, float) if dtype is None else dtype)
    m = m.reshape((1, -1)) if len(m.shape) < 2 else m
    return m if rowvar or m.shape[0] == 1 else m.T


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Compute `numpy.corrcoef`, but not clipped to [-1, 1], which only rounding exceeds."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.shape:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    return c / deviation[:, None] / deviation[None, :]


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Compute `numpy.trapezoid`, differentiable in the points too."""
    y = np.moveaxis(as_array(y), axis, -1)
    if x is not None:
        x = as_array(x)
        dx = np.diff(x) if len(x.shape) == 1 else np.diff(np.moveaxis(x, axis, -1))
    return np.sum(dx * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Compute `numpy.bincount`, differentiable in the weights."""
    if isinstance(primal(x), Node):
        return _bincount_traced(primal(x), weights, minlength)
    # A copy: the caller may change its array before the sweep.
    x = np.array(constant(x))
    if weights is None:
        return np.bincount(x, minlength=minlength)
    if np.shape(weights) != x.shape:
        raise ValueError(f"got weights of shape {np.shape(weights)}, expected {x.shape}: one for each entry")
    size = np.bincount(x, minlength=minlength).size
    return SCATTER(as_array(weights).astype(float), indices=[x], shape=(size,), dtype=np.dtype(float))


def _bincount_traced(x: Any, weights: Any, minlength: int) -> Any:
    """Count the bins that a compiler computes anew; their number must not depend on them."""
    if not minlength or np.any(np.greater_equal(x, minlength)):
        raise TypeError("got traced bins, so that the length depends on values: pass minlength= above all of them")
    if np.any(np.less(x, 0)):
        raise ValueError("got a negative bin, expected numbers of bins from 0")
    if weights is not None and np.shape(weights) != x.shape:
        raise ValueError(f"got weights of shape {np.shape(weights)}, expected {x.shape}: one for each entry")
    kind = np.dtype(int if weights is None else float)
    parts = np.ones(x.shape, kind) if weights is None else as_array(weights).astype(kind)
    return SPREAD(parts, x, form=(COMPUTED,), shape=(minlength,), dtype=kind)


def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Compute `numpy.unwrap`: the added multiples of the period are constant."""
    return p + _TURNS(primal(p), discont, axis, period)


def _turns(p: Any, discont: float | None, axis: int, period: float) -> Any:
    return np.unwrap(p, discont, axis, period=period) - p


_TURNS = Primitive("turns", _turns, constant=True)


HANDLERS: dict[Any, Any] = {
    np.nansum: _without_nan(sum_),
    np.nanprod: _without_nan(prod),
    np.nanmean: _without_nan(mean),
    np.nanvar: _spread_without_nan(var),
    np.nanstd: _spread_without_nan(std),
    np.nancumsum: _scan_without_nan(np.cumsum, 0),
    np.nancumprod: _scan_without_nan(np.cumprod, 1),
    np.cov: cov,
    np.corrcoef: corrcoef,
    np.trapezoid: trapezoid,
    np.bincount: bincount,
    np.unwrap: unwrap,
}
