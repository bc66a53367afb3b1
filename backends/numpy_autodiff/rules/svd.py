"""Singular value decomposition.

Conventions
-----------
- Singular values alone never divide by gaps: they stay finite where values are equal. Where some of them are equal or
  zero, functions of the singular values alone are differentiated by the eigenvalues of ``[[0, A], [A^H, 0]]``, which
  are the singular values with both signs, and zeros.
- Vectors are unique only up to phases (and rotations among equal values). Functions that do not depend on that choice
  have right derivatives. At equal values the vectors have no derivative: a cotangent that needs it becomes nan.
- At a matrix without full rank those vectors have derivatives that are unique up to phases: see `_special`.
- Of all phases those that rotate least are taken: ``diag(V^H dV)`` is 0 on the right.

VJPs are derived in the inner product ``Re tr(G^H dA)``, as in the literature; `conjugated` turns them into the
transposes of `autodiff_compare.backends.numpy_autodiff.core.primitive`.

Differentiate A = U S V^H and project: P = U^H dA V. With the skew-Hermitian K = U^H dU and L = V^H dV
    P = K S + dS - S L,    P^H = dS - S K + L S.
The diagonal is dS = Re diag P. Off the diagonal, with s_j for the column and s_i for the row,
    (P + P^H)_ij = (s_j - s_i) (K + L)_ij,    (P - P^H)_ij = (s_j + s_i) (K - L)_ij,
which give K and L as half the sum and half the difference of two quotients. The usual form of K,
(P s_j + s_i P^H) / (s_j^2 - s_i^2), is the same, but here only one quotient is steep where values are close. For
complex matrices K has i Im P_ii / s_i on its diagonal, by the phases that leave the diagonal of L at 0. Outside of
their spans the vectors change by (1 - U U^H) dA V S^-1 and (1 - V V^H) dA^H U S^-1 (Townsend 2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import constant, primal
from autodiff_compare.backends.numpy_autodiff.rules.eigen import EMBEDDED_EIGH, TURNED_EIGH
from autodiff_compare.backends.numpy_autodiff.rules.linalg import adjoint
from autodiff_compare.backends.numpy_autodiff.rules.matrices import (
    blocks,
    conjugated,
    diagonal_of,
    eye_like,
    needed_columns,
    off_diagonal,
    on_diagonal,
    over_gaps,
    over_or_nan,
    pattern,
    with_value,
)
from autodiff_compare.backends.numpy_autodiff.rules.spectrum import differentiated

#: Rounding errors of the largest, per value, within which singular values are equal, or zero.
_ROUNDINGS = 2


def _svd(a: Any, full: bool) -> Any:
    return np.linalg.svd(a, full)


def _parts(ans: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return ``U1, S, V1`` and the complements ``U2, V2``, empty unless the matrices are full."""
    (u, s, vh), k = ans, ans[1].shape[-1]
    v = adjoint(vh)
    return u[..., :k], s, v[..., :k], u[..., k:], v[..., k:]


def _vanishing(s: Any) -> Any:
    """Return which singular values are zero within rounding; None if none is."""
    s = primal(s)
    if not s.size:
        return None
    found = np.less_equal(s, _ROUNDINGS * s.shape[-1] * float(np.finfo(s.dtype).eps) * s[..., :1])
    return pattern(found) if np.count_nonzero(found) else None


def _divisors(s: Any) -> tuple[Any, Any]:
    """Return ``s``, and ``s_j + s_i`` with ones on the diagonal; exactly 0 where they are zero within rounding."""
    zero = _vanishing(s)
    sums = s[..., None, :] + s[..., :, None] + eye_like(s)
    if zero is None:
        return s, sums
    both = zero[..., None, :] & zero[..., :, None] & ~np.eye(s.shape[-1], dtype=bool)
    return np.where(zero, 0, s), np.where(both, 0, sums)


def _side_jvp(moved: Any, basis: Any, rest: Any, turned: Any) -> Any:
    """Return the change of one basis: within its span by ``turned``, and out of it by ``moved = dA V / S``."""
    if rest.shape[-1]:
        out = adjoint(rest) @ moved
        return np.concatenate((basis @ turned + rest @ out, -(basis @ adjoint(out))), axis=-1)
    if basis.shape[-1] < basis.shape[-2]:
        return basis @ turned + moved - basis @ (adjoint(basis) @ moved)
    return basis @ turned


def _svd_jvp(t: Any, ans: Any, a: Any, full: bool) -> Any:
    del a, full
    u, s, v, u2, v2 = _parts(ans)
    p = adjoint(u) @ t @ v
    divisor, sums = _divisors(s)
    column = divisor[..., None, :]
    with np.errstate(invalid="ignore", over="ignore"):
        steep = over_gaps(p + adjoint(p), s, roundings=_ROUNDINGS)
        mild = over_or_nan(off_diagonal(p - adjoint(p)), sums)
        du, dv = 0.5 * (steep + mild), 0.5 * (steep - mild)
        if p.dtype.kind == "c":
            du = du + on_diagonal(1j * over_or_nan(np.imag(diagonal_of(p)), divisor))
        left = _side_jvp(over_or_nan(t @ v, np.broadcast_to(column, (t @ v).shape)), u, u2, du)
        back = adjoint(t) @ u
        right = _side_jvp(over_or_nan(back, np.broadcast_to(column, back.shape)), v, v2, dv)
    return left, np.real(diagonal_of(p)), adjoint(right)


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
    vh = adjoint(v)
    if gu is None and gvh is None:
        return (u * gs[..., None, :]) @ vh
    left, right = needed_columns(reached[0], s.shape[-1]), needed_columns(_turned_mask(reached[2]), s.shape[-1])
    either = np.logical_or(left, right)
    divisor, sums = _divisors(s)
    column = divisor[..., None, :]
    inner = 0.0 if gs is None else on_diagonal(gs)
    steep: Any = 0.0
    mild: Any = 0.0
    outside: Any = 0.0
    if gu is not None:
        within, out = _split(gu, u, u2)
        steep, mild = within, within
        if within.dtype.kind == "c":
            inner = inner + on_diagonal(1j * over_or_nan(np.imag(diagonal_of(within)), divisor, _row(left)))
        if out is not None:
            outside = over_or_nan(out, np.broadcast_to(column, out.shape), left) @ vh
    if gvh is not None:
        within, out = _split(adjoint(gvh), v, v2)
        steep, mild = steep + within, mild - within
        if out is not None:
            outside = outside + u @ adjoint(over_or_nan(out, np.broadcast_to(column, out.shape), right))
    # Not made skew-Hermitian before the division, which at equal values would turn a missing limit into 0/0 = 0.
    with np.errstate(invalid="ignore"):
        steep = over_gaps(steep, s, either, _ROUNDINGS)
        pairs = np.logical_or(either, np.swapaxes(either, -1, -2)) if np.ndim(either) else either
        mild = over_or_nan(off_diagonal(mild - adjoint(mild)), sums, pairs)
        return u @ (inner + 0.5 * (steep + adjoint(steep) + mild)) @ vh + outside


def _turned_mask(mask: Any) -> Any:
    return mask if mask is True or mask is False else np.swapaxes(mask, -1, -2)


def _row(mask: Any) -> Any:
    return mask if mask is True or mask is False else mask[..., 0, :]


def _is_special(node: Any, *_: Any, **__: Any) -> bool:
    """Return whether singular values are equal or zero within rounding."""
    s = node.primal[1]
    return _vanishing(s) is not None or blocks(s, _ROUNDINGS) is not None


SVD: Primitive = Primitive("svd", _svd, (conjugated(_svd_vjp),), (_svd_jvp,), steep=_is_special, aware=True)


# --- Equal values, and matrices without full rank
#
# The rule above follows each pair of vectors, so that a singular value passes through 0 with its sign. Sorted singular
# values have another derivative, where they are equal or zero: that of the eigenvalues of [[0, A], [A^H, 0]].


def _embedded(a: Any) -> Any:
    """Return ``[[0, A], [A^H, 0]]``."""
    (m, n), batch, dtype = a.shape[-2:], a.shape[:-2], constant(a).dtype
    top = np.concatenate((np.zeros((*batch, m, m), dtype), a), axis=-1)
    bottom = np.concatenate((adjoint(a), np.zeros((*batch, n, n), dtype)), axis=-1)
    return np.concatenate((top, bottom), axis=-2)


def _sorted_values(a: Any, k: int) -> Any:
    """Return the k largest eigenvalues of the embedded matrix, each as half the distance to its negative."""
    w = EMBEDDED_EIGH(_embedded(a), a.shape[-2])[0]
    return 0.5 * (w[..., ::-1][..., :k] - w[..., :k])


def _special(a: Any, u: Any, s: Any, vh: Any, zero: Any) -> tuple[Any, Any, Any]:
    """Return U, S and V^H where values are equal or zero, so that all derivatives that they have are finite.

    Let A have at least as many rows as columns. V holds the eigenvectors of A^H A, a polynomial in A. Those of simple
    values have derivatives, also of the value 0, although others, over which the rule of `SVD` sums, have none. Columns
    of U with s_j > 0 are A v_j, brought to length 1. The others are eigenvectors of A A^H if A is square. If it is not,
    they turn freely in their complement: they keep the rule of `SVD`, which is nan there.

    U, S and V of one zero in a real square matrix are followed together, S with its sign, so that U S V^H stays A.
    """
    if a.shape[-2] < a.shape[-1]:
        v, s, uh = _special(adjoint(a), adjoint(vh), s, adjoint(u), zero)
        return adjoint(uh), s, adjoint(v)
    k, least = s.shape[-1], 0 if zero is None else int(np.max(np.count_nonzero(zero, axis=-1)))
    squares = primal(s) ** 2
    v = TURNED_EIGH(adjoint(a) @ a, squares, primal(adjoint(vh)))[1]
    rest = u[..., k - least :]
    square = a.shape[-2] == k and constant(a).dtype.kind != "c"
    if square:
        rest = TURNED_EIGH(a @ adjoint(a), squares, primal(u))[1][..., k - least :]
    # One by one: in a product with all of V, vectors without derivatives would meet the others.
    images = [a @ v[..., j : j + 1] for j in range(k - least)]
    unit = [image / np.linalg.vector_norm(image, axis=-2, keepdims=True) for image in images]
    first = [with_value(u[..., j : j + 1], column) for j, column in enumerate(unit)]
    u = np.concatenate((*first, rest), axis=-1)
    return u, s if square and least == 1 and blocks(s, _ROUNDINGS) is None else _sorted_values(a, k), adjoint(v)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Compute `numpy.linalg.svd`; ``hermitian`` does not change the derivative."""
    del hermitian
    u, s, vh = SVD(a, full_matrices if compute_uv else False)
    if differentiated(a):
        zero = _vanishing(s)
        if zero is not None or blocks(s, _ROUNDINGS) is not None:
            u, s, vh = _special(a, u, s, vh, zero) if compute_uv else (u, _sorted_values(a, s.shape[-1]), vh)
    return _Result(u, s, vh) if compute_uv else s


_Result: Any = type(np.linalg.svd(np.eye(1)))


HANDLERS: dict[Any, Any] = {
    np.linalg.svd: svd,
    np.linalg.svdvals: lambda x, /: svd(x, compute_uv=False),
}
