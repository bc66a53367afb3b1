"""Solutions of equations inside an objective, and three ways to differentiate them.

Let x solve ``f(x, p) = 0``, with Jacobians F = df/dx and P = df/dp. By the implicit function theorem dx/dp = -F^-1 P.
The ways differ in what a backend differentiates:

- ``unrolled``: every iteration, from the start. The error of the derivative is about that of the iterations, once more.
- ``implicit``: nothing but the equation, at the solution. A step ``y = x - F^-1 f(x, p)`` with x and F held constant
  has the value x, as ``f(x, p) = 0``, and the derivative ``-F^-1 P``: y(p) follows x(p) with an error e of second order
  in p. A further step from y, with the same F, leaves ``e - F^-1 F(y, p) e``, in which ``1 - F^-1 F(y, p)`` is of first
  order: each further step makes the derivatives of one more order exact.
- ``one_step``: the last iteration alone (Bolte, Pauwels and Vaiter 2023, "One-step differentiation of iterative
  algorithms"). A step of Newton's method differs from that of ``implicit`` by dF^-1 f, which vanishes with f. One
  iteration ``x = g(x, p)`` of a fixed point gives dg/dp, and leaves out the factor ``(1 - dg/dx)^-1``: its relative
  error is the rate of the iteration.

A fixed point ``x = g(x, p)`` is the root of ``g(x, p) - x``. Second derivatives are exact by ``implicit`` and
``unrolled``. Those of ``one_step`` are wrong: it holds x constant, and leaves out what curves with x.
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
        order: int = 2,
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
        order
            Derivatives up to this order are exact by ``implicit``; each order takes one more evaluation of ``f``.

        Raises
        ------
        ValueError
            If there is no such way, or no such order.
        """

        def newton(x: Var, *p: Var) -> Var:
            return x - _solved(self, _jacobian(self, f, x, p), f(x, *p))

        x = _iterated(self, newton, start, parameters, way, tolerance, limit)
        return _differentiated(self, newton, f, x, parameters, way, order)

    @final
    def solve_fixed_point(
        self: Solver,
        g: Function,
        start: Var,
        *parameters: Var,
        way: Way = "implicit",
        tolerance: float = 1e-12,
        limit: int = 1000,
        order: int = 2,
    ) -> Var:
        """Return the fixed point x of ``x = g(x, *parameters)`` by iteration; otherwise as `solve_root`."""

        def residual(x: Var, *p: Var) -> Var:
            return g(x, *p) - x

        x = _iterated(self, g, start, parameters, way, tolerance, limit)
        return _differentiated(self, g, residual, x, parameters, way, order)


def _iterated(
    b: Solver, step: Function, start: Var, parameters: Sequence[Var], way: Way, tolerance: float, limit: int
) -> Var:
    """Iterate until a step is shorter than ``tolerance``; the result is a constant unless the way is ``unrolled``."""
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
    return x if unrolled else b.stop_gradient(x)


def _differentiated(
    b: Solver, step: Function, equation: Function, x: Var, parameters: Sequence[Var], way: Way, order: int
) -> Var:
    """Return a solution with the derivatives of ``way``."""
    if order < 1:
        raise ValueError(f"got order={order!r} of the derivatives of a solution, expected a whole number from 1")
    if way == "unrolled":
        return x
    if way == "one_step":
        return step(x, *parameters)
    stop = b.stop_gradient
    matrix = stop(_jacobian(b, equation, x, [stop(p) for p in parameters]))
    y = x - _solved(b, matrix, equation(x, *parameters))
    for _ in range(order - 1):
        # Taken at x, not at y, so that values and first derivatives are what the tolerance leaves of them.
        left = equation(x + (y - stop(y)), *parameters)
        y = y - _solved(b, matrix, left - stop(left))
    return y


def _jacobian(b: Solver, f: Function, x: Var, parameters: Sequence[Var]) -> Var:
    """Return df/dx, (n, n), row by row: the gradient of each entry."""
    rows = [b.derivative(lambda z, i=i: f(z, *parameters)[i])(x) for i in range(x.shape[0])]
    return b.xp.stack(rows)


def _solved(b: Solver, matrix: Var, right: Var) -> Var:
    xp = b.xp
    return xp.reshape(xp.linalg.solve(matrix, xp.reshape(right, (-1, 1))), (-1,))
