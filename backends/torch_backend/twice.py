"""A check that backward formulas can be differentiated twice: torch does not tell where one cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from autodiff_compare.backends.operators.objective import Var


class DifferentiableCheck:
    """A check, made on the first call, that every backward formula can itself be differentiated.

    torch treats a formula that cannot as constant, so that a second derivative would silently be wrong. Calling the
    check raises a `RuntimeError` if there is one.
    """

    def __init__(self, task: Any) -> None:
        self.torch, self.done = task.torch, False

    def __call__(self, out: Var, leaves: Sequence[Var]) -> None:
        if self.done or not out.requires_grad:
            return
        self.done = True
        cotangent = self.torch.ones_like(out, requires_grad=True)
        slopes = self.torch.autograd.grad(out, leaves, cotangent, create_graph=True, allow_unused=True)
        for node in _nodes([s.grad_fn for s in slopes if s is not None]):
            if "Error" in node.name():
                raise RuntimeError("a backward formula here is marked as differentiable only once")


def _nodes(roots: Sequence[Any]) -> Iterator[Any]:
    """Yield every node of a recorded graph once."""
    seen, waiting = set(), list(roots)
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting.extend(following for following, _ in node.next_functions)
