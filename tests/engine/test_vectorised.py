"""Vectorised graphs: every rule, and every operation without one, gives what the rows give one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import numpy_autodiff as engine
from autodiff_compare.backends.numpy_autodiff.batching.vectorised import OtherBranch, vectorise
from autodiff_compare.backends.numpy_autodiff.compiler import CompileError
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten

_RNG = np.random.default_rng(1)
M, N, V, W = (_RNG.uniform(0.5, 1.5, shape) for shape in ((3, 3), (3, 2), (3,), (3,)))
C = np.array(1.7)
LABELS = np.array([2, 0, 1, 2])
ROWS = 4

#: Functions of two arguments, each of which may have rows: the operations that a rule moves past the first axis.
FUNCTIONS: list[tuple[str, Callable[..., Any], Sequence[Any]]] = [
    ("arithmetic", lambda a, b: a * b + a / b - 2.0 * b, (M, V)),
    ("of a number", lambda a, b: a * b + np.sin(b), (V, C)),
    ("of numbers", lambda a, b: np.hypot(a, b), (C, C)),
    ("comparisons", lambda a, b: np.where(a > b, a, b * b), (M, V)),
    ("sums", lambda a, b: np.sum(a, axis=0) * np.sum(b) + np.sum(a), (M, V)),
    ("sums that keep axes", lambda a, b: a - np.sum(a, axis=-1, keepdims=True) + b, (M, V)),
    ("maxima", lambda a, b: np.max(a, axis=1) + np.max(b), (M, V)),
    ("means", lambda a, b: np.mean(a * b, axis=(0, 1)), (M, V)),
    ("matrices", lambda a, b: a @ b, (M, N)),
    ("matrix and vector", lambda a, b: a @ b, (M, V)),
    ("vector and matrix", lambda a, b: a @ b, (V, N)),
    ("vectors", lambda a, b: a @ b, (V, W)),
    ("a column", lambda a, b: a[:, None] @ b[None, :], (V, W)),
    ("a stack of matrices", lambda a, b: np.stack([a, a @ a]) @ b, (M, N)),
    ("shapes", lambda a, b: np.reshape(a.T, (9,)) * np.sum(np.broadcast_to(b, (2, 3))), (M, V)),
    ("axes", lambda a, b: np.transpose(np.stack([a, 2 * a]), (1, 2, 0))[0] @ b[:2], (M, V)),
    ("slices", lambda a, b: a[1:, ::-1] * b[None, :2].T + a[0, 0], (M, V)),
    ("indices", lambda a, b: a[[0, 2, 2]] * b[np.array([1, 0, 1])], (M, V)),
    ("joined", lambda a, b: np.concatenate([a, b[None]], axis=0), (M, V)),
    ("solved", lambda a, b: np.linalg.solve(a + 4 * np.eye(3), b), (M, V)),
    ("several outputs", lambda a, b: np.linalg.eigh(a + a.T)[0] * b, (M, V)),
    ("sorted", lambda a, b: np.sort(a, axis=0) + np.cumsum(b), (M, V)),
]


def batch_of(x: Any) -> Any:
    """Return rows like ``x``: it and others, each of them a little different."""
    return np.stack([x * (1 + 0.1 * k) + 0.01 * k * np.arange(np.size(x)).reshape(np.shape(x)) for k in range(ROWS)])


def one_by_one(f: Callable[..., Any], given: Sequence[Any], mapped: Sequence[int]) -> list[Any]:
    rows = [flatten(f(*(a[k] if i in mapped else a for i, a in enumerate(given))))[0] for k in range(ROWS)]
    return [np.stack(parts) for parts in zip(*rows, strict=True)]


def check(f: Callable[..., Any], args: Sequence[Any], mapped: Sequence[int]) -> None:
    given = [batch_of(a) if i in mapped else a for i, a in enumerate(args)]
    before = [a.copy() for a in given]
    found = flatten(vectorise(f, args, mapped)(*given))[0]
    for got, want in zip(found, one_by_one(f, given, mapped), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)
        assert not any(np.shares_memory(got, a) for a in given)
    for a, b in zip(given, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mapped", [(0,), (1,), (0, 1)], ids=str)
@pytest.mark.parametrize(("name", "f", "args"), FUNCTIONS, ids=[name for name, *_ in FUNCTIONS])
def test_rows_are_computed_at_once(name: str, f: Any, args: Sequence[Any], mapped: tuple[int, ...]) -> None:
    check(f, args, mapped)
    check(engine.grad(lambda a, b: np.sum(f(a, b) ** 2), (0, 1)), args, mapped)
    check(lambda a, b: engine.jvp(f, (a, b), (a * 0 + 1, b))[1], args, mapped)


def test_a_result_that_does_not_depend_on_the_row_is_repeated_and_owned() -> None:
    found = vectorise(lambda a, b: (b, 2 * b, a), (M, V), (0,))(batch_of(M), V)
    assert [x.shape for x in found] == [(ROWS, 3), (ROWS, 3), (ROWS, 3, 3)]
    found[0][0] = 7.0
    assert V.max() < 7
    assert found[0][1].max() < 7


def test_whole_numbers_are_inputs() -> None:
    """Labels differ between rows and between calls; those of the example are not compiled in."""

    def f(a: Any, label: Any) -> Any:
        return np.sum(np.log(np.sum(np.exp(a))) - a[label])

    run = vectorise(engine.grad(f), (V, LABELS[0]), (0, 1))
    a = batch_of(V)
    expected = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True) - np.eye(3)[LABELS]  # softmax minus one-hot
    np.testing.assert_allclose(run(a, LABELS), expected, rtol=1e-13, atol=1e-15)


def test_a_row_that_takes_another_branch_of_a_rule_is_told() -> None:
    """The slope of a division guards a divisor of zero."""
    run = vectorise(engine.grad(lambda a: np.sum(np.sqrt(a))), (V,), (0,))
    a = batch_of(V)
    np.testing.assert_allclose(run(a), 0.5 / np.sqrt(a), rtol=1e-14)
    for rows in (a, a * (np.arange(12).reshape(4, 3) != 5)):
        try:
            found = run(rows)
        except OtherBranch:
            continue
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(found, 0.5 / np.sqrt(rows), rtol=1e-14)


def test_a_branch_on_a_value_cannot_be_captured() -> None:
    with pytest.raises(CompileError):
        vectorise(lambda a: a * 2 if np.sum(a) > 0 else a, (V,), (0,))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype: Any) -> None:
    run = vectorise(engine.grad(lambda a, b: np.mean(np.tanh(a @ b) ** 2)), (M.astype(dtype), V.astype(dtype)), (1,))
    found = run(M.astype(dtype), batch_of(V).astype(dtype))
    assert found.dtype == dtype
