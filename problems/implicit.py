"""Solutions of equations as functions of their parameters, each differentiated in three ways at five tolerances.

The sizes of a problem are ways and tolerances, ``implicit-1e-4``: see `autodiff_compare.backends.operators.implicit`.
``small`` is the implicit derivative of a solution to the last digit. What a way or a tolerance loses is the error in
the tables: such a cell is ``wrong``, and its time is not ranked.

*Kepler.* E - e sin E = M gives (1 - e cos E) dE = dM + sin E de.

*Ridge.* The gradient descent w <- w - s (A'(A w - y) + r w) has the fixed point w = (A'A + r)^-1 A'y. With
H = A'A + r, dw/dr = -H^-1 w and dw/dy = H^-1 A'.

*Sinkhorn.* Entropic transport between two histograms a and b (Cuturi 2013): P = exp((f_i + g_j - C_ij)/t) has the sums
a and b. One iteration updates g and then f; f is known up to a constant, and is kept at f_0 = 0. The result is the
transport cost sum P C as a function of the costs C.

*Two levels.* Weights w minimise a logistic loss with a penalty exp(q_i) w_i^2 / 2 for each feature; the result is the
loss of w on other data, as a function of q (hyperparameters by gradient: Bengio 2000, Pedregosa 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import VECTOR, Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import solve
from autodiff_compare.vocabulary import Operator

_TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-9, 1e-12)
#: Number of a size -> the way and the tolerance.
_TRIES = [
    ("implicit", 2e-15),
    *((way, tolerance) for way in ("unrolled", "implicit", "one_step") for tolerance in _TOLERANCES),
]
_NAMES = ["small", *(f"{way}-{tolerance:.0e}".replace("e-0", "e-") for way, tolerance in _TRIES[1:])]
_SIZES = {name: n for n, name in enumerate(_NAMES)}
#: In units of eps: an iteration ends within 9 eps of a solution of size 1, and the Jacobian doubles that a few times.
_TOLERANCE = 64.0
_FIRST = frozenset({Operator.VALUE, Operator.GRADIENT, Operator.VALUE_AND_GRADIENT, Operator.JVP, Operator.VJP})
_TESTS = frozenset({"tests"})


def _settings(n: int, last: float = 2e-15) -> dict[str, Any]:
    """Return the way, the tolerance and the limit of a size; ``last`` is the tolerance of a solution to the last digit.

    What is left of Newton's method after a step of 1e-15 is nothing. A linear iteration leaves ``rate / (1 - rate)`` of
    its last step.
    """
    way, tolerance = _TRIES[n]
    return {"way": way, "tolerance": tolerance if n else last, "limit": 200}


# ---- Kepler's equation


def _kepler(e: Any, M: Any, *, solve_root: Callable[..., Any], way: str, tolerance: float, limit: int, xp: Any) -> Any:
    def equation(E: Any, e: Any, M: Any) -> Any:
        return E - e * xp.sin(E) - M

    return solve_root(equation, M, e, M, way=way, tolerance=tolerance, limit=limit)


def _anomaly(e: Array, M: Array) -> Array:
    """Return E to the last digit of the dtype: Newton's method converges for e < 1 from M + e."""
    E = M + e * np.sign(np.sin(M))
    for _ in range(60):
        E = E - (E - e * np.sin(E) - M) / (1 - e * np.cos(E))
    found: Array = E
    return found


def _kepler_jacobian(e: Array, M: Array, **_: Any) -> tuple[Array, Array]:
    E = _anomaly(e, M)
    slope = 1 / (1 - e * np.cos(E))
    return np.diag(np.sin(E) * slope), np.diag(slope)


def _kepler_inputs(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.uniform(0.1, 0.7, 4), rng.uniform(0.3, 2.5, 4)), (), _settings(n))


# ---- ridge regression by a fixed point


def _ridge(
    r: Any,
    y: Any,
    A: Any,
    step: Any,
    *,
    solve_fixed_point: Callable[..., Any],
    way: str,
    tolerance: float,
    limit: int,
    xp: Any,
) -> Any:
    def descend(w: Any, r: Any, y: Any) -> Any:
        residual = xp.matmul(A, w) - y
        return w - step * (xp.matmul(xp.matrix_transpose(A), residual) + r * w)

    return solve_fixed_point(descend, A[0, :] * 0, r, y, way=way, tolerance=tolerance, limit=limit)


def _ridge_solution(r: Array, y: Array, A: Array) -> tuple[Array, Array]:
    """Return w and H^-1, with H = A'A + r."""
    identity = np.eye(A.shape[1], dtype=A.dtype)
    inverse = solve(A.T @ A + r * identity, identity)
    return inverse @ (A.T @ y), inverse


def _ridge_jacobian(r: Array, y: Array, A: Array, step: Array, **_: Any) -> tuple[Array, Array]:  # noqa: ARG001
    w, inverse = _ridge_solution(r, y, A)
    return -inverse @ w, inverse @ A.T


def _ridge_inputs(rng: np.random.Generator, n: int) -> Inputs:
    A = rng.normal(size=(8, 3))
    # No eigenvalue of A'A exceeds the largest row sum, so that the descent contracts.
    step = 1 / (np.abs(A.T @ A).sum(axis=1).max() + 12)
    return Inputs(
        (np.asarray(rng.uniform(8.0, 12.0)), rng.normal(size=8)), (A, np.asarray(step)), _settings(n, last=2e-17)
    )


# ---- entropic optimal transport


def _sinkhorn(
    C: Any, a: Any, b: Any, *, solve_fixed_point: Callable[..., Any], way: str, tolerance: float, limit: int, xp: Any
) -> Any:
    t = 0.5

    def column(f: Any, C: Any) -> Any:
        return t * (xp.log(b) - xp.log(xp.sum(xp.exp((f[:, None] - C) / t), axis=0)))

    def iterate(f: Any, C: Any) -> Any:
        new = t * (xp.log(a) - xp.log(xp.sum(xp.exp((column(f, C)[None, :] - C) / t), axis=1)))
        return new - new[0]

    f = solve_fixed_point(iterate, a * 0, C, way=way, tolerance=tolerance, limit=limit)
    plan = xp.exp((f[:, None] + column(f, C)[None, :] - C) / t)
    return xp.sum(plan * C)


def _sinkhorn_inputs(rng: np.random.Generator, n: int) -> Inputs:
    a, b = rng.dirichlet(np.full(4, 4.0)), rng.dirichlet(np.full(5, 4.0))
    return Inputs((rng.uniform(0.2, 1.2, (4, 5)),), (a, b), _settings(n))


# ---- hyperparameters of a logistic regression


def _two_levels(
    q: Any,
    X: Any,
    y: Any,
    X2: Any,
    y2: Any,
    *,
    solve_root: Callable[..., Any],
    way: str,
    tolerance: float,
    limit: int,
    xp: Any,
) -> Any:
    def slope(w: Any, q: Any) -> Any:
        wrong = -y / (1 + xp.exp(y * xp.matmul(X, w)))
        return xp.matmul(xp.matrix_transpose(X), wrong) + xp.exp(q) * w

    w = solve_root(slope, q * 0, q, way=way, tolerance=tolerance, limit=limit)
    return xp.mean(xp.log(1 + xp.exp(-y2 * xp.matmul(X2, w))))


def _two_levels_inputs(rng: np.random.Generator, n: int) -> Inputs:
    X, truth = rng.normal(size=(24, 3)), rng.normal(size=3)
    y = np.sign(np.sum(X * truth, axis=1) + rng.normal(size=24))
    return Inputs((rng.uniform(-1.0, 1.0, 3),), (X[:12], y[:12], X[12:], y[12:]), _settings(n))


PROBLEMS = (
    Problem(
        name="kepler",
        title="Kepler's equation E - e sin E = M, solved for E",
        source="dE/dM = 1 / (1 - e cos E), dE/de = sin E / (1 - e cos E)",
        sizes=_SIZES,
        inputs=_kepler_inputs,
        objective=_kepler,
        operators=VECTOR,
        reference={Operator.VALUE: lambda e, M, **_: _anomaly(e, M), Operator.JACOBIAN: _kepler_jacobian},
        tolerance=_TOLERANCE,
        suites=_TESTS,
        uses=("solve_root",),
    ),
    Problem(
        name="ridge",
        title="ridge regression by the fixed point of a gradient descent, in penalty and targets",
        source="w = (A'A + r)^-1 A'y, dw/dr = -(A'A + r)^-1 w",
        sizes=_SIZES,
        inputs=_ridge_inputs,
        objective=_ridge,
        operators=VECTOR,
        reference={
            Operator.VALUE: lambda r, y, A, step, **_: _ridge_solution(r, y, A)[0],  # noqa: ARG005
            Operator.JACOBIAN: _ridge_jacobian,
        },
        tolerance=_TOLERANCE,
        suites=_TESTS,
        uses=("solve_fixed_point",),
    ),
    Problem(
        name="sinkhorn",
        title="cost of entropic optimal transport by Sinkhorn's iteration, in the costs",
        source="Cuturi, Sinkhorn Distances (2013); the derivative by numerical differences",
        sizes=_SIZES,
        inputs=_sinkhorn_inputs,
        objective=_sinkhorn,
        operators=_FIRST,
        tolerance=_TOLERANCE,
        suites=_TESTS,
        uses=("solve_fixed_point",),
    ),
    Problem(
        name="two_levels",
        title="validation loss of a logistic regression, in the logarithms of its penalties",
        source="Bengio, Gradient-Based Optimization of Hyperparameters (2000); the derivative by numerical differences",
        sizes=_SIZES,
        inputs=_two_levels_inputs,
        objective=_two_levels,
        operators=_FIRST,
        tolerance=_TOLERANCE,
        suites=_TESTS,
        uses=("solve_root",),
    ),
)
