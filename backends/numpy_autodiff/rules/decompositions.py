"""Decompositions of matrices into triangular factors: cholesky and qr.

Conventions
-----------
- cholesky, eigh and eigvalsh read one triangle, as NumPy does, and are differentiated as functions of the Hermitian
  part ``(a + a^H) / 2``: the gradient is Hermitian, whichever triangle is read.
- The phases of Q are those that leave the diagonal of R real. Where columns of a matrix depend on those before them,
  some vectors and rows have no derivative: a cotangent that needs it becomes nan (`_dependent`).

VJPs are derived in the inner product ``Re tr(G^H dA)``, as in the literature; `conjugated` turns them into the
transposes of `autodiff_compare.backends.numpy_autodiff.core.primitive`. The derivation stands above each rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import primal
from autodiff_compare.backends.numpy_autodiff.rules.linalg import adjoint
from autodiff_compare.backends.numpy_autodiff.rules.matrices import (
    conjugated,
    diagonal_of,
    hermitian,
    needed_columns,
    on_diagonal,
    pattern,
    with_value,
)
from autodiff_compare.backends.numpy_autodiff.rules.spectrum import differentiated
from autodiff_compare.backends.numpy_autodiff.rules.triangular import cholesky_adjoint, is_large
from autodiff_compare.backends.numpy_autodiff.transforms.jvp import jvp
from autodiff_compare.backends.numpy_autodiff.transforms.vjp import vjp

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
    gone = _dependent(r, a.shape[-2])
    dq, dr = _moved(t, q, r) if gone is None else _moved_partly(t, q, r, gone)
    if mode == "reduced":
        return dq, dr
    rest = ans[0][..., n:]
    below = np.zeros((*dr.shape[:-2], rest.shape[-1], n), r.dtype)
    return np.concatenate((dq, -(q @ adjoint(dq) @ rest)), axis=-1), np.concatenate((dr, below), axis=-2)


def _moved(t: Any, q: Any, r: Any) -> tuple[Any, Any]:
    moved = _over_r(t, r)
    c = adjoint(q) @ moved
    turn = _skew(c)
    return q @ turn + moved - q @ c, np.triu(c - turn) @ r


def _qr_vjp(g: Any, ans: Any, a: Any, mode: str, reached: Any = (True, True)) -> Any:
    """Return ``(gQ + Q copyltu(M)) R^-H``."""
    n = a.shape[-1]
    (gq, gr), q, r = g, ans[0][..., :n], ans[1][..., :n, :]
    rest = ans[0][..., n:]
    gone = _dependent(r, a.shape[-2])
    first = None if gq is None else gq[..., :n]
    if first is not None and mode == "complete" and rest.shape[-1]:
        first = first - rest @ (adjoint(gq[..., n:]) @ q)
    upper = None if gr is None else np.triu(gr[..., :n, :])
    if gone is not None:
        return _pulled_partly(first, upper, q, r, gone, _columns_reached(reached, n))
    m: Any = 0.0
    if first is not None:
        m = -(adjoint(first) @ q)
    if upper is not None:
        m = m + r @ adjoint(upper)
    low = np.tril(m, -1)
    copied = low + adjoint(low) + on_diagonal(np.real(diagonal_of(m)))
    return _over_r(q @ copied if first is None else first + q @ copied, adjoint(r))


# Let column p be the first that depends on those before it, so that R_pp is 0, within rounding of the column. Column j
# of X R^-1 needs the columns of R up to j alone: it exists for j < p. In
#     dR = triu(Q^H dA - W R),    dQ = Q W + (1 - Q Q^H) dA R^-1
# W takes the columns of C below the diagonal. If A is square and real, and p is its last column, that is all of W, and
# Q and R are followed through R_pp = 0 with its sign. Otherwise column p of Q turns freely: all from p on is nan.
# With B = Q^H dA the adjoint is gB = triu(gR) + gC R^-H, gC = tril(gW - gW^H, -1), gW = Q^H gQ - triu(gR) R^H.


def _dependent(r: Any, rows: int) -> Any:
    """Return which columns come at or after one that depends on those before it; None if all are independent."""
    r = primal(r)
    length = np.sqrt(np.sum(np.abs(r) ** 2, axis=-2))
    found = np.less_equal(np.abs(diagonal_of(r)), rows * float(np.finfo(r.dtype).eps) * length)
    return np.logical_or.accumulate(pattern(found), axis=-1) if np.count_nonzero(found) else None


def _regular(r: Any, gone: Any) -> Any:
    """Return R with ones on the diagonal where columns are dependent, which changes no column of R^-1 before them."""
    return np.where(np.eye(r.shape[-1], dtype=bool) & gone[..., None, :], 1, r)


def _nan_where(mask: Any, x: Any) -> Any:
    """Return nan where the mask holds, as a factor: so that it spreads as ``x`` does in derivatives too."""
    return np.where(mask, np.nan, 1) * x


def _moved_partly(t: Any, q: Any, r: Any, gone: Any) -> tuple[Any, Any]:
    """Return dQ and dR where columns are dependent; nan where they do not exist."""
    (m, n), column = q.shape[-2:], gone[..., None, :]
    lower, diagonal = np.tri(n, k=-1, dtype=bool), np.eye(n, dtype=bool)
    moved = _over_r(t, _regular(r, gone))
    c = adjoint(q) @ moved
    low = _nan_where(lower & column, np.tril(c, -1))
    turn = low - adjoint(low)
    if c.dtype.kind == "c":
        turn = turn + _nan_where(diagonal & column, on_diagonal(1j * np.imag(diagonal_of(c))))
    dq, dr = q @ turn, np.triu(adjoint(q) @ t - turn @ r)
    if m > n:
        dq = dq + _nan_where(column, moved - q @ c)
        dr = _nan_where(np.triu(np.broadcast_to(gone[..., None], dr.shape)), dr)
    return dq, dr


def _columns_reached(reached: Any, n: int) -> Any:
    """Return for which k a cotangent reaches column k of Q or row k of R, as one row."""
    q, r = reached
    if q is True or r is True:
        return True
    found = np.zeros((1, n), dtype=bool) if q is False else needed_columns(q, n)
    return found if r is False else np.logical_or(found, np.any(r[..., :n, :], axis=-1)[..., None, :])


def _pulled_partly(gq: Any, gr: Any, q: Any, r: Any, gone: Any, reached: Any) -> Any:
    """Return the adjoint of `_moved_partly`: nan where a cotangent needs what does not exist."""
    (m, n), regular = q.shape[-2:], _regular(r, gone)
    lower, diagonal = np.tri(n, k=-1, dtype=bool), np.eye(n, dtype=bool)
    needed = np.logical_and(gone[..., None, :], np.logical_or(reached, _turned(reached)))
    gw: Any = 0.0
    if gq is not None:
        gw = adjoint(q) @ gq
    if gr is not None:
        gw = gw - gr @ adjoint(r)
    gc = _nan_where(lower & needed, np.tril(gw - adjoint(gw), -1))
    if gw.dtype.kind == "c":
        gc = gc + _nan_where(diagonal & needed, on_diagonal(1j * np.imag(diagonal_of(gw))))
    total = _over_r(gc, adjoint(regular))
    if gr is not None:
        row = np.triu(np.broadcast_to(gone[..., None], gr.shape)) if m > n else False
        total = total + _nan_where(np.logical_and(row, _turned(reached)), gr)
    found = q @ total
    if m > n and gq is not None:
        out = _nan_where(np.logical_and(gone[..., None, :], reached), gq - q @ (adjoint(q) @ gq))
        found = found + _over_r(out, adjoint(regular))
    return found


def _turned(mask: Any) -> Any:
    return mask if mask is True else np.swapaxes(mask, -1, -2)


def _is_dependent(node: Any, a: Any, *_: Any, **__: Any) -> bool:
    r = node.primal[1]
    return _dependent(r[..., : a.shape[-1], :], a.shape[-2]) is not None


QR: Primitive = Primitive("qr", _qr, (conjugated(_qr_vjp),), (_qr_jvp,), steep=_is_dependent, aware=True)


def _factors(a: Any, mode: str) -> Any:
    """Return Q and R; the columns before the first that depends on others are factored by themselves.

    Their derivatives then do not meet those that do not exist, which no factor of 0 would remove.
    """
    found = QR(a, mode)
    gone = _dependent(found[1][..., : a.shape[-1], :], a.shape[-2]) if differentiated(a) else None
    if gone is None:
        return found
    p = int(np.min(np.argmax(gone, axis=-1) + np.where(np.any(gone, axis=-1), 0, a.shape[-1])))
    first = QR(a[..., :p], "reduced")[0]
    q, r = found
    rows = np.triu(adjoint(first) @ a)
    return found._make(
        (
            np.concatenate((with_value(q[..., :p], first), q[..., p:]), axis=-1),
            np.concatenate((with_value(r[..., :p, :], rows), r[..., p:, :]), axis=-2),
        )
    )


def qr(a: Any, mode: str = "reduced") -> Any:
    """Compute `numpy.linalg.qr` for modes 'reduced', 'complete' and 'r'."""
    if mode not in ("reduced", "complete", "r"):
        raise NotImplementedError(f"got mode={mode!r} in qr of a variable, expected 'reduced', 'complete' or 'r'")
    m, n = a.shape[-2:]
    if m >= n:
        found = _factors(a, "complete" if mode == "complete" else "reduced")
    else:
        # For a wide matrix Q depends on the leading square block alone, and R is Q^H a.
        found = _factors(a[..., :m], "reduced")
        right = adjoint(found[0]) @ a[..., m:]
        found = found._make((found[0], np.concatenate((found[1], right), axis=-1)))
    return found[1] if mode == "r" else found


HANDLERS: dict[Any, Any] = {
    np.linalg.cholesky: cholesky,
    np.linalg.qr: qr,
}
