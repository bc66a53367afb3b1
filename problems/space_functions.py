"""Test functions of optimisation in n variables, some of them in three to six only.

Minimisers without a closed form were computed by Newton's method in forty digits or more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array
from autodiff_compare.problems.base.optimisation_functions import OptimisationFunction, space_problem

_MORE = "More, Garbow and Hillstrom, Testing Unconstrained Optimization Software (1981)"


def _indices(x: Any, xp: Any, start: int = 1) -> Any:
    """Return start, start + 1, ..., n in the dtype of ``x``."""
    return xp.arange(start, x.shape[0] + 1, dtype=x.dtype)


def _rosenbrock(x: Any, xp: Any) -> Any:
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _ackley(x: Any, xp: Any) -> Any:
    waves = xp.mean(xp.cos(2 * math.pi * x))
    return -20 * xp.exp(-0.2 * xp.sqrt(xp.mean(x**2))) - xp.exp(waves) + 20 + math.e


def _rastrigin(x: Any, xp: Any) -> Any:
    return xp.sum(x**2 - 10 * xp.cos(2 * math.pi * x) + 10)


def _styblinski_tang(x: Any, xp: Any) -> Any:
    return xp.sum(x**4 - 16 * x**2 + 5 * x) / 2


def _levy(x: Any, xp: Any) -> Any:
    w = 1 + (x - 1) / 4
    inner = (w[:-1] - 1) ** 2 * (1 + 10 * xp.sin(math.pi * w[:-1] + 1) ** 2)
    last = (w[-1] - 1) ** 2 * (1 + xp.sin(2 * math.pi * w[-1]) ** 2)
    return xp.sin(math.pi * w[0]) ** 2 + xp.sum(inner) + last


def _griewank(x: Any, xp: Any) -> Any:
    return xp.sum(x**2) / 4000 - xp.prod(xp.cos(x / xp.sqrt(_indices(x, xp)))) + 1


def _schwefel(x: Any, xp: Any) -> Any:
    return xp.sum(418.98288727243370627 - x * xp.sin(xp.sqrt(xp.abs(x))))


def _zakharov(x: Any, xp: Any) -> Any:
    weighted = xp.sum(_indices(x, xp) * x) / 2
    return xp.sum(x**2) + weighted**2 + weighted**4


def _dixon_price(x: Any, xp: Any) -> Any:
    return (x[0] - 1) ** 2 + xp.sum(_indices(x, xp, start=2) * (2 * x[1:] ** 2 - x[:-1]) ** 2)


def _michalewicz(x: Any, xp: Any) -> Any:
    return -xp.sum(xp.sin(x) * xp.sin(_indices(x, xp) * x**2 / math.pi) ** 20)


def _trid(x: Any, xp: Any) -> Any:
    return xp.sum((x - 1) ** 2) - xp.sum(x[1:] * x[:-1])


def _perm(x: Any, xp: Any) -> Any:
    j = _indices(x, xp)
    i = xp.reshape(j, (-1, 1))
    return xp.sum(xp.sum((j + 10) * (x**i - 1 / j**i), axis=1) ** 2)


def _powell(x: Any, xp: Any) -> Any:
    a, b, c, d = (x[k::4] for k in range(4))
    return xp.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def _wood(x: Any, xp: Any) -> Any:
    a, b, c, d = (x[k::4] for k in range(4))
    valleys = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return xp.sum(valleys + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1))


def _hartmann(x: Any, heights: Any, narrowness: Any, centres: Any, xp: Any) -> Any:
    return -xp.sum(heights * xp.exp(-xp.sum(narrowness * (x - centres) ** 2, axis=1)))


def _shekel(x: Any, widths: Any, centres: Any, xp: Any) -> Any:
    return -xp.sum(1 / (widths + xp.sum((x - centres) ** 2, axis=1)))


_HARTMANN_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_HARTMANN3 = (
    _HARTMANN_HEIGHTS,
    np.array([[3.0, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]),
    np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]) / 1e4,
)
_HARTMANN6 = (
    _HARTMANN_HEIGHTS,
    np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    ),
    np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    / 1e4,
)
_SHEKEL = (
    np.array([1.0, 2, 2, 4, 4, 6, 3, 7, 5, 5]) / 10,
    np.array([[4, 1, 8, 6, 3, 2, 5, 8, 6, 7], [4, 1, 8, 6, 7, 9, 3, 1, 2, 3.6]] * 2).T,
)

# The function is separable: coordinate i minimises -sin(x) sin^20(i x^2 / pi). Pairs of minimiser and minimum.
_MICHALEWICZ = (
    (2.2029055201726093461, -0.80130341009855253271),
    (math.pi / 2, -1.0),
    (1.2849915705529243599, -0.95909126989600594819),
    (1.9230584698663628432, -0.93827753120818341003),
    (1.7204697725658412801, -0.98878109161160460522),
    (math.pi / 2, -1.0),
    (1.4544139713623790276, -0.99322713535388168152),
    (1.7560865209450263727, -0.98287203627219520666),
    (1.6557174168210291042, -0.99639436492510317979),
    (math.pi / 2, -1.0),
)


def _dixon_price_minimisers(d: int) -> Array:
    x = 2.0 ** (2.0 ** (1 - np.arange(1, d + 1)) - 1)
    # All terms vanish: x_1 = 1 and 2 x_i^2 = x_{i-1}. Only the last coordinate may have either sign.
    return np.stack([x, np.where(np.arange(d) == d - 1, -x, x)])


def _trid_minimisers(d: int) -> Array:
    i = np.arange(1, d + 1)
    return np.asarray(i * (d + 1 - i))


FUNCTIONS = (
    OptimisationFunction(
        "rosenbrock",
        "sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2: the banana valley",
        _rosenbrock,
        (-5, 10),
        np.ones,
    ),
    OptimisationFunction("ackley", "Ackley: waves on a funnel", _ackley, (-32.768, 32.768), np.zeros, smooth=False),
    OptimisationFunction("rastrigin", "sum x^2 - 10 cos(2 pi x) + 10", _rastrigin, (-5.12, 5.12), np.zeros),
    OptimisationFunction(
        "styblinski_tang",
        "1/2 sum x^4 - 16 x^2 + 5 x",
        _styblinski_tang,
        (-5, 5),
        lambda d: np.full(d, -2.9035340277711770951),
        lambda d: -39.166165703771415464 * d,
    ),
    OptimisationFunction("levy", "Levy: sin^2 waves on a bowl", _levy, (-10, 10), np.ones),
    OptimisationFunction(
        "griewank",
        "sum x^2 / 4000 - prod cos(x_i / sqrt i) + 1",
        _griewank,
        (-600, 600),
        np.zeros,
        # Beyond a hundred dimensions the product of cosines underflows.
        drawn=(-50, 50),
        sizes={"small": 4, "medium": 20, "large": 100},
    ),
    OptimisationFunction(
        "schwefel",
        "418.98... n - sum x sin sqrt|x|",
        _schwefel,
        (-500, 500),
        lambda d: np.full(d, 420.96874635998202731),
        drawn=(1, 500),
    ),
    OptimisationFunction("zakharov", "sum x^2 + s^2 + s^4 with s = sum i x_i / 2", _zakharov, (-5, 10), np.zeros),
    OptimisationFunction(
        "dixon_price", "(x_1 - 1)^2 + sum i (2 x_i^2 - x_{i-1})^2", _dixon_price, (-10, 10), _dixon_price_minimisers
    ),
    OptimisationFunction(
        "michalewicz",
        "-sum sin(x_i) sin^20(i x_i^2 / pi): steep ridges",
        _michalewicz,
        (0, math.pi),
        lambda d: [x for x, _ in _MICHALEWICZ[:d]],
        lambda d: math.fsum(f for _, f in _MICHALEWICZ[:d]),
        # The twentieth power of a sine of up to 10 pi amplifies the rounding of its argument some hundred times.
        tolerance=1000.0,
        sizes={"small": 2, "medium": 5, "large": 10},
    ),
    OptimisationFunction(
        "trid",
        "sum (x_i - 1)^2 - sum x_i x_{i-1}",
        _trid,
        lambda d: (-(d**2), d**2),
        _trid_minimisers,
        lambda d: -d * (d + 4) * (d - 1) / 6,
    ),
    OptimisationFunction(
        "perm",
        "Perm 0, d, 10: sum_i (sum_j (j + 10) (x_j^i - 1/j^i))^2",
        _perm,
        lambda d: (-d, d),
        lambda d: 1 / np.arange(1, d + 1),
        sizes={"small": 3, "medium": 5, "large": 8},
    ),
    OptimisationFunction(
        "powell_singular",
        "Powell: sum (a + 10 b)^2 + 5 (c - d)^2 + (b - 2 c)^4 + 10 (a - d)^4, singular at its minimum",
        _powell,
        (-4, 5),
        np.zeros,
        source=f"{_MORE}, problem 22",
        multiple=4,
    ),
    OptimisationFunction(
        "wood",
        "Wood (Colville's in four variables): two coupled banana valleys, n/4 times",
        _wood,
        (-10, 10),
        np.ones,
        source=f"{_MORE}, problem 14; CUTEr WOODS beyond four variables",
        multiple=4,
    ),
    OptimisationFunction(
        "hartmann3",
        "Hartmann: four wells in three dimensions",
        _hartmann,
        (0, 1),
        (0.11458887665506896836, 0.55564889461693004477, 0.85254698468667743762),
        -3.8627797873326625228,
        data=_HARTMANN3,
        sizes={"small": 3},
    ),
    OptimisationFunction(
        "hartmann6",
        "Hartmann: four wells in six dimensions",
        _hartmann,
        (0, 1),
        (
            0.20168951100670542433,
            0.15001069182345796879,
            0.47687397422189699032,
            0.27533243049405606824,
            0.31165161660011324245,
            0.65730053406562030606,
        ),
        -3.3223680114155148001,
        data=_HARTMANN6,
        sizes={"small": 6},
    ),
    OptimisationFunction(
        "shekel",
        "Shekel: ten foxholes in four dimensions",
        _shekel,
        (0, 10),
        (4.0007468682706343883, 3.9995094800857735584) * 2,
        -10.536443153483527869,
        data=_SHEKEL,
        sizes={"small": 4},
    ),
)

PROBLEMS = tuple(map(space_problem, FUNCTIONS))
