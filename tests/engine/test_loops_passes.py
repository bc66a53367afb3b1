"""How often fused loops run over their entries: short axes written out, results used while they are stored."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from autodiff_compare.backends.numpy_autodiff import grad
from autodiff_compare.backends.numpy_autodiff.loops import compile
from tests.engine.compiled import Function, arguments_of, assert_equal, eager

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is an extra")


def _squares(x: Any, y: Any) -> Any:
    difference = x[:, None] - y[None]
    return np.sum(difference * difference, axis=-1)


#: Functions of rows of a few numbers, which are no loop of their own.
ROWS: dict[str, Function] = {
    "pairs": lambda x: np.sum(1 / (_squares(x, x) + 1.0)),
    "sums of columns": lambda x: np.sum(np.sin(np.sum(x * x, axis=0))),
    "means": lambda x: np.sum(np.abs(x - np.mean(x, axis=0)) * np.mean(x, axis=-1, keepdims=True)),
    "columns": lambda x: np.sum(x[..., 0] * np.cos(x[..., -1])) + np.sum(x[..., ::2] ** 3),
    "neighbours": lambda x: np.sum((x[1:] - x[:-1]) ** 2 * x[1:, :1]),
    "greatest": lambda x: np.sum(np.max(x, axis=0)) - np.sum(np.min(x, axis=-1)),
    "products": lambda x: np.sum(np.cos(np.swapaxes(x, -1, -2) @ x)),
    "running": lambda x: np.sum(np.cumsum(x * x, axis=0) * np.cumsum(x, axis=-1)),
    "joined": lambda x: np.sum(np.concatenate([x * x, np.sin(x)], axis=-1) * np.concatenate([x, x], axis=-1)),
    "turned": lambda x: np.sum(x * np.flip(np.sin(x), axis=-1)) + np.sum(x[::-1] * np.exp(x)),
}
SHAPES = [(1, 3), (5, 1), (5, 2), (2, 3), (3, 4), (3, 5), (4, 2, 2), (2, 3, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ROWS)
def test_rows_of_few_numbers(name: str, shape: tuple[int, ...]) -> None:
    x = np.cos(np.arange(np.prod(shape), dtype=float) * 1.7).reshape(shape)
    for operator in ("value_and_gradient", "hvp"):
        given = arguments_of(ROWS[name], operator, x)
        made = compile(ROWS[name], *given, operator=operator, build="python")
        assert_equal(made(*given), eager(ROWS[name], operator, given), rounding=256)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("special", [np.nan, np.inf, 0.0, -0.0, 1.0])
@pytest.mark.parametrize("name", ROWS)
def test_rows_with_nan_inf_zeros_and_ties(name: str, special: float) -> None:
    x = np.cos(np.arange(12.0)).reshape(4, 3)
    x[1, 1:] = x[2, :2] = special
    for operator in ("value_and_gradient", "hvp"):
        given = arguments_of(ROWS[name], operator, x)
        made = compile(ROWS[name], *given, operator=operator, build="python")
        assert_equal(made(*given), eager(ROWS[name], operator, given), rounding=256)


def test_sums_of_long_columns_lose_no_digits() -> None:
    # The sum of 5000 times the float32 next to 0.1 is 500.0000075. Added one after the other in single precision it
    # is 500.0213.
    x = np.full((5000, 3), 0.1, np.float32) * np.array([1, 2, 4], np.float32)
    made = compile(lambda x: np.sum(x, axis=0), x, operator="value", build="python")
    np.testing.assert_allclose(made(x), 5000 * x[0].astype(float), rtol=64 * float(np.finfo(np.float32).eps))
    x[7] = np.inf
    assert np.isinf(made(x)).all()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (np.cumsum(x), np.sum(x * x)),
        lambda x: (np.cumsum(np.sin(x)), np.mean(x), np.sum(np.cumsum(x) * x)),
        lambda x: (np.cumsum(np.reshape(x, (300, 4))[:, 1]), np.sum(np.reshape(x, (300, 4)), axis=0)),
        lambda x: (np.cumsum(np.reshape(x, (2, 600)), axis=1), np.sum(np.reshape(x, (2, 600)) ** 2, axis=1)),
    ],
)
def test_running_sums_beside_long_sums_in_blocks(f: Function) -> None:
    """Sums of more than 512 numbers are added up in blocks; a running sum goes on from block to block."""
    x = np.cos(np.arange(1200.0))
    for operator in ("value", "jvp"):
        given = arguments_of(f, operator, x)
        made = compile(f, *given, operator=operator, build="python")
        assert_equal(made(*given), tuple(map(np.asarray, eager(f, operator, given))), rounding=4096)


#: Results of rows of numbers, whose loops may be one: sums along either axis, running sums, parts, other orders.
TOGETHER: dict[str, Function] = {
    "entries": lambda x: np.exp(x) * 2,
    "sums of rows": lambda x: np.sum(np.sin(x) * x, axis=-1),
    "sums of columns": lambda x: np.sum(np.exp(x) * x, axis=0),
    "total": lambda x: np.sum(x * np.exp(x)),
    "greatest": lambda x: np.max(x, axis=0) - np.min(np.sin(x)),
    "products": lambda x: np.prod(1 + x / 1000, axis=0),
    "running down": lambda x: np.cumsum(np.exp(x), axis=0),
    "running along": lambda x: np.cumsum(x, axis=-1),
    "running through": lambda x: np.cumsum(np.ravel(x)),
    "transposed": lambda x: np.exp(x).T * 1.0,
    "differences": lambda x: np.diff(np.sin(x), axis=0),
    "joined": lambda x: np.concatenate([x * x, np.exp(x)], axis=0),
    "stacked": lambda x: np.stack([x[:, 0], np.sin(x[:, -1])], axis=-1),
    "shifted": lambda x: np.mean(x, axis=0) + x,
    "turned": lambda x: x[::-1] * np.exp(x),
    "counted": lambda x: np.count_nonzero(np.sin(x) > 0.5) * x[0],
    "matrix product": lambda x: x.T @ np.sin(x),
    "chosen": lambda x: np.exp(x)[np.array([2, 1, 0, 1])],
}


def _assert_values(names: list[str], shape: tuple[int, ...]) -> None:
    x = np.cos(np.arange(np.prod(shape)) * 1.3).reshape(shape)
    made = compile(lambda x: tuple(TOGETHER[n](x) for n in names), x, operator="value", build="python")
    for name, got in zip(names, made(x), strict=True):
        assert_equal(got, np.asarray(TOGETHER[name](x)), rounding=1024)


@pytest.mark.parametrize("shape", [(600, 3), (520, 1), (6, 2), (3, 600), (5, 5)])
def test_results_of_all_kinds_in_one_kernel(shape: tuple[int, ...]) -> None:
    _assert_values(list(TOGETHER), shape)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("ends", [(10, 30), (30, 10), (5, 35)])
def test_totals_begin_in_the_first_of_the_ranges_that_they_are_cut_into(ends: tuple[int, int], columns: int) -> None:
    """The vector is cut at two places and the rows at one of them, so that the last piece of both is one loop."""
    c = np.linspace(1, 2, 40)

    def f(v: Any, rows: Any) -> Any:
        of_vector = np.sum(v[: ends[0]] ** 2) + np.sum(v[: ends[1]] ** 3) + np.sum(v * v * c)
        return of_vector + np.sum(rows[: ends[1]] ** 2) + np.sum(rows * rows * c[:, None])

    v, rows = np.cos(np.arange(40.0)), np.sin(np.arange(40.0 * columns)).reshape(40, columns)
    made = compile(f, v, rows, argnums=(0, 1), build="python")
    assert_equal(made(v, rows), (f(v, rows), grad(f, (0, 1))(v, rows)), rounding=256)


@pytest.mark.thorough
@pytest.mark.parametrize("first", TOGETHER)
def test_any_two_results_in_one_kernel(first: str) -> None:
    for other in list(TOGETHER)[list(TOGETHER).index(first) + 1 :]:
        _assert_values([first, other], (600, 3))


@needs_numba
@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_as_machine_code(dtype: Any) -> None:
    x = np.cos(np.arange(36) * 1.7).reshape(12, 3).astype(dtype)

    def f(x: Any) -> Any:
        return sum(ROWS[name](x) for name in ("pairs", "means", "columns", "neighbours", "products", "running"))

    assert_equal(compile(f, x, build="compiled")(x), eager(f, "value_and_gradient", (x,)), rounding=256)


#: A function of squared distances, its derivative, and operations of that kind in one pass.
POTENTIALS: dict[str, tuple[Function, Function, str]] = {
    "Cauchy": (lambda q: 1 / (q + 1.0), lambda q: -1 / (q + 1) ** 2, " / "),
    "Gauss": (lambda q: np.exp(-q), lambda q: -np.exp(-q), "exp("),
    "softened charges": (lambda q: np.sqrt(q + 0.25), lambda q: 0.5 / np.sqrt(q + 0.25), "np.sqrt("),
}


@pytest.mark.parametrize("dimensions", [2, 3, 4])
@pytest.mark.parametrize("name", POTENTIALS)
def test_pairs_of_points_are_one_pass_without_arrays_of_pairs(name: str, dimensions: int) -> None:
    """Of ``sum_ij u(|x_i - y_j|^2)`` the gradient in x_i is ``sum_j 2 u' (x_i - y_j)``, in y_j its negative sum."""
    u, slope, operation = POTENTIALS[name]
    x = np.cos(np.arange(30.0 * dimensions)).reshape(30, dimensions)
    y = np.sin(np.arange(50.0 * dimensions)).reshape(50, dimensions)
    made = compile(lambda x, y: np.sum(u(_squares(x, y))), x, y, argnums=(0, 1), build="python")
    value, (by_x, by_y) = made(x, y)
    difference = x[:, None] - y
    q = np.sum(difference**2, axis=2)
    forces = 2 * slope(q)[:, :, None] * difference
    np.testing.assert_allclose(value, np.sum(u(q)), rtol=1e-13)
    np.testing.assert_allclose(by_x, forces.sum(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_y, -forces.sum(axis=0), rtol=0, atol=1e-12)
    both = re.findall(r"for i1 in range\(0, 30\):(?:\n {8}.*)*?\n {8}for i2 in range\(0, 50\):", made.source)
    assert len(both) == 1
    assert made.source.count(operation) == 1
    assert "empty(1500" not in made.source


def test_a_layer_of_a_network_is_one_pass_forth_and_one_back() -> None:
    x, w = np.cos(np.arange(1200.0)).reshape(40, 30), np.sin(np.arange(1500.0)).reshape(30, 50) / 5
    b = np.linspace(-1, 1, 50)

    def f(w: Any, b: Any) -> Any:
        return np.sum(np.tanh(np.tanh(x @ w + b) @ w.T + 0.1) ** 2)

    made = compile(f, w, b, argnums=(0, 1), build="python")
    kernels = made.source[made.source.index("def loops_") :].split("def loops_")[1:]
    assert [kernel.count("for i1 in") for kernel in kernels] == [1] * len(kernels)
    assert made.source.count("decay(") == 2
    value, (by_w, by_b) = made(w, b)
    # By hand: h = tanh(x w + b), k = tanh(h w^T + .1), f = sum k^2.
    h = np.tanh(x @ w + b)
    k = np.tanh(h @ w.T + 0.1)
    g = 2 * k * (1 - k * k)
    d = (g @ w) * (1 - h * h)
    np.testing.assert_allclose(value, np.sum(k * k), rtol=1e-13)
    np.testing.assert_allclose(by_w, x.T @ d + (h.T @ g).T, rtol=0, atol=1e-10)
    np.testing.assert_allclose(by_b, d.sum(axis=0), rtol=0, atol=1e-10)


#: Functions of (8, 7) numbers, loops over its rows, and exponentials in the source.
STORED: dict[str, tuple[Function, int, int]] = {
    "total and sums of rows": (lambda y: (y, np.sum(y * y), np.sum(y, axis=1)), 1, 1),
    "sums of columns": (lambda y: (y, np.sum(y, axis=0)), 1, 1),
    "further results": (lambda y: (y, np.sin(y), np.sum(np.sin(y) * y)), 1, 1),
    "other entries": (lambda y: (y, np.sum(y * y[::-1])), 2, 1),
    "transposed": (lambda y: (y, y.T), 2, 1),
    "one entry": (lambda y: (y, y[2, 3] * 2.0), 1, 2),
}


@pytest.mark.parametrize("name", STORED)
def test_results_are_used_while_they_are_stored(name: str) -> None:
    g, loops, exponentials = STORED[name]
    x, b = np.cos(np.arange(56.0)).reshape(8, 7), np.linspace(0, 1, 7)
    made = compile(lambda x: g(np.exp(x + b)), x, operator="value", build="python")
    assert_equal(made(x), tuple(map(np.asarray, g(np.exp(x + b)))))
    assert made.source.count("for i1 in") == loops, made.source
    assert made.source.count("exp(") == exponentials


def test_no_result_is_stored_that_nothing_reads() -> None:
    """The exponential is kept for the slope, after the factorisation; its exponent was, until that was known."""
    x = np.cos(np.arange(60.0)).reshape(20, 3)

    def f(x: Any) -> Any:
        return np.sum(np.log(np.diagonal(np.linalg.cholesky(np.exp(-_squares(x, x) / 3.0) + np.eye(20)))))

    made = compile(f, x, operator="value_and_gradient", build="python")
    assert_equal(made(x), eager(f, "value_and_gradient", (x,)), rounding=256)
    first = made.source[made.source.index("def loops_0") : made.source.index("def loops_1")]
    assert sum("20 * i1 + i2] = " in line.split("=")[0] + "= " for line in first.splitlines()) == 2


@needs_numba
def test_products_and_sums_of_a_user_keep_their_roundings() -> None:
    """``fl(x x) - x x`` is 0; with one rounding less it would be the error of the product."""
    x = np.cos(np.arange(200.0)) + 2**-30
    y = x * x
    f: Function = lambda x, y: (x * x - y, y - x * x, np.exp(x) * 0.0 + (x * x - y))  # noqa: E731
    made = compile(f, x, y, operator="value", build="compiled")
    for found in made(x, y):
        assert np.array_equal(found, np.zeros(200))


@needs_numba
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_functions_by_polynomials_are_exact_to_two_roundings(name: str) -> None:
    x = np.concatenate([np.linspace(-30, 30, 61), [0.3, 0.6249, 0.6251, 1e-8, -1e-300, 5e-324, -0.4, 2.0, 700.0]])
    got = compile(getattr(np, name), x, operator="value", build="compiled")(x)
    with mp.workdps(40):
        expected = np.array([float(getattr(mp, name)(mp.mpf(float(v)))) for v in x])
    np.testing.assert_allclose(got, expected, rtol=2 * np.finfo(float).eps)


#: Places in an array that is read in another shape, and the loops over the results.
_PLACES = np.array([[5, 0, 11, 5], [2, 7, 7, 1]])
RESHAPED: dict[str, Function] = {
    "flat": lambda x: np.take(np.sin(x), _PLACES),
    "flat, of joined rows": lambda x: np.ravel(np.stack([x[0] * x[1], x[2] * x[3]]))[_PLACES % 6],
    "rows": lambda x: np.reshape(x * x, (6, 2))[_PLACES[0] % 6],
    "twice": lambda x: np.reshape(np.reshape(np.exp(x), (2, 6)), (3, 4))[_PLACES[0] % 3, 1],
}


@pytest.mark.parametrize("operator", ["value", "jvp"])
@pytest.mark.parametrize("name", RESHAPED)
def test_entries_of_an_array_in_another_shape_take_no_copy_of_it(name: str, operator: str) -> None:
    given = arguments_of(RESHAPED[name], operator, np.cos(np.arange(12.0)).reshape(4, 3))
    made = compile(RESHAPED[name], *given, operator=operator, build="python")
    assert_equal(made(*given), eager(RESHAPED[name], operator, given), rounding=4)
    assert len(set(re.findall(r"^ +(t\d+)\[", made.source, re.M))) == 1, made.source
