"""Linear systems, inverses, determinants and products of matrices.

Conventions: det has a derivative everywhere, at singular matrices by the adjugate; pinv and lstsq are differentiated at
constant rank; slogdet has no finite slope at a singular matrix. Cotangents are those of
`autodiff_compare.backends.numpy_autodiff.core.primitive`: transposes, without conjugates.

Most rules follow from the product rule and one identity (Giles 2008, An extended collection of matrix derivative
results). A term ``dY = L dA R`` has the transpose ``L^T G R^T``, because ``sum(G * (L dA R)) = tr(G^T L dA R)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant, primal
from autodiff_compare.backends.numpy_autodiff.rules import triangular
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array, over
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import vjp


def _t(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose."""
    return np.conj(_t(x)) if x.dtype.kind == "c" else _t(x)


# From A A^-1 = 1: dA A^-1 + A d(A^-1) = 0, so d(A^-1) = -A^-1 dA A^-1. The transpose is -A^-T G A^-T.
INV: Primitive = Primitive(
    "inv",
    triangular.inverse,
    (lambda g, ans, a: -(_t(ans) @ g @ _t(ans)),),
    (lambda t, ans, a: -(ans @ t @ ans),),
)


# From A x = b: dA x + A dx = db, so dx = A^-1 (db - dA x). The transposes are A^-T g for b, and -(A^-T g) x^T for A.


def _solve_vjp_a(g: Any, ans: Any, a: Any, b: Any) -> Any:
    w = _solve_columns(_t(a), g, b)
    return -w[..., None] * ans[..., None, :] if len(b.shape) == 1 else -(w @ _t(ans))


def _solve_columns(a: Any, g: Any, b: Any) -> Any:
    """Solve for columns shaped like the result. With a batch of ``a``, one vector ``b`` gave a batch of vectors."""
    return SOLVE(a, g[..., None])[..., 0] if len(b.shape) == 1 and len(g.shape) > 1 else SOLVE(a, g)


def _solve_jvp_a(t: Any, ans: Any, a: Any, b: Any) -> Any:
    moved = (t @ ans[..., None])[..., 0] if len(b.shape) == 1 else t @ ans
    return -_solve_columns(a, moved, b)


SOLVE: Primitive = Primitive(
    "solve",
    triangular.solve,
    (_solve_vjp_a, lambda g, ans, a, b: _solve_columns(_t(a), g, b)),
    (_solve_jvp_a, lambda t, ans, a, b: SOLVE(a, t)),
)


# Jacobi's formula: d det A = tr(adj(A) dA) = sum(C * dA), where C = adj(A)^T are the cofactors. For a regular matrix
# C = det(A) A^-T. In general adj(X Y) = adj(Y) adj(X), and adj(U) = det(U) U^H for a unitary U, so that A = U S V^H has
# C = det(U) det(V^H) conj(U) diag(c) V^T, where c_i is the product of all singular values but s_i.


def _adjugate_transposed(a: Any) -> Any:
    """Compute the cofactors by the singular value decomposition."""
    u, s, vh = np.linalg.svd(a)
    others = np.where(np.eye(s.shape[-1], dtype=bool), s.dtype.type(1), s[..., None, :])
    turn = np.linalg.det(u) * np.linalg.det(vh)
    return turn[..., None, None] * ((np.conj(u) * np.multiply.reduce(others, axis=-1)[..., None, :]) @ np.conj(vh))


def _minors(a: Any) -> Any:
    """Compute the cofactors one by one, as determinants: slow, and differentiable to any order."""
    n = a.shape[-1]
    if n == 1:
        return np.ones_like(a)
    kept = [[i for i in range(n) if i != j] for j in range(n)]
    rows = [
        np.stack([(-1.0) ** (i + j) * DET(a[..., kept[i], :][..., kept[j]]) for j in range(n)], axis=-1)
        for i in range(n)
    ]
    return np.stack(rows, axis=-2)


def _cofactors_jvp(t: Any, _ans: Any, a: Any) -> Any:
    return jvp(_minors, (a,), (t,))[1]


def _cofactors_vjp(g: Any, _ans: Any, a: Any) -> Any:
    # The public transform conjugates at its boundary; rules are plain transposes.
    return np.conj(vjp(_minors, a)[1](np.conj(g))[0])


COFACTORS: Primitive = Primitive("cofactors", _adjugate_transposed, (_cofactors_vjp,), (_cofactors_jvp,))


def _cofactors(ans: Any, a: Any) -> Any:
    """Return ``d det / d a``: det times the transposed inverse, or the cofactors of a singular matrix."""
    if np.all(np.not_equal(ans, 0)):
        return ans[..., None, None] * _t(np.linalg.inv(a)) if len(a.shape) > 2 else ans * _t(np.linalg.inv(a))
    return COFACTORS(a)


def _det_vjp(g: Any, ans: Any, a: Any) -> Any:
    return (g[..., None, None] if len(a.shape) > 2 else g) * _cofactors(ans, a)


DET: Primitive = Primitive(
    "det",
    np.linalg.det,
    (_det_vjp,),
    (lambda t, ans, a: np.sum(t * _cofactors(ans, a), axis=(-2, -1)),),
)


def _regular(ans: Any) -> Any:
    return np.all(np.not_equal(ans[0], 0))


def _slogdet_vjp(g: Any, ans: Any, a: Any) -> Any:
    """Transpose ``d log|det| = Re tr(A^-1 dA)`` and ``d sign = sign i Im tr(A^-1 dA)``.

    They are the real and the imaginary part of Jacobi's formula for ``det = sign exp(log|det|)``. The sign of a real
    matrix is constant.
    """
    g_sign, g_log = g
    total: Any = None
    if g_log is not None:
        total = g_log
    if g_sign is not None and a.dtype.kind == "c":
        turned = np.real(g_sign * ans[0] * 1j) * -1j
        total = turned if total is None else total + turned
    if total is None:
        return None
    if _regular(ans):
        return total[..., None, None] * _t(np.linalg.inv(a))
    # The slope is infinite where a cofactor is not zero.
    return over(total[..., None, None] * COFACTORS(a), np.broadcast_to(DET(a)[..., None, None], a.shape))


def _slogdet_jvp(t: Any, ans: Any, a: Any) -> Any:
    if _regular(ans):
        trace = np.sum(t * _t(np.linalg.inv(a)), axis=(-2, -1))
    else:
        trace = over(np.sum(t * COFACTORS(a), axis=(-2, -1)), DET(a))
    return (np.real(trace * -1j) * ans[0] * 1j if a.dtype.kind == "c" else None), np.real(trace)


SLOGDET: Primitive = Primitive(
    "slogdet",
    np.linalg.slogdet,
    (_slogdet_vjp,),
    (_slogdet_jvp,),
    steep=lambda node, a: not _regular([primal(part) for part in node.primal]),
)


def _pinv(a: Any, cut: dict[str, Any]) -> Any:
    return np.linalg.pinv(a, **cut)


def _identity_minus(product: Any) -> Any:
    return np.eye(product.shape[-1], dtype=product.dtype) - product


def _pinv_jvp(t: Any, ans: Any, a: Any, cut: Any) -> Any:
    """Compute ``dP = -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P`` (Golub and Pereyra 1973, 4.12)."""
    del cut
    p, q, th = ans, adjoint(ans), adjoint(t)
    return p @ (q @ th) @ _identity_minus(a @ p) + _identity_minus(p @ a) @ (th @ q) @ p - p @ t @ p


def _pinv_vjp(g: Any, ans: Any, a: Any, cut: Any) -> Any:
    """Transpose the JVP, term by term."""
    del cut
    g = np.conj(g)
    p, q, gh = ans, adjoint(ans), adjoint(g)
    found = -(q @ g @ q) + _identity_minus(a @ p) @ (gh @ p) @ q + q @ (p @ gh) @ _identity_minus(p @ a)
    return np.conj(found)


PINV: Primitive = Primitive("pinv", _pinv, (_pinv_vjp,), (_pinv_jvp,))


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Compute `numpy.linalg.pinv`; its derivative holds at constant rank."""
    cut = {"rcond": rcond} if rcond is not None else {} if rtol is None else {"rtol": rtol}
    return PINV(a, {**cut, "hermitian": hermitian})


# The solution is x = P b with P = pinv(A), so dx = P db + dP b. In dP b, by the formula of `_pinv_jvp`,
# (1 - A P) b = b - A x is the residual and P b = x:
#     dP b = -P dA x + P P^H dA^H (b - A x) + (1 - P A) dA^H P^H x.


def _lstsq(a: Any, b: Any, rcond: Any) -> Any:
    return np.linalg.lstsq(a, b, rcond)[0]


def _pinv_for(a: Any, rcond: Any) -> Any:
    kind = np.finfo(a.dtype)
    return pinv(a, kind.eps * (max(a.shape) if rcond is None else 1) if rcond in (None, -1) else rcond)


def _lstsq_jvp_a(t: Any, ans: Any, a: Any, b: Any, rcond: Any) -> Any:
    p, th = _pinv_for(a, rcond), adjoint(t)
    q = adjoint(p)
    return p @ (q @ (th @ (b - a @ ans)) - t @ ans) + _identity_minus(p @ a) @ (th @ (q @ ans))


def _lstsq_vjp_a(g: Any, ans: Any, a: Any, b: Any, rcond: Any) -> Any:
    columns = [v[:, None] if len(b.shape) == 1 else v for v in (np.conj(g), ans, b)]
    g, x, b = columns
    p = _pinv_for(a, rcond)
    q, gh = adjoint(p), adjoint(g)
    found = -(q @ g) @ adjoint(x) + (b - a @ x) @ ((gh @ p) @ q) + (q @ x) @ (gh @ _identity_minus(p @ a))
    return np.conj(found)


LSTSQ: Primitive = Primitive(
    "lstsq",
    _lstsq,
    (_lstsq_vjp_a, lambda g, ans, a, b, rcond: _t(_pinv_for(a, rcond)) @ g),
    (_lstsq_jvp_a, lambda t, ans, a, b, rcond: _pinv_for(a, rcond) @ t),
)


def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Compute `numpy.linalg.lstsq`: (solution, residuals, rank, singular values); the rank is constant."""
    _, empty, rank, _ = np.linalg.lstsq(constant(a), constant(b), rcond)
    a, b = as_array(a), as_array(b)
    x = LSTSQ(a, b, rcond)
    if not empty.size:
        return x, empty, rank, np.linalg.svdvals(a)
    size = np.abs(b - a @ x)
    return x, np.reshape(np.sum(size * size, axis=0), empty.shape), rank, np.linalg.svdvals(a)


def matrix_power(a: Any, n: int) -> Any:
    """Compute `numpy.linalg.matrix_power`, by repeated squaring."""
    if a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"got shape {a.shape}, expected square matrices")
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    square = np.linalg.inv(a) if n < 0 else a
    n, found = abs(n), None
    while n:
        n, odd = divmod(n, 2)
        if odd:
            found = square if found is None else found @ square
        if n:
            square = square @ square
    return found


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Find where to split each run of a chain of matrices for the fewest multiplications (Cormen et al., 15.2)."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


def multi_dot(arrays: Any) -> Any:
    """Compute `numpy.linalg.multi_dot`: in the order with the fewest multiplications."""
    parts = [as_array(part) for part in arrays]
    if len(parts) < 2:
        raise ValueError(f"got {len(parts)} arrays, expected at least two")
    row, column = len(parts[0].shape) == 1, len(parts[-1].shape) == 1
    parts[0] = parts[0][None, :] if row else parts[0]
    parts[-1] = parts[-1][:, None] if column else parts[-1]
    split = _best_splits([p.shape[0] for p in parts] + [parts[-1].shape[1]])

    def product(i: int, j: int) -> Any:
        return parts[i] if i == j else product(i, split[i, j]) @ product(split[i, j] + 1, j)

    found = product(0, len(parts) - 1)
    found = found[0] if row else found
    return found[..., 0] if column else found


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Compute `numpy.linalg.tensorsolve`."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        moved = [k % len(a.shape) for k in axes]
        a = np.transpose(a, [k for k in range(len(a.shape)) if k not in moved] + moved)
    shape = a.shape[len(b.shape) - len(a.shape) :] if len(b.shape) < len(a.shape) else ()
    size = int(np.prod(b.shape, dtype=int))
    return np.reshape(np.linalg.solve(np.reshape(a, (size, -1)), np.ravel(b)), shape)


def tensorinv(a: Any, ind: int = 2) -> Any:
    """Compute `numpy.linalg.tensorinv`."""
    if ind <= 0:
        raise ValueError(f"got ind={ind}, expected a positive number of axes")
    rows, columns = a.shape[:ind], a.shape[ind:]
    square = np.reshape(a, (int(np.prod(rows, dtype=int)), int(np.prod(columns, dtype=int))))
    return np.reshape(np.linalg.inv(square), (*columns, *rows))


HANDLERS: dict[Any, Any] = {
    np.linalg.inv: INV,
    np.linalg.solve: lambda a, b: SOLVE(as_array(a), as_array(b)),
    np.linalg.det: DET,
    np.linalg.slogdet: SLOGDET,
    np.linalg.pinv: pinv,
    np.linalg.lstsq: lstsq,
    np.linalg.matrix_power: matrix_power,
    np.linalg.multi_dot: multi_dot,
    np.linalg.tensorsolve: tensorsolve,
    np.linalg.tensorinv: tensorinv,
    np.linalg.trace: lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype),
    np.linalg.diagonal: lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1),
    np.linalg.matrix_transpose: _t,
}
