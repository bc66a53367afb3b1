"""Indexing, sorting and selection by a condition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autodiff_compare.fuzzing.operations.operation import (
    Operation,
    Parameters,
    apart,
    away_from_zero,
    broadcastable,
    one_axis,
    tied,
    with_axis,
)
from autodiff_compare.problems import Array


def _gather(rng: np.random.Generator, a: Array) -> Parameters | None:
    """Draw an axis, and indices along it of which some repeat."""
    found = one_axis(rng, a)
    if found is None or not a.shape[found["axis"]]:
        return None
    count = int(rng.integers(1, 4))
    return {**found, "indices": [int(i) for i in rng.integers(0, a.shape[found["axis"]], count)]}


def _index(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"index": int(rng.integers(-a.shape[0], a.shape[0]))} if a.ndim and a.shape[0] else None


def _slice(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"slice": ["1:", ":-1", "::2", ":1"][int(rng.integers(4))]} if a.ndim else None


def _roll(rng: np.random.Generator, a: Array) -> Parameters | None:
    found = one_axis(rng, a)
    return None if found is None else {**found, "shift": int(rng.integers(-2, 3))}


def _diagonal_of(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"offset": int(rng.integers(-1, 2))} if a.ndim >= 2 and min(a.shape[-2:]) else None


def _matrix(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"offset": int(rng.integers(-1, 2))} if a.ndim >= 2 else None


def _selected(a: Array, b: Array) -> bool:
    del b
    return away_from_zero(a)


_TAKE = "{0}, xp.asarray({indices}), axis={axis}"

TABLE: Mapping[str, Operation] = {
    "index": Operation("indexing", "{0}[{index}, ...]", 1, _index),
    "slice": Operation("indexing", "{0}[..., {slice}]", 1, _slice),
    "take": Operation(
        "indexing",
        f"xp.take({_TAKE})",
        1,
        _gather,
        spelled={
            "torch": "torch.index_select({0}, {axis}, torch.asarray({indices}))",
            "tensorflow": "tf.gather({0}, {indices}, axis={axis})",
        },
    ),
    "take_along_axis": Operation(
        "indexing",
        "xp.take_along_axis({0}, xp.argsort({0}, axis={axis}), axis={axis})",
        1,
        with_axis,
        apart,
        {
            "torch": "torch.take_along_dim({0}, torch.argsort({0}, dim={axis}), dim={axis})",
            "tensorflow": "tf.experimental.numpy.take_along_axis({0}, tf.argsort({0}, axis={axis}), {axis})",
        },
        kink=tied,
    ),
    "sort": Operation(
        "indexing",
        "xp.sort({0}, axis={axis})",
        1,
        with_axis,
        apart,
        {"torch": "torch.sort({0}, dim={axis}).values", "tensorflow": "tf.sort({0}, axis={axis})"},
        kink=tied,
    ),
    "flip": Operation(
        "indexing",
        "xp.flip({0}, axis={axis})",
        1,
        one_axis,
        spelled={"torch": "torch.flip({0}, ({axis},))", "tensorflow": "tf.reverse({0}, [{axis}])"},
    ),
    "roll": Operation(
        "indexing",
        "xp.roll({0}, {shift}, axis={axis})",
        1,
        _roll,
        spelled={"torch": "torch.roll({0}, {shift}, dims={axis})", "tensorflow": "tf.roll({0}, {shift}, axis={axis})"},
    ),
    "tril": Operation(
        "indexing",
        "xp.tril({0}, k={offset})",
        1,
        _matrix,
        spelled={
            "torch": "torch.tril({0}, diagonal={offset})",
            "tensorflow": "tf.experimental.numpy.tril({0}, {offset})",
        },
    ),
    "triu": Operation(
        "indexing",
        "xp.triu({0}, k={offset})",
        1,
        _matrix,
        spelled={
            "torch": "torch.triu({0}, diagonal={offset})",
            "tensorflow": "tf.experimental.numpy.triu({0}, {offset})",
        },
    ),
    "diagonal": Operation(
        "indexing",
        "xp.linalg.diagonal({0}, offset={offset})",
        1,
        _diagonal_of,
        spelled={
            "torch": "torch.diagonal({0}, offset={offset}, dim1=-2, dim2=-1)",
            "tensorflow": "tf.linalg.diag_part({0}, k={offset})",
        },
    ),
    "where": Operation(
        "where",
        "xp.where({0} > 0, {0}, {1})",
        2,
        broadcastable,
        _selected,
        {"tensorflow": "tf.where({0} > 0, {0}, {1})"},
    ),
    "where_not": Operation(
        "where",
        "xp.where({0} > 0, xp.zeros_like({0}), {0} * {0})",
        spelled={"tensorflow": "tf.where({0} > 0, tf.zeros_like({0}), {0} * {0})"},
        smooth=away_from_zero,
    ),
    "where_sqrt": Operation(
        "where",
        "xp.where({0} > 0, xp.sqrt(xp.abs({0})), {0})",
        spelled={"tensorflow": "tf.where({0} > 0, tf.math.sqrt(tf.math.abs({0})), {0})"},
        smooth=away_from_zero,
    ),
    "mask": Operation(
        "where",
        "xp.astype({0} > 0, {0}.dtype) * {1}",
        2,
        broadcastable,
        _selected,
        {"torch": "({0} > 0).to({0}.dtype) * {1}", "tensorflow": "tf.cast({0} > 0, {0}.dtype) * {1}"},
    ),
}
