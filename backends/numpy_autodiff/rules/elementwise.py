"""Elementwise functions: the Jacobian is diagonal, so that VJP and JVP multiply by the slope.

Conventions at kinks: |x| has slope 0 at 0; maximum and minimum halve the slope at a tie; clip passes the slope on at
its bounds, but if these are equal or crossed the result is the upper one; x**0 has slope 0 everywhere; hypot has slope
0 at the origin.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SELECTS
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, primal
from autodiff_compare.backends.numpy_autodiff.rules import limits
from autodiff_compare.backends.numpy_autodiff.rules.builders import UNIT, both, elementwise, has_zero, over
from autodiff_compare.backends.numpy_autodiff.rules.logistic import BEYOND, SECH2, SHARE, SHARE2, WITHIN, logaddexp
from autodiff_compare.backends.numpy_autodiff.rules.powers import FLOAT_POWER, POWER
from autodiff_compare.backends.numpy_autodiff.rules.where import hides_infinity, not_finite


def _negated(g: Any, *_: Any) -> Any:
    return -g


def _same(g: Any, *_: Any) -> Any:
    return g


ADD: Primitive = both(np.add, _same, _same, keeps=False)
SUBTRACT: Primitive = both(np.subtract, _same, _negated, keeps=False)


def _not_times_zero(i: int, where: tuple[int, ...], *factors: Any) -> Any:
    """Return where the other factor is no constant zero, by which the product is constant."""
    if len(where) == 2:
        return True
    other = factors[1 - i]
    if other.__class__ is float or other.__class__ is int:
        return bool(other)
    if isinstance(other, Node) and not other.tape.symbolic:
        return True
    return np.not_equal(other, 0) if has_zero(other) else True


MULTIPLY: Primitive = both(np.multiply, lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x, selects=_not_times_zero)
NEGATIVE: Primitive = both(np.negative, _negated)


def _divide_x(g: Any, _ans: Any, _x: Any, y: Any) -> Any:
    return over(g, y)


def _divide_y(g: Any, ans: Any, _x: Any, y: Any) -> Any:
    return over(-g * ans, y)


DIVIDE: Primitive = both(
    np.divide, _divide_x, _divide_y, steep=lambda node, x, y: has_zero(y), undo=limits.undo_quotient
)


def _at_zero(_node: Any, x: Any) -> bool:
    return has_zero(x)


def absolute_vjp(g: Any, ans: Any, x: Any) -> Any:
    """Transpose ``d|x| = Re(conj(x) dx) / |x|``; 0 at 0."""
    return g * UNIT(np.conj(x), ans) if x.dtype.kind == "c" else g * np.sign(x)


def _absolute_jvp(t: Any, ans: Any, x: Any) -> Any:
    return np.real(UNIT(np.conj(x), ans) * t) if x.dtype.kind == "c" else t * np.sign(x)


ABSOLUTE: Primitive = Primitive(
    "absolute",
    np.absolute,
    (absolute_vjp,),
    (_absolute_jvp,),
    pointwise=True,
    steep=_at_zero,
    tip=True,
    undo=limits.undo_length,
)
FABS: Primitive = both(np.fabs, lambda g, ans, x: g * np.sign(x), steep=_at_zero, tip=True, undo=limits.undo_length)
REAL: Primitive = Primitive("real", np.real, (_same,), (lambda t, ans, x: np.real(t),))
IMAG: Primitive = Primitive("imag", np.imag, (lambda g, ans, x: g * -1j,), (lambda t, ans, x: np.imag(t),))
CONJ: Primitive = both(np.conjugate, lambda g, ans, x: np.conj(g), name="conj")


def _per_modulus(g: Any, x: Any) -> Any:
    origin = np.equal(x, 0)
    return g / np.where(origin, 1, np.abs(x)) * np.logical_not(origin)


def _sign_vjp(g: Any, ans: Any, x: Any) -> Any:
    """Transpose ``d(z/|z|) = (dz - s Re(conj(s) dz)) / |z|`` with ``s = z/|z|``; 0 at 0."""
    return _per_modulus(g - np.conj(ans) * np.real(g * ans), x)


def _sign_jvp(t: Any, ans: Any, x: Any) -> Any:
    return _per_modulus(t - ans * np.real(np.conj(ans) * t), x)


PHASE: Primitive = Primitive("sign", np.sign, (_sign_vjp,), (_sign_jvp,), pointwise=True)


SIGN: Primitive = both(np.sign, lambda g, ans, x: None)
FIXED_SIGN: Primitive = Primitive("sign", np.sign, constant=True)


def sign(x: Any) -> Any:
    """Compute `numpy.sign`: ``z/|z|`` for a complex number, and a constant for a real one away from 0.

    At 0 it is 0, unlike on either side, and so no constant factor.
    """
    if x.dtype.kind == "c":
        return PHASE(x)
    return SIGN(x) if has_zero(primal(x)) else FIXED_SIGN(x)


def _tie(wins: Any, x: Any, y: Any) -> Any:
    """Return 1 where this argument is chosen, 1/2 at a tie."""
    tied = np.equal(x, y)
    if not np.any(tied):
        return wins
    kind = np.result_type(x, y) if not isinstance(x, (int, float)) else np.asarray(x).dtype
    return np.where(tied, 0.5, wins).astype(kind if kind.kind == "f" else float)


def _choice(function: Any, first_wins: Any) -> Primitive:
    return both(
        function,
        lambda g, ans, x, y: g * _tie(first_wins(x, y), primal(x), primal(y)),
        lambda g, ans, x, y: g * _tie(np.logical_not(first_wins(x, y)), primal(x), primal(y)),
        selects=SELECTS,
    )


def _hypot_slope(g: Any, ans: Any, x: Any) -> Any:
    return g * UNIT(x, ans)


def _arctan2_y(g: Any, _ans: Any, y: Any, x: Any) -> Any:
    h = np.hypot(x, y)
    return g * over(over(x, h), h)


def _arctan2_x(g: Any, _ans: Any, y: Any, x: Any) -> Any:
    h = np.hypot(x, y)
    return -g * over(over(y, h), h)


def _arcsinh(g: Any, _ans: Any, x: Any) -> Any:
    """Divide by ``sqrt(x^2 + 1)``; for real numbers without squaring, which overflows."""
    return g / (np.sqrt(x * x + 1) if x.dtype.kind == "c" else np.hypot(x, 1.0))


def _root(g: Any, ans: Any, _x: Any) -> Any:
    return 0.5 * over(g, ans)


def _overflows(node: Any, *_: Any) -> bool:
    return not_finite(primal(node.primal))


def _at_ones(_node: Any, x: Any) -> bool:
    return has_zero(1 - x) or has_zero(1 + x)


def _at_origin(_node: Any, x: Any, y: Any) -> bool:
    return has_zero(np.hypot(x, y))


def _inverse(factor: float = 1.0) -> Any:
    """Make the rule of ``factor log x``."""
    return lambda g, ans, x: over(g, x) * factor if factor != 1.0 else over(g, x)


def _sinc_derivative(x: Any, n: int) -> Any:
    """Return the n-th derivative in x of sin(u)/u at u = pi x.

    With ``S_n`` the n-th derivative in u, ``u S = sin u`` differentiated n times is ``u S_n + n S_(n-1) = sin^(n) u``.
    Where that cancels, the series is used:
    ``S_n = sum_j (-1)^j (2j)! / ((2j-n)! (2j+1)!) u^(2j-n)``.
    """
    if n == 0:
        return np.sinc(x)
    given = np.asarray(x)
    x = given.astype(np.result_type(given, np.float64))
    u = np.pi * x
    near = np.abs(u) < n + 2
    small, large = np.where(near, u, 0), np.where(near, 1, u)
    series = sum(
        (-1) ** j
        * math.factorial(2 * j)
        / (math.factorial(2 * j - n) * math.factorial(2 * j + 1))
        * small ** (2 * j - n)
        for j in range((n + 1) // 2, (n + 1) // 2 + 20 + 2 * n)
    )
    # The phase is reduced before it is multiplied by pi: x - whole is exact.
    whole = np.rint(np.real(x))
    sign, turn = np.where(np.remainder(whole, 2), -1, 1), x - whole
    # cos(pi t) = sin(pi (1/2 - |t|)) is exact at its zero, t = 1/2, for real t.
    cosine = np.cos(np.pi * turn) if x.dtype.kind == "c" else np.sin(np.pi * (0.5 - np.abs(turn)))
    sine, cosine = sign * np.sin(np.pi * turn), sign * cosine
    far = sine / large
    for k in range(1, n + 1):
        far = ((sine, cosine, -sine, -cosine)[k % 4] - k * far) / large
    return (np.pi**n * np.where(near, series, far)).astype(given.dtype)[()]


SINC: Primitive = both(_sinc_derivative, lambda g, ans, x, n: g * SINC(x, n + 1), name="sinc")


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.clip(x, low, high)


def _ordered(low: Any, high: Any) -> Any:
    """Return where the lower bound is below the upper one; elsewhere the result is the upper one, whatever x is."""
    return True if low is None or high is None else np.less(low, high)


def _inside(x: Any, low: Any, high: Any) -> Any:
    """Return where x is within the bounds, which are included."""
    above = True if low is None else np.greater_equal(x, low)
    inside = np.logical_and(above, True if high is None else np.less_equal(x, high))
    return inside if low is None or high is None else np.logical_and(inside, _ordered(low, high))


def _below(x: Any, low: Any, high: Any) -> Any:
    return np.logical_and(np.less(x, low), _ordered(low, high))


def _above(x: Any, low: Any, high: Any) -> Any:
    """Return where the upper bound is the result: above it, and everywhere if the lower one is not below it."""
    above = np.greater(x, high)
    return above if low is None else np.logical_or(above, np.greater_equal(low, high))


CLIP: Primitive = both(
    _clip,
    lambda g, ans, x, low, high: np.where(_inside(x, low, high), g, 0),
    lambda g, ans, x, low, high: np.where(_below(x, low, high), g, 0),
    lambda g, ans, x, low, high: np.where(_above(x, low, high), g, 0),
    name="clip",
    selects=SELECTS,
)


WHERE: Primitive = Primitive(
    "where",
    np.where,
    (None, lambda g, ans, c, x, y: np.where(c, g, 0), lambda g, ans, c, x, y: np.where(c, 0, g)),
    (None, lambda t, ans, c, x, y: np.where(c, t, 0), lambda t, ans, c, x, y: np.where(c, 0, t)),
    steep=hides_infinity,
    selects=SELECTS,
)
WHICH: Primitive = Primitive("where", np.where, constant=True)
#: Constant in x; at x = 0 it is its second argument.
HEAVISIDE: Primitive = both(np.heaviside, lambda g, ans, x, y: None, lambda g, ans, x, y: g * np.equal(x, 0))
#: The quotient of the value that NumPy returns: x / y may be rounded to the next integer, as 1 / 0.1 is.
FMOD: Primitive = both(np.fmod, _same, lambda g, ans, x, y: -g * np.rint((x - ans) / y))
REMAINDER: Primitive = both(np.remainder, _same, lambda g, ans, x, y: -g * np.floor_divide(x, y))


def _frexp_vjp(g: Any, ans: Any, _x: Any) -> Any:
    """Transpose ``x = mantissa 2^exponent``, where the exponent is locally constant."""
    return None if g[0] is None else np.ldexp(g[0], -primal(ans[1]))


def _frexp_jvp(t: Any, ans: Any, _x: Any) -> Any:
    return np.ldexp(t, -primal(ans[1])), None


UFUNCS: dict[Any, Any] = {
    np.add: ADD,
    np.subtract: SUBTRACT,
    np.multiply: MULTIPLY,
    np.divide: DIVIDE,
    np.power: POWER,
    np.float_power: FLOAT_POWER,
    np.negative: NEGATIVE,
    np.positive: both(np.positive, _same),
    np.absolute: ABSOLUTE,
    np.sign: sign,
    np.fabs: FABS,
    np.conjugate: CONJ,
    np.remainder: REMAINDER,
    np.divmod: lambda x, y: (np.floor_divide(x, y), REMAINDER(x, y)),
    np.fmod: FMOD,
    np.heaviside: HEAVISIDE,
    np.square: elementwise(np.square, lambda ans, x: 2 * x),
    np.sqrt: both(np.sqrt, _root, steep=_at_zero, undo=limits.undo_sqrt),
    np.cbrt: both(np.cbrt, lambda g, ans, x: over(g, ans * ans) / 3, steep=_at_zero, undo=limits.undo_cbrt),
    np.reciprocal: both(
        np.reciprocal, lambda g, ans, x: -over(over(g, x), x), steep=_at_zero, undo=limits.undo_by("reciprocal")
    ),
    np.exp: elementwise(np.exp, lambda ans, x: ans, steep=_overflows),
    np.exp2: elementwise(np.exp2, lambda ans, x: ans * math.log(2), steep=_overflows),
    np.expm1: elementwise(np.expm1, lambda ans, x: np.exp(x), steep=_overflows),
    np.log: both(np.log, _inverse(), steep=_at_zero, undo=limits.undo_by("exp")),
    np.log2: both(np.log2, _inverse(1 / math.log(2)), steep=_at_zero, undo=limits.undo_by("exp2")),
    np.log10: both(np.log10, _inverse(1 / math.log(10)), steep=_at_zero, undo=limits.undo_by("exp10")),
    np.log1p: both(
        np.log1p, lambda g, ans, x: over(g, 1 + x), steep=lambda node, x: has_zero(1 + x), undo=limits.undo_by("expm1")
    ),
    np.sin: elementwise(np.sin, lambda ans, x: np.cos(x)),
    np.cos: elementwise(np.cos, lambda ans, x: -np.sin(x)),
    np.tan: elementwise(np.tan, lambda ans, x: 1 + ans * ans),
    np.arcsin: both(
        np.arcsin,
        lambda g, ans, x: over(g, np.sqrt(WITHIN(x))),
        steep=_at_ones,
        undo=limits.undo_by("sin"),
    ),
    np.arccos: both(
        np.arccos,
        lambda g, ans, x: -over(g, np.sqrt(WITHIN(x))),
        steep=_at_ones,
        undo=limits.undo_by("cos"),
    ),
    np.arctan: both(np.arctan, lambda g, ans, x: g / BEYOND(x)),
    np.sinh: elementwise(np.sinh, lambda ans, x: np.cosh(x), steep=_overflows),
    np.cosh: elementwise(np.cosh, lambda ans, x: np.sinh(x), steep=_overflows),
    np.tanh: elementwise(np.tanh, lambda ans, x: SECH2(x)),
    np.arcsinh: both(np.arcsinh, _arcsinh),
    np.arccosh: both(
        np.arccosh,
        lambda g, ans, x: over(g, np.sqrt(x - 1) * np.sqrt(x + 1)),
        steep=_at_ones,
        undo=limits.undo_by("cosh"),
    ),
    np.arctanh: both(np.arctanh, lambda g, ans, x: over(g, WITHIN(x)), steep=_at_ones, undo=limits.undo_by("tanh")),
    np.hypot: both(
        np.hypot,
        lambda g, ans, x, y: _hypot_slope(g, ans, x),
        lambda g, ans, x, y: _hypot_slope(g, ans, y),
        steep=_at_origin,
        tip=True,
        undo=limits.undo_hypot,
    ),
    np.arctan2: both(np.arctan2, _arctan2_y, _arctan2_x, steep=_at_origin),
    np.maximum: _choice(np.maximum, np.greater),
    np.minimum: _choice(np.minimum, np.less),
    np.fmax: _choice(np.fmax, lambda x, y: np.logical_or(np.greater(x, y), np.isnan(y))),
    np.fmin: _choice(np.fmin, lambda x, y: np.logical_or(np.less(x, y), np.isnan(y))),
    np.logaddexp: elementwise(logaddexp, lambda ans, x, y: SHARE(x, y), lambda ans, x, y: SHARE(y, x)),
    np.logaddexp2: elementwise(np.logaddexp2, lambda ans, x, y: SHARE2(x, y), lambda ans, x, y: SHARE2(y, x)),
    np.nextafter: both(np.nextafter, _same, lambda g, ans, x, y: None),
    np.ldexp: both(np.ldexp, lambda g, ans, x, n: np.ldexp(g, n)),
    np.frexp: Primitive("frexp", np.frexp, (_frexp_vjp,), (_frexp_jvp,)),
    np.modf: Primitive("modf", np.modf, (lambda g, ans, x: g[0],), (lambda t, ans, x: (t, None),)),
    np.deg2rad: elementwise(np.deg2rad, lambda ans, x: math.pi / 180),
    np.rad2deg: elementwise(np.rad2deg, lambda ans, x: 180 / math.pi),
    np.radians: elementwise(np.radians, lambda ans, x: math.pi / 180),
    np.degrees: elementwise(np.degrees, lambda ans, x: 180 / math.pi),
    np.copysign: elementwise(np.copysign, lambda ans, x, y: np.sign(x) * np.copysign(1.0, y), lambda ans, x, y: 0.0),
}


def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Compute `numpy.where`; with one argument the indices, which are constants."""
    if x is None and y is None:
        return WHICH(primal(condition))
    return WHERE(primal(condition), x, y)


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Compute `numpy.clip`."""
    if (a_min is not None or a_max is not None) and (min is not None or max is not None):
        raise ValueError("got bounds both as a_min, a_max and as min=, max=, expected one form: pass two bounds")
    return CLIP(a, min if a_min is None else a_min, max if a_max is None else a_max)


def angle(z: Any, deg: bool = False) -> Any:
    """Compute `numpy.angle`."""
    found = np.arctan2(np.imag(z), np.real(z))
    return found * (180 / math.pi) if deg else found


HANDLERS: dict[Any, Any] = {
    np.real: REAL,
    np.imag: IMAG,
    np.where: where,
    np.clip: clip,
    np.angle: angle,
    np.sinc: lambda x: SINC(x, 0),
}
