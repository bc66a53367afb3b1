"""Powers, with the base and the exponent as variables.

    d(x^y) = y x^(y-1) dx + x^y log(x) dy

Conventions: ``x**0`` is 1 everywhere, with the slope 0; ``0**y`` is 0 for y > 0, with the slope 0 in y. As in
`numpy.power` from NumPy 2.3 on, the exponent 0.5 is a root, so that the base -0.0 gives -0.0 and minus infinity gives
nan; NumPy 2.2 gives 0 and infinity.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
from autodiff_compare.backends.numpy_autodiff.rules import limits
from autodiff_compare.backends.numpy_autodiff.rules.builders import UNIT, both, has_zero, over


def _integer_power(x: Any, n: int) -> Any:
    square = x * x
    return square if n == 2 else square * x if n == 3 else square * square


def _power(x: Any, y: Any) -> Any:
    return _integer_power(x, y) if y.__class__ is int and 2 <= y <= 4 else np.power(x, y)


def _power_x(g: Any, ans: Any, x: Any, y: Any) -> Any:
    """Multiply by ``y x^(y-1)``, 0 for y = 0 even at x = 0. Negative powers are quotients.

    Where y - 1 is rounded, x^(y-1) is off by that error times log x, 170 units for x = 1e200 and y = -0.1. There, and
    for negative numbers y, for which x^(1-y) may overflow, it is ``x^y / x``.
    """
    if y.__class__ is int or y.__class__ is float:
        return None if y == 0 else _number_power_x(g, ans, x, y)
    zero = np.equal(y, 0)
    if isinstance(y, Node) and not y.tape.symbolic:
        # The second derivative in x and y is x^(y-1) (1 + y log x), also at y = 0.
        zero = np.logical_and(zero, np.equal(x, 0))
    below = np.where(zero, 0, y - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = y * x**below
    rounded = np.logical_and(np.not_equal(below + 1, y), np.not_equal(x, 0))
    if np.any(rounded):
        found = np.where(rounded, y * np.where(rounded, ans, 1) / np.where(rounded, x, 1), found)
    if not np.any(np.logical_and(np.less(np.real(y), 1), np.equal(x, 0))):
        return g * np.where(zero, 0, found)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(zero, g * UNIT(y, x), g * found)


def _raised(x: Any, y: float) -> Any:
    """Return ``x**y`` by `numpy.power`, which takes the root for 0.5; the operator of NumPy's numbers does not."""
    return np.power(x, y) if y == 0.5 else x**y


def _number_power_x(g: Any, ans: Any, x: Any, y: float) -> Any:
    if y >= 1:
        return g * (y * _raised(x, y - 1))
    if y > 0 and 1 - (1 - y) == y:
        return y * over(g, _raised(x, 1 - y))
    if not has_zero(x):
        return g * (y * ans / x)
    origin = np.equal(x, 0)
    smooth = g * (y * np.where(origin, 1, ans) / np.where(origin, 1, x))
    return np.where(origin, y * over(g, np.where(origin, x, 1) ** (1 - y)), smooth)


def _times_log(a: Any, x: Any) -> Any:
    return np.where(np.equal(a, 0), 0, a * np.log(x))[()]


#: ``a log x``, 0 where a is: not so its slopes, so that the second derivative of ``x**y`` at x = 0 is infinite or nan.
TIMES_LOG: Primitive = both(
    _times_log,
    lambda g, ans, a, x: g * np.log(x),
    lambda g, ans, a, x: over(g * a, x),
    name="times_log",
    steep=lambda node, a, x: has_zero(x),
)


def _power_y(g: Any, ans: Any, x: Any, y: Any) -> Any:
    """Multiply by ``x^y log x``, whose limit at x = 0 is 0 for y > 0, with its slopes for y > 1."""
    zero = np.equal(x, 0)
    if not np.any(zero):
        return g * ans * np.log(x)
    smooth = np.logical_and(zero, np.greater(np.real(y), 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(smooth, 0, g * TIMES_LOG(ans, np.where(smooth, 1, x)))


def _power_is_steep(_node: Any, x: Any, y: Any) -> bool:
    """Return whether the base is 0 where the exponent is below 1."""
    if y.__class__ is int or y.__class__ is float:
        return y < 1 and y != 0 and has_zero(x)
    return bool(np.any(np.logical_and(np.equal(x, 0), np.less(np.real(y), 1))))


POWER: Primitive = both(_power, _power_x, _power_y, name="power", steep=_power_is_steep, undo=limits.undo_power)
FLOAT_POWER: Primitive = both(np.float_power, _power_x, _power_y, steep=_power_is_steep, undo=limits.undo_power)
