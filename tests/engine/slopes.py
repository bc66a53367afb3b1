"""The table of slopes in the tails: functions, points from 1e-300 to 1e300, and their slopes in mpmath.

A row is data. `Row.slopes` are closed forms from the Digital Library of Mathematical Functions, evaluated with 60
digits, so that they share no formula with the engine where its own is chosen against cancellation.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import mpmath as m
import numpy as np

DIGITS = 60
Slope = Callable[..., Any]

_SMALL = (1e-300, 1e-200, 1e-100, 1e-30, 1e-16, 1e-8, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7)
_ABOUT_ONE = (0.9, 1 - 2.0**-20, 1 - 2.0**-50, 1.0, 1 + 2.0**-50, 1 + 2.0**-20, 1.2, 1.3)
_MIDDLE = (1.7, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0, 12.5, 18.5, 20.0, 30.0, 40.0, 100.0, 300.0, 700.0)
_LARGE = (1e3, 1e4, 1e6, 1e10, 1e16, 1e30, 1e100, 1e200, 1e300)
POSITIVE = (*_SMALL, *_ABOUT_ONE, *_MIDDLE, *_LARGE)
LINE = (*(-x for x in reversed(POSITIVE)), 0.0, *POSITIVE)


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
        What the error is measured against, if not the slope: the amplitude of an oscillation.
    """

    name: str
    function: Callable[..., Any]
    slopes: tuple[Slope | None, ...]
    points: tuple[Any, ...] = LINE
    limit: float = 10.0
    reason: str = ""
    second: float | None = 100.0
    scale: Slope | None = None
    constants: tuple[Any, ...] = field(default=())

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
def exact_second(slope: Slope, i: int, *args: float) -> Any:
    """Differentiate a slope in argument ``i`` by a central difference: relative step 1e-35, error 1e-70."""
    with m.workdps(2 * DIGITS):
        xs = list(map(m.mpf, args))
        h = min(abs(xs[i]) or 1, m.mpf(1)) * m.mpf(10) ** -35
        ahead, behind = ([*xs[:i], xs[i] + s * h, *xs[i + 1 :]] for s in (1, -1))
        return (slope(*ahead) - slope(*behind)) / (2 * h)


def special(name: str) -> Callable[..., Any]:
    return lambda *args: getattr(importlib.import_module("scipy.special"), name)(*args)


def of(*fixed: Any, name: str) -> Callable[..., Any]:
    """Return the function of SciPy with its first arguments fixed."""
    return lambda x: getattr(importlib.import_module("scipy.special"), name)(*fixed, x)


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


_UNIT = (*(-x for x in below_one()), 0.0, *below_one())

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
    Row("arcsin", np.arcsin, (lambda x: 1 / m.sqrt(1 - x * x),), _UNIT),
    Row("arccos", np.arccos, (lambda x: -1 / m.sqrt(1 - x * x),), _UNIT),
    Row("arctan", np.arctan, (lambda x: 1 / (1 + x * x),)),
    Row("sinh", np.sinh, (m.cosh,), within(-700, 700)),
    Row("cosh", np.cosh, (m.sinh,), within(-700, 700)),
    Row("tanh", np.tanh, (sech2,)),
    Row("arcsinh", np.arcsinh, (lambda x: 1 / m.sqrt(1 + x * x),)),
    Row("arccosh", np.arccosh, (lambda x: 1 / m.sqrt((x - 1) * (x + 1)),), tuple(x for x in POSITIVE if x > 1)),
    Row("arctanh", np.arctanh, (lambda x: 1 / ((1 - x) * (1 + x)),), _UNIT),
    Row("square", np.square, (lambda x: 2 * x,), tuple(x for x in LINE if abs(x) < 1e150)),
    Row("sinc", np.sinc, (lambda x: m.mpf(0) if not x else (m.cospi(x) - m.sincpi(x)) / x if abs(x) > 1e-12 else -x * m.pi**2 / 3,), within(-1e16, 1e16),
        scale=lambda x: (abs(m.cospi(x)) + abs(m.sincpi(x))) / x if abs(x) > 0.5 else 0),
    Row("softplus", lambda x: np.logaddexp(x, 0), (logistic,)),
    Row("log-sigmoid", lambda x: -np.logaddexp(0, -x), (lambda x: logistic(-x),)),
    *(
        Row(f"power {y}", lambda x, y=y: x**y, (lambda x, y=y: y * x ** (m.mpf(y) - 1),), tuple(
            x for x in POSITIVE if abs(y * np.log10(x)) < 290 and abs((y - 1) * np.log10(x)) < 290))
        for y in (0.1, 1e-10, 0.5, 2.5, 3, 4, 17, -0.1, -1, -2, -0.3)
    ),
]  # fmt: skip

_PAIRS = (
    *((x, 0.0) for x in (-700.0, -300.0, -40.0, -18.0, -1e-8, 0.0, 1e-8, 2.0, 40.0, 700.0)),
    *((x, y) for x, y in ((-37.3, 2.1), (-300.1, 300.7), (1e-3, 700.3), (1e10, 1e10), (1e10, 1e10 + 3), (5.1, 5.3))),
    *((x, y) for x, y in ((-1e300, 1.0), (1e300, 1.0), (1e16, 1e16 + 4), (-1e-300, 1e-300), (0.1, -17.9))),
)
_SIDES = tuple((s * x, t * y) for x, y in ((3e-300, 4e-300), (3e-200, 4e-100), (1e-16, 1.0), (1.0, 1e-16), (3.0, 4.0),
    (1.0, 1.0), (1e16, 3.0), (3e200, 4e200), (1e300, 1e-300), (7e-5, 8e12)) for s in (1, -1) for t in (1, -1)
)  # fmt: skip
_POWERS = (
    *((1e-300, 0.1), (1e300, 0.1), (1e300, -0.3), (0.5, 0.3), (2.0, -0.7), (1e-100, 2.1), (1e100, -2.1), (3.7, 40.3)),
    *((1 + 2.0**-40, 1e6), (1 - 2.0**-40, 0.2), (10.0, 1e-10), (1e-10, 1e-10), (1.5, -1e-10), (1e10, 29.3), (2.0, 0.5)),
)


def _square_root(x: Any, y: Any) -> Any:
    return m.sqrt(x * x + y * y)


PAIRS = [
    Row("logaddexp", np.logaddexp, (lambda x, y: logistic(x - y), lambda x, y: logistic(y - x)), _PAIRS),
    Row("logaddexp2", np.logaddexp2, (lambda x, y: logistic((x - y) * m.log(2)), lambda x, y: logistic((y - x) * m.log(2))),
        _PAIRS),
    Row("hypot", np.hypot, (lambda x, y: x / _square_root(x, y), lambda x, y: y / _square_root(x, y)), _SIDES),
    Row("arctan2", np.arctan2, (lambda y, x: x / (x * x + y * y), lambda y, x: -y / (x * x + y * y)),
        tuple(p for p in _SIDES if max(map(abs, p)) > 1e-290)),
    Row("power", np.power, (lambda x, y: y * x ** (y - 1), lambda x, y: x**y * m.log(x)), _POWERS),
    Row("divide", np.divide, (lambda x, y: 1 / y, lambda x, y: -x / (y * y)),
        tuple((x, y) for x in (1e-200, -3.0, 1e200) for y in (1e-80, 0.7, -3.0, 1e80))),
]  # fmt: skip


def _phi(x: Any) -> Any:
    return m.exp(-x * x / 2) / m.sqrt(2 * m.pi)


def _dawson_slope(x: Any) -> Any:
    if abs(x) > 60:
        # Asymptotic series of 1 - 2 x D (DLMF 7.12): its terms fall to 1e-1500 before they grow.
        u = 1 / (2 * x * x)
        return -m.fsum(m.fac2(2 * k - 1) * u**k for k in range(1, 30))
    return 1 - x * m.sqrt(m.pi) * m.exp(-x * x) * m.erfi(x)


def _erfcx_slope(x: Any) -> Any:
    if x > 60:
        u = -1 / (2 * x * x)
        return 2 / m.sqrt(m.pi) * m.fsum(m.fac2(2 * k - 1) * u**k for k in range(1, 30))
    return 2 * x * m.exp(x * x) * m.erfc(x) - 2 / m.sqrt(m.pi)


def _log_ndtr_slope(x: Any) -> Any:
    if x < -60:
        # The inverse of Mills' ratio (1 - 1/x^2 + 3/x^4 - ...) / |x|.
        return -x / m.fsum((-1) ** k * m.fac2(2 * k - 1) / x ** (2 * k) for k in range(25))
    return _phi(x) / (m.erfc(-x / m.sqrt(2)) / 2)


def _hankel(v: Any, x: Any, sign: int) -> Any:
    """Return the series of ``I_v e^-x sqrt(2 pi x)`` (sign -1) or ``K_v e^x sqrt(2 x / pi)`` (sign 1), DLMF 10.40."""
    total, term = m.mpf(0), m.mpf(1)
    for k in range(40):
        total += term
        term *= sign * (4 * m.mpf(v) ** 2 - (2 * k + 1) ** 2) / ((k + 1) * 8 * x)
    return total


def scaled_i(v: Any) -> Slope:
    """The slope of ``e^-|x| I_v(x)``, for an integer order on the whole line."""

    def slope(x: Any) -> Any:
        if x < 0:
            return -((-1) ** int(v)) * slope(-x)
        if x > 1000:
            with m.workdps(m.mp.dps + 2 * int(m.log10(x)) + 5):
                both = (_hankel(v - 1, x, -1) + _hankel(v + 1, x, -1)) / 2 - _hankel(v, x, -1)
                return both / m.sqrt(2 * m.pi * x)
        return m.exp(-x) * ((m.besseli(v - 1, x) + m.besseli(v + 1, x)) / 2 - m.besseli(v, x))

    return slope


def scaled_k(v: Any) -> Slope:
    def slope(x: Any) -> Any:
        if x > 1000:
            with m.workdps(m.mp.dps + 2 * int(m.log10(x)) + 5):
                both = _hankel(v, x, 1) - (_hankel(v - 1, x, 1) + _hankel(v + 1, x, 1)) / 2
                return both * m.sqrt(m.pi / (2 * x))
        return m.exp(x) * (m.besselk(v, x) - (m.besselk(v - 1, x) + m.besselk(v + 1, x)) / 2)

    return slope


def _over(f: Slope) -> Slope:
    return lambda x: 1 / f(x)


def _inverse_normal(x: Any) -> Any:
    """Return ``exp(z^2)`` for ``erfc(z) = x``, found by Newton's steps from an asymptotic start."""
    z = m.erfinv(1 - x)
    return m.exp(z * z)


ERROR_FUNCTIONS = [
    Row("erf", special("erf"), (lambda x: 2 / m.sqrt(m.pi) * m.exp(-x * x),)),
    Row("erfc", special("erfc"), (lambda x: -2 / m.sqrt(m.pi) * m.exp(-x * x),)),
    Row("erfcx", special("erfcx"), (_erfcx_slope,), within(-25, 1e300)),
    Row("dawsn", special("dawsn"), (_dawson_slope,)),
    Row("ndtr", special("ndtr"), (_phi,)),
    Row("log_ndtr", special("log_ndtr"), (_log_ndtr_slope,)),
    Row("expit", special("expit"), (lambda x: sech2(x / 2) / 4,)),
    Row("log_expit", special("log_expit"), (lambda x: logistic(-x),)),
    Row("logit", special("logit"), (lambda x: 1 / (x * (1 - x)),), below_one()),
    Row("erfinv", special("erfinv"), (lambda x: m.sqrt(m.pi) / 2 * m.exp(m.erfinv(x) ** 2),), _UNIT),
    Row("erfcinv", special("erfcinv"), (lambda x: -m.sqrt(m.pi) / 2 * _inverse_normal(x),), tuple(x for x in below_one() if x > 1e-20)),
    Row("ndtri", special("ndtri"), (lambda x: m.sqrt(2 * m.pi) * _inverse_normal(2 * x),), tuple(x for x in below_one() if x > 1e-20)),
    Row("expi", special("expi"), (lambda x: m.exp(x) / x,), tuple(x for x in LINE if x)),
    Row("exp1", special("exp1"), (lambda x: -m.exp(-x) / x,), POSITIVE),
    Row("exp10", special("exp10"), (lambda x: m.log(10) * m.mpf(10) ** x,), within(-300, 300)),
    Row("cosm1", special("cosm1"), (lambda x: -m.sin(x),)),
    Row("entr", special("entr"), (lambda x: -m.log(x) - 1,), POSITIVE),
]  # fmt: skip

BESSEL = [
    Row("j0", special("j0"), (lambda x: -m.besselj(1, x),), within(-1e10, 1e10)),
    Row("j1", special("j1"), (lambda x: (m.besselj(0, x) - m.besselj(2, x)) / 2,), within(-1e10, 1e10)),
    *(Row(f"jv {v}", of(v, name="jv"), (lambda x, v=v: (m.besselj(v - 1, x) - m.besselj(v + 1, x)) / 2,), within(1e-100, 1e10)) for v in (0, 2, 0.3, 2.5)),
    Row("y0", special("y0"), (lambda x: -m.bessely(1, x),), within(1e-100, 1e10)),
    Row("y1", special("y1"), (lambda x: (m.bessely(0, x) - m.bessely(2, x)) / 2,), within(1e-100, 1e10)),
    *(Row(f"yv {v}", of(v, name="yv"), (lambda x, v=v: (m.bessely(v - 1, x) - m.bessely(v + 1, x)) / 2,), within(1e-30, 1e10)) for v in (0, 2, 0.3, 2.5)),
    Row("i0", special("i0"), (lambda x: m.besseli(1, x),), within(-700, 700)),
    Row("i1", special("i1"), (lambda x: (m.besseli(0, x) + m.besseli(2, x)) / 2,), within(-700, 700)),
    *(Row(f"iv {v}", of(v, name="iv"), (lambda x, v=v: (m.besseli(v - 1, x) + m.besseli(v + 1, x)) / 2,), within(1e-30, 700)) for v in (0, 2, 0.3, 2.5)),
    Row("k0", special("k0"), (lambda x: -m.besselk(1, x),), within(1e-100, 700)),
    Row("k1", special("k1"), (lambda x: -(m.besselk(0, x) + m.besselk(2, x)) / 2,), within(1e-100, 700)),
    *(Row(f"kv {v}", of(v, name="kv"), (lambda x, v=v: -(m.besselk(v - 1, x) + m.besselk(v + 1, x)) / 2,), within(1e-30, 700)) for v in (0, 2, 0.3, 2.5)),
    Row("i0e", special("i0e"), (scaled_i(0),), tuple(x for x in LINE if x)),
    Row("i1e", special("i1e"), (scaled_i(1),)),
    *(Row(f"ive {v}", of(v, name="ive"), (scaled_i(v),), POSITIVE) for v in (0, 1, 2, 0.3, 2.5, 10)),
    Row("k0e", special("k0e"), (scaled_k(0),), POSITIVE),
    Row("k1e", special("k1e"), (scaled_k(1),), POSITIVE),
    *(Row(f"kve {v}", of(v, name="kve"), (scaled_k(v),), POSITIVE) for v in (0, 1, 2, 0.3, 2.5, 10)),
]  # fmt: skip

_ROUND = (*(x for x in LINE if 1e-3 < abs(x) < 30 and x != int(x)), 1.4616, -0.51, -3.3, -10.1, -25.7)
_BETAS = tuple((a, b) for a in (1e-30, 1e-10, 0.3, 1.0, 5.5, 40.0, 1e5, 1e10, 1e30) for b in (1e-10, 0.7, 1.0, 12.0, 1e10))


def _trigamma(x: Any) -> Any:
    return m.psi(1, x) if x > -100 else (m.pi / m.sinpi(x)) ** 2 - m.psi(1, 1 - x)


def _density(a: Any) -> Slope:
    return lambda x: m.exp((m.mpf(a) - 1) * m.log(x) - x - m.loggamma(a))


def _beta(a: Any, b: Any) -> Any:
    return m.exp(m.loggamma(a) + m.loggamma(b) - m.loggamma(a + b))


GAMMAS = [
    Row("gamma", special("gamma"), (lambda x: m.gamma(x) * m.psi(0, x),), (*_ROUND, 1e-100, 1e-10, 40.0, 100.0, 170.0)),
    Row("gammaln", special("gammaln"), (lambda x: m.psi(0, x),), (*POSITIVE, *_ROUND)),
    Row("loggamma", special("loggamma"), (lambda x: m.psi(0, x),), POSITIVE),
    Row("psi", special("psi"), (_trigamma,), (*(x for x in POSITIVE if x > 1e-150), *_ROUND, -1e6 - 0.5, -1e9 - 0.25)),
    Row("betaln", special("betaln"), (lambda a, b: m.psi(0, a) - m.psi(0, a + b), lambda a, b: m.psi(0, b) - m.psi(0, a + b)), _BETAS),
    Row("beta", special("beta"), (lambda a, b: _beta(a, b) * (m.psi(0, a) - m.psi(0, a + b)), lambda a, b: _beta(a, b) * (m.psi(0, b) - m.psi(0, a + b))),
        tuple(p for p in _BETAS if p[0] < 1e4 and p[1] < 100)),
    *(Row(f"gammainc {a}", of(a, name="gammainc"), (_density(a),), tuple(x for x in POSITIVE if x < 600)) for a in (0.1, 0.5, 1, 2.5, 9.5)),
    *(Row(f"gammainc {a}", of(a, name="gammainc"), (_density(a),), tuple(a * (1 + k / np.sqrt(a)) for k in (-3, -1, -.1, 0, .1, 1, 3, 5))) for a in (20.0, 1e3, 1e5, 1e10)),
    *(Row(f"betainc {a} {b}", of(a, b, name="betainc"), (lambda x, a=a, b=b: x ** (m.mpf(a) - 1) * (1 - x) ** (m.mpf(b) - 1) / m.beta(a, b),),
          tuple(x for x in below_one() if x > 1e-30)) for a, b in ((1, 1), (0.5, 2.5), (3, 4.5), (9, 0.3))),
    *(Row(f"betainc {a} {b}", of(a, b, name="betainc"), (lambda x, a=a, b=b: m.exp((a-1)*m.log(x)+(b-1)*m.log(1-x)-m.loggamma(a)-m.loggamma(b)+m.loggamma(m.mpf(a)+b)),),
          tuple(a / (a + b) * (1 + k / np.sqrt(a)) for k in (-1, -.1, 0, .1, 1, 2))) for a, b in ((20.0, 30.0), (0.7, 200.0), (3e3, 4e4), (1e3, 1e6))),
]  # fmt: skip
