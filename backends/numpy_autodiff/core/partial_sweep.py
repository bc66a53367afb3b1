"""A backward sweep between two nodes, apart from any other: it shows a rule the derivative of a later function.

The rules of eigenvalues need it: where eigenvalues are equal, their second derivative depends on the Hessian of the
function that is applied to them (see `autodiff_compare.backends.numpy_autodiff.rules.spectrum`).
"""

from __future__ import annotations

from typing import Any

from autodiff_compare.backends.numpy_autodiff.core.primitive import PICK
from autodiff_compare.backends.numpy_autodiff.core.reverse import clear, take_flow
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, arguments_first


def pull_between(leaf: Node, root: Node, cotangent: Any) -> Any:
    """Return the cotangent of ``leaf`` that comes from ``cotangent`` at ``root``.

    A sweep that is under way is not disturbed: every ``flow`` is as before afterwards.

    Returns
    -------
    None where ``root`` does not depend on ``leaf``.
    """
    order = _ancestors(root, leaf)
    depends: set[int] = set()
    for node in order:
        if _same_value(node, leaf) or any(id(node.args[i]) in depends for i in node.call.where):
            depends.add(id(node))
    if id(root) not in depends:
        return None
    held = [(node, node.flow) for node in order]
    clear(order)
    try:
        total = None
        root.flow = cotangent
        for node in reversed(order):
            if node.flow is None or id(node) not in depends:
                continue
            g = take_flow(node)
            if _same_value(node, leaf):
                total = g if total is None else total + g
            else:
                node.call.pull(node, g)
        return total
    finally:
        for node, flow in held:
            node.flow = flow


def _same_value(node: Node, leaf: Node) -> bool:
    """Return whether two nodes are one, or pick the same output of the same call."""
    if node is leaf or not node.call.primitive is leaf.call.primitive is PICK:
        return node is leaf
    return node.args[0] is leaf.args[0] and node.args[1] == leaf.args[1]


def _ancestors(root: Node, leaf: Node) -> list[Node]:
    """Return ``root`` and its ancestors as far as ``leaf``, arguments before results."""
    return arguments_first(
        root, lambda node: () if _same_value(node, leaf) else [node.args[i] for i in node.call.where]
    )
