"""The classic Runge-Kutta method of fourth order (Kutta 1901), for problems that integrate differential equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def advanced(slope: Callable[[Any], Any], y: Any, h: Any) -> Any:
    """Return y after one step of length h of the autonomous system ``y' = slope(y)``."""
    a = slope(y)
    b = slope(y + 0.5 * h * a)
    c = slope(y + 0.5 * h * b)
    d = slope(y + h * c)
    return y + h / 6.0 * (a + 2.0 * (b + c) + d)
