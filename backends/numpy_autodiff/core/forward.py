"""Forward mode: the sweep that moves tangents from inputs to outputs.

For ``y = f_n(...f_1(x))`` with Jacobians ``J_k`` the tangent of y is ``J_n ... J_1 t``, computed from the right. A call
with several traced arguments has the sum of the tangents along each, since its derivative is linear in them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import cast
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, Rule
from autodiff_compare.backends.numpy_autodiff.core.reach import (
    carried,
    chosen,
    either,
    is_steep,
    joined,
    known,
    pending,
    undone,
)
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, values_of
from autodiff_compare.backends.numpy_autodiff.core.transpose import transpose


def push_forward(nodes: Iterable[Node], masked: bool = False) -> None:
    """Move the tangents in ``flow`` from the inputs to the outputs; they stay in the ``flow`` of every node.

    Parameters
    ----------
    masked
        Move masks along, because a call is steep. Those of the inputs are in their ``reached``.
    """
    for node in nodes:
        if masked:
            push_masked(node)
        else:
            (node.call.push or _push)(node)


def streaming_trace() -> Trace:
    """Make a trace that pushes tangents forward while it records, and keeps no node."""
    trace = Trace()
    trace.record = _push_now
    trace.watched = deque(maxlen=0)
    return trace


def _push_now(node: Node) -> None:
    """Push one node of a trace that keeps no graph."""
    primitive, tape = node.call.primitive, node.tape
    if tape.masked:
        push_masked(node)
    elif tape.partial or primitive.discards or primitive.steep is not None:
        _push_watched(node)
    else:
        (node.call.push or _push)(node)
    if not tape.masked or primitive.undo is None or not is_steep(node):
        # Else the next call may undo this one, and is then differentiated in the arguments.
        node.args = ()


def _push_watched(node: Node) -> None:
    """Push one node, and remember what it discards. From a steep call on, masks are pushed."""
    primitive = node.call.primitive
    if primitive.steep is not None and not primitive.discards and is_steep(node):
        node.tape.masked = True
        push_masked(node)
        return
    (node.call.push or _push)(node)
    node.reached = pending(node, [_mask(node.args[i]) for i in node.call.where])
    if node.reached is not True:
        node.tape.partial = True


def is_streaming(trace: Trace) -> bool:
    """Return whether a trace pushes tangents while it records, so that it keeps no graph to look into."""
    return trace.record is _push_now


def _push(node: Any) -> None:
    """Set the tangent of a node from those of its arguments, by one JVP rule after the other."""
    call, args, ans = node.call, node.args, node.primal
    if call.primitive.push_all is not None:
        call.primitive.push_all(node)
        return
    where = call.where
    values = values_of(node, where)
    total = None
    for i in where:
        t = args[i].flow
        if t is None:
            continue
        d = jvp_rule(call.primitive, i)(t, ans, *values, **call.kwargs)
        if d is not None:
            d = _fit(d, ans)
            total = d if total is None else _add(total, d)
    node.flow = total


def push_masked(node: Any) -> None:
    """Set the tangent of a node and its mask: the entries that a tangent reaches (see `reach`)."""
    masks = [known(_mask(node.args[i])) for i in node.call.where]
    if all(mask is False for mask in masks):
        node.flow, node.reached = None, False
        return
    if node.call.push is not None:
        node.call.push(node)
        node.reached = True
        return
    if node.call.primitive.push_all is not None and all(mask is True for mask in masks):
        node.call.primitive.push_all(node)
        node.reached = joined(node.call, values_of(node, node.call.where))
        return
    given = node.call, node.args
    node.call, node.args = undone(node)
    reached: Any = False
    total = None
    try:
        call, ans = node.call, node.primal
        values = values_of(node, call.where)
        careful = call.primitive.steep is not None or call.primitive.discards
        for i in call.where:
            t, mask = node.args[i].flow, carried(node, i, known(_mask(node.args[i])))
            d = None if mask is False else jvp_rule(call.primitive, i)(t, ans, *values, **call.kwargs)
            if d is not None:
                d = _fit(d, ans)
                d = chosen(mask, d) if careful and mask is not True else d
                total = d if total is None else _add(total, d)
                reached = either(reached, mask)
    finally:
        node.call, node.args = given
    node.flow, node.reached = total, reached


def _mask(node: Any) -> Any:
    return False if node.flow is None else getattr(node, "reached", True)


def _fit(t: Any, ans: Any) -> Any:
    """Bring a tangent (of each output) to the shape and dtype of the result."""
    if isinstance(ans, tuple):
        return [None if part is None else _fit(part, a) for part, a in zip(t, ans, strict=True)]
    if t.shape != ans.shape:
        t = np.broadcast_to(t, ans.shape)
    return t if t.dtype == ans.dtype else cast(t, ans.dtype)


def _add(a: Any, b: Any) -> Any:
    if not isinstance(a, list):
        return a + b
    return [y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True)]


def jvp_rule(primitive: Primitive, i: int) -> Rule:
    """Return the JVP rule of argument ``i``, transposed from its VJP where none was given."""
    return primitive.jvp(i) or _transposed(primitive.vjp(i))


def _transposed(vjp: Rule) -> Rule:
    def jvp(t: Any, ans: Any, *args: Any, **kwargs: Any) -> Any:
        return transpose(lambda g: vjp(g, ans, *args, **kwargs), ans, t)

    return jvp
