"""Rewrites of a graph that keep its results, nan, inf and -0.0 included.

Exact to the bit: folding of constants, common subexpressions, identities (``1 x = x``, ``x / 1 = x``, ``-(-x) = x``,
``x + (-y) = x - y``), dead operations. Equal within rounding: an integer power as products, a sum of products as a dot
product. Not made, because they are wrong for some input: ``0 x = 0`` (inf), ``x + 0 = x`` (-0.0), ``x - x = 0``,
``x / x = 1``, reordered sums.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.factors import factored, gathered, scaled, split
from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op, frozen
from autodiff_compare.backends.numpy_autodiff.compiler.loop import hoisted, prune, watched
from autodiff_compare.backends.numpy_autodiff.core.broadcasting import LONGEST, ones

#: The rewrites of `optimize`, described; `compiled.ALL_REWRITES` adds those of emission.
REWRITES = {
    "fold": "compute constant expressions once",
    "cse": "compute equal expressions once",
    "identities": "x * 1, x / 1, -(-x), x + (-y), reshape to the same shape",
    "powers": "x ** n as products",
    "dot": "sum(a * b) as a dot product, sum(2 * a**2 + b**2) as two",
    "scale": "powers of two, and signs, out of sums; 2 * a + 2 * b as 2 * (a + b)",
    "factor": "p * x + q * x as (p + q) * x, where a result tells whether it is finite",
    "dead": "leave out operations that no result needs",
}
_LARGEST_POWER = 16
#: Length up to which a sum over the last axis is a dot product with ones.
_SHORT_AXIS = 16
_DOTTED = (np.float32, np.float64)
_LIKE = frozenset({"zeros_like", "ones_like"})
_COMMUTES = frozenset({"add", "multiply"})
_BROADCASTS = frozenset({"add", "subtract", "multiply", "divide"})


def optimize(graph: Graph, rewrites: frozenset[str]) -> Graph:
    """Return the graph after the named rewrites."""
    graph = _forward(graph, rewrites)
    if "scale" in rewrites:
        # What no result needs is no use of a factor.
        graph = scaled(_alive(graph))
    if "identities" in rewrites:
        _negate_constants(graph)
    if "scale" in rewrites:
        graph = gathered(_alive(graph))
    if "dot" in rewrites:
        graph = _dots(split(_alive(graph), "factor" in rewrites))
    if "factor" in rewrites:
        graph = factored(_alive(graph))
    return _alive(graph) if "dead" in rewrites else graph


def _forward(graph: Graph, rewrites: frozenset[str]) -> Graph:
    """Fold, simplify and share, in one pass in order of computation."""
    new: dict[Op, Any] = {x: x for x in graph.inputs}
    seen: dict[Any, Op] = {}
    ops: list[Op] = []

    def place(op: Op) -> Any:
        """Return the result that stands for ``op``: an earlier equal one, a constant, or ``op`` after it is added."""
        if "fold" in rewrites and (folded := _folded(op)) is not None:
            return folded[0]
        if op.name == "loop":
            op = hoisted(op, place, lambda body: optimize(body, rewrites))
        if "identities" in rewrites:
            op = _joined(op, place) if op.name == "scatter" else _plain_constants(op)
            same = _identity(op)
            if same is not op:
                if not isinstance(same, Op) or same in placed:
                    return same
                return place(
                    same.with_args([place(a) if isinstance(a, Op) and a not in placed else a for a in same.args])
                )
        if "powers" in rewrites and (n := _small_power(op)):
            return _product(op.args[0], n, op, place)
        if "cse" in rewrites:
            key = _key(op)
            if key in seen:
                return seen[key]
            seen[key] = op
        placed.add(op)
        ops.append(op)
        return op

    placed: set[Op] = set(graph.inputs)
    for op in graph.ops:
        new[op] = place(op.with_args([new.get(a, a) if isinstance(a, Op) else a for a in op.args]))
    return Graph(graph.inputs, ops, [new[x] if isinstance(x, Op) else x for x in graph.outputs], graph.rebuild)


def _folded(op: Op) -> tuple[Any] | None:
    """Return the value of a constant operation, in a tuple; None if it depends on an argument."""
    if op.name in _LIKE and op.args and isinstance(op.args[0], Op):
        like = op.args[0]
        return (op.function(np.broadcast_to(np.zeros((), like.dtype), like.shape), *op.args[1:], **op.kwargs)[...],)
    if op.inputs:
        return None
    if op.name == "guard":
        return (True,)
    with np.errstate(all="ignore"):
        return (op.function(*op.args, **op.kwargs),)


def _plain_constants(op: Op) -> Op:
    """Replace a constant array of one repeated value by a Python number, if the other operand has shape and dtype."""
    if op.name not in _BROADCASTS or op.dtype is None or op.dtype.kind != "f" or op.kwargs:
        return op
    args = list(op.args)
    for i, j in ((0, 1), (1, 0)):
        other = args[j]
        if isinstance(args[i], Op) and args[i].name == "broadcast_to" and isinstance(other, Op):
            small = args[i].args[0]
            if (
                other.shape == op.shape
                and isinstance(small, Op)
                and small.dtype == op.dtype
                and other.dtype == op.dtype
            ):
                args[i] = small
        if isinstance(other, Op) and other.shape == op.shape and other.dtype == op.dtype and other.scalar == op.scalar:
            args[i] = _plain(args[i], op.dtype)
    return op.with_args(args)


def _plain(x: Any, dtype: Any) -> Any:
    if not isinstance(x, (np.ndarray, np.generic)) or x.dtype != dtype or not x.size or dtype.itemsize > 8:
        return x
    first = x.flat[0] if isinstance(x, np.ndarray) else x
    uniform = x.ndim == 0 or x.strides == (0,) * x.ndim or bool(np.all(x == first))
    if not uniform or (first == 0 and np.any(np.signbit(x) != np.signbit(first))):
        return x
    return float(first)


def _identity(op: Op) -> Any:
    """Return an older result that ``op`` equals, a simpler operation, or ``op`` itself."""
    rule = _IDENTITIES.get(op.name)
    return op if rule is None or (op.kwargs and op.name != "sum") else rule(op)


def _same_form(x: Any, op: Op) -> bool:
    return isinstance(x, Op) and x.shape == op.shape and x.dtype == op.dtype and x.scalar == op.scalar


def _is_one(x: Any) -> bool:
    return x.__class__ in (int, float) and x == 1


def _multiply(op: Op) -> Any:
    x, y = op.args
    if _negated(x) or _negated(y):
        # Move the sign outwards, where a sum absorbs it: rounding is symmetric, so this is exact.
        plain = op.with_args([x.args[0], y] if _negated(x) else [x, y.args[0]])
        return Op("negative", np.negative, (plain,), {}, op)
    if y.__class__ is float and y == -1.0 and _same_form(x, op):
        return Op("negative", np.negative, (x,), {}, op)
    if _is_one(y) and _same_form(x, op):
        return x
    return y if _is_one(x) and _same_form(y, op) else op


def _divide(op: Op) -> Any:
    x, y = op.args
    return x if _is_one(y) and _same_form(x, op) else op


def _negative(op: Op) -> Any:
    (x,) = op.args
    return x.args[0] if isinstance(x, Op) and x.name == "negative" else op


def _negated(x: Any) -> bool:
    """Return whether a sign may move out of an operand. The negative of an integer may wrap around: -1 is 255."""
    return isinstance(x, Op) and x.name == "negative" and (x.dtype is None or x.dtype.kind in "fc")


def _add(op: Op) -> Any:
    x, y = op.args
    if _negated(y):
        return Op("subtract", np.subtract, (x, y.args[0]), {}, op)
    return Op("subtract", np.subtract, (y, x.args[0]), {}, op) if _negated(x) else op


def _subtract(op: Op) -> Any:
    x, y = op.args
    return Op("add", np.add, (x, y.args[0]), {}, op) if _negated(y) else op


def _sum(op: Op) -> Any:
    """Drop an axis argument that names every axis."""
    x, axis = op.args[0], op.kwargs.get("axis")
    everything = isinstance(axis, tuple) and isinstance(x, Op) and len(set(axis)) == len(x.shape)
    return Op(op.name, op.function, op.args, {}, op) if everything and op.scalar else op


def _joined(op: Op, place: Callable[[Op], Any]) -> Op:
    """Add parts of the same slice first: exact to the bit if no other part overlaps it, else within rounding."""
    if "views" in op.kwargs:
        return op
    kept: dict[Any, int] = {}
    indices: list[Any] = []
    parts: list[Any] = []
    for index, part in zip(op.kwargs["indices"], op.args, strict=True):
        key = (index.start, index.stop, index.step) if index.__class__ is slice and isinstance(part, Op) else None
        i = None if key is None else kept.setdefault(key, len(parts))
        if i is not None and i < len(parts) and _same_form(part, parts[i]):
            parts[i] = place(Op("add", np.add, (parts[i], part), {}, part))
        else:
            indices.append(index)
            parts.append(part)
    if len(parts) == len(op.args):
        return op
    return Op(op.name, op.function, parts, {**op.kwargs, "indices": indices}, op)


def _unchanged(op: Op) -> Any:
    x = op.args[0]
    return x if _same_form(x, op) else op


def _transpose(op: Op) -> Any:
    x = op.args[0]
    plain = len(op.args) == 1 and isinstance(x, Op) and x.name == "transpose" and len(x.args) == 1
    return x.args[0] if plain else op


_IDENTITIES: dict[str, Callable[[Op], Any]] = {
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "add": _add,
    "subtract": _subtract,
    "sum": _sum,
    "reshape": _unchanged,
    "broadcast_to": _unchanged,
    "astype": _unchanged,
    "transpose": _transpose,
}


def _small_power(op: Op) -> int:
    """Return the exponent of an integer power that is worth unrolling, else 0."""
    if op.name != "power" or not _same_form(op.args[0], op) or op.dtype.kind not in "fc":
        return 0
    n = op.args[1]
    if n.__class__ not in (int, float) or not math.isfinite(n) or n != int(n) or not 2 <= n <= _LARGEST_POWER:
        return 0
    return int(n)


def _product(x: Op, n: int, like: Op, place: Callable[[Op], Any]) -> Any:
    """Compute ``x^n`` by squaring. No factor is larger than the result, so none overflows before it does."""
    if n == 1:
        return x
    half = _product(x, n // 2, like, place)
    square = place(Op("multiply", np.multiply, (half, half), {}, like))
    return place(Op("multiply", np.multiply, (square, x), {}, like)) if n % 2 else square


def _key(op: Op) -> Any:
    args = [frozen(a) for a in op.args]
    if op.name in _COMMUTES:
        args.sort(key=str)
    return op.name, id(op.function), tuple(args), frozen(dict(op.kwargs)) if op.kwargs else ()


def _dots(graph: Graph) -> Graph:
    new: dict[Op, Op] = {}
    # A sum that is only tested for being finite may overflow; vdot does not warn of that.
    asked = {a for op in graph.ops if op.name == "isfinite" for a in op.inputs}
    for op in graph.ops:
        if _sums_products(op):
            a, b = op.args[0].args
            new[op] = Op("dot", np.dot if len(a.shape) == 1 and op not in asked else np.vdot, (a, b), {}, op)
        elif _sums_a_short_vector(op):
            new[op] = Op("dot", np.dot, (op.args[0], ones(op.args[0].size)), {}, op)
        elif (rows := _sums_rows(op)) is not None:
            new[op] = rows
        elif _sums_columns(op):
            x = op.args[0]
            new[op] = Op("matmul", np.matmul, (np.ones(x.shape[0], x.dtype), x), {}, op)
    ops = []
    for op in graph.ops:
        op = new.get(op, op)
        for x in op.inputs:
            if x in new:
                op.args = tuple(new[a] if isinstance(a, Op) and a in new else a for a in op.args)
                break
        ops.append(op)
    outputs = [new.get(x, x) if isinstance(x, Op) else x for x in graph.outputs]
    return Graph(graph.inputs, ops, outputs, graph.rebuild)


def _sums_products(op: Op) -> bool:
    """Return whether this is the sum of all entries of a product."""
    x = op.args[0] if op.name == "sum" and op.scalar else None
    if not isinstance(x, Op) or x.name != "multiply" or op.kwargs.get("axis") is not None:
        return False
    a, b = x.args
    return _array_like(a, x) and _array_like(b, x)


def _sums_a_short_vector(op: Op) -> bool:
    """Return whether to sum by a dot product with ones, which BLAS does in a quarter of the time within rounding."""
    x = op.args[0] if op.name == "sum" and op.scalar and not op.kwargs else None
    return isinstance(x, Op) and x.dtype == np.float64 and len(x.shape) == 1 and 16 <= x.size <= LONGEST


def _sums_rows(op: Op) -> Op | None:
    """Return a sum of products over the last axis as dot products; for a short axis, also a plain sum.

    NumPy's sums of a last axis of three numbers take 30 ns each, dot products with ones 9 ns, and one product of a
    matrix with a vector of ones 5 ns.
    """
    x = op.args[0] if op.name == "sum" and len(op.args) == 1 and set(op.kwargs) <= {"axis", "keepdims"} else None
    if not isinstance(x, Op) or op.dtype != x.dtype or op.dtype not in _DOTTED:
        return None
    axis, keepdims = op.kwargs.get("axis"), op.kwargs.get("keepdims")
    (axis,) = axis if isinstance(axis, tuple) and len(axis) == 1 else (axis,)
    if axis.__class__ is not int or len(x.shape) < 2 or axis % len(x.shape) != len(x.shape) - 1 or not x.size:
        return None
    if x.name == "multiply" and all(_array_like(a, x) for a in x.args) and not keepdims:
        return Op("vecdot", np.vecdot, x.args, {}, op)
    n = x.shape[-1]
    if not 1 < n <= _SHORT_AXIS:
        return None
    if len(x.shape) == 2:
        return Op("matmul", np.matmul, (x, np.ones((n, 1) if keepdims else n, x.dtype)), {}, op)
    return None if keepdims else Op("vecdot", np.vecdot, (x, np.ones(n, x.dtype)), {}, op)


def _sums_columns(op: Op) -> bool:
    """Return whether to sum over the first axis of a matrix by a product with ones, in two fifths of the time."""
    x = op.args[0] if op.name == "sum" and len(op.args) == 1 else None
    if not isinstance(x, Op) or op.dtype != x.dtype or op.dtype not in _DOTTED or len(x.shape) != 2:
        return False
    plain = set(op.kwargs) <= {"axis", "keepdims"} and not op.kwargs.get("keepdims")
    return plain and op.kwargs.get("axis") in (0, (0,)) and x.shape[0] >= _SHORT_AXIS and x.size > 0


def _array_like(a: Any, x: Op) -> bool:
    return isinstance(a, Op) and a.shape == x.shape and a.dtype == x.dtype and x.dtype.kind == "f" and not a.scalar


def _negate_constants(graph: Graph) -> None:
    """Write ``-(x c)`` as ``x (-c)`` if the product has no other use."""
    uses = Counter(a for op in graph.ops for a in op.inputs)
    uses.update(x for x in graph.outputs if isinstance(x, Op))
    for op in graph.ops:
        x = op.args[0] if op.name == "negative" else None
        if not isinstance(x, Op) or x.name != "multiply" or uses[x] > 1 or x.dtype != op.dtype:
            continue
        if any(a.__class__ is float for a in x.args):
            op.name, op.function = "multiply", np.multiply
            op.args = tuple(-a if a.__class__ is float else a for a in x.args)


def _alive(graph: Graph) -> Graph:
    """Keep the operations that results or guards depend on."""
    needed = {x for x in graph.outputs if isinstance(x, Op)}
    kept: list[Op] = []
    readers: dict[Op, list[Op]] = {}
    for op in reversed(graph.ops):
        if op in needed or watched(op):
            if op.name == "loop":
                prune(op, readers.get(op, ()), _alive)
            elif op.name in ("last", "collected"):
                readers.setdefault(op.args[0], []).append(op)
            needed.update(op.inputs)
            kept.append(op)
    return Graph(graph.inputs, kept[::-1], graph.outputs, graph.rebuild)
