"""Reverse mode: the sweep that moves cotangents from outputs to inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import Scatter
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node


def pull_back(nodes: Sequence[Node]) -> None:
    """Move the cotangents in ``flow`` from the outputs to the inputs.

    Parameters
    ----------
    nodes
        In order of computation. If this raises, their ``flow`` is cleared.
    """
    try:
        for node in reversed(nodes):
            g = node.flow
            if g is None:
                continue
            node.flow = None
            if g.__class__ is Scatter:
                g = g.dense()
            node.call.pull(node, g)
    except BaseException:
        clear(nodes)
        raise


def consume_back(nodes: list[Node]) -> None:
    """As `pull_back`, for the last time: nodes and the arrays they hold are freed on the way."""
    pop = nodes.pop
    while nodes:
        node = pop()
        g = node.flow
        if g is not None:
            if g.__class__ is Scatter:
                g = g.dense()
            node.call.pull(node, g)
        # The output holds its arguments, these theirs, and so on: the memory is wanted now.
        node.args = ()


def clear(nodes: Iterable[Node]) -> None:
    """Forget what a sweep left in ``flow``."""
    for node in nodes:
        node.flow = None


def take_flow(node: Node) -> Any:
    """The cotangent or tangent gathered in a node, which is then empty again."""
    g = node.flow
    node.flow = None
    return g.dense() if g.__class__ is Scatter else spread(g, node.primal) if g.__class__ is float else g
