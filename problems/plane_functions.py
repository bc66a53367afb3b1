"""Test functions of optimisation in two variables, summed over n points.

Minimisers without a closed form were computed by Newton's method in sixty digits.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array
from autodiff_compare.problems.base.optimisation_functions import OptimisationFunction, plane_problem


def _beale(x: Any, y: Any, xp: Any) -> Any:  # noqa: ARG001
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _booth(x: Any, y: Any, xp: Any) -> Any:  # noqa: ARG001
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def _himmelblau(x: Any, y: Any, xp: Any) -> Any:  # noqa: ARG001
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _three_hump_camel(x: Any, y: Any, xp: Any) -> Any:  # noqa: ARG001
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


def _six_hump_camel(x: Any, y: Any, xp: Any) -> Any:  # noqa: ARG001
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


def _bohachevsky(x: Any, y: Any, xp: Any) -> Any:
    return x**2 + 2 * y**2 - 0.3 * xp.cos(3 * math.pi * x) - 0.4 * xp.cos(4 * math.pi * y) + 0.7


def _easom(x: Any, y: Any, xp: Any) -> Any:
    return -xp.cos(x) * xp.cos(y) * xp.exp(-((x - math.pi) ** 2) - (y - math.pi) ** 2)


def _mccormick(x: Any, y: Any, xp: Any) -> Any:
    return xp.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1


def _branin(x: Any, y: Any, xp: Any) -> Any:
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * xp.cos(x) + 10


def _bukin6(x: Any, y: Any, xp: Any) -> Any:
    return 100 * xp.sqrt(xp.abs(y - 0.01 * x**2)) + 0.01 * xp.abs(x + 10)


def _cross_in_tray(x: Any, y: Any, xp: Any) -> Any:
    # -0.0001 (|sin x sin y exp(a)| + 1)^0.1, with exp(a) factored out of the power: e^100 is infinite in float32.
    a = xp.abs(100 - xp.sqrt(x**2 + y**2) / math.pi)
    return -0.0001 * xp.exp(a / 10) * (xp.abs(xp.sin(x) * xp.sin(y)) + xp.exp(-a)) ** 0.1


def _eggholder(x: Any, y: Any, xp: Any) -> Any:
    high = y + 47
    return -high * xp.sin(xp.sqrt(xp.abs(x / 2 + high))) - x * xp.sin(xp.sqrt(xp.abs(x - high)))


def _holder_table(x: Any, y: Any, xp: Any) -> Any:
    return -xp.abs(xp.sin(x) * xp.cos(y) * xp.exp(xp.abs(1 - xp.sqrt(x**2 + y**2) / math.pi)))


def _schaffer2(x: Any, y: Any, xp: Any) -> Any:
    return 0.5 + (xp.sin(x**2 - y**2) ** 2 - 0.5) / (1 + 0.001 * (x**2 + y**2)) ** 2


def _schaffer4(x: Any, y: Any, xp: Any) -> Any:
    return 0.5 + (xp.cos(xp.sin(xp.abs(x**2 - y**2))) ** 2 - 0.5) / (1 + 0.001 * (x**2 + y**2)) ** 2


def _away_from_ridge(x: Array, y: Array) -> Array:
    return np.asarray((np.abs(y - 0.01 * x**2) > 0.1) & (np.abs(x + 10) > 0.1))


def _away_from_cross(x: Array, y: Array) -> Array:
    return np.asarray((np.abs(np.sin(x)) > 0.1) & (np.abs(np.sin(y)) > 0.1))


def _away_from_eggholder_kinks(x: Array, y: Array) -> Array:
    return np.asarray((np.abs(x / 2 + y + 47) > 5) & (np.abs(x - y - 47) > 5))


def _away_from_holder_table_kinks(x: Array, y: Array) -> Array:
    r = np.hypot(x, y)
    return np.asarray((np.abs(np.sin(x)) > 0.1) & (np.abs(np.cos(y)) > 0.1) & (np.abs(r - math.pi) > 0.1) & (r > 0.1))


def _away_from_diagonals(x: Array, y: Array) -> Array:
    return np.asarray(np.abs(x**2 - y**2) > 0.1)


def _with_all_signs(x: float, y: float) -> list[tuple[float, float]]:
    return [(sx * x, sy * y) for sx, sy in product((1, -1), repeat=2)]


FUNCTIONS = (
    OptimisationFunction("beale", "Beale: sum of (c_k - x + x y^k)^2", _beale, (-4.5, 4.5), (3, 0.5)),
    OptimisationFunction("booth", "(x + 2y - 7)^2 + (2x + y - 5)^2", _booth, (-10, 10), (1, 3)),
    OptimisationFunction(
        "himmelblau",
        "(x^2 + y - 11)^2 + (x + y^2 - 7)^2: four equal minima",
        _himmelblau,
        (-5, 5),
        [
            (3, 2),
            (-2.8051180869527448531, 3.1313125182505729658),
            (-3.7793102533777468919, -3.2831859912861694123),
            (3.5844283403304917449, -1.8481265269644035534),
        ],
        source="Himmelblau, Applied Nonlinear Programming (1972)",
    ),
    OptimisationFunction(
        "three_hump_camel", "2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2", _three_hump_camel, (-5, 5), (0, 0)
    ),
    OptimisationFunction(
        "six_hump_camel",
        "(4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (4 y^2 - 4) y^2",
        _six_hump_camel,
        ((-3, -2), (3, 2)),
        [(0.089842013100318062422, -0.71265640302073963340), (-0.089842013100318062422, 0.71265640302073963340)],
        -1.0316284534898773504,
    ),
    OptimisationFunction(
        "bohachevsky",
        "Bohachevsky 1: x^2 + 2 y^2 - 0.3 cos 3 pi x - 0.4 cos 4 pi y + 0.7",
        _bohachevsky,
        (-100, 100),
        (0, 0),
        # Farther out, the cosines are lost in float32's rounding of pi x.
        drawn=(-10, 10),
    ),
    OptimisationFunction(
        "easom",
        "-cos x cos y exp(-(x - pi)^2 - (y - pi)^2): a narrow well in a plain",
        _easom,
        (-100, 100),
        (math.pi, math.pi),
        -1.0,
        # In most of the domain the function underflows.
        drawn=(1, 5),
    ),
    OptimisationFunction(
        "mccormick",
        "sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1",
        _mccormick,
        ((-1.5, -3), (4, 4)),
        (0.5 - math.pi / 3, -0.5 - math.pi / 3),
        -math.sqrt(3) / 2 - math.pi / 3,
    ),
    OptimisationFunction(
        "branin",
        "Branin and Hoo: three equal minima in a curved valley",
        _branin,
        ((-5, 0), (10, 15)),
        [(-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)],
        5 / (4 * math.pi),
    ),
    OptimisationFunction(
        "bukin6",
        "Bukin 6: 100 sqrt|y - 0.01 x^2| + 0.01 |x + 10|, a ridge with a kink along it",
        _bukin6,
        ((-15, -3), (-5, 3)),
        (-10, 1),
        smooth=False,
        clear=_away_from_ridge,
    ),
    OptimisationFunction(
        "cross_in_tray",
        "-0.0001 (|sin x sin y exp|100 - r / pi|| + 1)^0.1",
        _cross_in_tray,
        (-10, 10),
        # On the diagonal x = y, a stationary point has 2 cot x = sqrt(2) / pi.
        _with_all_signs(math.atan(math.sqrt(2) * math.pi), math.atan(math.sqrt(2) * math.pi)),
        -2.0626118708227368778,
        clear=_away_from_cross,
    ),
    OptimisationFunction(
        "eggholder",
        "-(y + 47) sin sqrt|x / 2 + y + 47| - x sin sqrt|x - y - 47|: minimum on the boundary",
        _eggholder,
        (-512, 512),
        (512, 404.23180511375781093),
        -959.64066272085080283,
        clear=_away_from_eggholder_kinks,
    ),
    OptimisationFunction(
        "holder_table",
        "-|sin x cos y exp|1 - r / pi||",
        _holder_table,
        (-10, 10),
        _with_all_signs(8.0550234757365634198, 9.6645900192412728900),
        -19.208502567886731832,
        clear=_away_from_holder_table_kinks,
    ),
    OptimisationFunction(
        "schaffer2",
        "Schaffer 2: 0.5 + (sin^2(x^2 - y^2) - 0.5) / (1 + 0.001 r^2)^2",
        _schaffer2,
        (-100, 100),
        (0, 0),
        drawn=(-5, 5),
    ),
    OptimisationFunction(
        "schaffer4",
        "Schaffer 4: 0.5 + (cos^2(sin|x^2 - y^2|) - 0.5) / (1 + 0.001 r^2)^2",
        _schaffer4,
        (-100, 100),
        [(0, s * 1.2531318314637332016) for s in (1, -1)] + [(s * 1.2531318314637332016, 0) for s in (1, -1)],
        0.29257863203598054901,
        drawn=(-5, 5),
        clear=_away_from_diagonals,
    ),
)

PROBLEMS = tuple(map(plane_problem, FUNCTIONS))
