"""Linear systems, determinants and Cholesky factors in any precision: LAPACK, or elimination for long double.

References are evaluated in ``np.longdouble``, which `numpy.linalg` rejects. The two algorithms are those of Golub and
Van Loan, Matrix Computations, 4th ed.: Gaussian elimination with partial pivoting (3.4.1) and the Cholesky
factorisation by columns (4.2.5). NumPy computes a row or column at a time.
"""

from __future__ import annotations

import numpy as np

from autodiff_compare.problems.base.inputs import Array

_LAPACK = (np.float32, np.float64)


def solve(A: Array, B: Array) -> Array:
    """Return X with A X = B, for A (n, n) and B (n,) or (n, k), in their dtype."""
    if A.dtype in _LAPACK:
        return np.asarray(np.linalg.solve(A, B))
    rows, _ = _eliminated(np.concatenate([A, B.reshape(A.shape[0], -1)], axis=1))
    n = A.shape[0]
    U, X = rows[:, :n], rows[:, n:]
    for i in reversed(range(n)):
        X[i] = (X[i] - U[i, i + 1 :] @ X[i + 1 :]) / U[i, i]
    return X.reshape(B.shape)


def det(A: Array) -> Array:
    """Return the determinant of A (n, n), in its dtype."""
    if A.dtype in _LAPACK:
        return np.asarray(np.linalg.det(A))
    rows, sign = _eliminated(A.copy())
    return np.asarray(sign * np.prod(np.diagonal(rows)))


def cholesky(A: Array) -> Array:
    """Return the lower triangular L with L L^T = A, for A (n, n) symmetric and positive definite, in its dtype."""
    if A.dtype in _LAPACK:
        return np.asarray(np.linalg.cholesky(A))
    L = np.zeros_like(A)
    for j in range(A.shape[0]):
        column = A[j:, j] - L[j:, :j] @ L[j, :j]
        L[j:, j] = column / np.sqrt(column[0])
    return L


def _eliminated(rows: Array) -> tuple[Array, int]:
    """Make the rows upper triangular in place by partial pivoting; return them and the sign of the row exchanges."""
    sign = 1
    for j in range(rows.shape[0]):
        pivot = j + int(np.argmax(np.abs(rows[j:, j])))
        if pivot != j:
            rows[[j, pivot]], sign = rows[[pivot, j]], -sign
        rows[j + 1 :, j:] -= np.multiply.outer(rows[j + 1 :, j] / rows[j, j], rows[j, j:])
    return rows, sign
