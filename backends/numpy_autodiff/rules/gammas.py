"""Densities and differences of the gamma and beta families without cancellation.

Written with logarithms, ``x^(a-1) e^-x / Gamma(a)`` at a = x = 1e4 is the exponential of 9e4 - 1e4 - 8e4. Loader (2000,
Fast and accurate computation of binomial probabilities) writes the gamma function as Stirling's formula times a factor
near 1, and the rest as the exponential of a *deviance* that is zero at the mode:

    Gamma(a) = sqrt(2 pi / a) (a / e)^a / E(a)
    x^a e^-x / Gamma(a) = sqrt(a / 2 pi) E(a) exp(-D(a, x)),      D(a, x) = a log(a / x) + x - a
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive

#: Below it, powers and the gamma function itself are exact enough; from it on, eight terms of Stirling's series are.
_LARGE = 10.0
_VANISHED = 1e4
#: B_(2k) / (2k (2k - 1)), the coefficients of Stirling's series in 1/a^(2k-1) (DLMF 5.11.1).
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
#: B_(2k) / (2k), those of the digamma function in 1/a^(2k) (DLMF 5.11.2).
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)


def _scipy(name: str) -> Any:
    return getattr(importlib.import_module("scipy.special"), name)


def _stirling_factor(a: Any) -> Any:
    """Return E(a), the exponential of minus Stirling's series."""
    small = np.minimum(a, _LARGE)
    exact = np.sqrt(2 * np.pi / small) * small**small * np.exp(-small) / _scipy("gamma")(small)
    large = np.maximum(a, _LARGE)
    series = np.zeros_like(large)
    for c in reversed(_STIRLING):
        series = series / large / large + c
    return np.where(a < _LARGE, exact, np.exp(-series / large))


def _deviance(a: Any, x: Any) -> Any:
    """Return ``a log(a/x) + x - a``; near a by its series in ``v = (a - x) / (a + x)``."""
    v = (a - x) / (a + x)
    near = np.abs(v) < 0.3
    u = np.where(near, v, 0.0)
    series = np.zeros_like(u)
    for j in range(16, 0, -1):
        series = (series + 1 / (2 * j + 1)) * u * u
    return np.where(near, (a - x) * u + 2 * a * u * series, a * np.log(a / x) + x - a)


def _power_below(x: Any, a: Any) -> Any:
    """Return ``x^(a-1)``; where a - 1 is rounded, as ``x^a / x``."""
    return np.where((a < 0.5) & (x > 0), x**a / np.where(x > 0, x, 1.0), x ** (a - 1))


def _gamma_density(a: Any, x: Any) -> Any:
    a, x = np.broadcast_arrays(np.asarray(a, float), np.asarray(x, float))
    with np.errstate(all="ignore"):
        half = np.exp(-0.5 * x)
        plain = _power_below(x, a) * half * _scipy("rgamma")(a) * half
        large = np.maximum(a, _LARGE)
        central = np.sqrt(large / (2 * np.pi)) * _stirling_factor(large) * np.exp(-_deviance(large, x)) / x
        # Beyond, exp(-x) is 0, and the power may be infinite.
        zero = (x > _VANISHED) & ((a < _LARGE) | np.isinf(x))
        return np.where(zero, 0, np.where((a < _LARGE) | (x == 0), plain, central))[()]


def _gamma_density_x(g: Any, ans: Any, a: Any, x: Any) -> Any:
    """Multiply by ``(a - 1 - x) / x``; the density for a = 1 is e^-x, also at 0."""
    level = np.equal(a, 1)
    return g * ans * np.where(level, -1, (a - 1 - x) / np.where(level, 1, x))


#: ``x^(a-1) e^-x / Gamma(a)``, the derivative of `scipy.special.gammainc` in x.
GAMMA_DENSITY: Primitive = Primitive(
    "gamma_density", _gamma_density, (None, _gamma_density_x), (None, _gamma_density_x)
)


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    """Compute by ``x^a y^b / B(a, b) = sqrt(ab / 2 pi n) E(a) E(b) / E(n) exp(-D(a, nx) - D(b, ny))``, n = a + b."""
    a, b, x = np.broadcast_arrays(*(np.asarray(v, float) for v in (a, b, x)))
    y, n = 1 - x, a + b
    with np.errstate(all="ignore"):
        plain = _power_below(x, a) * _power_below(y, b) / _scipy("beta")(a, b)
        factor = _stirling_factor(a) * _stirling_factor(b) / _stirling_factor(n)
        decay = np.exp(-_deviance(a, n * x) - _deviance(b, n * y))
        central = np.sqrt(a / (2 * np.pi)) * np.sqrt(b / n) * factor * decay / x / y
        return np.where((np.maximum(a, b) < _LARGE) | (x == 0) | (y == 0), plain, central)[()]


def _beta_density_x(g: Any, ans: Any, a: Any, b: Any, x: Any) -> Any:
    left, right = np.equal(a, 1), np.equal(b, 1)
    rise = np.where(left, 0, (a - 1) / np.where(left, 1, x))
    return g * ans * (rise - np.where(right, 0, (b - 1) / np.where(right, 1, 1 - x)))


_BETA_RULES = (None, None, _beta_density_x)
#: ``x^(a-1) (1-x)^(b-1) / B(a, b)``, the derivative of `scipy.special.betainc` in x.
BETA_DENSITY: Primitive = Primitive("beta_density", _beta_density, _BETA_RULES, _BETA_RULES)


def digamma_rise(psi: Any, a: Any, b: Any) -> Any:
    """Return ``psi(a + b) - psi(a)``, with the digits that the difference loses where b is small against a.

    Ten steps of ``psi(a) = psi(a + 1) - 1/a`` each add ``1/a - 1/(a + b) = b / (a (a + b))``, all of one sign. Beyond,
    ``psi(a) = log a - p/2 - T(p^2)`` with ``p = 1/a``: with ``q = 1/(a + b)`` and ``p - q = b p q``, the rise is
    ``log(1 + b p) + (p - q)/2 + T(p^2) - T(q^2)``, the last as divided difference times ``(p - q) (p + q)``.
    """
    positive = np.logical_and(np.greater(a, 0), np.greater(a + b, 0))
    if np.all(positive):
        return _rise(a, b)
    return np.where(positive, _rise(np.where(positive, a, 1), np.where(positive, b, 1)), psi(a + b) - psi(a))


def _rise(a: Any, b: Any) -> Any:
    total: Any = 0.0
    for j in range(10):
        total = total + b / (a + b + j) / (a + j)
    a = a + 10
    p, q = 1 / a, 1 / (a + b)
    fall = b * q * p
    u, w = p * p, q * q
    slope, value = 0 * u, 0 * w
    for c in reversed(_DIGAMMA):
        # Horner's rule for the divided difference of T in u and w, and for T itself in w.
        slope = slope * u + value
        value = value * w + c
    slope = slope * u + value
    return total + np.log1p(b * p) + 0.5 * fall + fall * (p + q) * slope


def cotangent(x: Any) -> Any:
    """Return ``cot(pi x)``, exact at its zeros; the distance of x from an integer and from a half is exact."""
    turn = x - np.rint(x)
    near = np.less(np.abs(turn), 0.25)
    inner, outer = np.where(near, turn, 0.25), np.where(near, 0.25, 0.5 - np.abs(turn))
    return np.where(near, 1 / np.tan(np.pi * inner), np.where(np.less(turn, 0), -1, 1) * np.tan(np.pi * outer))


def polygamma(n: Any, x: Any) -> Any:
    """Compute `scipy.special.polygamma` in double precision; for negative x by reflection.

    The sum that SciPy forms there has as many terms as x has units. ``psi(1-x) - psi(x) = pi cot(pi x)``,
    differentiated n times, is ``psi_n(x) = (-1)^n psi_n(1-x) - pi^(n+1) P_n(cot(pi x))`` with the polynomials
    ``P_0 = c`` and ``P_(n+1) = -(1 + c^2) P_n'``.
    """
    x = np.asarray(x)
    wide = x.astype(float)
    compute = _scipy("polygamma")
    with np.errstate(over="ignore", divide="ignore"):
        if not n or np.ndim(n) or not np.any(wide < 0):
            return compute(n, wide).astype(x.dtype)[()]
        below = wide < 0
        p = np.polynomial.Polynomial([0, 1])
        for _ in range(int(n)):
            p = -np.polynomial.Polynomial([1, 0, 1]) * p.deriv()
        mirrored = (-1) ** n * compute(n, np.where(below, 1 - wide, 1))
        mirrored = mirrored - np.pi ** (n + 1) * p(cotangent(np.where(below, wide, 0.25)))
        return np.where(below, mirrored, compute(n, np.where(below, 1, wide))).astype(x.dtype)[()]
