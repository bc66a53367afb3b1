"""Linear algebra and Fourier transforms.

Factorisations are written so that their value is unique: eigenvectors and singular vectors have no signs of their own,
and enter through a product that is the same for every choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autodiff_compare.fuzzing.operations.operation import (
    MARGIN,
    Operation,
    Parameters,
    Smooth,
    apart,
    away_from_zero,
    square,
)
from autodiff_compare.problems import Array

#: Largest condition number of a matrix that is inverted in programs that are smooth at their point.
_CONDITION = 30.0


def _regular(a: Array, *_: Array) -> bool:
    """Return whether matrices are far from singular."""
    return bool(np.all(np.linalg.cond(a) < _CONDITION))


def _triangle_apart(a: Array) -> bool:
    """Return whether matrices are far from singular, and entries of R far from zero, where |R| has a kink."""
    rows, columns = np.triu_indices(a.shape[-1])
    return _regular(a) and bool(np.all(np.abs(np.linalg.qr(a)[1][..., rows, columns]) > MARGIN))


def _apart(a: Array) -> bool:
    """Return whether the singular values of each matrix are far from each other and from zero."""
    values = np.linalg.svd(a, compute_uv=False)
    return bool(np.all(values > MARGIN)) and bool(np.all(np.abs(np.diff(values)) > MARGIN))


def _apart_eigenvalues(a: Array) -> bool:
    values = np.linalg.eigvalsh(a + np.swapaxes(a, -1, -2))
    return bool(np.all(np.diff(values) > MARGIN))


def _product(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    """Accept matrices, stacks of them and vectors that can be multiplied."""
    del rng
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        return None
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        return None
    return {}


def _matrices(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    return _product(rng, a, b) if a.ndim >= 2 and b.ndim >= 2 else None


def _solved(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    """Accept a square matrix with a matrix of as many rows, or a vector."""
    fits = square(rng, a) is not None and a.ndim == 2 and b.ndim in (1, 2) and b.shape[0] == a.shape[0]
    return {} if fits else None


def _vectors(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    del rng
    return {} if a.ndim == b.ndim == 1 else None


def _same_vectors(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    del rng
    return {} if a.ndim and a.shape == b.shape else None


def _of_three(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    del rng
    return {} if a.shape == b.shape and a.ndim and a.shape[-1] == 3 else None


def _power(rng: np.random.Generator, a: Array) -> Parameters | None:
    return None if square(rng, a) is None else {"n": int(rng.integers(-1, 4))}


def _shifted(rng: np.random.Generator, a: Array) -> Parameters | None:
    return None if square(rng, a) is None else {"n": a.shape[-1]}


def _occupied_matrix(rng: np.random.Generator, a: Array) -> Parameters | None:
    del rng
    return {} if a.ndim >= 2 and min(a.shape[-2:]) else None


def _tall(rng: np.random.Generator, a: Array) -> Parameters | None:
    return _occupied_matrix(rng, a) if a.ndim >= 2 and a.shape[-2] >= a.shape[-1] else None


def _flat(rng: np.random.Generator, a: Array) -> Parameters | None:
    del rng
    return {} if a.ndim == 2 and a.size else None


def _norm(rng: np.random.Generator, a: Array) -> Parameters | None:
    orders = ["'fro'", "'nuc'", "2", "1"]
    return None if _occupied_matrix(rng, a) is None else {"ord": orders[int(rng.integers(4))]}


def _normed(a: Array) -> bool:
    return _apart(a) and away_from_zero(a) and apart(np.sum(np.abs(a), axis=-2))


def _contracted(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    del rng
    return {} if a.ndim and b.ndim and a.shape[-1] == b.shape[0] else None


def _signal(rng: np.random.Generator, a: Array) -> Parameters | None:
    del rng
    return {} if a.ndim and a.shape[-1] else None


def _long_signal(rng: np.random.Generator, a: Array) -> Parameters | None:
    return _signal(rng, a) if a.ndim and a.shape[-1] > 1 else None


def _spectrum(a: Array) -> bool:
    return bool(np.all(np.abs(np.fft.rfft(a)) > MARGIN))


_T = "xp.matrix_transpose({0})"


def _algebra(template: str, operands: int, draws: object, smooth: Smooth | None = None, **spelled: str) -> Operation:
    kept = {"smooth": smooth} if smooth else {}
    return Operation("linear_algebra", template, operands, draws, spelled=spelled, **kept)  # type: ignore[arg-type]


TABLE: Mapping[str, Operation] = {
    "matmul": _algebra("xp.matmul({0}, {1})", 2, _product, tensorflow="tf.experimental.numpy.matmul({0}, {1})"),
    "at": _algebra("{0} @ {1}", 2, _matrices),
    "tensordot": _algebra(
        "xp.tensordot({0}, {1}, axes=1)",
        2,
        _contracted,
        torch="torch.tensordot({0}, {1}, dims=1)",
        tensorflow="tf.tensordot({0}, {1}, 1)",
    ),
    "vecdot": _algebra(
        "xp.vecdot({0}, {1})",
        2,
        _same_vectors,
        torch="torch.linalg.vecdot({0}, {1})",
        tensorflow="tf.math.reduce_sum({0} * {1}, axis=-1)",
    ),
    "outer": _algebra(
        "xp.linalg.outer({0}, {1})",
        2,
        _vectors,
        torch="torch.outer({0}, {1})",
        tensorflow="tf.tensordot({0}, {1}, 0)",
    ),
    "cross": _algebra("xp.linalg.cross({0}, {1})", 2, _of_three),
    "matrix_transpose": _algebra(_T, 1, _occupied_matrix, torch="{0}.mT", tensorflow="tf.linalg.matrix_transpose({0})"),
    "trace": _algebra(
        "xp.linalg.trace({0})",
        1,
        _occupied_matrix,
        torch="torch.diagonal({0}, dim1=-2, dim2=-1).sum(-1)",
    ),
    "solve": _algebra(
        "xp.linalg.solve({0}, {1})",
        2,
        _solved,
        _regular,
        tensorflow="tf_solve({0}, {1})",
    ),
    "inv": _algebra("xp.linalg.inv({0})", 1, square, _regular),
    "det": _algebra("xp.linalg.det({0})", 1, square, _regular),
    "slogdet": _algebra("xp.linalg.slogdet({0})[1]", 1, square, _regular),
    "matrix_power": _algebra(
        "xp.linalg.matrix_power({0}, {n})", 1, _power, _regular, tensorflow="tf_matrix_power({0}, {n})"
    ),
    "cholesky": _algebra(
        "xp.linalg.cholesky({0} @ xp.matrix_transpose({0}) + xp.eye({n}, dtype={0}.dtype))",
        1,
        _shifted,
        torch="torch.linalg.cholesky({0} @ {0}.mT + torch.eye({n}, dtype={0}.dtype))",
        tensorflow="tf.linalg.cholesky({0} @ tf.linalg.matrix_transpose({0}) + tf.eye({n}, dtype={0}.dtype))",
    ),
    "eigvalsh": _algebra(
        "xp.linalg.eigvalsh({0} + xp.matrix_transpose({0}))",
        1,
        square,
        _apart_eigenvalues,
        torch="torch.linalg.eigvalsh({0} + {0}.mT)",
        tensorflow="tf.linalg.eigvalsh({0} + tf.linalg.matrix_transpose({0}))",
    ),
    "eigenvectors": _algebra(
        "xp.linalg.eigh({0} + xp.matrix_transpose({0}))[1] ** 2",
        1,
        square,
        _apart_eigenvalues,
        torch="torch.linalg.eigh({0} + {0}.mT)[1] ** 2",
        tensorflow="tf.linalg.eigh({0} + tf.linalg.matrix_transpose({0}))[1] ** 2",
    ),
    "svdvals": _algebra(
        "xp.linalg.svdvals({0})",
        1,
        _occupied_matrix,
        _apart,
        tensorflow="tf.linalg.svd({0}, compute_uv=False)",
    ),
    "singular_vectors": _algebra(
        "xp.linalg.svd({0}, full_matrices=False)[2] ** 2",
        1,
        _occupied_matrix,
        _apart,
        tensorflow="tf.linalg.matrix_transpose(tf.linalg.svd({0})[2]) ** 2",
    ),
    "qr": _algebra(
        "xp.abs(xp.linalg.qr({0})[1])", 1, _tall, _triangle_apart, tensorflow="tf.math.abs(tf.linalg.qr({0})[1])"
    ),
    "pinv": _algebra("xp.linalg.pinv({0})", 1, _occupied_matrix, _regular),
    "matrix_norm": _algebra(
        "xp.linalg.matrix_norm({0}, ord={ord})",
        1,
        _norm,
        _normed,
        tensorflow="tf_matrix_norm({0}, {ord})",
    ),
    "fft_real": _algebra(
        "xp.real(xp.fft.fft({0}))",
        1,
        _signal,
        tensorflow="tf.math.real(tf_fft({0}))",
    ),
    "rfft_size": _algebra(
        "xp.abs(xp.fft.rfft({0}))", 1, _signal, _spectrum, tensorflow="tf.math.abs(tf.signal.rfft({0}))"
    ),
    "irfft": _algebra(
        "xp.fft.irfft(xp.fft.rfft({0}) * xp.fft.rfft({0}))",
        1,
        _long_signal,
        tensorflow="tf.signal.irfft(tf.signal.rfft({0}) ** 2)",
    ),
}
