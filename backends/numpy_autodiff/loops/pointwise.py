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
    """Return the larger number, nan if one is nan."""
    return x if (x >= y) | (x != x) else y


def minimum(x: Any, y: Any) -> Any:
    """Return the smaller number, nan if one is nan."""
    return x if (x <= y) | (x != x) else y


def sign(x: Any, one: Any) -> Any:
    """Return -1, 0 or 1 in the type of ``one``, which is that of x; nan for nan, and 0.0 for -0.0."""
    return one if x > 0 else (-one if x < 0 else (one - one if x == 0 else x))


def sech2(x: Any, one: Any) -> Any:
    """Return ``1 - tanh(x)^2 = 4 e / (1 + e)^2`` with ``e = exp(-2 |x|)``, which keeps its digits."""
    e = np.exp(-abs(x))
    e = e * e
    return (e + e + e + e) / ((one + e) * (one + e))


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
    {f.__name__: f for f in (maximum, minimum, sign, sech2, accumulate, greatest, least, compensated, settled)}
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
    | _calls("sin cos tan exp log log1p expm1 log2 log10 tanh sinh cosh arcsin arccos arctan arcsinh", 20)
    | _calls("exp2 cbrt", 20)
    | _calls("sqrt", 6)
    | _calls("floor ceil trunc isfinite isnan isinf", 1)
    | {
        "divide": Pointwise("{0} / {1}", 5),
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
        "sech2": Pointwise("sech2({0}, {one})", 30),
        "within": Pointwise("({one} - {0}) * ({one} + {0})", 2),
        "beyond": Pointwise("{0} * {0} + {one}", 2),
        "power": Pointwise("{0} ** {1}", 40),
        "real": Pointwise("{0}", 0),
    }
)
_OWN = frozenset({"sech2", "within", "beyond", "power", "real"})
_FLOAT_OF = {np.dtype(np.float64): "np.float64", np.dtype(np.float32): "np.float32"}
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
        return (op.dtype,) * (2 if op.name == "power" else 1) if op.dtype in _FLOAT_OF else None
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
    return POINTWISE[op.name].text.format(*args, one=literal(1, op.dtype))


def cost(op: Op) -> int:
    """Return how many additions take as long as this operation."""
    if op.name == "power" and op.args[1].__class__ is int:
        return 2
    return POINTWISE[op.name].cost if op.name in POINTWISE else 1


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
