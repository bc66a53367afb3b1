"""Objectives over sequences: returns, tracks, earthquakes, speech, words and movements.

*GARCH.* Returns r_t have the variances ``h_t = w + a e_{t-1}^2 + b h_{t-1}``, ``e_t = r_t - m``. With ``w = e^p``,
``a = e^q / (1 + e^q + e^s)`` and ``b = e^s / (1 + e^q + e^s)`` they stay positive and stationary.
``L = 1/2 sum log h_t + e_t^2/h_t``, and h_0 = 1.

*Kalman.* A target of position and velocity x moves by ``F = [[1, 1], [0, 1]]`` with the noise
``e^q [[1/3, 1/2], [1/2, 1]]`` of a random acceleration. Its position is measured with the variance e^r. The filter
predicts the mean m and the covariance P, and corrects them by the innovation v of variance S::

    v = y - m_0,  S = P_00 + e^r,  k = P_0/S,  m <- m + k v,  P <- P - S k k',    L = 1/2 sum log S + v^2/S

*Hawkes.* Every earthquake t_j raises the rate of others: ``l(t) = m + a sum_{t_j < t} b exp(-b (t - t_j))``. With the
logarithms of m, a and b as parameters and the period [0, T],
``L = m T + a sum_j (1 - exp(-b (T - t_j))) - sum_i log l(t_i)``.

*HMM.* The forward algorithm adds, in logarithms, over the hidden states before the state j of each symbol o::

    f_j <- log sum_i exp(f_i + A_ij) + B_jo,    L = -log sum_j exp(f_j)

with rows of A and of B normalised, as the start.

*CRF.* A sequence of labels y has the score ``sum_t U_t,y_t + sum_t T_{y_t-1, y_t}``, ``U = X W``. The logarithm of the
sum of the exponentials of all scores comes from the recursion of the HMM; L is its excess over the score of y, plus the
penalty ``(|W|^2 + |T|^2)/20``.

*Soft-DTW.* The cost of aligning x with y, where ``softmin(c) = -g log sum exp(-c/g)`` replaces the minimum::

    R_ij = |x_i - y_j|^2 + softmin(R_{i-1,j-1}, R_{i-1,j}, R_{i,j-1})

A scan goes over the anti-diagonals, whose entries do not depend on each other. Places outside the matrix have a large
cost, which no path takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})
Scan = Callable[..., Any]


# ---- econometrics: GARCH


def _garch(m: Any, w: Any, shares: Any, r: Any, *, scan: Scan, xp: Any) -> Any:
    weights = xp.exp(shares) / (1 + xp.sum(xp.exp(shares)))
    e = r - m
    squares = e * e

    def advance(h: Any, square: Any) -> tuple[Any, Any]:
        return xp.exp(w) + weights[0] * square + weights[1] * h, h

    _, h = scan(advance, xp.ones_like(w), squares)
    return xp.sum(xp.log(h) + squares / h) / 2


def _garch_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw returns of a process with volatility clusters, and parameters near its own."""
    h, r = 1.0, []
    for z in rng.normal(size=n):
        r.append(z * h**0.5)
        h = 0.1 + 0.15 * r[-1] ** 2 + 0.75 * h
    m, w = rng.normal(scale=0.1), rng.normal(-1.5, 0.3)
    return Inputs((np.asarray(m), np.asarray(w), rng.normal(size=2) + np.array([0.0, 1.0])), (np.array(r),))


# ---- navigation: a Kalman filter


def _filter(q: Any, r: Any, start: Any, y: Any, F: Any, Q: Any, P: Any, *, scan: Scan, xp: Any) -> Any:
    def advance(state: Any, measured: Any) -> tuple[Any, Any]:
        m, P = state
        v, S = measured - m[0], P[0, 0] + xp.exp(r)
        k = P[:, 0] / S
        P = P - S * k[:, None] * k
        predicted = xp.matmul(F, m + k * v), xp.matmul(xp.matmul(F, P), xp.matrix_transpose(F)) + xp.exp(q) * Q
        return predicted, xp.log(S) + v * v / S

    return xp.sum(scan(advance, (start, P), y)[1]) / 2


def _filter_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n measured positions of a target that is accelerated at random, and parameters near its own."""
    velocity = np.cumsum(rng.normal(scale=0.3, size=n))
    y = np.cumsum(velocity) + rng.normal(size=n)
    q, r = rng.normal(-2.0, 0.5), rng.normal(0.0, 0.5)
    F, Q = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    return Inputs((np.asarray(q), np.asarray(r), rng.normal(size=2)), (y, F, Q, 4 * np.eye(2)))


# ---- seismology: a Hawkes process


def _hawkes(m: Any, a: Any, b: Any, gaps: Any, earlier: Any, left: Any, T: Any, *, xp: Any) -> Any:
    decay = xp.exp(b)
    rates = xp.exp(m) + xp.exp(a) * decay * xp.sum(earlier * xp.exp(-decay * gaps), axis=1)
    return xp.exp(m) * T - xp.exp(a) * xp.sum(xp.expm1(-decay * left)) - xp.sum(xp.log(rates))


def _hawkes_gradient(
    m: Array, a: Array, b: Array, gaps: Array, earlier: Array, left: Array, T: Array
) -> tuple[Any, ...]:
    """Return the gradient; along b, a term ``b exp(-b s)`` grows by ``b (1 - b s) exp(-b s)``."""
    base, number, decay = np.exp(m), np.exp(a), np.exp(b)
    terms = earlier * np.exp(-decay * gaps)
    raised = number * decay * terms.sum(axis=1)
    rates = base + raised
    by_b = number * decay * np.sum(terms * (1 - decay * gaps), axis=1)
    compensated = number * decay * np.sum(left * np.exp(-decay * left))
    return (
        base * T - np.sum(base / rates),
        -number * np.sum(np.expm1(-decay * left)) - np.sum(raised / rates),
        compensated - np.sum(by_b / rates),
    )


def _hawkes_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n times in clusters, and give the gaps between them."""
    times = np.cumsum(rng.exponential(size=n) * np.where(rng.random(n) < 0.3, 2.0, 0.2))
    earlier = np.tri(n, k=-1)
    gaps, T = earlier * (times[:, None] - times), times[-1] + 0.5
    numbers = rng.normal([-0.5, -0.7, 0.7], 0.2)
    return Inputs(tuple(np.asarray(x) for x in numbers), (gaps, earlier, T - times, np.asarray(T)))


# ---- speech: a hidden Markov model

_SYMBOLS = 6


def _forward(start: Any, A: Any, B: Any, seen: Any, *, scan: Scan, xp: Any) -> Any:
    total = xp.special.logsumexp
    A = A - total(A, axis=1, keepdims=True)
    emitted = xp.matrix_transpose(xp.take(B - total(B, axis=1, keepdims=True), seen, axis=1))

    def advance(f: Any, b: Any) -> tuple[Any, Any]:
        return total(f[:, None] + A, axis=0) + b, None

    f, _ = scan(advance, start - total(start) + emitted[0, :], emitted[1:, :])
    return -total(f)


def _forward_inputs(rng: np.random.Generator, n: int) -> Inputs:
    k = 3
    return Inputs(
        (rng.normal(size=k), rng.normal(size=(k, k)) + 2 * np.eye(k), rng.normal(size=(k, _SYMBOLS))),
        (rng.integers(_SYMBOLS, size=n),),
    )


# ---- language: a conditional random field


def _labels(W: Any, T: Any, X: Any, labels: Any, *, scan: Scan, xp: Any) -> Any:
    U = xp.matmul(X, W)

    def advance(f: Any, u: Any) -> tuple[Any, Any]:
        return xp.special.logsumexp(f[:, None] + T, axis=0) + u, None

    f, _ = scan(advance, U[0, :], U[1:, :])
    score = xp.sum(labels * U) + xp.sum(xp.matmul(labels[:-1, :], T) * labels[1:, :])
    return xp.special.logsumexp(f) - score + (xp.sum(W * W) + xp.sum(T * T)) / 20


def _labels_inputs(rng: np.random.Generator, n: int) -> Inputs:
    features, k = 4, 3
    labels = np.eye(k)[rng.integers(k, size=n)]
    return Inputs((rng.normal(size=(features, k)), rng.normal(size=(k, k))), (rng.normal(size=(n, features)), labels))


# ---- movement: soft dynamic time warping

#: The cost outside the matrix: its exponential vanishes in any precision.
_OUTSIDE = 2e4
_SMOOTHING = 0.5


def _alignment(x: Any, y: Any, places: Any, *, scan: Scan, xp: Any) -> Any:
    gaps = x[:, None, :] - y
    costs = xp.concat([xp.reshape(xp.sum(gaps * gaps, axis=2), (-1,)), xp.full((1,), _OUTSIDE, dtype=x.dtype)])
    diagonals = xp.reshape(xp.take(costs, xp.reshape(places, (-1,)), axis=0), places.shape)
    outside = xp.full((x.shape[0],), _OUTSIDE, dtype=x.dtype)

    def advance(state: Any, cost: Any) -> tuple[Any, Any]:
        before, last = state
        ways = xp.stack([before[:-1], last[:-1], last[1:]])
        found = cost - _SMOOTHING * xp.special.logsumexp(-ways / _SMOOTHING, axis=0)
        return (last, xp.concat([outside[:1], found])), None

    beginning = xp.concat([xp.zeros_like(outside[:1]), outside])
    (_, last), _ = scan(advance, (beginning, xp.concat([outside[:1], outside])), diagonals)
    return last[-1]


def _alignment_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw two curves in the plane, and the place of entry i of each anti-diagonal; n * n stands for outside."""
    rows, columns = np.arange(n), np.arange(2 * n - 1)[:, None] - np.arange(n)
    places = np.where((columns >= 0) & (columns < n), rows * n + columns, n * n)
    x, y = np.cumsum(rng.normal(scale=0.5, size=(2, n, 2)), axis=1)
    return Inputs((x,), (y, places))


def _problem(
    name: str,
    title: str,
    source: str,
    sizes: tuple[int, int, int],
    inputs: Callable[..., Inputs],
    objective: Callable[..., Any],
) -> Problem:
    return Problem(
        name=name,
        title=title,
        source=source,
        sizes=dict(zip(("small", "medium", "large"), sizes, strict=True)),
        inputs=inputs,
        objective=objective,
        # Second derivatives through a loop are taken along vectors: TensorFlow traces a whole Hessian for a minute.
        operators=SCALAR - {Operator.HESSIAN},
        suites=_FIELD,
        uses=("scan",),
    )


PROBLEMS = (
    _problem(
        "garch",
        "econometrics: likelihood of a GARCH(1, 1) model of n returns",
        "Bollerslev, Journal of Econometrics 31 (1986)",
        (8, 500, 5000),
        _garch_inputs,
        _garch,
    ),
    _problem(
        "kalman_filter",
        "navigation: likelihood of n measured positions of a moving target",
        "Kalman, Journal of Basic Engineering 82 (1960); Bar-Shalom, Li, Kirubarajan (2001), section 6.3",
        (5, 200, 2000),
        _filter_inputs,
        _filter,
    ),
    Problem(
        name="hawkes_process",
        title="seismology: likelihood of n earthquakes that trigger each other",
        source="Hawkes, Biometrika 58 (1971); Ogata, Annals of the Institute of Statistical Mathematics 30 (1978)",
        sizes={"small": 10, "medium": 200, "large": 2000},
        inputs=_hawkes_inputs,
        objective=_hawkes,
        reference={Operator.GRADIENT: _hawkes_gradient},
        suites=_FIELD,
    ),
    _problem(
        "hidden_markov",
        "speech: likelihood of n symbols of a hidden Markov model, by the forward algorithm",
        "Rabiner, Proceedings of the IEEE 77 (1989)",
        (5, 200, 5000),
        _forward_inputs,
        _forward,
    ),
    _problem(
        "conditional_field",
        "language: likelihood of n labels in a conditional random field",
        "Lafferty, McCallum and Pereira, ICML (2001)",
        (5, 200, 5000),
        _labels_inputs,
        _labels,
    ),
    _problem(
        "soft_dtw",
        "movement: soft dynamic time warping of two curves of n points",
        "Cuturi and Blondel, ICML (2017)",
        (4, 50, 300),
        _alignment_inputs,
        _alignment,
    ),
)
