"""An inverse heat problem: conductivity and initial temperature of a rod from measured temperatures.

The temperature u of a rod with conductivity ``k = exp(theta)`` obeys ``u_t = (k u_x)_x`` with its ends at zero. An
explicit step is ``u' = M u`` with ``M = I - r D^T K D``: D takes differences of neighbours, K is diagonal, r is the
rate. The misfit of the thermometers P after each step is::

    L = 1/2 sum_t |P u_t - m_t|^2,    u_{t+1} = M u_t

The discrete adjoint p runs backwards through the steps. M is symmetric, so the same step serves::

    p_t = P^T (P u_t - m_t) + M p_{t+1},    dL/du_0 = M p_1
    dL/dk = -r sum_t (D p_{t+1}) (D u_t),     dL/dtheta = k dL/dk
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

#: Time step over the squared grid spacing. The scheme is stable below 1 / (2 k), with any conductivity k drawn here.
_RATE = 0.25
#: Nodes from one thermometer to the next.
_SPACING = 4


def _heated(u: Any, k: Any, xp: Any) -> Any:
    """Return u after one explicit step."""
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
    """Return the gradient by the discrete adjoint method."""
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
    """Draw a rod of n nodes, and measurements with noise of another rod over 2 n steps."""
    truth, hidden = rng.uniform(-0.5, 0.5, n + 1), rng.uniform(0.0, 2.0, n)
    seen = []
    for _ in range(2 * n):
        hidden = _heated(hidden, np.exp(truth), np)
        seen.append(hidden[::_SPACING] + 0.01 * rng.normal(size=hidden[::_SPACING].size))
    return Inputs((rng.uniform(-0.5, 0.5, n + 1), rng.uniform(0.0, 2.0, n)), (np.stack(seen),))


PROBLEM = Problem(
    name="heat_inverse",
    title="misfit of thermometers along a rod of n nodes over 2 n steps, in conductivity and initial temperature",
    source="Vogel, Computational Methods for Inverse Problems, chapter 6; explicit differences, discrete adjoint",
    sizes={"small": 8, "medium": 50, "large": 250},
    inputs=_inputs,
    objective=_misfit,
    operators=SCALAR - {Operator.HESSIAN},
    reference={Operator.GRADIENT: _gradient},
    suites=frozenset({"tests"}),
    uses=("scan",),
)
