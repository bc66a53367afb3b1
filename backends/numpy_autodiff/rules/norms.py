"""Norms of vectors and matrices, of every order.

For ``n = (sum_i |x_i|^p)^(1/p)``

    dn = n^(1-p) sum_i |x_i|^(p-1) d|x_i|,    d|x| = Re(conj(sign x) dx),

so that the slope in ``x_i`` is ``(|x_i| / n)^(p-1) conj(sign x_i)``, for p = 2 ``conj(x_i) / n``.

Conventions: a norm has slope 0 at zero; max and min over entries (orders inf and -inf) share the slope evenly
among ties; entries that are zero have slope 0 in every order (for order 1 a subgradient); order 0 counts, and is
constant.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SPREADS
from autodiff_compare.backends.numpy_autodiff.core.tracing import primal
from autodiff_compare.backends.numpy_autodiff.rules.builders import UNIT, expand, has_zero
from autodiff_compare.backends.numpy_autodiff.rules.limits import undo_norm


def _norm(x: Any, scale: Any = 1.0, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    found = _length(x, axis, keepdims, ord)
    return found if scale.__class__ is float and scale == 1 else found / scale


def _length(x: Any, axis: Any, keepdims: bool, ord: float) -> Any:
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        found = np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)
        if _kept_its_powers(found, ord):
            return found
        # Powers of the entries have overflowed, or vanished, or all are zero. Scale: |c x| = |c| |x|.
        top = np.max(np.abs(x), axis=axis, keepdims=True, initial=0)
        usual = np.logical_or(np.equal(top, 0), np.logical_not(np.isfinite(top)))
        top = np.where(usual, top.dtype.type(1), top)
        found = np.linalg.vector_norm(x / top, axis=axis, keepdims=keepdims, ord=ord)
        return found * np.reshape(top, found.shape)


#: Bounds of a norm between which its squares have neither overflowed nor lost a digit to underflow, by dtype.
_SAFE = {k: (np.sqrt(np.finfo(k).tiny) / np.finfo(k).eps, np.sqrt(np.finfo(k).max)) for k in "efdg"}


def _kept_its_powers(found: Any, ord: float) -> bool:
    low, high = _SAFE[found.dtype.char]
    if ord != 2:
        low, high = low ** (2 / abs(ord)), high ** (2 / abs(ord))
    if found.shape == ():
        return bool(low < found < high)
    return not found.size or bool(found.min() > low and found.max() < high)


def _unit(ans: Any, x: Any, axis: Any, keepdims: bool, ord: float = 2) -> Any:
    """Return the slope ``(|x| / n)^(p-1) conj(sign x)``: a power of ratios, which cannot overflow."""
    whole = np.broadcast_to(expand(ans, x, axis, keepdims), x.shape)
    if ord == 2:
        return UNIT(np.conj(x), whole)
    size = np.abs(x)
    sign = UNIT(np.conj(x), size) if x.dtype.kind == "c" else np.sign(x)
    if ord > 1:
        return sign * UNIT(size, whole) ** (ord - 1)
    # 0 ** negative would be 1 / 0 where the sign is 0.
    return UNIT(sign, UNIT(size, whole) ** (1 - ord))


# A norm divided by a constant ``scale`` has the slope ``conj(x) / (ans scale^2)``. Only the standard deviation has one.


def _norm_vjp(
    g: Any, ans: Any, x: Any, scale: Any = 1.0, axis: Any = None, keepdims: bool = False, ord: float = 2
) -> Any:
    if ord == 2 and not has_zero(ans):
        return expand(g / (ans * scale**2), x, axis, keepdims) * np.conj(x)
    return expand(g / scale, x, axis, keepdims) * _unit(ans * scale, x, axis, keepdims, ord)


def _norm_jvp(
    t: Any, ans: Any, x: Any, scale: Any = 1.0, axis: Any = None, keepdims: bool = False, ord: float = 2
) -> Any:
    if ord == 2 and not has_zero(ans):
        return np.real(np.sum(t * np.conj(x), axis=axis, keepdims=keepdims)) / (ans * scale**2)
    return np.real(np.sum(t * _unit(ans * scale, x, axis, keepdims, ord), axis=axis, keepdims=keepdims)) / scale


def _at_tip(node: Any, *_: Any, **__: Any) -> bool:
    return has_zero(primal(node.primal))


NORM: Primitive = Primitive(
    "norm", _norm, (_norm_vjp,), (_norm_jvp,), selects=SPREADS, steep=_at_tip, tip=True, undo=undo_norm
)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Compute `numpy.linalg.vector_norm`."""
    axis = tuple(axis) if isinstance(axis, list) else axis
    if ord == 2:
        return NORM(x, axis=axis, keepdims=keepdims)
    size = np.abs(x)
    if ord == math.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0).astype(size.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if not isinstance(ord, (int, float, np.integer, np.floating)):
        raise ValueError(f"got ord={ord!r} for a norm of vectors, expected a number, inf or -inf")
    return NORM(x, axis=axis, keepdims=keepdims, ord=float(ord))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Compute `numpy.linalg.norm`."""
    ndim = len(x.shape)
    if ord is None:
        return NORM(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    axes = tuple(range(ndim)) if axis is None else tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if len(axes) == 1:
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=ord)
    if len(axes) == 2:
        return _matrix_norm(x, ord, (axes[0] % ndim, axes[1] % ndim), keepdims)
    raise ValueError(f"got ord={ord!r} over {len(axes)} axes, expected 1 or 2: pass axis=")


_SINGULAR = {
    2: lambda s: np.max(s, axis=-1),
    -2: lambda s: np.min(s, axis=-1),
    "nuc": lambda s: np.sum(s, axis=-1),
}


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    row, column = axes
    if ord in (None, "fro", "f"):
        return NORM(x, axis=axes, keepdims=keepdims)
    if ord in _SINGULAR:
        found = _SINGULAR[ord](np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1))))
        return np.expand_dims(found, tuple(sorted(axes))) if keepdims else found
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"got matrix norm ord={ord!r}, expected one of None, 'fro', 'nuc', 1, -1, 2, -2, inf, -inf")
    summed, chosen = (row, column) if ord in (1, -1) else (column, row)
    best = np.max if ord > 0 else np.min
    total = best(np.sum(np.abs(x), axis=summed, keepdims=True), axis=chosen, keepdims=True)
    return total if keepdims else np.squeeze(total, axis=axes)


def cond(x: Any, p: Any = None) -> Any:
    """Compute `numpy.linalg.cond`."""
    if p in (None, 2, -2):
        s = np.linalg.svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(np.linalg.inv(x), p, (-2, -1))


HANDLERS: dict[Any, Any] = {
    np.linalg.norm: norm,
    np.linalg.vector_norm: vector_norm,
    np.linalg.matrix_norm: lambda x, /, *, keepdims=False, ord="fro": norm(x, ord, (-2, -1), keepdims),
    np.linalg.cond: cond,
}
