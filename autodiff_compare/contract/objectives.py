"""Clauses about variables inside of objectives and studies: loops while preparing, comparisons, a descent.

They separate kinds of systems. A graph is built before its numbers are known; variables that wrap arrays may have no
comparisons; variables of any kind need no ``float()``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends import Unsupported
from autodiff_compare.contract.clause import Broken, Clause, close
from autodiff_compare.problems import Adaptive, Descent, Inputs, Problem
from autodiff_compare.studies.descent import descend
from autodiff_compare.vocabulary import DTYPES, Operator, Optimizer


def _prepared(b: Any, operator: Operator, f: Any, points: list[list[Any]]) -> Any:
    """Prepare an operator at the first point and return its result at the second."""
    first, second = ([b.to_var(np.asarray(a)) for a in point] for point in points)
    return b.block(b.prepare(operator, f, first, argnums=tuple(range(len(first))))(*second))


def _scan_inside(b: Any) -> None:
    points = [[2.0, [0.5, 1.5, -1.0]], [0.5, [1.0, 2.0, 3.0]]]
    last = _prepared(b, Operator.VALUE, lambda c, xs: b.scan(lambda c, x: (c * x, None), c, xs)[0], points)
    close(b.to_numpy(last), 3.0, "a product by a scan")
    squares = _prepared(b, Operator.VALUE, lambda c, xs: b.scan(lambda c, x: (c * x, c * c), c, xs)[1], points)
    close(b.to_numpy(squares), [0.25, 0.25, 1.0], "the outputs c^2 of a scan")
    product = _prepared(b, Operator.GRADIENT, lambda c, xs: b.scan(lambda c, x: (c * x, None), c, xs)[0], points)
    close(b.to_numpy(product[0]), 6.0, "the gradient of a product by its start")
    close(b.to_numpy(product[1]), [3.0, 1.5, 1.0], "the gradient of a product by its factors")


def _comparisons(b: Any) -> None:
    xp = b.xp

    def chosen(x: Any, y: Any) -> Any:
        return xp.sum(xp.where(x < y, x, 2.0 * y)) + xp.sum(xp.where(x >= 2.0, y, x))

    # At x = (1, 5), y = (2, 3): (1 + 2 3) + (1 + 3).
    try:
        found = _prepared(b, Operator.VALUE, chosen, [[[4.0, 1.0], [0.5, 2.0]], [[1.0, 5.0], [2.0, 3.0]]])
    except (NotImplementedError, TypeError) as error:
        raise Unsupported(str(error) or "its variables have no comparisons") from error
    close(b.to_numpy(found), 11.0, "where(x < y, x, 2 y) + where(x >= 2, y, x)")


def _bowl() -> Problem:
    """Return sum (x - a)^2 with three updates of the adaptive rule, whose step sizes are .1, .12 and .144."""
    start = Inputs((np.array([1.0, -2.0]),), (np.array([0.5, 1.0]),))
    adaptive = Adaptive(lambda _: np.random.RandomState(0))
    return Problem(
        name="bowl",
        title="sum of squares about a point",
        source="the contract of backends/interface.py",
        sizes={"small": 2},
        inputs=lambda rng, n: start,  # noqa: ARG005 - a fixed point
        objective=lambda x, a, *, xp: xp.sum((x - a) * (x - a)),
        descent={
            "adaptive": Descent(Optimizer("sgd", 0.1), lambda _: start, max_iterations=3, adaptive=adaptive),
        },
        suites=frozenset(),
    )


def _descent(b: Any) -> None:
    """Take three steps ``x - alpha 2 (x - a)``: the distance from a shrinks by 1 - 2 alpha."""
    point, centre = np.array([1.0, -2.0]), np.array([0.5, 1.0])
    for dtype in (d for d in DTYPES if d in b.dtypes):
        trace = descend(b, _bowl(), "adaptive", 0, dtype)
        if trace.iterations != 3:
            raise Broken(f"got {trace.iterations} updates, expected 3")
        close(trace.last_point[0], centre + 0.8 * 0.76 * 0.712 * (point - centre), "x after three updates", dtype)


OBJECTIVES: tuple[Clause, ...] = (
    Clause("scan in a prepared function", "build it of xp alone: a graph has no numbers yet", _scan_inside, True),
    Clause("comparisons between variables", "return truth values that xp.where takes", _comparisons, True),
    Clause("a descent by x - alpha g", "variables need -, * and to_numpy, and no float()", _descent, True),
)
