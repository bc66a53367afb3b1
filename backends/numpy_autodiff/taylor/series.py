"""Arithmetic of truncated power series, of which each coefficient is an array.

A series ``y(t) = y_0 + y_1 t + ... + y_K t^K`` is a list of its coefficients; None stands for zero, but never for the
first. The k-th derivative at t = 0 is ``k! y_k``.

Products follow from collecting powers of t, quotients and roots from products: ``y x = a`` gives
``y_k = (a_k - sum_(j=1..k) x_j y_(k-j)) / x_0``. Functions follow from a differential equation (Moore 1966; Griewank
and Walther 2008, chapter 13). From ``y' = r u'``, collecting the coefficient of ``t^(k-1)``:

    k y_k = sum_(j=1..k) j u_j r_(k-j)

so that y is known to order k once r is known to order k - 1. For ``exp`` r is y itself; ``sin`` and ``cos`` are the r
of each other. All recurrences take O(K^2) operations on arrays, where nested derivatives take O(2^K).

>>> exponential([0.0, 1.0, None, None])  # exp(t): 1/k!
[np.float64(1.0), np.float64(1.0), np.float64(0.5), np.float64(0.16666666666666666)]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Series = list[Any]


def add(a: Any, b: Any) -> Any:
    """Add two coefficients."""
    return b if a is None else a if b is None else a + b


def subtract(a: Any, b: Any) -> Any:
    """Subtract two coefficients."""
    return a if b is None else -b if a is None else a - b


def _times(a: Any, b: Any) -> Any:
    return a * b


def coefficient(a: Series, b: Series, k: int, first: int = 0, product: Callable[[Any, Any], Any] = _times) -> Any:
    """Return ``sum_j a_j b_(k-j)`` over j from ``first`` to k, for any bilinear product."""
    total = None
    for j in range(first, k + 1):
        if a[j] is not None and b[k - j] is not None:
            total = add(total, product(a[j], b[k - j]))
    return total


def multiply(a: Series, b: Series, product: Callable[[Any, Any], Any] = _times) -> Series:
    """Return the product of two series."""
    return [coefficient(a, b, k, product=product) for k in range(len(a))]


def scale(a: Series, factor: Any) -> Series:
    """Return a series times a constant."""
    return [None if c is None else c * factor for c in a]


def shift(a: Series, constant: Any) -> Series:
    """Return a series plus a constant."""
    return [a[0] + constant, *a[1:]]


def combine(a: Series, b: Series, how: Callable[[Any, Any], Any] = add) -> Series:
    """Return the sum of two series, or their difference."""
    return [how(x, y) for x, y in zip(a, b, strict=True)]


def divide(a: Series, b: Series, first: Any = None) -> Series:
    """Return the quotient of two series; ``first`` is that of their values, if it is known."""
    found = [a[0] / b[0] if first is None else first]
    for k in range(1, len(a)):
        rest = subtract(a[k], coefficient(b, [*found, None], k, 1))
        found.append(None if rest is None else rest / b[0])
    return found


def constant(value: Any, like: Series) -> Series:
    """Return the series of a constant."""
    return [value, *[None] * (len(like) - 1)]


def solved(u: Series, starts: Sequence[Any], slopes: Callable[..., Sequence[Any]]) -> list[Series]:
    """Solve ``y' = r(y) u'`` for one or several series y.

    Parameters
    ----------
    u
        The series that drives them.
    starts
        The first coefficient of each y.
    slopes
        ``slopes(m, *ys)`` returns the m-th coefficient of each r; the ys are known up to order m.
    """
    ys: list[Series] = [[start] for start in starts]
    slopes_so_far: list[Series] = [[] for _ in starts]
    for k in range(1, len(u)):
        for r, found in zip(slopes_so_far, slopes(k - 1, *ys), strict=True):
            r.append(found)
        for y, r in zip(ys, slopes_so_far, strict=True):
            y.append(_integrated(u, r, k))
    return ys


def integrate(u: Series, r: Series, start: Any) -> Series:
    """Return y with ``y' = r u'`` and the given value."""
    return [start, *(_integrated(u, r, k) for k in range(1, len(u)))]


def _integrated(u: Series, r: Series, k: int) -> Any:
    total = None
    for j in range(1, k + 1):
        if u[j] is not None and r[k - j] is not None:
            total = add(total, u[j] * r[k - j] * (j / k))
    return total


# --- Functions of one series


def square(a: Series) -> Series:
    return multiply(a, a)


def root(a: Series, start: Any = None) -> Series:
    """Return the square root: ``2 y_0 y_k = a_k - sum_(0<j<k) y_j y_(k-j)``."""
    return root_of(lambda k: a[k], np.sqrt(a[0]) if start is None else start, len(a))


def root_of(square: Callable[[int], Any], start: Any, length: int) -> Series:
    """Return the root of a series that is given by its coefficients from the first order on."""
    found = [start]
    for k in range(1, length):
        inner = coefficient([None, *found[1:], None], [None, *found[1:], None], k)
        rest = subtract(square(k), inner)
        found.append(None if rest is None else rest / (2 * start))
    return found


def exponential(u: Series, start: Any = None) -> Series:
    return solved(u, [np.exp(u[0]) if start is None else start], lambda m, y: (y[m],))[0]


def logarithm(u: Series, start: Any = None) -> Series:
    return integrate(u, divide(constant(1.0, u), u), np.log(u[0]) if start is None else start)


def sine_and_cosine(u: Series) -> list[Series]:
    return solved(u, [np.sin(u[0]), np.cos(u[0])], lambda m, s, c: (c[m], None if s[m] is None else -s[m]))


def hyperbolic_sine_and_cosine(u: Series) -> list[Series]:
    return solved(u, [np.sinh(u[0]), np.cosh(u[0])], lambda m, s, c: (c[m], s[m]))


def tangent(u: Series, start: Any, slope: Any, sign: float) -> Series:
    """Return y with ``y' = w u'`` and ``w' = sign 2 y w u'``: tan (+) and tanh (-), whose slope does not cancel."""

    def slopes(m: int, y: Series, w: Series) -> Sequence[Any]:
        curved = coefficient(y, w, m)
        return w[m], None if curved is None else curved * (2 * sign)

    return solved(u, [start, slope], slopes)[0]


def shares(d: Series, first: Any, second: Any) -> list[Series]:
    """Return ``s`` and ``c = 1 - s`` with ``s' = s c d'``: the logistic function of d and of -d."""

    def slopes(m: int, s: Series, c: Series) -> Sequence[Any]:
        both = coefficient(s, c, m)
        return both, None if both is None else -both

    return solved(d, [first, second], slopes)


def power(a: Series, r: Any, start: Any) -> Series:
    """Return ``a^r`` for a constant r.

    From ``a y' = r y a'`` follows ``k a_0 y_k = sum_(j=1..k) (r j - (k - j)) a_j y_(k-j)``. For a small
    whole number ``r >= 0`` it is a product, which holds where ``a_0`` is zero too.
    """
    if np.ndim(r) == 0 and np.isreal(r) and 0 <= r <= _LARGEST_PRODUCT and float(r).is_integer():
        return [start, *whole_power(a, int(r))[1:]]
    found: Series = [start]
    for k in range(1, len(a)):
        total = None
        for j in range(1, k + 1):
            if a[j] is not None and found[k - j] is not None:
                total = add(total, a[j] * found[k - j] * ((r * j - (k - j)) / k))
        found.append(None if total is None else total / a[0])
    return found


#: The largest exponent whose power is computed as a product.
_LARGEST_PRODUCT = 64


def whole_power(a: Series, n: int) -> Series:
    """Return a power by repeated squaring, which holds at zero too."""
    found: Series | None = None
    while n:
        if n & 1:
            found = a if found is None else multiply(found, a)
        n >>= 1
        a = square(a) if n else a
    return constant(np.ones_like(a[0]), a) if found is None else found
