"""Large triangular matrices: systems and inverses by substitution, and the adjoint of Cholesky's factorisation.

LAPACK has functions for these, NumPy does not: `numpy.linalg.solve` factors a triangular matrix like any other. Here
all work is done on blocks: LAPACK's general functions take those on the diagonal, matrix products the rest. A system of
n equations takes n^2 operations instead of 2/3 n^3, an inverse n^3 / 3 instead of 8/3 n^3, and the adjoint of a
Cholesky factor 2/3 n^3 instead of 9 n^3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

#: Order of the blocks on the diagonal, and of the smallest matrix that is looked at.
BLOCK, LARGE = 64, 128
_DTYPES = "fdFD"


def is_large(a: Any) -> bool:
    """Return whether one matrix is so large that blocks are faster."""
    return len(a.shape) == 2 and a.shape[0] >= LARGE


def solve(a: Any, b: Any) -> Any:
    """Compute `numpy.linalg.solve`, by substitution if the matrix is large and triangular."""
    a, b = np.asarray(a), np.asarray(b)
    if (side := _side(a)) and b.ndim in (1, 2) and len(b) == len(a) and b.dtype == a.dtype:
        return _substituted(a, b, lower=side == "lower")
    return np.linalg.solve(a, b)


def inverse(a: Any) -> Any:
    """Compute `numpy.linalg.inv`, by blocks if the matrix is large and triangular."""
    a = np.asarray(a)
    side = _side(a)
    if not side:
        return np.linalg.inv(a)
    found = np.zeros(a.shape, a.dtype)
    _invert(*((a, found) if side == "lower" else (a.T, found.T)))
    return found


def _side(a: Any) -> str:
    """Return ``lower`` or ``upper`` for a large triangular matrix, else an empty string."""
    if not is_large(a) or a.shape[0] != a.shape[1] or a.dtype.char not in _DTYPES:
        return ""
    if not a[0, -1] and _is_lower(a):
        return "lower"
    return "upper" if not a[-1, 0] and _is_lower(a.T) else ""


def _is_lower(a: Any) -> bool:
    """Return whether all entries above the diagonal are zeros: nan is none."""
    return not any(a[rows, rows.stop :].any() or np.triu(a[rows, rows], 1).any() for rows in _blocks(len(a)))


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


def _substituted(a: Any, b: Any, *, lower: bool) -> Any:
    """Solve from the end at which an equation has one unknown: a known part leaves the equations that remain."""
    n, x = len(a), b.copy()
    blocks = list(_blocks(n))
    for rows in blocks if lower else reversed(blocks):
        rest = slice(rows.stop, n) if lower else slice(0, rows.start)
        x[rows] = np.linalg.solve(a[rows, rows], x[rows])
        x[rest] -= a[rest, rows] @ x[rows]
    return x


def _invert(a: Any, into: Any) -> None:
    """Write the inverse of a lower triangle: that of ``[[A, 0], [B, C]]`` has ``-C^-1 B A^-1`` below."""
    n = len(a)
    if n <= BLOCK:
        into[...] = np.linalg.inv(a)
        return
    first, second = slice(0, n // 2), slice(n // 2, n)
    _invert(a[first, first], into[first, first])
    _invert(a[second, second], into[second, second])
    into[second, first] = -(into[second, second] @ a[second, first] @ into[first, first])


# --- The adjoint of Cholesky's factorisation A = L L^H, by blocks (Murray 2016, section 4)
#
# In the block row of D = L_jj, with R to its left, C below it and B below R, the factorisation computes
#     D = chol(A_jj - R R^H),    C = S D^-H with S = A_C - B R^H.
# Backwards from the last block, with cotangents g: S has s = g_C D^-1, and from dC = dS D^-H - C dD^H D^-H
#     g_D -= s^H C,    g_B -= s R,    g_R -= s^H B.
# Then T = A_jj - R R^H has the Hermitian t = herm(D^-H Phi(D^H g_D) D^-1), the adjoint for one block, and g_R -= 2 t R.
# A_C has the cotangent s, half of which goes to the Hermitian counterpart of each entry. Only lower triangles of
# cotangents are read: Phi drops what the upper ones give.


def cholesky_adjoint(g: Any, factor: Any) -> Any:
    """Return the Hermitian cotangent of a matrix from that of its lower Cholesky factor."""
    n = len(factor)
    g, found = np.array(g, factor.dtype), np.zeros(factor.shape, factor.dtype)
    for rows in reversed(list(_blocks(n))):
        below, left = slice(rows.stop, n), slice(0, rows.start)
        own, beside = factor[rows, rows], factor[rows, left]
        back = np.linalg.inv(own)
        s = g[below, rows] @ back
        sh = _adjoint(s)
        g[rows, rows] -= sh @ factor[below, rows]
        g[below, left] -= s @ beside
        t = np.tril(_adjoint(own) @ g[rows, rows])
        np.einsum("ii->i", t)[...] *= 0.5
        t = _adjoint(back) @ t @ back
        t += _adjoint(t)
        g[rows, left] -= sh @ factor[below, left] + t @ beside
        found[rows, rows] = 0.5 * t
        found[below, rows] = 0.5 * s
        found[rows, below] = 0.5 * sh
    return found


def _adjoint(x: Any) -> Any:
    return np.conj(x.T) if x.dtype.kind == "c" else x.T
