"""Parts of matrices and of their spectra, for the rules of decompositions, and the change of inner product.

A computed eigenvalue or singular value is known to a few roundings of the largest one. The rules take two that are
closer than that for equal, and a singular value that is smaller for zero. A quotient by their difference would be
rounding over rounding, a finite number without a meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.tracing import constant, primal
from autodiff_compare.backends.numpy_autodiff.rules.builders import has_zero
from autodiff_compare.backends.numpy_autodiff.rules.linalg import adjoint


def conjugated(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a VJP in the inner product ``Re tr(G^H dA)``, as in the literature, into a transpose.

    A transpose has ``Re tr(G^T dA)``, so both its cotangents are the conjugates of those of the literature.
    """

    def conj(g: Any) -> Any:
        return np.conj(g) if g is not None and g.dtype.kind == "c" else g

    def vjp(g: Any, ans: Any, *args: Any, **kwargs: Any) -> Any:
        return conj(rule([conj(part) for part in g] if isinstance(ans, tuple) else conj(g), ans, *args, **kwargs))

    return vjp


def eye_like(x: Any) -> Any:
    return np.eye(x.shape[-1], dtype=x.dtype)


def diagonal_of(x: Any) -> Any:
    return np.diagonal(x, axis1=-2, axis2=-1)


def on_diagonal(x: Any) -> Any:
    return x[..., None] * eye_like(x)


def off_diagonal(x: Any) -> Any:
    return x * (1 - eye_like(x))


#: Rounding errors within which eigenvalues are equal, per row of the matrix; those of a general matrix have more.
#: LAPACK on processors without FMA leaves equal eigenvalues up to 1.3 of them apart.
HERMITIAN, GENERAL = 4, 100


def blocks(w: Any, roundings: int) -> Any:
    """Return whether values i and j are equal within roundings per entry of ``w``, per matrix; None if all differ."""
    w = primal(w)
    if not w.size:
        return None
    n = w.shape[-1]
    scale = np.max(np.abs(w), axis=-1, keepdims=True)[..., None]
    apart = np.abs(w[..., :, None] - w[..., None, :])
    close = np.less_equal(apart, n * roundings * float(np.finfo(w.dtype).eps) * scale)
    if np.count_nonzero(close) == w.size:
        return None
    seen = pattern(close)
    return np.not_equal(np.linalg.matrix_power((seen | np.eye(n, dtype=bool)).astype(float), n), 0)


def pattern(mask: Any) -> Any:
    """Return a mask as plain truth values; a compiler guards by it what holds for this mask only."""
    seen = constant(mask)
    if not np.all(np.equal(mask, seen)):
        raise AssertionError
    return seen


def gaps(w: Any, roundings: int) -> Any:
    """Return ``w_j - w_i``, exactly 0 where they are equal within roundings; with ones on the diagonal."""
    found = w[..., None, :] - w[..., :, None] + eye_like(w)
    alike = blocks(w, roundings)
    return found if alike is None else np.where(alike & ~np.eye(w.shape[-1], dtype=bool), 0, found)


def over_gaps(x: Any, w: Any, needed: Any = True, roundings: int = HERMITIAN) -> Any:
    """Return ``x_ij / (w_j - w_i)`` off the diagonal, 0 on it; see `over_or_nan`."""
    return over_or_nan(off_diagonal(x), gaps(w, roundings), needed)


def over_or_nan(x: Any, d: Any, needed: Any = True) -> Any:
    """Return ``x / d``. Where d is 0 there is no derivative: nan, but 0 where it is not ``needed``.

    That is where no cotangent reaches a vector (see `autodiff_compare.backends.numpy_autodiff.core.reach`).
    """
    if not has_zero(d):
        return x / d
    zero = np.equal(d, 0)
    # nan is a factor, so that it spreads as x does in derivatives too.
    return np.where(zero, np.where(needed, np.nan, 0), 1 / np.where(zero, 1, d)) * x


def columns(mask: Any) -> Any:
    """Return which columns of a matrix have an entry in the mask, as one row."""
    return mask if mask is True or mask is False else np.any(mask, axis=-2, keepdims=True)


def needed_columns(mask: Any, k: int) -> Any:
    """Return which of the first k columns of a basis are needed: all, if one of its complement is."""
    found = columns(mask)
    if found is True or found is False or found.shape[-1] == k:
        return found
    return np.logical_or(found[..., :k], np.any(found[..., k:], axis=-1, keepdims=True))


def with_value(exact: Any, same: Any) -> Any:
    """Return ``exact`` with the derivatives of ``same``, which differs from it by rounding alone."""
    return primal(exact) + (same - primal(same))


def hermitian(x: Any) -> Any:
    return 0.5 * (x + adjoint(x))


def transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)
