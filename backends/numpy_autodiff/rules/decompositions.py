"""Decompositions of matrices: cholesky, qr and svd; eigenvalues are in `backends.numpy_autodiff.rules.eigen`.

Conventions
-----------
- cholesky, eigh and eigvalsh read one triangle, as NumPy does, and are differentiated as functions of the Hermitian
  part ``(a + a^H) / 2``: the gradient is Hermitian, whichever triangle is read.
- Eigenvalues and singular values alone never divide by gaps: they stay finite where values are equal.
- Second derivatives of what depends on singular values alone, where some are equal or zero, are those of the
  eigenvalues of ``[[0, A], [A^H, 0]]``, which are the singular values with both signs, and zeros.
- Vectors are unique only up to phases (and rotations among equal values). Functions that do not depend on that choice
  have right derivatives; at equal values the vectors have none, and a cotangent that asks for it becomes inf or nan.
- Of each pair of phases the one that rotates least is taken: ``diag(V^H dV)`` is 0 for eigh, and for svd on the right.

VJPs here are derived in the inner product ``Re tr(G^H dA)``, as in the literature; `conjugated` turns them into the
transposes of `autodiff_compare.backends.numpy_autodiff.core.primitive`. With ``P`` the projected change (``U^H dA V``
and the like) and ``F_ij = 1 / (w_j - w_i)`` off the diagonal, every rule is ``F o P`` between bases (Giles 2008;
Townsend 2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, constant, primal
from autodiff_compare.backends.numpy_autodiff.rules.eigen import EMBEDDED_EIGH, moved
from autodiff_compare.backends.numpy_autodiff.rules.linalg import adjoint
from autodiff_compare.backends.numpy_autodiff.rules.matrices import (
    conjugated,
    diagonal_of,
    hermitian,
    off_diagonal,
    on_diagonal,
    over_gaps,
    over_or_nan,
)
from autodiff_compare.backends.numpy_autodiff.rules.spectrum import differentiated

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


def _special(s: Any) -> bool:
    """Whether singular values are equal within rounding, or zero; a compiler guards the answer."""
    s = primal(s)
    least = s[..., 1:] if s.shape[-1] == 0 else np.concatenate((s[..., 1:], 0 * s[..., :1]), axis=-1)
    limit = 2 * s.shape[-1] * float(np.finfo(s.dtype).eps) * s[..., :1]
    return bool(np.any(np.less_equal(s - least, limit))) if s.shape[-1] else False


def _embedded(a: Any) -> Any:
    """``[[0, A], [A^H, 0]]``."""
    (m, n), batch, dtype = a.shape[-2:], a.shape[:-2], constant(a).dtype
    top = np.concatenate((np.zeros((*batch, m, m), dtype), a), axis=-1)
    bottom = np.concatenate((adjoint(a), np.zeros((*batch, n, n), dtype)), axis=-1)
    return np.concatenate((top, bottom), axis=-2)


def _both_ends(w: Any, k: int) -> Any:
    """The k largest of sorted numbers that come with both signs, each as half its distance to the other."""
    return 0.5 * (w[..., ::-1][..., :k] - w[..., :k])


def _values_moved(s: Any, p: Any, t: Any, a: Any) -> Any:
    """``ds``; where singular values are equal or zero, in order, as they part along ``t``."""
    if differentiated(s) or not _special(s):
        return np.real(diagonal_of(p))
    w, v = EMBEDDED_EIGH(_embedded(a), a.shape[-2])
    return _both_ends(moved(w, adjoint(v) @ _embedded(t) @ v), s.shape[-1])


def _svd_jvp(t: Any, ans: Any, a: Any, full: bool) -> Any:
    """``U^H dU = ((P + P^H) / (s_j - s_i) + (P - P^H) / (s_j + s_i)) / 2`` off the diagonal, for V the difference.

    That is ``(P s_j + s_i P^H) / (s_j^2 - s_i^2)`` in parts, of which only one is steep where values are close.
    """
    del full
    u, s, v, u2, v2 = _parts(ans)
    p = adjoint(u) @ t @ v
    column = s[..., None, :]
    with np.errstate(invalid="ignore", over="ignore"):
        steep = over_gaps(p + adjoint(p), s)
        mild = over_or_nan(off_diagonal(p - adjoint(p)), _sums(s))
        du, dv = 0.5 * (steep + mild), 0.5 * (steep - mild)
        if p.dtype.kind == "c":
            du = du + on_diagonal(1j * over_or_nan(np.imag(diagonal_of(p)), s))
        left = _side_jvp(over_or_nan(t @ v, np.broadcast_to(column, (t @ v).shape)), u, u2, du)
        back = adjoint(t) @ u
        right = _side_jvp(over_or_nan(back, np.broadcast_to(column, back.shape)), v, v2, dv)
    return left, _values_moved(s, p, t, a), adjoint(right)


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
    inner = 0.0 if gs is None else on_diagonal(gs)
    steep: Any = 0.0
    mild: Any = 0.0
    outside: Any = 0.0
    if gu is not None:
        within, out = _split(gu, u, u2)
        steep, mild = within, within
        if within.dtype.kind == "c":
            inner = inner + on_diagonal(1j * over_or_nan(np.imag(diagonal_of(within)), s))
        if out is not None:
            outside = over_or_nan(out, np.broadcast_to(column, out.shape)) @ vh
    if gvh is not None:
        within, out = _split(adjoint(gvh), v, v2)
        steep, mild = steep + within, mild - within
        if out is not None:
            outside = outside + u @ adjoint(over_or_nan(out, np.broadcast_to(column, out.shape)))
    # Not made skew before the division: at equal values that would hide that a limit is missing behind 0/0 = 0.
    with np.errstate(invalid="ignore"):
        steep = over_gaps(steep, s)
        mild = over_or_nan(off_diagonal(mild - adjoint(mild)), _sums(s))
        return u @ (inner + 0.5 * (steep + adjoint(steep) + mild)) @ vh + outside


SVD: Primitive = Primitive("svd", _svd, (conjugated(_svd_vjp),), (_svd_jvp,))


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """As `numpy.linalg.svd`; ``hermitian`` promises something of the input and does not change the derivative."""
    del hermitian
    u, s, vh = SVD(a, full_matrices if compute_uv else False)
    if _maybe_differentiated(a) and _special(s):
        s = _both_ends(EMBEDDED_EIGH(_embedded(a), a.shape[-2])[0], s.shape[-1])
    return _Result(u, s, vh) if compute_uv else s


_Result: Any = type(np.linalg.svd(np.eye(1)))


def _maybe_differentiated(a: Any) -> bool:
    """Whether second derivatives may be asked for: always, in the backward style, where one cannot know."""
    return isinstance(a, Node) and (a.tape.level == 0 or differentiated(a.primal))


# --- cholesky


def _half_lower(x: Any) -> Any:
    """The lower triangle with half the diagonal, which is real for a Hermitian matrix."""
    return np.tril(x) - 0.5 * on_diagonal(diagonal_of(x))


def _cholesky_jvp(t: Any, ans: Any, a: Any) -> Any:
    """``dL = L Phi(L^-1 dA L^-H)`` (Murray 2016, 6)."""
    del a
    inverse = np.linalg.inv(ans)
    return ans @ _half_lower(inverse @ hermitian(t) @ adjoint(inverse))


def _cholesky_vjp(g: Any, ans: Any, a: Any) -> Any:
    """``L^-H Phi(L^H G) L^-1``, Hermitian part (Murray 2016, 9)."""
    del a
    # One inverse takes a third of the time of two general solves; NumPy has no triangular ones.
    inverse = np.linalg.inv(ans)
    return hermitian(adjoint(inverse) @ _half_lower(adjoint(ans) @ g) @ inverse)


CHOLESKY: Primitive = Primitive("cholesky", np.linalg.cholesky, (conjugated(_cholesky_vjp),), (_cholesky_jvp,))


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
    return found + on_diagonal(1j * np.imag(diagonal_of(c))) if c.dtype.kind == "c" else found


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
    copied = low + adjoint(low) + on_diagonal(np.real(diagonal_of(m)))
    return _over_r(first + q @ copied, adjoint(r))


QR: Primitive = Primitive("qr", _qr, (conjugated(_qr_vjp),), (_qr_jvp,))


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
    np.linalg.svd: svd,
    np.linalg.svdvals: lambda x, /: svd(x, compute_uv=False),
}
