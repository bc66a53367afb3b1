"""Likelihoods of three regressions whose functions are those of mathematical statistics, ``xp.special``.

For a design X (n, p), coefficients b (p,) and linear predictors e = X b, each is minus the logarithm of a likelihood of
n observations y. With the slope s of one observation's log-likelihood in e, the gradient in b is ``-X^T s``.

==================  ==================================================  ===============================================
regression          log-likelihood of one observation                   s
==================  ==================================================  ===============================================
negative binomial   lgamma(y + r) - lgamma(r) - lgamma(y + 1)           r (y - m) / (r + m)
                    + r log(r / (r + m)) + y log(m / (r + m)),
                    m = exp(e), r = exp(t)
beta                lgamma(q) - lgamma(m q) - lgamma((1 - m) q)         q m (1 - m) (logit(y) - digamma(m q)
                    + (m q - 1) log y + ((1 - m) q - 1) log(1 - y),     + digamma((1 - m) q))
                    m = expit(e), q = exp(t)
probit              log F(z), z = e or -e for y = 1 or 0,               +-f(z) / F(z)
                    F(z) = erfc(-z / sqrt 2) / 2                        f(z) = exp(-z^2 / 2) / sqrt(2 pi)
==================  ==================================================  ===============================================

t is the logarithm of the dispersion r or of the precision q; it is differentiated too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_COEFFICIENTS = 4
_SIZES = {"small": 50, "medium": 2000, "large": 100_000}


def _design(rng: np.random.Generator, n: int) -> tuple[Array, Array, Array]:
    """Return coefficients (p,), a design (n, p) whose first column is 1, and the linear predictors (n,)."""
    beta = rng.normal(scale=0.5, size=_COEFFICIENTS)
    design = np.concatenate([np.ones((n, 1)), rng.normal(size=(n, _COEFFICIENTS - 1))], axis=1)
    return beta, design, design @ beta


def _counts(rng: np.random.Generator, n: int) -> Inputs:
    beta, design, predictors = _design(rng, n)
    counts = np.floor(rng.exponential(size=n) * np.exp(np.clip(predictors, -3, 3)))
    return Inputs((beta, np.asarray(rng.normal(scale=0.5))), (design, counts))


def _negative_binomial(beta: Any, t: Any, design: Any, y: Any, *, xp: Any) -> Any:
    e, lgamma = xp.matmul(design, beta), xp.special.lgamma
    r, total = xp.exp(t), xp.logaddexp(xp.broadcast_to(t, e.shape), e)
    gammas = lgamma(y + r) - lgamma(r) - lgamma(y + 1.0)
    return -xp.sum(gammas + r * (t - total) + y * (e - total))


def _negative_binomial_gradient(beta: Array, t: Array, design: Array, y: Array) -> tuple[Array, Array]:
    """Return the gradients in b and t: r times the slope of the log-likelihood in r."""
    from scipy.special import digamma

    r, m = np.exp(t), np.exp(design @ beta)
    dispersion = digamma(y + r) - digamma(r) + t + 1 - np.log(r + m) - (r + y) / (r + m)
    return -design.T @ (r * (y - m) / (r + m)), np.asarray(-r * np.sum(dispersion))


def _fractions(rng: np.random.Generator, n: int) -> Inputs:
    beta, design, predictors = _design(rng, n)
    centre = 1 / (1 + np.exp(-predictors))
    fractions = np.clip(centre + 0.1 * rng.normal(size=n), 0.01, 0.99)
    return Inputs((beta, np.asarray(1.0 + rng.random())), (design, fractions))


def _beta(beta: Any, t: Any, design: Any, y: Any, *, xp: Any) -> Any:
    e, lgamma = xp.matmul(design, beta), xp.special.lgamma
    q = xp.exp(t)
    a, b = xp.special.expit(e) * q, xp.special.expit(-e) * q
    return -xp.sum(lgamma(q) - lgamma(a) - lgamma(b) + (a - 1.0) * xp.log(y) + (b - 1.0) * xp.log1p(-y))


def _beta_gradient(beta: Array, t: Array, design: Array, y: Array) -> tuple[Array, Array]:
    """Return the gradients in b and t: q times the slope of the log-likelihood in q."""
    from scipy.special import digamma

    e, q = design @ beta, np.exp(t)
    m, rest = 1 / (1 + np.exp(-e)), 1 / (1 + np.exp(e))
    up, down = np.log(y) - digamma(m * q), np.log1p(-y) - digamma(rest * q)
    slope = q * m * rest * (up - down)
    return -design.T @ slope, np.asarray(-q * np.sum(digamma(q) + m * up + rest * down))


def _signs(rng: np.random.Generator, n: int) -> Inputs:
    beta, design, predictors = _design(rng, n)
    return Inputs((beta,), (design, np.where(predictors + rng.normal(size=n) > 0, 1.0, -1.0)))


def _probit(beta: Any, design: Any, signs: Any, *, xp: Any) -> Any:
    z = signs * xp.matmul(design, beta)
    return -xp.sum(xp.log(0.5 * xp.special.erfc(z * -math.sqrt(0.5))))


def _probit_gradient(beta: Array, design: Array, signs: Array) -> Array:
    from scipy.special import erfc

    z = signs * (design @ beta)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return np.asarray(-design.T @ (signs * density / (0.5 * erfc(-z * math.sqrt(0.5)))))


def _problem(
    name: str, source: str, inputs: Callable[..., Inputs], objective: Callable[..., Any], gradient: Callable[..., Any]
) -> Problem:
    return Problem(
        name=f"{name}_regression",
        title=f"minus the log-likelihood of a {name.replace('_', ' ')} regression with {_COEFFICIENTS} coefficients",
        source=source,
        sizes=_SIZES,
        inputs=inputs,
        objective=objective,
        operators=SCALAR,
        reference={Operator.GRADIENT: gradient},
        suites=frozenset({"tests"}),
    )


PROBLEMS = (
    _problem(
        "negative_binomial",
        "J. M. Hilbe 2011, Negative Binomial Regression, 2nd ed., model NB2",
        _counts, _negative_binomial, _negative_binomial_gradient,
    ),
    _problem(
        "beta",
        "S. Ferrari and F. Cribari-Neto 2004, J. Applied Statistics 31, 799-815",
        _fractions, _beta, _beta_gradient,
    ),
    _problem("probit", "C. I. Bliss 1934, Science 79, 38-39", _signs, _probit, _probit_gradient),
)  # fmt: skip
