"""Sparsity patterns by index sets: every rule of the engine, what is global and what is local, Hessians, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Places, custom_rule, hessian_pattern, jacobian, jacobian_pattern
from autodiff_compare.backends.numpy_autodiff.dependence import sets
from tests.engine.rules import ROWS, Row

BAND = np.abs(np.subtract.outer(np.arange(4), np.arange(4))) <= 1


def dense(places: Places, block: int = 0) -> Any:
    mask = np.zeros(places.shapes[block], bool)
    mask[places.blocks[block]] = True
    return mask


#: Rows of the table whose computation decides by values in a way that no recording follows.
REFUSED = {"nanquantile nearest", "setdiff1d", "setxor1d", "trim_zeros"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_entry_of_a_jacobian_is_missed(row: Row) -> None:
    args = row.arguments()
    n = tuple(range(len(args)))
    blocks = jacobian(row.function, n)(*args)
    for local in (False, True):
        if row.name in REFUSED and not local:
            with pytest.raises(TypeError, match="traced"):
                jacobian_pattern(row.function, *args, argnums=n)
            continue
        found = jacobian_pattern(row.function, *args, argnums=n, local=local)
        for k, block in enumerate(blocks):
            assert not ((np.reshape(block, found.shapes[k]) != 0) & ~dense(found, k)).any()


def of(*rows: str) -> Any:
    """Return a pattern from its rows, as ``"x.x"``."""
    return np.array([[c == "x" for c in row] for row in rows])


SPARSE = np.diag([1.0, 2.0, 3.0])
SPARSE[0, 2] = 4.0
X = np.array([1.0, -2.0, 3.0])
ZERO = np.array([0.0, 2.0, 3.0])
TIES = np.array([0.0, 1.0, 0.0, 1.0, -2.0])

#: The function, the point, the global pattern and, where it differs, the local one. All by hand.
KNOWN: dict[str, tuple[Callable[..., Any], Any, Any, Any]] = {
    "elementwise": (np.sin, X, of("x..", ".x.", "..x"), None),
    "difference": (lambda x: x[1:] - x[:-1], X, of("xx.", ".xx"), None),
    "broadcast": (lambda x: x + x[0], X, of("x..", "xx.", "x.x"), None),
    "sum": (np.sum, X, of("xxx"), None),
    "sum of rows": (lambda x: np.sum(np.stack([x, x * x]), axis=0), X, of("x..", ".x.", "..x"), None),
    "cumsum": (np.cumsum, X, of("x..", "xx.", "xxx"), None),
    "cumprod": (np.cumprod, X, of("x..", "xx.", "xxx"), None),
    "reshape": (lambda x: np.reshape(np.stack([x, x]), (3, 2)).T[1], X, of(".x.", "x..", "..x"), None),
    "constant": (lambda x: np.ones(2), X, of("...", "..."), None),
    "constant of x": (lambda x: np.floor(x), X, of("...", "...", "..."), None),
    "sign": (np.sign, X, of("...", "...", "..."), None),
    "zero factor": (lambda x: x * np.array([1.0, 0.0, 1.0]), X, of("x..", "...", "..x"), None),
    "sparse matrix": (lambda x: SPARSE @ x, X, of("x.x", ".x.", "..x"), None),
    "sparse einsum": (lambda x: np.einsum("ij,j->i", SPARSE, x), X, of("x.x", ".x.", "..x"), None),
    "from the left": (lambda x: x @ SPARSE, X, of("x..", ".x.", "x.x"), None),
    "solve": (lambda x: np.linalg.solve(SPARSE, x), X, of("xxx", "xxx", "xxx"), None),
    "solve columns": (
        lambda x: np.linalg.solve(np.eye(2), np.stack([x, x]))[0],
        X,
        of("x..", ".x.", "..x"),
        None,
    ),
    "batch of inverses": (
        lambda x: np.linalg.inv(x[:, None, None] * np.eye(2))[:, 0, 0],
        X,
        of("x..", ".x.", "..x"),
        None,
    ),
    "convolution": (lambda x: np.convolve(x, [1.0, 0.0, 1.0], "same"), X, of(".x.", "x.x", ".x."), None),
    "scattered by an index": (lambda x: x[np.array([2, 2, 0])], X, of("..x", "..x", "x.."), None),
    "softmax of rows": (
        lambda x: np.exp(x) / np.sum(np.exp(x)),
        X,
        of("xxx", "xxx", "xxx"),
        None,
    ),
    "where": (lambda x: np.where(x > 0, x, x[::-1]), X, of("x.x", ".x.", "x.x"), of("x..", ".x.", "..x")),
    "where by a constant": (
        lambda x: np.where([True, False, True], x, 0.0),
        X,
        of("x..", "...", "..x"),
        None,
    ),
    "maximum": (lambda x: np.maximum(x, x[0]), X, of("x..", "xx.", "x.x"), of("x..", "x..", "..x")),
    "relu": (lambda x: np.maximum(x, 0), X, of("x..", ".x.", "..x"), of("x..", "...", "..x")),
    "max": (np.max, X, of("xxx"), of("..x")),
    "sort": (np.sort, X, of("xxx", "xxx", "xxx"), of(".x.", "x..", "..x")),
    "sort of columns": (
        lambda x: np.sort(np.stack([x, x + 1]), axis=0)[0],
        X,
        of("x..", ".x.", "..x"),
        None,
    ),
    "index that is computed": (lambda x: x[np.argmax(x)] + x[0], X, of("xxx"), of("x.x")),
    "roll by a computed distance": (
        lambda x: np.roll(x, np.argmax(x)),
        X,
        of("xxx", "xxx", "xxx"),
        of(".x.", "..x", "x.."),
    ),
    "triangle from a computed diagonal": (
        lambda x: np.tril(np.outer(x, np.ones(2)), np.argmax(x) - 2).ravel(),
        X,
        of("x..", "x..", ".x.", ".x.", "..x", "..x"),
        of("x..", "...", ".x.", ".x.", "..x", "..x"),
    ),
    "zero at the point": (lambda x: x * x[::-1], ZERO, of("x.x", ".x.", "x.x"), of("x..", ".x.", "x..")),
    "product of entries, one zero": (np.prod, ZERO, of("xxx"), of("x..")),
    "norm": (np.linalg.norm, ZERO, of("xxx"), of(".xx")),
    # Each is x, of slope 1, whose rule multiplies a slope of zero and one that is infinite at 0.
    "square of a root": (lambda x: np.sqrt(x) ** 2, ZERO, of("x..", ".x.", "..x"), None),
    "exponential of a logarithm": (lambda x: np.exp(np.log(x)), ZERO, of("x..", ".x.", "..x"), None),
    "product of roots": (lambda x: np.prod(np.sqrt(np.stack([x, x])), axis=0), ZERO, of("x..", ".x.", "..x"), None),
    # Of sqrt(x0) + sqrt(x1) the slope in x1 is finite, and the factor x0 is zero.
    "zero times a sum of roots": (lambda x: x[:1] * np.sum(np.sqrt(x[:2])), ZERO, of("xx."), of("x..")),
    # A complex number has one set for both parts: |2i| is flat along the real axis alone.
    "modulus": (lambda x: np.abs(x[0] + 1j * x[1]), ZERO, of("xx."), None),
    "square of a complex number": (lambda x: np.real((x[0] + 1j * x[1]) ** 2), ZERO, of("xx."), None),
    "norm of complex numbers": (lambda x: np.linalg.norm(x[:2] + 1j * x[1:]), ZERO, of("xxx"), None),
    # Equal entries share the slope: -2, 0, 0, 1, 1 in order, of which the median is the second 0.
    "median of equals": (np.median, TIES, of("xxxxx"), of("x.x..")),
    "quantiles of equals": (lambda x: np.quantile(x, [0.0, 0.8]), TIES, of("xxxxx", "xxxxx"), of("....x", ".x.x.")),
    "median of rows": (
        lambda x: np.median(np.reshape(x[:4], (2, 2)), axis=1),
        TIES,
        of("xx...", "..xx."),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_patterns(name: str) -> None:
    f, x, everywhere, here = KNOWN[name]
    found = jacobian_pattern(f, x)
    assert np.array_equal(dense(found), everywhere)
    assert found.branches == 0
    assert np.array_equal(dense(jacobian_pattern(f, x, local=True)), everywhere if here is None else here)


#: Scalar functions of four numbers and the patterns of their Hessians.
HESSIANS: dict[str, tuple[Callable[..., Any], Any]] = {
    "linear": (lambda x: np.sum(3 * x), np.zeros((4, 4))),
    "sum of squares": (lambda x: np.sum(x**2), np.eye(4)),
    "chain": (lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2), BAND),
    "product of neighbours": (lambda x: np.sum(x[1:] * x[:-1]), BAND & ~np.eye(4, dtype=bool)),
    "product of all": (np.prod, 1 - np.eye(4)),
    "through a sum": (lambda x: np.sum(x) ** 2, np.ones((4, 4))),
    "relu": (lambda x: np.sum(np.maximum(x, 0)), np.zeros((4, 4))),
    "squared relu": (lambda x: np.sum(np.maximum(x, 0) ** 2), np.eye(4)),
    "separate pairs": (
        lambda x: np.exp(x[0] * x[1]) + np.sin(x[2] + x[3]),
        np.kron(np.eye(2), np.ones((2, 2))),
    ),
    "quotient": (lambda x: x[0] / x[1], [[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
    "sparse quadratic form": (lambda x: x @ (np.diag([1.0, 2, 3, 4]) @ x), np.eye(4)),
    "computed in a loop": (lambda x: sum(x[i] * x[i + 1] for i in range(3)), BAND & ~np.eye(4, dtype=bool)),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_known_hessians(name: str) -> None:
    f, expected = HESSIANS[name]
    found = hessian_pattern(f, np.array([0.5, 1.5, -0.7, 2.0]))
    assert np.array_equal(dense(found), np.asarray(expected, bool))


def test_a_local_hessian_leaves_out_what_is_flat_at_the_point() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.where(x > 0, x**2, 0))

    x = np.array([1.0, -1.0, 2.0])
    assert np.array_equal(dense(hessian_pattern(f, x)), np.eye(3, dtype=bool))
    assert np.array_equal(dense(hessian_pattern(f, x, local=True)), np.diag([True, False, True]))


@pytest.mark.parametrize("statistic", [np.median, np.nanmedian, lambda x, axis: np.percentile(x, 50, axis)])
def test_local_hessians_of_order_statistics_of_rows(statistic: Any) -> None:
    # All entries of a row are equal, so that each has a third of the slope: the Hessian of a row is 2/9 everywhere.
    found = hessian_pattern(lambda x: np.sum(statistic(x, 1) ** 2), np.ones((2, 3)), local=True)
    assert np.array_equal(dense(found), np.kron(np.eye(2, dtype=bool), np.ones((3, 3), bool)))


def test_blocks_of_several_arguments() -> None:
    # f = sum(a^2 b): H_aa = 2 b, H_ab = 2 a, H_bb = 0, each diagonal.
    found = hessian_pattern(lambda a, c, b: np.sum(a * a * b * c), np.ones(2), 1.0, np.ones(2), argnums=(0, 2))
    expected = [np.eye(2), np.eye(2), np.eye(2), np.zeros((2, 2))]
    assert [np.array_equal(dense(found, k), e) for k, e in enumerate(expected)] == [True] * 4
    assert found.shapes == ((2, 2),) * 4


def test_branches_of_python_are_counted_and_only_those_of_the_caller() -> None:
    def f(x: Any) -> Any:
        y = x / np.maximum(x, 1.0)  # the engine's own quotient asks for zeros
        return y * x[0] if x[1] > 0 else y

    found = jacobian_pattern(f, np.ones(3))
    assert found.branches == 1
    assert np.array_equal(dense(found), of("x..", "xx.", "x.x"))
    assert np.array_equal(dense(jacobian_pattern(f, -np.ones(3))), np.eye(3, dtype=bool))


def test_a_function_without_a_rule_depends_on_everything() -> None:
    odd = custom_rule(vjp=(lambda g, ans, x: g * 2.0,))(lambda x: 2.0 * x)
    assert np.array_equal(dense(jacobian_pattern(lambda x: odd(x[:2]), np.ones(3))), of("xx.", "xx."))


def test_sizes_of_none_and_of_one() -> None:
    assert dense(jacobian_pattern(np.sin, np.zeros(0))).shape == (0, 0)
    assert np.array_equal(dense(jacobian_pattern(np.sin, 0.5)), [[True]])
    assert np.array_equal(dense(hessian_pattern(lambda x: x**3, 0.5)), [[True]])


def test_memory_is_proportional_to_the_entries() -> None:
    n = 10_000

    def rosenbrock(x: Any) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    ((rows, columns),) = hessian_pattern(rosenbrock, np.linspace(0.5, 1.5, n)).blocks
    assert rows.size == 3 * n - 2
    assert np.abs(rows - columns).max() == 1


def test_a_dense_matrix_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "MOST_MEMBERS", 1000)
    with pytest.raises(ValueError, match="expected a sparse function"):
        jacobian_pattern(np.cumsum, np.ones(100))


def test_a_computed_shape_is_refused_in_words_of_patterns() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.delete(x, np.argmax(x)) ** 2)

    for wrong in (f, lambda x: np.sum(x[: np.argmax(x)]), lambda x: np.sum(np.arange(3.0)[np.argmax(x)] * x)):
        for pattern in (hessian_pattern, jacobian_pattern):
            with pytest.raises(TypeError, match=r"while a sparsity pattern is found.*local=True"):
                pattern(wrong, X)
    assert np.array_equal(dense(hessian_pattern(f, X, local=True)), np.diag([True, True, False]))


def test_one_array_is_expected_as_output() -> None:
    with pytest.raises(TypeError, match="got an output of type tuple, expected one array"):
        jacobian_pattern(lambda x: (x, x), np.ones(2))
