"""The gradient descent of the nested problems (Pearlmutter and Siskind 2008, as in GradBench), on any backend.

From ``eta = 1e-5`` and ``i = 0``: stop if ``||g|| <= 1e-5``; if ``i = 10``, double eta and start counting again; let
``x' = x - eta g``; stop if ``||x - x'|| <= 1e-5``; if ``f(x') < f(x)`` go to x' and count, otherwise halve eta and
start counting again. How many rounds that takes depends on the data, so that it is a `while_loop`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_FIRST_RATE, _SMALLEST_SQUARE, _PATIENCE = 1e-5, 1e-5**2, 10

Function = Callable[[Any], Any]
State = tuple[Any, Any, Any, Any, Any]


def argmin(start: Any, *, value_and_slope: Function, while_loop: Callable[..., Any], rounds: int, xp: Any) -> Any:
    """Where the descent from ``start`` ends, or is after so many ``rounds``.

    Both branches of a round are computed and one is taken: the loop has no data-dependent branch inside. The state
    is (x, f(x), gradient, eta, i), all in the dtype of x.
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
    """`argmin` in NumPy with derivatives that are given, for closed forms."""

    def while_loop(cond: Function, body: Function, state: State, limit: int) -> State:
        for _ in range(limit):
            if not cond(state):
                break
            state = body(state)
        return state

    return np.asarray(argmin(start, value_and_slope=value_and_slope, while_loop=while_loop, rounds=rounds, xp=np))
