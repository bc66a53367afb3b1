"""Functions of two variables, summed over n points: sphere, Matyas, Goldstein-Price, and equal inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Optimum, Problem
from autodiff_compare.vocabulary import Operator

Pair = tuple[Array, Array]


def _sphere(x: Any, y: Any, *, xp: Any) -> Any:
    return xp.sum(x * x + y * y)


def _matyas(x: Any, y: Any, *, xp: Any) -> Any:
    return xp.sum(0.26 * (x * x + y * y) - 0.48 * x * y)


def _goldstein_price(x: Any, y: Any, *, xp: Any) -> Any:
    near = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    far = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return xp.sum(near * far)


def _unequal_roles(x: Any, y: Any, *, xp: Any) -> Any:
    return xp.sum(x * x * y)


def _diagonal(entries: Array) -> Array:
    return np.diag(np.ravel(entries))


def _blocks(second: Callable[[Array, Array], tuple[Array, Array, Array]]) -> Callable[..., tuple[Pair, Pair]]:
    """Return diagonal Hessian blocks from ``second(x, y) = (f_xx, f_xy, f_yy)``: the points are independent."""

    def hessian(x: Array, y: Array) -> tuple[Pair, Pair]:
        xx, xy, yy = (_diagonal(entries) for entries in second(x, y))
        return (xx, xy), (xy, yy)

    return hessian


# With s = x + y + 1 and m = 2x - 3y each factor of f = near * far is a function of one variable:
#   near = 1 + s^2 p(s), p(s) = 3 s^2 - 20 s + 36;    far = 30 + m^2 q(m), q(m) = 3 m^2 - 16 m + 18.
# The chain rule with ds = (1, 1) and dm = (2, -3) gives all derivatives of f:
#   f_x = near' far + 2 near far',    f_y = near' far - 3 near far',
#   f_xx = near'' far + 4 near' far' + 4 near far'',  and f_xy, f_yy likewise.
def _factors(x: Array, y: Array) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    """Return (near, near', near'') in s and (far, far', far'') in m."""
    s, m = x + y + 1, 2 * x - 3 * y
    near = (1 + s * s * (36 + s * (3 * s - 20)), s * (72 + s * (12 * s - 60)), 72 + s * (36 * s - 120))
    far = (30 + m * m * (18 + m * (3 * m - 16)), m * (36 + m * (12 * m - 48)), 36 + m * (36 * m - 96))
    return near, far


def _goldstein_price_value(x: Array, y: Array) -> Array:
    (near, _, _), (far, _, _) = _factors(x, y)
    return np.asarray(np.sum(near * far))


def _goldstein_price_gradient(x: Array, y: Array) -> Pair:
    (near, near1, _), (far, far1, _) = _factors(x, y)
    return near1 * far + 2 * near * far1, near1 * far - 3 * near * far1


def _goldstein_price_second(x: Array, y: Array) -> tuple[Array, Array, Array]:
    (near, near1, near2), (far, far1, far2) = _factors(x, y)
    cross = near1 * far1
    return (
        near2 * far + 4 * cross + 4 * near * far2,
        near2 * far - cross - 6 * near * far2,
        near2 * far - 6 * cross + 9 * near * far2,
    )


def _points(rng: np.random.Generator, n: int) -> Inputs:
    x, y = rng.uniform(-2.0, 2.0, (2, n))
    return Inputs((x, y))


def _equal_points(rng: np.random.Generator, n: int) -> Inputs:
    x = rng.uniform(0.5, 2.0, n)
    return Inputs((x, x.copy()))


def _around(box: float, minimiser: tuple[float, float], minimum: float = 0.0) -> Callable[[int], Optimum]:
    """Return the optimum in the square [-box, box]^2."""
    return lambda d: Optimum(np.full(d, -box), np.full(d, box), np.array([minimiser]), minimum)


_CLASSIC_TESTS = frozenset({"classic", "tests"})
_SIZES = {"small": 1, "medium": 30, "large": 300}
_TEST_FUNCTION = "Virtual Library of Simulation Experiments (Surjanovic and Bingham): test functions"

PROBLEMS = (
    Problem(
        name="sphere",
        title="x^2 + y^2",
        source=_TEST_FUNCTION,
        sizes=_SIZES,
        inputs=_points,
        objective=_sphere,
        reference={
            Operator.VALUE: lambda x, y: np.sum(x**2) + np.sum(y**2),
            Operator.GRADIENT: lambda x, y: (2 * x, 2 * y),
            Operator.HESSIAN: _blocks(lambda x, y: (2 + 0 * x, 0 * x, 2 + 0 * y)),
        },
        suites=_CLASSIC_TESTS,
        optimum=_around(5.12, (0.0, 0.0)),
    ),
    Problem(
        name="matyas",
        title="0.26 (x^2 + y^2) - 0.48 x y",
        source=_TEST_FUNCTION,
        sizes=_SIZES,
        inputs=_points,
        objective=_matyas,
        reference={
            Operator.VALUE: lambda x, y: np.sum(0.25 * (x - y) ** 2 + 0.01 * (x**2 + y**2) + 0.02 * x * y),
            Operator.GRADIENT: lambda x, y: (0.52 * x - 0.48 * y, 0.52 * y - 0.48 * x),
            Operator.HESSIAN: _blocks(lambda x, y: (0.52 + 0 * x, -0.48 + 0 * x, 0.52 + 0 * y)),
        },
        suites=_CLASSIC_TESTS,
        optimum=_around(10.0, (0.0, 0.0)),
    ),
    Problem(
        name="goldstein_price",
        title="Goldstein and Price: a polynomial of degree 8",
        source=f"{_TEST_FUNCTION}; closed forms through s = x + y + 1 and m = 2x - 3y",
        sizes=_SIZES,
        inputs=_points,
        objective=_goldstein_price,
        reference={
            Operator.VALUE: _goldstein_price_value,
            Operator.GRADIENT: _goldstein_price_gradient,
            Operator.HESSIAN: _blocks(_goldstein_price_second),
        },
        suites=_CLASSIC_TESTS,
        optimum=_around(2.0, (0.0, -1.0), 3.0),
    ),
    Problem(
        name="equal_inputs",
        title="x^2 y at x = y: two inputs of equal value",
        source="a trap: an engine that identifies variables by value merges them; gradient (2 x y, x^2)",
        sizes=_SIZES,
        inputs=_equal_points,
        objective=_unequal_roles,
        reference={
            Operator.VALUE: lambda x, y: np.sum(x**2 * y),
            Operator.GRADIENT: lambda x, y: (2 * x * y, x * x),
            Operator.HESSIAN: _blocks(lambda x, y: (2 * y, 2 * x, 0 * x)),
        },
    ),
)
