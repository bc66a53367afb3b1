"""prod and cumprod: zeros, under- and overflow, to every order, in linear time and memory."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import compile, grad, hessian, jacobian, jvp
from autodiff_compare.backends.numpy_autodiff.rules import exclusive

#: Entries; the gradient of their product is the product of all others, computed by hand.
PRODUCTS: list[tuple[list[float], list[float]]] = [
    ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0]),
    ([2.0, 0.0, 4.0], [0.0, 8.0, 0.0]),
    ([2.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    ([5.0], [1.0]),
    ([0.0], [1.0]),
    # NumPy's product is 0 in the first and second, and infinite in the third.
    ([1e-200, 1e-200, 1e300], [1e100, 1e100, 0.0]),
    ([1e-300, 1e-300, 1e300, 1e300], [1e300, 1e300, 1e-300, 1e-300]),
    ([1e300, 1e300, 1e-300, 1e-300], [1e-300, 1e-300, 1e300, 1e300]),
    ([1e-200, 0.0, 1e-200, 1e300], [0.0, 1e-100, 0.0, 0.0]),
    # The product is subnormal and has lost its digits: 3e-155 * 3e-155 * 1e-10.
    ([3e-155, 3e-155, 1e-10], [3e-165, 3e-165, 9e-310]),
    ([-2.0, 0.0, -3.0, 5.0], [0.0, 30.0, 0.0, 0.0]),
]
EVERY = pytest.mark.parametrize(("x", "expected"), PRODUCTS, ids=str)


@EVERY
def test_a_product(x: list[float], expected: list[float]) -> None:
    # NumPy's own product may overflow, and says so.
    with np.errstate(over="ignore"):
        found = grad(np.prod)(np.array(x))
        tangents = [jvp(np.prod, (np.array(x),), (direction,))[1] for direction in np.eye(len(x))]
    np.testing.assert_allclose(found, expected, rtol=4e-16 * len(x), atol=5e-324)
    np.testing.assert_allclose(tangents, expected, rtol=4e-16 * len(x), atol=5e-324)


@EVERY
def test_its_second_derivative_leaves_two_factors_out(x: list[float], expected: list[float]) -> None:
    n = len(x)
    true = np.zeros((n, n))
    for i, k in itertools.permutations(range(n), 2):
        # Sorted by size from both ends, so that no partial product leaves the range.
        others = sorted((v for j, v in enumerate(x) if j not in (i, k)), key=abs)
        total = 1.0
        while others:
            total *= others.pop(0 if abs(total) > 1 else -1)
        true[i, k] = total
    for mode in ("reverse", "forward"):
        with np.errstate(over="ignore"):
            found = jacobian(grad(np.prod), mode=mode)(np.array(x))
        np.testing.assert_allclose(found, true, rtol=1e-15, atol=5e-324)


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (2, 0)])
@pytest.mark.parametrize("zeros", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", ["f", "c"])
def test_every_axis_and_number_of_zeros(axis: Any, zeros: int, kind: str) -> None:
    """The product is linear in each entry: its slope is the product with that entry 1 less that with it 0."""
    rng = np.random.default_rng(zeros)
    x = rng.normal(size=(2, 3, 2)) + (1j * rng.normal(size=(2, 3, 2)) if kind == "c" else 0)
    x.flat[rng.permutation(12)[:zeros]] = 0
    for reduce in (np.prod, np.nanprod, np.multiply.reduce):
        f = lambda x, r=reduce: np.sum(np.real(r(x, axis=axis) * (1 - 0.5j)))  # noqa: E731 - bound by a default
        expected = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            one, none = x.copy(), x.copy()
            one[i], none[i] = 1, 0
            rise = np.sum((np.prod(one, axis=axis) - np.prod(none, axis=axis)) * (1 - 0.5j))
            expected[i] = np.conj(rise) if kind == "c" else rise.real
        np.testing.assert_allclose(grad(f)(x), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0, 4.0], [0.0, 0.0, 3.0, 4.0], [1.5, -2.0, 0.5, 3.0]])
def test_third_and_fourth_derivatives(x: list[float]) -> None:
    """Of x0 x1 x2 x3, the third in 0, 1, 2 is x3 and the fourth in all is 1."""
    point, units = np.array(x), np.eye(4)
    third = jvp(hessian(np.prod), (point,), (units[1],))[1]
    assert third[0, 2] == pytest.approx(x[3])
    assert third[3, 2] == pytest.approx(x[0])
    assert not third[1].any()
    along = lambda x: jvp(grad(np.prod), (x,), (units[0],))[1]  # noqa: E731 - used in the next line
    fourth = jvp(lambda x: jvp(along, (x,), (units[1],))[1], (point,), (units[2],))[1]
    np.testing.assert_allclose(fourth, units[3], rtol=1e-15)
    backward = grad(lambda x: jvp(along, (x,), (units[1],))[1][2])(point)
    np.testing.assert_allclose(backward, units[3], rtol=1e-15)


#: Entries, and the gradient of the last partial product and of the sum of all.
SCANS: list[tuple[list[float], list[float], list[float]]] = [
    ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0], [16.0, 10.0, 6.0]),
    ([2.0, 0.0, 4.0], [0.0, 8.0, 0.0], [1.0, 10.0, 0.0]),
    ([0.0, 0.0, 4.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
    ([1e-200, 1e-200, 1e300], [1e100, 1e100, 0.0], [1e100, 1e100, 0.0]),
    ([1e-170, 1e-170, 1e300], [1e130, 1e130, 0.0], [1e130, 1e130, 0.0]),
]


@pytest.mark.parametrize("scan", [np.cumprod, np.nancumprod, np.multiply.accumulate])
@pytest.mark.parametrize(("x", "last", "total"), SCANS, ids=str)
def test_a_running_product(scan: Any, x: list[float], last: list[float], total: list[float]) -> None:
    f: Callable[..., Any] = lambda x: scan(x)[-1]  # noqa: E731 - one of two
    np.testing.assert_allclose(grad(f)(np.array(x)), last, rtol=1e-15)
    np.testing.assert_allclose(grad(lambda x: np.sum(scan(x)))(np.array(x)), total, rtol=1e-15)
    np.testing.assert_allclose(jacobian(scan, mode="forward")(np.array(x))[-1], last, rtol=1e-15)


@pytest.mark.parametrize("zeros", [(), (1,), (0, 3)])
def test_second_derivatives_of_a_running_product(zeros: tuple[int, ...]) -> None:
    """Partial products of 5 entries, as products: cumprod(x)[k] = prod(x[:k + 1])."""
    x = np.random.default_rng(1).normal(size=(5,))
    x[list(zeros)] = 0
    weights = np.array([1.0, -2.0, 0.5, 3.0, 1.5])
    by_products = hessian(lambda x: sum(w * np.prod(x[: k + 1]) for k, w in enumerate(weights)))(x)
    np.testing.assert_allclose(
        hessian(lambda x: np.sum(weights * np.cumprod(x)))(x), by_products, rtol=1e-13, atol=1e-15
    )
    by_columns = hessian(lambda x: np.sum(weights[:, None] * np.cumprod(x[:, None] * np.ones(7), axis=0)))(x)
    np.testing.assert_allclose(by_columns, 7 * by_products, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex64, np.longdouble])
def test_other_dtypes(dtype: Any) -> None:
    x = np.array([2.0, 0.0, 4.0, 0.5], dtype)
    for f in (np.prod, lambda x: np.cumprod(x)[-1]):
        found = grad(lambda x, f=f: np.real(f(x)))(x)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, [0.0, 4.0, 0.0, 0.0])


def test_single_precision_beyond_its_range() -> None:
    # 1e-30 * 1e-30 underflows in float32; with 1e38 left over it does not: 1e-30 * 1e38 = 1e8.
    np.testing.assert_allclose(grad(np.prod)(np.array([1e-30, 1e-30, 1e38], np.float32)), [1e8, 1e8, 0.0], rtol=1e-6)


@pytest.mark.parametrize("f", [np.prod, lambda x: np.sum(np.cumprod(x))])
def test_it_compiles_once_for_entries_with_and_without_zeros(f: Any) -> None:
    compiled = compile(f, np.ones(3))
    for x in ([2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 0.0, 4.0]):
        np.testing.assert_allclose(compiled(np.array(x))[1], grad(f)(np.array(x)), rtol=1e-15)
    assert compiled.traces == 1


@pytest.mark.parametrize("f", [np.prod, lambda x: np.sum(np.cumprod(x))], ids=["prod", "cumprod"])
@pytest.mark.parametrize("zeros", [1, 2])
def test_memory_grows_with_the_number_of_entries(f: Any, zeros: int) -> None:
    """An array of n by n would take 8 MB for 1000 entries, and 16 times as much for 4000."""
    peaks = []
    for n in (4000, 16_000):
        x = np.ones(n)
        x[:zeros] = 0
        grad(f)(x)
        tracemalloc.start()
        grad(f)(x)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 5 * peaks[0]
    assert peaks[1] < 500 * 16_000


def test_the_tree_does_a_number_of_steps_that_grows_with_the_logarithm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level multiplies half as many pairs as the one below it."""
    lengths: list[int] = []
    multiply = exclusive._times
    monkeypatch.setattr(exclusive, "_times", lambda a, b: lengths.append(a[0].size) or multiply(a, b))
    for n in (1024, 2048):
        lengths.clear()
        x = np.ones(n)
        x[3] = 0
        grad(np.prod)(x)
        assert len(lengths) < 3 * math.log2(n)
        assert sum(lengths) < 4 * n


@pytest.mark.parametrize("x", [3.0, 0.0])
@pytest.mark.parametrize("axis", [None, 0, -1, ()])
def test_a_number_is_its_own_product(x: float, axis: Any) -> None:
    f = lambda x: np.prod(x * np.float64(2), axis=axis)  # noqa: E731 - bound by the parameters
    assert (grad(f)(x), jvp(f, (x,), (1.0,))[1]) == (2.0, 2.0)
    assert grad(grad(f))(x) == 0.0


def test_no_axis_multiplies_nothing() -> None:
    x = np.array([[2.0, 0.0], [3.0, 4.0]])
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.prod(x, axis=()) * x))(x), 2 * x)


def test_nothing_and_infinity() -> None:
    assert grad(np.prod)(np.zeros(0)).shape == (0,)
    assert grad(lambda x: np.sum(np.cumprod(x)))(np.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(grad(np.prod)(np.array([np.inf, 2.0])), [2.0, np.inf])
    assert np.isnan(grad(np.prod)(np.array([np.nan, 2.0, 3.0]))[1:]).all()
