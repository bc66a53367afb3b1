"""Decompositions of matrices: cholesky, qr, eigh, eig and svd.

Conventions
-----------
- cholesky, eigh and eigvalsh read one triangle, as NumPy does, and are differentiated as functions of the Hermitian
  part ``(a + a^H) / 2``: the gradient is Hermitian, whichever triangle is read.
- Eigenvalues and singular values alone never divide by gaps: they stay finite where values are equal.
- Vectors are unique only up to phases (and rotations among equal values). Functions that do not depend on that choice
  have right derivatives; at equal values the vectors have none, and a cotangent that asks for it becomes inf or nan.
- Of each pair of phases the one that rotates least is taken: ``diag(V^H dV)`` is 0 for eigh, and for svd on the right.

VJPs here are derived in the inner product ``Re tr(G^H dA)``, as in the literature; `_conjugated` turns them into the
transposes of `backends.numpy_autodiff.primitive`. With ``P`` the projected change (``U^H dA V`` and the like) and
``F_ij = 1 / (w_j - w_i)`` off the diagonal, every rule is ``F o P`` between bases (Giles 2008; Townsend 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.numpy_autodiff.primitive import Primitive
from backends.numpy_autodiff.rules.building import over
from backends.numpy_autodiff.rules.linalg import adjoint


def _conjugated(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule in the inner product ``Re tr(G^H dA)`` as a transpose."""

    def conj(g: Any) -> Any:
        return np.conj(g) if g is not None and g.dtype.kind == "c" else g

    def vjp(g: Any, ans: Any, *args: Any, **kwargs: Any) -> Any:
        return conj(rule([conj(part) for part in g] if isinstance(ans, tuple) else conj(g), ans, *args, **kwargs))

    return vjp


def _eye(x: Any) -> Any:
    return np.eye(x.shape[-1], dtype=x.dtype)


def _diagonal_of(x: Any) -> Any:
    return np.diagonal(x, axis1=-2, axis2=-1)


def _on_diagonal(x: Any) -> Any:
    return x[..., None] * _eye(x)


def _off_diagonal(x: Any) -> Any:
    return x * (1 - _eye(x))


def _gaps(w: Any) -> Any:
    """``w_j - w_i``, with ones on the diagonal."""
    return w[..., None, :] - w[..., :, None] + _eye(w)


def _hermitian(x: Any) -> Any:
    return 0.5 * (x + adjoint(x))


# --- eigh


def _eigh_vjp(g: Any, ans: Any, a: Any, uplo: str = "L") -> Any:
    """``V (diag gw + F o (V^H gV)) V^H``, Hermitian part (Giles 2008, 3.1)."""
    del a, uplo
    (w, v), (gw, gv) = ans, g
    inner = None if gv is None else over(_off_diagonal(adjoint(v) @ gv), _gaps(w))
    if inner is None:
        return _hermitian((v * gw[..., None, :]) @ adjoint(v))
    return _hermitian(v @ (inner if gw is None else inner + _on_diagonal(gw)) @ adjoint(v))


def _eigh_jvp(t: Any, ans: Any, a: Any, uplo: str = "L") -> Any:
    del a, uplo
    w, v = ans
    inner = adjoint(v) @ _hermitian(t) @ v
    # Vectors of equal eigenvalues have no derivative, and most often nobody asks for it.
    with np.errstate(invalid="ignore"):
        return np.real(_diagonal_of(inner)), v @ over(_off_diagonal(inner), _gaps(w))


EIGH: Primitive = Primitive("eigh", np.linalg.eigh, (_conjugated(_eigh_vjp),), (_eigh_jvp,))


# --- eig


def _eig_vjp(g: Any, ans: Any, a: Any) -> Any:
    """``V^-H (diag gw + (V^H gV - V^H V diag Re(V^H gV)) / conj(w_j - w_i)) V^H`` for columns of length 1."""
    del a
    (w, v), (gw, gv) = ans, g
    vh = adjoint(v)
    inner = None if gw is None else _on_diagonal(gw)
    if gv is not None:
        turned = vh @ gv
        turned = turned - (vh @ v) * np.real(_diagonal_of(turned))[..., None, :]
        turned = over(_off_diagonal(turned), np.conj(_gaps(w)))
        inner = turned if inner is None else inner + turned
    return np.linalg.solve(vh, inner @ vh)


def _eig_jvp(t: Any, ans: Any, a: Any) -> Any:
    del a
    w, v = ans
    inner = np.linalg.solve(v, t @ v)
    with np.errstate(invalid="ignore"):
        moved = v @ over(_off_diagonal(inner), _gaps(w))
        length = np.real(np.sum(np.conj(v) * moved, axis=-2))
        return _diagonal_of(inner), moved - v * length[..., None, :]


EIG: Primitive = Primitive("eig", np.linalg.eig, (_conjugated(_eig_vjp),), (_eig_jvp,))


# --- svd


def _svd(a: Any, full: bool) -> Any:
    return np.linalg.svd(a, full)


def _parts(ans: Any) -> tuple[Any, Any, Any, Any, Any]:
    """``U1, S, V1`` and the complements ``U2, V2``, empty unless the matrices are full."""
    (u, s, vh), k = ans, ans[1].shape[-1]
    v = adjoint(vh)
    return u[..., :k], s, v[..., :k], u[..., k:], v[..., k:]


def _sums(s: Any) -> Any:
    return s[..., None, :] + s[..., :, None]


def _side_jvp(moved: Any, basis: Any, rest: Any, turned: Any) -> Any:
    """The change of one full basis: within its span by ``turned``, and out of it by ``moved = dA V / S``."""
    if rest.shape[-1]:
        out = adjoint(rest) @ moved
        return np.concatenate((basis @ turned + rest @ out, -(basis @ adjoint(out))), axis=-1)
    if basis.shape[-1] < basis.shape[-2]:
        return basis @ turned + moved - basis @ (adjoint(basis) @ moved)
    return basis @ turned


def _svd_jvp(t: Any, ans: Any, a: Any, full: bool) -> Any:
    """``U^H dU = ((P + P^H) / (s_j - s_i) + (P - P^H) / (s_j + s_i)) / 2`` off the diagonal, for V the difference.

    That is ``(P s_j + s_i P^H) / (s_j^2 - s_i^2)`` in parts, of which only one is steep where values are close.
    """
    del a, full
    u, s, v, u2, v2 = _parts(ans)
    p = adjoint(u) @ t @ v
    column = s[..., None, :]
    with np.errstate(invalid="ignore", over="ignore"):
        steep = over(_off_diagonal(p + adjoint(p)), _gaps(s))
        mild = over(_off_diagonal(p - adjoint(p)), _sums(s))
        du, dv = 0.5 * (steep + mild), 0.5 * (steep - mild)
        if p.dtype.kind == "c":
            du = du + _on_diagonal(1j * over(np.imag(_diagonal_of(p)), s))
        left = _side_jvp(over(t @ v, np.broadcast_to(column, (t @ v).shape)), u, u2, du)
        back = adjoint(t) @ u
        right = _side_jvp(over(back, np.broadcast_to(column, back.shape)), v, v2, dv)
    return left, np.real(_diagonal_of(p)), adjoint(right)


def _split(g: Any, basis: Any, rest: Any) -> tuple[Any, Any]:
    """Of one side's cotangent: its part within the span, and the part out of it (None where the basis is full)."""
    k = basis.shape[-1]
    first, within = g[..., :k], adjoint(basis) @ g[..., :k]
    if rest.shape[-1]:
        return within, rest @ (adjoint(rest) @ first - adjoint(g[..., k:]) @ basis)
    return within, first - basis @ within if k < basis.shape[-2] else None


def _svd_vjp(g: Any, ans: Any, a: Any, full: bool) -> Any:
    """The transpose of the JVP (Townsend 2016; complex phases as Wan and Zhang 2019)."""
    del a, full
    u, s, v, u2, v2 = _parts(ans)
    gu, gs, gvh = g
    vh, column = adjoint(v), s[..., None, :]
    if gu is None and gvh is None:
        return (u * gs[..., None, :]) @ vh
    inner = 0.0 if gs is None else _on_diagonal(gs)
    steep: Any = 0.0
    mild: Any = 0.0
    outside: Any = 0.0
    if gu is not None:
        within, out = _split(gu, u, u2)
        steep, mild = within, within
        if within.dtype.kind == "c":
            inner = inner + _on_diagonal(1j * over(np.imag(_diagonal_of(within)), s))
        if out is not None:
            outside = over(out, np.broadcast_to(column, out.shape)) @ vh
    if gvh is not None:
        within, out = _split(adjoint(gvh), v, v2)
        steep, mild = steep + within, mild - within
        if out is not None:
            outside = outside + u @ adjoint(over(out, np.broadcast_to(column, out.shape)))
    # Not made skew before the division: at equal values that would hide that a limit is missing behind 0/0 = 0.
    with np.errstate(invalid="ignore"):
        steep = over(_off_diagonal(steep), _gaps(s))
        mild = over(_off_diagonal(mild - adjoint(mild)), _sums(s))
        return u @ (inner + 0.5 * (steep + adjoint(steep) + mild)) @ vh + outside


SVD: Primitive = Primitive("svd", _svd, (_conjugated(_svd_vjp),), (_svd_jvp,))


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """As `numpy.linalg.svd`; ``hermitian`` promises something of the input and does not change the derivative."""
    del hermitian
    return SVD(a, full_matrices) if compute_uv else SVD(a, False)[1]


# --- cholesky


def _half_lower(x: Any) -> Any:
    """The lower triangle with half the diagonal, which is real for a Hermitian matrix."""
    return np.tril(x) - 0.5 * _on_diagonal(_diagonal_of(x))


def _cholesky_jvp(t: Any, ans: Any, a: Any) -> Any:
    """``dL = L Phi(L^-1 dA L^-H)`` (Murray 2016, 6)."""
    del a
    inverse = np.linalg.inv(ans)
    return ans @ _half_lower(inverse @ _hermitian(t) @ adjoint(inverse))


def _cholesky_vjp(g: Any, ans: Any, a: Any) -> Any:
    """``L^-H Phi(L^H G) L^-1``, Hermitian part (Murray 2016, 9)."""
    del a
    # One inverse takes a third of the time of two general solves; NumPy has no triangular ones.
    inverse = np.linalg.inv(ans)
    return _hermitian(adjoint(inverse) @ _half_lower(adjoint(ans) @ g) @ inverse)


CHOLESKY: Primitive = Primitive("cholesky", np.linalg.cholesky, (_conjugated(_cholesky_vjp),), (_cholesky_jvp,))


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """As `numpy.linalg.cholesky`: of the upper triangle, the adjoint of the lower factor of the adjoint."""
    return adjoint(CHOLESKY(adjoint(a))) if upper else CHOLESKY(a)


# --- qr


def _qr(a: Any, mode: Any) -> Any:
    return np.linalg.qr(a, mode)


def _skew(c: Any) -> Any:
    """The ``Q^H dQ`` that leaves ``Q^H dA R^-1 - Q^H dQ`` upper triangular with a real diagonal."""
    low = np.tril(c, -1)
    found = low - adjoint(low)
    return found + _on_diagonal(1j * np.imag(_diagonal_of(c))) if c.dtype.kind == "c" else found


def _over_r(x: Any, r: Any) -> Any:
    """``x R^-1``."""
    return np.swapaxes(np.linalg.solve(np.swapaxes(r, -1, -2), np.swapaxes(x, -1, -2)), -1, -2)


def _qr_jvp(t: Any, ans: Any, a: Any, mode: str) -> Any:
    n = a.shape[-1]
    q, r = ans[0][..., :n], ans[1][..., :n, :]
    moved = _over_r(t, r)
    c = adjoint(q) @ moved
    turn = _skew(c)
    dr = np.triu(c - turn) @ r
    dq = q @ turn + moved - q @ c
    if mode == "reduced":
        return dq, dr
    rest = ans[0][..., n:]
    below = np.zeros((*dr.shape[:-2], rest.shape[-1], n), r.dtype)
    return np.concatenate((dq, -(q @ adjoint(dq) @ rest)), axis=-1), np.concatenate((dr, below), axis=-2)


def _qr_vjp(g: Any, ans: Any, a: Any, mode: str) -> Any:
    """``(gQ + Q sym(M)) R^-H``, ``M = R gR^H - gQ^H Q``, sym mirroring the lower triangle (Walter, Lehmann 2018)."""
    n = a.shape[-1]
    (gq, gr), q, r = g, ans[0][..., :n], ans[1][..., :n, :]
    rest = ans[0][..., n:]
    m: Any = 0.0
    first: Any = 0.0
    if gq is not None:
        first = gq[..., :n]
        if mode == "complete" and rest.shape[-1]:
            first = first - rest @ (adjoint(gq[..., n:]) @ q)
        m = -(adjoint(first) @ q)
    if gr is not None:
        m = m + r @ adjoint(np.triu(gr[..., :n, :]))
    low = np.tril(m, -1)
    copied = low + adjoint(low) + _on_diagonal(np.real(_diagonal_of(m)))
    return _over_r(first + q @ copied, adjoint(r))


QR: Primitive = Primitive("qr", _qr, (_conjugated(_qr_vjp),), (_qr_jvp,))


def qr(a: Any, mode: str = "reduced") -> Any:
    """As `numpy.linalg.qr` for modes 'reduced', 'complete' and 'r', at full rank."""
    if mode not in ("reduced", "complete", "r"):
        raise NotImplementedError(f"got mode={mode!r} in qr of a variable, expected 'reduced', 'complete' or 'r'")
    m, n = a.shape[-2:]
    if m >= n:
        found = QR(a, "complete" if mode == "complete" else "reduced")
    else:
        # Of a wide matrix Q comes from the leading square block alone, and R from Q^H a.
        found = QR(a[..., :m], "reduced")
        right = adjoint(found[0]) @ a[..., m:]
        found = found._make((found[0], np.concatenate((found[1], right), axis=-1)))
    return found[1] if mode == "r" else found


HANDLERS: dict[Any, Any] = {
    np.linalg.cholesky: cholesky,
    np.linalg.qr: qr,
    np.linalg.eigh: lambda a, UPLO="L": EIGH(a, UPLO),
    np.linalg.eigvalsh: lambda a, UPLO="L": EIGH(a, UPLO)[0],
    np.linalg.eig: EIG,
    np.linalg.eigvals: lambda a: EIG(a)[0],
    np.linalg.svd: svd,
    np.linalg.svdvals: lambda x, /: SVD(x, False)[1],
}
