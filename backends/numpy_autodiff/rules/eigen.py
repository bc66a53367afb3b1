"""Eigenvalues and eigenvectors.

VJPs here are derived in the inner product ``Re tr(G^H dA)``, as in the literature; `conjugated` turns them into the
transposes of `backends.numpy_autodiff.primitive`. With ``P = V^H dA V``, and ``F_ij = 1 / (w_j - w_i)`` off the
diagonal, ``dw = diag P`` and ``dV = V (F o P)`` (Giles 2008).

Equal eigenvalues
-----------------
A function of eigenvalues alone never divides by gaps at first order: its gradient is ``G = V diag(g) V^H`` with
``g = df/dw``. At second order ``dG = V (D o P) V^H + V diag(dg) V^H`` with ``D_ij = (g_i - g_j) / (w_i - w_j)`` for
i != j, and where eigenvalues are equal that is 0/0. If f is symmetric in them, its limit exists: with the Hessian H of
f in w it is ``a = H_ii - H_ij``, one number for each block of equal eigenvalues. No rule sees H, but forward mode shows
what it does: within a block ``dg_i = a dw_i + c``, where ``dw`` are the eigenvalues of the block of P, and then
``dG = V (a P + c I) V^H`` there. So `SPECTRUM` reads a and c off ``dw`` and ``dg``, and forward over reverse (`hvp`,
`hessian`) is right where the second derivative exists. Reverse over reverse has no direction to read them off and gives
nan there, never a wrong number.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from backends.numpy_autodiff.primitive import Primitive, give
from backends.numpy_autodiff.rules.building import over
from backends.numpy_autodiff.rules.linalg import adjoint
from backends.numpy_autodiff.tracing import Node, constant, primal


def conjugated(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule in the inner product ``Re tr(G^H dA)`` as a transpose."""

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
    """``w_j - w_i``, with ones on the diagonal."""
    return w[..., None, :] - w[..., :, None] + eye_like(w)


def hermitian(x: Any) -> Any:
    return 0.5 * (x + adjoint(x))


# --- eigh


def _blocks(w: Any) -> list[list[slice]] | None:
    """Runs of eigenvalues that are equal within rounding, for each matrix; None where all of all are distinct."""
    w = primal(w)
    scale = np.max(np.abs(w), axis=-1, keepdims=True, initial=0)
    close = np.less_equal(w[..., 1:] - w[..., :-1], w.shape[-1] * float(np.finfo(w.dtype).eps) * scale)
    if not np.any(close):
        return None
    seen = constant(close)
    # What follows holds for this pattern: a compiler guards it by this question.
    if not np.all(np.equal(close, seen)):
        raise AssertionError
    ends = [[0, *(np.flatnonzero(~row) + 1), w.shape[-1]] for row in seen.reshape(-1, seen.shape[-1])]
    return [[slice(i, j) for i, j in itertools.pairwise(row)] for row in ends]


def _moved(w: Any, p: Any) -> Any:
    """``dw``: the diagonal of P, and in a block of equal eigenvalues those of that block of P."""
    blocks = _blocks(w)
    if blocks is None:
        return np.real(diagonal_of(p))
    n = p.shape[-1]
    flat = np.reshape(p, (-1, n, n))
    rows = [
        np.concatenate([np.linalg.eigvalsh(flat[k][block, block]) for block in row]) for k, row in enumerate(blocks)
    ]
    return np.reshape(np.stack(rows), w.shape)


def _eigh_vjp(g: Any, ans: Any, a: Any, uplo: str = "L") -> Any:
    """``V (diag gw + F o (V^H gV)) V^H``, Hermitian part (Giles 2008, 3.1)."""
    del uplo
    (w, v), (gw, gv) = ans, g
    if gv is None:
        # With no transform above, nobody differentiates this.
        tied = primal(gw) is not gw and _blocks(w) is not None
        return SPECTRUM(a, w, v, gw) if tied else hermitian((v * gw[..., None, :]) @ adjoint(v))
    inner = over(off_diagonal(adjoint(v) @ gv), gaps(w))
    return hermitian(v @ (inner if gw is None else inner + on_diagonal(gw)) @ adjoint(v))


def _eigh_jvp(t: Any, ans: Any, a: Any, uplo: str = "L") -> Any:
    del a, uplo
    w, v = ans
    inner = adjoint(v) @ hermitian(t) @ v
    # Vectors of equal eigenvalues have no derivative, and most often nobody asks for it.
    with np.errstate(invalid="ignore"):
        return _moved(w, inner), v @ over(off_diagonal(inner), gaps(w))


EIGH: Primitive = Primitive("eigh", np.linalg.eigh, (conjugated(_eigh_vjp),), (_eigh_jvp,))


def _spectrum(a: Any, w: Any, v: Any, g: Any) -> Any:
    del a, w
    return hermitian((v * g[..., None, :]) @ adjoint(v))


def _alike(w: Any) -> Any:
    """Whether i and j are of one block, for each matrix."""
    blocks = _blocks(w) or [[slice(i, i + 1) for i in range(w.shape[-1])]] * int(np.prod(w.shape[:-1], dtype=int))
    number = np.array([[k for k, block in enumerate(row) for _ in range(block.stop - block.start)] for row in blocks])
    number = number.reshape(w.shape)
    return number[..., None, :] == number[..., :, None]


def _quotients(w: Any, g: Any, alike: Any, within: Any) -> Any:
    """D, with ``within`` where eigenvalues are equal."""
    rise, run = (x[..., :, None] - x[..., None, :] for x in (g, w))
    return np.where(alike, within, rise / np.where(alike, 1, run))


def _value(x: Any) -> Any:
    return x.primal if isinstance(x, Node) else x


def _push_spectrum(node: Any) -> None:
    """``V (D o P + diag c) V^H``, where D is a on the diagonal and within a block."""
    _, w, v, g = map(_value, node.args)
    ta, dw, _, dg = (x.flow if isinstance(x, Node) else None for x in node.args)
    dw, dg = (np.zeros_like(w) if t is None else t for t in (dw, dg))
    alike = _alike(w)
    share = alike / np.sum(alike, axis=-1, keepdims=True)

    def mean(x: Any) -> Any:
        return np.sum(share * x[..., None, :], axis=-1)

    spread = dw - mean(dw)
    slope = over(mean(spread * dg), mean(spread * spread))
    inner = on_diagonal(mean(dg) - slope * mean(dw)).astype(v.dtype)
    if ta is not None:
        p = adjoint(v) @ hermitian(ta) @ v
        inner = inner + _quotients(w, g, alike, slope[..., None, :]) * p
    node.flow = v @ inner @ adjoint(v)


def _pull_spectrum(node: Any, cotangent: Any) -> None:
    """The transpose; the quotients within a block are not known in reverse mode."""
    args = node.args
    _, w, v, g = map(_value, args)
    cotangent = np.conj(cotangent) if cotangent.dtype.kind == "c" else cotangent
    q = adjoint(v) @ hermitian(cotangent) @ v
    found = {3: np.real(diagonal_of(q))}
    off = off_diagonal(q)
    unknown = np.where(np.equal(off, 0), 0, np.nan)
    inner = np.where(_alike(w), unknown, _quotients(w, g, _alike(w), 0) * off)
    back = v @ inner @ adjoint(v)
    found[0] = np.conj(back) if back.dtype.kind == "c" else back
    for i in node.call.where:
        if i in found:
            give(args[i], found[i], found[i])


#: ``V diag(g) V^H`` as a function of ``a`` and ``g``; ``w`` and ``v`` belong to ``a``, and their changes come with its.
SPECTRUM: Primitive = Primitive("spectrum", _spectrum, pull=_pull_spectrum, push=_push_spectrum)


# --- eig


def _eig_vjp(g: Any, ans: Any, a: Any) -> Any:
    """``V^-H (diag gw + (V^H gV - V^H V diag Re(V^H gV)) / conj(w_j - w_i)) V^H`` for columns of length 1."""
    del a
    (w, v), (gw, gv) = ans, g
    vh = adjoint(v)
    inner = None if gw is None else on_diagonal(gw)
    if gv is not None:
        turned = vh @ gv
        turned = turned - (vh @ v) * np.real(diagonal_of(turned))[..., None, :]
        turned = over(off_diagonal(turned), np.conj(gaps(w)))
        inner = turned if inner is None else inner + turned
    return np.linalg.solve(vh, inner @ vh)


def _eig_jvp(t: Any, ans: Any, a: Any) -> Any:
    del a
    w, v = ans
    inner = np.linalg.solve(v, t @ v)
    with np.errstate(invalid="ignore"):
        moved = v @ over(off_diagonal(inner), gaps(w))
        length = np.real(np.sum(np.conj(v) * moved, axis=-2))
        return diagonal_of(inner), moved - v * length[..., None, :]


EIG: Primitive = Primitive("eig", np.linalg.eig, (conjugated(_eig_vjp),), (_eig_jvp,))


HANDLERS: dict[Any, Any] = {
    np.linalg.eigh: lambda a, UPLO="L": EIGH(a, UPLO),
    np.linalg.eigvalsh: lambda a, UPLO="L": EIGH(a, UPLO)[0],
    np.linalg.eig: EIG,
    np.linalg.eigvals: lambda a: EIG(a)[0],
}
