"""The rows of the Bessel functions, for the table of slopes in the tails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as m

from tests.engine.slopes import POSITIVE, Row, Slope, single
from tests.engine.slopes_special import of, special


def _hankel(v: Any, x: Any, sign: int) -> Any:
    """Return the series of ``I_v e^-x sqrt(2 pi x)`` (sign -1) or ``K_v e^x sqrt(2 x / pi)`` (sign 1), DLMF 10.40."""
    total, term = m.mpf(0), m.mpf(1)
    for k in range(40):
        total += term
        term *= sign * (4 * m.mpf(v) ** 2 - (2 * k + 1) ** 2) / ((k + 1) * 8 * x)
    return total


def scaled_i(v: Any) -> Slope:
    """Return the slope of ``e^-|x| I_v(x)``, for an integer order on the whole line."""

    def slope(x: Any) -> Any:
        if x < 0:
            return (-1) ** (int(v) + 1) * slope(-x)
        if x > 1000:
            with m.workdps(m.mp.dps + 2 * int(m.log10(x)) + 5):
                both = (_hankel(v - 1, x, -1) + _hankel(v + 1, x, -1)) / 2 - _hankel(v, x, -1)
                return both / m.sqrt(2 * m.pi * x)
        return m.exp(-x) * (_neighbours(m.besseli, v, 1, 1)(x) - m.besseli(v, x))

    return slope


def scaled_k(v: Any) -> Slope:
    def slope(x: Any) -> Any:
        if x > 39:
            with m.workdps(m.mp.dps + 2 * int(m.log10(x)) + 5):
                both = _hankel(v, x, 1) - (_hankel(v - 1, x, 1) + _hankel(v + 1, x, 1)) / 2
                return both * m.sqrt(m.pi / (2 * x))
        return m.exp(x) * (m.besselk(v, x) + _neighbours(m.besselk, v, -1, -1)(x))

    return slope


#: Where mpmath is fast for the integer orders of K.
_FAR = (*single(0.5, 1.3, 3.0, 12.5), *(x for x in POSITIVE if x > 39))
_ORDERS = (0, 2, 0.3, 2.5)
_WAVES = single(1e-100, 1e-8, 0.01, 0.5, 2.0, 3.8, 8.0, 18.5, 30.0, 100.0)
_DECAYS = single(1e-100, 1e-8, 0.01, 0.5, 2.0, 6.0, 12.5, 100.0, 600.0)
_OWN = "SciPy's own J and Y of these orders have errors up to this"
_AMOS = "SciPy computes other orders with AMOS, whose errors are up to this"


def _wave(x: Any) -> Any:
    """Return the amplitude of a Bessel function, from its first zero on."""
    return m.sqrt(2 / (m.pi * x)) if x > 2 else 0


def _neighbours(f: Callable[..., Any], v: Any, below: int, above: int) -> Slope:
    return lambda x: (below * f(abs(v - 1) if v == int(v) else v - 1, x) + above * f(v + 1, x)) / 2


def _j_slope(v: Any) -> Slope:
    return (lambda x: -m.besselj(1, x)) if not v else _neighbours(m.besselj, v, 1, -1)


def _y_slope(v: Any) -> Slope:
    return (lambda x: -m.bessely(1, x)) if not v else _neighbours(m.bessely, v, 1, -1)


_PHASE = "the phase of SciPy's J and Y is off by up to x units"

BESSEL = [
    *(
        Row(f"{name} at {x:g}", special(name), (slope,), (x,), scale=_wave, limit=x, reason=_PHASE, second=None)
        for name, slope in (("j0", _j_slope(0)), ("j1", _j_slope(1)), ("y0", _y_slope(0)), ("y1", _y_slope(1)))
        for x in (1e3, 1e5, 1e8)
    ),
    Row(
        "j0",
        special("j0"),
        (_j_slope(0),),
        (*(-x for x in _WAVES), *_WAVES),
        scale=_wave,
        limit=30,
        reason=_OWN,
        second=None,
    ),
    Row("j1", special("j1"), (_j_slope(1),), _WAVES, scale=_wave, limit=30, reason=_OWN, second=None),
    Row("y0", special("y0"), (_y_slope(0),), _WAVES, scale=_wave, limit=30, reason=_OWN, second=None),
    Row("y1", special("y1"), (_y_slope(1),), _WAVES, scale=_wave, limit=30, reason=_OWN, second=None),
    *(
        Row(f"jv {v}", of(v, name="jv"), (_j_slope(v),), _WAVES, scale=_wave, limit=100, reason=_AMOS, second=None)
        for v in _ORDERS
    ),
    *(
        Row(f"yv {v}", of(v, name="yv"), (_y_slope(v),), _WAVES[1:], scale=_wave, limit=100, reason=_AMOS, second=None)
        for v in (0.3, 2.5)
    ),
    Row("i0", special("i0"), (lambda x: m.besseli(1, x),), (*(-x for x in _DECAYS), *_DECAYS)),
    *(Row(f"iv {v}", of(v, name="iv"), (_neighbours(m.besseli, v, 1, 1),), _DECAYS[1:]) for v in _ORDERS),
    Row("i1", special("i1"), (_neighbours(m.besseli, 1, 1, 1),), (*(-x for x in _DECAYS), *_DECAYS)),
    Row("k0", special("k0"), (lambda x: -m.besselk(1, x),), _DECAYS, second=None),
    Row("k1", special("k1"), (_neighbours(m.besselk, 1, -1, -1),), _DECAYS, second=None),
    *(
        Row(f"kv {v}", of(v, name="kv"), (_neighbours(m.besselk, v, -1, -1),), _DECAYS[1:], limit=100, reason=_AMOS)
        for v in (0.3, 2.5)
    ),
    Row("i0e", special("i0e"), (scaled_i(0),), (*POSITIVE, -0.5, -30.0), second=None),
    Row("i1e", special("i1e"), (scaled_i(1),), (*POSITIVE, 0.0, -0.5, -30.0)),
    *(
        Row(f"ive {v}", of(v, name="ive"), (scaled_i(v),), POSITIVE, limit=300, reason=_AMOS, second=400)
        for v in (2, 0.3, 2.5)
    ),
    Row("k0e", special("k0e"), (scaled_k(0),), _FAR, second=None),
    Row("k1e", special("k1e"), (scaled_k(1),), _FAR, second=None),
    *(Row(f"kve {v}", of(v, name="kve"), (scaled_k(v),), POSITIVE) for v in (2.5, 10.5)),
    Row("kve 0.3", of(0.3, name="kve"), (scaled_k(0.3),), _FAR, limit=300, reason=_AMOS, second=300),
]
