"""Linear algebra that the studies need: inv, solve, det, eigh, eigvalsh and norms.

Conventions: eigh and eigvalsh read the lower triangle (as NumPy does) and give the Hermitian gradient; eigenvalues
alone never divide by gaps, so that they stay finite where eigenvalues are equal; a norm has slope 0 at zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.numpy_autodiff.primitive import Primitive
from backends.numpy_autodiff.rules.building import expand, over


def _t(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _h(x: Any) -> Any:
    return np.conj(_t(x)) if x.dtype.kind == "c" else _t(x)


INV: Primitive = Primitive(
    "inv",
    np.linalg.inv,
    (lambda g, ans, a: -(_t(ans) @ g @ _t(ans)),),
    (lambda t, ans, a: -(ans @ t @ ans),),
)


def _solve_vjp_a(g: Any, ans: Any, a: Any, b: Any) -> Any:
    w = SOLVE(_t(a), g)
    return -w[..., None] * ans if len(b.shape) == 1 else -(w @ _t(ans))


SOLVE: Primitive = Primitive(
    "solve",
    np.linalg.solve,
    (_solve_vjp_a, lambda g, ans, a, b: SOLVE(_t(a), g)),
    (lambda t, ans, a, b: -SOLVE(a, t @ ans), lambda t, ans, a, b: SOLVE(a, t)),
)


def _cofactors(ans: Any, a: Any) -> Any:
    """``d det / d a``: det times the transposed inverse; entry by entry through minors where that is singular."""
    n = a.shape[-1]
    if np.all(np.not_equal(ans, 0)):
        return ans[..., None, None] * _t(np.linalg.inv(a)) if len(a.shape) > 2 else ans * _t(np.linalg.inv(a))
    if n == 1:
        return np.ones_like(a)
    kept = [[i for i in range(n) if i != j] for j in range(n)]
    rows = [
        np.stack([(-1.0) ** (i + j) * DET(a[..., kept[i], :][..., kept[j]]) for j in range(n)], axis=-1)
        for i in range(n)
    ]
    return np.stack(rows, axis=-2)


def _det_vjp(g: Any, ans: Any, a: Any) -> Any:
    return (g[..., None, None] if len(a.shape) > 2 else g) * _cofactors(ans, a)


DET: Primitive = Primitive(
    "det",
    np.linalg.det,
    (_det_vjp,),
    (lambda t, ans, a: np.sum(t * _cofactors(ans, a), axis=(-2, -1)),),
)


def _eigh_vjp(g: Any, ans: Any, a: Any, uplo: str = "L") -> Any:
    """``conj(V) (diag gw + F o (V^T gV)) V^T``, ``F_ij = 1/(w_j - w_i)``, Hermitian part (Giles 2008, 3.1)."""
    del a, uplo
    w, v = ans
    gw, gv = g
    inner: Any = 0.0
    if gv is not None:
        gap = w[..., None, :] - w[..., :, None] + np.eye(w.shape[-1], dtype=w.dtype)
        inner = over((_t(v) @ gv) * (1 - np.eye(w.shape[-1], dtype=w.dtype)), gap)
    if gw is not None:
        inner = inner + gw[..., None] * np.eye(w.shape[-1], dtype=w.dtype)
    full = np.conj(v) @ inner @ _t(v)
    return 0.5 * (full + _h(full))


def _eigh_jvp(t: Any, ans: Any, a: Any, uplo: str = "L") -> Any:
    del a
    w, v = ans
    inner = _h(v) @ _hermitian(t, uplo) @ v
    gap = w[..., None, :] - w[..., :, None] + np.eye(w.shape[-1], dtype=w.dtype)
    turn = inner * (1 - np.eye(w.shape[-1], dtype=w.dtype))
    # Vectors of equal eigenvalues have no derivative, and most often nobody asks for it.
    with np.errstate(invalid="ignore"):
        return np.real(np.diagonal(inner, axis1=-2, axis2=-1)), v @ over(turn, gap)


def _hermitian(t: Any, uplo: str) -> Any:
    """The tangent as the gradient's pairing sees it: its Hermitian part."""
    del uplo
    return 0.5 * (t + _h(t))


EIGH: Primitive = Primitive("eigh", np.linalg.eigh, (_eigh_vjp,), (_eigh_jvp,))


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """As `numpy.linalg.eigvalsh`."""
    return EIGH(a, UPLO)[0]


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """As `numpy.linalg.vector_norm`."""
    size = np.abs(x)
    if ord in (np.inf, float("inf")):
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0).astype(size.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if ord == 2:
        return NORM(x, axis=axis, keepdims=keepdims)
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


def _norm(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims)


def _unit(ans: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return over(np.conj(x), np.broadcast_to(expand(ans, x, axis, keepdims), x.shape))


def _norm_vjp(g: Any, ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return expand(g, x, axis, keepdims) * _unit(ans, x, axis, keepdims)


def _norm_jvp(t: Any, ans: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.real(np.sum(t * _unit(ans, x, axis, keepdims), axis=axis, keepdims=keepdims))


NORM: Primitive = Primitive("norm", _norm, (_norm_vjp,), (_norm_jvp,))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """As `numpy.linalg.norm` for vectors, and for the Frobenius, 1 and infinity norms of matrices."""
    ndim = len(x.shape)
    if ord is None or (ord == "fro" and (ndim == 2 or isinstance(axis, tuple))):
        return NORM(x, axis=axis, keepdims=keepdims)
    if axis is None:
        axis = tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1:
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=ord)
    return _matrix_norm(x, ord, tuple(a % ndim for a in axes), keepdims)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    row, column = axes
    summed, chosen = (row, column) if ord in (1, -1) else (column, row)
    if ord not in (1, -1, np.inf, -np.inf):
        raise NotImplementedError(f"got matrix norm ord={ord!r}, expected one of None, 'fro', 1, -1, inf, -inf")
    best = np.max if ord > 0 else np.min
    total = best(np.sum(np.abs(x), axis=summed, keepdims=True), axis=chosen, keepdims=True)
    return total if keepdims else np.squeeze(total, axis=axes)


HANDLERS: dict[Any, Any] = {
    np.linalg.inv: INV,
    np.linalg.solve: SOLVE,
    np.linalg.det: DET,
    np.linalg.eigh: lambda a, UPLO="L": EIGH(a, UPLO),
    np.linalg.eigvalsh: eigvalsh,
    np.linalg.norm: norm,
    np.linalg.vector_norm: vector_norm,
    np.linalg.matrix_norm: lambda x, /, *, keepdims=False, ord="fro": norm(x, ord, (-2, -1), keepdims),
    np.linalg.trace: lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype),
    np.linalg.diagonal: lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1),
    np.linalg.matrix_transpose: _t,
}
