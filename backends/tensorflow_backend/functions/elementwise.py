"""Elementwise functions: TensorFlow's own, those it lacks, and those that accept fewer operand types there.

Two-operand functions are wrapped because TensorFlow infers the dtype from the first operand: ``tf.maximum(0.0, x)``
raises in a graph for a float64 ``x``. In a graph, the wrapper runs only while tracing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from autodiff_compare.backends.tensorflow_backend.functions.dtypes import Tensor, floating, is_integral, match

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "where",
]


def _of_floats(op: Callable[[Tensor], Tensor]) -> Callable[[Any], Tensor]:
    """Wrap ``op``, which rejects integers and computes Python numbers in float32."""

    def function(x: Any, /) -> Tensor:
        return op(floating(x))

    return function


acos, acosh, asin, asinh, atan, atanh = map(
    _of_floats, (tf.math.acos, tf.math.acosh, tf.math.asin, tf.math.asinh, tf.math.atan, tf.math.atanh)
)
cos, cosh, sin, sinh, tan, tanh = map(
    _of_floats, (tf.math.cos, tf.math.cosh, tf.math.sin, tf.math.sinh, tf.math.tan, tf.math.tanh)
)
exp, expm1, log, log1p, sqrt, reciprocal = map(
    _of_floats, (tf.math.exp, tf.math.expm1, tf.math.log, tf.math.log1p, tf.math.sqrt, tf.math.reciprocal)
)
conj, imag, real, square = tf.math.conj, tf.math.imag, tf.math.real, tf.math.square
logical_and, logical_not, logical_or, logical_xor = (
    tf.math.logical_and,
    tf.math.logical_not,
    tf.math.logical_or,
    tf.math.logical_xor,
)


def _binary(op: Callable[..., Any]) -> Callable[[Any, Any], Tensor]:
    """Wrap ``op`` so that either operand may be a Python scalar."""

    def binary(x1: Any, x2: Any, /) -> Tensor:
        return op(*match(x1, x2))

    return binary


add, subtract, multiply = (_binary(op) for op in (tf.math.add, tf.math.subtract, tf.math.multiply))
floor_divide, remainder = _binary(tf.math.floordiv), _binary(tf.math.floormod)
maximum, minimum, nextafter = (_binary(op) for op in (tf.math.maximum, tf.math.minimum, tf.math.nextafter))


def _floats(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Return two operands as floating tensors of one dtype."""
    first, second = (floating(x) for x in match(x1, x2))
    return first, second


def divide(x1: Any, x2: Any, /) -> Tensor:
    """Return the quotients, of integers as floats."""
    return tf.math.divide(*_floats(x1, x2))


def atan2(x1: Any, x2: Any, /) -> Tensor:
    """Return the angle of the point (x2, x1)."""
    return tf.math.atan2(*_floats(x1, x2))


equal, not_equal = (_binary(op) for op in (tf.math.equal, tf.math.not_equal))
less, less_equal, greater, greater_equal = (
    _binary(op) for op in (tf.math.less, tf.math.less_equal, tf.math.greater, tf.math.greater_equal)
)


def _bitwise(bits: Callable[..., Any], logical: Callable[..., Any]) -> Callable[[Any, Any], Tensor]:
    """Combine ``bits`` for integers and ``logical`` for booleans, which are separate functions in TensorFlow."""

    def bitwise(x1: Any, x2: Any, /) -> Tensor:
        x1, x2 = match(x1, x2)
        return (logical if x1.dtype == tf.bool else bits)(x1, x2)

    return bitwise


bitwise_and = _bitwise(tf.bitwise.bitwise_and, tf.math.logical_and)
bitwise_or = _bitwise(tf.bitwise.bitwise_or, tf.math.logical_or)
bitwise_xor = _bitwise(tf.bitwise.bitwise_xor, tf.math.logical_xor)
bitwise_left_shift = _binary(tf.bitwise.left_shift)
bitwise_right_shift = _binary(tf.bitwise.right_shift)


def bitwise_invert(x: Tensor, /) -> Tensor:
    """Invert every bit; ``not`` for booleans."""
    return tf.math.logical_not(x) if x.dtype == tf.bool else tf.bitwise.invert(x)


def _rounding(op: Callable[..., Any]) -> Callable[[Any], Tensor]:
    """Wrap ``op`` so that it returns integers unchanged."""

    def rounding(x: Tensor, /) -> Tensor:
        return tf.identity(x) if is_integral(x) else op(x)

    return rounding


ceil, floor = _rounding(tf.math.ceil), _rounding(tf.math.floor)
# trunc is built from floor and ceil, which keep the sign of a zero as in C: ceil(-0.5) is -0.0.
trunc = _rounding(lambda x: tf.where(x < 0, tf.math.ceil(x), tf.math.floor(x)))


@_rounding
def round(x: Tensor) -> Tensor:
    """Round to the nearest integer, halves to even; a complex number by its parts."""
    if x.dtype.is_complex:
        return tf.complex(tf.math.round(tf.math.real(x)), tf.math.round(tf.math.imag(x)))
    return tf.math.round(x)


def _test(op: Callable[..., Any], of_integers: bool) -> Callable[[Any], Tensor]:
    """Wrap a test of floats that has the same answer for all integers."""

    def test(x: Tensor, /) -> Tensor:
        if is_integral(x):
            return tf.fill(tf.shape(x), of_integers)
        if x.dtype.is_complex:
            parts = op(tf.math.real(x)), op(tf.math.imag(x))
            return tf.math.logical_and(*parts) if of_integers else tf.math.logical_or(*parts)
        return op(x)

    return test


isfinite = _test(tf.math.is_finite, True)
isinf = _test(tf.math.is_inf, False)
isnan = _test(tf.math.is_nan, False)


def negative(x: Tensor, /) -> Tensor:
    """Return ``-x``; of unsigned integers, which TensorFlow does not negate, modulo the power of two."""
    return tf.zeros_like(x) - x if x.dtype.is_unsigned else tf.math.negative(x)


def pow(x1: Any, x2: Any, /) -> Tensor:
    """Return ``x1`` to the power ``x2``.

    TensorFlow has no powers of unsigned integers. Products of signed ones of 64 bits have the same lower bits.
    """
    x1, x2 = match(x1, x2)
    if x1.dtype.is_unsigned:
        return tf.cast(tf.math.pow(tf.cast(x1, tf.int64), tf.cast(x2, tf.int64)), x1.dtype)
    return tf.math.pow(x1, x2)


def positive(x: Tensor, /) -> Tensor:
    """Return ``+x``, an operator that TensorFlow's tensors lack."""
    return tf.identity(x)


def abs(x: Tensor, /) -> Tensor:
    """Return the absolute value; unsigned integers, which ``tf.abs`` rejects, are returned unchanged."""
    return tf.identity(x) if x.dtype.is_unsigned else tf.math.abs(x)


def sign(x: Tensor, /) -> Tensor:
    """Return -1, 0 or 1; ``x / |x|`` for complex numbers, nan for nan."""
    return tf.cast(x != 0, x.dtype) if x.dtype.is_unsigned else tf.math.sign(x)


def log2(x: Tensor, /) -> Tensor:
    """Return the logarithm to base 2."""
    return log(x) / math.log(2.0)


def log10(x: Tensor, /) -> Tensor:
    """Return the logarithm to base 10."""
    return log(x) / math.log(10.0)


def signbit(x: Tensor, /) -> Tensor:
    """Return whether the sign bit is set: true for -0.0."""
    if is_integral(x):
        return tf.fill(tf.shape(x), False) if x.dtype.is_unsigned else x < 0
    return tf.bitcast(x, tf.int64 if x.dtype == tf.float64 else tf.int32) < 0


def copysign(x1: Any, x2: Any, /) -> Tensor:
    """Return ``x1`` with the sign of ``x2``; the derivative is +1 or -1, also at ``x1 = 0``."""
    x1, x2 = match(x1, x2)
    return tf.where(tf.math.equal(signbit(x1), signbit(x2)), x1, -x1)


def hypot(x1: Any, x2: Any, /) -> Tensor:
    """Return ``sqrt(x1^2 + x2^2)`` without overflow.

    For any constant m > 0 this is ``m sqrt((x1/m)^2 + (x2/m)^2)``. The value does not depend on m, so m is the larger
    operand and is excluded from differentiation; derivatives of every order are right. At (0, 0), where no derivative
    exists, it is nan, as for ``tf.norm``.
    """
    x1, x2 = _floats(x1, x2)
    largest = tf.stop_gradient(tf.math.maximum(tf.math.abs(x1), tf.math.abs(x2)))
    usable = tf.math.is_finite(largest) & (largest > 0)
    m = tf.where(usable, largest, tf.ones_like(largest))
    infinite = tf.math.is_inf(x1) | tf.math.is_inf(x2)
    return tf.where(infinite, tf.cast(math.inf, x1.dtype), m * tf.math.sqrt((x1 / m) ** 2 + (x2 / m) ** 2))


def logaddexp(x1: Any, x2: Any, /) -> Tensor:
    """Return ``log(e^x1 + e^x2)`` without overflow.

    With the gap d = x2 - x1, this is x1 + softplus(d), or x2 + softplus(-d) for d > 0. Both are smooth, so that both
    derivatives are right at equal operands (one half each), where those of ``maximum`` are not. Where the gap is nan or
    infinite, the result is the larger operand; there d = 0 keeps nan out of the derivatives.
    """
    x1, x2 = _floats(x1, x2)
    gap = x2 - x1
    finite = tf.math.is_finite(gap)
    d = tf.where(finite, gap, tf.zeros_like(gap))
    result = tf.where(d <= 0, x1 + tf.math.softplus(d), x2 + tf.math.softplus(-d))
    return tf.where(finite, result, tf.math.maximum(x1, x2))


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """Limit ``x`` to two bounds, either of which may be absent.

    At a bound the derivative with respect to ``x`` is 1, as in ``tf.clip_by_value``.
    """
    if max is not None:
        x = minimum(x, max)
    if min is not None:
        x = maximum(x, min)
    return tf.convert_to_tensor(x)


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    """Select ``x1`` where the condition holds, else ``x2``."""
    return tf.where(condition, *match(x1, x2))
