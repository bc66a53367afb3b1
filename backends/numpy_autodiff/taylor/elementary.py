"""Series of elementary functions: powers, roots, and the solutions of differential equations.

`autodiff_compare.backends.numpy_autodiff.taylor.series` has the recurrences; here each NumPy function is put in their
form. Values are taken from the function itself, so that the first coefficient has its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules import elementwise, gauss, limits, logistic, powers
from autodiff_compare.backends.numpy_autodiff.taylor import series
from autodiff_compare.backends.numpy_autodiff.taylor.call import SeriesCall
from autodiff_compare.backends.numpy_autodiff.taylor.series import Series

Rule = Callable[[SeriesCall], Series]
_UFUNCS = elementwise.UFUNCS


# --- Powers, roots, exponentials


def _power(call: SeriesCall) -> Series:
    base, exponent = call.of(0), call.values[1]
    if call.series[0] is None or call.series[1] is not None:
        return series.exponential(series.multiply(call.of(1), series.logarithm(base)), call.ans)
    if np.ndim(exponent) == 0:
        return series.power(base, exponent, call.ans)
    return _power_of_several(base, np.asarray(exponent), call.ans)


def _power_of_several(base: Series, exponents: Any, ans: Any) -> Series:
    """Raise to an array of constants: where the base may be zero, one after the other."""
    if not np.any(np.equal(base[0], 0)):
        return series.power(base, exponents, ans)
    found: Series = [np.zeros_like(ans)] * len(base)
    for exponent in np.unique(exponents):
        one = series.power(base, exponent, base[0] ** exponent)
        found = [
            old if new is None else np.where(np.equal(exponents, exponent), new, old)
            for old, new in zip(found, one, strict=True)
        ]
    return found


def _root(call: SeriesCall) -> Series:
    return series.root(call.series[0], call.ans)


def _cube_root(call: SeriesCall) -> Series:
    return series.power(call.series[0], 1 / 3, call.ans)


def _exponential(base: float = math.e, less: float = 0.0) -> Rule:
    """Make the rule of ``base^x - less``."""
    factor = math.log(base) if base != math.e else 1.0

    def rule(call: SeriesCall) -> Series:
        u = call.series[0] if factor == 1.0 else series.scale(call.series[0], factor)
        # Of expm1 the exponential itself, since adding 1 back would round.
        start = call.ans if not less else np.exp(u[0])
        return series.exponential(u, start)

    return rule


def _logarithm(factor: float = 1.0, plus: float = 0.0) -> Rule:
    """Make the rule of ``factor log(plus + x)``."""

    def rule(call: SeriesCall) -> Series:
        x = series.shift(call.series[0], plus) if plus else call.series[0]
        found = series.logarithm(x, call.ans)
        return found if factor == 1.0 else series.scale(found, factor)

    return rule


def _hypotenuse(call: SeriesCall) -> Series:
    """Divide ``y y' = a a' + b b'`` by the value first, so that squares cannot overflow."""
    a, b = call.of(0), call.of(1)
    near = [series.scale(x, 1 / call.ans) for x in (a, b)]

    def squared(k: int) -> Any:
        return series.add(series.coefficient(near[0], a, k), series.coefficient(near[1], b, k))

    found: Series = [call.ans]
    for k in range(1, call.order + 1):
        ends = [None, *found[1:], None]
        inner = series.coefficient(ends, ends, k)
        rest = series.subtract(squared(k), None if inner is None else inner / call.ans)
        found.append(None if rest is None else rest / 2)
    return found


# --- Functions with a differential equation of their own


def _circular(which: int) -> Rule:
    return lambda call: series.sine_and_cosine(call.series[0])[which]


def _hyperbolic(which: int) -> Rule:
    return lambda call: series.hyperbolic_sine_and_cosine(call.series[0])[which]


def _tan(call: SeriesCall) -> Series:
    return series.tangent(call.series[0], call.ans, 1 + call.ans * call.ans, 1.0)


def _tanh(call: SeriesCall) -> Series:
    u = call.series[0]
    return series.tangent(u, call.ans, logistic.SECH2(u[0]), -1.0)


def _sech2(call: SeriesCall) -> Series:
    """Follow ``w' = -2 y w u'`` with ``y = tanh u``."""
    u = call.series[0]

    def slopes(m: int, y: Series, w: Series) -> tuple[Any, Any]:
        curved = series.coefficient(y, w, m)
        return w[m], None if curved is None else -2 * curved

    return series.solved(u, [np.tanh(u[0]), call.ans], slopes)[1]


def _by_slope(slope: Callable[[Series], Series]) -> Rule:
    """Make the rule of a function whose slope is an algebraic function of its argument."""
    return lambda call: series.integrate(call.series[0], slope(call.series[0]), call.ans)


def _one_over(x: Series) -> Series:
    return series.divide(series.constant(np.ones_like(x[0]), x), x)


def _within(u: Series) -> Series:
    """Return ``(1 - u)(1 + u)``."""
    return series.multiply(series.shift(series.scale(u, -1.0), 1.0), series.shift(u, 1.0))


def _beyond(u: Series) -> Series:
    return series.shift(series.square(u), 1.0)


def _arccosh_slope(u: Series) -> Series:
    return _one_over(series.multiply(series.root(series.shift(u, -1.0)), series.root(series.shift(u, 1.0))))


def _negative_slope(u: Series) -> Series:
    return series.scale(_one_over(series.root(_within(u))), -1.0)


def _share(call: SeriesCall) -> Series:
    d = series.combine(call.of(0), call.of(1), series.subtract)
    return series.shares(d, call.ans, logistic.SHARE(call.values[1], call.values[0]))[0]


def _logaddexp(call: SeriesCall) -> Series:
    """Integrate ``y' = s a' + (1 - s) b'``, s the share of a."""
    a, b = call.of(0), call.of(1)
    d = series.combine(a, b, series.subtract)
    s, c = series.shares(d, *(logistic.SHARE(*pair) for pair in ((a[0], b[0]), (b[0], a[0]))))
    return series.combine(series.integrate(a, s, call.ans), series.integrate(b, c, call.ans), series.add)


def expit(call: SeriesCall) -> Series:
    u = call.series[0]
    zero = np.zeros_like(u[0])
    return series.shares(u, call.ans, logistic.SHARE(zero, u[0]))[0]


def _gauss(call: SeriesCall) -> Series:
    """Follow ``exp(-c u^2)``, whose value is computed without the rounding of the square."""
    u, c = call.series[0], call.values[1]
    return series.exponential(series.scale(series.square(u), -c), call.ans)


def _angle(call: SeriesCall) -> Series:
    """Integrate ``c s' - s c'`` with the sine and cosine of the angle, which are y and x over their hypotenuse."""
    y, x = call.of(0), call.of(1)
    length = np.hypot(x[0], y[0])
    near = [series.scale(z, 1 / length) for z in (x, y)]
    total = series.combine(series.square(near[0]), series.square(near[1]), series.add)
    r = series.root(total)
    c, s = (series.divide(z, r) for z in near)
    there, back = series.integrate(s, c, call.ans), series.integrate(c, s, call.ans)
    return series.combine(there, back, series.subtract)


def _rows() -> Mapping[Primitive, Rule]:
    kinds: list[tuple[Rule, tuple[Any, ...]]] = [
        (_power, (powers.POWER, powers.FLOAT_POWER, limits.POWER)),
        (lambda call: series.square(call.series[0]), (_UFUNCS[np.square],)),
        (_root, (_UFUNCS[np.sqrt],)),
        (_cube_root, (_UFUNCS[np.cbrt],)),
        (_exponential(), (_UFUNCS[np.exp],)),
        (_exponential(2.0), (_UFUNCS[np.exp2],)),
        (_exponential(less=1.0), (_UFUNCS[np.expm1],)),
        (_logarithm(), (_UFUNCS[np.log],)),
        (_logarithm(1 / math.log(2)), (_UFUNCS[np.log2],)),
        (_logarithm(1 / math.log(10)), (_UFUNCS[np.log10],)),
        (_logarithm(plus=1.0), (_UFUNCS[np.log1p],)),
        (_hypotenuse, (_UFUNCS[np.hypot],)),
        (_circular(0), (_UFUNCS[np.sin],)),
        (_circular(1), (_UFUNCS[np.cos],)),
        (_hyperbolic(0), (_UFUNCS[np.sinh],)),
        (_hyperbolic(1), (_UFUNCS[np.cosh],)),
        (_tan, (_UFUNCS[np.tan],)),
        (_tanh, (_UFUNCS[np.tanh],)),
        (_sech2, (logistic.SECH2,)),
        (_by_slope(lambda u: _one_over(series.root(_within(u)))), (_UFUNCS[np.arcsin],)),
        (_by_slope(_negative_slope), (_UFUNCS[np.arccos],)),
        (_by_slope(lambda u: _one_over(_beyond(u))), (_UFUNCS[np.arctan],)),
        (_by_slope(lambda u: _one_over(series.root(_beyond(u)))), (_UFUNCS[np.arcsinh],)),
        (_by_slope(_arccosh_slope), (_UFUNCS[np.arccosh],)),
        (_by_slope(lambda u: _one_over(_within(u))), (_UFUNCS[np.arctanh],)),
        (lambda call: _within(call.series[0]), (logistic.WITHIN,)),
        (lambda call: _beyond(call.series[0]), (logistic.BEYOND,)),
        (_share, (logistic.SHARE,)),
        (_logaddexp, (_UFUNCS[np.logaddexp],)),
        (_gauss, (gauss.GAUSS,)),
        (_angle, (_UFUNCS[np.arctan2],)),
    ]
    return {primitive: rule for rule, primitives in kinds for primitive in primitives}


RULES: Mapping[Primitive, Rule] = MappingProxyType(_rows())
