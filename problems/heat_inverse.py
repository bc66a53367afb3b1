"""An inverse problem of heat: find the conductivity of a rod, and how warm it was, from a few thermometers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

#: Time step over the square of the grid's: below 1 / (2 k) for every conductivity k = exp(theta) drawn here.
_RATE = 0.25
#: One thermometer at every so many nodes.
_SPACING = 4


def _heated(u: Any, k: Any, xp: Any) -> Any:
    """One explicit step of u_t = (k u_x)_x, the ends of the rod held at zero."""
    end = xp.zeros_like(u[:1])
    flux = k * (xp.concat([u, end]) - xp.concat([end, u]))
    return u + _RATE * (flux[1:] - flux[:-1])


def _misfit(theta: Any, u0: Any, seen: Any, *, xp: Any, scan: Callable[..., Any]) -> Any:
    k = xp.exp(theta)

    def step(u: Any, measured: Any) -> tuple[Any, Any]:
        u = _heated(u, k, xp)
        residual = u[::_SPACING] - measured
        return u, xp.sum(residual * residual)

    return xp.sum(scan(step, u0, seen)[1]) / 2


def _slopes(u: Array) -> Array:
    return np.diff(np.pad(u, 1))


def _gradient(theta: Array, u0: Array, seen: Array) -> tuple[Array, Array]:
    """The discrete adjoint: back through the steps, whose matrix is symmetric."""
    k, states = np.exp(theta), [u0]
    for _ in seen:
        states.append(_heated(states[-1], k, np))
    adjoint, by_k = np.zeros_like(u0), np.zeros_like(k)
    for before, after, measured in reversed(list(zip(states[:-1], states[1:], seen, strict=True))):
        adjoint[::_SPACING] += after[::_SPACING] - measured
        by_k -= _RATE * _slopes(adjoint) * _slopes(before)
        adjoint = _heated(adjoint, k, np)
    return k * by_k, adjoint


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    """A rod of n nodes and 2 n steps; what is seen is another rod's cooling, with noise."""
    truth, hidden = rng.uniform(-0.5, 0.5, n + 1), rng.uniform(0.0, 2.0, n)
    seen = []
    for _ in range(2 * n):
        hidden = _heated(hidden, np.exp(truth), np)
        seen.append(hidden[::_SPACING] + 0.01 * rng.normal(size=hidden[::_SPACING].size))
    return Inputs((rng.uniform(-0.5, 0.5, n + 1), rng.uniform(0.0, 2.0, n)), (np.stack(seen),))


PROBLEM = Problem(
    name="heat_inverse",
    title="misfit of thermometers along a rod of n nodes over 2 n steps, by conductivity and first temperature",
    source="Vogel, Computational Methods for Inverse Problems, chapter 6; explicit differences, discrete adjoint",
    sizes={"small": 8, "medium": 50, "large": 250},
    inputs=_inputs,
    objective=_misfit,
    operators=SCALAR - {Operator.HESSIAN},
    reference={Operator.GRADIENT: _gradient},
    suites=frozenset({"tests"}),
    uses=("scan",),
)
