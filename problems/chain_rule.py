"""Jacobians and the chain rule: y(x), z(y) and their composition, with J_xz = J_yz J_xy.

With x = (x1, x2)::

    y = (x1^2 + x2, x1 x2, e^x1)    J_xy = (2 x1, 1; x2, x1; e^x1, 0)
    z = (y1 + y2, y1 y3)            J_yz = (1, 1, 0; y3, 0, y1)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import VECTOR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_SOURCE = "classic study: y = (x1^2 + x2, x1 x2, e^x1), z = (y1 + y2, y1 y3), at x = (1.5, -0.5)"


def _inner(x: Any, *, xp: Any) -> Any:
    return xp.stack([x[0] * x[0] + x[1], x[0] * x[1], xp.exp(x[0])])


def _outer(y: Any, *, xp: Any) -> Any:
    return xp.stack([y[0] + y[1], y[0] * y[2]])


def _composed(x: Any, *, xp: Any) -> Any:
    return _outer(_inner(x, xp=xp), xp=xp)


def _inner_jacobian(x: Array) -> Array:
    one, zero = np.ones_like(x[0]), np.zeros_like(x[0])
    return np.array([[2 * x[0], one], [x[1], x[0]], [np.exp(x[0]), zero]])


def _outer_jacobian(y: Array) -> Array:
    one, zero = np.ones_like(y[0]), np.zeros_like(y[0])
    return np.array([[one, one, zero], [y[2], zero, y[0]]])


def _composed_jacobian(x: Array) -> Array:
    """Return the Jacobian of z = (x1^2 + x2 + x1 x2, (x1^2 + x2) e^x1), without the chain rule."""
    e = np.exp(x[0])
    return np.array([[2 * x[0] + x[1], 1 + x[0]], [(2 * x[0] + x[0] ** 2 + x[1]) * e, e]])


def _two(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.uniform(-2.0, 2.0, n),))


PROBLEMS = (
    Problem(
        name="chain_inner",
        title="y = (x1^2 + x2, x1 x2, e^x1)",
        source=_SOURCE,
        sizes={"small": 2},
        inputs=_two,
        objective=_inner,
        operators=VECTOR,
        reference={Operator.JACOBIAN: _inner_jacobian},
    ),
    Problem(
        name="chain_outer",
        title="z = (y1 + y2, y1 y3)",
        source=_SOURCE,
        sizes={"small": 3},
        inputs=_two,
        objective=_outer,
        operators=VECTOR,
        reference={Operator.JACOBIAN: _outer_jacobian},
    ),
    Problem(
        name="chain_rule",
        title="z(y(x)): J_xz = J_yz J_xy",
        source=_SOURCE,
        sizes={"small": 2},
        inputs=_two,
        objective=_composed,
        operators=VECTOR,
        reference={Operator.JACOBIAN: _composed_jacobian},
    ),
)
