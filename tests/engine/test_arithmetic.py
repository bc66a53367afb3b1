"""The hand-written sweeps give what the rules of the same functions give, and no gradient shares memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, jvp, vjp
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules import UFUNCS
from autodiff_compare.backends.numpy_autodiff.rules.extremes import MAX, MIN
from autodiff_compare.backends.numpy_autodiff.rules.indexing import GETITEM
from autodiff_compare.backends.numpy_autodiff.rules.reductions import MEAN, SUM


def ruled(primitive: Primitive) -> Primitive:
    """A primitive of the same rules and nothing else: no hand-written sweep, no cotangent that is one number."""
    return Primitive(primitive.name, primitive.function, primitive.vjps, primitive.jvps)


add, subtract, multiply, divide = (ruled(UFUNCS[f]) for f in (np.add, np.subtract, np.multiply, np.divide))
negative, power, absolute = (ruled(UFUNCS[f]) for f in (np.negative, np.power, np.absolute))
maximum, minimum, matmul = (ruled(UFUNCS[f]) for f in (np.maximum, np.minimum, np.matmul))
total, mean, getitem = ruled(SUM), ruled(MEAN), ruled(GETITEM)
greatest, least = ruled(MAX), ruled(MIN)

C = np.array([[1.5, -0.5, 2.0], [0.3, 1.0, -1.0]])
#: name, as people write it, by the rules alone.
PAIRS: list[tuple[str, Any, Any]] = [
    ("add", lambda x, y: x + y, add),
    ("subtract", lambda x, y: x - y, subtract),
    ("multiply", lambda x, y: x * y, multiply),
    ("square", lambda x, y: (x * x) * y, lambda x, y: multiply(multiply(x, x), y)),
    ("shift", lambda x, y: (x + 2.0) * (3 + y), lambda x, y: multiply(add(x, 2.0), add(3, y))),
    ("shift back", lambda x, y: (x - 2.0) * y, lambda x, y: multiply(subtract(x, 2.0), y)),
    ("from", lambda x, y: (2.0 - x) * y, lambda x, y: multiply(subtract(2.0, x), y)),
    ("scale", lambda x, y: (2 * x) * (y * 0.5), lambda x, y: multiply(multiply(2, x), multiply(y, 0.5))),
    ("quotient", lambda x, y: (x / 2) * y, lambda x, y: multiply(divide(x, 2), y)),
    ("negative", lambda x, y: -x * y, lambda x, y: multiply(negative(x), y)),
    ("twice", lambda x, y: x + (y + x) + y, lambda x, y: add(add(x, add(y, x)), y)),
    ("abs", lambda x, y: abs(x - 1) * y, lambda x, y: multiply(absolute(subtract(x, 1)), y)),
    *((f"power {n}", lambda x, y, n=n: x**n * y, lambda x, y, n=n: multiply(power(x, n), y)) for n in (2, 3, 4)),
]
SHAPES = [((), ()), ((3,), (3,)), ((2, 1), (3,)), ((), (2, 2)), ((0,), ())]
#: Of a real array: a cotangent that is one number, the same through more steps, and one that is an array.
LOSSES: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (np.sum, total),
    (lambda v: np.mean(2 - 3 * v), lambda v: mean(subtract(2, multiply(3, v)))),
    (lambda v: np.sum(v**2), lambda v: total(multiply(v, v))),
]


@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("f4", "f4"), ("f4", "f8"), ("f8", "c16")], ids=str)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize(("fast", "slow"), [p[1:] for p in PAIRS], ids=[p[0] for p in PAIRS])
def test_operators_agree_with_rules(fast: Any, slow: Any, shapes: Any, dtypes: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = (np.asarray(rng.uniform(0.5, 2, s)).astype(d)[()] for s, d in zip(shapes, dtypes, strict=True))
    for fast_loss, slow_loss in LOSSES if np.size(x) else LOSSES[::2]:
        by_operators = grad(lambda x, y, loss=fast_loss: loss(np.real(fast(x, y))), (0, 1))(x, y)
        by_rules = grad(lambda x, y, loss=slow_loss: loss(np.real(slow(x, y))), (0, 1))(x, y)
        for a, b, v in zip(by_operators, by_rules, (x, y), strict=True):
            assert (a.dtype, a.shape) == (v.dtype, v.shape)
            np.testing.assert_allclose(a, b, rtol=8 * np.finfo(v.dtype).eps)
    tangents = [np.ones_like(v) for v in (x, y)]
    np.testing.assert_allclose(jvp(fast, (x, y), tangents)[1], jvp(slow, (x, y), tangents)[1], rtol=1e-6)


#: An entry that is taken twice, among others.
PLACES = (np.array([0, 1, 0]), np.array([2, 0, 2]))
#: name, of a (2, 3) array as people write it, by the rules alone.
ARRAYS: list[tuple[str, Any, Any]] = [
    ("array operand", lambda x: (x + C) * C - C, lambda x: subtract(multiply(add(x, C), C), C)),
    ("reflected array", lambda x: C - C * (C + x), lambda x: subtract(C, multiply(C, add(C, x)))),
    ("row operand", lambda x: x * C[0] + C[1], lambda x: add(multiply(x, C[0]), C[1])),
    ("grown", lambda x: x[0] * C - C[:, :1] * x[1], None),
    ("scalar times array", lambda x: x[0, 1] * C + C * x[1, 0] + x[0, 0], None),
    ("maximum", lambda x: np.maximum(x, 0), lambda x: maximum(x, 0)),
    ("maximum, ties", lambda x: np.maximum(x, 0.25), lambda x: maximum(x, 0.25)),
    ("minimum", lambda x: np.minimum(x, C[0]), lambda x: minimum(x, C[0])),
    ("matmul", lambda x: x @ x.T, lambda x: matmul(x, x.T)),
    ("constant matmul", lambda x: C.T @ x, lambda x: matmul(C.T, x)),
    ("index", lambda x: x[1:] + x[:1], lambda x: add(getitem(x, slice(1, None)), getitem(x, slice(None, 1)))),
    ("index, nothing", lambda x: x[2:], lambda x: getitem(x, slice(2, None))),
    ("index, backward", lambda x: x[1:0:-1], lambda x: getitem(x, slice(1, 0, -1))),
    ("index, negative", lambda x: x[-1:], lambda x: getitem(x, slice(-1, None))),
    ("max", lambda x: x - np.max(x, axis=1, keepdims=True), None),
    ("greatest of rows", lambda x: np.max(x, axis=1), lambda x: greatest(x, axis=1)),
    ("greatest of rows, ties", lambda x: np.max(x * 0, axis=-1), lambda x: greatest(multiply(x, 0), axis=-1)),
    ("least of columns", lambda x: np.min(x, axis=0, keepdims=True), lambda x: least(x, axis=0, keepdims=True)),
    ("sum of rows", lambda x: np.sum(x * x, axis=-1), lambda x: total(multiply(x, x), axis=-1)),
    ("sum of columns", lambda x: np.sum(x * x, 0), lambda x: total(multiply(x, x), axis=0)),
    ("mean of both", lambda x: np.mean(x * x, axis=(0, 1)), lambda x: mean(multiply(x, x), axis=(0, 1))),
    ("less a column", lambda x: x - x[:, :1], lambda x: subtract(x, getitem(x, (slice(None), slice(1))))),
    ("row less", lambda x: C[1] - (x[0] - x), lambda x: subtract(C[1], subtract(getitem(x, 0), x))),
    ("new axis", lambda x: x[:, None] * C, lambda x: multiply(getitem(x, (slice(None), None)), C)),
    ("new axes", lambda x: x[None, ..., None], lambda x: getitem(x, (None, ..., None))),
    ("all, backward", lambda x: x[::-1, ::1] * C, lambda x: multiply(getitem(x, (slice(None, None, -1),)), C)),
    ("axis of one", lambda x: x[:, :1][:, 0] * C[:, 0], lambda x: multiply(getitem(x, (slice(None), 0)), C[:, 0])),
    ("pairs of indices", lambda x: x[PLACES] * C[0], lambda x: multiply(getitem(x, PLACES), C[0])),
    ("inner sum", lambda x: x * np.sum(x) + np.mean(x), lambda x: add(multiply(x, total(x)), mean(x))),
]


@pytest.mark.parametrize(("fast", "slow"), [p[1:] for p in ARRAYS], ids=[p[0] for p in ARRAYS])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_array_operations_agree_with_rules(fast: Any, slow: Any, dtype: str) -> None:
    x = np.array([[0.25, -1.5, 0.5], [2.0, 0.75, -0.3]]).astype(dtype)
    value, pullback = vjp(slow or fast, x)
    (expected,) = pullback(np.ones_like(value))
    # The cotangent above is an array throughout; here it starts as one number.
    found = grad(lambda x: np.sum(fast(x)))(x)
    assert (found.dtype, found.shape) == (x.dtype, x.shape)
    np.testing.assert_allclose(found, expected, rtol=16 * np.finfo(dtype).eps, atol=16 * np.finfo(dtype).eps)
    hessian = jvp(grad(lambda x: np.sum(fast(x) ** 2)), (x,), (C.astype(dtype),))[1]
    other = jvp(grad(lambda x: total(power((slow or fast)(x), 2))), (x,), (C.astype(dtype),))[1]
    np.testing.assert_allclose(hessian, other, rtol=1e-4 if dtype == "f4" else 1e-13, atol=1e-5)


#: Functions of two arrays whose cotangents pass through several hands unchanged.
SHARING = [
    lambda x, y: np.sum(x + y),
    lambda x, y: np.sum((x + y) * C),
    lambda x, y: np.sum(x * y),
    lambda x, y: np.sum((x + y) + (x - y) * C + x),
    lambda x, y: np.sum(np.stack([x + y, x])),
    lambda x, y: np.sum(np.reshape(x + y, (3, 2)) ** 2),
    lambda x, y: np.sum(np.abs(x) + y),
    lambda x, y: np.sum((x + y)[:, None]) + np.sum(x),
]


@pytest.mark.parametrize("f", SHARING)
def test_no_gradient_shares_memory(f: Any) -> None:
    x, y = C.copy(), 2 * C
    value, pullback = vjp(lambda x, y: (x + y) * 1.0 + x, x, y)
    cotangent = np.ones_like(value)
    arrays = [x, y, cotangent, *grad(f, (0, 1))(x, y), *pullback(cotangent), *pullback(cotangent)]
    for i, a in enumerate(arrays):
        for b in arrays[:i]:
            assert not np.shares_memory(a, b)
        assert a.flags.writeable
    # Sums in place must not have reached what the caller holds.
    np.testing.assert_array_equal(cotangent, 1)
    np.testing.assert_array_equal(arrays[5], arrays[7])
    np.testing.assert_array_equal(arrays[5], 2)
    np.testing.assert_array_equal(x, C)


#: Rows of three numbers, which are added up by a product with ones: the sum of each, by hand.
ROWS = [
    ([1.0, 2.0, 4.0], 7.0),
    ([np.inf, -1.0, 0.0], np.inf),
    ([np.nan, 1.0, 1.0], np.nan),
    ([1e300, 1e300, -1e300], 1e300),
    ([np.inf, -np.inf, 0.0], np.nan),
    ([-0.5, 0.5, 0.0], 0.0),
]


def test_sums_of_many_short_rows() -> None:
    x = np.array([row for row, _ in ROWS] * 20)
    for keepdims in (False, True):
        found: list[Any] = []

        def f(x: Any, keepdims: bool = keepdims, found: list[Any] = found) -> Any:
            rows = np.sum(x, axis=-1, keepdims=keepdims)
            found.append(rows.value)
            return np.sum(np.where(np.isfinite(rows), rows, 0) * 2)

        with np.errstate(invalid="ignore"):
            slopes = grad(f)(x)
        assert found[0].shape == ((120, 1) if keepdims else (120,))
        np.testing.assert_array_equal(np.ravel(found[0]), [total for _, total in ROWS] * 20)
        np.testing.assert_array_equal(slopes[:, 0], [2.0 * np.isfinite(total) for _, total in ROWS] * 20)


#: A row, and the slopes of its maximum: shared by ties; nan for a row with one.
GREATEST = [
    ([1.0, 3.0, 2.0], [0.0, 1.0, 0.0]),
    ([2.0, 2.0, 1.0], [0.5, 0.5, 0.0]),
    ([np.inf, 0.0, -np.inf], [1.0, 0.0, 0.0]),
    ([0.0, -0.0, -1.0], [0.5, 0.5, 0.0]),
]


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
def test_slopes_of_greatest_entries(dtype: str) -> None:
    x, expected = (np.array(part * 20, dtype) for part in zip(*GREATEST, strict=True))
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.max(x, axis=1)))(x), expected)
    # As many entries are greatest as there are rows: none in the row with nan, two in another.
    rows = np.array([[np.nan, 1, 0], [2, 2, 1]], dtype)
    with np.errstate(all="ignore"):
        slopes = grad(lambda x: np.sum(np.max(x, axis=1)))(rows)
    np.testing.assert_array_equal(slopes[1], [0.5, 0.5, 0.0])
    assert np.isnan(slopes[0]).all()
