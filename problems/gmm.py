"""The log-posterior of a Gaussian mixture with a Wishart prior on its precisions, as in ADBench and GradBench.

Component k has the weight ``exp(alpha_k) / sum exp(alpha)``, the mean ``mu_k`` and the precision ``Q_k^T Q_k``.
The factor ``Q_k`` is lower triangular: ``exp(q_k)`` on its diagonal, ``l_k`` below it, column by column. With
``v_ki = alpha_k + sum q_k - 1/2 ||Q_k (x_i - mu_k)||^2`` the logarithm of the likelihood is::

    LL = -n d/2 log 2 pi - n LSE(alpha) + sum_i LSE_k(v_ki)

and that of the prior, with ``n' = d + m + 1`` and the logarithm of the d-variate gamma function::

    P = sum_k [gamma^2/2 (||exp q_k||^2 + ||l_k||^2) - m sum q_k] - k [n' d log(gamma/sqrt 2) - log Gamma_d(n'/2)]

ADBench adds P to LL, GradBench subtracts it. They are two problems, whose values must not be compared.

The gradient, with the responsibilities ``r_ki = softmax_k(v_ki)`` and ``y_ki = Q_k (x_i - mu_k)``::

    dLL/dalpha_k = sum_i r_ki - n softmax(alpha)_k
    dLL/dmu_k    = Q_k^T sum_i r_ki y_ki
    dLL/dQ_k     = -sum_i r_ki y_ki (x_i - mu_k)^T =: D_k
    dLL/dq_k     = diag(D_k) exp(q_k) + sum_i r_ki,    dLL/dl_k = the entries of D_k below its diagonal
    dP/dq_k      = gamma^2 exp(2 q_k) - m,    dP/dl_k = gamma^2 l_k
"""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Instances, Problem
from autodiff_compare.problems.base.complex_step import hessian_products
from autodiff_compare.problems.base.instances import gmm as instance
from autodiff_compare.vocabulary import Operator

#: Size, the number of parameters -> (d, k, n).
_SHAPES = {30: (2, 5, 100), 1650: (10, 25, 1000), 53_625: (64, 25, 10_000)}


def _posterior(
    alphas: Any, means: Any, factors: Any, points: Any, places: Any, *, xp: Any, gamma: float, m: int, sign: int
) -> Any:
    k, d = means.shape
    n = points.shape[0]
    logarithms, below = factors[:, :d], factors[:, d:]
    diagonal = xp.exp(logarithms)
    Q = _triangular(diagonal, below, places, xp)
    # y_ki = [Q_k, -Q_k mu_k] (x_i, 1) for all k and i is one matrix product; x_i - mu_k is never stored.
    moved = xp.concat([Q, -xp.matmul(Q, xp.reshape(means, (k, d, 1)))], axis=2)
    homogeneous = xp.concat([points, xp.ones((n, 1), dtype=points.dtype)], axis=1)
    y = xp.reshape(xp.matmul(xp.reshape(moved, (k * d, d + 1)), xp.matrix_transpose(homogeneous)), (k, d, n))
    determinants = xp.sum(logarithms, axis=1)
    v = xp.reshape(alphas + determinants, (k, 1)) - 0.5 * xp.sum(y * y, axis=1)
    likelihood = xp.sum(_log_sum_exp(v, xp)) - n * _log_sum_exp(alphas, xp) - 0.5 * n * d * math.log(2 * math.pi)
    squares = xp.sum(diagonal * diagonal) + xp.sum(below * below)
    prior = 0.5 * gamma**2 * squares - m * xp.sum(determinants) - k * _normalisation(d, gamma, m)
    return likelihood + sign * prior


def _triangular(diagonal: Any, below: Any, places: Any, xp: Any) -> Any:
    """Return the factors as matrices (k, d, d); ``places`` indexes (diagonal, below, a zero) for each entry."""
    k, d = diagonal.shape
    packed = xp.concat([diagonal, below, xp.zeros((k, 1), dtype=diagonal.dtype)], axis=1)
    return xp.reshape(xp.take(packed, places, axis=1), (k, d, d))


def _log_sum_exp(v: Any, xp: Any) -> Any:
    """Return log sum exp over the first axis, shifted by the largest entry so that nothing overflows."""
    top = xp.max(v, axis=0)
    return top + xp.log(xp.sum(xp.exp(v - top), axis=0))


def _normalisation(d: int, gamma: float, m: int) -> float:
    """Return ``n' d log(gamma/sqrt 2) - log Gamma_d(n'/2)`` with ``n' = d + m + 1``.

    ``log Gamma_d(a) = d (d - 1)/4 log pi + sum over j < d of log Gamma(a - j/2)``.
    """
    n = d + m + 1
    gammas = sum(math.lgamma((n - j) / 2) for j in range(d))
    return n * d * (math.log(gamma) - 0.5 * math.log(2)) - (d * (d - 1) / 4 * math.log(math.pi) + gammas)


def _gradient(
    alphas: Array, means: Array, factors: Array, points: Array, places: Array, *, gamma: float, m: int, sign: int
) -> tuple[Array, Array, Array]:
    k, d = means.shape
    n = points.shape[0]
    Q = _triangular(np.exp(factors[:, :d]), factors[:, d:], places, np)
    y = Q @ points.T - Q @ means[:, :, None]
    v = (alphas + factors[:, :d].sum(axis=1))[:, None] - (y * y).sum(axis=1) / 2
    r = _softmax(v)
    pulled, total = (y @ r[:, :, None])[:, :, 0], r.sum(axis=1)
    dQ = -((y * r[:, None]) @ points - pulled[:, :, None] * means[:, None])
    # Scatter dQ to the packed entries; those above the diagonal belong to the constant zero, in the last place.
    back = np.zeros((k, d * (d + 1) // 2 + 1), dtype=factors.dtype)
    back[:, places] = dQ.reshape(k, d * d)
    dfactors = back[:, :-1]
    dfactors[:, :d] = dfactors[:, :d] * np.exp(factors[:, :d]) + total[:, None]
    dfactors[:, :d] += sign * (gamma**2 * np.exp(2 * factors[:, :d]) - m)
    dfactors[:, d:] += sign * gamma**2 * factors[:, d:]
    return total - n * _softmax(alphas), (pulled[:, None] @ Q)[:, 0], dfactors


def _softmax(v: Array) -> Array:
    """Return the softmax over the first axis."""
    e = np.exp(v - v.max(axis=0))
    return np.asarray(e / e.sum(axis=0))


def _places(d: int) -> Array:
    """Return for each entry of a d x d matrix, in C order, its index into (q, l, a zero)."""
    last = d * (d + 1) // 2
    places = np.full((d, d), last)
    np.fill_diagonal(places, np.arange(d))
    # Indices row by row above the diagonal, exchanged, run column by column below it.
    columns, rows = np.triu_indices(d, 1)
    places[rows, columns] = np.arange(d, last)
    return places.ravel()


def _inputs(sign: int, rng: np.random.Generator, n: int) -> Inputs:
    """Draw inputs as GradBench does: means uniform, all else normal; gamma 1, m 0."""
    d, k, count = _SHAPES[n]
    alphas, means = rng.normal(size=k), rng.random((k, d))
    factors, points = rng.normal(size=(k, d * (d + 1) // 2)), rng.normal(size=(count, d))
    return Inputs((alphas, means, factors), (points, _places(d)), {"gamma": 1.0, "m": 0, "sign": sign})


def _from_file(sign: int, path: pathlib.Path) -> Inputs:
    found = instance.read(path)
    return Inputs(
        (found.alphas, found.means, found.factors),
        (found.points, _places(found.means.shape[1])),
        {"gamma": found.gamma, "m": found.m, "sign": sign},
    )


def _problem(name: str, sign: int, suite: str, words: str) -> Problem:
    return Problem(
        name=name,
        title=f"Gaussian mixture: {words}",
        source=f"{words}; sizes (d, k, n): {', '.join(map(str, _SHAPES.values()))}",
        sizes=dict(zip(("small", "medium", "large"), _SHAPES, strict=True)),
        inputs=lambda rng, n: _inputs(sign, rng, n),
        objective=_posterior,
        # No Hessian: with up to two million parameters it would have 4e12 entries. Its products are used instead.
        operators=SCALAR - {Operator.HESSIAN},
        reference={Operator.GRADIENT: _gradient, Operator.HVP: hessian_products(_gradient, 3)},
        samples=(3,),
        suites=frozenset({suite}),
        instances=Instances("gmm_d*_K*.txt", lambda path: _from_file(sign, path)),
    )


PROBLEMS = (
    _problem("gmm", -1, "gradbench", "log-likelihood minus log-prior, as in GradBench"),
    _problem("gmm_adbench", +1, "adbench", "log-likelihood plus log-prior, as in ADBench (Srajer et al. 2018)"),
)
