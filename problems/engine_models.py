"""Models of everyday use in the suite ``engine``, with gradients written by hand in NumPy.

Like those of the small programs of ``engine_suite``, the gradients are written for speed: value and gradient share what
they can, and sums of products are matrix products. The size ``medium`` is measured; ``small`` is for tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems import gaussian_process
from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import cholesky, solve
from autodiff_compare.vocabulary import Operator

_SUITES = frozenset({"engine"})
_OPERATORS = frozenset({Operator.VALUE, Operator.GRADIENT, Operator.VALUE_AND_GRADIENT})
_BY_HAND = "gradient written by hand in NumPy"
Both = Callable[..., tuple[Any, Any]]


def _forms(both: Both) -> dict[Operator, Callable[..., Any]]:
    return {
        Operator.VALUE: lambda *args, **static: both(*args, **static)[0],
        Operator.GRADIENT: lambda *args, **static: both(*args, **static)[1],
        Operator.VALUE_AND_GRADIENT: both,
    }


# --- Logistic regression: f = mean log(1 + exp(t)) with t = -y X w, and df/dw = -X^T (y s(t)) / n
#
# With e = exp(-|t|) <= 1 nothing overflows: log(1 + exp(t)) = max(t, 0) + log(1 + e), s(t) = 1/(1 + e) or e/(1 + e).


def _logistic(w: Any, X: Any, y: Any, *, xp: Any) -> Any:
    t = -y * xp.matmul(X, w)
    return xp.mean(xp.logaddexp(xp.zeros_like(t), t))


def _logistic_by_hand(w: Array, X: Array, y: Array) -> tuple[Any, Any]:
    t = -y * (X @ w)
    e = np.exp(-np.abs(t))
    value = np.mean(np.maximum(t, 0) + np.log1p(e))
    return value, X.T @ (np.where(t > 0, 1, e) / (1 + e) * y) / -len(y)


def _labelled(rng: np.random.Generator, n: int) -> Inputs:
    X = rng.normal(size=(n, 20))
    y = np.where(X @ rng.normal(size=20) + rng.normal(size=n) > 0, 1.0, -1.0)
    return Inputs((rng.normal(size=20) / 4,), (X, y))


# --- A mixture of spherical Gaussians, in the logits a, the means m and the logarithms s of the deviations:
#
# f = logsumexp(a) - mean_n logsumexp_k z_nk, z_nk = a_k - d s_k - q_nk / 2, q_nk = |x_n - m_k|^2 exp(-2 s_k).
# With r = softmax_k(z) / N: df/da = softmax(a) - sum r, df/dm_k = -sum_n r (x_n - m_k) exp(-2 s_k) and
# df/ds_k = sum_n r (d - q).


def _mixture(logits: Any, means: Any, scales: Any, X: Any, *, xp: Any) -> Any:
    difference = xp.expand_dims(X, axis=1) - xp.expand_dims(means, axis=0)
    q = xp.sum(difference * difference, axis=2) * xp.exp(-2 * scales)
    return _log_sum_exp(logits, xp) - xp.mean(_log_sum_exp(logits - X.shape[1] * scales - q / 2, xp))


def _log_sum_exp(z: Any, xp: Any) -> Any:
    highest = xp.max(z, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(z - highest), axis=-1)) + highest[..., 0]


def _mixture_by_hand(logits: Array, means: Array, scales: Array, X: Array) -> tuple[Any, Any]:
    difference = X[:, None, :] - means
    precision = np.exp(-2 * scales)
    q = np.einsum("nkd,nkd->nk", difference, difference) * precision
    z = logits - X.shape[1] * scales - q / 2
    highest = z.max(axis=1)
    e = np.exp(z - highest[:, None])
    total = e.sum(axis=1)
    weights = np.exp(logits - logits.max())
    value = np.log(weights.sum()) + logits.max() - np.mean(np.log(total) + highest)
    r = e / (total * len(X))[:, None]
    by_means = np.einsum("nk,nkd->kd", r, difference) * -precision[:, None]
    return value, (weights / weights.sum() - r.sum(axis=0), by_means, (r * (X.shape[1] - q)).sum(axis=0))


def _clusters(rng: np.random.Generator, n: int) -> Inputs:
    k, d = (10, 5) if n > 100 else (3, 2)
    centres = 3 * rng.normal(size=(k, d))
    X = centres[rng.integers(0, k, n)] + rng.normal(size=(n, d))
    return Inputs((rng.normal(size=k), centres + 0.5 * rng.normal(size=(k, d)), 0.2 * rng.normal(size=k)), (X,))


# --- The likelihood of `gaussian_process`, with LAPACK where it has the dtype


def _likelihood_by_hand(lengths: Array, height: Array, noise: Array, X: Array, y: Array) -> tuple[Any, Any]:
    scaled = X * np.exp(-lengths)
    squares = [np.subtract.outer(column, column) ** 2 for column in scaled.T]
    smooth = np.exp(2 * height - sum(squares) / 2)
    identity = np.eye(len(y), dtype=y.dtype)
    K = smooth + np.exp(2 * noise) * identity
    if K.dtype == np.longdouble:
        C, inverse = cholesky(K), solve(K, identity)
    else:
        C, inverse = np.linalg.cholesky(K), np.linalg.inv(K)
    a = inverse @ y
    value = y @ a / 2 + np.sum(np.log(np.diagonal(C))) + len(y) / 2 * np.log(2 * np.arccos(-np.ones_like(height)))
    M = (inverse - np.multiply.outer(a, a)) / 2
    P = M * smooth
    by_lengths = np.stack([np.vdot(P, square) for square in squares])
    return value, (by_lengths, 2 * np.sum(P), 2 * np.exp(2 * noise) * np.trace(M))


# --- Lennard-Jones energy of atoms: E = sum_{i<j} 4 (s^6 - s^3), s = 1/|x_i - x_j|^2
#
# dE/ds = 4 (6 s^5 - 3 s^2) a pair and ds = -s^2 d|.|^2, so dE/dx_i = -sum_j 24 (2 s^7 - s^4) (x_i - x_j). One is added
# to the distance of an atom from itself: its energy is 4 (1 - 1) = 0, and its gradient 0 as well.


def _energy(x: Any, itself: Any, *, xp: Any) -> Any:
    difference = xp.expand_dims(x, axis=1) - xp.expand_dims(x, axis=0)
    s = 1.0 / (xp.sum(difference * difference, axis=2) + itself)
    cube = s * s * s
    return 2.0 * xp.sum(cube * cube - cube)


def _energy_by_hand(x: Array, itself: Array) -> tuple[Any, Any]:
    differences = [np.subtract.outer(column, column) for column in x.T]
    s = 1 / (sum(d * d for d in differences) + itself)
    cube = s * s * s
    w = (48 * cube - 24) * (cube * s)
    gradient = np.stack([-np.einsum("ij,ij->i", w, d) for d in differences], axis=1)
    return 2 * (np.vdot(cube, cube) - np.sum(cube)), gradient


def _crystal(rng: np.random.Generator, n: int) -> Inputs:
    """Draw atoms near a cubic lattice of the spacing at which the energy is low."""
    side = round(np.ceil(n ** (1 / 3)))
    places = np.array(list(itertools.product(range(side), repeat=3)), float)[:n]
    return Inputs((1.12 * places + rng.uniform(-0.05, 0.05, (n, 3)),), (np.eye(n),))


# --- A network of three tanh layers and a linear one, with mean squared error
#
# Backwards, from the cotangent g of a layer's output h: d = (1 - h^2) g, dW = h_before^T d, db = sum d.

#: Size, the batch -> widths of the layers.
_WIDTHS = {3: (3, 4, 4, 3, 2), 128: (50, 100, 100, 100, 10)}


def _network(*args: Any, xp: Any) -> Any:
    *layers, h, target = args
    for W, b in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        h = xp.tanh(xp.matmul(h, W) + b)
    return xp.mean((xp.matmul(h, layers[-2]) + layers[-1] - target) ** 2)


def _network_by_hand(*args: Array) -> tuple[Any, Any]:
    *layers, x, target = args
    weights, biases = layers[::2], layers[1::2]
    outputs = [x]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        outputs.append(np.tanh(outputs[-1] @ W + b))
    r = outputs[-1] @ weights[-1] + biases[-1] - target
    d = r * (2 / r.size)
    gradients = [d.sum(axis=0), outputs[-1].T @ d]
    for W, h, before in zip(weights[:0:-1], outputs[:0:-1], outputs[-2::-1], strict=True):
        d = (d @ W.T) * (1 - h * h)
        gradients += [d.sum(axis=0), before.T @ d]
    return np.vdot(r, r) / r.size, tuple(gradients[::-1])


def _regression(rng: np.random.Generator, n: int) -> Inputs:
    widths = _WIDTHS[n]
    layers = [
        p for m, k in itertools.pairwise(widths) for p in (rng.normal(size=(m, k)) / m**0.5, rng.normal(size=k) / 4)
    ]
    return Inputs(tuple(layers), (rng.normal(size=(n, widths[0])), rng.normal(size=(n, widths[-1]))))


# --- Predators and prey (Lotka and Volterra): u' = u (a - b v), v' = v (d u - c), by the explicit midpoint rule
#
# A step is k = F(y), m = y + h/2 k, y' = y + h F(m). Backwards, from the cotangent l of y': with J = dF/dy, the parts
# h l of F(m) and p = J(m)^T h l of m give l + p + J(y)^T (h/2 p) for y; F is linear in the parameters.


def _populations(parameters: Any, start: Any, steps: Any, *, scan: Callable[..., Any], xp: Any) -> Any:
    a, b, c, d = parameters[0], parameters[1], parameters[2], parameters[3]

    def slope(y: Any) -> Any:
        u, v = y[0], y[1]
        return xp.stack([u * (a - b * v), v * (d * u - c)])

    y, _ = scan(lambda y, h: (y + h * slope(y + h / 2 * slope(y)), None), start, steps)
    return xp.sum(y)


def _populations_by_hand(parameters: Array, start: Array, steps: Array) -> tuple[Any, Any]:
    a, b, c, d = (x.item() for x in parameters)
    u, v = (x.item() for x in start)
    path, halves = [], (steps / 2).tolist()
    for h in halves:
        m, n = u + h * u * (a - b * v), v + h * v * (d * u - c)
        path.append((u, v, m, n))
        u, v = u + 2 * h * m * (a - b * n), v + 2 * h * n * (d * m - c)
    value = start.dtype.type(u + v)
    p, q, ga, gb, gc, gd = 1, 1, 0, 0, 0, 0
    for h, (u, v, m, n) in zip(reversed(halves), reversed(path), strict=True):
        s, t = 2 * h * p, 2 * h * q
        ga, gb, gc, gd = ga + s * m, gb - s * m * n, gc - t * n, gd + t * m * n
        s, t = (a - b * n) * s + d * n * t, (d * m - c) * t - b * m * s
        p, q = p + s, q + t
        s, t = h * s, h * t
        ga, gb, gc, gd = ga + s * u, gb - s * u * v, gc - t * v, gd + t * u * v
        p, q = p + (a - b * v) * s + d * v * t, q + (d * u - c) * t - b * u * s
    return value, (np.array([ga, gb, gc, gd], start.dtype), np.array([p, q], start.dtype))


def _two_species(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.uniform(0.5, 1.5, 4), rng.uniform(0.5, 1.5, 2)), (np.full(n, 0.01),))


# --- Broyden's tridiagonal system: F_i = (3 - 2 x_i) x_i - x_{i-1} - 2 x_{i+1} + 1, with x = 0 beyond the ends


def _tridiagonal(x: Any, *, xp: Any) -> Any:
    zero = xp.zeros_like(x[:1])
    return (3 - 2 * x) * x - xp.concat([zero, x[:-1]]) - 2 * xp.concat([x[1:], zero]) + 1


def _band(inputs: Inputs) -> list[tuple[Array, Array]]:
    n = len(inputs.differentiated[0])
    rows = np.repeat(np.arange(n), 3)[1:-1]
    return [(rows, rows + np.tile([-1, 0, 1], n)[1:-1])]


def _band_by_hand(x: Array) -> Array:
    entries = np.empty((len(x), 3), x.dtype)
    entries[:, 0], entries[:, 1], entries[:, 2] = -1, 3 - 4 * x, -2
    return entries.ravel()[1:-1]


def _problem(
    name: str, title: str, source: str, medium: int, small: int, inputs: Any, objective: Any, both: Both, uses: Any = ()
) -> Problem:
    return Problem(
        name=name,
        title=title,
        source=source,
        sizes={"small": small, "medium": medium},
        inputs=inputs,
        objective=objective,
        operators=_OPERATORS,
        reference=_forms(both),
        suites=_SUITES,
        uses=uses,
    )


PROBLEMS = (
    _problem(
        "engine_logistic",
        "logistic regression of n points in 20 dimensions, in the weights",
        f"Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, section 4.4.1; {_BY_HAND}",
        100_000,
        20,
        _labelled,
        _logistic,
        _logistic_by_hand,
    ),
    _problem(
        "engine_mixture",
        "mixture of ten spherical Gaussians in five dimensions, n points, in logits, means and log scales",
        f"Bishop, Pattern Recognition and Machine Learning, section 9.2; {_BY_HAND}: responsibilities",
        1000,
        20,
        _clusters,
        _mixture,
        _mixture_by_hand,
    ),
    _problem(
        "engine_likelihood",
        "negative log likelihood of a Gaussian process, n points",
        f"as gaussian_process; {_BY_HAND}: Rasmussen and Williams, equation (5.9), with LAPACK's factors",
        500,
        8,
        gaussian_process.PROBLEM.inputs,
        gaussian_process.PROBLEM.objective,
        _likelihood_by_hand,
    ),
    _problem(
        "engine_atoms",
        "Lennard-Jones energy of n atoms, in their places",
        f"J. E. Jones, Proceedings of the Royal Society A 106 (1924); {_BY_HAND}: forces between pairs",
        200,
        8,
        _crystal,
        _energy,
        _energy_by_hand,
    ),
    _problem(
        "engine_network",
        "network of four layers, 50-100-100-100-10 with tanh, squared error over a batch of n",
        f"Rumelhart, Hinton, Williams, Nature 323 (1986); {_BY_HAND}: back-propagation",
        128,
        3,
        _regression,
        _network,
        _network_by_hand,
    ),
    _problem(
        "engine_populations",
        "equations of Lotka and Volterra, n steps of the midpoint rule, in parameters and start",
        f"Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section I.1; {_BY_HAND} on Python floats",
        1000,
        10,
        _two_species,
        _populations,
        _populations_by_hand,
        ("scan",),
    ),
    Problem(
        name="engine_banded",
        title="Broyden's tridiagonal system of n equations, its Jacobian in compressed form",
        source=f"Broyden, Mathematics of Computation 19 (1965); {_BY_HAND}: three diagonals",
        sizes={"small": 7, "medium": 10_000},
        inputs=lambda rng, n: Inputs((rng.normal(size=n),)),
        objective=_tridiagonal,
        operators=frozenset({Operator.VALUE, Operator.JVP, Operator.VJP, Operator.SPARSE_JACOBIAN}),
        reference={Operator.SPARSE_JACOBIAN: _band_by_hand},
        pattern=_band,
        suites=_SUITES,
    ),
)
