"""Losses of machine learning: attention, latent variables, flows, continuous depth, recommendations, graphs.

*Attention.* Tokens X give queries, keys and values of each head, and ``softmax(Q K' / sqrt d) V`` mixes the values; a
token attends to itself and to earlier ones. L is the mean square of the distance of the result from targets.

*Variational autoencoder.* An encoder gives the mean m and the log variance v of a code ``z = m + e^(v/2) e`` with the
noise e, and a decoder the logits l of binary data x. Minus the evidence bound, per sample::

    sum softplus(l) - x l + 1/2 sum (m^2 + e^v - v - 1)

*Normalising flow.* Each of four coupling layers scales and moves one half of x by functions of the other, a small
network, ``b <- b e^s(a) + t(a)``, and exchanges the halves. The log density of x is that of a normal distribution at
the result, plus the sum of all s.

*Neural differential equation.* The state follows ``y' = W2 tanh(W1 y + b1) + b2``, and is compared with targets.

*Factorisation.* The rating of item j by user i is ``u_i . v_j``: the squared errors, and ``(|u|^2 + |v|^2)/10``.

*Graph network.* Two layers ``A tanh(A X W1) W2`` of a graph with normalised adjacency A; the mean cross-entropy of the
labels of its nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.problems.base.runge_kutta import advanced
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})


def _weights(rng: np.random.Generator, *shape: int) -> Array:
    """Draw a matrix that keeps the size of what it multiplies."""
    return rng.normal(scale=1 / math.sqrt(shape[-2]), size=shape)


# ---- language models: attention

_WIDTH, _HEADS = 8, 2


def _attention(Q: Any, K: Any, V: Any, W: Any, X: Any, hidden: Any, targets: Any, *, xp: Any) -> Any:
    n, width = X.shape
    each = width // _HEADS

    def heads(weights: Any) -> Any:
        return xp.permute_dims(xp.reshape(xp.matmul(X, weights), (n, _HEADS, each)), (1, 0, 2))

    scores = xp.matmul(heads(Q), xp.matrix_transpose(heads(K))) / math.sqrt(each) + hidden
    raised = xp.exp(scores - xp.max(scores, axis=2, keepdims=True))
    mixed = xp.matmul(raised / xp.sum(raised, axis=2, keepdims=True), heads(V))
    error = xp.matmul(xp.reshape(xp.permute_dims(mixed, (1, 0, 2)), (n, width)), W) - targets
    return xp.mean(error * error)


def _attention_inputs(rng: np.random.Generator, n: int) -> Inputs:
    hidden = np.where(np.tri(n) > 0, 0.0, -1e4)
    X, targets = rng.normal(size=(2, n, _WIDTH))
    return Inputs(tuple(_weights(rng, 4, _WIDTH, _WIDTH)), (X, hidden, targets))


# ---- generative models: a variational autoencoder

_PIXELS, _HIDDEN, _CODE = 8, 6, 2


def _autoencoder(E: Any, M: Any, S: Any, D: Any, L: Any, x: Any, noise: Any, *, xp: Any) -> Any:
    h = xp.tanh(xp.matmul(x, E))
    mean, log_variance = xp.matmul(h, M), xp.matmul(h, S)
    z = mean + xp.exp(log_variance / 2) * noise
    logits = xp.matmul(xp.tanh(xp.matmul(z, D)), L)
    errors = xp.sum(xp.logaddexp(xp.zeros_like(logits), logits) - x * logits)
    return (errors + xp.sum(mean * mean + xp.exp(log_variance) - log_variance - 1) / 2) / x.shape[0]


def _autoencoder_inputs(rng: np.random.Generator, n: int) -> Inputs:
    shapes = ((_PIXELS, _HIDDEN), (_HIDDEN, _CODE), (_HIDDEN, _CODE), (_CODE, _HIDDEN), (_HIDDEN, _PIXELS))
    x = (rng.random((n, _PIXELS)) < 0.5).astype(float)
    return Inputs(tuple(_weights(rng, *shape) for shape in shapes), (x, rng.normal(size=(n, _CODE))))


# ---- density estimation: a normalising flow

_LAYERS, _UNITS = 4, 6


def _flow(W1: Any, b1: Any, W2: Any, b2: Any, x: Any, *, xp: Any) -> Any:
    half = x.shape[1] // 2
    a, b = x[:, :half], x[:, half:]
    volume = 0.0
    for i in range(_LAYERS):
        h = xp.matmul(xp.tanh(xp.matmul(a, W1[i, :, :]) + b1[i, :]), W2[i, :, :]) + b2[i, :]
        s = xp.tanh(h[:, :half])
        volume = volume + xp.sum(s)
        a, b = b * xp.exp(s) + h[:, half:], a
    return (xp.sum(a * a) + xp.sum(b * b)) / (2 * x.shape[0]) - volume / x.shape[0] + half * math.log(2 * math.pi)


def _flow_inputs(rng: np.random.Generator, n: int) -> Inputs:
    first, second = _weights(rng, _LAYERS, 2, _UNITS), _weights(rng, _LAYERS, _UNITS, 4)
    biases = 0.1 * rng.normal(size=(_LAYERS, _UNITS)), 0.1 * rng.normal(size=(_LAYERS, 4))
    return Inputs((first, biases[0], second, biases[1]), (rng.normal(size=(n, 4)),))


# ---- dynamical systems: a neural differential equation


def _continuous(
    W1: Any, b1: Any, W2: Any, b2: Any, x: Any, targets: Any, steps: Any, *, scan: Callable[..., Any], xp: Any
) -> Any:
    def slope(y: Any) -> Any:
        return xp.matmul(xp.tanh(xp.matmul(y, W1) + b1), W2) + b2

    y, _ = scan(lambda y, h: (advanced(slope, y, h), None), x, steps)
    return xp.mean((y - targets) ** 2)


def _continuous_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a network with n hidden units, and 2 n points of the plane."""
    x, targets = rng.normal(size=(2, 2 * n, 2))
    layers = _weights(rng, 2, n), 0.1 * rng.normal(size=n), _weights(rng, n, 2), 0.1 * rng.normal(size=2)
    return Inputs(layers, (x, targets, np.full(5, 0.2)))


# ---- recommender systems: a matrix factorisation

_RANK = 4


def _ratings(U: Any, V: Any, users: Any, items: Any, y: Any, *, xp: Any) -> Any:
    error = xp.sum(xp.take(U, users, axis=0) * xp.take(V, items, axis=0), axis=1) - y
    return xp.sum(error * error) + (xp.sum(U * U) + xp.sum(V * V)) / 10


def _ratings_gradient(U: Array, V: Array, users: Array, items: Array, y: Array) -> tuple[Array, Array]:
    error = 2 * (np.sum(U[users] * V[items], axis=1) - y)[:, None]
    by_U, by_V = U / 5, V / 5
    np.add.at(by_U, users, error * V[items])
    np.add.at(by_V, items, error * U[users])
    return by_U, by_V


def _ratings_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n users, n items and 5 n ratings."""
    users, items = rng.integers(n, size=(2, 5 * n))
    return Inputs(tuple(rng.normal(size=(2, n, _RANK))), (users, items, rng.integers(1, 6, 5 * n).astype(float)))


# ---- networks: a graph network

_FEATURES, _CLASSES = 5, 3


def _graph(W1: Any, W2: Any, A: Any, X: Any, labels: Any, *, xp: Any) -> Any:
    h = xp.tanh(xp.matmul(A, xp.matmul(X, W1)))
    scores = xp.matmul(A, xp.matmul(h, W2))
    return xp.mean(xp.special.logsumexp(scores, axis=1) - xp.sum(scores * labels, axis=1))


def _graph_gradient(W1: Array, W2: Array, A: Array, X: Array, labels: Array) -> tuple[Array, Array]:
    h = np.tanh(A @ (X @ W1))
    scores = A @ (h @ W2)
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    back = A.T @ (chances / chances.sum(axis=1, keepdims=True) - labels) / labels.shape[0]
    return X.T @ (A.T @ ((back @ W2.T) * (1 - h * h))), h.T @ back


def _graph_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a graph of n nodes with two neighbours in a ring and others at random."""
    A = np.eye(n) + np.roll(np.eye(n), 1, axis=0) + (rng.random((n, n)) < 2 / n)
    A = np.minimum(A + A.T, 1.0)
    degrees = A.sum(axis=1)
    A = A / np.sqrt(degrees[:, None] * degrees)
    labels = np.eye(_CLASSES)[rng.integers(_CLASSES, size=n)]
    return Inputs(
        (_weights(rng, _FEATURES, 4), _weights(rng, 4, _CLASSES)), (A, rng.normal(size=(n, _FEATURES)), labels)
    )


PROBLEMS = (
    Problem(
        name="attention",
        title=f"language models: attention of {_HEADS} heads over n tokens",
        source="Vaswani et al., Attention Is All You Need, NeurIPS (2017)",
        sizes={"small": 5, "medium": 64, "large": 512},
        inputs=_attention_inputs,
        objective=_attention,
        suites=_FIELD,
    ),
    Problem(
        name="variational_autoencoder",
        title="generative models: evidence bound of a variational autoencoder for n samples",
        source="Kingma and Welling, Auto-Encoding Variational Bayes, ICLR (2014)",
        sizes={"small": 4, "medium": 256, "large": 10_000},
        inputs=_autoencoder_inputs,
        objective=_autoencoder,
        samples=(5, 6),
        suites=_FIELD,
    ),
    Problem(
        name="normalising_flow",
        title=f"density estimation: likelihood of n points by a flow of {_LAYERS} coupling layers",
        source="Dinh, Sohl-Dickstein and Bengio, Density Estimation Using Real NVP, ICLR (2017)",
        sizes={"small": 5, "medium": 500, "large": 20_000},
        inputs=_flow_inputs,
        objective=_flow,
        samples=(4,),
        suites=_FIELD,
    ),
    Problem(
        name="neural_ode",
        title="dynamical systems: a differential equation given by a network of n hidden units",
        source="Chen et al., Neural Ordinary Differential Equations, NeurIPS (2018)",
        sizes={"small": 3, "medium": 64, "large": 512},
        inputs=_continuous_inputs,
        objective=_continuous,
        operators=SCALAR - {Operator.HESSIAN},
        suites=_FIELD,
        uses=("scan",),
    ),
    Problem(
        name="matrix_factorisation",
        title="recommender systems: 5 n ratings of n items by n users, as a product of factors",
        source="Koren, Bell and Volinsky, Computer 42 (2009)",
        sizes={"small": 6, "medium": 500, "large": 20_000},
        inputs=_ratings_inputs,
        objective=_ratings,
        reference={Operator.GRADIENT: _ratings_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="graph_network",
        title="networks: classes of the n nodes of a graph by two graph convolutions",
        source="Kipf and Welling, ICLR (2017), with tanh",
        sizes={"small": 6, "medium": 100, "large": 1000},
        inputs=_graph_inputs,
        objective=_graph,
        reference={Operator.GRADIENT: _graph_gradient},
        suites=_FIELD,
    ),
)
