"""Forward mode: the sweep that moves tangents from inputs to outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import cast
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, Rule, values_of
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace
from autodiff_compare.backends.numpy_autodiff.core.transpose import transpose


def push_forward(nodes: Iterable[Node]) -> None:
    """Move the tangents in ``flow`` from the inputs to the outputs, leaving them in every node."""
    for node in nodes:
        (node.call.push or _push)(node)


def streaming_trace() -> Trace:
    """A trace that pushes tangents forward while it records, and keeps no node."""
    trace = Trace()
    trace.record = _push_now
    return trace


def _push_now(node: Node) -> None:
    (node.call.push or _push)(node)
    node.args = ()


def is_streaming(trace: Trace) -> bool:
    """Whether tangents are pushed while recording, so that nothing is known of how a value came about."""
    return trace.record is _push_now


def _push(node: Any) -> None:
    call, args, ans = node.call, node.args, node.primal
    where = call.where
    values = values_of(node, where)
    total = None
    for i in where:
        t = args[i].flow
        if t is None:
            continue
        d = jvp_rule(call.primitive, i)(t, ans, *values, **call.kwargs)
        if d is not None:
            d = _spread(d, ans)
            total = d if total is None else _add(total, d)
    node.flow = total


def _spread(t: Any, ans: Any) -> Any:
    """Bring a tangent (of each output) to the shape and dtype of the result."""
    if isinstance(ans, tuple):
        return [None if part is None else _spread(part, a) for part, a in zip(t, ans, strict=True)]
    if t.shape != ans.shape:
        t = np.broadcast_to(t, ans.shape)
    return t if t.dtype == ans.dtype else cast(t, ans.dtype)


def _add(a: Any, b: Any) -> Any:
    if not isinstance(a, list):
        return a + b
    return [y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True)]


def jvp_rule(primitive: Primitive, i: int) -> Rule:
    """The JVP rule of argument ``i``, transposed from the VJP where none was given."""
    return primitive.jvp(i) or _transposed(primitive.vjp(i))


def _transposed(rule: Rule) -> Rule:
    """The transpose of a linear rule: a VJP's is the JVP, and the other way round."""

    def transposed(t: Any, ans: Any, *args: Any, **kwargs: Any) -> Any:
        return transpose(lambda g: rule(g, ans, *args, **kwargs), ans, t)

    return transposed
