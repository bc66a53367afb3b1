"""Shapes, axes, indices and subscripts drawn at random: the pullback is the transpose of the tangent."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from autodiff_compare.backends.numpy_autodiff import jvp, vjp

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=3)


def drawn(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)[()]


def check_transposed(f: Any, *shapes: tuple[int, ...]) -> None:
    args = [drawn(s, i) for i, s in enumerate(shapes)]
    tangents = [drawn(s, 10 + i) for i, s in enumerate(shapes)]
    value, pullback = vjp(f, *args)
    # Not equal: std is computed as a norm, one rounding away from NumPy's.
    np.testing.assert_allclose(value, f(*args), rtol=1e-14)
    cotangent = drawn(np.shape(value), 20)
    found = pullback(cotangent)
    assert [g.shape for g in found] == list(shapes)
    backward = sum(np.sum(g * t) for g, t in zip(found, tangents, strict=True))
    tangent = jvp(f, args, tangents)[1]
    assert np.shape(tangent) == np.shape(value)
    assert np.sum(cotangent * tangent) == pytest.approx(backward, rel=1e-12, abs=1e-12)
    # Central difference: truncation h^2 and rounding eps/h are both far below the tolerance.
    h = 1e-6
    moved = f(*(x + h * t for x, t in zip(args, tangents, strict=True)))
    back = f(*(x - h * t for x, t in zip(args, tangents, strict=True)))
    np.testing.assert_allclose(tangent, (moved - back) / (2 * h), rtol=1e-5, atol=1e-7)


@QUICK
@given(st.data(), SHAPES, st.booleans(), st.sampled_from(["sum", "mean", "prod", "max", "min", "var", "std"]))
def test_reductions(data: st.DataObject, shape: tuple[int, ...], keepdims: bool, name: str) -> None:
    axis = data.draw(
        st.none() | hnp.valid_tuple_axes(len(shape), min_size=1) | st.integers(-len(shape), len(shape) - 1)
    )
    if name == "std":  # the deviation of one number has a kink at zero, where every number is
        axis, shape = 0, (shape[0] + 1, *shape[1:])
    check_transposed(lambda x: getattr(np, name)(x, axis=axis, keepdims=keepdims), shape)


@QUICK
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
def test_broadcasting(shapes: Any) -> None:
    for f in (np.multiply, np.divide, np.power, np.hypot, np.arctan2):
        check_transposed(f, *shapes.input_shapes)


@QUICK
@given(st.data(), SHAPES)
def test_basic_and_advanced_indices(data: st.DataObject, shape: tuple[int, ...]) -> None:
    basic = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    check_transposed(lambda x: x[basic] * 1.0, shape)
    advanced = data.draw(hnp.integer_array_indices(shape))
    check_transposed(lambda x: x[advanced], shape)


@QUICK
@given(st.data())
def test_einsum_forms(data: st.DataObject) -> None:
    lengths = {"a": 2, "b": 3, "c": 1, "d": 2}
    terms = data.draw(st.lists(st.text("abcd", min_size=1, max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    output = "".join(data.draw(st.permutations(data.draw(st.lists(st.sampled_from(letters), unique=True)))))
    shapes = [tuple(lengths[s] for s in term) for term in terms]
    check_transposed(lambda *xs: np.einsum(",".join(terms) + "->" + output, *xs), *shapes)


@QUICK
@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3))
def test_matmul(shapes: Any) -> None:
    check_transposed(np.matmul, *shapes.input_shapes)
