"""Eigenvalues and eigenvectors.

eigh. Differentiate ``A V = V diag(w)``, write ``dV = V K`` and multiply by ``V^H``. With ``P = V^H dA V``

    P + diag(w) K = K diag(w) + diag(dw).

``V^H V = 1`` makes K skew-Hermitian. The diagonal is ``dw = diag P``. Off it ``P_ij = K_ij (w_j - w_i)``, so that
``K = F o P`` with ``F_ij = 1 / (w_j - w_i)`` (Giles 2008, 3.1). The phases are chosen so that the diagonal of K is 0.
The adjoint of this map is ``gA = V (diag gw + F o (V^H gV)) V^H``, of which the Hermitian part is taken.

Where eigenvalues are equal, within rounding, their vectors have no derivative: a cotangent that needs it becomes nan.
The vectors of the others keep theirs.

eig. The same with ``P = V^-1 dA V``, for the columns of V up to their lengths. A column that keeps the length 1 has
``v Re(v^H dv)`` subtracted from its change.

VJPs are derived in the inner product ``Re tr(G^H dA)``, as in the literature; `conjugated` turns them into the
transposes of `autodiff_compare.backends.numpy_autodiff.core.primitive`. Where eigenvalues are equal, second
derivatives of functions of the eigenvalues alone are computed without F: see
`autodiff_compare.backends.numpy_autodiff.rules.spectrum`.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import primal
from autodiff_compare.backends.numpy_autodiff.rules.linalg import adjoint
from autodiff_compare.backends.numpy_autodiff.rules.matrices import (
    GENERAL,
    HERMITIAN,
    blocks,
    columns,
    conjugated,
    diagonal_of,
    eye_like,
    hermitian,
    on_diagonal,
    over_gaps,
    transposed,
    with_value,
)
from autodiff_compare.backends.numpy_autodiff.rules.spectrum import PARTED, SPECTRUM, differentiated, equal, turn

# --- eigh


def moved(w: Any, p: Any) -> Any:
    """Return ``dw``: the diagonal of P, and in a block of equal eigenvalues the eigenvalues of that block of P."""
    alike = equal(w, symmetric=True)
    if alike is None:
        return np.real(diagonal_of(p))
    n = p.shape[-1]
    flat = np.reshape(p, (-1, n, n))
    # Eigenvalues are sorted, so those of a block are neighbours.
    steps = np.reshape(alike[..., np.arange(n - 1), np.arange(1, n)], (-1, n - 1))
    rows = []
    for k, row in enumerate(steps):
        ends = itertools.pairwise([0, *(np.flatnonzero(~row) + 1).tolist(), n])
        rows.append(np.concatenate([np.linalg.eigvalsh(flat[k][i:j, i:j]) for i, j in ends]))
    return np.reshape(np.stack(rows), w.shape)


def _eigh_vjp(g: Any, ans: Any, a: Any, *_: Any, reached: Any = (True, True)) -> Any:
    """Return the Hermitian part of ``V (diag gw + F o (V^H gV)) V^H``."""
    (w, v), (gw, gv) = ans, g
    tied = differentiated(v) and equal(w, symmetric=True) is not None
    if gv is not None and tied:
        found = _columns_pulled(gv, w, v, a, reached[1])
        # SPECTRUM knows how its value changes with V: a node would count all of V as needed.
        return found if gw is None else found + SPECTRUM(a, w, v.primal, gw, True)
    if gv is None:
        return SPECTRUM(a, w, v, gw, True) if tied else hermitian((v * gw[..., None, :]) @ adjoint(v))
    inner = over_gaps(adjoint(v) @ gv, w, columns(reached[1]))
    return hermitian(v @ (inner if gw is None else inner + on_diagonal(gw)) @ adjoint(v))


def _push_eigh(node: Any) -> None:
    t = node.args[0].flow
    if t is None:
        node.flow = None
        return
    w, v = node.primal
    turned = differentiated(v) and equal(w, symmetric=True) is not None
    dw = turn(node, TURNED_EIGH, symmetric=True) if turned else None
    w, v = node.primal  # `turn` may have changed the basis
    inner = adjoint(v) @ hermitian(t) @ v
    node.flow = [dw if turned else moved(w, inner), _vectors_moved(t, inner, w, v, node.args[0].primal)]


# Let w_j be simple while others are equal. Then v_j has derivatives of all orders, but a rule that sums over the other
# vectors meets those that have none. It needs them only together: with the resolvent
#     R = (w_j - A + v_j v_j^H)^-1 - v_j v_j^H,
# which is 1 / (w_j - w_i) for each other vector and 0 for v_j itself, dv_j = R dA v_j.


def _resolvent(w: Any, v: Any, a: Any, j: int) -> tuple[Any, Any]:
    """Return R and v_j. The value of A is that of its vectors, since only one triangle of ``a`` is read."""
    known = primal(v)
    whole = with_value((known * primal(w)[..., None, :]) @ adjoint(known), hermitian(a))
    column = v[..., :, j : j + 1]
    own = column @ adjoint(column)
    return np.linalg.inv(w[..., j, None, None] * eye_like(own) - whole + own) - own, column


def _simple(w: Any) -> list[bool]:
    """Return of which values none is equal to another, in all matrices of a batch."""
    alone = np.sum(equal(w, symmetric=True), axis=-1) == 1
    return [bool(x) for x in np.all(np.reshape(alone, (-1, alone.shape[-1])), axis=0)]


def _columns_pulled(gv: Any, w: Any, v: Any, a: Any, reached: Any) -> Any:
    """Return the adjoint of `_vectors_moved` where values are equal and second derivatives follow."""
    total: Any = 0.0
    for j, alone in enumerate(_simple(w)):
        g = gv[..., :, j : j + 1]
        if alone:
            r, column = _resolvent(w, v, a, j)
            total = total + hermitian((r @ g) @ adjoint(column))
        elif reached is True or (reached is not False and np.any(reached[..., j])):
            total = total + np.nan * (g @ adjoint(v[..., :, j : j + 1]))
    return total


def _vectors_moved(t: Any, inner: Any, w: Any, v: Any, a: Any) -> Any:
    """Return dV for ``t``, of which ``inner`` is ``V^H t V``; nan of vectors whose values are equal."""
    if not differentiated(v) or equal(w, symmetric=True) is None:
        return v @ over_gaps(inner, w)
    found = []
    for j, alone in enumerate(_simple(w)):
        if alone:
            r, column = _resolvent(w, v, a, j)
            found.append(r @ (hermitian(t) @ column))
        else:
            found.append(np.nan * (t @ v[..., :, j : j + 1]))
    return np.concatenate(found, axis=-1)


def _has_equal(node: Any, *_: Any) -> bool:
    return blocks(node.primal[0], HERMITIAN) is not None


EIGH: Primitive = Primitive(
    "eigh", np.linalg.eigh, (conjugated(_eigh_vjp),), push=_push_eigh, steep=_has_equal, aware=True
)


def _embedded_eigh(a: Any, rows: int) -> Any:
    """Decompose ``[[0, B], [B^H, 0]]`` by ``B = U S V^H``.

    From ``B v = s u`` and ``B^H u = s v`` it follows that ``(u, v) / sqrt(2)`` is an eigenvector of s, and
    ``(u, -v) / sqrt(2)`` of -s. The columns that U and V have beyond those belong to the eigenvalue 0.
    """
    u, s, vh = np.linalg.svd(a[..., :rows, rows:])
    v, k, n = adjoint(vh), s.shape[-1], a.shape[-1]
    root, columns = np.sqrt(s.dtype.type(0.5)), np.zeros(a.shape, a.dtype)
    columns[..., :rows, :k] = root * u[..., :k]
    columns[..., rows:, :k] = -root * v[..., :k]
    columns[..., :rows, k : n - k][..., : rows - k] = u[..., k:]
    columns[..., rows:, k : n - k][..., rows - k :] = v[..., k:]
    columns[..., :rows, n - k :] = root * u[..., :k][..., ::-1]
    columns[..., rows:, n - k :] = root * v[..., :k][..., ::-1]
    return np.concatenate((-s, np.zeros((*s.shape[:-1], n - 2 * k), s.dtype), s[..., ::-1]), axis=-1), columns


#: `EIGH` of ``[[0, B], [B^H, 0]]`` with the number of rows of B: the vectors of w and -w have the same halves.
EMBEDDED_EIGH: Primitive = Primitive(
    "embedded_eigh", _embedded_eigh, (conjugated(_eigh_vjp),), push=_push_eigh, steep=_has_equal, aware=True
)


def _given(a: Any, w: Any, v: Any) -> Any:
    del a
    return w, v


def _turned_eigh_jvp(t: Any, ans: Any, a: Any, *_: Any) -> Any:
    w, v = ans
    inner = adjoint(v) @ hermitian(t) @ v
    return np.real(diagonal_of(inner)), _vectors_moved(t, inner, w, v, a)


#: `EIGH` of a matrix in a given basis of its eigenvectors.
TURNED_EIGH: Primitive = Primitive(
    "turned_eigh", _given, (conjugated(_eigh_vjp),), (_turned_eigh_jvp,), steep=_has_equal, aware=True
)


# --- eig


def _eig_vjp(g: Any, ans: Any, a: Any, *_: Any, reached: Any = (True, True)) -> Any:
    """Return ``V^-H (diag gw + (V^H gV - V^H V diag Re(V^H gV)) / conj(w_j - w_i)) V^H``, for columns of length 1."""
    (w, v), (gw, gv) = ans, g
    vh = adjoint(v)
    if gv is None and differentiated(v) and equal(w, symmetric=False) is not None:
        return np.conj(transposed(SPECTRUM(a, w, v, np.conj(gw), False)))
    inner = None if gw is None else on_diagonal(gw)
    if gv is not None:
        turned = vh @ gv
        turned = turned - (vh @ v) * np.real(diagonal_of(turned))[..., None, :]
        turned = over_gaps(turned, np.conj(w), columns(reached[1]), GENERAL)
        inner = turned if inner is None else inner + turned
    return np.linalg.solve(vh, inner @ vh)


def _eig_vectors(w: Any, v: Any, inner: Any) -> Any:
    """Return ``V (F o P)`` less, of each column, its change of length."""
    moved = v @ over_gaps(inner, w, roundings=GENERAL)
    length = np.real(np.sum(np.conj(v) * moved, axis=-2))
    return moved - v * length[..., None, :]


def _push_eig(node: Any) -> None:
    t = node.args[0].flow
    if t is None:
        node.flow = None
        return
    w, v = node.primal
    alike = equal(w, symmetric=False)
    turned = alike is not None and differentiated(v)
    dw = turn(node, _TURNED_EIG, symmetric=False) if turned else None
    w, v = node.primal  # `turn` may have changed the basis
    inner = np.linalg.solve(v, t @ v)
    if not turned:
        dw = diagonal_of(inner) if alike is None else PARTED(primal(inner), alike)
    node.flow = [dw, _eig_vectors(w, v, inner)]


def _has_equal_of_any(node: Any, *_: Any) -> bool:
    return blocks(node.primal[0], GENERAL) is not None


EIG: Primitive = Primitive(
    "eig", np.linalg.eig, (conjugated(_eig_vjp),), push=_push_eig, steep=_has_equal_of_any, aware=True
)


def _turned_eig_jvp(t: Any, ans: Any, *_: Any) -> Any:
    w, v = ans
    inner = np.linalg.solve(v, t @ v)
    return diagonal_of(inner), _eig_vectors(w, v, inner)


#: `EIG` of a matrix in a given basis of its eigenvectors.
_TURNED_EIG: Primitive = Primitive(
    "turned_eig", _given, (conjugated(_eig_vjp),), (_turned_eig_jvp,), steep=_has_equal_of_any, aware=True
)


HANDLERS: dict[Any, Any] = {
    np.linalg.eigh: lambda a, UPLO="L": EIGH(a, UPLO),
    np.linalg.eigvalsh: lambda a, UPLO="L": EIGH(a, UPLO)[0],
    np.linalg.eig: EIG,
    np.linalg.eigvals: lambda a: EIG(a)[0],
}
