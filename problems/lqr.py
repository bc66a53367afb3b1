"""Linear-quadratic control: the optimal cost of a linear system, by the Riccati recursion.

The state changes by ``x' = A x + B u``. A step costs ``|C x|^2 + r_t |u|^2``, the final state ``|C x|^2``. The
recursion starts with ``P = C'C`` at the end, and goes back a step by::

    K = (r I + B'P B)^-1 B'P A        P' = C'C + A'P (A - B K)

The optimal cost from x0 is ``J = x0' P x0``, differentiated with respect to A, B and C through the recursion.

The closed form does not differentiate the recursion. The control is optimal, so its change has no effect on the cost to
first order (envelope theorem), and only the explicit dependence counts. Along the optimal path, with the control
``u_t = -K_t x_t`` and the costate ``s_t = P_t x_t``, half the derivative of the remaining cost by the state::

    dJ/dA = 2 sum s_{t+1} x_t'    dJ/dB = 2 sum s_{t+1} u_t'    dJ/dC = 2 C sum x_t x_t'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import solve
from autodiff_compare.vocabulary import Operator

_STATES, _CONTROLS, _OUTPUTS = 3, 2, 2


def _best_cost(A: Any, B: Any, C: Any, x: Any, prices: Any, *, scan: Callable[..., Any], xp: Any) -> Any:
    At, Bt = xp.matrix_transpose(A), xp.matrix_transpose(B)
    Q, identity = xp.matmul(xp.matrix_transpose(C), C), xp.eye(B.shape[1], dtype=B.dtype)

    def back(P: Any, price: Any) -> tuple[Any, None]:
        BP = xp.matmul(Bt, P)
        K = xp.linalg.solve(price * identity + xp.matmul(BP, B), xp.matmul(BP, A))
        return Q + xp.matmul(At, xp.matmul(P, A - xp.matmul(B, K))), None

    P, _ = scan(back, Q, xp.flip(prices, axis=0))
    return xp.sum(x * xp.matmul(P, x))


def _backwards(A: Array, B: Array, C: Array, prices: Array) -> tuple[list[Array], list[Array]]:
    """Return P and K of every step in order of time; P has one more."""
    Ps, Ks = [C.T @ C], []
    for price in prices[::-1]:
        BP = B.T @ Ps[-1]
        K = solve(price * np.eye(B.shape[1], dtype=B.dtype) + BP @ B, BP @ A)
        Ks.append(K)
        # Joseph's form, the cost of the closed loop: equal to P' above, and positive definite under rounding of K.
        closed = A - B @ K
        Ps.append(C.T @ C + price * K.T @ K + closed.T @ Ps[-1] @ closed)
    return Ps[::-1], Ks[::-1]


def _value(A: Array, B: Array, C: Array, x: Array, prices: Array) -> Array:
    P = _backwards(A, B, C, prices)[0][0]
    return np.asarray(x @ P @ x)


def _gradient(A: Array, B: Array, C: Array, x: Array, prices: Array) -> tuple[Array, Array, Array]:
    Ps, Ks = _backwards(A, B, C, prices)
    dA, dB, XX = np.zeros_like(A), np.zeros_like(B), np.outer(x, x)
    for P, K in zip(Ps[1:], Ks, strict=True):
        u = -K @ x
        after = A @ x + B @ u
        dA += 2 * np.outer(P @ after, x)
        dB += 2 * np.outer(P @ after, u)
        x = after
        XX += np.outer(x, x)
    return dA, dB, 2 * C @ XX


def _inputs(rng: np.random.Generator, horizon: int) -> Inputs:
    """Draw a system whose uncontrolled state decays slowly, for any horizon."""
    A = np.linalg.qr(rng.standard_normal((_STATES, _STATES)))[0] * rng.uniform(0.8, 0.95)
    B = rng.standard_normal((_STATES, _CONTROLS)) / 4
    C = rng.standard_normal((_OUTPUTS, _STATES))
    return Inputs((A, B, C), (rng.standard_normal(_STATES), rng.uniform(0.5, 1.5, horizon)))


PROBLEM = Problem(
    name="lqr",
    title="optimal cost of linear-quadratic control, by a Riccati recursion through the backend's scan",
    source="the Riccati recursion in discrete time (Anderson and Moore 1990, section 2.4); sizes: steps",
    sizes={"small": 5, "medium": 100, "large": 1000},
    inputs=_inputs,
    objective=_best_cost,
    operators=SCALAR,
    reference={Operator.VALUE: _value, Operator.GRADIENT: _gradient},
    suites=frozenset({"tests"}),
    uses=("scan",),
)
