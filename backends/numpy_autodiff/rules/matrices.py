"""Parts of matrices, for the rules of decompositions, and the change of inner product between conventions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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


def gaps(w: Any) -> Any:
    """Return ``w_j - w_i``, with ones on the diagonal."""
    return w[..., None, :] - w[..., :, None] + eye_like(w)


def over_gaps(x: Any, w: Any, needed: Any = True) -> Any:
    """Return ``x_ij / (w_j - w_i)`` off the diagonal, 0 on it; see `over_or_nan`."""
    return over_or_nan(off_diagonal(x), gaps(w), needed)


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


def hermitian(x: Any) -> Any:
    return 0.5 * (x + adjoint(x))


def transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)
