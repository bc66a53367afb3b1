"""Which argument is differentiated, how it may be passed, and what an output may be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import (
    TraceError,
    Variable,
    compile,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)

X = np.array([1.0, 2.0, 3.0])
TRANSFORMS: list[Callable[..., Any]] = [grad, value_and_grad, jacobian, hessian]
EVERY_TRANSFORM = pytest.mark.parametrize("transform", TRANSFORMS)


def f(x: Any, y: Any = 3.0, *, scale: float = 1.0) -> Any:
    """The slopes are y^2 scale and 2 x y scale."""
    return x * y * y * scale


@EVERY_TRANSFORM
@pytest.mark.parametrize("argnums", [(0, 0), (1, 0, 1), [1, 1], (0, -2), (-1, 1), np.array([0, 0])])
def test_an_argument_named_twice_is_refused(transform: Callable[..., Any], argnums: Any) -> None:
    with pytest.raises(ValueError, match="name an argument twice"):
        transform(f, argnums)(2.0, 3.0)


def test_compiling_refuses_it_too() -> None:
    for operator, more in (("gradient", ()), ("jvp", (1.0, 1.0)), ("hessian", ())):
        with pytest.raises(ValueError, match="name an argument twice"):
            compile(f, 2.0, 3.0, *more, argnums=(0, 0), operator=operator)
        with pytest.raises(ValueError, match="name an argument twice"):
            compile(f, 2.0, 3.0, *more, argnums=(0, -2), operator=operator)
    assert compile(f, 2.0, 3.0, argnums=np.int64(1), operator="gradient")(2.0, 3.0) == 12.0


@EVERY_TRANSFORM
@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_a_position_without_an_argument(transform: Callable[..., Any], argnums: Any) -> None:
    with pytest.raises(ValueError, match="and 2 positional arguments"):
        transform(f, argnums)(2.0, 3.0)


@EVERY_TRANSFORM
@pytest.mark.parametrize("argnums", ["x", 1.0, True, (0, None)])
def test_what_is_no_position(transform: Callable[..., Any], argnums: Any) -> None:
    with pytest.raises(TypeError, match="expected an integer or a sequence of integers"):
        transform(f, argnums)


def test_positions_of_any_integer_class_and_order() -> None:
    assert grad(f, np.int64(1))(2.0, 3.0) == 12.0
    assert grad(f, -1)(2.0, 3.0) == 12.0
    assert grad(f, [1, 0])(2.0, 3.0) == (12.0, 9.0)
    assert grad(f, np.array([0]))(2.0, 3.0) == (9.0,)
    assert grad(f, ())(2.0, 3.0) == ()


@pytest.mark.parametrize(
    ("argnums", "args", "kwargs", "expected"),
    [
        (0, (), {"x": 2.0}, 9.0),
        (0, (), {"y": 4.0, "x": 2.0}, 16.0),
        (1, (2.0,), {"y": 4.0}, 16.0),
        (1, (2.0,), {}, None),
        ((0, 1), (), {"x": 2.0, "y": 4.0, "scale": 2.0}, (32.0, 32.0)),
        (0, (2.0,), {"y": 4.0, "scale": 2.0}, 32.0),
        (0, (), {"x": 2.0, "scale": 2.0}, 18.0),
    ],
)
def test_arguments_by_keyword(argnums: Any, args: Any, kwargs: Any, expected: Any) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="passed by position"):
            grad(f, argnums)(*args, **kwargs)
        return
    assert grad(f, argnums)(*args, **kwargs) == expected
    assert value_and_grad(f, argnums)(*args, **kwargs)[1] == expected
    assert jacobian(f, argnums)(*args, **kwargs) == expected
    assert grad(functools.partial(f), argnums)(*args, **kwargs) == expected


def test_keywords_of_a_hessian() -> None:
    # d2/dy2 (x y^2 s) = 2 x s.
    assert hessian(f, 1)(2.0, 3.0, scale=2.0) == 8.0
    assert hessian(f, 1)(2.0, y=3.0) == 4.0


def test_no_argument_at_all() -> None:
    for call in (lambda: grad(f)(), lambda: grad(f)(scale=2.0), lambda: jacobian(f)(), lambda: grad(f)(z=1.0)):
        with pytest.raises((ValueError, TypeError), match="positional argument"):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda g: hvp(g, X, X),
        lambda g: hvp(g, X[:1], X[:1]),
        lambda g: hvp(g, Variable(X), (X,)),
        lambda g: hvp(g, 2.0, 1.0),
        lambda g: jvp(g, X, X),
        lambda g: jvp(g, X[:1], X[:1]),
        lambda g: jvp(g, {"x": X}, {"x": X}),
    ],
)
def test_an_array_in_place_of_a_tuple_of_arguments(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="expected a tuple with one entry per argument"):
        call(lambda x: np.sum(x**3))


def test_tangents_are_counted() -> None:
    with pytest.raises(ValueError, match="got 2 tangents, expected 1"):
        linearize(np.sin, X)[1](X, X)
    with pytest.raises(ValueError, match="got 1 tangents, expected 2"):
        jvp(f, (2.0, 3.0), (1.0,))
    for transform in (jvp, hvp):
        with pytest.raises(ValueError, match="got 3 tangents, expected 1"):
            transform(lambda x: np.sum(x**3), (X,), X)
        with pytest.raises(ValueError, match=r"tangent of shape \(\), expected \(1,\)"):
            transform(lambda x: np.sum(x**3), (X[:1],), X[:1])


# Outputs ------------------------------------------------------------------------------------------


def _forgotten(x: Any) -> None:
    np.sum(x * x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_forgotten, "got None"),
        (lambda x: "loss", "type str"),
        (lambda x: (part for part in x), "type generator"),
        (lambda x: map(np.sin, x), "type map"),
        (lambda x: {1.0, 2.0}, "type set"),
        (lambda x: len, "type builtin_function"),
        (lambda x: np.array([1.0, "a"], object), "type ndarray of objects"),
        (lambda x: {"loss": np.sum(x), "note": None}, "got None"),
    ],
)
def test_an_output_without_numbers(function: Callable[[Any], Any], message: str) -> None:
    transforms: list[Callable[[], Any]] = [
        lambda: grad(function)(X),
        lambda: value_and_grad(function)(X),
        lambda: jacobian(function)(X),
        lambda: jacobian(function, mode="forward")(X),
        lambda: hessian(function)(X),
        lambda: vjp(function, X),
        lambda: jvp(function, (X,), (X,)),
        lambda: hvp(function, (X,), (X,)),
        lambda: linearize(function, X),
    ]
    for transform in transforms:
        with pytest.raises(TypeError, match=message):
            transform()


def test_an_auxiliary_output_needs_a_pair() -> None:
    """Unpacking would take the two entries of an array for output and auxiliary output."""
    for out in (lambda x: x[:2], np.sum, lambda x: (np.sum(x), 1, 2)):
        with pytest.raises(TypeError, match="expected a pair"):
            grad(out, has_aux=True)(X)
    assert grad(lambda x: (np.sum(x), None), has_aux=True)(X)[1] is None


def test_an_output_of_an_inner_trace_is_no_constant() -> None:
    """The inner variable depends on x: as a constant its derivative would be 0, not y = 2."""

    def leaked(x: Any) -> Any:
        box: list[Any] = []
        grad(lambda y: box.append(y * x) or y)(2.0)  # type: ignore[func-returns-value]
        return box[0]

    for transform in (grad(leaked), jacobian(leaked), lambda x: jvp(leaked, (x,), (x,)), lambda x: vjp(leaked, x)):
        with pytest.raises(TraceError, match="after the function it belongs to has returned"):
            transform(3.0)


def test_constant_outputs_have_the_derivative_zero() -> None:
    for constant in (5.0, 5, True, np.float32(1), np.argmax(X)):
        assert grad(lambda x, c=constant: c)(1.0) == 0.0
    np.testing.assert_array_equal(jacobian(lambda x: X)(X), np.zeros((3, 3)))
