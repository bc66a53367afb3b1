"""Loops for backends without a loop construct of their own: plain Python over the array namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def python_scan(xp: Any, f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any) -> tuple[Any, Any]:
    """Run `Backend.scan` as a Python loop.

    Parameters
    ----------
    xp
        The backend's array namespace; needs ``unstack`` and ``stack``.
    f
        ``carry, y = f(carry, x)``; ``y`` is an array, a tuple of arrays or `None`, the same in every round.
    init
        The first carry.
    xs
        An array, or a tuple of arrays of one length; ``x`` is the corresponding entry or tuple of entries.

    Returns
    -------
    tuple
        The last carry, and the ``y`` of all rounds stacked along a new first axis. The latter is `None` where ``f``
        returns `None` or where there is no round.
    """
    carry, ys = init, []
    # Unstacked once before the loop: the derivative of x[k] is an array as large as x, in each round.
    for x in zip(*map(xp.unstack, xs), strict=True) if isinstance(xs, tuple) else xp.unstack(xs):
        carry, y = f(carry, x)
        ys.append(y)
    if not ys or ys[0] is None:
        return carry, None
    if isinstance(ys[0], tuple):
        return carry, tuple(xp.stack(list(parts)) for parts in zip(*ys, strict=True))
    return carry, xp.stack(ys)


def python_while(cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any:
    """Run `Backend.while_loop` as a Python loop, for systems whose values are known while they record.

    Parameters
    ----------
    cond, body
        ``state = body(state)`` is repeated while ``cond(state)`` is true.
    init
        The first state: an array or a tuple of arrays.
    limit
        The largest number of rounds.

    Returns
    -------
    Any
        The last state.
    """
    state = init
    for _ in range(limit):
        if not bool(cond(state)):
            break
        state = body(state)
    return state
