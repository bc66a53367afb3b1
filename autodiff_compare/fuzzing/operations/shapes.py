"""Joining, splitting, shapes and broadcasting."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autodiff_compare.fuzzing.operations.operation import (
    Operation,
    Parameters,
    broadcastable,
    one_axis,
)
from autodiff_compare.problems import Array


def _joined(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    """Draw an axis along which the operands may differ."""
    found = one_axis(rng, a)
    if found is None or a.ndim != b.ndim:
        return None
    axis = found["axis"] % a.ndim
    rest = [(m, n) for i, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)) if i != axis]
    return found if all(m == n for m, n in rest) else None


def _stacked(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    return {"axis": int(rng.integers(-a.ndim - 1, a.ndim + 1))} if a.shape == b.shape and a.ndim < 3 else None


def _new_axis(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"axis": int(rng.integers(-a.ndim - 1, a.ndim + 1))} if a.ndim < 3 else None


def _one_long(rng: np.random.Generator, a: Array) -> Parameters | None:
    single = [i for i, n in enumerate(a.shape) if n == 1]
    return {"axis": int(rng.choice(single))} if single else None


def _permuted(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"axes": tuple(int(i) for i in rng.permutation(a.ndim))} if a.ndim >= 2 else None


def _reshaped(rng: np.random.Generator, a: Array) -> Parameters | None:
    choices = [(a.size,), (1, a.size), (a.size, 1), tuple(reversed(a.shape))]
    return {"shape": choices[int(rng.integers(len(choices)))]}


def _broadcast(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"shape": (int(rng.integers(1, 3)), *a.shape)} if a.ndim < 3 else None


def _tiled(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"times": tuple(int(n) for n in rng.integers(1, 3, a.ndim))} if a.ndim else None


def _repeated(rng: np.random.Generator, a: Array) -> Parameters | None:
    found = one_axis(rng, a)
    return None if found is None else {**found, "times": int(rng.integers(1, 3))}


def _moved(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"source": int(rng.integers(a.ndim)), "target": int(rng.integers(a.ndim))} if a.ndim >= 2 else None


def _unstacked(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"part": int(rng.integers(a.shape[0]))} if a.ndim and a.shape[0] else None


def _grid(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    fits = a.ndim == b.ndim == 1
    return {"part": int(rng.integers(2)), "indexing": ["xy", "ij"][int(rng.integers(2))]} if fits else None


def _part(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    return {"part": int(rng.integers(2))} if broadcastable(rng, a, b) is not None else None


TABLE: Mapping[str, Operation] = {
    "concat": Operation(
        "joining",
        "xp.concat([{0}, {1}], axis={axis})",
        2,
        _joined,
        spelled={"torch": "torch.concat([{0}, {1}], dim={axis})", "tensorflow": "tf.concat([{0}, {1}], axis={axis})"},
    ),
    "stack": Operation(
        "joining",
        "xp.stack([{0}, {1}], axis={axis})",
        2,
        _stacked,
        spelled={"torch": "torch.stack([{0}, {1}], dim={axis})", "tensorflow": "tf.stack([{0}, {1}], axis={axis})"},
    ),
    "unstack": Operation(
        "joining",
        "xp.unstack({0})[{part}]",
        1,
        _unstacked,
        spelled={"torch": "torch.unbind({0})[{part}]", "tensorflow": "tf.unstack({0})[{part}]"},
    ),
    "meshgrid": Operation(
        "joining",
        "xp.meshgrid({0}, {1}, indexing='{indexing}')[{part}]",
        2,
        _grid,
        spelled={"tensorflow": "tf.meshgrid({0}, {1}, indexing='{indexing}')[{part}]"},
    ),
    "broadcast_arrays": Operation(
        "joining",
        "xp.broadcast_arrays({0}, {1})[{part}]",
        2,
        _part,
        spelled={
            "torch": "torch.broadcast_tensors({0}, {1})[{part}]",
            "tensorflow": "tf.experimental.numpy.broadcast_arrays({0}, {1})[{part}]",
        },
    ),
    "broadcast_to": Operation(
        "joining",
        "xp.broadcast_to({0}, {shape})",
        1,
        _broadcast,
        spelled={"tensorflow": "tf.broadcast_to({0}, {shape})"},
    ),
    "expand_dims": Operation(
        "joining",
        "xp.expand_dims({0}, axis={axis})",
        1,
        _new_axis,
        spelled={"torch": "torch.unsqueeze({0}, {axis})", "tensorflow": "tf.expand_dims({0}, {axis})"},
    ),
    "squeeze": Operation(
        "joining",
        "xp.squeeze({0}, axis={axis})",
        1,
        _one_long,
        spelled={"torch": "torch.squeeze({0}, {axis})", "tensorflow": "tf.squeeze({0}, {axis})"},
    ),
    "permute_dims": Operation(
        "joining",
        "xp.permute_dims({0}, {axes})",
        1,
        _permuted,
        spelled={"torch": "torch.permute({0}, {axes})", "tensorflow": "tf.transpose({0}, {axes})"},
    ),
    "moveaxis": Operation(
        "joining",
        "xp.moveaxis({0}, {source}, {target})",
        1,
        _moved,
        spelled={"tensorflow": "tf.experimental.numpy.moveaxis({0}, {source}, {target})"},
    ),
    "reshape": Operation(
        "joining", "xp.reshape({0}, {shape})", 1, _reshaped, spelled={"tensorflow": "tf.reshape({0}, {shape})"}
    ),
    "tile": Operation("joining", "xp.tile({0}, {times})", 1, _tiled, spelled={"tensorflow": "tf.tile({0}, {times})"}),
    "repeat": Operation(
        "joining",
        "xp.repeat({0}, {times}, axis={axis})",
        1,
        _repeated,
        spelled={
            "torch": "torch.repeat_interleave({0}, {times}, dim={axis})",
            "tensorflow": "tf.repeat({0}, {times}, axis={axis})",
        },
    ),
}
