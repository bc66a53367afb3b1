"""Gradients of single samples by the layers of a model: equal to those of one sample after the other, or refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Objective, Unsupported
from autodiff_compare.problems import available
from autodiff_compare.vocabulary import Operator
from tests.conftest import opened

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=5)
W, V, B, S = RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=4), np.asarray(0.7)

Model = Callable[..., Any]


def gradients(spec: str, model: Model, parameters: list[Any], data: list[Any]) -> list[Any]:
    """Return the gradient of each sample by each parameter; the rows of ``data`` are the samples."""
    backend = opened(spec)
    args = [backend.to_var(np.asarray(a)) for a in (*parameters, *data)]
    n = len(parameters)
    f = Objective(lambda *given: model(*given, xp=backend.xp), samples=tuple(range(n, n + len(data))))
    run = backend.prepare(Operator.GRADIENT_BATCH, f, args, argnums=range(n))
    return [backend.to_numpy(leaf) for leaf in run(*args)]


#: Each has layers of another kind: matrices, a vector, offsets, a scale, a shared matrix, rows of rows.
MODELS: dict[str, tuple[Model, list[Any]]] = {
    "two layers": (
        lambda w, b, v, x, y, xp: xp.mean((xp.matmul(xp.tanh(xp.matmul(x, w) + b), v) - y) ** 2),
        [W, B, V],
    ),
    "sum of losses": (lambda v, x, y, xp: xp.sum((x @ v - y) ** 2), [V[:3]]),
    "scale and offset": (lambda s, b, x, y, xp: xp.mean(xp.sum(s * xp.sin(b + x), axis=1) * y), [S, B[:3]]),
    "subtracted": (lambda b, x, y, xp: xp.mean(xp.sum((x - b) ** 2, axis=1) + y), [B[:3]]),
    "one matrix twice": (
        lambda w, x, y, xp: xp.mean(xp.sum(xp.sin(x @ w) @ w, axis=1) * y),
        [W[:, :3]],
    ),
    "not used": (lambda w, b, x, y, xp: xp.mean(xp.sum(x, axis=1) * y) + 0 * xp.mean(x @ w), [W[:, 0], B]),
    "rows of rows": (
        lambda w, b, x, y, xp: xp.mean(xp.sum(xp.reshape(x, (-1, 3, 1)) @ w + b, axis=(1, 2)) * y),
        [W[:1], B],
    ),
    "a column": (lambda b, x, y, xp: xp.mean(xp.sum(xp.reshape(x, (-1, 3, 1)) * b, axis=(1, 2)) * y), [W[:, :1]]),
}


@pytest.mark.parametrize("name", MODELS)
def test_layers_give_the_gradient_of_each_sample(name: str) -> None:
    model, parameters = MODELS[name]
    found = gradients("torch:hooks", model, parameters, [X, Y])
    for got, want in zip(found, gradients("torch:loop", model, parameters, [X, Y]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        (lambda w, x, y, xp: xp.mean((x @ w - y) ** 2) + xp.sum(w * w), [V[:3]], "parameter 0 is used by mul"),
        (lambda v, w, x, y, xp: xp.mean(x @ v + w[0] * y), [V[:3], B], "parameter 1 is used by __getitem__"),
        (lambda w, x, y, xp: xp.mean((x @ xp.stack([w, w])[0] - y) ** 2), [V[:3]], "parameter 0 is used by stack"),
        (lambda w, x, y, xp: xp.max(x @ w) + xp.sum(y), [V[:3]], "neither|mean or the sum"),
        # A tie of mean and sum in the value alone: the mean of the rows is taken off, so that all is zero.
        (lambda w, x, y, xp: xp.sum((x @ w - xp.mean(x @ w)) * y), [V[:3]], "mixes them|mean or the sum"),
    ],
    ids=["penalty", "entry", "stack", "maximum", "centred"],
)  # fmt: skip
def test_what_is_no_layer_is_refused_by_name(model: Model, parameters: list[Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        gradients("torch:hooks", model, parameters, [X, Y])


def test_samples_that_are_differentiated_are_refused() -> None:
    backend = opened("torch:hooks")
    args = [backend.to_var(X)]
    f = Objective(lambda x: backend.xp.mean(x), samples=(0,))
    with pytest.raises(Unsupported, match="hold samples"):
        backend.prepare(Operator.GRADIENT_BATCH, f, args)


@pytest.mark.parametrize(
    ("name", "layered"),
    [("neural_network", True), ("engine_perceptron", True), ("llsq", True), ("logistic_regression", False)],
)
def test_which_problems_are_layered_models(name: str, layered: bool) -> None:
    backend, problem = opened("torch:hooks"), available()[name]
    inputs = problem.draw("small", 0)
    args = [backend.to_var(a) for a in inputs.arrays]
    f = Objective(problem.function(backend, inputs.static), samples=problem.samples)
    refused = contextlib.nullcontext() if layered else pytest.raises(Unsupported, match="parameter 0 is used by mul")
    with refused:
        backend.prepare(Operator.GRADIENT_BATCH, f, args, argnums=range(len(inputs.differentiated)))
