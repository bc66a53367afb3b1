"""An array that a recorded operation still needs cannot change unnoticed: a write raises, or reaches a copy."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import Variable, grad, hvp, jacobian, jvp, linearize, value_and_grad, vjp

#: name, operation of a (3,) variable and a (3,) array of ours that the backward sweep looks at.
USES: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("x * c", lambda x, c: x * c),
    ("c * x", lambda x, c: c * x),
    ("x / c", lambda x, c: x / c),
    ("x ** c", lambda x, c: x**c),
    ("np.multiply", np.multiply),
    ("x @ c", lambda x, c: x @ c),
    ("np.dot", lambda x, c: np.dot(c, x)),
    ("einsum", lambda x, c: np.einsum("i,i,i->i", c, x, c)),
    ("maximum", lambda x, c: np.maximum(x, c)),
    ("index", lambda x, c: x[c.astype(int) % 3] * c),
    ("hypot", np.hypot),
    ("a view of it", lambda x, c: x * c[::-1]),
    ("its transpose", lambda x, c: x * c.reshape(1, 3).T),
]
EVERY_USE = pytest.mark.parametrize("use", [u[1] for u in USES], ids=[u[0] for u in USES])
X = np.array([0.5, 1.5, 2.5])


def ours() -> Any:
    return np.array([1.0, 2.0, 4.0])


@EVERY_USE
def test_a_write_before_the_sweep_raises_and_the_array_is_given_back(use: Any) -> None:
    c = ours()

    def f(x: Any) -> Any:
        y = use(x, c)
        c[0] = 7.0
        return np.sum(y)

    with pytest.raises(ValueError, match="read-only") as caught:
        grad(f)(X)
    assert "still needs this array" in caught.value.__notes__[0]
    assert c.flags.writeable
    assert c[0] == 1.0
    expected = grad(lambda x: np.sum(use(x, c)))(X)
    c[0] = 7.0
    # Without a write, the gradient of a larger program that uses the array twice.
    assert np.isfinite(expected).all()


@EVERY_USE
def test_a_pullback_keeps_what_was(use: Any) -> None:
    c, x = ours(), X.copy()
    value, pullback = vjp(lambda x: use(x, c), x)
    cotangent = np.ones_like(value)
    expected = pullback(cotangent)[0]
    assert c.flags.writeable
    assert x.flags.writeable
    for array in (c, x, value):
        if isinstance(array, np.ndarray):
            array[...] = 99.0
    np.testing.assert_array_equal(pullback(cotangent)[0], expected)


@EVERY_USE
def test_the_backward_style_keeps_what_was(use: Any) -> None:
    c = ours()
    expected = grad(lambda x: np.sum(use(x, c)))(X)
    x = Variable(X)
    y = np.sum(use(x, c))
    c[...] = 99.0
    y.backward()
    np.testing.assert_array_equal(x.grad, expected)


def test_an_auxiliary_result_is_no_part_of_the_recording() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x)
        return y * y, {"y": y, "x": x}

    _, pullback, aux = vjp(f, X, has_aux=True)
    (expected,) = pullback(np.ones(3))
    aux["y"][...] = aux["x"][...] = 0.0
    np.testing.assert_array_equal(pullback(np.ones(3))[0], expected)


def test_indices_and_conditions_are_kept() -> None:
    index, mask = np.array([0, 2]), np.array([True, False, True])
    for use in (
        lambda x: x[index],
        lambda x: x[index, ...],
        lambda x: np.where(mask, x, 0),
        lambda x: np.take(x, index),
    ):
        _, pullback = vjp(use, X)
        (expected,) = pullback(np.ones_like(use(X)))
        index[...], mask[...] = 1, False
        np.testing.assert_array_equal(pullback(np.ones_like(use(X)))[0], expected)
        index[...], mask[...] = [0, 2], [True, False, True]

    def f(x: Any) -> Any:
        y = x[index]
        index[0] = 1
        return np.sum(y)

    with pytest.raises(ValueError, match="read-only"):
        grad(f)(X)


def test_the_differentiated_argument_is_held() -> None:
    x = X.copy()

    def f(v: Any) -> Any:
        y = v * v
        x[0] = 9.0
        return np.sum(y)

    for transform in (grad(f), value_and_grad(f)):
        with pytest.raises(ValueError, match="read-only"):
            transform(x)
    with pytest.raises(ValueError, match="read-only"):
        grad(lambda p: f(p["v"]))({"v": x})
    assert x.flags.writeable


def test_views_of_one_memory_are_held_and_given_back() -> None:
    memory = np.arange(12.0).reshape(4, 3)
    rows = list(memory)

    def f(a: Any, b: Any) -> Any:
        # The inner gradient uses a row of what the outer one holds.
        inner = grad(lambda v: np.sum(v * rows[2] * memory[3]))(a)
        return np.sum(inner * a * b * memory)

    expected = np.sum(memory, axis=0) * rows[2] * memory[3]
    np.testing.assert_allclose(grad(f, 1)(rows[0], rows[1]), rows[0] * expected, rtol=1e-14)
    np.testing.assert_allclose(grad(f, (0, 1))(rows[0], rows[1])[0], rows[1] * expected, rtol=1e-14)
    assert memory.flags.writeable
    assert memory.base.flags.writeable
    assert all(row.flags.writeable for row in rows)


def test_what_no_rule_looks_at_is_free() -> None:
    c = ours()

    def f(x: Any) -> Any:
        total = x
        for k in range(3):
            c[...] = k
            total = total + c - c
        return np.sum(total)

    np.testing.assert_array_equal(grad(f)(X), 1.0)

    def product(x: Any) -> Any:
        total = x
        for k in range(1, 4):
            c[...] = k
            total = total * c
        return np.sum(total)

    # Forward mode keeps no graph: the slope is 1 * 2 * 3.
    assert jvp(product, (X,), (np.ones(3),))[1] == 18.0
    with pytest.raises(ValueError, match="read-only"):
        grad(product)(X)


def test_memory_of_others_is_copied() -> None:
    """A map of a file, or bytes: NumPy could not be told to write to it again."""
    c = np.frombuffer(mmap.mmap(-1, 24), float)
    c[...] = ours()

    def f(x: Any) -> Any:
        y = x * c
        c[0] = 9.0
        return np.sum(y)

    np.testing.assert_array_equal(grad(f)(X), ours())


def test_transforms_that_outlive_their_call_give_arrays_back() -> None:
    c = ours()
    _, push = linearize(lambda x: x * c * c, X)
    expected = push(np.ones(3))
    table = jacobian(lambda x: x * c, mode="reverse")(X)
    hvp(lambda x: np.sum(x * x * c), (X,), (X,))
    assert c.flags.writeable
    c[...] = 0.0
    np.testing.assert_array_equal(push(np.ones(3)), expected)
    np.testing.assert_array_equal(table, np.diag(ours()))


def test_values_of_variables_are_read_only() -> None:
    x = Variable(X)
    y = x * x
    for v in (x, y):
        with pytest.raises(ValueError, match="read-only"):
            v.value[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        grad(lambda x: (np.multiply(x.value, 2, out=x.value), np.sum(x))[1])(X)
    assert not np.shares_memory(x.value, X)


def test_assigning_a_value() -> None:
    """Gradient descent in the backward style: x <- x - 0.25 (2 x) halves x."""
    x = Variable(X)
    for _ in range(3):
        np.sum(x**2).backward()
        x.value = x.value - 0.25 * x.grad
        x.zero_grad()
    np.testing.assert_array_equal(x.value, X / 8)
    source = np.ones(3)
    x.value = source
    source[0] = 5.0
    np.testing.assert_array_equal(x.value, 1.0)
    y = np.sum(x * x)
    x.value = X
    with pytest.raises(RuntimeError, match="assigned a new value after multiply used it"):
        y.backward()
    with pytest.raises(TypeError, match="result of an operation"):
        y.value = 1.0
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \(3,\)"):
        x.value = [1.0, 2.0]
    assert Variable(np.float32(1)).dtype == np.float32
    single = Variable(np.float32(1))
    single.value = 2.0
    assert single.value.dtype == np.float32


#: name, how to take a part of a (4, 3) array that leaves its row 3 out, worth the same as a (3,) array.
PARTS: list[tuple[str, Callable[[Any], Any]]] = [
    ("row", lambda m: m[1]),
    ("rows", lambda m: m[:3]),
    ("column of a part", lambda m: m[:3, 1]),
    ("every second entry", lambda m: m.reshape(-1)[:9:3]),
    ("backwards", lambda m: m[2::-1, 0]),
    ("broadcast row", lambda m: np.broadcast_to(m[0], (5, 3))),
    ("window", lambda m: np.lib.stride_tricks.sliding_window_view(m[0], 1)[:, 0]),
    ("view of a view", lambda m: m[:3][1:][0]),
    ("other dtype", lambda m: m[0].view(np.int64)),
    ("read-only", lambda m: np.broadcast_to(m[2], (3,))),
]
EVERY_PART = pytest.mark.parametrize("part", [p[1] for p in PARTS], ids=[p[0] for p in PARTS])


@EVERY_PART
@pytest.mark.parametrize("owner", [np.copy, lambda m: m.reshape(2, 6).reshape(4, 3)], ids=["memory", "view"])
def test_what_is_beside_a_used_part_stays_writable(part: Any, owner: Any) -> None:
    m = owner(np.arange(1.0, 13.0).reshape(4, 3))
    expected = grad(lambda x: np.sum(x * part(m.copy())))(X)

    def f(x: Any) -> Any:
        y = x * part(m)
        assert m.flags.writeable
        writer = threading.Thread(target=lambda: m[3].fill(7.0))
        writer.start()
        writer.join()
        m[3] += 1.0
        # The part itself is recorded as it was.
        m[...] = 0.0
        return np.sum(y)

    np.testing.assert_array_equal(grad(f)(X), expected)
    assert m.flags.writeable


def test_a_part_as_the_differentiated_argument() -> None:
    m = np.arange(1.0, 13.0).reshape(4, 3)

    def f(x: Any) -> Any:
        y = x * x
        m[...] = 0.0
        return np.sum(y)

    np.testing.assert_array_equal(grad(f)(m[1]), [8.0, 10.0, 12.0])


@pytest.mark.parametrize("whole", [lambda m: m.T, lambda m: m[::-1, ::-1], lambda m: m.ravel(), lambda m: m[:]])
def test_a_view_of_all_of_it_is_not_copied(whole: Any) -> None:
    """A transpose of the data costs no memory; a write raises as before."""
    m = np.ones((3, 3))
    used: list[Any] = []

    def f(x: Any) -> Any:
        y = np.sum(x * whole(m))
        used.append(m.flags.writeable)
        m[0] = 2.0
        return y

    with pytest.raises(ValueError, match="read-only"):
        grad(f)(np.ones(m.size if whole(m).ndim == 1 else (3, 3)))
    assert used == [False]
    assert m.flags.writeable


def test_a_copy_of_a_broadcast_row_is_a_row() -> None:
    m = np.ones((4, 3))
    row = np.broadcast_to(m[1], (1000, 3))
    _, pullback = vjp(lambda x: x * row, np.ones((1000, 3)))
    m[1] = 5.0
    np.testing.assert_array_equal(pullback(np.ones((1000, 3)))[0], 1.0)


@pytest.mark.parametrize(
    "whole",
    [
        lambda m: np.broadcast_to(m, (5, 4, 3)),
        lambda m: np.lib.stride_tricks.sliding_window_view(m, 2, axis=0),
        lambda m: np.lib.stride_tricks.as_strided(m, (12,), (8,)),
        lambda m: m.T,
    ],
)
def test_a_view_of_all_of_it_outlives_a_write(whole: Any) -> None:
    m = np.arange(1.0, 13.0).reshape(4, 3).copy()
    expected = whole(m).copy()
    x = np.ones(expected.shape)
    _, pullback = vjp(lambda x: x * whole(m), x)
    _, push = linearize(lambda x: x * whole(m), x)
    m[...] = 0.0
    np.testing.assert_array_equal(pullback(x)[0], expected)
    np.testing.assert_array_equal(push(x), expected)
