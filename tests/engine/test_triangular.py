"""Large triangular matrices by blocks: against NumPy's general functions, closed forms, and at what is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, hvp, jvp, vjp
from autodiff_compare.backends.numpy_autodiff.compiler import compile
from autodiff_compare.backends.numpy_autodiff.rules import triangular

#: Orders that are no multiple of a block, above the smallest that blocks are used for.
ORDERS = (triangular.LARGE, 150)
DTYPES = (np.float64, np.float32, np.complex128, np.complex64)


def positive(n: int, dtype: Any = np.float64, seed: int = 0) -> Any:
    """A positive matrix with a condition number below 10."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if np.dtype(dtype).kind == "c" else 0)
    return (a @ a.conj().T / n + np.eye(n)).astype(dtype)


def near(got: Any, expected: Any, roundings: float = 500.0) -> None:
    expected = np.asarray(expected)
    assert np.asarray(got).dtype == expected.dtype
    atol = roundings * np.finfo(expected.dtype).eps * float(np.max(np.abs(expected)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", ORDERS)
def test_systems_and_inverses_are_those_of_numpy(n: int, dtype: Any) -> None:
    lower = np.linalg.cholesky(positive(n, dtype))
    b = positive(n, dtype, 1)[:, :3]
    for a in (lower, lower.T, np.asfortranarray(lower), lower.conj().T.copy(), lower[::-1, ::-1]):
        near(triangular.solve(a, b), np.linalg.solve(a, b))
        near(triangular.solve(a, b[:, 0]), np.linalg.solve(a, b[:, 0]))
        near(triangular.inverse(a), np.linalg.inv(a))


def test_what_is_not_triangular_is_left_to_lapack() -> None:
    a, b = np.linalg.cholesky(positive(150)), np.ones(150)
    for i, j in ((0, 149), (0, 1), (3, 70), (100, 140)):
        full = a.copy()
        full[i, j] = 0.5
        near(triangular.solve(full, b), np.linalg.solve(full, b))
        near(triangular.inverse(full), np.linalg.inv(full))
    full[100, 140] = np.nan
    assert np.isnan(triangular.solve(full, b)).any()
    for shape, right in (((2, 150, 150), (150, 1)), ((150, 150), (2, 150, 1))):
        given = np.broadcast_to(a, shape), np.ones(right)
        np.testing.assert_array_equal(triangular.solve(*given), np.linalg.solve(*given))


@pytest.mark.parametrize("function", [triangular.inverse, lambda a: triangular.solve(a, np.ones(len(a)))])
@pytest.mark.parametrize("where", [0, 77, 149])
def test_a_zero_on_the_diagonal_is_singular(function: Any, where: int) -> None:
    for a in (np.linalg.cholesky(positive(150)), np.linalg.cholesky(positive(150)).T):
        singular = a.copy()
        singular[where, where] = 0
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            function(singular)


def test_mistakes_are_those_of_numpy() -> None:
    a = np.linalg.cholesky(positive(150))
    for given in ((a, np.ones(3)), (a[:, :149], np.ones(150)), (np.float64(1), np.ones(1))):
        with pytest.raises((ValueError, np.linalg.LinAlgError)):
            triangular.solve(*given)


def likelihood(K: Any, y: Any) -> Any:
    """Half of ``y^T K^-1 y + log det K``, by Cholesky's factors."""
    L = np.linalg.cholesky(K)
    z = np.linalg.solve(L, y)
    return np.sum(z * z) / 2 + np.sum(np.log(np.diagonal(L)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_likelihood_has_its_closed_derivatives(dtype: Any) -> None:
    K, E, y = positive(150, dtype), positive(150, dtype, 1), positive(150, dtype, 2)[0]
    inverse = np.linalg.inv(K)
    a = inverse @ y
    # df = tr((K^-1 - a a^T) dK) / 2, and along E: dK^-1 = -K^-1 E K^-1, da = -K^-1 E a.
    gradient = (inverse - np.outer(a, a)) / 2
    turned = np.outer(inverse @ E @ a, a)
    product = (turned + turned.T - inverse @ E @ inverse) / 2
    near(grad(likelihood)(K, y), gradient)
    near(jvp(lambda K: likelihood(K, y), (K,), (E,))[1], np.sum(gradient * E))
    near(hvp(lambda K: likelihood(K, y), (K,), (E,))[0], product)
    # Reverse over reverse, which transposes the adjoint in both of its arguments.
    near(grad(lambda K: np.sum(grad(likelihood)(K, y) * E))(K), product)
    near(compile(likelihood, K, y, operator="gradient")(K, y), gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_adjoint_of_a_factorisation_is_that_of_its_tangent(dtype: Any) -> None:
    K, E, G = (positive(150, dtype, seed) for seed in range(3))
    # Re <G, dL> = Re <adjoint(G), dK> for every Hermitian dK; entries above the diagonal of G have no part in it.
    (found,) = vjp(np.linalg.cholesky, K)[1](G)
    tangent = jvp(np.linalg.cholesky, (K,), (E,))[1]
    pair = [np.sum(np.real(np.conj(x) * y)) for x, y in ((G, tangent), (found, E))]
    near(pair[1], pair[0])
    np.testing.assert_array_equal(found, found.conj().T)
    assert found.dtype == dtype
