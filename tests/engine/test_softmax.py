"""logsumexp, softmax and log_softmax: every entry of their derivatives to 10 units of rounding, against mpmath."""

from __future__ import annotations

from typing import Any

import mpmath as m
import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, hessian, jacobian, jvp, special

#: Vectors with a weight close to 1, ties, differences that are rounded, and numbers far from 0.
VECTORS = [
    [40.0, 0.0],
    [0.0, -40.0, -41.0],
    [2.1, -37.3],
    [300.7, -300.1, 299.9],
    [1.0, 1.0, 1.0],
    [1e10, 1e10 + 3, 1e10 - 20],
    [1e-300, -1e-300, 1e-8],
    [0.0, 18.5, 0.25, -3.0],
    [-700.0, 0.0, 1.0],
    [5.0],
]
EVERY = pytest.mark.parametrize("x", VECTORS, ids=str)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def weights(x: Any, base: Any = m.e) -> list[Any]:
    terms = [m.power(base, m.mpf(float(v))) for v in x]
    return [t / m.fsum(terms) for t in terms]


def close(found: Any, expected: Any, dtype: Any) -> None:
    rtol, atol = 10 * float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(found, np.array(expected, float), rtol=rtol, atol=atol)


@EVERY
@DTYPES
def test_weights(x: list[float], dtype: Any) -> None:
    a = np.array(x, dtype)
    with m.workdps(700):
        exact = weights(a)
    close(grad(special.logsumexp)(a), exact, dtype)
    close(grad(np.logaddexp.reduce)(a), exact, dtype)
    close(special.softmax(a), exact, dtype)


@EVERY
@DTYPES
def test_weights_of_powers_of_two(x: list[float], dtype: Any) -> None:
    a = np.array(x, dtype)
    with m.workdps(700):
        exact = weights(a, 2)
        curvature = [[m.log(2) * exact[0] * ((k == 0) - w) for k, w in enumerate(exact)]]
    assert float(np.logaddexp2.reduce(a)) == pytest.approx(jvp(np.logaddexp2.reduce, (a,), (a,))[0], rel=1e-6)
    close(grad(np.logaddexp2.reduce)(a), exact, dtype)
    close(grad(lambda x: grad(np.logaddexp2.reduce)(x)[0])(a), curvature[0], dtype)


@EVERY
@DTYPES
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_jacobians(x: list[float], dtype: Any, mode: str) -> None:
    """``w_i (1 [i = k] - w_k)`` of softmax, ``1 [i = k] - w_k`` of log_softmax."""
    a = np.array(x, dtype)
    with m.workdps(700):
        w = weights(a)
        by_log = [[(i == k) - w[k] for k in range(len(w))] for i in range(len(w))]
        plain = [[w[i] * by_log[i][k] for k in range(len(w))] for i in range(len(w))]
    close(jacobian(special.softmax, mode=mode)(a), plain, dtype)
    close(jacobian(special.log_softmax, mode=mode)(a), by_log, dtype)


@EVERY
def test_the_hessian_of_logsumexp(x: list[float]) -> None:
    with m.workdps(700):
        w = weights(x)
        exact = [[w[i] * ((i == k) - w[k]) for k in range(len(w))] for i in range(len(w))]
    close(hessian(special.logsumexp)(np.array(x)), exact, float)


def test_rows_and_blocks_have_a_heavy_weight_each() -> None:
    a = np.array([[40.0, 0.0], [0.0, 50.0]])
    # e^-40 and e^-50 to first order.
    slopes = np.array([[np.exp(-40), -np.exp(-40)], [np.exp(-50), -np.exp(-50)]])
    np.testing.assert_allclose(grad(lambda x: np.sum(special.softmax(x, axis=1)[:, 0]))(a), slopes, rtol=1e-15)
    block = np.reshape(a[0], (1, 2, 1))
    found = grad(lambda x: special.softmax(x, axis=(1, 2))[0, 0, 0])(block)
    np.testing.assert_allclose(found.ravel(), slopes[0], rtol=1e-15)


@pytest.mark.parametrize("size", [7, 600, 40_000])
def test_the_value_of_logaddexp_is_that_of_numpy_at_any_length(size: int) -> None:
    x = 30 * np.sin(np.arange(float(size)))
    for y in (x[::-1], x + 1e-9, np.zeros(size), 0.5, -x):
        for a, b in ((x, y), (y, x)):
            value, _ = jvp(np.logaddexp, (a, b), (np.zeros_like(a), np.zeros_like(b)))
            np.testing.assert_allclose(value, np.logaddexp(a, b), rtol=4e-16, atol=4e-16)
    for at, other in ((np.inf, np.inf), (-np.inf, -np.inf), (np.inf, -np.inf), (-np.inf, 1.0), (np.nan, 1.0)):
        x[3], z = at, np.full(size, other)
        for a, b in ((x, z), (z, x)):
            # NumPy warns of nan.
            with np.errstate(invalid="ignore"):
                value, _ = jvp(np.logaddexp, (a, b), (np.zeros(size), np.zeros(size)))
                np.testing.assert_allclose(value, np.logaddexp(a, b), rtol=4e-16)


def test_the_slope_of_logaddexp_beside_zeros_is_that_beside_numbers_near_zero() -> None:
    x = np.array([-700.0, -40.0, -1.0, -1e-300, -0.0, 0.0, 1e-300, 1.0, 40.0, 700.0, np.inf, -np.inf])
    tiny = np.full(12, 5e-324)
    for beside in (np.zeros(12), -np.zeros(12), 0.0, np.append(np.zeros(11), 5e-324), tiny):
        found = grad(lambda x, y=beside: np.sum(np.logaddexp(x, y)[:-2]))(x)
        np.testing.assert_allclose(found[:-2], 1 / (1 + np.exp(-x[:-2])), rtol=3e-16)
