"""Vectorisation: a function of one row, evaluated for all rows of a batch at once.

The function is captured once, at one row, as a graph of operations (`compiler.graph.capture`); a derivative inside it
is part of that graph. The graph is then evaluated operation by operation. A value that depends on a row has the rows
along a new first axis; any other value is computed once for all of them. For example, in the gradient of ``(x @ w -
y)**2`` by w, with rows of x and y, the product ``x @ w`` is one matrix product of all rows, and the transpose of w is
taken once.

*Rules* move each operation past the first axis: elementwise functions get axes of length 1 behind it, reductions count
their axes from the second, matrix products of all rows with one matrix are one product. An operation without a rule is
computed row by row and stacked, so that any graph can be evaluated. The shape of each result is compared with that of
the captured row; a rule that does not fit gives way to the row-by-row computation.

*Guards* are branches in derivative rules that went one way when the graph was captured. Where a row would go the other
way, `OtherBranch` is raised, and the caller computes the rows one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Graph, Op, capture
from autodiff_compare.backends.numpy_autodiff.compiler.rewrite import REWRITES, optimize
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten

#: An operation's argument: the value, and whether it has rows along its first axis.
Value = tuple[Any, bool]
#: Computes an operation from its arguments and the number of rows; `None` where the rule does not apply.
Rule = Callable[[Op, Sequence[Value], int], Any]


class OtherBranch(Exception):  # noqa: N818 - a row needs another graph: nothing failed
    """A row goes another way than the captured one."""


def vectorise(f: Callable[..., Any], example: Sequence[Any], mapped: Sequence[int]) -> Callable[..., Any]:
    """Return the function that applies ``f`` to each row of the arguments at the positions ``mapped``.

    Parameters
    ----------
    f
        A function of arrays that returns an array or a nested tuple of arrays. It is called once, to be captured.
    example
        Arguments of one row, without the axis of the rows.
    mapped
        Positions of the arguments that have one row for each result.

    Returns
    -------
    Callable
        It raises `OtherBranch` where a row goes another way than the example.

    Raises
    ------
    CompileError
        If ``f`` branches on a value, or a shape depends on one.
    """
    leaves, rebuild = flatten(tuple(example))
    graph = optimize(capture(f, leaves, rebuild, is_input=_is_array), frozenset(REWRITES))
    varying = [i for i, x in enumerate(leaves) if _is_array(x)]
    rows = frozenset(mapped)

    def run(*args: Any) -> Any:
        count = len(args[mapped[0]])
        known: dict[int, Value] = {}
        for op, i in zip(graph.inputs, varying, strict=True):
            known[id(op)] = (args[i], i in rows)
        for op in graph.ops:
            if op.name == "guard":
                _check(op, known[id(op.args[0])])
            else:
                known[id(op)] = _computed(op, [_value(a, known) for a in op.args], count)
        return graph.rebuild(_owned(graph, known, count, args))

    return run


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def _value(argument: Any, known: Mapping[int, Value]) -> Value:
    return known[id(argument)] if isinstance(argument, Op) else (argument, False)


def _check(op: Op, found: Value) -> None:
    if bool(np.any(np.asarray(found[0], dtype=bool) != op.kwargs["way"])):
        raise OtherBranch


def _computed(op: Op, args: Sequence[Value], count: int) -> Value:
    """Return the value of an operation."""
    if not any(has_rows for _, has_rows in args):
        return op.function(*(value for value, _ in args), **op.kwargs), False
    entrywise = isinstance(op.function, np.ufunc) and op.function.signature is None
    rule = _elementwise if entrywise else RULES.get(op.name)
    found = rule(op, args, count) if rule is not None else None
    if found is None or np.shape(found) != (count, *op.shape):
        found = _row_by_row(op, args, count)
    return found, True


def _row_by_row(op: Op, args: Sequence[Value], count: int) -> Any:
    found = [op.function(*(_row(v, k) if rows else v for v, rows in args), **op.kwargs) for k in range(count)]
    if isinstance(found[0], tuple):
        parts = [np.stack(part) for part in zip(*found, strict=True)]
        return type(found[0])._make(parts) if hasattr(found[0], "_make") else tuple(parts)
    return np.stack(found)


def _row(value: Any, k: int) -> Any:
    """Return a row of a value; several outputs of one operation are a tuple of arrays with rows."""
    return [part[k] for part in value] if isinstance(value, tuple) else value[k]


def _owned(graph: Graph, known: Mapping[int, Value], count: int, args: Sequence[Any]) -> list[Any]:
    """Return the outputs with rows, none of which shares memory with an argument or another output."""
    outputs: list[Any] = []
    for output in graph.outputs:
        value, has_rows = _value(output, known)
        if not has_rows:
            value = np.array(np.broadcast_to(value, (count, *np.shape(value))))
        elif any(np.may_share_memory(value, other) for other in (*args, *outputs)):
            value = np.array(value)
        outputs.append(value)
    return outputs


def _aligned(args: Sequence[Value], dimensions: int) -> list[Any]:
    """Return the arguments with axes of length 1 behind their rows, so that their own axes broadcast."""
    found = []
    for value, has_rows in args:
        missing = dimensions - (np.ndim(value) - 1)
        if has_rows and missing > 0:
            value = value.reshape(len(value), *[1] * missing, *value.shape[1:])
        found.append(value)
    return found


def _elementwise(op: Op, args: Sequence[Value], count: int) -> Any:  # noqa: ARG001
    return op.function(*_aligned(args, len(op.shape)), **op.kwargs)


def _cast(op: Op, args: Sequence[Value], count: int) -> Any:  # noqa: ARG001
    return op.function(*(value for value, _ in args), **op.kwargs) if not any(r for _, r in args[1:]) else None


def _reduced(op: Op, args: Sequence[Value], count: int) -> Any:  # noqa: ARG001
    ((x, _),) = args
    if set(op.kwargs) - {"axis", "keepdims"}:
        return None
    own, axis = x.ndim - 1, op.kwargs.get("axis")
    chosen = range(own) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return op.function(x, axis=tuple(a % own + 1 for a in chosen), keepdims=bool(op.kwargs.get("keepdims", False)))


def _dot(op: Op, args: Sequence[Value], count: int) -> Any:
    """Sum the products of all entries."""
    (a, _), (b, _) = args
    if op.shape or len(args) != 2 or op.kwargs:
        return None
    a, b = (v if rows else np.broadcast_to(v, (count, *np.shape(v))) for v, rows in args)
    return np.einsum("ki,ki->k", a.reshape(count, -1), b.reshape(count, -1)) if a.shape == b.shape else None


def _matmul(op: Op, args: Sequence[Value], count: int) -> Any:  # noqa: ARG001
    (a, first), (b, second) = args
    m, n = np.ndim(a) - first, np.ndim(b) - second
    if op.kwargs or max(m, n) > 2:
        return None
    a, b = a[..., None, :] if m == 1 else a, b[..., None] if n == 1 else b
    if first and not second:
        # One product with all rows: as many as there are rows take ten times as long.
        found = (a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1])
    elif first and a.shape[-1] == 1:
        found = a * b  # outer products, of one term for each entry
    else:
        found = np.matmul(a, b)
    if m == 1:
        found = found[..., 0, :]
    return found[..., 0] if n == 1 else found


def _transpose(op: Op, args: Sequence[Value], count: int) -> Any:  # noqa: ARG001
    x, axes = args[0][0], op.kwargs.get("axes")
    if len(args) > 1 or set(op.kwargs) - {"axes"}:
        return None
    own = range(x.ndim - 1)
    return np.transpose(x, (0, *(a % (x.ndim - 1) + 1 for a in (reversed(own) if axes is None else axes))))


def _reshape(op: Op, args: Sequence[Value], count: int) -> Any:
    return args[0][0].reshape(count, *op.shape) if not op.kwargs else None


def _broadcast(op: Op, args: Sequence[Value], count: int) -> Any:
    return np.broadcast_to(_aligned(args[:1], len(op.shape))[0], (count, *op.shape))


def _getitem(op: Op, args: Sequence[Value], count: int) -> Any:  # noqa: ARG001
    (x, rows), (index, by_row) = args
    parts = index if isinstance(index, tuple) else (index,)
    simple = all(isinstance(p, (int, slice, type(None), type(...))) for p in parts)
    return x[(slice(None), *parts)] if rows and not by_row and simple and not op.kwargs else None


def _pick(op: Op, args: Sequence[Value], count: int) -> Any:  # noqa: ARG001
    return op.function(*(value for value, _ in args))


#: Name of an operation that is no ufunc -> its rule.
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("where", "sech2"), _elementwise),
    **dict.fromkeys(("sum", "mean", "max", "min", "any", "all", "prod"), _reduced),
    "astype": _cast,
    "dot": _dot,
    "matmul": _matmul,
    "transpose": _transpose,
    "reshape": _reshape,
    "broadcast_to": _broadcast,
    "getitem": _getitem,
    "pick": _pick,
}
