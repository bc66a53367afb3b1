"""Solutions of equations inside an objective, and three ways to differentiate them.

Let x solve ``f(x, p) = 0``, with Jacobians F = df/dx and P = df/dp. By the implicit function theorem dx/dp = -F^-1 P.
The ways differ in what a backend differentiates:

- ``unrolled``: every iteration, from the start. The error of the derivative is about that of the iterations, once more.
- ``implicit``: nothing but the equation, at the solution. A step ``y = x - F^-1 f(x, p)`` with x and F held constant
  has the value x, as ``f(x, p) = 0``, and the derivative ``-F^-1 P``.
- ``one_step``: the last iteration alone (Bolte, Pauwels and Vaiter 2023, "One-step differentiation of iterative
  algorithms"). A step of Newton's method differs from that of ``implicit`` by dF^-1 f, which vanishes with f. One
  iteration ``x = g(x, p)`` of a fixed point gives dg/dp, and leaves out the factor ``(1 - dg/dx)^-1``: its relative
  error is the rate of the iteration.

A fixed point ``x = g(x, p)`` is the root of ``g(x, p) - x``. First derivatives are exact; second ones are not, as F is
held constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, final

from autodiff_compare.backends.operators.objective import Function, Var

Way = Literal["unrolled", "implicit", "one_step"]
WAYS: tuple[Way, ...] = ("unrolled", "implicit", "one_step")


class Solver(Protocol):
    """The members of a backend that solutions are computed with."""

    xp: Any

    def stop_gradient(self, x: Var) -> Var: ...

    def derivative(self, f: Function, mode: Literal["reverse", "forward"] = "reverse") -> Function: ...

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, limit: int) -> Any: ...


class Solutions:
    """The members ``solve_root`` and ``solve_fixed_point`` of a backend, made of its other members."""

    @final
    def solve_root(
        self: Solver,
        f: Function,
        start: Var,
        *parameters: Var,
        way: Way = "implicit",
        tolerance: float = 1e-12,
        limit: int = 100,
    ) -> Var:
        """Return the root x of ``f(x, *parameters)`` by Newton's method, differentiable in the parameters.

        Parameters
        ----------
        f
            Returns an array shaped like x.
        start
            First x, (n,).
        parameters
            Arrays that the root depends on. Other arrays in ``f`` must be constants.
        way
            What is differentiated: ``unrolled``, ``implicit`` or ``one_step``, as the module explains.
        tolerance
            The iteration ends with a step whose largest entry is no longer than this, or after ``limit`` steps.

        Raises
        ------
        ValueError
            If there is no such way.
        """

        def newton(x: Var, *p: Var) -> Var:
            return x - _solved(self, _jacobian(self, f, x, p), f(x, *p))

        return _differentiated(self, newton, f, start, parameters, way, tolerance, limit)

    @final
    def solve_fixed_point(
        self: Solver,
        g: Function,
        start: Var,
        *parameters: Var,
        way: Way = "implicit",
        tolerance: float = 1e-12,
        limit: int = 1000,
    ) -> Var:
        """Return the fixed point x of ``x = g(x, *parameters)`` by iteration; otherwise as `solve_root`."""

        def residual(x: Var, *p: Var) -> Var:
            return g(x, *p) - x

        return _differentiated(self, g, residual, start, parameters, way, tolerance, limit)


def _differentiated(
    b: Solver,
    step: Function,
    equation: Function,
    start: Var,
    parameters: Sequence[Var],
    way: Way,
    tolerance: float,
    limit: int,
) -> Var:
    """Iterate until a step is shorter than ``tolerance``, and return the solution with the derivative of ``way``."""
    if way not in WAYS:
        raise ValueError(f"got way {way!r} to differentiate a solution, expected one of: {', '.join(WAYS)}")
    xp, unrolled = b.xp, way == "unrolled"
    seen = list(parameters) if unrolled else [b.stop_gradient(p) for p in parameters]

    def advance(state: tuple[Var, Var]) -> tuple[Var, Var]:
        x, _ = state
        new = step(x, *seen) if unrolled else b.stop_gradient(step(x, *seen))
        return new, b.stop_gradient(xp.max(xp.abs(new - x)))

    begin = start if unrolled else b.stop_gradient(start)
    longest = xp.max(xp.abs(b.stop_gradient(begin))) * 0 + 2 * tolerance
    x, _ = b.while_loop(lambda state: state[1] > tolerance, advance, (begin, longest), limit)
    if unrolled:
        return x
    x = b.stop_gradient(x)
    if way == "one_step":
        return step(x, *parameters)
    return x - _solved(b, b.stop_gradient(_jacobian(b, equation, x, seen)), equation(x, *parameters))


def _jacobian(b: Solver, f: Function, x: Var, parameters: Sequence[Var]) -> Var:
    """Return df/dx, (n, n), row by row: the gradient of each entry."""
    rows = [b.derivative(lambda z, i=i: f(z, *parameters)[i])(x) for i in range(x.shape[0])]
    return b.xp.stack(rows)


def _solved(b: Solver, matrix: Var, right: Var) -> Var:
    xp = b.xp
    return xp.reshape(xp.linalg.solve(matrix, xp.reshape(right, (-1, 1))), (-1,))
