"""Elementwise operations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autodiff_compare.fuzzing.operations.operation import (
    MARGIN,
    Draw,
    Kink,
    Operation,
    Parameters,
    Smooth,
    above_zero,
    at,
    away_from_integers,
    away_from_zero,
    broadcastable,
    different,
    equal_to,
    everywhere,
    moderate,
    scalar,
    within_one,
)
from autodiff_compare.problems import Array

_SCALARS = scalar(-2.0, -0.5, 0.5, 1.5, 2.0, 3.0)


def _unary(
    name: str, smooth: Smooth = everywhere, torch: str = "", tensorflow: str = "", kink: Kink | None = None
) -> Operation:
    spelled = {"torch": torch or f"torch.{name}({{0}})", "tensorflow": tensorflow or f"tf.math.{name}({{0}})"}
    return Operation("elementwise", f"xp.{name}({{0}})", smooth=smooth, kink=kink, spelled=spelled)


def _binary(
    template: str, smooth: Smooth = everywhere, torch: str = "", tensorflow: str = "", kink: Kink | None = None
) -> Operation:
    spelled = {"torch": torch or template, "tensorflow": tensorflow or template.replace("xp.", "tf.math.")}
    return Operation("elementwise", template, 2, broadcastable, smooth, spelled, kink=kink)


def _scalar(template: str, smooth: Smooth = everywhere, draws: Draw = _SCALARS) -> Operation:
    return Operation("elementwise", template, 1, draws, smooth, {"tensorflow": template.replace("xp.", "tf.")})


def _tangent(a: Array) -> bool:
    return bool(np.all(np.abs(np.cos(a)) > 2 * MARGIN))


def _above_one(a: Array) -> bool:
    return bool(np.all(a > 1 + MARGIN))


def _divisor(_: Array, b: Array) -> bool:
    return away_from_zero(b)


def _base(a: Array, b: Array) -> bool:
    return above_zero(a) and moderate(b)


def _not_both_zero(a: Array, b: Array) -> bool:
    return bool(np.all(np.abs(a) + np.abs(b) > MARGIN))


def _angle(a: Array, b: Array) -> bool:
    """Return whether no point is near the cut of the angle, the negative axis of ``b``."""
    return _not_both_zero(a, b) and bool(np.all((np.abs(a) > MARGIN) | (b > 0)))


def _quotient(a: Array, b: Array) -> bool:
    with np.errstate(all="ignore"):
        return away_from_zero(b) and away_from_integers(a / b)


def _signs(a: Array, b: Array) -> bool:
    return away_from_zero(a) and away_from_zero(b)


def _within_bounds(a: Array) -> bool:
    return bool(np.all(np.abs(np.abs(a) - 1) > MARGIN))


def _exponent(rng: np.random.Generator, a: Array) -> Parameters:
    del a
    # Whole numbers are drawn both as int and as float: frameworks have separate rules for them.
    return {"k": [2, 3, 4, 2.0, 0.5, 1.5, -1, -2.0, 1.0][int(rng.integers(9))]}


def _of_exponent(a: Array) -> bool:
    return above_zero(a)


TABLE: Mapping[str, Operation] = {
    "sin": _unary("sin"),
    "cos": _unary("cos"),
    "tan": _unary("tan", _tangent),
    "asin": _unary("asin", within_one),
    "acos": _unary("acos", within_one),
    "atan": _unary("atan"),
    "sinh": _unary("sinh", moderate),
    "cosh": _unary("cosh", moderate),
    "tanh": _unary("tanh"),
    "asinh": _unary("asinh"),
    "acosh": _unary("acosh", _above_one),
    "atanh": _unary("atanh", within_one),
    "exp": _unary("exp", moderate),
    "expm1": _unary("expm1", moderate),
    "log": _unary("log", above_zero),
    "log1p": _unary("log1p", lambda a: above_zero(1 + a)),
    "log2": _unary("log2", above_zero, tensorflow="tf.math.log({0}) / math.log(2.0)"),
    "log10": _unary("log10", above_zero, tensorflow="tf.math.log({0}) / math.log(10.0)"),
    "sqrt": _unary("sqrt", above_zero),
    "square": _unary("square"),
    "reciprocal": _unary("reciprocal", away_from_zero),
    "negative": _unary("negative"),
    "abs": _unary("abs", away_from_zero, kink=at(0.0)),
    "sign": _unary("sign", away_from_zero),
    "floor": _unary("floor", away_from_integers),
    "ceil": _unary("ceil", away_from_integers),
    "round": _unary("round", away_from_integers),
    "trunc": _unary("trunc", away_from_integers, tensorflow="tf.math.sign({0}) * tf.math.floor(tf.math.abs({0}))"),
    "add": _binary("{0} + {1}"),
    "subtract": _binary("{0} - {1}"),
    "multiply": _binary("{0} * {1}"),
    "divide": _binary("{0} / {1}", _divisor),
    "pow": _binary("{0} ** {1}", _base),
    "maximum": _binary("xp.maximum({0}, {1})", different, kink=equal_to),
    "minimum": _binary("xp.minimum({0}, {1})", different, kink=equal_to),
    "hypot": _binary("xp.hypot({0}, {1})", _not_both_zero, tensorflow="tf.math.sqrt({0} ** 2 + {1} ** 2)"),
    "atan2": _binary("xp.atan2({0}, {1})", _angle),
    "logaddexp": _binary("xp.logaddexp({0}, {1})", tensorflow="tf.experimental.numpy.logaddexp({0}, {1})"),
    "copysign": _binary(
        "xp.copysign({0}, {1})", _signs, tensorflow="tf.where({1} < 0, -tf.math.abs({0}), tf.math.abs({0}))"
    ),
    "remainder": _binary("xp.remainder({0}, {1})", _quotient, tensorflow="tf.math.floormod({0}, {1})"),
    "scale": _scalar("{0} * {k}"),
    "shift": _scalar("{0} + {k}"),
    "subtract_from": _scalar("{k} - {0}"),
    "divide_by": _scalar("{0} / {k}"),
    "divided": _scalar("{k} / {0}", away_from_zero),
    "power": _scalar("{0} ** {k}", _of_exponent, _exponent),
    "exponential": _scalar("{k} ** {0}", moderate, scalar(0.5, 2.0)),
    "clip": Operation(
        "elementwise",
        "xp.clip({0}, -1.0, 1.0)",
        smooth=_within_bounds,
        kink=at(-1.0, 1.0),
        spelled={"tensorflow": "tf.clip_by_value({0}, -1.0, 1.0)"},
    ),
    "maximum_scalar": Operation(
        "elementwise",
        "xp.maximum({0}, xp.zeros_like({0}))",
        smooth=away_from_zero,
        kink=at(0.0),
        spelled={"tensorflow": "tf.math.maximum({0}, tf.zeros_like({0}))"},
    ),
}
