"""A checkpoint computes the same function twice, or refuses."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import (
    TraceError,
    Variable,
    checkpoint,
    compile,
    custom_rule,
    grad,
    hessian,
    jvp,
    linearize,
    vjp,
)

X = np.array([0.0, 1.0, 2.0])
ONES = np.ones(3)


class Outside:
    """What a function may read from outside, and a change of it."""

    def __init__(self) -> None:
        self.array = np.array([1.0, 2.0, 3.0])
        self.number = 3.0
        self.rng = np.random.default_rng(0)

    def change(self) -> None:
        self.array[...] = 7.0
        self.number = 7.0


#: name, the function within the checkpoint.
READS: list[tuple[str, Callable[[Any, Outside], Any]]] = [
    ("array", lambda x, o: np.sin(x) * o.array),
    ("view", lambda x, o: x * o.array[::-1]),
    ("computed from an array", lambda x, o: x * (o.array * 2 + 1)),
    ("index", lambda x, o: x[o.array.astype(int) % 3]),
    ("mask", lambda x, o: np.where(o.array > 2, x, 0.0)),
    ("number", lambda x, o: o.number * x),
    ("power", lambda x, o: x**o.number),
    ("branch", lambda x, o: np.sin(x) if o.number < 5 else np.cos(x)),
    ("within a custom function", lambda x, o: custom_rule(vjp=(lambda g, ans, x: g,))(lambda x: x + o.array)(x)),
]
#: name, the same with random numbers.
RANDOM: list[tuple[str, Callable[[Any, Outside], Any]]] = [
    ("np.random", lambda x, o: x * np.random.rand(3)),
    ("Generator", lambda x, o: x * (o.rng.random(3) + o.rng.normal())),
    ("random", lambda x, o: x * random.random()),
    ("dropout", lambda x, o: np.where(o.rng.random(3) < 0.5, x, 0.0) + o.rng.random()),
]
EVERY_READ = pytest.mark.parametrize("read", [r[1] for r in READS], ids=[r[0] for r in READS])
EVERY_RANDOM = pytest.mark.parametrize("read", [r[1] for r in RANDOM], ids=[r[0] for r in RANDOM])


@EVERY_READ
def test_unchanged_it_has_the_derivative_of_the_function(read: Callable[[Any, Outside], Any]) -> None:
    o = Outside()
    x = X + 0.5
    plain, saved = (lambda x: np.sum(read(x, o))), (lambda x: np.sum(checkpoint(lambda x: read(x, o))(x)))
    np.testing.assert_array_equal(grad(saved)(x), grad(plain)(x))
    np.testing.assert_allclose(hessian(saved)(x), hessian(plain)(x), rtol=1e-15)
    assert jvp(saved, (x,), (ONES,)) == jvp(plain, (x,), (ONES,))
    np.testing.assert_array_equal(compile(saved, x, operator="gradient")(x), grad(plain)(x))


@EVERY_READ
def test_a_change_between_the_runs_is_refused(read: Callable[[Any, Outside], Any]) -> None:
    """At x = 0 most values are the same after the change, but the slopes are not."""

    def changed(x: Any) -> Any:
        o = Outside()
        y = checkpoint(lambda x: read(x, o))(x)
        o.change()
        return np.sum(y)

    with pytest.raises(TraceError, match="another computation"):
        grad(changed)(X)
    with pytest.raises(TraceError, match="another computation"):
        changed(Variable(X)).backward()
    for transform in (linearize, vjp):
        _, derivative = transform(changed, X)
        with pytest.raises(TraceError, match="another computation"):
            derivative(*(ONES,) if transform is linearize else (1.0,))


@EVERY_RANDOM
def test_random_numbers_are_refused(read: Callable[[Any, Outside], Any]) -> None:
    o = Outside()
    for transform in (grad, hessian, lambda f: lambda x: jvp(f, (x,), (x,))):
        with pytest.raises(TraceError, match="draw random numbers outside"):
            transform(lambda x: np.sum(checkpoint(lambda x: read(x, o))(x)))(X)


def test_random_numbers_as_an_argument() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random(3)
    found = grad(lambda x: np.sum(checkpoint(lambda x, noise: x * noise)(x, rng.random(3))))(X)
    assert found.shape == noise.shape
    np.testing.assert_array_equal(found, np.random.default_rng(0).random(6)[3:])


def test_an_argument_that_changes_is_kept_as_it_was() -> None:
    c = ONES.copy()
    x = Variable(X)
    y = np.sum(checkpoint(lambda x, c: x * x * c)(x, c))
    c[...] = 9.0
    y.backward()
    np.testing.assert_array_equal(x.grad, 2 * X)


def test_containers_keywords_and_constants_pass_through() -> None:
    def f(x: Any, scale: float, *, name: str) -> Any:
        return {"a": x * scale, "b": X, "c": 3, "d": None, "e": name}

    def loss(x: Any) -> Any:
        out = checkpoint(f)(x, 2.0, name="n")
        assert (out["d"], out["e"]) == (None, "n")
        return np.sum(out["a"] * out["b"]) * out["c"]

    np.testing.assert_array_equal(grad(loss)(X), 6 * X)
    assert checkpoint(f)(1.0, 2.0, name="n")["a"] == 2.0
    assert grad(lambda x: checkpoint(lambda x: 5.0)(x))(1.0) == 0.0


def test_a_traced_value_from_outside() -> None:
    with pytest.raises(TraceError, match="pass it as one"):
        grad(lambda x: checkpoint(lambda y: x * y)(x))(1.0)
    with pytest.raises(TraceError, match="pass it as one"):
        grad(lambda x: checkpoint(lambda y: (y, [x]))(x)[0])(1.0)
    # Without a traced argument there is nothing to save: the function is recorded as it is.
    assert grad(lambda x: checkpoint(lambda y: x * y)(3.0))(1.0) == 3.0


def test_a_checkpoint_in_a_checkpoint_to_second_order() -> None:
    f = checkpoint(checkpoint(lambda x: np.sin(x) * x))
    # (x sin x)'' = 2 cos x - x sin x.
    assert grad(grad(f))(0.5) == pytest.approx(2 * np.cos(0.5) - 0.5 * np.sin(0.5), rel=1e-15)
