"""Every rule that takes complex numbers, by random complex directions, in both modes to second order.

The gradient convention is ``dL/da + i dL/db``, so that ``Re sum(conj(gradient) * t)`` is the change of ``L`` along
``t`` and a pullback is the adjoint of the pushforward in the real inner product ``Re sum(conj(u) * v)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, jvp, special, vjp
from tests.engine.rules import COMPLEX_ROWS, Row
from tests.engine.test_rules import close, difference

EVERY = pytest.mark.parametrize("row", COMPLEX_ROWS, ids=lambda row: row.name)


def arguments(row: Row, seed: int = 0) -> list[Any]:
    """Real parts from the row's domain, imaginary parts of up to 1 in size."""
    rng = np.random.default_rng(seed + 100)
    return [x + 1j * rng.uniform(-1, 1, np.shape(x)) for x in row.arguments(seed)]


def like(arrays: list[Any], seed: int) -> list[Any]:
    """Random directions, complex where the array is."""
    rng = np.random.default_rng(seed)
    found = [rng.normal(size=np.shape(x)) + 1j * rng.normal(size=np.shape(x)) for x in arrays]
    return [t if np.iscomplexobj(x) else np.real(t) for t, x in zip(found, arrays, strict=True)]


def inner(u: Any, v: Any) -> Any:
    return np.sum(np.real(np.conj(u) * v))


@EVERY
def test_the_tangent_is_the_directional_derivative(row: Row) -> None:
    args = arguments(row)
    tangents = like(args, 1)
    value, tangent = jvp(row.function, args, tangents)
    close(value, row.function(*args), 1e-14)
    # Truncation h^4 and rounding eps/h are both about 1e-12.
    close(tangent, difference(row.function, args, tangents, 1e-3), 1e-9)


@EVERY
def test_the_pullback_is_the_adjoint_of_the_tangent(row: Row) -> None:
    args = arguments(row)
    tangents = like(args, 1)
    value, pullback = vjp(row.function, *args)
    (cotangent,) = like([value], 2)
    forward = inner(cotangent, jvp(row.function, args, tangents)[1])
    backward = sum(inner(g, t) for g, t in zip(pullback(cotangent), tangents, strict=True))
    assert backward == pytest.approx(forward, rel=1e-12, abs=1e-12)


@EVERY
def test_second_order_in_every_mix_of_modes(row: Row) -> None:
    args = arguments(row)
    tangents = like(args, 3)
    (weights,) = like([row.function(*args)], 4)
    n = tuple(range(len(args)))

    def f(*xs: Any) -> Any:
        y = row.function(*xs)
        return inner(weights, y + 0.5 * y * y)

    def slope(*xs: Any) -> Any:
        return sum(inner(g, t) for g, t in zip(grad(f, n)(*xs), tangents, strict=True))

    expected = difference(lambda *xs: np.concatenate([np.ravel(g) for g in grad(f, n)(*xs)]), args, tangents, 1e-3)
    mixes = (jvp(grad(f, n), args, tangents)[1], grad(slope, n)(*args))
    for found in (*mixes, grad(lambda *xs: jvp(f, xs, tangents)[1], n)(*args)):
        close(np.concatenate([np.ravel(g) for g in found]), expected, 1e-8)


@EVERY
def test_complex64_is_kept(row: Row) -> None:
    args = [np.asarray(x).astype(np.complex64)[()] for x in arguments(row)]
    value, pullback = vjp(row.function, *args)
    if value.dtype in (np.complex64, np.float32):
        assert {np.asarray(g).dtype for g in pullback(np.ones_like(value))} == {np.dtype(np.complex64)}
    else:
        # NumPy itself goes to double here, for constants of the row in double.
        assert value.dtype == np.asarray(row.function(*args)).dtype


def test_logsumexp_of_complex_numbers_has_the_principal_imaginary_part() -> None:
    """As `numpy.log` of the sum itself, which is small enough here."""
    z = np.array([1 - 8.9j, 0.2 - 8j])
    assert special.logsumexp(z) == pytest.approx(np.log(np.sum(np.exp(z))), rel=1e-14)
    found = grad(lambda z: np.real(special.logsumexp(z)))(z)
    np.testing.assert_allclose(found, np.conj(np.exp(z) / np.sum(np.exp(z))), rtol=1e-13)
