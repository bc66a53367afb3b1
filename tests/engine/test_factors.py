"""Factors that the compiler moves: out of sums, and out of several terms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, loops
from autodiff_compare.backends.numpy_autodiff.compiler import compile
from tests.engine.compiled import POINT, assert_equal, tree

X, Y = POINT.reshape(2, 3), np.sin(POINT).reshape(2, 3) + 2.0


def _products(source: str) -> int:
    """Return the number of products in generated code, other than those within dot products."""
    return source.count(" * ") + source.count("multiply(")


#: Function of two arrays, and the products that remain of it.
SCALED: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "a factor of two": (lambda x, y: np.sum(2.0 * x * np.tanh(y)), 1),
    "a quarter, through a product": (lambda x, y: np.sum((0.25 * x) * np.sin(y) * y), 2),
    "a sign": (lambda x, y: np.sum(-np.sin(x) * np.cos(y)), 0),
    "both": (lambda x, y: np.sum(-4.0 * np.sin(x) * (0.5 * np.cos(y))), 1),
    "rows": (lambda x, y: np.sum(2.0 * np.sin(x) * y, axis=1), 1),
    "columns": (lambda x, y: np.sum(np.sin(x * y) * 2.0, axis=0), 2),
    "no power of two": (lambda x, y: np.sum(3.0 * np.sin(x) * y), 1),
    "used elsewhere": (lambda x, y: np.sum(np.exp(2.0 * x) + (2.0 * x) * y), 2),
    "a square": (lambda x, y: np.sum((2.0 * np.sin(x)) ** 2 + 0.0 * y), 3),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SCALED)
def test_a_factor_moves_out_of_sums(name: str, dtype: Any) -> None:
    f, products = SCALED[name]
    x, y = X.astype(dtype), Y.astype(dtype)
    made = compile(f, x, y, operator="value")
    assert_equal(np.asarray(made(x, y)), np.asarray(f(x, y)), rounding=8.0)
    assert _products(made.source) <= products


@pytest.mark.parametrize("name", SCALED)
def test_a_sum_of_zeros_keeps_its_sign(name: str) -> None:
    f, _ = SCALED[name]
    made, zero = compile(f, X, Y, operator="value"), np.zeros((2, 3))
    got, expected = made(zero, zero), f(zero, zero)
    np.testing.assert_equal(np.signbit(got), np.signbit(expected))


def test_no_infinity_arises_from_a_factor() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(-2.0 * (x * y))

    made = compile(f, X, Y, operator="value")
    for x in (np.full((2, 3), 1e150), np.where(X > 0, np.inf, 1.0), np.where(X > 0, np.nan, 1.0)):
        np.testing.assert_equal(made(x, Y), f(x, Y))


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 2), (3, 40), (1, 3), (3, 1), (0, 3)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("axis", [-1, 1, (1,)])
def test_sums_over_the_last_axis(shape: tuple[int, ...], dtype: Any, axis: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(x * y, axis=axis), np.sum(np.sin(x), axis=axis)

    x = np.cos(np.arange(np.prod(shape))).reshape(shape).astype(dtype)
    made = compile(f, x, 2 * x, operator="value")
    assert_equal(made(x + dtype(1), x), f(x + dtype(1), x), rounding=16.0)
    zeros = np.zeros(shape, dtype)
    np.testing.assert_equal(np.signbit(made(-zeros, zeros)[0]), np.signbit(f(-zeros, zeros)[0]))


def _cubic(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    r = a + b * x + c * x * x + d * x * x * x - y
    return np.sum(r * r)


_COEFFICIENTS = tuple(map(np.float64, (0.3, -1.2, 0.7, 2.5)))
_BOTH = tuple(range(4))


def test_a_polynomial_is_computed_by_the_rule_of_horner() -> None:
    made = compile(_cubic, *_COEFFICIENTS, POINT, 2 * POINT, argnums=_BOTH, operator="value")
    # d x, (d x + c) x and ((d x + c) x + b) x; the sum of squares is a dot product.
    assert _products(made.source) == 3
    args = (*_COEFFICIENTS, POINT + 0.5, POINT)
    assert_equal(np.asarray(made(*args)), np.asarray(_cubic(*args)), rounding=8.0)


#: Coefficients and a point at which Horner's rule is not finite and the terms are, or the other way round.
_FAR = {
    "a sum of factors overflows": ((0.0, 1.5e308, 1.5e308, 0.0), 0.1),
    "infinite": ((1.0, -1.0, 2.0, 0.0), np.inf),
    "not a number": ((1.0, np.nan, 2.0, 0.0), 1.0),
    "the square overflows": ((1e200, 1.0, 2.0, 0.0), 1.0),
    "tiny and huge": ((0.0, 0.0, 0.0, 1e-300), 1e100),
}


@pytest.mark.parametrize("name", _FAR)
def test_values_that_are_not_finite_are_those_of_the_terms(name: str) -> None:
    coefficients, at = _FAR[name]
    made = compile(_cubic, *_COEFFICIENTS, POINT, POINT, argnums=_BOTH)
    args = (*map(np.float64, coefficients), np.full(6, at), POINT)
    with np.errstate(all="ignore"):
        got, expected = made(*args), (_cubic(*args), grad(_cubic, _BOTH)(*args))
    for a, b in zip([got[0], *got[1]], [expected[0], *expected[1]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


#: Not factored: no number tells whether the sum is finite, or the products are needed besides.
_AS_WRITTEN: dict[str, Callable[[Any, Any, Any], Any]] = {
    "no sum": lambda a, b, x: a * x + b * x,
    "a bounded function of it": lambda a, b, x: np.sum(np.tanh(a * x + b * x)),
    "products that are results": lambda a, b, x: (np.sum(a * x + b * x), a * x, b * x),
}


@pytest.mark.parametrize("name", _AS_WRITTEN)
def test_a_sum_without_a_witness_stays(name: str) -> None:
    f = _AS_WRITTEN[name]
    made = compile(f, *_COEFFICIENTS[:2], POINT, operator="value")
    assert "isfinite" not in made.source
    args = (np.float64(1.5e308), np.float64(1.5e308), np.full(6, 0.1))
    with np.errstate(over="ignore"):
        np.testing.assert_equal(tree(made(*args)), tree(f(*args)))


def test_a_long_sum_is_compiled_in_linear_depth() -> None:
    def f(x: Any, y: Any) -> Any:
        total = x * y
        for k in range(1500):
            total = total + (x * y if k % 7 else np.sin(x) * y)
        return np.sum(total)

    made = compile(f, X, Y, operator="value", rewrites=("factor", "dead"))
    assert_equal(np.asarray(made(X, Y)), np.asarray(f(X, Y)), rounding=4096.0)


def test_a_long_chain_of_factors_is_compiled_without_recursion() -> None:
    def f(x: Any) -> Any:
        y, z = np.sin(x), np.cos(x)
        for k in range(3000):
            y, z = y * (1.0 + 1e-6 * k), (z * 4.0) * 0.25
        return np.sum(y) + np.sum(np.exp(4.0 * z + np.tan(x) * 4.0))

    made = compile(f, POINT, operator="value", rewrites=("dot", "scale", "factor", "dead"))
    assert_equal(np.asarray(made(POINT)), np.asarray(f(POINT)), rounding=4096.0)


def _in_32_bits(x: Any) -> Any:
    return (1e5 * x).astype(np.int32)


#: Factors and signs of whole numbers and truth values, which stay where they are, with the value at (-1, 0, 2).
WHOLE: dict[str, tuple[Callable[[Any], Any], float]] = {
    # -2 of 8 bits without a sign is 254, and -1 is 255: 2 * 254 - 255.
    "a sign that wraps around": (lambda x: np.sum(x * -np.abs(x).astype(np.uint8)), 2 * 254.0 - 255.0),
    "added": (lambda x: np.sum(x + (-np.abs(x).astype(np.uint8))), 1.0 + 255.0 + 254.0),
    "subtracted": (lambda x: np.sum(x - (-np.abs(x).astype(np.uint16))), 1.0 - 65535.0 - 65534.0),
    # -(-2^63) is -2^63.
    "the smallest integer": (lambda x: np.sum(x[:1] * -(x[:1] * 2.0**63).astype(np.int64)), 2.0**63),
    "truth values": (lambda x: np.sum((x > 0) * 2.0 * ((x < 3) * 0.5)), 1.0),
    # (4 10^5)^2 + (2 10^5)^2 is too large for 32 bits.
    "products of integers": (lambda x: np.sum(_in_32_bits(x) * 2.0 * (_in_32_bits(x) * 2.0)), 2e11),
}  # fmt: skip


@pytest.mark.parametrize("make", [compile, partial(loops.compile, build="python")], ids=["lines", "loops"])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_keep_their_factors(name: str, make: Any) -> None:
    f, expected = WHOLE[name]
    x = np.array([-1.0, 0.0, 2.0])
    found = make(f, x, operator="value")(x)
    assert f(x) == expected
    assert found == expected
    assert found.dtype == np.float64


#: Functions with terms that share a power of two, and the products that remain of the gradient.
GATHERED: dict[str, tuple[Callable[[Any], Any], int]] = {
    "one factor of two": (lambda x: 2.0 * np.sin(x) + 2 * np.cos(x), 1),
    "one within a product": (lambda x: 4.0 * np.sin(x) - np.cos(x) * (np.tan(x) * 4), 2),
    "other signs": (lambda x: np.sin(x) * -2.0 + np.cos(x) * 2.0, 1),
    "the other way round": (lambda x: np.sin(x) * 2.0 - np.cos(x) * -2.0, 1),
    "three terms": (lambda x: 2.0 * np.sin(x) + 2.0 * np.cos(x) - 2.0 * np.tan(x), 1),
    "negative": (lambda x: np.sin(x) * -2.0 - np.cos(x) * 2.0, 2),
    "other factors": (lambda x: np.sin(x) * 2.0 + np.cos(x) * 4.0, 2),
    "no powers of two": (lambda x: np.sin(x) * 3.0 + np.cos(x) * 3.0, 2),
    "small": (lambda x: np.sin(x) * 0.5 + np.cos(x) * 0.5, 2),
    "used elsewhere": (lambda x: (2.0 * np.sin(x) + 2.0 * np.cos(x)) / (2.0 * np.sin(x)), 2),
    "one for each row": (lambda x: 2.0 * np.sin(x)[:, None] + 2.0 * np.cos(x), 2),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", GATHERED)
def test_a_power_of_two_moves_out_of_terms_to_the_bit(name: str, dtype: Any) -> None:
    f, products = GATHERED[name]
    made = compile(f, POINT.astype(dtype), operator="value")
    assert _products(made.source) == products
    zeros = np.array([0.0, -0.0, np.pi, -np.pi, 1e-320, np.inf, np.nan])
    for x in (POINT.astype(dtype), zeros.astype(dtype)):
        with np.errstate(all="ignore"):
            got, expected = compile(f, x, operator="value")(x), f(x)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


def test_a_negative_factor_moves_where_the_result_is_added_to_zeros() -> None:
    def f(x: Any, a: Any, b: Any) -> Any:
        return np.sum(x[1:] * (a * -2.0 - b * 2.0))

    a = np.array([0.0, -0.0, 0.0, -0.0, 1.0])
    b = np.array([0.0, 0.0, -0.0, -0.0, -1.0])
    made = compile(f, POINT, a + 1, b + 2, operator="gradient")
    assert _products(made.source) == 1
    found = made(POINT, a, b)
    np.testing.assert_array_equal(found, np.zeros(6))
    assert not np.signbit(found).any()


#: Sums of multiples of squares, and the dot products that are left of them.
SQUARES: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "two": (lambda x, y: np.sum(np.sin(x) ** 2 + np.cos(y) ** 2), 2),
    "with factors": (lambda x, y: np.sum(100 * np.sin(x) ** 2 + 2.5 * np.cos(y) ** 2 * 3), 2),
    "factor first": (lambda x, y: np.sum(3.0 * np.sin(x) * np.sin(x) + y * 0.0), 0),
    "small factors": (lambda x, y: np.sum(0.3 * np.sin(x) ** 2 + 0.5 * np.cos(y) ** 2), 2),
    "one": (lambda x, y: np.sum(0.3 * np.sin(x * y) ** 2), 1),
    "fourth powers": (lambda x, y: np.sum(np.sin(x) ** 4 + y**2), 2),
    "a negative factor": (lambda x, y: np.sum(np.sin(x) ** 2 - 2.0 * np.cos(y) ** 2), 0),
    "a difference": (lambda x, y: np.sum(np.sin(x) ** 2 - np.cos(y) ** 2), 0),
    "a factor of zero": (lambda x, y: np.sum(0.0 * np.sin(x) ** 2 + np.cos(y) ** 2), 0),
    "an infinite factor": (lambda x, y: np.sum(np.inf * np.sin(x) ** 2 + np.cos(y) ** 2), 0),
    "no square": (lambda x, y: np.sum(np.sin(x) ** 2 + np.cos(y)), 0),
    "used elsewhere": (lambda x, y: np.sum(2.0 * np.sin(x) ** 2 + y**2) * np.sum(np.exp(np.sin(x) ** 2)), 0),
    "rows": (lambda x, y: np.sum(2.0 * np.sin(x) ** 2 + y**2, axis=0), 0),
    "one for each row": (lambda x, y: np.sum(2.0 * np.sin(x[:, :1]) ** 2 + y**2), 0),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SQUARES)
def test_a_sum_of_squares_is_one_of_dot_products(name: str, dtype: Any) -> None:
    f, dots = SQUARES[name]
    x, y = X.astype(dtype), Y.astype(dtype)
    made = compile(f, x, y, operator="value")
    assert made.source.count("vdot(") == dots
    for at in (x, -x, np.where(x > 0, x, np.nan).astype(dtype), np.zeros((2, 3), dtype)):
        with np.errstate(invalid="ignore"):
            assert_equal(np.asarray(made(at, y)), np.asarray(f(at, y)), rounding=16.0)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 1.0, 100.0])
@pytest.mark.parametrize("size", [1e150, 1e153, 1.3e154, 1e200, 1e-150, np.inf])
def test_a_sum_of_squares_is_infinite_only_where_it_is_in_the_terms(size: float, factor: float) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(factor * x**2 + factor * y**2)

    made = compile(f, X, Y, operator="value_and_gradient", argnums=(0, 1))
    x, y = np.full((2, 3), size), np.full((2, 3), size / 2)
    with np.errstate(over="ignore"):
        value, slopes = made(x, y)
        np.testing.assert_allclose(value, f(x, y), rtol=1e-14)
        for got, expected in zip(slopes, grad(f, (0, 1))(x, y), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-15)
