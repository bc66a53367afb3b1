"""Slopes of hyperbolic tangents, of log-sum-exp and of inverse trigonometric functions that keep their digits.

``1 - tanh(x)^2`` and ``(1 + tanh((x - y)/2)) / 2`` are differences of nearly equal numbers far out: at 20 nothing is
left of the slope 1.7e-17. Each function here is a primitive of its own, with the slope in closed form, so that second
derivatives do not cancel either:

    SECH2(x)        tanh' = 4 e / (1 + e)^2 with e = exp(-2|x|);     SECH2' = -2 tanh SECH2
    SHARE(x, y)     e^x / (e^x + e^y) = 1 / (1 + e^(y-x));           SHARE' = +-SHARE(x, y) SHARE(y, x)
    SHARE2(x, y)    the same for powers of 2;                        SHARE2' = the same times log 2
    WITHIN(x)       (1 - x)(1 + x);                                  WITHIN' = -2 x
    BEYOND(x)       1 + x^2, infinite where it overflows;            BEYOND' = 2 x
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules.builders import elementwise

_DOUBLE = np.dtype(float)
#: Entries from which on several calls of NumPy take less time than one function without vector instructions.
_LONG = 256


def exact_difference(x: Any, y: Any) -> tuple[Any, Any]:
    """Return ``d = x - y`` as rounded, and the error ``(x - y) - d``, which is a floating-point number too.

    Knuth, The Art of Computer Programming 2, 4.2.2. An error of half a unit in ``d = 700`` is 256 units in ``exp(d)``.
    """
    with np.errstate(invalid="ignore"):
        d = np.subtract(x, y)
        if _is_zero(x) or _is_zero(y):
            return d, d.dtype.type(0)
        back = x - d
        error = (x - (d + back)) + (back - y)
    return d, error if np.isfinite(error).all() else np.where(np.isfinite(error), error, 0)


def _is_zero(x: Any) -> bool:
    """Return whether all entries are zero, as in ``logaddexp(0, x)``: one look at the first tells most others."""
    first = x.flat[0] if isinstance(x, np.ndarray) and x.size else x
    return np.size(x) > 0 and first == 0 and not np.count_nonzero(x)


def logaddexp(x: Any, y: Any) -> Any:
    """Compute `numpy.logaddexp` by functions with vector instructions: 9 instead of 21 ns an entry of long arrays."""
    if not (_is_long(x) or _is_long(y)) or np.result_type(x, y) != _DOUBLE:
        return np.logaddexp(x, y)
    with np.errstate(invalid="ignore"):
        d = np.subtract(x, y)
    np.log1p(np.exp(np.negative(np.abs(d, d), d), d), d)
    d += np.maximum(x, y)
    # Equal infinities have the difference nan.
    return d if math.isfinite(np.vdot(d, d)) else np.logaddexp(x, y)


def _is_long(x: Any) -> bool:
    return x.__class__ is np.ndarray and x.size > _LONG


def _sech2(x: Any) -> Any:
    e = np.exp(-(np.where(np.real(x) < 0, -x, x) if np.iscomplexobj(x) else np.abs(x)))
    # Squared, for twice the argument may overflow.
    e = e * e
    return 4 * e / ((1 + e) * (1 + e))


def _share(power: Any, log_base: float) -> Any:
    """Make the function of x and y; equal infinities share evenly."""

    def share(x: Any, y: Any) -> Any:
        d, error = exact_difference(x, y)
        if np.isnan(d).any():
            d = np.where(np.equal(x, y), 0, d).astype(d.dtype)
        small = power(-np.abs(d))
        if np.count_nonzero(error):
            small = small - small * (np.sign(d) * error * log_base).astype(d.dtype)
        # 1 where d is not negative, and small where it is: by a maximum, in a third of the time of a choice.
        return (np.maximum(small, (d >= 0).astype(d.dtype)) / (1 + small))[()]

    return share


def _beyond(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 + x * x


SECH2: Primitive = elementwise(_sech2, lambda ans, x: -2 * np.tanh(x) * ans, name="sech2")
SHARE: Primitive = elementwise(
    _share(np.exp, 1.0),
    lambda ans, x, y: ans * SHARE(y, x),
    lambda ans, x, y: -ans * SHARE(y, x),
    name="share",
)
SHARE2: Primitive = elementwise(
    _share(np.exp2, math.log(2)),
    lambda ans, x, y: math.log(2) * ans * SHARE2(y, x),
    lambda ans, x, y: -math.log(2) * ans * SHARE2(y, x),
    name="share2",
)
WITHIN: Primitive = elementwise(lambda x: (1 - x) * (1 + x), lambda ans, x: -2 * x, name="within")
BEYOND: Primitive = elementwise(_beyond, lambda ans, x: 2 * x, name="beyond")
