"""Operands of other classes beside variables: converted where nothing is lost, else refused by name."""

from __future__ import annotations

import fractions
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from autodiff_compare.backends.numpy_autodiff import Variable, compile, grad, jvp, value_and_grad, vjp

X = np.array([1.0, 2.0, 3.0])
C = np.array([3.0, 1.0, 2.0])


class Plain(np.ndarray):
    """A subclass with the arithmetic of an array."""


class WithUnits(np.ndarray):
    """A subclass with an arithmetic of its own."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return NotImplemented


class ArrayLike:
    """Numbers of another library."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return C.copy()


def _mapped(mode: str) -> Callable[[pathlib.Path], Any]:
    def make(folder: pathlib.Path) -> Any:
        C.tofile(folder / "c")
        return np.memmap(folder / "c", float, mode, shape=(3,))

    return make


#: name, how to make an operand that is worth as much as C.
CONVERTED: list[tuple[str, Callable[[pathlib.Path], Any]]] = [
    ("Series", lambda _: pd.Series(C)),
    ("Series with integers as labels", lambda _: pd.Series(C, index=[0, 1, 2])),
    ("Index", lambda _: pd.Index(C)),
    ("extension array", lambda _: pd.array(C, dtype="Float64")),
    ("memory map", _mapped("r+")),
    ("memory map that cannot be written", _mapped("r")),
    ("subclass", lambda _: C.view(Plain)),
    ("other library", lambda _: ArrayLike()),
]
LABELLED = pd.Series(C, index=[2, 1, 0])
REFUSED: list[tuple[str, Any, str]] = [
    ("Series", LABELLED, "a Series .*its index"),
    ("Series with names", pd.Series(C, index=list("abc")), "a Series .*its index"),
    ("part of a Series", pd.Series(np.arange(4.0))[1:], "a Series .*its index"),
    ("several levels", pd.Series(C, index=pd.MultiIndex.from_tuples([(0, 0), (0, 1), (1, 0)])), "a Series .*its index"),
    ("DataFrame", pd.DataFrame({"a": C, "b": C, "c": C}), "a DataFrame .*its columns"),
    ("strings", pd.Series(["a", "b", "c"]), "a Series .*its dtype"),
    ("units", C.view(WithUnits), "a WithUnits .*arithmetic of its own"),
    ("mask", np.ma.array(C, mask=[0, 1, 0]), "a MaskedArray .*its mask"),
]
#: name, operation of a variable and an operand.
OPERATIONS: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("x * c", lambda x, c: x * c),
    ("x + c", lambda x, c: x + c),
    ("x / c", lambda x, c: x / c),
    ("x ** c", lambda x, c: x**c),
    ("np.multiply", np.multiply),
    ("np.maximum", lambda x, c: np.maximum(x, c)),
    ("np.where", lambda x, c: np.where([True, False, True], x, c)),
    ("np.concatenate", lambda x, c: np.concatenate([x, c])),
]
LEFT: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("c * x", lambda x, c: c * x),
    ("c - x", lambda x, c: c - x),
    ("np.subtract", lambda x, c: np.subtract(c, x)),
]


@pytest.mark.parametrize("operation", [o[1] for o in OPERATIONS], ids=[o[0] for o in OPERATIONS])
@pytest.mark.parametrize("make", [c[1] for c in CONVERTED], ids=[c[0] for c in CONVERTED])
def test_numbers_of_another_class(make: Any, operation: Callable[[Any, Any], Any], tmp_path: pathlib.Path) -> None:
    c = make(tmp_path)

    def f(x: Any, c: Any) -> Any:
        y = operation(x, c)
        return np.sum(y * y) + np.sum(operation(x, c))

    value, expected = value_and_grad(f)(X, C)
    found = value_and_grad(lambda x: f(x, c))(X)
    assert found[0] == value
    assert type(found[1]) is np.ndarray
    np.testing.assert_array_equal(found[1], expected)
    assert jvp(lambda x: f(x, c), (X,), (X,))[1] == pytest.approx(expected @ X, rel=1e-15)
    np.testing.assert_array_equal(vjp(lambda x: f(x, c), X)[1](1.0)[0], expected)
    x = Variable(X)
    f(x, c).backward()
    np.testing.assert_array_equal(x.grad, expected)


@pytest.mark.parametrize("operation", [o[1] for o in LEFT], ids=[o[0] for o in LEFT])
@pytest.mark.parametrize("make", [c[1] for c in CONVERTED[:2] + CONVERTED[4:7]], ids=lambda _: "")
def test_on_the_left(make: Any, operation: Callable[[Any, Any], Any], tmp_path: pathlib.Path) -> None:
    expected = grad(lambda x: np.sum(operation(x, C) ** 2))(X)
    c = make(tmp_path)
    np.testing.assert_array_equal(grad(lambda x: np.sum(operation(x, c) ** 2))(X), expected)


@pytest.mark.parametrize("operation", [o[1] for o in OPERATIONS], ids=[o[0] for o in OPERATIONS])
@pytest.mark.parametrize(("c", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_would_be_lost_is_refused(c: Any, message: str, operation: Callable[[Any, Any], Any]) -> None:
    for call in (
        lambda: grad(lambda x: np.sum(operation(x, c)))(X),
        lambda: jvp(lambda x: operation(x, c), (X,), (X,)),
        lambda: operation(Variable(X), c),
        lambda: compile(lambda x: np.sum(operation(x, c)), X),
    ):
        with pytest.raises(TypeError, match=f"got {message}"):
            call()


@pytest.mark.parametrize("operation", [o[1] for o in LEFT], ids=[o[0] for o in LEFT])
def test_labels_on_the_left(operation: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"got a Series .*its index"):
        grad(lambda x: np.sum(operation(x, LABELLED)))(X)


def test_labels_that_pandas_would_align() -> None:
    """pandas adds by label: the sum of x C over [0, 1, 2] and of x C over [2, 1, 0] is no sum by position."""
    with pytest.raises(TypeError, match="to_numpy"):
        grad(lambda x: np.sum((x * LABELLED + x * pd.Series(C)) * [1.0, 10.0, 100.0]))(X)
    found = grad(lambda x: np.sum((x * LABELLED.to_numpy() + x * pd.Series(C)) * [1.0, 10.0, 100.0]))(X)
    np.testing.assert_array_equal(found, 2 * C * [1.0, 10.0, 100.0])


def test_a_product_of_matrices_is_no_elementwise_product() -> None:
    with pytest.warns(PendingDeprecationWarning):
        m = np.matrix(np.eye(3))
    for operation in (lambda x: x * m, lambda x: m * x, lambda x: x @ m):
        with pytest.raises(TypeError, match="matrix"):
            grad(lambda x, operation=operation: np.sum(operation(x)))(X)


@pytest.mark.parametrize("operation", [lambda x, a: x @ a, lambda x, a: x * a, lambda x, a: a @ x, lambda x, a: a * x])
def test_sparse_matrices_are_refused(operation: Callable[[Any, Any], Any]) -> None:
    for a in (scipy.sparse.csr_array(np.eye(3)), scipy.sparse.csr_matrix(np.eye(3))):
        with pytest.raises(TypeError, match=r"of a variable.* pass .toarray|would drop its derivative"):
            grad(lambda x, a=a: np.sum(operation(x, a)))(X)


def test_fractions_are_numbers() -> None:
    half = fractions.Fraction(1, 2)
    for x in (2.0, X):
        np.testing.assert_array_equal(grad(lambda x: np.sum(half * x + x / half - x**half))(x), 2.5 - 0.5 / np.sqrt(x))


def test_differentiated_arguments() -> None:
    """Of a Series with labels, s[2] is the first entry, of an array the last."""
    np.testing.assert_array_equal(grad(lambda x: np.sum(x * x))(pd.Series(C)), 2 * C)
    for argument in (LABELLED, np.ma.array(C, mask=[0, 1, 0]), pd.DataFrame({"a": C})):
        with pytest.raises(TypeError, match="as a differentiated argument"):
            grad(lambda x: np.sum(x**2))(argument)


def test_a_converted_operand_is_kept_as_it_was() -> None:
    s = pd.Series(C.copy())
    x = Variable(X)
    y = np.sum(x * s)
    s[:] = 9.0
    y.backward()
    np.testing.assert_array_equal(x.grad, C)


def test_variables_as_entries_of_a_series() -> None:
    """A Series of objects computes with each of them. That of pandas 2.2 makes arrays of them first."""
    together = grad(lambda x: np.sum(pd.Series([x[0], x[1]]) ** 2))
    if pd.__version__.startswith("2.2."):
        with pytest.raises(TypeError, match="would drop its derivative"):
            together(X)
    else:
        np.testing.assert_array_equal(together(X), [2.0, 4.0, 0.0])
    assert grad(lambda x: np.sum(pd.Series(C).map(lambda c: c * x)))(2.0) == 6.0
    np.testing.assert_array_equal(grad(lambda x: np.sum(pd.Series(C).mul(x)))(X), C)
    for leave in (pd.Series, pd.Series(C).dot, pd.DataFrame(np.eye(3)).mul, lambda x: pd.DataFrame({"a": x})):
        with pytest.raises(TypeError, match="would drop its derivative"):
            grad(lambda x, leave=leave: np.sum(leave(x)))(X)


def test_the_engine_imports_neither_pandas_nor_masked_arrays() -> None:
    code = (
        "import sys, numpy as np; from autodiff_compare.backends.numpy_autodiff import grad; "
        "grad(lambda x: np.sum(x * np.ones(2)))(np.ones(2)); print({'pandas', 'numpy.ma'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
