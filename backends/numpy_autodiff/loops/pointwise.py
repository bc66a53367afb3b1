"""Elementwise functions of single numbers: as source text, and the functions that this text calls.

They return what NumPy's ufuncs return for nan, infinities, signed zeros and ties. Kernels that run as plain Python
call these same functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.compiler.graph import Op


def maximum(x: Any, y: Any) -> Any:
    """Return the larger number, nan if one is nan, and the second of zeros."""
    return x if (x > y) | (x != x) else y


def minimum(x: Any, y: Any) -> Any:
    """Return the smaller number, nan if one is nan, and the second of zeros."""
    return x if (x < y) | (x != x) else y


def sign(x: Any, one: Any) -> Any:
    """Return -1, 0 or 1 in the type of ``one``, which is that of x; nan for nan, and 0.0 for -0.0."""
    return one if x > 0 else (-one if x < 0 else (one - one if x == 0 else x))


def power_of_two(k: Any) -> Any:
    """Return 2^k for a whole number k of a few hundred at most; as machine code, k is put into the exponent."""
    return np.float64(2.0) ** k


def exp(x: Any) -> Any:
    """Return e^x of a double number, within a unit of rounding.

    With k = round(x / log 2) and r = x - k log 2, in [-0.35, 0.35], it is 2^k e^r. The series of e^r ends at r^13: the
    next term is below 5e-18. 2^k is multiplied in two halves, since 2^k itself may over- or underflow where the result
    does not. No step is a branch or a call, so that a loop of it uses vector registers.
    """
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    # Adding 1.5 * 2^52 rounds to a whole number.
    k = (x * 1.4426950408889634 + 6755399441055744.0) - 6755399441055744.0
    r = (x - k * 0.6931471803691238) - k * 1.9082149292705877e-10
    q = 1.6059043836821613e-10 * r + 2.08767569878681e-09
    q = q * r + 2.505210838544172e-08
    q = q * r + 2.755731922398589e-07
    q = q * r + 2.7557319223985893e-06
    q = q * r + 2.48015873015873e-05
    q = q * r + 0.0001984126984126984
    q = q * r + 0.001388888888888889
    q = q * r + 0.008333333333333333
    q = q * r + 0.041666666666666664
    q = q * r + 0.16666666666666666
    q = q * r + 0.5
    half = (k * 0.5 + 6755399441055744.0) - 6755399441055744.0
    return ((r * r * q + r) + 1.0) * power_of_two(half) * power_of_two(k - half)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of a double number, by `tanh_by`."""
    return tanh_by(x, decay(x))


def log1p_of_part(x: Any) -> Any:
    """Return log(1 + x) of a double number in [0, 1], by the rational function of Cephes for [-0.29, 0.41].

    Beyond, ``1 + x = 2 (1 + (x - 1) / 2)``.
    """
    large = x > 0.41421356237309503
    y = (x - 1.0) * 0.5 if large else x
    p = 4.527000086244520e-5 * y + 0.49854102823193376
    p = p * y + 6.578732594206104
    p = p * y + 29.911919328553073
    p = p * y + 60.94966798098779
    p = p * y + 57.11296359058554
    p = p * y + 20.03955349920128
    q = y + 15.062909083469192
    q = q * y + 83.04756596796721
    q = q * y + 221.76239823732857
    q = q * y + 309.0987222531206
    q = q * y + 216.4278861449595
    q = q * y + 60.118660497603846
    z = y * y
    found = y + (y * (z * p / q) - 0.5 * z)
    return found + 0.6931471805599453 if large else found


def logaddexp(x: Any, y: Any) -> Any:
    """Return ``log(e^x + e^y)`` of double numbers: the larger one and log(1 + e^-|x - y|)."""
    d = 0.0 if x == y else -abs(x - y)
    return maximum(x, y) + log1p_of_part(exp(d))


def share(x: Any, y: Any) -> Any:
    """Return ``e^x / (e^x + e^y)`` of double numbers; equal infinities share evenly.

    The error of the difference (Knuth's) is a slope of the exponential: half a unit of 700 is 256 units of the result.
    """
    d = x - y
    back = x - d
    error = (x - (d + back)) + (back - y)
    error = error if np.isfinite(error) else 0.0
    d = 0.0 if x == y else d
    small = exp(-abs(d))
    small = small - small * (-error if d < 0.0 else error)
    return (small if d < 0.0 else 1.0) / (1.0 + small)


def sech2(x: Any) -> Any:
    """Return ``1 - tanh(x)^2 = 4 e / (1 + e)^2`` of a double number, with ``e = exp(-2 |x|)``: it keeps its digits."""
    e = exp(-abs(x))
    e = e * e
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def decay(x: Any) -> Any:
    """Return ``e^(-2 |x|)`` of a double number, from which `tanh_by` and `sech2_by` follow."""
    return exp(-2.0 * abs(x))


def tanh_by(x: Any, d: Any) -> Any:
    """Return the hyperbolic tangent of a double number by ``d = e^(-2 |x|)``.

    It is ``(1 - d) / (1 + d)`` from 0.625 on, and ``x + x^3 p(x^2) / q(x^2)`` below (Cephes, Moshier 1989), within 1.5
    units. One division serves both, since a loop in vector registers computes both sides of a choice.
    """
    s = x * x
    p = (-0.9643991794250523 * s - 99.28772310019186) * s - 1614.6876844170845
    q = ((s + 112.81167849163293) * s + 2235.4883906010045) * s + 4844.063053251255
    small = abs(x) < 0.625
    quotient = (x * s * p if small else 1.0 - d) / (q if small else 1.0 + d)
    # -0.0 + 0.0 is 0.0.
    near = x if x == 0.0 else quotient + x
    return near if small else (-quotient if x < 0.0 else quotient)


def sech2_by(d: Any) -> Any:
    """Return ``1 - tanh(x)^2`` of a double number by ``d = e^(-2 |x|)``: no digit is lost, as in `sech2`."""
    return 4.0 * d / ((1.0 + d) * (1.0 + d))


def accumulate(total: Any, x: Any) -> Any:
    """Return ``total + x``; a compiled kernel may add up in any order, as NumPy's sums do."""
    return total + x


def greatest(most: Any, x: Any) -> Any:
    """Return the larger number, nan if one is nan, for maxima over many entries, in any order."""
    return maximum(most, x)


def least(fewest: Any, x: Any) -> Any:
    """Return the smaller number, nan if one is nan, for minima over many entries, in any order."""
    return minimum(fewest, x)


def compensated(total: Any, low: Any, x: Any) -> Any:
    """Add x to a sum of two parts; ``low`` collects the rounding errors (Knuth's sum of two numbers)."""
    found = total + x
    moved = found - total
    return found, low + ((total - (found - moved)) + (x - moved))


def settled(total: Any, low: Any) -> Any:
    """Return the sum of both parts; where it is infinite, the error has no meaning."""
    return total + low if low == low else total


#: The functions that kernels call by name, besides `numpy`.
CALLED = MappingProxyType(
    {f.__name__: f for f in (maximum, minimum, sign, power_of_two, exp, tanh, log1p_of_part, logaddexp, share, sech2)}
    | {f.__name__: f for f in (decay, tanh_by, sech2_by, accumulate, greatest, least, compensated, settled)}
)


@dataclass(frozen=True)
class Pointwise:
    """The text of a function of numbers, its cost in additions, and the kinds of numbers it may compute with."""

    text: str
    cost: int = 1
    kinds: str = "f"


def _calls(names: str, cost: int) -> dict[str, Pointwise]:
    return {name: Pointwise(f"np.{name}({{0}})", cost) for name in names.split()}


#: Name of an operation -> its text.
POINTWISE: Mapping[str, Pointwise] = MappingProxyType(
    {
        name: Pointwise(f"{{0}} {sign} {{1}}", kinds="fi")
        for name, sign in (("add", "+"), ("subtract", "-"), ("multiply", "*"))
    }
    | {
        name: Pointwise(f"{{0}} {sign} {{1}}", kinds="fib")
        for name, sign in (
            ("less", "<"),
            ("less_equal", "<="),
            ("greater", ">"),
            ("greater_equal", ">="),
            ("equal", "=="),
            ("not_equal", "!="),
        )
    }
    | _calls("sin cos tan log log1p expm1 log2 log10 sinh cosh arcsin arccos arctan arcsinh", 20)
    | _calls("exp2 cbrt", 20)
    | _calls("sqrt", 6)
    | _calls("floor ceil trunc isfinite isnan isinf", 1)
    | {
        "divide": Pointwise("{0} / {1}", 5),
        "reciprocal": Pointwise("{one} / {0}", 5),
        "negative": Pointwise("-{0}", kinds="fi"),
        "absolute": Pointwise("abs({0})"),
        "fabs": Pointwise("abs({0})"),
        "square": Pointwise("{0} * {0}"),
        "positive": Pointwise("{0}", 0, kinds="fi"),
        "maximum": Pointwise("maximum({0}, {1})", 2),
        "minimum": Pointwise("minimum({0}, {1})", 2),
        "sign": Pointwise("sign({0}, {one})", 2),
        "arctan2": Pointwise("np.arctan2({0}, {1})", 30),
        "hypot": Pointwise("np.hypot({0}, {1})", 20),
        "logical_and": Pointwise("{0} & {1}", kinds="b"),
        "logical_or": Pointwise("{0} | {1}", kinds="b"),
        "logical_not": Pointwise("not {0}", kinds="b"),
        "exp": Pointwise("exp({0})", 15),
        "tanh": Pointwise("tanh({0})", 25),
        "sech2": Pointwise("sech2({0})", 25),
        "decay": Pointwise("decay({0})", 15),
        "tanh_by": Pointwise("tanh_by({0}, {1})", 15),
        "sech2_by": Pointwise("sech2_by({0})", 8),
        "logaddexp": Pointwise("logaddexp({0}, {1})", 30),
        "share": Pointwise("share({0}, {1})", 25),
        "within": Pointwise("({one} - {0}) * ({one} + {0})", 2),
        "beyond": Pointwise("{0} * {0} + {one}", 2),
        "power": Pointwise("{0} ** {1}", 40),
        "real": Pointwise("{0}", 0),
    }
)
_OWN = frozenset({"sech2", "decay", "tanh_by", "sech2_by", "share", "logaddexp", "within", "beyond", "power", "real"})
_FLOAT_OF = {np.dtype(np.float64): "np.float64", np.dtype(np.float32): "np.float32"}
#: Functions that are computed in double precision, also of single numbers.
_DOUBLE = frozenset({"exp", "tanh", "sech2", "decay", "tanh_by", "sech2_by", "logaddexp", "share"})
#: Whether `numpy.power` takes the root for the exponent 0.5: not so NumPy 2.2.
_POWER_HAS_ROOTS = bool(np.signbit(np.power(-0.0, 0.5)))
_OF_TWO = frozenset({"power", "share", "logaddexp", "tanh_by"})
#: dtype -> the type that converts a number to it.
TYPES: Mapping[Any, str] = MappingProxyType(
    _FLOAT_OF | {np.dtype(np.int64): "np.int64", np.dtype(np.bool_): "np.bool_"}
)


def loop_dtypes(op: Op) -> tuple[Any, ...] | None:
    """Return the dtypes in which an elementwise operation takes its arguments, None if it has no text."""
    row = POINTWISE.get(op.name)
    if op.name == "where":
        return (np.dtype(bool), op.dtype, op.dtype) if len(op.args) == 3 and not op.kwargs else None
    if op.name == "astype":
        return _cast(op)
    if row is None or op.kwargs:
        return None
    if op.name in _OWN:
        return (op.dtype,) * (2 if op.name in _OF_TWO else 1) if op.dtype in _FLOAT_OF else None
    if not isinstance(op.function, np.ufunc) or len(op.args) != op.function.nin:
        return None
    try:
        found = op.function.resolve_dtypes((*map(_given, op.args), None))
    except TypeError:
        return None
    ins, out = found[:-1], found[-1]
    right = all(d in TYPES and d.kind in row.kinds for d in ins) and out == op.dtype
    return tuple(ins) if right else None


def _cast(op: Op) -> tuple[Any, ...] | None:
    """Return the argument's own dtype where a cast is to a float, or from truth values: it changes no number much."""
    x = op.args[0]
    widens = isinstance(x, Op) and x.dtype in TYPES and (op.dtype in _FLOAT_OF or x.dtype.kind == "b")
    return (x.dtype,) if widens else None


def _given(x: Any) -> Any:
    if x.__class__ in (int, float):
        return x.__class__
    if isinstance(x, Op):
        # The number of a round is one of Python.
        return x.dtype or float
    return np.asarray(x).dtype


def text(op: Op, args: list[str]) -> str:
    """Return the expression of an operation on numbers that have names or are literals."""
    if op.name == "where":
        return f"{args[1]} if {args[0]} else {args[2]}"
    if op.name == "astype":
        return f"{TYPES[op.dtype]}({args[0]})"
    if op.name == "power" and op.args[1].__class__ is int and 2 <= op.args[1] <= 4:
        square = f"{args[0]} * {args[0]}"
        return {2: square, 3: f"{square} * {args[0]}", 4: f"({square}) * ({square})"}[op.args[1]]
    if _is_root(op):
        return f"np.sqrt({args[0]})"
    if op.name in _DOUBLE and op.dtype != np.float64:
        return f"np.float32({POINTWISE[op.name].text.format(*(f'np.float64({a})' for a in args))})"
    return POINTWISE[op.name].text.format(*args, one=literal(1, op.dtype))


def cost(op: Op) -> int:
    """Return how many additions take as long as this operation."""
    if op.name == "power" and op.args[1].__class__ is int:
        return 2
    if _is_root(op):
        return POINTWISE["sqrt"].cost
    return POINTWISE[op.name].cost if op.name in POINTWISE else 1


def _is_root(op: Op) -> bool:
    """Return whether an operation is a root, which NumPy makes of the number 0.5 as exponent: that of -inf is nan."""
    y = op.args[1] if op.name == "power" and _POWER_HAS_ROOTS else None
    return isinstance(y, (float, np.floating, np.ndarray)) and not np.shape(y) and bool(y == 0.5)


def literal(x: Any, dtype: Any) -> str:
    """Return a number as source text of its dtype."""
    if dtype.kind == "b":
        return str(bool(x))
    if dtype.kind == "i":
        return f"np.int64({int(x)})"
    value = float(x)
    name = (
        repr(value)
        if math.isfinite(value)
        else ("np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf")
    )
    return name if dtype == np.float64 else f"np.float32({name})"
