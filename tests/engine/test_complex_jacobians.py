"""Jacobians of complex functions: one answer in every mode, or the same refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import (
    Variable,
    compile,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    vjp,
)

X = np.array([1.0, 2.0, 3.0])
Z = np.array([1 + 1j, 2 - 0.5j])
_k = np.arange(3)
_DFT = np.exp(-2j * np.pi * np.outer(_k, _k) / 3)

#: name, function of real numbers with complex values, where, Jacobian by hand.
REAL_TO_COMPLEX: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    ("m * .5j", lambda x: x * 0.5j, X, 0.5j * np.eye(3)),
    ("fft", np.fft.fft, X, _DFT),
    ("1 / (x - i)", lambda x: 1 / (x - 1j), X, np.diag(-1 / (X - 1j) ** 2)),
    ("exp(i x)", lambda x: np.exp(1j * x), X, np.diag(1j * np.exp(1j * X))),
    ("a scalar", lambda x: np.sum(x * x) * (1 + 2j), X, 2 * X * (1 + 2j)),
    ("of a scalar", lambda x: np.exp(1j * x * X), np.float64(0.5), 1j * X * np.exp(0.5j * X)),
    ("more rows than columns", lambda x: np.stack([np.sum(x) * 1j] * 7), X, np.full((7, 3), 1j)),
    ("a matrix", lambda x: np.outer(x, x) * 1j, X[:2], 1j * np.array([[[2, 0], [2, 1]], [[2, 1], [0, 4]]])),
    ("real values made complex", lambda x: x.astype(complex), X, np.eye(3)),
    ("a constant", lambda x: np.ones(2) * 1j, X, np.zeros((2, 3))),
    ("single precision", lambda x: x * np.complex64(2j), X.astype(np.float32), 2j * np.eye(3)),
    ("empty", lambda x: x[:0] * 1j, X, np.zeros((0, 3))),
]
#: The same for holomorphic functions of complex numbers, J with dy = J dz ...
HOLOMORPHIC: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    ("square", lambda z: z * z, Z, np.diag(2 * Z)),
    ("exp", np.exp, Z, np.diag(np.exp(Z))),
    ("sum of inverses", lambda z: np.sum(1 / z), Z, -1 / Z**2),
    ("complex64", lambda z: z * z, Z.astype(np.complex64), np.diag(2 * Z)),
    ("inner product", lambda z: z @ z, Z, 2 * Z),
]
#: ... and for real values of complex numbers, J = dy/da - i dy/db with dy = Re(J dz).
TO_REAL: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    ("abs", np.abs, Z, np.diag(np.conj(Z) / np.abs(Z))),
    ("real", np.real, Z, np.eye(2)),
    ("imag", np.imag, Z, -1j * np.eye(2)),
    ("squared norm", lambda z: np.sum(np.abs(z) ** 2), Z, 2 * np.conj(Z)),
    (
        "angle of few",
        lambda z: np.angle(np.stack([z, z * z])),
        np.complex128(1 + 2j),
        -1j * np.array([1, 2]) / (1 + 2j),
    ),
]
EVERY = pytest.mark.parametrize(
    ("f", "x", "expected"),
    [row[1:] for row in REAL_TO_COMPLEX + HOLOMORPHIC + TO_REAL],
    ids=[row[0] for row in REAL_TO_COMPLEX + HOLOMORPHIC + TO_REAL],
)


@EVERY
def test_every_mode_gives_the_same_table(f: Callable[[Any], Any], x: Any, expected: Any) -> None:
    rtol = 1e-6 if x.dtype.itemsize < 8 or x.dtype == np.complex64 else 1e-14
    for table in (
        jacobian(f)(x),
        jacobian(f, mode="reverse")(x),
        jacobian(f, mode="forward")(x),
        compile(f, x, operator="jacobian")(x),
    ):
        np.testing.assert_allclose(table, expected, rtol=rtol, atol=rtol)
        assert table.dtype.kind == "c"
        assert table.dtype.itemsize == (8 if rtol == 1e-6 else 16)


@EVERY
def test_products_agree_with_the_table(f: Callable[[Any], Any], x: Any, expected: Any) -> None:
    """A pushforward is J t, or its real part for real values; a pullback its adjoint in Re sum(conj(u) v)."""
    rng = np.random.default_rng(0)
    tangent = rng.normal(size=x.shape).astype(x.dtype)
    value, pushed = jvp(f, (x,), (tangent,))
    along = np.tensordot(expected, tangent, x.ndim)
    along = along if np.iscomplexobj(value) else np.real(along)
    rtol = 1e-5 if x.dtype.itemsize < 8 or x.dtype == np.complex64 else 1e-13
    np.testing.assert_allclose(pushed, along, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(linearize(f, x)[1](tangent), along, rtol=rtol, atol=rtol)
    cotangent = rng.normal(size=value.shape) + (1j * rng.normal(size=value.shape) if np.iscomplexobj(value) else 0)
    pulled = vjp(f, x)[1](cotangent.astype(value.dtype))[0]
    expected_inner = np.sum(np.real(np.conj(cotangent) * along))
    assert np.sum(np.real(np.conj(pulled) * tangent)) == pytest.approx(expected_inner, rel=rtol, abs=rtol)


@pytest.mark.parametrize(
    "f",
    [np.conj, lambda z: z * np.conj(z), lambda z: z + 1j * np.abs(z), lambda z: np.real(z) * 1j, lambda z: z * z.imag],
)
def test_a_function_that_is_not_holomorphic_has_no_table(f: Callable[[Any], Any]) -> None:
    for mode in ("reverse", "forward", None):
        with pytest.raises(TypeError, match="not holomorphic"):
            jacobian(f, mode=mode)(Z)
    with pytest.raises(TypeError, match="not holomorphic"):
        compile(f, Z, operator="jacobian")
    # Along one direction it has a derivative: of conj along i t it is -i conj(t).
    np.testing.assert_array_equal(jvp(np.conj, (Z,), (1j * Z,))[1], -1j * np.conj(Z))


def test_real_and_complex_arguments_together() -> None:
    def f(x: Any, z: Any) -> Any:
        return x * z * z

    x, z = X[:2], Z
    for mode in ("reverse", "forward", None):
        of_x, of_z = jacobian(f, (0, 1), mode=mode)(x, z)
        np.testing.assert_allclose(of_x, np.diag(z * z), rtol=1e-14)
        np.testing.assert_allclose(of_z, np.diag(2 * x * z), rtol=1e-14)


def test_a_table_within_a_derivative() -> None:
    """The Jacobian of x^2 i is 2 i x, and the gradient of the sum of its squared modulus 8 x."""
    for mode in ("reverse", "forward"):
        g = grad(lambda x, mode=mode: np.sum(np.abs(jacobian(lambda y: y * y * 1j, mode=mode)(x)) ** 2 + 0.0))
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(g(X), 8 * X, rtol=1e-14)


def test_a_scalar_loss_must_be_real_in_every_transform() -> None:
    for f in (lambda x: x * 1j, lambda x: x + 0j, lambda x: 1j):
        for transform in (grad, hessian):
            with pytest.raises(TypeError, match="complex output"):
                transform(f)(2.0)
        with pytest.raises(TypeError, match="complex output"):
            hvp(f, (2.0,), (1.0,))
    y = Variable(2.0) * 1j
    with pytest.raises(TypeError, match="complex output"):
        y.backward()
    x = Variable(2.0)
    # Re(conj(g) 1j) for the cotangent g = 1j.
    (x * 1j).backward(1j)
    assert x.grad == 1.0


def test_hessians_of_complex_arguments() -> None:
    """The gradient of sum |z|^2 is 2 z, of sum Re z^2 it is 2 conj(z), which no table expresses."""
    np.testing.assert_allclose(hessian(lambda z: np.sum(np.real(z * np.conj(z))))(Z), 2 * np.eye(2), atol=1e-15)
    with pytest.raises(TypeError, match="not holomorphic"):
        hessian(lambda z: np.sum(np.real(z * z)))(Z)
    np.testing.assert_allclose(
        hvp(lambda z: np.sum(np.real(z * z)), (Z,), (1j * Z,))[0], 2 * np.conj(1j * Z), rtol=1e-15
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: jvp(np.sin, (X,), (1j * X,)),
        lambda: jvp(np.sin, (1.0,), (1j,)),
        lambda: vjp(np.sin, X)[1](1j * X),
        lambda: linearize(np.sin, X)[1](1j * X),
        lambda: hvp(lambda x: np.sum(x**3), (X,), (X + 0j,)),
        lambda: np.sin(Variable(X)).backward(1j * X),
    ],
)
def test_a_complex_direction_of_real_numbers_is_refused(call: Callable[[], Any]) -> None:
    """Its imaginary part would be lost."""
    with pytest.raises(TypeError, match=r"got a complex (co)?tangent for real numbers"):
        call()
