"""Reverse mode: the sweep that moves cotangents from outputs to inputs.

For ``y = f_n(...f_1(x))`` with Jacobians ``J_k`` the cotangent of x is ``J_1^T ... J_n^T g``, computed from the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import Scatter
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node


def pull_back(nodes: Sequence[Node]) -> None:
    """Move the cotangents in ``flow`` from the outputs to the inputs, keeping the graph.

    Parameters
    ----------
    nodes
        The nodes in order of computation. If a rule raises, their ``flow`` is cleared.
    """
    try:
        for node in reversed(nodes):
            g = node.flow
            if g is None:
                continue
            node.flow = None
            if g.__class__ is Scatter and not node.call.view:
                g = g.dense()
            node.call.pull(node, g)
    except BaseException:
        clear(nodes)
        raise


def consume_back(nodes: list[Node]) -> None:
    """Move the cotangents as `pull_back` does, and free each node and its arrays as soon as the sweep has passed it."""
    pop, scatter = nodes.pop, Scatter
    while nodes:
        node = pop()
        g = node.flow
        if g is not None:
            call = node.call
            if g.__class__ is scatter and not call.view:
                g = g.dense()
            # Not ``call.pull(node, g)``: Python looks such a call up as a method, which takes 7 ns longer.
            pull = call.pull
            pull(node, g)
        # The output refers to its arguments, these to theirs, and so on, but their memory is wanted now.
        node.args = ()


def clear(nodes: Iterable[Node]) -> None:
    """Drop the cotangents or tangents that a sweep left in ``flow``."""
    for node in nodes:
        node.flow = None


def take_flow(node: Node) -> Any:
    """Return the cotangent or tangent gathered in a node, written out, and clear it."""
    g = node.flow
    node.flow = None
    return g.dense() if g.__class__ is Scatter else spread(g, node.primal) if g.__class__ is float else g
