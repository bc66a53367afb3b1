"""The determinant of a matrix: by recursive minors, a program of l! terms, and by linalg.det.

By Jacobi's formula, with ``B = A^{-T}``::

    d det(A) / dA_ij = det(A) B_ij
    d^2 det(A) / dA_ij dA_kl = det(A) (B_ij B_kl - B_il B_kj)

The second line differentiates B by ``dB = -B dA^T B``, whose entry (i, j) along E_kl is ``-B_il B_kj``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import det, solve
from autodiff_compare.vocabulary import Operator

_SOURCE = "GradBench, evaluation det: entries in [0, 1), l = 5 ... 11; gradient det(A) A^{-T}"


def _by_minors(A: Any, *, xp: Any) -> Any:
    return _minors(xp.reshape(A, (1, *A.shape)), xp)[0]


def _minors(A: Any, xp: Any) -> Any:
    """Return the determinants (k,) of k matrices (k, m, m), by expansion along their first rows.

    All l!/m! minors of one size are in one array. The arithmetic is that of the recursion, but a system that
    records or traces sees l levels instead of l! terms.
    """
    k, m, _ = A.shape
    if m == 1:
        return A[:, 0, 0]
    kept = [column for left_out in range(m) for column in range(m) if column != left_out]
    below = xp.reshape(xp.take(A[:, 1:, :], xp.asarray(kept), axis=2), (k, m - 1, m, m - 1))
    minors = xp.reshape(_minors(xp.reshape(xp.permute_dims(below, (0, 2, 1, 3)), (k * m, m - 1, m - 1)), xp), (k, m))
    terms = A[:, 0, :] * minors
    return xp.sum(terms[:, 0::2], axis=1) - xp.sum(terms[:, 1::2], axis=1)


def _by_elimination(A: Any, *, xp: Any) -> Any:
    return xp.linalg.det(A)


def _inverse_transposed(A: Array) -> Array:
    return solve(A.T, np.eye(A.shape[0], dtype=A.dtype))


def _gradient(A: Array) -> Array:
    return np.asarray(det(A) * _inverse_transposed(A))


def _hessian(A: Array) -> Array:
    """Return ``H[i, j, k, l] = det(A) (B[i, j] B[k, l] - B[i, l] B[k, j])``."""
    B = _inverse_transposed(A)
    pairs = np.multiply.outer(B, B)
    return np.asarray(det(A) * (pairs - pairs.transpose(0, 3, 2, 1)))


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.random((n, n)),))


_REFERENCE = {Operator.VALUE: det, Operator.GRADIENT: _gradient, Operator.HESSIAN: _hessian}

PROBLEMS = (
    Problem(
        name="det",
        title="determinant of an l x l matrix by recursive minors: l! terms",
        source=_SOURCE,
        sizes={"small": 5, "medium": 7, "large": 10},
        inputs=_inputs,
        objective=_by_minors,
        operators=SCALAR - {Operator.HESSIAN},
        reference=_REFERENCE,
        suites=frozenset({"gradbench"}),
    ),
    Problem(
        name="det_linalg",
        title="determinant of an l x l matrix by the framework's linalg.det",
        source=_SOURCE,
        sizes={"small": 5, "medium": 10, "large": 30},
        inputs=_inputs,
        objective=_by_elimination,
        reference=_REFERENCE,
        suites=frozenset({"gradbench"}),
    ),
)
