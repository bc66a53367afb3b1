"""Gradient descent with an adaptive step size, as the nested problems use it, on any backend.

The algorithm is that of Pearlmutter and Siskind (2008), as in GradBench. It starts with the step size ``eta = 1e-5``
and the counter ``i = 0``. Each round:

1. Stop if ``||g|| <= 1e-5``, with g the gradient at x.
2. If ``i = 10``, double eta and set i to 0.
3. Let ``x' = x - eta g``. Stop if ``||x - x'|| <= 1e-5``.
4. If ``f(x') < f(x)``, let x be x' and increment i; otherwise halve eta and set i to 0.

The number of rounds depends on the data, so the loop is a `while_loop` of the backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_FIRST_RATE, _SMALLEST_SQUARE, _PATIENCE = 1e-5, 1e-5**2, 10

Function = Callable[[Any], Any]
State = tuple[Any, Any, Any, Any, Any]


def argmin(start: Any, *, value_and_slope: Function, while_loop: Callable[..., Any], rounds: int, xp: Any) -> Any:
    """Return the point at which the descent from ``start`` stops, or that after ``rounds`` rounds.

    Parameters
    ----------
    start
        The first point, (d,) or ().
    value_and_slope
        ``value_and_slope(x)`` returns f(x) and its gradient.
    while_loop
        The loop of the backend, ``while_loop(cond, body, state, limit)``.
    rounds
        Largest number of rounds.
    xp
        The array API namespace.

    Notes
    -----
    Each round computes both outcomes and selects one, so that there is no data-dependent branch inside the loop.
    The state is (x, f(x), gradient, eta, i), all in the dtype of x.
    """

    def tried(state: State) -> tuple[Any, Any, Any]:
        x, _, g, eta, i = state
        grown = i >= _PATIENCE
        eta, i = xp.where(grown, 2.0 * eta, eta), xp.where(grown, xp.zeros_like(i), i)
        return x - eta * g, eta, i

    def goes_on(state: State) -> Any:
        x, g = state[0], state[2]
        step = x - tried(state)[0]
        return xp.logical_and(xp.sum(g * g) > _SMALLEST_SQUARE, xp.sum(step * step) > _SMALLEST_SQUARE)

    def round_(state: State) -> State:
        ahead, eta, i = tried(state)
        value, g = value_and_slope(ahead)
        lower = value < state[1]
        accepted = (ahead, value, g, eta, i + 1.0)
        refused = (*state[:3], 0.5 * eta, xp.zeros_like(i))
        x, value, g, eta, i = (xp.where(lower, a, b) for a, b in zip(accepted, refused, strict=True))
        return x, value, g, eta, i

    eta = xp.asarray(_FIRST_RATE, dtype=start.dtype)
    state: State = (start, *value_and_slope(start), eta, xp.zeros_like(eta))
    return while_loop(goes_on, round_, state, rounds)[0]


def argmin_by_hand(start: Any, value_and_slope: Function, rounds: int) -> Any:
    """Return `argmin` in NumPy with derivatives written by hand, for closed forms."""

    def while_loop(cond: Function, body: Function, state: State, limit: int) -> State:
        for _ in range(limit):
            if not cond(state):
                break
            state = body(state)
        return state

    return np.asarray(argmin(start, value_and_slope=value_and_slope, while_loop=while_loop, rounds=rounds, xp=np))
