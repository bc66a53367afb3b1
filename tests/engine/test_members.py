"""The members of an array on a variable: its properties, what it prints, what would drop its derivative."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, grad
from autodiff_compare.backends.numpy_autodiff.compiler import CompileError, compile

MATRIX = np.array([[0.5, -1.2, 2.0], [1.5, 0.3, -0.7]])


@pytest.mark.parametrize("name", ["shape", "ndim", "size", "dtype", "itemsize", "nbytes", "strides", "device", "base"])
@pytest.mark.parametrize("x", [MATRIX, MATRIX[0].astype(np.float32), np.float64(0.5), np.zeros((0, 2))], ids=np.shape)
def test_a_property_is_that_of_the_array(name: str, x: Any) -> None:
    assert getattr(Variable(x), name) == getattr(x.copy(), name)


def test_the_flags_are_those_of_an_array_that_is_read_only() -> None:
    x = Variable(MATRIX)
    assert (x.flags.c_contiguous, x.T.flags.f_contiguous, x.flags.writeable) == (True, True, False)
    x.flags.writeable = True
    assert not x.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        x.value[0] = 0.0


@pytest.mark.parametrize("spec", [".2f", ">10.3e", ".3g", "+.1%", "015.4f"])
def test_a_number_is_formatted_as_its_value(spec: str) -> None:
    seen: list[str] = []
    slope = grad(lambda x: seen.append(format(x, spec)) or x * x)(0.34567)  # type: ignore[func-returns-value]
    assert seen == [format(0.34567, spec)]
    assert slope == 2 * 0.34567


def test_an_array_has_no_format_as_in_numpy() -> None:
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{Variable(MATRIX):.2f}"
    assert f"{Variable(0.5)}" == str(Variable(0.5)) == "Variable(np.float64(0.5))"


def test_round_has_the_value_of_numpy_and_no_slope() -> None:
    assert grad(lambda x: round(x, 2) * x)(0.346) == round(0.346, 2)
    assert grad(lambda x: round(x, 2))(0.346) == 0.0
    with pytest.raises(TypeError, match=r"use np\.round"):
        grad(lambda x: round(x) * x)(0.346)


#: What would drop the derivative -> what the message says to use.
DROPS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "float": (float, "np.sin for math.sin"),
    "math.sin": (math.sin, "np.sin for math.sin"),
    "math.floor": (math.floor, r"np\.floor"),
    "math.ceil": (math.ceil, r"np\.ceil"),
    "math.trunc": (math.trunc, r"np\.trunc"),
    "int": (int, r"np\.trunc"),
    "complex": (complex, "astype"),
    "index": (lambda x: [1, 2][x], "astype|as an integer argument"),
    "range": (range, "astype|as an integer argument"),
    "item": (lambda x: x.item(), r"np\.reshape"),
    "tolist": (lambda x: x.tolist(), r"list\(x\)"),
    "tobytes": (lambda x: x.tobytes(), "the array itself"),
    "asarray": (np.asarray, r"np\.stack"),
    "class of a view": (lambda x: x.view(np.ndarray) + x.view(type=np.ndarray), r"np\.stack"),
    "array of a list": (lambda x: np.array([x, 2 * x]), r"np\.stack"),
    "sum of a list": (lambda x: np.sum([x, 2 * x]), r"np\.stack"),
    "max of a list": (lambda x: np.max([x, 1.0]), r"np\.stack"),
    "norm of a list": (lambda x: np.linalg.norm([x, x]), r"np\.stack"),
    "nested list": (lambda x: np.linalg.det([[x, 1.0], [1.0, x]]), r"np\.stack"),
    "r_": (lambda x: np.r_[x, 1.0], r"np\.r_"),
    "c_": (lambda x: np.c_[x, 1.0], r"np\.r_"),
    "full": (lambda x: np.full(3, x), r"np\.full"),
    "vectorize": (lambda x: np.vectorize(lambda t: t)(x), r"np\.stack"),
    "random": (lambda x: np.random.default_rng(0).normal(x, 1.0), r"np\.random"),
    "random choice": (lambda x: np.random.default_rng(0).uniform(0.0, [x, 1.0]), r"np\.random"),
    "arange": (np.arange, r"np\.stack"),
}


@pytest.mark.parametrize("name", DROPS)
def test_nothing_drops_the_derivative_silently(name: str) -> None:
    call, advice = DROPS[name]
    with pytest.raises(TypeError, match=advice) as caught:
        grad(lambda x: np.sum(call(x)) * x)(1.5)
    assert "drop its derivative" in str(caught.value)
    with pytest.raises(CompileError, match=advice):
        compile(lambda x: np.sum(call(x)) * x, 1.5)


#: Calls that write into the array -> what the message names.
WRITES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "x[0] = 1": (lambda x: x.__setitem__(0, 1.0), r"np\.where"),
    "flat": (lambda x: x.flat.__setitem__(0, 1.0), r"np\.where"),
    "sort": (lambda x: x.sort(), r"np\.sort\(x\)"),
    "partition": (lambda x: x.partition(1), r"np\.partition"),
    "fill": (lambda x: x.fill(1.0), r"np\.full_like"),
    "put": (lambda x: x.put([0], 1.0), r"np\.where"),
    "resize": (lambda x: x.resize((1, 2)), r"np\.resize"),
    "setflags": (lambda x: x.setflags(write=True), "copy"),
    "np.put": (lambda x: np.put(x, [0], 1.0), r"np\.put of a variable"),
    "np.copyto": (lambda x: np.copyto(x, 1.0), r"np\.copyto of a variable"),
    "np.copyto into an array": (lambda x: np.copyto(np.zeros(3), x), r"np\.copyto of a variable"),
    "np.place": (lambda x: np.place(x, x.value > 0, [1.0]), r"np\.place of a variable"),
    "np.putmask": (lambda x: np.putmask(x, x.value > 0, 1.0), r"np\.putmask of a variable"),
    "np.put_along_axis": (lambda x: np.put_along_axis(x, np.array([0]), 1.0, 0), "put_along_axis of a variable"),
    "np.fill_diagonal": (lambda x: np.fill_diagonal(x, 1.0), r"np\.fill_diagonal of a variable"),
    "np.add.at": (lambda x: np.add.at(x, [0], 1.0), r"np\.add\.at of a variable"),
    "np.add.at into an array": (lambda x: np.add.at(np.zeros(3), [0, 1, 2], x), r"np\.bincount"),
}


@pytest.mark.parametrize("name", WRITES)
def test_nothing_writes_into_a_variable(name: str) -> None:
    call, advice = WRITES[name]
    with pytest.raises(TypeError, match=advice):
        grad(lambda x: np.sum(x) + (call(x) or 0.0))(np.ones(3))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ctypes", "use x.value.ctypes"),
        ("data", "use x.value.data"),
        ("softmax", "'Variable' object has no attribute 'softmax'"),
    ],
)
def test_a_member_that_is_missing_is_named(name: str, says: str) -> None:
    with pytest.raises(AttributeError, match=says):
        getattr(Variable(MATRIX), name)
    assert not hasattr(Variable(MATRIX), name)


def test_python_names_a_variable_by_its_public_class() -> None:
    with pytest.raises(TypeError, match="'Variable'"):
        (Variable(1.0) + 0)()


#: Methods with the arguments that NumPy takes, by position and by keyword, and forms of lists: equal to plain arrays.
FORMS: list[Callable[[Any], Any]] = [
    lambda x: x.flat[1] * x.flat[2:5] + sum(v for v in x.flat),
    lambda x: x.astype(np.float32, order="C", casting="same_kind", copy=False),
    lambda x: x.reshape(3, 2, copy=True) + x.reshape((3, 2), order="F"),
    lambda x: x.view() * x.view(np.float64),
    lambda x: x.to_device("cpu"),
    lambda x: x.sum(0, None, None, True),
    lambda x: x.sum(axis=1, dtype=np.float32),
    lambda x: x.mean(0, np.float64),
    lambda x: x.var(0, None, None, 1, True),
    lambda x: x.std(axis=1, ddof=1, keepdims=True),
    lambda x: x.max(0, None, True, -1.0),
    lambda x: x.min(axis=1, initial=0.0),
    lambda x: x.prod(1, where=np.array([True, False, True])),
    lambda x: x.cumsum(0, np.float64) + x.cumsum(axis=1),
    lambda x: x.cumprod(axis=1),
    lambda x: x.clip(0.0, 1.0) + x.clip(max=1.0) + x.clip(min=0.1),
    lambda x: x.dot(x.T),
    lambda x: x.trace(1, 0, 1),
    lambda x: x.diagonal(offset=1),
    lambda x: x.take([0, 5, -1]) + x.take([1, 1, 0], mode="wrap"),
    lambda x: x.repeat([1, 2], axis=0),
    lambda x: x.compress([False, True], 0),
    lambda x: x.swapaxes(0, 1) + x.transpose(1, 0) + x.transpose((1, 0)) + x.T + x.mT,
    lambda x: x.ravel("F") + x.flatten("F"),
    lambda x: x[:, None].squeeze(1) + x.squeeze(),
    lambda x: x.round(1) * x + x.round(decimals=0),
    lambda x: x[np.arange(2), x.argmax(axis=1)] + x[np.arange(2), x.argmin(1)],
    lambda x: x[0][x[0].argsort()] * x[0][x[0].argsort(kind="stable")],
    lambda x: x[0] * x[1][::-1].searchsorted([0.0, 1.0, 2.0]),
    lambda x: x * x.any(axis=1, keepdims=True) * x.all(),
    lambda x: x.conj() * x.conjugate() * x.real + x.imag,
    lambda x: x.copy("C") * x.copy(order="K") * copy.copy(x.shape[0]),
    lambda x: x[x > 0].sum() + x[[True, False]].sum() + x[np.int64(1)].sum() + x[..., np.newaxis, 1].sum(),
]


@pytest.mark.parametrize("f", FORMS)
def test_a_method_takes_the_arguments_of_numpy(f: Callable[[Any], Any]) -> None:
    value = f(MATRIX.copy())
    found = f(Variable(MATRIX))
    assert (found.shape, found.dtype) == (value.shape, value.dtype)
    np.testing.assert_allclose(found.value, value, rtol=1e-6 if value.dtype == np.float32 else 1e-14)
    _assert_slope(f, MATRIX)


def _assert_slope(f: Callable[[Any], Any], x: Any) -> None:
    """Compare with central differences, whose error is h^2 and 1e-16 / h: both 1e-9 of the smooth functions above."""
    t = np.cos(np.arange(x.size)).reshape(x.shape)
    exact = np.sum(grad(lambda x: np.sum(f(x).astype(float)))(x) * t)
    h = 1e-2 if f(x).dtype == np.float32 else 1e-6
    differences = np.sum((f(x + h * t).astype(float) - f(x - h * t).astype(float)) / (2 * h))
    assert exact == pytest.approx(differences, rel=2e-4 if f(x).dtype == np.float32 else 1e-6, abs=1e-4)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, order: x.ravel(order),
        lambda x, order: x.flatten(order),
        lambda x, order: x.reshape(-1, order=order),
        lambda x, order: np.reshape(x, (3, 2), order=order),
    ],
)
def test_an_order_is_that_of_numpy_or_refused(f: Callable[[Any, Any], Any]) -> None:
    """Of orders A and K the result depends on the layout in memory, which a copy of the argument does not keep."""
    for order in ("C", "F", "c", "f"):
        np.testing.assert_array_equal(f(Variable(MATRIX), order).value, f(MATRIX, order))
    for order in ("A", "K"):
        with pytest.raises(TypeError, match="pass order='C' or order='F'"):
            f(Variable(MATRIX), order)
        np.testing.assert_array_equal(Variable(MATRIX[0]).ravel(order).value, MATRIX[0])
    with pytest.raises(ValueError, match="order"):
        f(Variable(MATRIX), "Z")
