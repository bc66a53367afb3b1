"""Branches that a mask discards: what is not selected sends no cotangent back, whatever its slope is there.

``where(x > 0, sqrt(x), 0)`` at -1 selects 0, yet the square root is evaluated too. It is nan there, its slope as well,
and the cotangent 0 that ``where`` sends to it comes out of ``0 * nan`` as nan, added to whatever is right:

    >>> import numpy as np
    >>> from autodiff_compare.backends.numpy_autodiff import grad
    >>> f = lambda x: np.where(x < 10, np.exp(x) / (1 + np.exp(x)), 1.0)
    >>> with np.errstate(over="ignore", invalid="ignore"):
    ...     print(grad(f)(1000.0))
    0.0

So ``where`` looks, on the way back, whether an operand holds something that is not finite where it is not selected.
If so, every elementwise call that the operand came from is swept strictly from then on: an entry whose cotangent is
zero gives zeros. The graph is in reverse order, so none of them has been swept before. Everything else pays nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import give
from autodiff_compare.backends.numpy_autodiff.core.primitive import Call, generic_pull
from autodiff_compare.backends.numpy_autodiff.core.tracing import primal


def pull_where(node: Any, g: Any) -> None:
    """Sweep ``where(condition, x, y)``."""
    for i in node.call.where:
        value = primal(node.args[i])
        if np.isfinite(_total(value)):
            continue
        taken = node.args[0] if i == 1 else np.logical_not(node.args[0])
        if np.any(np.logical_not(np.logical_or(np.isfinite(value), taken))):
            _make_strict(node.args[i])
    generic_pull(node, g)


def _total(x: Any) -> Any:
    """Finite only if every entry is: in one pass, where looking at each entry takes two and a temporary.

    A dot product, for that warns of nothing, as the function itself may not.
    """
    if not x.shape:
        return x
    if isinstance(x, np.ndarray):
        return np.vdot(x, x)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sum(x * x)


def _make_strict(root: Any) -> None:
    """Every elementwise call behind ``root``, without recursion."""
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        call = node.call
        if call.primitive.pointwise and call.pull is not _pull_strictly:
            node.call = Call(call.primitive, call.where, call.kwargs, pull=_pull_strictly, push=call.push)
        waiting += [node.args[i] for i in call.where]


def _pull_strictly(node: Any, g: Any) -> None:
    """As `generic_pull`; where no cotangent comes in none goes out."""
    call, args, ans = node.call, node.args, node.primal
    values = [value.primal if i in call.where else value for i, value in enumerate(args)]
    if g.__class__ is float:
        g = spread(g, ans)
    dead = np.equal(g, 0)
    for i, rule in call.vjps:
        d = rule(g, ans, *values, **call.kwargs)
        if d is not None:
            give(args[i], np.where(dead, 0, d), ans)
