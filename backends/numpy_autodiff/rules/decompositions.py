"""Decompositions of matrices: cholesky, qr and svd; eigenvalues are in `backends.numpy_autodiff.rules.eigen`.

Conventions
-----------
- cholesky, eigh and eigvalsh read one triangle, as NumPy does, and are differentiated as functions of the Hermitian
  part ``(a + a^H) / 2``: the gradient is Hermitian, whichever triangle is read.
- Eigenvalues and singular values alone never divide by gaps: they stay finite where values are equal.
- Second derivatives of functions of the singular values alone, where some of those are equal or zero, are computed by
  the eigenvalues of ``[[0, A], [A^H, 0]]``, which are the singular values with both signs, and zeros.
- Vectors are unique only up to phases (and rotations among equal values). Functions that do not depend on that choice
  have right derivatives. At equal values the vectors have no derivative: a cotangent that needs it becomes inf or nan.
- Of all phases those that rotate least are taken: ``diag(V^H dV)`` is 0 for eigh, and for svd on the right.

VJPs are derived in the inner product ``Re tr(G^H dA)``, as in the literature; `conjugated` turns them into the
transposes of `autodiff_compare.backends.numpy_autodiff.core.primitive`. The derivation stands above each rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, constant, primal
from autodiff_compare.backends.numpy_autodiff.rules.builders import has_zero
from autodiff_compare.backends.numpy_autodiff.rules.eigen import EMBEDDED_EIGH, moved
from autodiff_compare.backends.numpy_autodiff.rules.linalg import adjoint
from autodiff_compare.backends.numpy_autodiff.rules.matrices import (
    columns,
    conjugated,
    diagonal_of,
    eye_like,
    gaps,
    hermitian,
    off_diagonal,
    on_diagonal,
    over_gaps,
    over_or_nan,
)
from autodiff_compare.backends.numpy_autodiff.rules.spectrum import differentiated
from autodiff_compare.backends.numpy_autodiff.rules.triangular import cholesky_adjoint, is_large
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import vjp

# --- svd
#
# Differentiate A = U S V^H and project: P = U^H dA V. With the skew-Hermitian K = U^H dU and L = V^H dV
#     P = K S + dS - S L,    P^H = dS - S K + L S.
# The diagonal is dS = Re diag P. Off the diagonal, with s_j for the column and s_i for the row,
#     (P + P^H)_ij = (s_j - s_i) (K + L)_ij,    (P - P^H)_ij = (s_j + s_i) (K - L)_ij,
# which give K and L as half the sum and half the difference of two quotients. The usual form of K,
# (P s_j + s_i P^H) / (s_j^2 - s_i^2), is the same, but here only one quotient is steep where values are close. For
# complex matrices K has i Im P_ii / s_i on its diagonal, by the phases that leave the diagonal of L at 0. Outside of
# their spans the vectors change by (1 - U U^H) dA V S^-1 and (1 - V V^H) dA^H U S^-1 (Townsend 2016).


def _svd(a: Any, full: bool) -> Any:
    return np.linalg.svd(a, full)


def _parts(ans: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return ``U1, S, V1`` and the complements ``U2, V2``, empty unless the matrices are full."""
    (u, s, vh), k = ans, ans[1].shape[-1]
    v = adjoint(vh)
    return u[..., :k], s, v[..., :k], u[..., k:], v[..., k:]


def _off_sums(s: Any) -> Any:
    """Return ``s_j + s_i``, with ones added on the diagonal."""
    return s[..., None, :] + s[..., :, None] + eye_like(s)


def _side_jvp(moved: Any, basis: Any, rest: Any, turned: Any) -> Any:
    """Return the change of one basis: within its span by ``turned``, and out of it by ``moved = dA V / S``."""
    if rest.shape[-1]:
        out = adjoint(rest) @ moved
        return np.concatenate((basis @ turned + rest @ out, -(basis @ adjoint(out))), axis=-1)
    if basis.shape[-1] < basis.shape[-2]:
        return basis @ turned + moved - basis @ (adjoint(basis) @ moved)
    return basis @ turned


def _special(s: Any) -> bool:
    """Return whether singular values are equal within rounding, or zero; a compiler guards the answer."""
    s = primal(s)
    least = s[..., 1:] if s.shape[-1] == 0 else np.concatenate((s[..., 1:], 0 * s[..., :1]), axis=-1)
    limit = 2 * s.shape[-1] * float(np.finfo(s.dtype).eps) * s[..., :1]
    return bool(np.any(np.less_equal(s - least, limit))) if s.shape[-1] else False


def _embedded(a: Any) -> Any:
    """Return ``[[0, A], [A^H, 0]]``."""
    (m, n), batch, dtype = a.shape[-2:], a.shape[:-2], constant(a).dtype
    top = np.concatenate((np.zeros((*batch, m, m), dtype), a), axis=-1)
    bottom = np.concatenate((adjoint(a), np.zeros((*batch, n, n), dtype)), axis=-1)
    return np.concatenate((top, bottom), axis=-2)


def _both_ends(w: Any, k: int) -> Any:
    """Return the k largest of sorted numbers that have both signs, each as half the distance to its negative."""
    return 0.5 * (w[..., ::-1][..., :k] - w[..., :k])


def _values_moved(s: Any, p: Any, t: Any, a: Any) -> Any:
    """Return ``ds``; where singular values are equal or zero, their sorted directional derivatives along ``t``."""
    if differentiated(s) or not _special(s):
        return np.real(diagonal_of(p))
    w, v = EMBEDDED_EIGH(_embedded(a), a.shape[-2])
    return _both_ends(moved(w, adjoint(v) @ _embedded(t) @ v), s.shape[-1])


def _svd_jvp(t: Any, ans: Any, a: Any, full: bool) -> Any:
    del full
    u, s, v, u2, v2 = _parts(ans)
    p = adjoint(u) @ t @ v
    column = s[..., None, :]
    with np.errstate(invalid="ignore", over="ignore"):
        steep = over_gaps(p + adjoint(p), s)
        mild = over_or_nan(off_diagonal(p - adjoint(p)), _off_sums(s))
        du, dv = 0.5 * (steep + mild), 0.5 * (steep - mild)
        if p.dtype.kind == "c":
            du = du + on_diagonal(1j * over_or_nan(np.imag(diagonal_of(p)), s))
        left = _side_jvp(over_or_nan(t @ v, np.broadcast_to(column, (t @ v).shape)), u, u2, du)
        back = adjoint(t) @ u
        right = _side_jvp(over_or_nan(back, np.broadcast_to(column, back.shape)), v, v2, dv)
    return left, _values_moved(s, p, t, a), adjoint(right)


def _needed(mask: Any, k: int) -> Any:
    """Return which of the first k columns of a basis are needed: all, if one of its complement is."""
    found = columns(mask)
    if found is True or found is False or found.shape[-1] == k:
        return found
    return np.logical_or(found[..., :k], np.any(found[..., k:], axis=-1, keepdims=True))


def _split(g: Any, basis: Any, rest: Any) -> tuple[Any, Any]:
    """Split one basis' cotangent into its part within the span and its part outside (None if the basis is full)."""
    k = basis.shape[-1]
    first, within = g[..., :k], adjoint(basis) @ g[..., :k]
    if rest.shape[-1]:
        return within, rest @ (adjoint(rest) @ first - adjoint(g[..., k:]) @ basis)
    return within, first - basis @ within if k < basis.shape[-2] else None


def _svd_vjp(g: Any, ans: Any, a: Any, full: bool, reached: Any = (True, True, True)) -> Any:
    """Return the adjoint of the JVP (Townsend 2016; complex phases as Wan and Zhang 2019)."""
    del a, full
    u, s, v, u2, v2 = _parts(ans)
    gu, gs, gvh = g
    vh, column = adjoint(v), s[..., None, :]
    if gu is None and gvh is None:
        return (u * gs[..., None, :]) @ vh
    left, right = _needed(reached[0], s.shape[-1]), _needed(_turned_mask(reached[2]), s.shape[-1])
    either = np.logical_or(left, right)
    inner = 0.0 if gs is None else on_diagonal(gs)
    steep: Any = 0.0
    mild: Any = 0.0
    outside: Any = 0.0
    if gu is not None:
        within, out = _split(gu, u, u2)
        steep, mild = within, within
        if within.dtype.kind == "c":
            inner = inner + on_diagonal(1j * over_or_nan(np.imag(diagonal_of(within)), s, _row(left)))
        if out is not None:
            outside = over_or_nan(out, np.broadcast_to(column, out.shape), left) @ vh
    if gvh is not None:
        within, out = _split(adjoint(gvh), v, v2)
        steep, mild = steep + within, mild - within
        if out is not None:
            outside = outside + u @ adjoint(over_or_nan(out, np.broadcast_to(column, out.shape), right))
    # Not made skew-Hermitian before the division, which at equal values would turn a missing limit into 0/0 = 0.
    with np.errstate(invalid="ignore"):
        steep = over_gaps(steep, s, either)
        pairs = np.logical_or(either, np.swapaxes(either, -1, -2)) if np.ndim(either) else either
        mild = over_or_nan(off_diagonal(mild - adjoint(mild)), _off_sums(s), pairs)
        return u @ (inner + 0.5 * (steep + adjoint(steep) + mild)) @ vh + outside


def _turned_mask(mask: Any) -> Any:
    return mask if mask is True or mask is False else np.swapaxes(mask, -1, -2)


def _row(mask: Any) -> Any:
    return mask if mask is True or mask is False else mask[..., 0, :]


def _is_special(node: Any, *_: Any, **__: Any) -> bool:
    """Return whether singular values are equal or zero."""
    s = primal(node.primal[1])
    return has_zero(s) or has_zero(gaps(s))


SVD: Primitive = Primitive("svd", _svd, (conjugated(_svd_vjp),), (_svd_jvp,), steep=_is_special, aware=True)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Compute `numpy.linalg.svd`; ``hermitian`` does not change the derivative."""
    del hermitian
    u, s, vh = SVD(a, full_matrices if compute_uv else False)
    if _maybe_differentiated(a) and _special(s):
        s = _both_ends(EMBEDDED_EIGH(_embedded(a), a.shape[-2])[0], s.shape[-1])
    return _Result(u, s, vh) if compute_uv else s


_Result: Any = type(np.linalg.svd(np.eye(1)))


def _maybe_differentiated(a: Any) -> bool:
    """Return whether second derivatives may follow. In the backward style they always may."""
    return isinstance(a, Node) and (a.tape.level == 0 or differentiated(a.primal))


# --- cholesky
#
# Differentiate A = L L^H and multiply from both sides: with M = L^-1 dL
#     L^-1 dA L^-H = M + M^H.
# M is lower triangular with a real diagonal, so it is Phi(L^-1 dA L^-H), where Phi takes the lower triangle with half
# the diagonal. Hence dL = L Phi(L^-1 dA L^-H), and the adjoint is gA = L^-H Phi(L^H gL) L^-1 (Murray 2016, 6 and 9).


def _half_lower(x: Any) -> Any:
    """Return the lower triangle with half the diagonal."""
    return np.tril(x) - 0.5 * on_diagonal(diagonal_of(x))


def _cholesky_jvp(t: Any, ans: Any, a: Any) -> Any:
    del a
    inverse = np.linalg.inv(ans)
    return ans @ _half_lower(inverse @ hermitian(t) @ adjoint(inverse))


def _pulled_back(g: Any, factor: Any) -> Any:
    """Return the Hermitian part of ``L^-H Phi(L^H G) L^-1``."""
    # One inverse takes a third of the time of two general solves; NumPy has no triangular solves.
    inverse = np.linalg.inv(factor)
    return hermitian(adjoint(inverse) @ _half_lower(adjoint(factor) @ g) @ inverse)


def _cholesky_vjp(g: Any, ans: Any, a: Any) -> Any:
    del a
    return CHOLESKY_ADJOINT(g, ans) if is_large(ans) else _pulled_back(g, ans)


# The adjoint is linear in G, so that its own derivative along G is itself, and the transpose of that the pushforward of
# the factorisation.
CHOLESKY_ADJOINT: Primitive = Primitive(
    "cholesky_adjoint",
    cholesky_adjoint,
    (
        conjugated(lambda c, ans, g, factor: _cholesky_jvp(c, factor, None)),
        conjugated(lambda c, ans, g, factor: vjp(lambda x: _pulled_back(g, x), factor)[1](c)[0]),
    ),
    (
        lambda t, ans, g, factor: CHOLESKY_ADJOINT(t, factor),
        lambda t, ans, g, factor: jvp(lambda x: _pulled_back(g, x), (factor,), (t,))[1],
    ),
)

CHOLESKY: Primitive = Primitive("cholesky", np.linalg.cholesky, (conjugated(_cholesky_vjp),), (_cholesky_jvp,))


def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Compute `numpy.linalg.cholesky`: for the upper triangle, the adjoint of the lower factor of the adjoint."""
    return adjoint(CHOLESKY(adjoint(a))) if upper else CHOLESKY(a)


# --- qr
#
# Differentiate A = Q R: dA = dQ R + Q dR. With C = Q^H dA R^-1 and W = Q^H dQ
#     C = W + dR R^-1.
# W is skew-Hermitian, dR R^-1 upper triangular with a real diagonal. So W has the strictly lower triangle of C, minus
# the adjoint of that above, and i Im diag C. Then dR = (C - W) R, and dQ = Q W + (1 - Q Q^H) dA R^-1.
# The adjoint is (gQ + Q copyltu(M)) R^-H with M = R gR^H - gQ^H Q, where copyltu mirrors the lower triangle (Walter and
# Lehmann 2018).


def _qr(a: Any, mode: Any) -> Any:
    return np.linalg.qr(a, mode)


def _skew(c: Any) -> Any:
    """Return W, which leaves C - W upper triangular with a real diagonal."""
    low = np.tril(c, -1)
    found = low - adjoint(low)
    return found + on_diagonal(1j * np.imag(diagonal_of(c))) if c.dtype.kind == "c" else found


def _over_r(x: Any, r: Any) -> Any:
    """Return ``x R^-1``."""
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
    """Return ``(gQ + Q copyltu(M)) R^-H``."""
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
    """Compute `numpy.linalg.qr` for modes 'reduced', 'complete' and 'r', at full rank."""
    if mode not in ("reduced", "complete", "r"):
        raise NotImplementedError(f"got mode={mode!r} in qr of a variable, expected 'reduced', 'complete' or 'r'")
    m, n = a.shape[-2:]
    if m >= n:
        found = QR(a, "complete" if mode == "complete" else "reduced")
    else:
        # For a wide matrix Q depends on the leading square block alone, and R is Q^H a.
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
