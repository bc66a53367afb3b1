"""Custom rules: numbers and arrays in and out, nothing traced from outside, nothing written into the recording."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from autodiff_compare.backends.numpy_autodiff import (
    TraceError,
    Variable,
    compile,
    custom_rule,
    grad,
    hessian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)

X = np.array([1.0, 2.0, 3.0])
_sine = custom_rule(vjp=(lambda g, ans, x: g * np.cos(x),))(lambda x: math.sin(x))
_double = custom_rule(vjp=(lambda g, ans, x: 2 * g,))


class Pair(NamedTuple):
    square: Any
    cube: Any


def _parts(g: Any, *slopes: Any) -> Any:
    return sum(part * slope for part, slope in zip(g, slopes, strict=True) if part is not None)


_powers = custom_rule(vjp=(lambda g, ans, x: _parts(g, 2 * x, 3 * x * x),))
_forward_powers = custom_rule(jvp=(lambda t, ans, x: (2 * x * t, 3 * x * x * t),))
#: name, function of a number near 0.5, value and slopes of first and second order at 0.5 by hand.
NUMBERS: list[tuple[str, Callable[[Any], Any], float, float, float]] = [
    ("math.sin", _sine, math.sin(0.5), math.cos(0.5), -math.sin(0.5)),
    ("built in", custom_rule(vjp=(lambda g, ans, x: g * np.exp(x),))(math.exp), *(math.exp(0.5),) * 3),
    ("tuple", lambda x: _powers(lambda x: (float(x) ** 2, float(x) ** 3))(x)[1], 0.125, 0.75, 3.0),
    ("sum of a tuple", lambda x: sum(_powers(lambda x: (float(x) ** 2, float(x) ** 3))(x)), 0.375, 1.75, 5.0),
    ("named tuple", lambda x: _powers(lambda x: Pair(float(x) ** 2, float(x) ** 3))(x).square, 0.25, 1.0, 2.0),
    ("a number and an array", lambda x: np.sum(_powers(lambda x: (float(x) ** 2, x**3))(x)[1]), 0.125, 0.75, 3.0),
    ("forward rule of a tuple", lambda x: sum(_forward_powers(lambda x: (x * x, float(x) ** 3))(x)), 0.375, 1.75, 5.0),
    ("an integer", custom_rule(vjp=(lambda g, ans, x: g * (3 * x),))(lambda x: int(x)), 0.0, 1.5, 3.0),
    ("an argument by name", lambda x: _double(lambda x: float(x) * 2)(x=x) * x, 0.5, 2.0, 4.0),
]
EVERY_NUMBER = pytest.mark.parametrize(
    ("f", "value", "slope", "curvature"), [n[1:] for n in NUMBERS], ids=[n[0] for n in NUMBERS]
)


@EVERY_NUMBER
def test_python_numbers_in_and_out(f: Callable[[Any], Any], value: float, slope: float, curvature: float) -> None:
    found = value_and_grad(f)(0.5)
    assert found == pytest.approx((value, slope), rel=1e-15)
    assert jvp(f, (0.5,), (2.0,)) == pytest.approx((value, 2 * slope), rel=1e-15)
    assert grad(grad(f))(0.5) == pytest.approx(curvature, rel=1e-15)
    assert hessian(f)(0.5) == pytest.approx(curvature, rel=1e-15)
    assert compile(f, 0.3)(0.5) == pytest.approx((value, slope), rel=1e-15)
    x = Variable(0.5)
    f(x).backward()
    assert x.grad == pytest.approx(slope, rel=1e-15)


def test_a_number_has_the_precision_of_the_arguments() -> None:
    value, slope = value_and_grad(_sine)(np.float32(0.5))
    assert (value.dtype, slope.dtype) == (np.float32, np.float32)
    assert value == pytest.approx(math.sin(0.5), rel=1e-7)
    # d/dx (x + i x) pulled back from 1: the real part.
    turn = custom_rule(vjp=(lambda g, ans, x: g * (1 + 1j),))(lambda x: complex(x, x))
    assert vjp(turn, 2.0)[1](1.0 + 0j)[0] == 1.0


def test_without_a_variable_it_is_the_function_itself() -> None:
    assert type(_sine(0.5)) is float
    assert type(_double(lambda x: int(x))(2)) is int
    scratch = np.zeros(3)
    _double(lambda x: np.add(x, 1, out=x))(scratch)
    np.testing.assert_array_equal(scratch, 1.0)


def test_rules_may_return_python_numbers_and_lists() -> None:
    """The function is 2 x_0 + 3 x_1 + 4 x_2, or twice the sum: a number stands for every entry."""
    row = custom_rule(vjp=(lambda g, ans, x: [2.0 * float(g), 3.0 * float(g), 4.0 * float(g)],))
    np.testing.assert_array_equal(grad(row(lambda x: float(x @ [2.0, 3.0, 4.0])))(X), [2.0, 3.0, 4.0])
    same = custom_rule(vjp=(lambda g, ans, x: 2 * float(g),))(lambda x: 2 * float(np.sum(x)))
    np.testing.assert_array_equal(grad(same)(X), 2.0)
    forward = custom_rule(jvp=(lambda t, ans, x: float(t) * 2,))(lambda x: 2 * float(x))
    assert jvp(forward, (1.0,), (3.0,))[1] == 6.0


def test_a_rule_without_its_cotangent_has_no_transpose() -> None:
    wrong = custom_rule(vjp=(lambda g, ans, x: np.cos(x),))(np.sin)
    with pytest.raises(TypeError, match="does not depend on its cotangent"):
        jvp(wrong, (0.5,), (1.0,))


# From outside -------------------------------------------------------------------------------------


def _closing(w: Any) -> Any:
    return _double(lambda x: 2 * x + w)(w)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda: grad(_closing)(3.0),
        lambda: jvp(_closing, (3.0,), (1.0,)),
        lambda: compile(_closing, 3.0),
        lambda: _closing(Variable(3.0)).backward(),
        lambda: grad(lambda w: grad(lambda x: _double(lambda y: 2 * y * w)(x))(w))(3.0),
        lambda: grad(lambda w: _double(lambda x: (2 * x, w))(w)[0])(3.0),
        lambda: grad(lambda w: _double(lambda x: [2 * x, w])(w)[0])(3.0),
    ],
)
def test_a_traced_value_from_outside_is_refused(derivative: Callable[[], Any]) -> None:
    with pytest.raises((TraceError, TypeError), match=r"traced value from outside|output of type list"):
        derivative()


def test_a_rule_that_uses_a_traced_value_from_outside() -> None:
    """With the rule g -> w^2 g the inner derivative is w^2, whose slope at 3 is 6."""
    outer = grad(lambda w: grad(lambda x: custom_rule(vjp=(lambda g, ans, x: g * w * w,))(lambda x: 9 * x)(x))(2.0))
    assert outer(3.0) == 6.0
    with pytest.raises(TraceError, match="custom rule as an argument"):
        grad(lambda w: custom_rule(vjp=(lambda g, ans, x: g * w,))(lambda x: 3 * x)(w))(3.0)
    with pytest.raises(TraceError, match="pass it to the function as an argument"):
        jvp(lambda w: custom_rule(jvp=(lambda t, ans, x: t * w,))(lambda x: 3 * x)(w), (3.0,), (1.0,))


def test_a_call_without_traced_arguments_is_recorded_as_written() -> None:
    """The rule is for x, which is constant; d/dw (2 + w) = 1."""
    assert grad(lambda w: _double(lambda x: 2 * x + w)(1.0))(3.0) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: _double(lambda p: p[0] * p[1])([x, x]), r"within argument 0 of <lambda> \(a list\)"),
        (lambda x: _double(lambda p: p["a"] * 2)({"a": x}), r"\(a dict\)"),
        (lambda x: _double(lambda a, *, b: a * b)(2.0, b=x), "b= of <lambda>"),
        (lambda x: _double(lambda a: None)(x), "type NoneType"),
        (lambda x: _double(lambda a: {"a": a})(x)["a"], "type dict"),
        (lambda x: _double(lambda a: a > 0)(x), "dtype bool"),
        (lambda x: _double(lambda a: np.rint(a).astype(int))(x), "dtype int64"),
        (lambda x: _double(lambda a: (a, [a]))(x)[0], "type list"),
        (lambda x: _double(lambda a: (1, 2))(x)[0], "type tuple"),
    ],
)
def test_what_has_no_rule_is_refused(call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        grad(call)(1.5)


def test_integers_among_several_outputs_are_constants() -> None:
    largest = custom_rule(vjp=(lambda g, ans, x: np.where(np.arange(3) == ans[1], g[0], 0.0),))
    found = grad(lambda x: (lambda out: out[0] * out[1])(largest(lambda x: (float(np.max(x)), int(np.argmax(x))))(x)))(
        X
    )
    np.testing.assert_array_equal(found, [0.0, 0.0, 2.0])


def test_a_custom_function_gets_its_arguments_as_they_are() -> None:
    labelled = pd.Series([3.0, 1.0], index=[2, 1])
    by_label = custom_rule(vjp=(lambda g, ans, x, s: g * s[2], None))(lambda x, s: x * s[2])
    assert grad(by_label)(2.0, labelled) == 3.0


# Writes -------------------------------------------------------------------------------------------


def _in_place(g: Any, ans: Any, x: Any) -> Any:
    g *= 2
    return g


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(_double(lambda a: np.multiply(a, 2, out=a))(x * 1.0)),
        lambda x: (lambda y: np.sum((y + custom_rule(vjp=(_in_place,))(lambda a: 2 * a)(y)) * X))(x * 1.0),
    ],
)
def test_a_write_into_the_recording_raises(f: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        grad(f)(X)


@pytest.mark.parametrize("stop", [stop_gradient, lambda y: stop_gradient({"y": [y]})["y"][0]])
def test_a_constant_of_a_recording_is_read_only(stop: Callable[[Any], Any]) -> None:
    def f(x: Any) -> Any:
        y = 2 * x
        stop(y)[0] = 100.0
        return np.sum(y * y)

    for transform in (grad(f), lambda x: vjp(f, x), lambda x: f(Variable(x))):
        with pytest.raises(ValueError, match="read-only"):
            transform(X)
    # The value itself is as before: d/dx (c x) with c = x^2.
    np.testing.assert_array_equal(grad(lambda x: np.sum(stop(x * x) * x))(X), X * X)
    free = X.copy()
    assert stop_gradient(free) is free
