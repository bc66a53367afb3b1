"""The forms of operations that a kernel knows: elementwise, view, reduction, join, scatter, rounds. Else: call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op
from autodiff_compare.backends.numpy_autodiff.core.cotangent import is_basic
from autodiff_compare.backends.numpy_autodiff.loops.pointwise import TYPES, loop_dtypes
from autodiff_compare.backends.numpy_autodiff.loops.terms import Affine, Index, address, pattern, variable

#: Products up to this many multiplications are loops; larger ones are left to the BLAS that NumPy calls.
LARGEST_PRODUCT = 2048
#: Sums of at most so many entries are written out, and need no loop.
WRITTEN_OUT = 4
_VIEWS = frozenset({"getitem", "reshape", "transpose", "broadcast_to", "flip", "diagonal", "tril", "triu"})
_SUMS = {"sum": "sum", "mean": "sum", "max": "max", "min": "min", "prod": "prod", "count_nonzero": "count"}
_LOOPS = frozenset({"guard", "loop", "last", "collected", "entry", "sequence"})
_TRUTHS = {"any": "any", "all": "all"}


@dataclass(frozen=True)
class Reduction:
    """A reduction as a nest of loops.

    Attributes
    ----------
    domain
        The lengths of the loops, outermost first.
    kept
        The loops that index the result, in the order of its axes (those of length 1 aside).
    factors
        The arguments whose product is added up, each with the loops that index it.
    how
        The operation: sum, max, min, prod, count, any, all.
    count
        What the total is divided by; 0 for nothing.
    """

    domain: tuple[int, ...]
    kept: tuple[int, ...]
    factors: tuple[tuple[Any, tuple[int, ...]], ...]
    how: str
    count: int = 0


def known(x: Any) -> bool:
    """Return whether a kernel can hold an argument or a result."""
    if isinstance(x, Op):
        # A number of a round has no dtype.
        return x.dtype in TYPES or (x.dtype is None and x.name == "input")
    if x.__class__ in (bool, int, float):
        return True
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype in TYPES


def form(op: Op, forms: Mapping[Op, str] = MappingProxyType({})) -> str:
    """Return which form an operation has, given those of earlier ones.

    It is pointwise, view, gather, reduction, scan, join or scatter; guard; loop, last, collected, entry or sequence; or
    call.
    """
    if op.name in _LOOPS:
        return _loop_form(op, forms)
    if op.dtype not in TYPES:
        return "call"
    if op.name in ("concatenate", "stack"):
        return "join" if all(map(_same_dtype(op), op.args)) else "call"
    if op.name == "scatter":
        # A result without axes is a number, which has no address to add to.
        fits = bool(op.shape) and op.dtype.kind == "f" and all(map(_same_dtype(op), op.args))
        return "scatter" if fits else "call"
    if op.name in _VIEWS:
        return _view_form(op)
    if not all(map(known, op.args[:1] if op.name == "astype" else op.args)):
        return "call"
    if loop_dtypes(op) is not None:
        return "pointwise"
    if op.name == "cumsum":
        return "scan" if op.dtype.kind == "f" and len(op.shape) == len(_shape(op.args[0])) else "call"
    return "reduction" if reduction(op) is not None else "call"


def _loop_form(op: Op, forms: Mapping[Op, str]) -> str:
    """Return the form of a rolled loop or of its results: those of a call are calls."""
    if op.name == "guard":
        return "guard"
    if op.name == "loop":
        return "loop" if _has_rounds(op, forms) else "call"
    if op.name == "sequence":
        like = op.args[0]
        alike = all(
            isinstance(a, Op) and a.dtype in TYPES and a.shape == like.shape and a.dtype == like.dtype for a in op.args
        )
        return "sequence" if alike else "call"
    if op.dtype not in TYPES and op.name != "collected":
        return "call"
    source = op.args[0]
    return op.name if source.name == "input" or forms.get(source, "call") != "call" else "call"


def _has_rounds(op: Op, forms: Mapping[Op, str]) -> bool:
    """Return whether all that a round computes has loops."""
    body = op.kwargs["body"]
    states = [*body.graph.inputs[: body.carries], *(x for x in body.graph.outputs if isinstance(x, Op))]
    sequences = op.args[body.carries : body.invariants]
    inner: dict[Op, str] = {}
    for x in body.graph.ops:
        inner[x] = form(x, inner)
        if inner[x] == "call":
            return False
    return (
        all(x.dtype in TYPES for x in states)
        and all(_is_sequence(x, steps, body.length, forms) for x, steps in zip(sequences, body.elements, strict=True))
        and all(isinstance(a, Op) or known(a) for a in op.args[body.invariants :])
    )


def _is_sequence(x: Any, steps: tuple[int, int], length: int, forms: Mapping[Op, str]) -> bool:
    if isinstance(x, Op):
        return x.name == "input" or forms.get(x, "call") != "call"
    start, step = steps
    taken = [x[start + step * k] for k in (0, length - 1)]
    if isinstance(x, range):
        return bool((taken[0] < 0) == (taken[1] < 0))
    numbers = all(v.__class__ is float for v in x)
    return numbers or (all(v.__class__ is int for v in x) and (min(x) >= 0 or max(x) < 0))


def _same_dtype(op: Op) -> Any:
    return lambda a: isinstance(a, (Op, np.ndarray, np.generic)) and a.dtype == op.dtype


def _shape(x: Any) -> tuple[int, ...]:
    return x.shape if isinstance(x, Op) else np.shape(x)


def _view_form(op: Op) -> str:
    x = op.args[0]
    if not known(x) or not isinstance(x, Op) or x.dtype != op.dtype:
        return "call"
    if op.name == "getitem":
        index = op.args[1]
        if isinstance(index, Op):
            return "view" if index.dtype is None and index.name == "input" else "call"
        return "view" if is_basic(index) else "gather"
    if op.name in ("tril", "triu") and len(x.shape) != len(op.shape):
        # That of a vector is a matrix of equal rows.
        return "call"
    return "view" if not any(isinstance(a, Op) for a in op.args[1:]) else "call"


# --- Reductions


def reduction(op: Op) -> Reduction | None:
    """Return the loops of a reduction or of a small matrix product, None if the operation is no such."""
    if op.name == "dot":
        return _dot(op)
    if op.name == "matmul":
        return _matmul(op)
    how = _SUMS.get(op.name) or _TRUTHS.get(op.name)
    x = op.args[0] if op.args else None
    if how is None or not isinstance(x, Op) or len(op.args) > 1 or set(op.kwargs) - {"axis", "keepdims"}:
        return None
    kinds = {"any": "b", "all": "b", "count": "fib", "sum": "fib", "max": "f", "min": "f", "prod": "f"}[how]
    if (
        x.dtype.kind not in kinds
        or (op.name == "mean" and x.dtype.kind != "f")
        or (how == "sum" and op.dtype.kind == "b")
    ):
        return None
    if how in ("sum", "max", "min", "prod") and x.dtype.kind == "f" and op.dtype != x.dtype:
        return None
    axes = _axes(op.kwargs.get("axis"), len(x.shape))
    if axes is None or (how in ("max", "min") and 0 in x.shape):
        return None
    kept = tuple(i for i in range(len(x.shape)) if i not in axes)
    count = math.prod(x.shape[i] for i in axes) if op.name == "mean" else 0
    if op.name == "mean" and not count:
        return None
    return Reduction(x.shape, kept, ((x, tuple(range(len(x.shape)))),), how, count)


def _axes(axis: Any, n: int) -> set[int] | None:
    if axis is None:
        return set(range(n))
    parts = axis if isinstance(axis, tuple) else (axis,)
    return {int(a) % n for a in parts} if all(isinstance(a, (int, np.integer)) for a in parts) and n else None


def _dot(op: Op) -> Reduction | None:
    a, b = op.args
    shape = _shape(a)
    if op.shape or op.kwargs or _shape(b) != shape or not shape or op.dtype.kind != "f":
        return None
    if not all(_same_dtype(op)(x) for x in (a, b)):
        return None
    every = tuple(range(len(shape)))
    return Reduction(shape, (), ((a, every), (b, every)), "sum")


def _matmul(op: Op) -> Reduction | None:
    """Return the loops i, k, j of ``c_ij = sum_k a_ik b_kj``: neighbours in memory are in the innermost loop."""
    a, b = op.args
    left, right = _shape(a), _shape(b)
    if op.kwargs or op.dtype.kind != "f" or not all(_same_dtype(op)(x) for x in (a, b)):
        return None
    if not 1 <= len(left) <= 2 or not 1 <= len(right) <= 2:
        return None
    k = left[-1]
    rows, columns = left[:-1], right[1:]
    if math.prod(rows) * k * math.prod(columns) > LARGEST_PRODUCT:
        return None
    n, m = len(rows), len(columns)
    along = n
    if m and k > 1:
        of_a, of_b, kept = (*range(n), along), (along, along + 1), (*range(n), along + 1)
        return Reduction((*rows, k, *columns), kept, ((a, of_a), (b, of_b)), "sum")
    of_b = (along + m, *range(n, n + m))
    return Reduction((*rows, *columns, k), tuple(range(n + m)), ((a, (*range(n), n + m)), (b, of_b)), "sum")


# --- Views: the index in the argument of an entry of the result


def seen(op: Op, index: Index, whole: Any) -> Index | Affine | None:
    """Return where a view reads its argument: an index, or an address if only that is known; None if neither is.

    Parameters
    ----------
    whole
        A function from an operation that is an integer, such as the number of an iteration, to its value.
    """
    shape = op.args[0].shape
    if op.name in ("tril", "triu"):
        return index
    if op.name == "getitem":
        return _indexed(op.args[1], index, shape, whole)
    if op.name == "broadcast_to":
        return aligned(index, op.shape, shape)
    if op.name == "transpose":
        axes = op.args[1] if len(op.args) > 1 and op.args[1] is not None else range(len(shape))[::-1]
        found = list(index)
        for i, a in zip(index, axes, strict=True):
            found[int(a) % len(shape)] = i
        return tuple(found)
    if op.name == "flip":
        axis = op.args[1] if len(op.args) > 1 else op.kwargs.get("axis")
        turned = _axes(axis, len(shape)) or set()
        return tuple(i * -1 + (n - 1) if a in turned else i for a, (i, n) in enumerate(zip(index, shape, strict=True)))
    if op.name == "diagonal":
        return _on_diagonal(op, index)
    return _reshaped(index, op.shape, shape)


def _on_diagonal(op: Op, index: Index) -> Index:
    given = {"offset": 0, "axis1": 0, "axis2": 1}
    given |= dict(zip(given, op.args[1:], strict=False)) | dict(op.kwargs)
    offset, first, second = given["offset"], given["axis1"], given["axis2"]
    n = len(op.args[0].shape)
    rest = iter(index[:-1])
    at = {first % n: index[-1] + max(0, -offset), second % n: index[-1] + max(0, offset)}
    return tuple(at[a] if a in at else next(rest) for a in range(n))


def _reshaped(index: Index, shape: tuple[int, ...], below: tuple[int, ...]) -> Index | Affine:
    """Return the index itself where only axes of length 1 come or go, else the address."""
    moving = [i for i, n in zip(index, shape, strict=True) if n != 1]
    if tuple(n for n in shape if n != 1) == tuple(n for n in below if n != 1):
        left = iter(moving)
        return tuple(Affine() if n == 1 else next(left) for n in below)
    at = address(index, shape)
    return (at,) if len(below) == 1 else at


def _indexed(given: Any, index: Index, shape: tuple[int, ...], whole: Any) -> Index | None:
    if isinstance(given, Op):
        span = whole(given, shape[0])
        return None if span is None else (span, *index)
    parts = given if isinstance(given, tuple) else (given,)
    missing = len(shape) - sum(p is not None and p is not Ellipsis for p in parts)
    spread: list[Any] = []
    for p in parts:
        spread += [slice(None)] * missing if p is Ellipsis else [p]
    if not any(p is Ellipsis for p in parts):
        spread += [slice(None)] * missing
    sizes, left, found = iter(shape), iter(index), []
    for p in spread:
        if p is None:
            next(left)
            continue
        n = next(sizes)
        if isinstance(p, slice):
            start, _, step = p.indices(n)
            found.append(next(left) * step + start)
        else:
            found.append(Affine(int(p) + (n if p < 0 else 0)))
    return tuple(found)


def aligned(index: Index, shape: Sequence[int], below: Sequence[int]) -> Index:
    """Return the index in an argument of shape ``below`` that broadcasts to ``shape``."""
    own = index[len(shape) - len(below) :] if below else ()
    return tuple(Affine() if n == 1 else i for i, n in zip(own, below, strict=True))


def positions(shape: tuple[int, ...], *steps: Any) -> Any:
    """Return the addresses of the entries that steps such as indexing select, as an array of integers."""
    found: Any = np.arange(math.prod(shape)).reshape(shape)
    for step in steps:
        found = step(found)
    return np.ascontiguousarray(found).reshape(np.shape(found))


def line(found: Any, index: Index) -> Affine | None:
    """Return the address at ``index`` of positions that are affine, else None."""
    known_pattern = pattern(found)
    if known_pattern is None:
        return None
    start, steps = known_pattern
    at = Affine(start)
    for i, step in zip(index, steps, strict=True):
        at += i * step
    return at


def counters(shape: Sequence[int], depth: int) -> Index:
    """Return the variables of a nest of loops over ``shape``, whose outermost loop is at ``depth``."""
    return tuple(variable(f"i{depth + k}") for k in range(len(shape)))
