"""Copies of a variable keep its derivative, and what cannot keep it is refused."""

from __future__ import annotations

import collections
import copy
import dataclasses
import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, compile, grad, hessian, jvp, no_grad

X = np.array([1.0, 2.0, 3.0])


@dataclasses.dataclass
class Layer:
    weights: Any
    name: str = "first"


@dataclasses.dataclass
class Model:
    layers: list[Layer]


#: name, a way to get an equal value.
COPIES: list[tuple[str, Callable[[Any], Any]]] = [
    ("copy.copy", copy.copy),
    ("copy.deepcopy", copy.deepcopy),
    ("deepcopy of a dict", lambda x: copy.deepcopy({"w": [x, x]})["w"][1]),
    ("deepcopy of a deque", lambda x: copy.deepcopy(collections.deque([x]))[0]),
    ("deepcopy of an object", lambda x: copy.deepcopy(Layer(x)).weights),
    ("dataclasses.asdict", lambda x: dataclasses.asdict(Model([Layer(x)]))["layers"][0]["weights"]),
    ("dataclasses.astuple", lambda x: dataclasses.astuple(Layer(x))[0]),
    ("dataclasses.replace", lambda x: dataclasses.replace(Layer(x), name="second").weights),
    ("np.copy", np.copy),
    ("x.copy()", lambda x: x.copy()),
]
EVERY_COPY = pytest.mark.parametrize("copied", [c[1] for c in COPIES], ids=[c[0] for c in COPIES])


@EVERY_COPY
def test_a_copy_keeps_the_derivative(copied: Callable[[Any], Any]) -> None:
    """The gradient of sum x^3 is 3 x^2, its Hessian diag(6 x), its slope along (1, 1, 1) sum 3 x^2 = 42."""

    def f(x: Any) -> Any:
        return np.sum(copied(copied(x) * copied(x)) * x)

    np.testing.assert_array_equal(grad(f)(X), 3 * X * X)
    np.testing.assert_array_equal(hessian(f)(X), np.diag(6 * X))
    assert jvp(f, (X,), (np.ones(3),))[1] == 42.0
    np.testing.assert_array_equal(compile(f, X, operator="gradient")(X), 3 * X * X)


@EVERY_COPY
def test_a_copy_in_the_backward_style_keeps_the_derivative(copied: Callable[[Any], Any]) -> None:
    x = Variable(X)
    np.sum(copied(x) * copied(2 * x)).backward()
    np.testing.assert_array_equal(x.grad, 4 * X)


def test_a_copy_does_not_follow_a_new_value() -> None:
    x = Variable(X)
    before = copy.deepcopy({"x": x})["x"]
    x.value = 2 * X
    np.testing.assert_array_equal(before.value, X)
    with pytest.raises(RuntimeError, match="assigned a new value"):
        np.sum(before * before).backward()


def test_a_copy_without_history_is_a_variable_of_its_own() -> None:
    x = Variable(X)
    with no_grad():
        best = copy.deepcopy([x, x])
    assert best[0] is best[1]
    best[0].value = 5 * X
    np.testing.assert_array_equal(x.value, X)
    np.sum(best[0] * best[0]).backward()
    assert x.grad is None
    np.testing.assert_array_equal(best[0].grad, 10 * X)


@pytest.mark.parametrize(
    ("leave", "kind", "message"),
    [
        (pickle.dumps, TypeError, "pickle of a variable of shape .3,."),
        (lambda x: pickle.dumps(Layer(x * x)), TypeError, "pickle x.value"),
        (json.dumps, TypeError, "type Variable is not JSON"),
        (lambda x: np.save(io.BytesIO(), x), NotImplementedError, "numpy.save"),
        (lambda x: np.savez(io.BytesIO(), x=x), NotImplementedError, "numpy.savez"),
    ],
)
def test_writing_a_variable_down_is_refused(leave: Callable[[Any], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        leave(Variable(X))
    with pytest.raises(kind, match=message):
        grad(lambda x: np.sum(leave(x * 1.0)))(X)


def test_errors_of_others_name_the_class_that_the_user_knows() -> None:
    with pytest.raises(TypeError, match="Variable"):
        grad(open)(1.0)
    with pytest.raises(AttributeError, match="'Variable' object has no attribute 'nosuch'"):
        grad(lambda x: x.nosuch)(X)
