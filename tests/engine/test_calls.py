"""The NumPy calls of compiled code: the cheapest that compute the same, and no array that can be spared."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import vjp
from autodiff_compare.backends.numpy_autodiff.compiler import compile
from autodiff_compare.problems import engine_suite
from tests.engine.compiled import assert_equal, eager

ROWS = np.cos(np.arange(800.0)).reshape(80, 10)
#: Rows with ties, zeros of both signs, infinities and nan.
HARD = ROWS.copy()
HARD[0], HARD[1], HARD[2, ::2] = 0.0, -0.0, 0.0
HARD[3, 4], HARD[4, 5], HARD[5, 6], HARD[6, :2] = np.inf, -np.inf, np.nan, (np.inf, -np.inf)
_PICKED = (np.arange(80)[:, None], np.array([[3, -1]]))

#: Name -> function of a matrix of 80 rows of ten, what its code holds, and what it does not.
CALLS: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "sums of rows": (lambda x: np.sum(x, axis=1), ".dot(", "reduce"),
    "sums of rows, kept": (lambda x: np.sum(x, axis=-1, keepdims=True), ".dot(", "reduce"),
    "sums of columns": (lambda x: np.sum(x, axis=0), ".dot(", "reduce"),
    "sums of columns, not kept": (lambda x: np.sum(x, axis=(0,), keepdims=False), ".dot(", "reduce"),
    "columns kept": (lambda x: np.sum(x, axis=0, keepdims=True), "add_reduce", ".dot("),
    "entries of rows": (lambda x: x[_PICKED] * 1.5, ".take(", "x0[("),
    "entries of a slice": (lambda x: x[3:][np.array([0, -1]), np.array([-2, 2])] * 1.5, ".take(", "[("),
    "whole rows": (lambda x: x[np.array([0, -1])] * 1.5, "x0[", ".take("),
    "another shape": (lambda x: np.sin(np.reshape(x, (40, 20))), "x0.reshape((40, 20))", "reshape(x0"),
    "a question": (lambda x: np.where(np.any(x == 7.5), 2.0, 1.0) * x, ".any()", "any(v"),
    "another question": (lambda x: np.where(np.all(x < 7.5), 2.0, 1.0) * x, ".all()", "all(v"),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CALLS)
def test_the_call_and_its_result(name: str, dtype: Any) -> None:
    f, wanted, unwanted = CALLS[name]
    made = compile(f, ROWS.astype(dtype), operator="value")
    assert wanted in made.source
    assert unwanted not in made.source.split(":\n", 2)[-1]
    for x in (ROWS[::-1], np.asfortranarray(ROWS), np.repeat(ROWS, 2, axis=1)[:, ::2], HARD):
        given = x.astype(dtype)
        with np.errstate(invalid="ignore"):
            assert_equal(made(given), np.asarray(f(given))[()], rounding=16.0)


#: Extremes of rows, which are found by columns.
EXTREMES: dict[str, Callable[[Any], Any]] = {
    "maxima": lambda x: np.max(x, axis=1),
    "minima, kept": lambda x: np.min(x, axis=(1,), keepdims=True),
    "maxima without nan": lambda x: np.nanmax(x, axis=-1),
    "maxima of columns": lambda x: np.max(x, axis=0),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_of_many_short_rows_are_those_of_numpy(name: str, dtype: Any) -> None:
    f = EXTREMES[name]
    for x in (ROWS, np.asfortranarray(ROWS), HARD, ROWS[:3], ROWS.reshape(8, 100), ROWS.reshape(800, 1)):
        given = x.astype(dtype)
        got = vjp(f, given)[0]
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, f(given))
    with pytest.raises(np.exceptions.AxisError):
        vjp(lambda x: np.max(x, axis=2), ROWS)


@pytest.mark.parametrize("name", [*EXTREMES, "sums of rows, kept", "entries of rows"])
def test_the_gradient_of_a_call(name: str) -> None:
    f = EXTREMES.get(name) or CALLS[name][0]

    def weighted(x: Any) -> Any:
        return np.sum(f(x) * np.cos(np.arange(np.size(f(ROWS)), dtype=float)).reshape(np.shape(f(ROWS))))

    made = compile(weighted, ROWS, operator="gradient")
    for x in (ROWS[::-1], np.where(ROWS > 0.5, 0.5, ROWS)):
        assert_equal(made(x), eager(weighted, "gradient", (x,)))


def _relu_layer(w: Any, x: Any) -> Any:
    return np.sum(np.maximum(x @ w, 0.0) ** 2)


def test_a_maximum_overwrites_its_argument_after_the_comparisons_of_its_slope() -> None:
    w = np.sin(np.arange(640.0)).reshape(10, 64)
    made = compile(_relu_layer, w, ROWS, operator="value_and_gradient")
    # The product is the only array of that size that is made on the way forth.
    assert re.search(r"maximum\((v\d+), k0, out=\1\)", made.source)
    tied = np.where(np.abs(ROWS) < 0.5, 0.0, ROWS)
    tied[3] = 0.0
    for x in (ROWS, 2 * ROWS[::-1], tied):
        value, slope = made(w, x)
        z = x @ w
        np.testing.assert_allclose(value, np.sum(np.maximum(z, 0) ** 2), rtol=1e-13)
        # d/dz max(z, 0)^2 = 2 max(z, 0), also where z is 0.
        np.testing.assert_allclose(slope, x.T @ (2 * np.maximum(z, 0)), rtol=1e-12, atol=1e-12)


def test_comparisons_of_arrays_that_are_needed_later_keep_their_place() -> None:
    x = np.cos(np.arange(1000.0))

    def f(x: Any) -> Any:
        y = np.sin(x)
        return np.sum(np.maximum(y, 0.1) * y)

    made = compile(f, x, operator="value_and_gradient")
    value, slope = made(x)
    y = np.sin(x)
    np.testing.assert_allclose(value, np.sum(np.maximum(y, 0.1) * y), rtol=1e-13)
    np.testing.assert_allclose(slope, np.where(y > 0.1, 2 * y, 0.1) * np.cos(x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("length", [3, 40_000])
def test_numbers_given_as_arrays_are_used_as_arrays(length: int, dtype: Any) -> None:
    def f(a: Any, b: Any, x: Any) -> Any:
        return np.sum((a * x + b) ** 2) * b, a * b

    x = np.cos(np.arange(length)).astype(dtype)
    a, b = np.asarray(0.3, dtype), np.asarray(-1.2, dtype)
    made = compile(f, a, b, x, operator="value")
    # b is used as a number too; a product of two numbers takes a tenth of the time of one of arrays.
    assert "n0 * n1" in made.source
    assert re.search(r"x0 \* x2|multiply\(x0, ", made.source)
    for factor in (1.0, -2.0, np.inf, np.nan):
        given = (np.asarray(a * dtype(factor)), b, x[::-1])
        with np.errstate(invalid="ignore"):
            got, expected = made(*given), f(given[0][()], given[1][()], given[2])
        for p, q in zip(got, expected, strict=True):
            assert p.dtype == dtype
            np.testing.assert_allclose(p, q, rtol=1e-5 if dtype is np.float32 else 1e-12)


def test_extremes_of_long_vectors_are_written_without_a_warning() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.minimum(np.maximum(np.sin(x), 0.1), 0.5) * x)

    x = np.linspace(-3.0, 3.0, 40_000)
    made = compile(f, x, operator="value_and_gradient")
    assert "for i in range(" in made.source
    value, slope = made(x)
    y = np.sin(x)
    np.testing.assert_allclose(value, np.sum(np.clip(y, 0.1, 0.5) * x), rtol=1e-12)
    inside = (y > 0.1) & (y < 0.5)
    np.testing.assert_allclose(slope, np.clip(y, 0.1, 0.5) + np.where(inside, np.cos(x) * x, 0.0), rtol=1e-12)


def test_labels_that_change_in_place_are_seen() -> None:
    (problem,) = [p for p in engine_suite.PROBLEMS if p.name == "engine_perceptron"]
    inputs = problem.inputs(np.random.default_rng(3), 3)

    def loss(w: Any, x: Any, labels: Any) -> Any:
        z = x @ w
        return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.take_along_axis(z, labels, axis=1)[:, 0])

    x, labels = inputs.data
    w = np.cos(np.arange(6.0)).reshape(3, 2)
    made = compile(loss, w, x, labels, operator="value")
    for kind in (np.int64, np.int8, np.uint16):
        given = labels.astype(kind)
        for _ in range(2):
            np.testing.assert_allclose(made(w, x, given), loss(w, x, given), rtol=1e-14)
            given[0, 0] = 1 - given[0, 0]
