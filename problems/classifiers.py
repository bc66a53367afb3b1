"""Losses of classification: logistic regression, a small neural network, and a softmax with temperature."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_TESTS = frozenset({"tests"})


def _labels(rng: np.random.Generator, n: int, classes: int) -> Array:
    """Draw one-hot rows, (n, classes)."""
    return np.eye(classes)[rng.integers(classes, size=n)]


def _cross_entropy(scores: Any, labels: Any, xp: Any) -> Any:
    """Return the mean over the rows of ``log sum exp(scores) - score of the label``.

    Scores are shifted by the largest of their row, so that no exponential overflows.
    """
    shifted = scores - xp.max(scores, axis=1, keepdims=True)
    return xp.mean(xp.log(xp.sum(xp.exp(shifted), axis=1)) - xp.sum(shifted * labels, axis=1))


def _softmax(scores: Array) -> Array:
    e = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return np.asarray(e / np.sum(e, axis=1, keepdims=True))


# ---- logistic regression
#
# Labels y_i = -1 or 1, margins m_i = y_i (x_i . w + b), losses log(1 + e^-m_i) and the penalty weight/2 |w|^2. With the
# logistic function s, a loss has by its score x_i . w + b the derivatives -y_i s(-m_i) and s(m_i) s(-m_i). So
#   dL/dw = X^T d1 + weight w,  dL/db = sum d1,  H = (X^T D2 X + weight I, X^T d2; ., sum d2).


def _logistic(w: Any, b: Any, X: Any, y: Any, weight: Any, *, xp: Any) -> Any:
    margins = y * (xp.matmul(X, w) + b)
    return xp.sum(xp.logaddexp(xp.zeros_like(margins), -margins)) + weight / 2 * xp.sum(w * w)


def _slopes(w: Array, b: Array, X: Array, y: Array) -> tuple[Array, Array]:
    """Return the first and second derivative of each loss by its score."""
    wrong = 1 / (1 + np.exp(y * (X @ w + b)))
    return -y * wrong, wrong * (1 - wrong)


def _logistic_gradient(w: Array, b: Array, X: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    first, _ = _slopes(w, b, X, y)
    return X.T @ first + weight * w, np.sum(first)


def _logistic_hessian(w: Array, b: Array, X: Array, y: Array, weight: Array) -> Any:
    _, second = _slopes(w, b, X, y)
    mixed = X.T @ second
    return ((X.T * second) @ X + weight * np.eye(w.size, dtype=w.dtype), mixed), (mixed, np.sum(second))


def _logistic_inputs(rng: np.random.Generator, n: int) -> Inputs:
    X, truth = rng.normal(size=(n, 10)), rng.normal(size=10)
    # An elementwise product: BLAS may round differently with another number of threads, and a label would change.
    y = np.sign(np.sum(X * truth, axis=1) + rng.normal(size=n))
    return Inputs((rng.normal(size=10) / 2, np.asarray(rng.normal())), (X, y, np.asarray(0.1)))


# ---- a network with one hidden layer: h = tanh(X W + b), scores S = h V + c, mean cross-entropy of n rows
#
# dL/dS = (softmax(S) - labels) / n; then dL/dV = h^T dL/dS, and with Z = X W + b dL/dZ = (dL/dS V^T) (1 - h^2)
# elementwise, dL/dW = X^T dL/dZ. The offsets b and c take the column sums.


def _network(W: Any, b: Any, V: Any, c: Any, X: Any, labels: Any, *, xp: Any) -> Any:
    return _cross_entropy(xp.matmul(xp.tanh(xp.matmul(X, W) + b), V) + c, labels, xp)


def _network_gradient(W: Array, b: Array, V: Array, c: Array, X: Array, labels: Array) -> tuple[Array, ...]:
    """Return the gradient by back-propagation, written by hand."""
    hidden = np.tanh(X @ W + b)
    scores = (_softmax(hidden @ V + c) - labels) / X.shape[0]
    inner = (scores @ V.T) * (1 - hidden * hidden)
    return X.T @ inner, np.sum(inner, axis=0), hidden.T @ scores, np.sum(scores, axis=0)


def _network_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a network of 5 features, n hidden units and 3 classes, and 10 n samples."""
    p, classes = 5, 3
    weights = (rng.normal(size=(p, n)) / p**0.5, rng.normal(size=n), rng.normal(size=(n, classes)) / n**0.5)
    return Inputs((*weights, rng.normal(size=classes)), (rng.normal(size=(10 * n, p)), _labels(rng, 10 * n, classes)))


# ---- calibration: the mean cross-entropy of scores Z divided by a temperature T
#
# dL/dZ = (softmax(Z/T) - labels) / (n T), and since Z/T changes with T by -Z/T^2, dL/dT = -sum(dL/dZ * Z) / T.


def _tempered(Z: Any, T: Any, labels: Any, *, xp: Any) -> Any:
    return _cross_entropy(Z / T, labels, xp)


def _tempered_gradient(Z: Array, T: Array, labels: Array) -> tuple[Array, Array]:
    slope = (_softmax(Z / T) - labels) / (Z.shape[0] * T)
    return slope, -np.sum(slope * Z) / T


def _tempered_inputs(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((3 * rng.normal(size=(n, 5)), np.asarray(rng.uniform(0.5, 3.0))), (_labels(rng, n, 5),))


PROBLEMS = (
    Problem(
        name="logistic_regression",
        title="logistic regression of n samples with 10 features, L2 penalty on the weights",
        source="Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 4.4; labels by a noisy plane",
        sizes={"small": 30, "medium": 1000, "large": 50_000},
        inputs=_logistic_inputs,
        objective=_logistic,
        reference={Operator.GRADIENT: _logistic_gradient, Operator.HESSIAN: _logistic_hessian},
        samples=(2, 3),
        suites=_TESTS,
    ),
    Problem(
        name="neural_network",
        title="cross-entropy of a network with one hidden layer of n tanh units",
        source="Goodfellow, Bengio and Courville, Deep Learning, 6.5: back-propagation; 10 n samples",
        sizes={"small": 4, "medium": 32, "large": 512},
        inputs=_network_inputs,
        objective=_network,
        operators=SCALAR - {Operator.HESSIAN},
        reference={Operator.GRADIENT: _network_gradient},
        samples=(4, 5),
        suites=_TESTS,
    ),
    Problem(
        name="softmax_temperature",
        title="cross-entropy of n rows of scores divided by a temperature, in scores and temperature",
        source="Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks (2017)",
        sizes={"small": 6, "medium": 1000, "large": 100_000},
        inputs=_tempered_inputs,
        objective=_tempered,
        operators=SCALAR - {Operator.HESSIAN},
        reference={Operator.GRADIENT: _tempered_gradient},
        samples=(0, 2),
        suites=_TESTS,
    ),
)
