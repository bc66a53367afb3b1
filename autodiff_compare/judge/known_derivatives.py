"""Trials of numerical differences on functions of known derivatives: the error bar must cover the true error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.judge import differences
from autodiff_compare.vocabulary import Verdict


@dataclass(frozen=True)
class DifferenceTrial:
    """An estimate of a known derivative by numerical differences.

    Parameters
    ----------
    function, kind, x
        Name and kind of the function in `FUNCTIONS`, and the point.
    verdict
        Verdict of the estimate.
    error, bar
        True error and error bar, relative to the derivative; at a kink, relative to the size of the jump.
    covered
        Whether the bar covers the error; at a kink, whether the interval contains both one-sided derivatives.
    """

    function: str
    kind: str
    x: float
    verdict: Verdict
    error: float
    bar: float
    covered: bool


def known_derivatives(draws: int = 10, seed: int = 0) -> Iterator[DifferenceTrial]:
    """Yield numerical differences of `FUNCTIONS` at their points and at random points nearby.

    Parameters
    ----------
    draws
        Random points for each point of a function, between half of it and itself: within every function's domain. None
        for a function that is `Known.exact`.
    seed
        Seed of the random points.
    """
    rng = np.random.default_rng(seed)
    for f in FUNCTIONS:
        for x in f.points:
            yield _difference_trial(f, x)
            if not f.exact:
                yield from (_difference_trial(f, float(x * c)) for c in rng.uniform(0.5, 1.0, draws))


@dataclass(frozen=True)
class Known:
    """A function of one variable with its derivative by the rules of calculus.

    Parameters
    ----------
    name, kind
        Its formula; ``smooth``, ``extreme size``, ``oscillating``, ``narrow domain``, ``small scale``, ``near kink``,
        ``noisy`` or ``kink``.
    f, derivative
        The function and its derivative.
    points
        Points at which it is differentiated; for a kink, the kink.
    exact
        Whether ``points`` alone are meant: the derivative is interesting nowhere else.
    left, right
        The one-sided derivatives at the kink.
    """

    name: str
    kind: str
    f: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    points: tuple[float, ...]
    left: float = math.nan
    right: float = math.nan
    exact: bool = False


def _noisy(x: Any) -> Any:
    return np.sin(x) + 1e-8 * np.sin(1e9 * x + 1e8 * x * x)


def _peak(x: Any) -> Any:
    return np.exp(-(((x - 1 - 1e-6) / 1e-6) ** 2))


#: Functions with known derivatives: of any size, smooth, oscillating, noisy, on a scale much smaller than their input,
#: with a domain that ends nearby, and with kinks nearby and at the point.
FUNCTIONS = (
    Known("sin x", "smooth", np.sin, np.cos, (0.3, 1.0, 5.0)),
    Known("exp x", "smooth", np.exp, np.exp, (0.0, 1.0, -2.0, 20.0)),
    Known("x^3", "smooth", lambda x: x**3, lambda x: 3 * x**2, (1.0, -2.0, 1e-3, 1e5)),
    Known("1/(1+e^-x)", "smooth", lambda x: 1 / (1 + np.exp(-x)), lambda x: 0.25 / np.cosh(x / 2) ** 2, (0.0, 5.0)),
    Known("sin x / x", "smooth", lambda x: np.sin(x) / x, lambda x: (np.cos(x) - np.sin(x) / x) / x, (0.5, 4.0)),
    Known("1e8 + sin x", "smooth", lambda x: 1e8 + np.sin(x), np.cos, (1.0, 2.0)),
    Known("(1+x)^2 - 2x - 1", "smooth", lambda x: (1 + x) ** 2 - 2 * x - 1, lambda x: 2 * x, (1e-3, 0.5)),
    Known("sin 10x", "oscillating", lambda x: np.sin(10 * x), lambda x: 10 * np.cos(10 * x), (0.3, 1.0, 5.0)),
    Known("sin 1000x", "oscillating", lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x), (0.3, 1.0)),
    Known(
        "x + sin(50x)/50", "oscillating", lambda x: x + np.sin(50 * x) / 50, lambda x: 1 + np.cos(50 * x), (0.3, 2.0)
    ),
    Known("log x", "narrow domain", np.log, lambda x: 1 / x, (1e-8, 1e-3, 1.0)),
    Known("sqrt x", "narrow domain", np.sqrt, lambda x: 0.5 / np.sqrt(x), (1e-6, 2.0)),
    Known("arcsin x", "narrow domain", np.arcsin, lambda x: 1 / np.sqrt(1 - x * x), (0.5, 0.999)),
    Known("1/x", "narrow domain", lambda x: 1 / x, lambda x: -1 / x**2, (1e-3, 1.0, -2.0)),
    Known("sin x + 1e-8 sin(1e9 x + 1e8 x^2)", "noisy", _noisy, np.cos, (1.0, 0.3)),
    Known("x rounded to 1e-6", "noisy", lambda x: np.round(x, 6), lambda x: 1 + 0 * x, (0.3, 2.0)),
    Known("float32(sin x)", "noisy", lambda x: np.sin(x).astype(np.float32).astype(float), np.cos, (0.3, 1.0)),
    Known("|x| away from 0", "smooth", np.abs, np.sign, (1e-3, 1.0, -1e-5)),
    Known("sin 1e6 x", "oscillating", lambda x: np.sin(1e6 * x), lambda x: 1e6 * np.cos(1e6 * x), (0.3, 1.0)),
    Known(
        "sin(x/1e-200)", "extreme size", lambda x: np.sin(x / 1e-200), lambda x: np.cos(x / 1e-200) * 1e200, (1e-200,)
    ),
    Known(
        "1e300 sin(x/1e9)", "extreme size", lambda x: 1e300 * np.sin(x / 1e9), lambda x: 1e291 * np.cos(x / 1e9), (1e9,)
    ),
    Known("sqrt(x) at 1e300", "extreme size", np.sqrt, lambda x: 0.5 / np.sqrt(x), (1e300, 1e-300)),
    Known("exp x at 700", "extreme size", np.exp, np.exp, (700.0,)),
    Known("tanh(1e5 (x - 1))", "small scale", lambda x: np.tanh(1e5 * (x - 1)), lambda _: 1e5, (1.0,), exact=True),
    Known(
        "exp(-((x - 1)/1e-6 - 1)^2)",
        "small scale",
        _peak,
        lambda x: -2 * (x - 1 - 1e-6) / 1e-12 * _peak(x),
        (1.0,),
        exact=True,
    ),
    Known(
        "sqrt(x - 1)",
        "narrow domain",
        lambda x: np.sqrt(x - 1),
        lambda x: 0.5 / np.sqrt(x - 1),
        (1 + 1e-6,),
        exact=True,
    ),
    Known(
        "|x - 1| + x",
        "near kink",
        lambda x: np.abs(x - 1) + x,
        lambda x: 1 + np.sign(x - 1),
        (1 + 1e-6, 1 - 1e-4),
        exact=True,
    ),
    Known(
        "max(x - 1, 0)",
        "near kink",
        lambda x: np.maximum(x - 1, 0.0),
        lambda x: 1.0 * (x > 1),
        (1 - 1e-6, 1 + 1e-7),
        exact=True,
    ),
    Known("|x|", "kink", np.abs, np.sign, (0.0,), -1.0, 1.0, exact=True),
    Known("max(x, 0) + x", "kink", lambda x: np.maximum(x, 0.0) + x, np.sign, (0.0,), 1.0, 2.0, exact=True),
    Known("|x-1| + x^2", "kink", lambda x: np.abs(x - 1) + x * x, np.sign, (1.0,), 1.0, 3.0, exact=True),
    Known("exp |x|", "kink", lambda x: np.exp(np.abs(x)), np.sign, (0.0,), -1.0, 1.0, exact=True),
)


def _difference_trial(known: Known, x: float) -> DifferenceTrial:
    point = np.array([x])
    length = float(differences.scales(point)[0])
    found = differences.first(known.f, point, np.array([length]), np.ones((1, 1)))
    verdict = found.verdicts[0]
    if known.kind == "kink":
        low, high = found.low[0] / length, found.high[0] / length
        size = known.right - known.left
        covered = bool(low <= known.left and known.right <= high)
        error, bar = max(abs(low - known.left), abs(high - known.right)) / size, (high - low - size) / size
        return DifferenceTrial(known.name, known.kind, x, verdict, float(error), float(bar), covered)
    true = float(known.derivative(x))
    size = abs(true) or 1.0
    error, bar = abs(found.derivative[0] / length - true), found.bar[0] / length
    covered = bool(error <= bar) and verdict == Verdict.PASS
    return DifferenceTrial(known.name, known.kind, x, verdict, float(error / size), float(bar / size), covered)
