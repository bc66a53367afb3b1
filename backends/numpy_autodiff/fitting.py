"""Bringing cotangents to the shape and dtype of what they belong to."""

from __future__ import annotations

from typing import Any

import numpy as np

_ndarray = np.ndarray
_sum: Any = np.add.reduce


def fit(g: Any, x: Any) -> Any:
    """Bring a cotangent to the shape and dtype of ``x``: the transpose of broadcasting and of casting.

    Broadcasting copies an entry; its transpose sums over the copies.
    """
    shape = x.shape
    if g.shape != shape:
        extra = len(g.shape) - len(shape)
        if extra > 0:
            g = _total(g, None if not shape else tuple(range(extra)), False)
        axes = tuple([i for i, n in enumerate(shape) if n == 1 and i < len(g.shape) and g.shape[i] != 1])
        if axes:
            g = _total(g, axes, True)
        if g.shape != shape:
            g = np.broadcast_to(g, shape)
    return cast(g, x.dtype)


def _total(g: Any, axis: Any, keepdims: bool) -> Any:
    if g.__class__ is _ndarray:
        return _sum(g, axis, None, None, keepdims)
    return np.sum(g, axis=axis, keepdims=keepdims)


def cast(g: Any, dtype: Any) -> Any:
    """Bring a cotangent or tangent to ``dtype``, by its real part where that is real."""
    if g.dtype == dtype:
        return g
    if g.dtype.kind == "c" and dtype.kind != "c":
        g = np.real(g)
    return g if g.dtype == dtype else g.astype(dtype)


def spread(g: float, like: Any) -> Any:
    """A uniform cotangent written out, in the shape and dtype of ``like``."""
    out = np.empty(like.shape, like.dtype)
    out.fill(g)
    return out
