"""The table of slopes in the tails: functions, points from 1e-300 to 1e300, and their slopes in mpmath.

A row is data. `Row.slopes` are closed forms from the Digital Library of Mathematical Functions, evaluated with 60
digits, so that they share no formula with the engine where its own is chosen against cancellation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as m
import numpy as np

DIGITS = 60
Slope = Callable[..., Any]


def single(*points: float) -> tuple[float, ...]:
    """Round to single precision, where that has the range, so that both dtypes share a reference."""
    return tuple(float(np.float32(x)) if 1e-37 < abs(x) < 3e38 else x for x in points)


_SMALL = single(1e-300, 1e-200, 1e-100, 1e-30, 1e-16, 1e-8, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7)
_ABOUT_ONE = (*single(0.9, 1.2, 1.3), 1 - 2.0**-20, 1 - 2.0**-50, 1.0, 1 + 2.0**-50, 1 + 2.0**-20)
_MIDDLE = (1.75, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0, 12.5, 18.5, 20.0, 30.0, 40.0, 100.0, 300.0, 700.0)
_LARGE = single(1e3, 1e4, 1e6, 1e10, 1e16, 1e30, 1e100, 1e200, 1e300)
POSITIVE = (*_SMALL, *_ABOUT_ONE, *_MIDDLE, *_LARGE)
LINE = (*(-x for x in POSITIVE), 0.0, *POSITIVE)


@dataclass(frozen=True)
class Row:
    """One function, where it is evaluated, and its slopes.

    Attributes
    ----------
    slopes
        The slope in each argument as a function of mpmath numbers; None for an argument without a rule.
    points
        Numbers, or tuples of the arguments.
    limit
        Error allowed, in units of eps, where SciPy's own value is no better; ``reason`` says why.
    second
        Error of the second derivative allowed, in units of eps; None where it is not tested.
    scale
        What the error is measured against, if it is more than the slope: the amplitude of an oscillation.
    digits
        Digits of the reference for second derivatives.
    """

    name: str
    function: Callable[..., Any]
    slopes: tuple[Slope | None, ...]
    points: tuple[Any, ...] = LINE
    limit: float = 10.0
    reason: str = ""
    second: float | None = 100.0
    scale: Slope | None = None
    digits: int = 2 * DIGITS

    def arguments(self, dtype: Any) -> list[Any]:
        """Return one vector per argument, of the points that ``dtype`` can hold."""
        rows = [p if isinstance(p, tuple) else (p,) for p in self.points]
        info = np.finfo(dtype)
        kept = [r for r in rows if all(x == 0 or float(info.tiny) <= abs(x) <= float(info.max) for x in r)]
        # Rounded to 1, a point close to it would leave the domain.
        kept = [r for r in kept if all(abs(x) == 1 or abs(dtype(x)) != 1 for x in r)]
        columns = zip(*kept, strict=True)
        return [np.array(column, dtype) for column in columns]


@functools.cache
def exact(slope: Slope, *args: float) -> Any:
    with m.workdps(DIGITS):
        return +slope(*map(m.mpf, args))


@functools.cache
def exact_second(slope: Slope, i: int, digits: int, *args: float) -> Any:
    """Differentiate a slope in argument ``i`` by a central difference: relative step 1e-35, error 1e-70."""
    with m.workdps(digits):
        xs = list(map(m.mpf, args))
        h = min(abs(xs[i]) or 1, m.mpf(1)) * m.mpf(10) ** -35
        ahead, behind = ([*xs[:i], xs[i] + s * h, *xs[i + 1 :]] for s in (1, -1))
        return (slope(*ahead) - slope(*behind)) / (2 * h)


def within(low: float, high: float, points: tuple[float, ...] = LINE) -> tuple[float, ...]:
    return tuple(x for x in points if low <= x <= high)


def below_one() -> tuple[float, ...]:
    """Points of the open unit interval, close to both ends."""
    tail = tuple(1 - 2.0**-k for k in (2, 3, 5, 8, 12, 20, 30, 40, 50, 53))
    return (*(x for x in POSITIVE if x < 0.72), *tail)


def sech2(x: Any) -> Any:
    e = m.exp(-2 * abs(x))
    return 4 * e / (1 + e) ** 2


def logistic(x: Any) -> Any:
    return 1 / (1 + m.exp(-x))


UNIT = (*(-x for x in below_one()), 0.0, *below_one())

ELEMENTARY = [
    Row("exp", np.exp, (m.exp,), within(-1e300, 700)),
    Row("exp2", np.exp2, (lambda x: m.log(2) * m.mpf(2) ** x,), within(-1e300, 1000)),
    Row("expm1", np.expm1, (m.exp,), within(-1e300, 700)),
    Row("log", np.log, (lambda x: 1 / x,), POSITIVE),
    Row("log2", np.log2, (lambda x: 1 / x / m.log(2),), POSITIVE),
    Row("log10", np.log10, (lambda x: 1 / x / m.log(10),), POSITIVE),
    Row("log1p", np.log1p, (lambda x: 1 / (1 + x),), (*within(-0.9999, 1e300), -1 + 2.0**-20, -1 + 2.0**-53)),
    Row("sqrt", np.sqrt, (lambda x: 0.5 / m.sqrt(x),), POSITIVE),
    Row("cbrt", np.cbrt, (lambda x: 1 / (3 * m.cbrt(x * x)),), tuple(x for x in LINE if x)),
    Row("reciprocal", np.reciprocal, (lambda x: -1 / (x * x),), tuple(x for x in LINE if 1e-150 < abs(x) < 1e150)),
    Row("sin", np.sin, (m.cos,)),
    Row("cos", np.cos, (lambda x: -m.sin(x),)),
    Row("tan", np.tan, (lambda x: 1 / m.cos(x) ** 2,), within(-100, 100)),
    Row("arcsin", np.arcsin, (lambda x: 1 / m.sqrt(1 - x * x),), UNIT),
    Row("arccos", np.arccos, (lambda x: -1 / m.sqrt(1 - x * x),), UNIT),
    Row("arctan", np.arctan, (lambda x: 1 / (1 + x * x),)),
    Row("sinh", np.sinh, (m.cosh,), within(-700, 700)),
    Row("cosh", np.cosh, (m.sinh,), within(-700, 700)),
    Row("tanh", np.tanh, (sech2,)),
    Row("arcsinh", np.arcsinh, (lambda x: 1 / m.sqrt(1 + x * x),)),
    Row("arccosh", np.arccosh, (lambda x: 1 / m.sqrt((x - 1) * (x + 1)),), tuple(x for x in POSITIVE if x > 1)),
    Row("arctanh", np.arctanh, (lambda x: 1 / ((1 - x) * (1 + x)),), UNIT),
    Row("square", np.square, (lambda x: 2 * x,), tuple(x for x in LINE if abs(x) < 1e150)),
    Row(
        "sinc",
        np.sinc,
        (lambda x: m.mpf(0) if not x else (m.cospi(x) - m.sincpi(x)) / x if abs(x) > 1e-12 else -x * m.pi**2 / 3,),
        within(-1e16, 1e16),
        scale=lambda x: (abs(m.cospi(x)) + abs(m.sincpi(x))) / x if abs(x) > 0.5 else 0,
    ),
    Row("softplus", lambda x: np.logaddexp(x, 0), (logistic,), digits=400),
    Row("log-sigmoid", lambda x: -np.logaddexp(0, -x), (lambda x: logistic(-x),), digits=400),
    *(
        Row(
            f"power {y}",
            lambda x, y=y: x**y,
            (lambda x, y=y: y * x ** (m.mpf(y) - 1),),
            tuple(x for x in POSITIVE if abs(y * np.log10(x)) < 290 and abs((y - 1) * np.log10(x)) < 290),
        )
        for y in (0.1, 1e-10, 0.5, 2.5, 3, 4, 17, -0.1, -1, -2, -0.3)
    ),
]

PAIRS_OF_LOGARITHMS = (
    *((x, 0.0) for x in (-700.0, -300.0, -40.0, -18.0, -1e-8, 0.0, 1e-8, 2.0, 40.0, 700.0)),
    *((x, y) for x, y in ((-37.3, 2.1), (-300.1, 300.7), (1e-3, 700.3), (1e10, 1e10), (1e10, 1e10 + 3), (5.1, 5.3))),
    *((x, y) for x, y in ((-1e300, 1.0), (1e300, 1.0), (1e16, 1e16 + 4), (-1e-300, 1e-300), (0.1, -17.9))),
)
_SIDES = tuple(
    (s * x, t * y)
    for x, y in (
        (3e-300, 4e-300),
        (3e-200, 4e-100),
        (1e-16, 1.0),
        (1.0, 1e-16),
        (3.0, 4.0),
        (1.0, 1.0),
        (1e16, 3.0),
        (3e200, 4e200),
        (1e300, 1e-300),
        (7e-5, 8e12),
    )
    for s in (1, -1)
    for t in (1, -1)
)
_POWERS = (
    *((1e-300, 0.1), (1e300, 0.1), (1e300, -0.3), (0.5, 0.3), (2.0, -0.7), (1e-100, 2.1), (1e100, -2.1), (3.7, 40.3)),
    *((1 + 2.0**-40, 1e6), (1 - 2.0**-40, 0.2), (10.0, 1e-10), (1e-10, 1e-10), (1.5, -1e-10), (1e10, 29.3), (2.0, 0.5)),
)


def _square_root(x: Any, y: Any) -> Any:
    return m.sqrt(x * x + y * y)


PAIRS = [
    Row(
        "logaddexp",
        np.logaddexp,
        (lambda x, y: logistic(x - y), lambda x, y: logistic(y - x)),
        PAIRS_OF_LOGARITHMS,
        digits=700,
    ),
    Row(
        "logaddexp2",
        np.logaddexp2,
        (lambda x, y: logistic((x - y) * m.log(2)), lambda x, y: logistic((y - x) * m.log(2))),
        PAIRS_OF_LOGARITHMS,
        digits=700,
    ),
    Row(
        "hypot",
        np.hypot,
        (lambda x, y: x / _square_root(x, y), lambda x, y: y / _square_root(x, y)),
        _SIDES,
        second=None,
    ),
    Row(
        "arctan2",
        np.arctan2,
        (lambda y, x: x / (x * x + y * y), lambda y, x: -y / (x * x + y * y)),
        tuple(p for p in _SIDES if max(map(abs, p)) > 1e-290),
    ),
    Row("power", np.power, (lambda x, y: y * x ** (y - 1), lambda x, y: x**y * m.log(x)), _POWERS),
    Row(
        "divide",
        np.divide,
        (lambda x, y: 1 / y, lambda x, y: -x / (y * y)),
        tuple((x, y) for x in (1e-200, -3.0, 1e200) for y in (1e-80, 0.7, -3.0, 1e80)),
    ),
]
