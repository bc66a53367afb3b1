"""Objectives of finance: option prices with their Greeks, portfolios, and yields of bonds.

*Black and Scholes.* A European call on a share of price S, with strike K, time T, rate r and volatility v, is worth::

    C = S N(a) - K e^(-r T) N(b),    a = (log(S/K) + (r + v^2/2) T) / (v sqrt T),    b = a - v sqrt T

with the normal distribution function N and its density f. Since ``S f(a) = K e^(-r T) f(b)``, its derivatives are::

    dC/dS = N(a),    dC/dv = S f(a) sqrt T,    dC/dT = S f(a) v/(2 sqrt T) + r K e^(-r T) N(b),
    dC/dr = K T e^(-r T) N(b)

*Risk parity.* The minimum of ``w'Sw/2 - sum b log w`` gives asset i the share b_i of the risk. Its gradient is
``S w - b/w``, its Hessian ``S + diag(b/w^2)``.

*Yield curve.* The rate at maturity t is ``b_0 + (b_1 + b_2) g - b_2 e^-x`` with ``x = t e^-s``, ``g = (1 - e^-x)/x``. A
bond is worth its payments, discounted by ``e^(-t rate)``. L is the mean square of the errors of prices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})


# ---- options


def _normal(x: Any, xp: Any) -> Any:
    return 0.5 * xp.special.erfc(-math.sqrt(0.5) * x)


def _calls(S: Any, v: Any, T: Any, r: Any, K: Any, held: Any, *, xp: Any) -> Any:
    spread = v * xp.sqrt(T)
    a = (xp.log(S / K) + (r + v * v / 2) * T) / spread
    return xp.sum(held * (S * _normal(a, xp) - K * xp.exp(-r * T) * _normal(a - spread, xp)))


def _greeks(S: Array, v: Array, T: Array, r: Array, K: Array, held: Array) -> tuple[Array, Array, Array, Any]:
    """Return delta, vega, the slope in T (minus theta), and rho."""
    from scipy.special import erfc

    spread = v * np.sqrt(T)
    a = (np.log(S / K) + (r + v * v / 2) * T) / spread
    density = np.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    paid = K * np.exp(-r * T) * erfc(-math.sqrt(0.5) * (a - spread)) / 2
    by_time = S * density * v / (2 * np.sqrt(T)) + r * paid
    delta = held * erfc(-math.sqrt(0.5) * a) / 2
    return delta, held * S * density * np.sqrt(T), held * by_time, np.sum(held * T * paid)


def _calls_inputs(rng: np.random.Generator, n: int) -> Inputs:
    inputs = rng.uniform(0.8, 1.2, n), rng.uniform(0.3, 0.6, n), rng.uniform(0.5, 2.0, n)
    return Inputs((*inputs, np.asarray(rng.uniform(0.01, 0.05))), (np.ones(n), rng.uniform(0.5, 1.5, n)))


# ---- a portfolio


def _parity(w: Any, S: Any, b: Any, *, xp: Any) -> Any:
    return xp.sum(w * xp.matmul(S, w)) / 2 - xp.sum(b * xp.log(w))


def _parity_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw weights, and covariances of n assets with a common market."""
    market = rng.uniform(0.5, 1.5, n)
    S = market[:, None] * market + np.diag(rng.uniform(0.5, 1.5, n))
    return Inputs((rng.uniform(0.2, 1.0, n),), (S, rng.uniform(0.5, 1.5, n)))


# ---- bonds

_PAYMENTS = 10


def _bonds(b: Any, s: Any, payments: Any, t: Any, prices: Any, *, xp: Any) -> Any:
    scaled = t * xp.exp(-s)
    decay = xp.exp(-scaled)
    rate = b[0] + (b[1] + b[2]) * (1 - decay) / scaled - b[2] * decay
    error = xp.matmul(payments, xp.exp(-t * rate)) - prices
    return xp.mean(error * error)


def _bonds_gradient(b: Array, s: Array, payments: Array, t: Array, prices: Array) -> tuple[Array, Any]:
    """Return the gradient; since ``dx/ds = -x``, ``dg/ds = g - e^-x`` and ``d(e^-x)/ds = x e^-x``."""
    scaled = t * np.exp(-s)
    decay = np.exp(-scaled)
    g = (1 - decay) / scaled
    factors = np.exp(-t * (b[0] + (b[1] + b[2]) * g - b[2] * decay))
    error = payments @ factors - prices
    by_rate = 2 / error.size * (error @ payments) * factors * -t
    by_s = (b[1] + b[2]) * (g - decay) - b[2] * scaled * decay
    return np.stack([np.sum(by_rate), np.sum(by_rate * g), np.sum(by_rate * (g - decay))]), np.sum(by_rate * by_s)


def _bonds_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n bonds that pay a coupon each year and 1 at the end, with prices near 1."""
    years = rng.integers(1, _PAYMENTS + 1, n)
    t = np.arange(1.0, _PAYMENTS + 1)
    payments = rng.uniform(0.01, 0.06, (n, 1)) * (t <= years[:, None]) + (t == years[:, None])
    b = np.array([0.04, -0.02, 0.01]) + rng.normal(scale=0.005, size=3)
    return Inputs((b, np.asarray(rng.normal(0.5, 0.2))), (payments, t, rng.uniform(0.7, 0.9, n)))


PROBLEMS = (
    Problem(
        name="black_scholes",
        title="finance: value of n call options; the gradient is their Greeks",
        source="Black and Scholes, Journal of Political Economy 81 (1973); Hull, chapter 19",
        sizes={"small": 5, "medium": 1000, "large": 100_000},
        inputs=_calls_inputs,
        objective=_calls,
        reference={Operator.GRADIENT: _greeks},
        suites=_FIELD,
    ),
    Problem(
        name="risk_parity",
        title="asset management: a portfolio of n assets with given shares of the risk",
        source="Maillard, Roncalli and Teiletche, Journal of Portfolio Management 36 (2010); Spinu (2013)",
        sizes={"small": 6, "medium": 100, "large": 1000},
        inputs=_parity_inputs,
        objective=_parity,
        reference={
            Operator.GRADIENT: lambda w, S, b: S @ w - b / w,
            Operator.HESSIAN: lambda w, S, b: S + np.diag(b / w**2),
        },
        suites=_FIELD,
    ),
    Problem(
        name="yield_curve",
        title="economics: a curve of interest rates fitted to the prices of n bonds",
        source="Nelson and Siegel, Journal of Business 60 (1987)",
        sizes={"small": 8, "medium": 500, "large": 50_000},
        inputs=_bonds_inputs,
        objective=_bonds,
        reference={Operator.GRADIENT: _bonds_gradient},
        suites=_FIELD,
    ),
)
