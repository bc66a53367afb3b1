"""The results of our engine at a point, and their confirmation by numerical differences.

The engine computes all operators. Two numerical differences tie its results to the function; they share no code with
any backend:

- along a random direction t, ``J t`` of the engine must be the difference of the function, entry by entry;
- along random s and t, ``s H t`` of the engine must be the second difference;
- the engine's gradient, vjp, Jacobian and Hessian must give the same products: ``<g, t>`` and ``(u J) t`` are ``J t``
  and ``u (J t)``.

A wrong entry would have to cancel in a product with random numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from autodiff_compare import backends
from autodiff_compare.execution.computation.preparation import prepared
from autodiff_compare.fuzzing.evidence.nearness import EPS, ROUNDINGS, flat, inner, near, shown
from autodiff_compare.fuzzing.evidence.point import STEP, Point
from autodiff_compare.judge import differences
from autodiff_compare.plan.cases import leaves
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import SECOND_ORDER, Operator

#: A difference above this part of an entry is no rounding.
_PLAIN = 0.05


class EngineResults:
    """The engine's results in float64, at a point as its dtype rounds it.

    Parameters
    ----------
    point
        The point.
    """

    def __init__(self, point: Point) -> None:
        self.point = point
        #: Operator -> the engine's result; empty if it has none.
        self.expected: Callable[[Operator], tuple[Array, ...]] = functools.cache(self._expected)

    def _expected(self, operator: Operator) -> tuple[Array, ...]:
        case = self.point.case(operator)
        if operator == Operator.VALUE:
            return (case.output,)
        try:
            point = self.point
            exact = prepared(_engine(), point.problem, (point.size, "float64", operator, point.seed))
            found = exact.timed.run(*case.inputs.arrays, *case.directions)
            return tuple(np.asarray(leaf) for leaf in leaves(found))
        except Exception:  # the judge goes the long way
            return ()

    def confirmed(self, operator: Operator) -> bool:
        """Return whether numerical differences confirm the engine's result of an operator."""
        if operator == Operator.VALUE:
            return True
        if not self._first_confirmed:
            return False
        found, tangents = self.expected(operator), self.point.case(Operator.JVP).directions
        along = self.expected(Operator.JVP)[0]
        if operator in SECOND_ORDER:
            return self._second_confirmed and (operator == Operator.HVP or self._rows_confirmed)
        if operator == Operator.VALUE_AND_GRADIENT:
            found = found[1:]
        if operator == Operator.JACOBIAN:
            products = [np.tensordot(j, t, t.ndim) for j, t in zip(found, tangents, strict=True)]
            return near(np.asarray(sum(products)), along, ROUNDINGS * EPS)
        if operator == Operator.JVP:
            return True
        (u,) = self.point.case(operator).directions or (np.ones(()),)
        return near(inner(found, tangents), np.asarray(np.sum(u * along)), ROUNDINGS * EPS)

    def agrees(self, operator: Operator, found: Sequence[Array]) -> bool:
        """Return whether an outcome equals the engine's, which numerical differences have confirmed."""
        expected = self.expected(operator)
        if len(found) != len(expected) or any(
            f.shape != e.shape or f.dtype != self.point.dtype for f, e in zip(found, expected, strict=True)
        ):
            return False
        tolerance = ROUNDINGS * float(np.finfo(self.point.dtype).eps)
        return self.confirmed(operator) and all(near(f, e, tolerance) for f, e in zip(found, expected, strict=True))

    def plain_defect(self, operator: Operator, found: Sequence[Array]) -> str:
        """Return the kind of a defect that is plain to see; empty if the judge must decide."""
        expected = self.expected(operator)
        if [f.shape for f in found] != [e.shape for e in expected] or not self.confirmed(operator):
            return ""
        finite = all(np.isfinite(f).all() for f in found)
        if not finite or all(near(f, e, _PLAIN) for f, e in zip(found, expected, strict=True)):
            return ""
        return "value" if operator == Operator.VALUE else "number"

    @functools.cached_property
    def _first_confirmed(self) -> bool:
        """Return whether ``J t`` of the engine is the numerical difference, entry by entry."""
        found = self.expected(Operator.JVP)
        if not found or not found[0].size:
            return bool(found)
        point = self.point
        t = flat(point.case(Operator.JVP).directions)
        seen = differences.first(point.f, point.x, STEP * t, np.eye(found[0].size))
        return shown(seen.divided(STEP), np.ravel(found[0]))

    @functools.cached_property
    def _second_confirmed(self) -> bool:
        """Return whether ``s H t`` of the engine is the second difference."""
        found = self.expected(Operator.HVP)
        if not found:
            return False
        point = self.point
        s, t = (flat(point.case(operator).directions) for operator in (Operator.JVP, Operator.HVP))
        seen = differences.second(point.f, point.x, STEP * s, STEP * t, np.ones((1, 1)))
        return shown(seen.divided(STEP**2), np.array([s @ flat(found)]))

    @functools.cached_property
    def _rows_confirmed(self) -> bool:
        """Return whether the rows of the engine's Hessian give the product that was confirmed."""
        tangents, rows = self.point.case(Operator.HVP).directions, self.expected(Operator.HESSIAN)
        n, product = len(tangents), self.expected(Operator.HVP)
        if len(rows) != n * n:
            return False
        sums = [sum(np.tensordot(rows[i * n + j], tangents[j], tangents[j].ndim) for j in range(n)) for i in range(n)]
        return all(near(np.asarray(a), b, ROUNDINGS * EPS) for a, b in zip(sums, product, strict=True))


@functools.cache
def _engine() -> backends.Backend:
    backend = backends.load("numpy")
    backend.open()
    return backend
