"""The wire protocol: what is sent arrives with the same bits, and damage is an error."""

from __future__ import annotations

import json
import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autodiff_compare.process.protocol import ProtocolError, decode, encode

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_TREES = st.recursive(_LEAVES, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(), s, max_size=3))


def same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


@given(_TREES.filter(lambda tree: "__float__" not in str(tree) and "__array__" not in str(tree)))
def test_plain_values_survive_as_strict_json(tree: object) -> None:
    line = encode(tree)
    assert "\n" not in line
    json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert same(decode(line), tree)


@given(hnp.arrays(st.sampled_from(["<f8", "<f4", "<i8", "?", "<c16"]), hnp.array_shapes(min_dims=0, min_side=0)))
def test_arrays_survive_bit_for_bit(array: np.ndarray) -> None:
    back = decode(encode({"a": array}))["a"]
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_arrays_in_half_precision_survive_bit_for_bit(dtype: Any) -> None:
    array = np.array([[1.5, -0.0], [np.inf, 2.0**-20]], dtype)
    received = decode(encode(array))
    assert received.dtype == array.dtype
    assert received.tobytes() == array.tobytes()


def test_what_is_no_array_of_numbers_is_refused_where_it_is_sent() -> None:
    """There it costs its own cell; at the other end it would cost the worker."""
    with pytest.raises(TypeError, match="got an array of NoneType, expected numbers"):
        encode({"result": [np.asarray(None)]})


def test_a_view_is_sent_by_its_values() -> None:
    array = np.arange(12.0).reshape(3, 4)[::-1, ::2]
    assert np.array_equal(decode(encode(array)), array)


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        '{"id": 1',
        '{"__array__": "!!", "dtype": "<f8", "shape": [1]}',
        '{"__array__": "AAAA", "dtype": "<f8", "shape": [1]}',
        '{"__array__": "", "dtype": "O", "shape": [0]}',
        '{"__array__": "AAAAAAAAAAA=", "dtype": "<f8", "shape": [7]}',
        '{"__float__": "fast"}',
    ],
)
def test_damage_is_an_error(line: str) -> None:
    with pytest.raises(ProtocolError, match="expected"):
        decode(line)
