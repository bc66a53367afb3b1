"""Slopes in the tails: within 10 units of rounding of the true slope, from 1e-300 to 1e300, in both modes and dtypes.

Where a row has a larger limit, SciPy's own value is no better there, as measured; its reason stands in the row.
"""

from __future__ import annotations

from typing import Any

import mpmath as m
import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, jvp
from tests.engine.slopes import ELEMENTARY, PAIRS, Row, exact, exact_second
from tests.engine.slopes_bessel import BESSEL
from tests.engine.slopes_special import ENTROPIES, ERROR_FUNCTIONS, GAMMAS, of, special

ROWS = [*ELEMENTARY, *PAIRS, *ERROR_FUNCTIONS, *BESSEL, *GAMMAS, *ENTROPIES]


def representable(row: Row, i: int, dtype: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the arguments where value and slope are in the range of ``dtype``, the slopes, and their scales."""
    info = np.finfo(dtype)
    slope = row.slopes[i]
    assert slope is not None
    kept: list[tuple[Any, ...]] = []
    arguments = row.arguments(dtype)
    with np.errstate(all="ignore"):
        values = row.function(*arguments)
    for value, *xs in zip(values, *arguments, strict=True):
        numbers = [float(x) for x in xs]
        if np.isfinite(value) and abs(true := exact(slope, *numbers)) < float(info.max) / 2:
            kept.append((*xs, true, max(abs(true), exact(row.scale, *numbers) if row.scale else 0)))
    *columns, slopes, scales = zip(*kept, strict=True)
    return [np.array(c, dtype) for c in columns], list(slopes), list(scales)


def errors(got: Any, slopes: list[Any], scales: list[Any], dtype: Any) -> list[float]:
    """Return the errors in units of eps, with the spacing of subnormal numbers as the smallest unit."""
    eps, least = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    return [float(abs(m.mpf(float(g)) - s) / (eps * c + least)) for g, s, c in zip(got, slopes, scales, strict=True)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_has_the_digits_of_the_true_slope(row: Row, dtype: Any) -> None:
    for i in (i for i, slope in enumerate(row.slopes) if slope):
        args, slopes, scales = representable(row, i, dtype)
        assert slopes
        ones = [np.ones_like(x) if k == i else np.zeros_like(x) for k, x in enumerate(args)]
        by_mode = {
            "reverse": grad(lambda *xs: np.sum(row.function(*xs)), i)(*args),
            "forward": jvp(row.function, args, ones)[1],
        }
        for mode, got in by_mode.items():
            for error, *xs in zip(errors(got, slopes, scales, dtype), *args, strict=True):
                assert error <= row.limit, (mode, i, xs, row.reason)


def curvature(row: Row, i: int, args: list[Any]) -> Any:
    return grad(lambda *xs: np.sum(grad(lambda *ys: np.sum(row.function(*ys)), i)(*xs)), i)(*args)


@pytest.mark.parametrize("row", [row for row in ROWS if row.second], ids=lambda row: row.name)
def test_it_has_most_digits_of_the_second_derivative(row: Row) -> None:
    """Between 1e-30 and 1e30; beyond it need only be a number."""
    for i in (i for i, slope in enumerate(row.slopes) if slope):
        slope = row.slopes[i]
        assert slope is not None
        args, _, _ = representable(row, i, np.float64)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            got = curvature(row, i, args)
        for found, *xs in zip(got, *(a.tolist() for a in args), strict=True):
            if all(not x or 1e-30 < abs(x) < 1e30 for x in xs):
                true = exact_second(slope, i, row.digits, *xs)
                (error,) = errors([found], [true], [abs(true)], float) if abs(true) < 1e308 else (0.0,)
                assert error <= (row.second or 0), (i, xs)


_INFINITE = [
    *((f.__name__, f, sign) for f in (np.tanh, np.arctan) for sign in (1, -1)),
    ("exp", np.exp, -1),
    *(
        (name, special(name), sign)
        for name in ("erf", "erfc", "dawsn", "expit", "ndtr", "i0e", "i1e")
        for sign in (1, -1)
    ),
    *((name, special(name), 1) for name in ("log_expit", "log_ndtr", "k0e", "k1e", "exp1")),
    *((f"gammainc {a}", of(a, name="gammainc"), 1) for a in (0.5, 2.5, 40.0)),
    ("logaddexp", lambda x: np.logaddexp(x, 0), -1),
    ("power", lambda x: x**-0.3, 1),
]


@pytest.mark.parametrize("x", [np.inf, 1e308, 1e250, np.float32(np.inf), np.float32(3e38)], ids=repr)
@pytest.mark.parametrize(("f", "sign"), [row[1:] for row in _INFINITE], ids=[f"{r[0]} {r[2]}" for r in _INFINITE])
def test_it_vanishes_at_infinity_without_a_warning(f: Any, sign: int, x: Any) -> None:
    assert abs(grad(f)(sign * x)) < 1e-38
    assert abs(jvp(f, (sign * x,), (type(x)(1),))[1]) < 1e-38


@pytest.mark.parametrize(
    ("name", "x", "sign"),
    [("erfinv", 1, 1), ("erfinv", -1, 1), ("erfcinv", 0, -1), ("erfcinv", 2, -1), ("ndtri", 0, 1), ("ndtri", 1, 1)],
)
def test_it_is_infinite_at_the_ends_of_an_interval(name: str, x: float, sign: int) -> None:
    for point in (np.float64(x), np.float32(x)):
        assert grad(special(name))(point) == sign * np.inf
        assert jvp(special(name), (point,), (type(point)(1),))[1] == sign * np.inf


@pytest.mark.parametrize("y", [0.1, -0.1, -2, np.full(3, 0.1), np.array([0.1, -0.1, 2.1])], ids=str)
def test_a_power_beside_a_zero_keeps_its_digits(y: Any) -> None:
    """y x^(y - 1): where y - 1 is rounded, the power of it is not the right one."""
    x = np.array([0.0, 1e200, 1e-100])
    with np.errstate(divide="ignore"):
        found = grad(lambda x: np.sum((x**y)[1:]))(x)
    exponents = np.broadcast_to(y, 3).tolist()
    true = [exact(lambda x, y: y * x ** (y - 1), x[k], exponents[k]) for k in (1, 2)]
    assert max(errors(found[1:], true, [abs(t) for t in true], float)) < 10


@pytest.mark.parametrize("x", [1e308, 1e250, np.float32(3e38)], ids=repr)
def test_a_soft_maximum_passes_its_slope_on_far_out(x: Any) -> None:
    assert grad(lambda x: np.logaddexp(x, 0))(x) == 1
    assert grad(special("log_expit"))(-x) == 1
