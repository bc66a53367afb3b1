"""PyTorch's operators that move, join and choose entries, as NumPy functions; see `tests.engine.opinfo`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Operator = Callable[..., Any]


def axis_of(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def _block_diag(*parts: Any) -> Any:
    parts = tuple(np.atleast_2d(p) for p in parts)
    rows = []
    for k, p in enumerate(parts):
        rows.append([p if j == k else np.zeros((p.shape[0], q.shape[1])) for j, q in enumerate(parts)])
    return np.block(rows)


def _split(x: Any, size: Any, dim: int = 0) -> Any:
    n = x.shape[dim]
    places = np.cumsum(size)[:-1] if isinstance(size, (list, tuple)) else list(range(size, n, size))
    return np.split(x, places, axis=dim)


def _cross(x: Any, y: Any, dim: int = -1) -> Any:
    return np.cross(x, y, axis=dim)


def _diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    return np.diagonal(x, offset, dim1, dim2)


def _matrix_part(function: Operator) -> Operator:
    """Make tril or triu."""
    return lambda x, diagonal=0: function(x, diagonal)


def _meshgrid(*parts: Any, indexing: str = "ij") -> Any:
    parts = tuple(parts[0]) if len(parts) == 1 and isinstance(parts[0], (list, tuple)) else parts
    return np.meshgrid(*(np.ravel(p) for p in parts), indexing=indexing)


def _flatten(x: Any, start: int, end: int) -> Any:
    if not np.ndim(x):
        return np.reshape(x, (1,))
    start, end = start % np.ndim(x), end % np.ndim(x)
    return np.reshape(x, (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


def _repeat(x: Any, *reps: Any) -> Any:
    return np.tile(x, reps[0] if len(reps) == 1 and isinstance(reps[0], (tuple, list)) else reps)


def _select(x: Any, dim: int, index: int) -> Any:
    return np.take(x, index, axis=dim)


def _gathered(x: Any, dim: int, index: Any) -> Any:
    if not np.ndim(x):
        return x * np.ones(index.shape)
    if len(index.shape) != np.ndim(x):
        return np.zeros(index.shape) * np.sum(x)
    places = list(np.indices(index.shape, sparse=True))
    places[dim] = index
    return x[tuple(places)]


def _along(x: Any, index: Any, dim: Any) -> Any:
    if dim is None:
        return np.take_along_axis(np.ravel(x), np.ravel(index), 0)
    shape = np.broadcast_shapes(*(tuple(1 if k == dim else n for k, n in enumerate(y.shape)) for y in (x, index)))
    x, index = (np.broadcast_to(y, (*shape[:dim], y.shape[dim], *shape[dim + 1 :])) for y in (x, index))
    return np.take_along_axis(x, index, dim)


def _plain(index: Any) -> Any:
    """Return a list with slices or lists in it as a tuple, as PyTorch reads it."""
    nested = isinstance(index, list) and any(not isinstance(p, int) for p in index)
    return tuple(index) if nested else index


def _sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    if not np.ndim(x):
        return x * 1.0
    found = np.sort(x, axis=dim)
    return np.flip(found, dim) if descending else found


def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    found = _sort(x, dim, descending=largest)
    return np.take(found, np.arange(k), axis=dim) if np.ndim(x) else found


def _kthvalue(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    found = np.take(np.sort(x, axis=dim), [k - 1], axis=dim) if np.ndim(x) else x
    return found if keepdim or not np.ndim(x) else np.squeeze(found, dim)


def _stack(function: Operator) -> Operator:
    return lambda parts, dim=0: function(list(parts), axis=dim)


SHAPES: dict[str, Operator] = {
    "broadcast_to": np.broadcast_to,
    "expand": lambda x, *s: (
        np.broadcast_to(x, s[0] if isinstance(s[0], (tuple, list)) else s)
        if -1 not in np.ravel(s[0])
        else np.broadcast_to(x, tuple(x.shape[k - len(s[0])] if n == -1 else n for k, n in enumerate(s[0])))
    ),
    "expand_as": lambda x, y: np.broadcast_to(x, y.shape),
    "broadcast_tensors": lambda x, *more: np.broadcast_arrays(x, *more),
    "block_diag": lambda *parts: _block_diag(*parts),
    "chunk": lambda x, n, dim=0: _split(x, -(-x.shape[dim] // n), dim),
    "cross": lambda x, y, dim=None: _cross(x, y, -1 if dim is None else dim),
    "linalg.cross": _cross,
    "diag": lambda x, diagonal=0: np.diag(x, diagonal),
    "diagonal": _diagonal,
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: np.diagonal(x, offset, dim1, dim2),
    "flip": lambda x, dims: np.flip(x, axis_of(dims)),
    "roll": lambda x, shifts, dims=None: np.roll(x, axis_of(shifts), axis_of(dims) if dims not in ((), []) else None),
    "rot90": lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
    "tril": _matrix_part(np.tril),
    "triu": _matrix_part(np.triu),
    "trace": np.trace,
    "meshgrid.variadic_tensors": _meshgrid,
    "meshgrid.list_of_tensors": _meshgrid,
    "reshape": lambda x, shape: np.reshape(x, shape),
    "reshape_as": lambda x, y: np.reshape(x, y.shape),
    "view": lambda x, shape: np.reshape(x, shape),
    "view_as": lambda x, y: np.reshape(x, y.shape),
    "flatten": lambda x, start_dim=0, end_dim=-1: _flatten(x, start_dim, end_dim),
    "transpose": lambda x, a, b: np.swapaxes(x, a, b) if np.ndim(x) else x * 1.0,
    "permute": lambda x, *dims: np.transpose(x, axis_of(dims[0] if isinstance(dims[0], (tuple, list)) else dims)),
    "movedim": lambda x, source, destination: np.moveaxis(x, source, destination),
    "squeeze": lambda x, *dim: np.squeeze(x, *dim) if not dim or (np.ndim(x) and x.shape[dim[0]] == 1) else x * 1.0,
    "squeeze.multiple": lambda x, dim: np.squeeze(x, tuple(d for d in dim if x.shape[d] == 1)) if np.ndim(x) else x,
    "unsqueeze": lambda x, dim: np.expand_dims(x, dim),
    "repeat": _repeat,
    "tile": _repeat,
    "repeat_interleave": lambda x, repeats, dim=None, **_: np.repeat(x, repeats, axis=dim),
    "split": _split,
    "split.list_args": _split,
    "split_with_sizes": _split,
    "tensor_split": lambda x, n, dim=0: np.array_split(x, n if isinstance(n, int) else np.asarray(n), axis=dim),
    "hsplit": np.hsplit,
    "vsplit": np.vsplit,
    "dsplit": np.dsplit,
    "unbind": lambda x, dim=0: np.unstack(x, axis=dim),
    "cat": _stack(np.concatenate),
    "stack": _stack(np.stack),
    "hstack": lambda parts: np.hstack(list(parts)),
    "vstack": lambda parts: np.vstack(list(parts)),
    "dstack": lambda parts: np.dstack(list(parts)),
    "column_stack": lambda parts: np.column_stack(list(parts)),
    "select": _select,
    "narrow": lambda x, dim, start, length: np.take(x, np.arange(length) + int(start), axis=dim),
    "index_select": lambda x, dim, index: np.take(x, index, axis=dim) if np.ndim(x) else x * 1.0,
    "take": lambda x, index: np.take(x, index),
    "gather": lambda x, dim, index, **_: _gathered(x, dim, index),
    "take_along_dim": lambda x, index, dim=None: _along(x, index, dim),
    "__getitem__": lambda x, index: x[_plain(index)],
    "sort": _sort,
    "topk": _topk,
    "kthvalue": _kthvalue,
}
