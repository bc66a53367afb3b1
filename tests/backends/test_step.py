"""One update by each framework's own optimizer, against the formulas written here in NumPy."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

from autodiff_compare.backends import load, missing
from autodiff_compare.vocabulary import Optimizer

BACKENDS = ("numpy", "torch", "tensorflow", "jax", "jax:eager")
OPTIMIZERS = (
    Optimizer("sgd", 0.05),
    Optimizer("momentum", 0.05, momentum=0.8),
    Optimizer("nesterov", 0.05, momentum=0.8),
    Optimizer("adam", 0.02, b1=0.85, b2=0.99, eps=1e-3),
    Optimizer("adam", 0.02, b1=0.85, b2=0.99, eps=1e-3, eps_hat=True),
)
STEPS = 5


def opened(spec):
    try:
        backend = load(spec)
    except ValueError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    if absent := missing(backend):
        assert not os.environ.get("CI"), f"{absent} must be installed in CI"
        pytest.skip(f"{', '.join(absent)} not installed")
    backend.open()
    return backend


def trajectory(o: Optimizer, p, gradients):
    """Yield the parameters after each update.

    By Sutskever et al. 2013 for momentum and Nesterov; by Kingma and Ba 2015, algorithm 1 and section 2, for Adam.
    """
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(gradients, start=1):
        if o.name == "sgd":
            p = p - o.learning_rate * g
        elif o.name in ("momentum", "nesterov"):
            m = o.momentum * m + g
            p = p - o.learning_rate * (g + o.momentum * m if o.name == "nesterov" else m)
        else:
            m, v = o.b1 * m + (1 - o.b1) * g, o.b2 * v + (1 - o.b2) * g * g
            c1, c2 = 1 - o.b1**n, 1 - o.b2**n
            if o.eps_hat:
                p = p - o.learning_rate * math.sqrt(c2) / c1 * m / (np.sqrt(v) + o.eps)
            else:
                p = p - o.learning_rate * (m / c1) / (np.sqrt(v / c2) + o.eps)
        yield p


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.name + "_eps_hat" * o.eps_hat)
@pytest.mark.parametrize("spec", BACKENDS)
def test_steps_follow_the_formula(spec, optimizer, dtype, tolerance):
    backend, rng = opened(spec), np.random.default_rng(3)
    starts = [rng.normal(size=(2, 3)).astype(dtype), rng.normal(size=()).astype(dtype)]
    gradients = [[rng.normal(size=s.shape).astype(dtype) for _ in range(STEPS)] for s in starts]
    expected = [list(trajectory(optimizer, s.astype(float), g)) for s, g in zip(starts, gradients, strict=True)]
    params, state = tuple(backend.to_var(s) for s in starts), None
    for n in range(STEPS):
        before, grads = params, [backend.to_var(g[n]) for g in gradients]
        kept = [backend.to_numpy(p) for p in before]
        params, state = backend.step(optimizer, before, grads, state)
        for i, p in enumerate(params):
            got = backend.to_numpy(p)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected[i][n], rtol=tolerance, atol=tolerance)
            np.testing.assert_array_equal(backend.to_numpy(before[i]), kept[i])
            np.testing.assert_array_equal(backend.to_numpy(grads[i]), gradients[i][n])
