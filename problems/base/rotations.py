"""Rotations by an angle-axis vector r (Rodrigues), smooth through r = 0.

With ``t = |r|^2`` and the cross product matrix ``K`` of r::

    R = I + a K + b K^2,    a = sin(|r|) / |r|,    b = (1 - cos(|r|)) / |r|^2

a and b are analytic in t, but |r| is not in r, and dividing by it at 0 gives nan. Below `NEAR` they are taken from
their series; above, ``1 - cos`` is ``2 sin^2(|r|/2)``, which cancels nothing.
"""

from __future__ import annotations

from typing import Any

#: The squared angle, in rad^2, below which five terms of a series are exact to 1e-17.
NEAR = 0.01


def coefficients(t: Any, xp: Any) -> tuple[Any, Any]:
    """``a`` and ``b`` of the squared angles ``t``, any shape, with the right derivatives at 0 too."""
    is_near = t < NEAR
    # The branch that is not taken must not divide by zero: its nan would reach the derivative through the other.
    away = xp.where(is_near, xp.ones_like(t), t)
    far_a, far_b = away_from_zero(away, xp)
    a = 1 - t / 6 * (1 - t / 20 * (1 - t / 42 * (1 - t / 72)))
    b = 0.5 - t / 24 * (1 - t / 30 * (1 - t / 56 * (1 - t / 90)))
    return xp.where(is_near, a, far_a), xp.where(is_near, b, far_b)


def away_from_zero(t: Any, xp: Any) -> tuple[Any, Any]:
    """``a`` and ``b`` where t is known not to be 0."""
    angle = xp.sqrt(t)
    half = xp.sin(0.5 * angle)
    return xp.sin(angle) / angle, 2 * half * half / t
