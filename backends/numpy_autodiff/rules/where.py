"""The backward sweep of ``where``: entries that it discards send no cotangent back, whatever their slope is.

``where(x > 0, sqrt(x), 0)`` at -1 selects 0, yet the square root is evaluated too. It is nan there, as is its slope.
The cotangent 0 that ``where`` sends to it becomes ``0 * nan = nan``, which spoils the sum of cotangents in x. Users of
other systems write a second ``where`` inside for that (the double-where trick). Here the inner one is not needed:

    >>> import numpy as np
    >>> from autodiff_compare.backends.numpy_autodiff import grad
    >>> f = lambda x: np.where(x < 10, np.exp(x) / (1 + np.exp(x)), 1.0)
    >>> with np.errstate(over="ignore", invalid="ignore"):
    ...     print(grad(f)(1000.0))
    0.0

On the way back, ``where`` tests whether an operand is not finite in an entry that is not selected. If so, every
elementwise call that the operand depends on is swept strictly: an entry whose cotangent is zero sends back zeros. The
sweep runs in reverse order, so none of those calls has been swept before. Other graphs are swept as usual, at no cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import spread
from autodiff_compare.backends.numpy_autodiff.core.cotangent import add_cotangent
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
    """Return a number that is finite only if every entry is, in one pass over the array.

    Testing each entry takes two passes and a temporary. A dot product does not warn of overflow, as a sum does.
    """
    if not x.shape:
        return x
    if isinstance(x, np.ndarray):
        return np.vdot(x, x)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sum(x * x)


def _make_strict(root: Any) -> None:
    """Sweep every elementwise call that ``root`` depends on strictly; without recursion."""
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
    """Send a cotangent back as `generic_pull` does, and zeros in entries where it is zero."""
    call, args, ans = node.call, node.args, node.primal
    values = [value.primal if i in call.where else value for i, value in enumerate(args)]
    if g.__class__ is float:
        g = spread(g, ans)
    dead = np.equal(g, 0)
    for i, rule in call.vjps:
        d = rule(g, ans, *values, **call.kwargs)
        if d is not None:
            add_cotangent(args[i], np.where(dead, 0, d), ans)
