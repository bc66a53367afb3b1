"""A charged particle steered into the origin: derivatives of a path that is computed from derivatives.

The particle starts at (0, 8) with velocity (0.75, 0). Charges at ``c_1 = (10, 10 - w)`` and ``c_2 = (10, 0)`` have the
potential ``p(x) = sum_k 1/|x - c_k|``. While the particle is above the axis it moves by Euler's method::

    x' = x + dt v,    v' = v - dt grad p(x),    grad p(x) = -sum_k (x - c_k) / |x - c_k|^3

From the last point above the axis it moves straight on, and meets the axis after the time ``-x_1/v_1`` at ``x_hit``.
The energy is ``E(w) = x_hit^2``.

``particle_energy`` is E; its derivatives pass through the gradient of the potential. ``particle_rr`` and its siblings
are the w at which the descent of E stops. Their first letter is the mode of the derivative of E, their second that
of the potential (r reverse, f forward). From w = 0 with dt = 0.1 they stop at .2071918746486116.

The closed form carries the tangent d/dw of x and v along the path. Along a tangent dr of ``r = x - c``::

    d(r/|r|^3) = dr/|r|^3 - 3 (r.dr) r/|r|^5
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.problems.base.gradient_descent import argmin, argmin_by_hand
from autodiff_compare.vocabulary import Operator

_MODES = {"r": "reverse", "f": "forward"}
#: Size, the number of Euler steps in ten units of time -> rounds of the descent.
_ROUNDS = {4: 3, 100: 200, 400: 200}
#: Upper bound on the arrival time, in ten units: the particle takes 35 units for w = 0.
_LONGEST = 6
#: In units of eps: x_hit, the root that the descent seeks, is a small difference of coordinates near 10 after 14 to 350
#: steps, whose rounding remains in it.
_TOLERANCE = 1e3


def _energy(
    w: Any, *, derivative: Callable[..., Any], while_loop: Callable[..., Any], inner: str, resolution: int, xp: Any
) -> Any:
    dt = 10.0 / resolution
    here, zero = xp.asarray([10.0, 10.0, 0.0, 8.0, 0.75], dtype=w.dtype), xp.zeros_like(w)
    upper, lower = xp.stack([here[0], 10.0 - w]), here[1:3]

    def inverse_distance(x: Any, c: Any) -> Any:
        return 1.0 / xp.sqrt(xp.sum((x - c) * (x - c)))

    slope = derivative(lambda x: inverse_distance(x, upper) + inverse_distance(x, lower), inner)

    def above(state: tuple[Any, Any]) -> Any:
        x, v = state
        return x[1] + dt * v[1] > 0.0

    def advance(state: tuple[Any, Any]) -> tuple[Any, Any]:
        x, v = state
        return x + dt * v, v - dt * slope(x)

    start = here[2:4], xp.stack([here[4], zero])
    x, v = while_loop(above, advance, start, _LONGEST * resolution)
    hit = x[0] - x[1] / v[1] * v[0]
    return hit * hit


def _minimiser(
    w: Any,
    *,
    derivative: Callable[..., Any],
    value_and_derivative: Callable[..., Any],
    while_loop: Callable[..., Any],
    outer: str,
    inner: str,
    resolution: int,
    xp: Any,
) -> Any:
    def energy(w: Any) -> Any:
        return _energy(w, derivative=derivative, while_loop=while_loop, inner=inner, resolution=resolution, xp=xp)

    both, rounds = value_and_derivative(energy, outer), _ROUNDS[resolution]
    return argmin(w, value_and_slope=both, while_loop=while_loop, rounds=rounds, xp=xp)


def _by_hand(w: Array, *, resolution: int, **_: Any) -> tuple[Array, Array]:
    """Return E and dE/dw, with the gradient of the potential and the tangent of each step written by hand."""
    dt = np.asarray(10, w.dtype) / resolution
    charges = [(np.stack([0 * w + 10, 10 - w]), np.stack([0 * w, 0 * w - 1])), (np.stack([0 * w + 10, 0 * w]), 0 * w)]
    x, v = np.stack([0 * w, 0 * w + 8]), np.stack([0 * w + 0.75, 0 * w])
    dx, dv = np.zeros_like(x), np.zeros_like(v)
    for _step in range(_LONGEST * resolution):
        if not x[1] + dt * v[1] > 0:
            break
        a, da = np.zeros_like(x), np.zeros_like(x)
        for c, dc in charges:
            r, dr = x - c, dx - dc
            squared = np.sum(r * r)
            a += r / squared**1.5
            da += dr / squared**1.5 - 3 * np.sum(r * dr) * r / squared**2.5
        x, v, dx, dv = x + dt * v, v + dt * a, dx + dt * dv, dv + dt * da
    t, dt_end = -x[1] / v[1], -(dx[1] - x[1] / v[1] * dv[1]) / v[1]
    hit, dhit = x[0] + t * v[0], dx[0] + dt_end * v[0] + t * dv[0]
    return np.asarray(hit * hit), np.asarray(2 * hit * dhit)


def _minimiser_by_hand(w: Array, *, resolution: int, **_: Any) -> Array:
    return np.asarray(argmin_by_hand(w, partial(_by_hand, resolution=resolution), _ROUNDS[resolution]))


_SOURCE = "Pearlmutter and Siskind 2008, GradBench evaluation particle; sizes: Euler steps in ten units of time"
_SUITES = frozenset({"gradbench"})
_USES = ("derivative", "while_loop")


def _problem(pair: str) -> Problem:
    outer, inner = (_MODES[letter] for letter in pair)
    modes = {"outer": outer, "inner": inner}
    return Problem(
        name=f"particle_{pair}",
        title=f"particle steered into the origin: outer derivative in {outer}, inner in {inner} mode",
        source=_SOURCE,
        sizes=dict(zip(("small", "medium", "large"), _ROUNDS, strict=True)),
        inputs=lambda rng, n: Inputs((rng.uniform(-0.05, 0.05, ()),), (), {**modes, "resolution": n}),
        objective=_minimiser,
        operators=frozenset({Operator.VALUE}),
        reference={Operator.VALUE: _minimiser_by_hand},
        tolerance=_TOLERANCE,
        suites=_SUITES,
        uses=(*_USES, "value_and_derivative"),
    )


PROBLEMS = (
    Problem(
        name="particle_energy",
        title="energy of a particle that moves by gradients of a potential",
        source=_SOURCE,
        sizes=dict(zip(("small", "medium", "large"), _ROUNDS, strict=True)),
        inputs=lambda rng, n: Inputs((rng.uniform(-0.1, 0.1, ()),), (), {"inner": "reverse", "resolution": n}),
        objective=_energy,
        # Second derivatives of E need third derivatives of the potential, which only an engine could confirm.
        operators=SCALAR - {Operator.HVP, Operator.HESSIAN},
        reference={
            Operator.VALUE: lambda w, **static: _by_hand(w, **static)[0],
            Operator.GRADIENT: lambda w, **static: _by_hand(w, **static)[1],
        },
        tolerance=_TOLERANCE,
        suites=_SUITES,
        uses=_USES,
    ),
    *(_problem(pair) for pair in ("rr", "rf", "fr", "ff")),
)
