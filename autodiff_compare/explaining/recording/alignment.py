"""Signs of the vectors of a decomposition, made equal on all backends.

An eigenvector of either sign is right, and backends differ in their choice. The numbers that are computed of it differ
in sign too, until the choice cancels. So a program multiplies each vector by the sign of its inner product with NumPy's
vector. That factor is constant where it is differentiated; the decomposition stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Function of the namespace -> position of the matrix whose columns are aligned.
COLUMNS: Mapping[str, int] = {"xp.linalg.eigh": 1, "xp.linalg.svd": 0, "xp.linalg.qr": 0}


def _signs(xp: Any, vectors: Any, like: Any) -> Any:
    """Return the sign of each column's inner product with a column of ``like``, (..., 1, columns)."""
    return xp.sign(xp.sum(vectors * xp.asarray(like, dtype=vectors.dtype), axis=-2, keepdims=True))


def eigh(xp: Any, found: Any, like: Any) -> tuple[Any, Any]:
    """Return the eigenvalues that were found, and their eigenvectors with the signs of the columns of ``like``."""
    values, vectors = found
    return values, vectors * _signs(xp, vectors, like)


def svd(xp: Any, found: Any, like: Any) -> tuple[Any, Any, Any]:
    """Return left vectors with the signs of the columns of ``like``, singular values, and right vectors that fit."""
    left, values, right = found
    signs = _signs(xp, left, like)
    return left * signs, values, right * xp.matrix_transpose(signs)


def qr(xp: Any, found: Any, like: Any) -> tuple[Any, Any]:
    """Return an orthogonal factor with the signs of the columns of ``like``, and the triangular one that fits."""
    orthogonal, triangular = found
    signs = _signs(xp, orthogonal, like)
    return orthogonal * signs, triangular * xp.matrix_transpose(signs)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {"aligned_eigh": eigh, "aligned_svd": svd, "aligned_qr": qr}
