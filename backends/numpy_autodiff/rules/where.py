"""When ``where`` hides what is not finite.

``where(x < 10, exp(x), x)`` at 1000 selects x, yet the exponential is evaluated too. It is infinite, as is its slope.
Its cotangent 0 would become ``0 * inf = nan`` and spoil the sum of cotangents in x. Users of other systems write a
second ``where`` inside for that (the double-where trick). Here it is not needed: such a ``where`` counts as steep, so
that the sweep follows the rule of `autodiff_compare.backends.numpy_autodiff.core.reach`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def hides_infinity(node: Any, condition: Any, x: Any, y: Any) -> bool:
    """Return whether an operand is not finite where it is discarded: so may be slopes on the way to it."""
    for i, value in ((1, x), (2, y)):
        if i in node.call.where and not np.isfinite(_total(value)):
            taken = condition if i == 1 else np.logical_not(condition)
            if np.any(np.logical_not(np.logical_or(np.isfinite(value), taken))):
                return True
    return False


def not_finite(x: Any) -> bool:
    """Return whether an entry is infinite or nan; a compiler guards the answer."""
    if x.__class__ is np.ndarray and x.dtype.kind == "f":
        # A finite number less itself is 0.
        total = float(np.vdot(x, x))
        return total - total != 0 and not np.isfinite(x).all()
    return not np.isfinite(_total(x)) and not np.all(np.isfinite(x))


def _total(x: Any) -> Any:
    """Return a number that is finite only if every entry is, in one pass over the array.

    Testing each entry takes two passes and a temporary. A dot product does not warn of overflow, as a sum does.
    """
    if not x.shape:
        return x
    if isinstance(x, np.ndarray):
        return np.vdot(x, x)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sum(x * x)
