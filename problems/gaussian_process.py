"""The negative log marginal likelihood of a Gaussian process, in the logarithms of its hyper-parameters.

With log length scales l, log height h and log noise s, the covariance of n points is::

    K_ij = exp(2 h - sum_k (x_ik - x_jk)^2 exp(-2 l_k) / 2) + exp(2 s) [i = j]
    L    = 1/2 y^T K^-1 y + 1/2 log det K + n/2 log 2 pi

The objective uses the Cholesky factor C of K: ``y^T K^-1 y = |C^-1 y|^2`` and ``1/2 log det K = sum log C_ii``.

Since ``dK^-1 = -K^-1 dK K^-1`` and ``d log det K = tr(K^-1 dK)``, with ``a = K^-1 y``::

    dL = 1/2 tr((K^-1 - a a^T) dK)      (Rasmussen and Williams, equation 5.9)
    dK/dl_k = S * (x_ik - x_jk)^2 exp(-2 l_k),    dK/dh = 2 S,    dK/ds = 2 exp(2 s) I

where S is the first, smooth summand of K and * is the elementwise product.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import cholesky, solve
from autodiff_compare.vocabulary import Operator


def _negative_log_likelihood(lengths: Any, height: Any, noise: Any, X: Any, y: Any, *, xp: Any) -> Any:
    scaled = X * xp.exp(-lengths)
    difference = xp.expand_dims(scaled, axis=1) - xp.expand_dims(scaled, axis=0)
    K = xp.exp(2 * height - xp.sum(difference * difference, axis=2) / 2)
    K = K + xp.exp(2 * noise) * xp.eye(y.shape[0], dtype=y.dtype)
    L = xp.linalg.cholesky(K)
    z = xp.linalg.solve(L, y)
    return xp.sum(z * z) / 2 + xp.sum(xp.log(xp.linalg.diagonal(L))) + y.shape[0] / 2 * math.log(2 * math.pi)


def _covariance(lengths: Array, height: Array, noise: Array, X: Array) -> tuple[Array, Array, Array]:
    """Return the smooth part of K, K itself, and the squared scaled differences of each coordinate, (n, n, d)."""
    squares = ((X[:, None, :] - X[None, :, :]) * np.exp(-lengths)) ** 2
    smooth = np.exp(2 * height - np.sum(squares, axis=2) / 2)
    return smooth, smooth + np.exp(2 * noise) * np.eye(X.shape[0], dtype=X.dtype), squares


def _value(lengths: Array, height: Array, noise: Array, X: Array, y: Array) -> Array:
    K = _covariance(lengths, height, noise, X)[1]
    diagonal = np.diagonal(cholesky(K))
    pi = np.arccos(-np.ones_like(height))  # in the dtype, of which math.pi has the digits of a float64 only
    constant = y.size * np.log(2 * pi) / 2
    return np.asarray(y @ solve(K, y) / 2 + np.sum(np.log(diagonal)) + constant)


def _gradient(lengths: Array, height: Array, noise: Array, X: Array, y: Array) -> tuple[Array, Array, Array]:
    smooth, K, squares = _covariance(lengths, height, noise, X)
    inverse = solve(K, np.eye(y.size, dtype=y.dtype))
    a = inverse @ y
    M = (inverse - np.multiply.outer(a, a)) / 2
    by_lengths = np.einsum("ij,ijk->k", M * smooth, squares)
    return by_lengths, 2 * np.sum(M * smooth), 2 * np.exp(2 * noise) * np.trace(M)


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw points in the unit cube, with enough noise that float32 can factor the covariance."""
    X = rng.random((n, 3))
    y = np.sin(6 * X[:, 0]) + X[:, 1] ** 2 + 0.3 * rng.normal(size=n)
    lengths, height, noise = rng.uniform(-1.0, 0.0, 3), rng.uniform(-0.5, 0.5), rng.uniform(-1.5, -0.5)
    return Inputs((lengths, np.asarray(height), np.asarray(noise)), (X, y))


PROBLEM = Problem(
    name="gaussian_process",
    title="negative log marginal likelihood of n points, in length scales, height and noise",
    source="Rasmussen and Williams, Gaussian Processes for Machine Learning, equations (2.30) and (5.9)",
    sizes={"small": 8, "medium": 100, "large": 500},
    inputs=_inputs,
    objective=_negative_log_likelihood,
    reference={Operator.VALUE: _value, Operator.GRADIENT: _gradient},
    suites=frozenset({"tests"}),
)
