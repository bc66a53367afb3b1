"""Rodrigues' rotation by an angle-axis vector r, differentiable at r = 0.

With ``t = |r|^2`` and the cross-product matrix ``K`` of r (``K y = r x y``)::

    R = I + a K + b K^2,    a = sin(|r|) / |r|,    b = (1 - cos(|r|)) / |r|^2

As functions of t, a and b are analytic::

    a = 1 - t/3! + t^2/5! - ...,    b = 1/2! - t/4! + t^2/6! - ...

Their formulas are not differentiable at 0, since |r| is not, and a division by it gives nan. Below `NEAR` the series
are used. Above it, ``1 - cos |r|`` is computed as ``2 sin^2(|r|/2)``, without cancellation.
"""

from __future__ import annotations

from typing import Any

#: Squared angle, in rad^2, below which five terms of a series are exact to 1e-17.
NEAR = 0.01


def coefficients(t: Any, xp: Any) -> tuple[Any, Any]:
    """Return ``a`` and ``b`` of the squared angles ``t`` of any shape, with correct derivatives also at 0."""
    is_near = t < NEAR
    # The branch that is not selected must not divide by zero: its derivative nan, times 0, would be nan.
    away = xp.where(is_near, xp.ones_like(t), t)
    far_a, far_b = away_from_zero(away, xp)
    a = 1 - t / 6 * (1 - t / 20 * (1 - t / 42 * (1 - t / 72)))
    b = 0.5 - t / 24 * (1 - t / 30 * (1 - t / 56 * (1 - t / 90)))
    return xp.where(is_near, a, far_a), xp.where(is_near, b, far_b)


def away_from_zero(t: Any, xp: Any) -> tuple[Any, Any]:
    """Return ``a`` and ``b`` of the squared angles ``t`` of any shape, none of which is 0."""
    angle = xp.sqrt(t)
    half = xp.sin(0.5 * angle)
    return xp.sin(angle) / angle, 2 * half * half / t
