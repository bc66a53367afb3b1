"""The ``linalg`` extension: TensorFlow's decompositions, with the standard's names, shapes and order of results."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from autodiff_compare.backends.tensorflow_backend.functions.dtypes import (
    DType,
    Tensor,
    match,
    promoted,
    tensor,
    widened,
)

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

det, inv = tf.linalg.det, tf.linalg.inv


class EighResult(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


def matrix_transpose(x: Tensor, /) -> Tensor:
    """Swap the last two axes, without conjugation."""
    return tf.linalg.matrix_transpose(x)


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the matrix product; unlike TensorFlow's ``@``, it accepts vectors on either side."""
    x1, x2 = match(x1, x2)
    left, right = x1.shape.rank, x2.shape.rank
    if not left or not right:
        raise ValueError(f"got a product of {left}-D and {right}-D arrays, expected vectors or matrices: use * instead")
    if left == 1 and right == 1:
        return tf.tensordot(x1, x2, 1)
    if right == 1:
        return tf.linalg.matvec(x1, x2)
    if left == 1:
        return tf.squeeze(tf.matmul(x1[None, :], x2), -2)
    return tf.matmul(x1, x2)


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Tensor:
    """Sum products over the last axes of ``x1`` and the first of ``x2``, or over the given pairs of axes."""
    return tf.tensordot(*match(x1, x2), axes)


def einsum(subscripts: str, /, *operands: Tensor) -> Tensor:
    """Sum products over indices, as in ``einsum("ij,jk->ik", A, B)``; NumPy's function, beyond the standard."""
    return tf.einsum(subscripts, *promoted(*operands))


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the inner product along an axis counted from the end, with ``x1`` conjugated."""
    x1, x2 = match(x1, x2)
    return tf.reduce_sum(tf.math.conj(x1) * x2, axis=axis)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return the outer product of two vectors."""
    x1, x2 = match(x1, x2)
    return x1[:, None] * x2[None, :]


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Return the cross product along an axis of length 3; the other axes broadcast."""
    x1, x2 = match(x1, x2)
    a, b = tf.unstack(x1, axis=axis), tf.unstack(x2, axis=axis)
    if len(a) != 3 or len(b) != 3:
        raise ValueError(f"got lengths {len(a)} and {len(b)} along axis {axis}, expected 3 and 3")
    return tf.stack([a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)], axis=axis)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """Return a diagonal of the last two axes, empty for an offset beyond the corners."""
    rows, columns = x.shape[-2], x.shape[-1]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    if length == 0:
        return tf.zeros((*tuple(x.shape)[:-2], 0), x.dtype)
    return tf.linalg.diag_part(x, k=offset)


def trace(x: Tensor, /, *, offset: int = 0, dtype: DType | None = None) -> Tensor:
    """Sum a diagonal of the last two axes."""
    return tf.reduce_sum(widened(diagonal(x, offset=offset), dtype), axis=-1)


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """Return the lower triangular ``L`` of ``x = L L^H``, or its adjoint if ``upper``."""
    factor = tf.linalg.cholesky(x)
    return tf.linalg.adjoint(factor) if upper else factor


def eigh(x: Tensor, /) -> EighResult:
    """Return ascending real eigenvalues, and eigenvectors; value and derivative read the lower triangle only."""
    values, vectors = tf.linalg.eigh(x)
    return EighResult(tf.math.real(values), vectors)


def eigvalsh(x: Tensor, /) -> Tensor:
    """Return ascending real eigenvalues; value and derivative read the lower triangle only."""
    return tf.math.real(tf.linalg.eigvalsh(x))


def qr(x: Tensor, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Return the factors of ``x = Q R``; the signs are those of TensorFlow."""
    return QRResult(*tf.linalg.qr(x, full_matrices=mode == "complete"))


def slogdet(x: Tensor, /) -> SlogdetResult:
    """Return the sign of the determinant and the real logarithm of its absolute value."""
    sign, logarithm = tf.linalg.slogdet(x)
    return SlogdetResult(sign, tf.math.real(logarithm))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVDResult:
    """Return ``U, S, V^H`` of ``x = U S V^H`` with descending ``S``; TensorFlow's function returns ``S, U, V``."""
    s, u, v = tf.linalg.svd(x, full_matrices=full_matrices)
    return SVDResult(u, s, tf.linalg.adjoint(v))


def svdvals(x: Tensor, /) -> Tensor:
    """Return the descending singular values."""
    return tf.linalg.svd(x, compute_uv=False)


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Return ``inv(x1) @ x2`` without the inverse; leading axes broadcast, a 1-D ``x2`` is one vector."""
    x1, x2 = match(x1, x2)
    vector = x2.shape.rank == 1
    right = x2[:, None] if vector else x2
    lead = np.broadcast_shapes(tuple(x1.shape)[:-2], tuple(right.shape)[:-2])
    x1 = tf.broadcast_to(x1, lead + tuple(x1.shape)[-2:])
    right = tf.broadcast_to(right, lead + tuple(right.shape)[-2:])
    solution = tf.linalg.solve(x1, right)
    return tf.squeeze(solution, -1) if vector else solution


def _relative(rtol: Any, x: Tensor) -> Tensor:
    """Return the standard's default tolerance: the longer side times the machine epsilon."""
    if rtol is None:
        rtol = max(tuple(x.shape)[-2:]) * float(np.finfo(x.dtype.as_numpy_dtype).eps)
    return tf.cast(tensor(rtol), x.dtype.real_dtype)


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """Return the Moore-Penrose inverse; singular values up to ``rtol`` times the largest count as zero.

    TensorFlow's own function takes no complex matrices. Of these it is ``V S^-1 U^H`` without the zeros of S.
    """
    if not x.dtype.is_complex:
        return tf.linalg.pinv(x, rcond=_relative(rtol, x))
    s, u, v = tf.linalg.svd(x, full_matrices=False)
    kept = s > _relative(rtol, x)[..., None] * tf.reduce_max(s, axis=-1, keepdims=True)
    inverse = tf.where(kept, 1 / tf.where(kept, s, 1), 0)
    return tf.matmul(v * tf.cast(inverse, x.dtype)[..., None, :], u, adjoint_b=True)


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """Return the number of singular values above ``rtol`` times the largest, int64."""
    s = svdvals(x)
    bound = tf.reduce_max(s, axis=-1, keepdims=True) * tf.cast(_relative(rtol, x), s.dtype)[..., None]
    return tf.reduce_sum(tf.cast(s > bound, tf.int64), axis=-1)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Return the ``n``-th power by repeated squaring; a negative ``n`` takes powers of the inverse."""
    if n < 0:
        return matrix_power(tf.linalg.inv(x), -n)
    out = tf.eye(x.shape[-1], batch_shape=tuple(x.shape)[:-2], dtype=x.dtype) if n == 0 else None
    while n:
        if n & 1:
            out = x if out is None else tf.matmul(out, x)
        n >>= 1
        x = tf.matmul(x, x) if n else x
    return tf.identity(out)


def vector_norm(
    x: Tensor, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2
) -> Tensor:
    """Return ``sum(|x|^ord)^(1/ord)`` over axes; for +-inf the largest or smallest modulus, for 0 the count.

    The derivative at the zero vector is nan for ``ord=2``, as it is for ``tf.norm``.
    """
    if axis == ():
        axis = tf.zeros((0,), tf.int32)
    if ord == 2:
        return tf.sqrt(tf.reduce_sum(tf.math.real(x * tf.math.conj(x)), axis=axis, keepdims=keepdims))
    size = tf.abs(x)
    if ord == math.inf:
        return tf.reduce_max(size, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return tf.reduce_min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return tf.reduce_sum(tf.cast(size != 0, size.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return tf.reduce_sum(size, axis=axis, keepdims=keepdims)
    return tf.reduce_sum(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


def _sums(axis: int, largest: bool) -> Any:
    reduce = tf.reduce_max if largest else tf.reduce_min
    return lambda x: reduce(tf.reduce_sum(tf.abs(x), axis=axis, keepdims=True), axis=(-2, -1), keepdims=True)


_MATRIX_NORMS: dict[Any, Any] = {
    "fro": lambda x: vector_norm(x, axis=(-2, -1), keepdims=True),
    "nuc": lambda x: tf.reduce_sum(svdvals(x), axis=-1)[..., None, None],
    1: _sums(-2, True),
    -1: _sums(-2, False),
    math.inf: _sums(-1, True),
    -math.inf: _sums(-1, False),
    2: lambda x: tf.reduce_max(svdvals(x), axis=-1)[..., None, None],
    -2: lambda x: tf.reduce_min(svdvals(x), axis=-1)[..., None, None],
}


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """Return a norm of the last two axes: ``"fro"``, ``"nuc"``, +-1, +-2 or +-inf."""
    if ord not in _MATRIX_NORMS:
        raise ValueError(f"got ord={ord!r}, expected one of: {', '.join(map(str, _MATRIX_NORMS))}")
    norm = _MATRIX_NORMS[ord](x)
    return norm if keepdims else tf.squeeze(norm, (-2, -1))
