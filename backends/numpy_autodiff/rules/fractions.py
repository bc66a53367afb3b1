"""Slopes of scaled functions by continued fractions, where their own formulas are differences of nearly equal numbers.

The derivative of a scaled function is small against the function far out, as ``i0e' = i1e - i0e`` is by a factor 2x.
A continued fraction of the *ratio* of two neighbouring functions gives that difference as one quotient, since the
leading terms can be subtracted by hand. The numbers of steps are those after which nothing changes in float64. The
functions are plain NumPy code, so that further derivatives keep their digits too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: From here on the leading term of every expansion is exact to rounding, and twice the argument does not overflow.
_DISTANT = 1e20
_ROOT_PI = float(np.sqrt(np.pi))


def bessel_i_defect(v: Any, x: Any) -> Any:
    """Return ``1 - I_(v+1)(x) / I_v(x)`` for x >= 0 and v >= 0.

    Perron's fraction (Gautschi and Slavik, Math. Comp. 32, 1978): the ratio is ``x / (x + D)`` with
    ``D = 2v + 2 - (2v+3) x / (2v+3 + 2x - (2v+5) x / (2v+4 + 2x - ...))``, so that the defect is ``D / (x + D)``.
    For large x, D tends to v + 1/2.
    """
    far = np.greater(x, _DISTANT)
    distant, x = np.where(far, x, 1.0), np.where(far, 1.0, x)
    steps = 80
    rest = (2 * v + steps + 2) + 2 * x
    for k in range(steps, 1, -1):
        rest = (2 * v + k + 1) + 2 * x - (2 * v + 2 * k + 1) * (x / rest)
    d = 2 * v + 2 - (2 * v + 3) * (x / rest)
    return np.where(far, (v + 0.5) / distant, d / (x + d))


def bessel_k_excess(v: Any, x: Any) -> Any:
    """Return ``-K_v'(x) / K_v(x) - 1`` for x >= 1, that is ``(1/2 + (v^2 - 1/4) z) / x``.

    Here z is Temme's fraction ``1 / (b_1 - a_1 / (b_2 - a_2 / ...))`` with ``b_n = 2 (n + x)`` and
    ``a_n = (n + 1/2)^2 - v^2`` (J. Comput. Phys. 19, 1975).
    """
    far = np.greater(x, _DISTANT)
    distant, x = np.where(far, x, 1.0), np.where(far, 1.0, x)
    steps = 80
    rest = 2 * (steps + x)
    for n in range(steps - 1, 0, -1):
        rest = 2 * (n + x) - ((n + 0.5) ** 2 - v * v) / rest
    return np.where(far, 0.5 / distant, (0.5 + (v * v - 0.25) / rest) / x)


def dawson_slope(x: Any) -> Any:
    """Return ``1 - 2 x D(x)``.

    ``D = x / (1 + y - E)`` with ``y = 2 x^2`` and ``E = 2y / (3 + y - 4y / (5 + y - 6y / ...))`` (McCabe, Math. Comp.
    28, 1974), so that the slope is ``(1 - E) / (1 + y - E)``. It tends to ``-1 / y``.
    """
    far = np.greater(np.abs(x), _DISTANT)
    near = np.where(far, 1.0, x)
    y = 2 * near * near
    steps = 60
    rest = (2 * steps + 1) + y
    for k in range(steps - 1, 0, -1):
        rest = (2 * k + 1) + y - (2 * k + 2) * y / rest
    e = 2 * y / rest
    distant = np.where(far, x, 1.0)
    return np.where(far, -0.5 / distant / distant, (1 - e) / (1 + y - e))


def erfcx_slope(ans: Any, x: Any) -> Any:
    """Return ``2 x erfcx(x) - 2 / sqrt(pi)``.

    ``sqrt(pi) erfcx(x) = 1 / (x + c)`` with ``c = (1/2) / (x + 1 / (x + (3/2) / (x + ...)))`` (DLMF 7.9.1), so that the
    slope is ``-2 / sqrt(pi) c / (x + c)``. Below 1.25 the fraction is slow, and the difference loses a digit at most.
    """
    far = np.greater(x, 1.25)
    near = 2 * np.where(far, 0.0, x) * np.where(far, 0.0, ans) - 2 / _ROOT_PI
    x = np.where(far, x, 1.25)
    rest = x
    for k in range(140, 1, -1):
        rest = x + (0.5 * k) / rest
    c = 0.5 / rest
    return np.where(far, (-2 / _ROOT_PI) * (c / (x + c)), near)
