"""Likelihoods and posteriors of statistics: education, psychometrics, medicine, reliability, space, choice.

*Eight schools.* Effects ``theta_j = m + e^t z_j`` of coaching are measured as y_j with the errors s_j. With the priors
z_j ~ N(0, 1), m ~ N(0, 5), e^t ~ half-Cauchy(0, 5), minus the logarithm of the posterior is::

    L = 1/2 sum ((y_j - theta_j)/s_j)^2 + 1/2 |z|^2 + m^2/50 + log(1 + e^2t/25) - t

*Item response.* Person i solves item j with the probability ``expit(h)``, ``h_ij = e^a_j (theta_i - b_j)``. With
``softplus(h) = log(1 + e^h)`` and normal priors, ``L = sum softplus(h) - y h + (|theta|^2 + |b|^2)/2 + 2 |a|^2``. The
slope in h is ``expit(h) - y``.

*Cox.* At each death, the risk ``e^(X b)`` of the patient who died is compared with all who were still alive. With the
patients by decreasing time and d = 1 for a death, ``L = sum d_i (log sum_{j<=i} e^h_j - h_i)``, h = X b.

*Weibull.* A lifetime t with the shape ``k = e^s`` and the scale ``e^(X b)`` has ``z = k (log t - X b)`` and the
survival ``exp(-e^z)``. With d = 0 where the observation was ended before the failure,
``L = sum e^z - d (z + s)``, and the slope in z is ``e^z - d``.

*Disease mapping.* Counts y of regions are Poisson with the means ``E e^(m + u)``. The risk u has the precision
``Q = e^t (D - r W)``, with the adjacency W, the numbers of neighbours D, and ``r = expit(a)``::

    L = sum E e^(m+u) - y (m + u) + 1/2 u'Q u - n t/2 - 1/2 log det(D - r W) + (t^2 + a^2 + m^2)/2

*Mixed logit.* Tastes vary between people: ``beta = b + e^s z`` with the same normal draws z_r for all. The chance that
person n chooses as observed is the mean over r of ``softmax(X_n beta_r)`` at the chosen alternative.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import cholesky, solve
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})


def _softplus(x: Any, xp: Any) -> Any:
    return xp.logaddexp(xp.zeros_like(x), x)


def _expit(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


# ---- education: eight schools

_EFFECTS = (28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
_ERRORS = (15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)


def _schools(m: Any, t: Any, z: Any, y: Any, s: Any, *, xp: Any) -> Any:
    residual = (y - m - xp.exp(t) * z) / s
    prior = xp.sum(z * z) / 2 + m * m / 50 + xp.log1p(xp.exp(2 * t) / 25) - t
    return xp.sum(residual * residual) / 2 + prior


def _schools_gradient(m: Array, t: Array, z: Array, y: Array, s: Array) -> tuple[Any, ...]:
    spread = np.exp(t)
    pull = (y - m - spread * z) / s**2
    by_t = -spread * np.sum(pull * z) + 2 * spread**2 / (25 + spread**2) - 1
    return -np.sum(pull) + m / 25, by_t, z - spread * pull


def _schools_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw parameters for the eight schools, repeated to n."""
    m, t = rng.normal(4.0, 2.0), rng.normal(1.0, 0.5)
    return Inputs((np.asarray(m), np.asarray(t), rng.normal(size=n)), (np.resize(_EFFECTS, n), np.resize(_ERRORS, n)))


# ---- psychometrics: item response

_ITEMS = 12


def _responses(theta: Any, a: Any, b: Any, y: Any, *, xp: Any) -> Any:
    h = xp.exp(a) * (theta[:, None] - b)
    return xp.sum(_softplus(h, xp) - y * h) + (xp.sum(theta * theta) + xp.sum(b * b)) / 2 + 2 * xp.sum(a * a)


def _responses_gradient(theta: Array, a: Array, b: Array, y: Array) -> tuple[Array, ...]:
    h = np.exp(a) * (theta[:, None] - b)
    wrong = _expit(h) - y
    return wrong @ np.exp(a) + theta, np.sum(wrong * h, axis=0) + 4 * a, b - np.exp(a) * np.sum(wrong, axis=0)


def _responses_inputs(rng: np.random.Generator, n: int) -> Inputs:
    theta, b = rng.normal(size=n), rng.normal(size=_ITEMS)
    y = (rng.logistic(size=(n, _ITEMS)) < theta[:, None] - b).astype(float)
    return Inputs((rng.normal(size=n), rng.normal(scale=0.3, size=_ITEMS), rng.normal(size=_ITEMS)), (y,))


# ---- medicine and reliability: survival

_COVARIATES = 5


def _lifetimes(rng: np.random.Generator, n: int) -> tuple[Array, Array, Array]:
    """Draw covariates (n, p), logarithms of times (n,), and 1 for a death, 0 for an end of the observation."""
    X, truth = rng.normal(size=(n, _COVARIATES)), rng.normal(scale=0.3, size=_COVARIATES)
    times = np.log(rng.exponential(size=n)) - np.sum(X * truth, axis=1)
    return X, times, (rng.random(n) < 0.7).astype(float)


def _cox(b: Any, X: Any, died: Any, *, xp: Any) -> Any:
    h = xp.matmul(X, b)
    top = xp.max(h)
    at_risk = top + xp.log(xp.cumulative_sum(xp.exp(h - top)))
    return xp.sum(died * (at_risk - h))


def _cox_gradient(b: Array, X: Array, died: Array) -> Array:
    risk = np.exp(X @ b)
    # exp(h_j) is in the sums of all deaths i >= j.
    weights = np.cumsum((died / np.cumsum(risk))[::-1])[::-1]
    return np.asarray(X.T @ (risk * weights - died))


def _cox_inputs(rng: np.random.Generator, n: int) -> Inputs:
    X, times, died = _lifetimes(rng, n)
    order = np.argsort(-times)
    return Inputs((rng.normal(scale=0.5, size=_COVARIATES),), (X[order], died[order]))


def _weibull(b: Any, s: Any, X: Any, times: Any, failed: Any, *, xp: Any) -> Any:
    z = xp.exp(s) * (times - xp.matmul(X, b))
    return xp.sum(xp.exp(z) - failed * (z + s))


def _weibull_gradient(b: Array, s: Array, X: Array, times: Array, failed: Array) -> tuple[Array, Any]:
    z = np.exp(s) * (times - X @ b)
    slope = np.exp(z) - failed
    return -np.exp(s) * (X.T @ slope), np.sum(slope * z - failed)


def _weibull_inputs(rng: np.random.Generator, n: int) -> Inputs:
    X, times, failed = _lifetimes(rng, n)
    return Inputs((rng.normal(scale=0.3, size=_COVARIATES), np.asarray(rng.normal(scale=0.2))), (X, times, failed))


# ---- spatial statistics: disease mapping


def _risks(u: Any, m: Any, t: Any, a: Any, y: Any, E: Any, W: Any, D: Any, *, xp: Any) -> Any:
    structure = D - xp.special.expit(a) * W
    L = xp.linalg.cholesky(structure)
    prior = xp.exp(t) * xp.sum(u * xp.matmul(structure, u)) / 2 - u.shape[0] * t / 2
    prior = prior - xp.sum(xp.log(xp.linalg.diagonal(L))) + (t * t + a * a + m * m) / 2
    return xp.sum(E * xp.exp(m + u) - y * (m + u)) + prior


def _risks_value(u: Array, m: Array, t: Array, a: Array, y: Array, E: Array, W: Array, D: Array) -> Array:
    structure = D - _expit(a) * W
    prior = np.exp(t) * (u @ structure @ u) / 2 - u.size * t / 2 + (t * t + a * a + m * m) / 2
    half = np.sum(np.log(np.diagonal(cholesky(structure))))
    return np.asarray(np.sum(E * np.exp(m + u) - y * (m + u)) + prior - half)


def _risks_gradient(u: Array, m: Array, t: Array, a: Array, y: Array, E: Array, W: Array, D: Array) -> tuple[Any, ...]:
    """Return the gradient; ``d log det(D - r W) / dr = -tr((D - r W)^-1 W)``, and ``dr/da = r (1 - r)``."""
    r = _expit(a)
    structure = D - r * W
    excess, pulled = E * np.exp(m + u) - y, np.exp(t) * (structure @ u)
    by_r = (np.trace(solve(structure, W)) - np.exp(t) * (u @ W @ u)) / 2
    return excess + pulled, np.sum(excess) + m, (u @ pulled - u.size) / 2 + t, by_r * r * (1 - r) + a


def _risks_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw counts of n x n regions, each the neighbour of up to four."""
    path = np.eye(n, k=1) + np.eye(n, k=-1)
    W = np.kron(np.eye(n), path) + np.kron(path, np.eye(n))
    E = rng.uniform(2.0, 20.0, n * n)
    numbers = tuple(np.asarray(x) for x in rng.normal(scale=0.5, size=3))
    data = np.floor(E * rng.uniform(0.3, 2.0, n * n)), E, W, np.diag(W.sum(axis=1))
    return Inputs((rng.normal(scale=0.5, size=n * n), *numbers), data)


# ---- transport: mixed logit

_ALTERNATIVES, _ATTRIBUTES, _DRAWS = 4, 3, 16


def _choices(b: Any, s: Any, X: Any, chosen: Any, z: Any, *, xp: Any) -> Any:
    beta = b + xp.exp(s) * z
    utilities = xp.matmul(X, xp.matrix_transpose(beta))
    log_chances = xp.sum(chosen * utilities, axis=1) - xp.special.logsumexp(utilities, axis=1)
    return -xp.sum(xp.special.logsumexp(log_chances, axis=1) - math.log(z.shape[0]))


def _choices_gradient(b: Array, s: Array, X: Array, chosen: Array, z: Array) -> tuple[Array, Array]:
    """Return the gradient: with the weights w_nr of the draws, ``dL/dbeta_r = -sum_n w_nr (x_n,chosen - mean x_n)``."""
    utilities = X @ (b + np.exp(s) * z).T
    shares = np.exp(utilities - utilities.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    chances = np.sum(chosen * shares, axis=1)
    weights = chances / chances.sum(axis=1, keepdims=True)
    by_beta = -np.einsum("nr,njr,njk->rk", weights, chosen - shares, X)
    return by_beta.sum(axis=0), np.exp(s) * np.sum(by_beta * z, axis=0)


def _choices_inputs(rng: np.random.Generator, n: int) -> Inputs:
    X = rng.normal(size=(n, _ALTERNATIVES, _ATTRIBUTES))
    chosen = np.eye(_ALTERNATIVES)[rng.integers(_ALTERNATIVES, size=n)][:, :, None]
    mean, spread = rng.normal(scale=0.5, size=_ATTRIBUTES), rng.normal(-0.5, 0.3, _ATTRIBUTES)
    return Inputs((mean, spread), (X, chosen, rng.normal(size=(_DRAWS, _ATTRIBUTES))))


PROBLEMS = (
    Problem(
        name="eight_schools",
        title="education: posterior of the effects of coaching in n schools",
        source="Rubin, Journal of Educational Statistics 6 (1981); Gelman et al., Bayesian Data Analysis, section 5.5",
        sizes={"small": 8, "medium": 800, "large": 80_000},
        inputs=_schools_inputs,
        objective=_schools,
        reference={Operator.GRADIENT: _schools_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="item_response",
        title=f"psychometrics: two-parameter logistic model of n persons and {_ITEMS} items",
        source="Birnbaum, in Lord and Novick, Statistical Theories of Mental Test Scores (1968)",
        sizes={"small": 8, "medium": 500, "large": 20_000},
        inputs=_responses_inputs,
        objective=_responses,
        reference={Operator.GRADIENT: _responses_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="cox_regression",
        title="medicine: partial likelihood of the survival of n patients",
        source="Cox, Journal of the Royal Statistical Society B 34 (1972)",
        sizes={"small": 20, "medium": 2000, "large": 100_000},
        inputs=_cox_inputs,
        objective=_cox,
        reference={Operator.GRADIENT: _cox_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="weibull_survival",
        title="reliability: Weibull regression of n lifetimes, some of them censored",
        source="Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data, chapter 3",
        sizes={"small": 20, "medium": 2000, "large": 100_000},
        inputs=_weibull_inputs,
        objective=_weibull,
        reference={Operator.GRADIENT: _weibull_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="disease_mapping",
        title="spatial statistics: counts of a disease in n x n regions with a conditional autoregression",
        source="Besag, York and Mollie, Annals of the Institute of Statistical Mathematics 43 (1991)",
        sizes={"small": 3, "medium": 10, "large": 22},
        inputs=_risks_inputs,
        objective=_risks,
        reference={Operator.VALUE: _risks_value, Operator.GRADIENT: _risks_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="mixed_logit",
        title=f"transport: simulated likelihood of n travellers' choices among {_ALTERNATIVES} modes",
        source="Train, Discrete Choice Methods with Simulation, chapter 6",
        sizes={"small": 8, "medium": 500, "large": 20_000},
        inputs=_choices_inputs,
        objective=_choices,
        reference={Operator.GRADIENT: _choices_gradient},
        suites=_FIELD,
    ),
)
