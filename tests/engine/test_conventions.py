"""The engine at the awkward points: the value that is right, or the convention that its README states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import compile, grad, jacobian, jvp

#: name, scalar function of one array, where, and the gradient that mathematics (or the convention named) gives there.
POINTS: list[tuple[str, Callable[..., Any], Any, Any]] = [
    ("abs at 0: 0", np.abs, 0.0, 0.0),
    ("maximum at a tie: half", lambda x: np.maximum(x, 0.0), 0.0, 0.5),
    ("max(x,0) + min(x,0) = x", lambda x: np.maximum(x, 0.0) + np.minimum(x, 0.0), 0.0, 1.0),
    ("relu(x) - relu(-x) = x", lambda x: np.maximum(x, 0) - np.maximum(-x, 0), 0.0, 1.0),
    ("clip at a bound passes", lambda x: np.clip(x, 0.0, 1.0), 1.0, 1.0),
    ("max shares a tie evenly", np.max, [1.0, 2.0, 2.0], [0.0, 0.5, 0.5]),
    # Of an order statistic, all entries equal to it have the same share: quantile(x, 1) is max(x).
    ("median of equals", np.median, [1.0, 1.0, 5.0, 1.0], [1 / 3, 1 / 3, 0.0, 1 / 3]),
    ("median, odd", np.median, [2.0, 2.0, 3.0], [0.5, 0.5, 0.0]),
    ("median between", np.median, [2.0, 2.0, 3.0, 3.0], [0.25, 0.25, 0.25, 0.25]),
    ("quantile 1 is max", lambda x: np.quantile(x, 1.0), [1.0, 2.0, 2.0], [0.0, 0.5, 0.5]),
    ("median of infinities", np.median, [np.inf, np.inf, 1.0], [0.5, 0.5, 0.0]),
    ("nanmedian of one", lambda x: np.nanmedian(x), [np.nan, 3.0, np.nan], [0.0, 1.0, 0.0]),
    ("nanquantile of one", lambda x: np.nanquantile(x, 0.3), [np.nan, np.nan, 3.0], [0.0, 0.0, 1.0]),
    ("nanmedian", np.nanmedian, [np.nan, 3.0, 1.0], [0.0, 0.5, 0.5]),
    ("nanmax, tie", np.nanmax, [np.nan, 2.0, 2.0, -np.inf], [0.0, 0.5, 0.5, 0.0]),
    ("running maximum: the first", lambda x: np.sum(np.maximum.accumulate(x)), [1.0, 2.0, 2.0], [1.0, 2.0, 0.0]),
    ("unique: the first", lambda x: np.sum(np.unique(x)), [3.0, 3.0, 1.0], [1.0, 0.0, 1.0]),
    ("modf at a whole number", lambda x: np.modf(x)[0], 2.0, 1.0),
    ("x**0 at 0", lambda x: x**0, 0.0, 0.0),
    ("x**0.0 at 0", lambda x: x**0.0, 0.0, 0.0),
    ("x**y, y array of zeros", lambda x: np.sum(x ** np.zeros(2)), 0.0, 0.0),
    ("x**1 at 0", lambda x: x**1, 0.0, 1.0),
    ("x**2.0 at 0", lambda x: x**2.0, 0.0, 0.0),
    ("0**y for y > 0", lambda y: 0.0**y, 2.0, 0.0),
    ("norm of zero", np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
    ("std of equals", np.std, [1.0, 1.0], [0.0, 0.0]),
    ("sqrt behind where", lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0.0),
    ("log behind where", lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0), 0.0, 0.0),
    ("quotient behind where", lambda x: np.where(x != 0, 1 / np.where(x != 0, x, 1.0), 0.0), 0.0, 0.0),
    # The branch that is not selected is infinite or has an infinite slope; no cotangent reaches it, and 0/0 is 0.
    ("bare log behind where", lambda x: np.where(x > 0, np.log(x), 0.0), 0.0, 0.0),
    ("bare quotient behind where", lambda x: np.where(x != 0, 1 / x, 0.0), 0.0, 0.0),
    ("bare x/x behind where", lambda x: np.where(x != 0, np.sin(x) / x, 1.0), 0.0, 0.0),
    ("bare log1p behind where", lambda x: np.where(x > -1, np.log1p(x), 0.0), -1.0, 0.0),
    ("bare arccos behind where", lambda x: np.where(x < 1, np.arccos(x), 0.0), 1.0, 0.0),
    ("bare x**-1 behind where", lambda x: np.where(x > 0, x**-1, 2 * x), 0.0, 2.0),
    ("bare x**0.5 behind where", lambda x: np.where(x > 0, x**0.5, 2 * x), 0.0, 2.0),
    # Here the branch that is not selected is not finite, and so is what it is multiplied by on the way back.
    ("bare sqrt of -1 behind where", lambda x: np.where(x > 0, np.sqrt(x), 0.0), -1.0, 0.0),
    ("bare arccos of 2 behind where", lambda x: np.where(x < 1, np.arccos(x), 0.0), 2.0, 0.0),
    ("overflow behind where", lambda x: np.where(x < 10, np.exp(x), x), 1000.0, 1.0),
    ("inf / inf behind where", lambda x: np.where(x < 10, np.exp(x) / (1 + np.exp(x)), 1.0), 1000.0, 0.0),
    ("x log x behind where", lambda x: np.where(x > 0, x * np.log(x), 0.0), 0.0, 0.0),
    (
        "nan data behind where",
        lambda x: np.where(np.isnan([np.nan, 2.0]), x, x * np.array([np.nan, 2.0])).sum(),
        3.0,
        3.0,
    ),
    (
        "the other branch is untouched",
        lambda x: np.sum(np.where(x > 0, np.log(x), -np.log(-x))),
        [2.0, -4.0],
        [0.5, 0.25],
    ),
    ("clip with equal bounds", lambda x: np.clip(x, 1.0, 1.0), 1.0, 0.0),
    ("arcsinh, huge", np.arcsinh, 1e200, 1e-200),
    ("x log x, inner where", lambda x: np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0), 0.0, 0.0),
    ("masked sum of logs", lambda x: np.sum(np.where(x > 0, np.log(x), 0.0)), [0.0, 2.0], [0.0, 0.5]),
    ("log behind piecewise", lambda x: np.sum(np.piecewise(x, [x > 0], [np.log])), [0.0, 2.0], [0.0, 0.5]),
    ("log behind sum's where", lambda x: np.sum(np.log(x), where=x > 0), [0.0, 2.0], [0.0, 0.5]),
    ("nan_to_num replaces", lambda x: np.sum(np.nan_to_num(x)), [np.nan, 1.0, np.inf], [0.0, 1.0, 0.0]),
    ("interp at a knot: the right", lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0]), 1.0, 4.0),
    ("interp at the last knot: the left", lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0]), 2.0, 4.0),
    ("interp outside: 0", lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0]), 1.5, 0.0),
    ("prod, one zero", np.prod, [2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
    ("prod, two zeros", np.prod, [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    ("cumprod, a zero", lambda x: np.sum(np.cumprod(x)), [2.0, 0.0, 3.0], [1.0, 8.0, 0.0]),
    ("sinc at 0", np.sinc, 0.0, 0.0),
    ("hypot at the origin", lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], [0.0, 0.0]),
    ("hypot, tiny", lambda x: np.hypot(x[0], x[1]), [3e-200, 4e-200], [0.6, 0.8]),
    ("hypot, huge", lambda x: np.hypot(x[0], x[1]), [3e200, 4e200], [0.6, 0.8]),
    ("arctan2 at the origin: it jumps", lambda x: np.arctan2(x[0], x[1]), [0.0, 0.0], [np.nan, np.nan]),
    ("arctan2, tiny", lambda x: 1e-200 * np.arctan2(x[0], x[1]), [3e-200, 4e-200], [0.16, -0.12]),
    ("arctan2, huge", lambda x: 1e200 * np.arctan2(x[0], x[1]), [3e200, 4e200], [0.16, -0.12]),
    ("logaddexp of equal infinities", lambda x: np.logaddexp(x, -np.inf) + 0 * x, 1.0, 1.0),
    ("singular det: cofactors", np.linalg.det, [[1.0, 2.0], [2.0, 4.0]], [[4.0, -2.0], [-2.0, 1.0]]),
    ("det of rank n - 2", np.linalg.det, np.zeros((3, 3)), np.zeros((3, 3))),
    ("equal eigenvalues", lambda a: np.sum(np.linalg.eigvalsh(a) ** 2), np.eye(3), 2 * np.eye(3)),
    ("|z| at 0", np.abs, 0j, 0j),
]


def ignored() -> Any:
    """NumPy says that an unselected branch divides by zero, as it does without derivatives."""
    return np.errstate(divide="ignore", invalid="ignore", over="ignore")


@pytest.mark.parametrize(("f", "x", "expected"), [p[1:] for p in POINTS], ids=[p[0] for p in POINTS])
def test_gradient(f: Callable[..., Any], x: Any, expected: Any) -> None:
    with ignored():
        found = grad(f)(np.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("f", "x", "expected"), [p[1:] for p in POINTS], ids=[p[0] for p in POINTS])
def test_forward_mode_agrees(f: Callable[..., Any], x: Any, expected: Any) -> None:
    x = np.asarray(x)
    t = np.random.default_rng(0).uniform(0.5, 1.5, x.shape).astype(x.dtype)
    with ignored():
        found = jvp(f, (x,), (t,))[1]
    assert found == pytest.approx(np.sum(np.real(t * np.conj(expected))), rel=1e-13, nan_ok=True)


SECOND = [
    # sinc(x) = 1 - (pi x)^2/6 + ...
    ("sinc", np.sinc, 0.0, -(np.pi**2) / 3),
    # With two zeros only the mixed derivative of the two is left: the third factor.
    ("prod", np.prod, [0.0, 0.0, 3.0], [[0.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    ("x**2", lambda x: x**2, 0.0, 2.0),
    ("x**3", lambda x: x**3.0, 0.0, 0.0),
    ("singular det", np.linalg.det, [[1.0, 2.0], [2.0, 4.0]], None),
    # p (1 - p) with p = 1/2.
    ("logaddexp of equals", lambda x: np.logaddexp(x[0], x[1]), [1.0, 1.0], [[0.25, -0.25], [-0.25, 0.25]]),
    ("square behind where", lambda x: np.where(x > 0, np.sqrt(x), 3 * x * x), -1.0, 6.0),
]


@pytest.mark.parametrize(("f", "x", "expected"), [p[1:] for p in SECOND], ids=[p[0] for p in SECOND])
def test_second_derivative(f: Callable[..., Any], x: Any, expected: Any) -> None:
    if expected is None:
        expected = np.zeros((2, 2, 2, 2))
        # det = ad - bc.
        expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1.0
        expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1.0
    for mode in ("forward", "reverse"):
        with ignored():
            found = jacobian(grad(f), mode=mode)(np.asarray(x))
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_a_branch_that_is_selected_stays_as_it_is() -> None:
    """nan and infinity are hidden only where nothing asks for them."""
    with ignored():
        assert np.isnan(grad(lambda x: np.where(x < 0, np.sqrt(x), 0.0))(-1.0))
        assert grad(lambda x: np.where(x == 0, np.sqrt(x), 0.0))(0.0) == np.inf


@pytest.mark.parametrize("f", [lambda x: np.log(x), lambda x: 1 / x, lambda x: x**-1, lambda x: np.sqrt(x)])
def test_second_derivatives_behind_where(f: Callable[..., Any]) -> None:
    """The unselected branch is infinite; what is selected, 3x^2, has the second derivative 6."""
    with ignored():
        g = grad(lambda x: np.where(x > 0, f(x), 3 * x * x))
        assert (g(0.0), grad(g)(0.0), jvp(g, (0.0,), (1.0,))[1]) == (0.0, 6.0, 6.0)


def test_a_complex_gradient_is_the_direction_of_steepest_ascent() -> None:
    """L = |z|^2 has dL/da + i dL/db = 2z."""
    z = np.array([1 + 2j, -0.5j])
    np.testing.assert_allclose(grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * z, rtol=1e-15)
    np.testing.assert_allclose(grad(lambda z: np.sum(np.real(z * np.conj(z))))(z), 2 * z, rtol=1e-15)
    # Re(exp z): d/da + i d/db = conj(exp z).
    np.testing.assert_allclose(grad(lambda z: np.sum(np.real(np.exp(z))))(z), np.conj(np.exp(z)), rtol=1e-15)


@pytest.mark.parametrize("size", [3, 40_000])
@pytest.mark.parametrize("x", [1e308, np.inf])
def test_looking_behind_where_warns_of_nothing(x: float, size: int) -> None:
    """Sums of huge numbers overflow and those of infinities are nan: the function itself forms none."""
    signs = np.where(np.arange(size) % 2, -1.0, 1.0)
    f = lambda x: np.sum(np.where(np.isfinite(x), np.where(x > 0, x, 0.0) * 1e-308, 0.0))  # noqa: E731 - used twice
    expected = np.where((signs > 0) & np.isfinite(x), 1e-308, 0.0)
    np.testing.assert_array_equal(grad(f)(x * signs), expected)
    np.testing.assert_array_equal(compile(f, signs, operator="gradient")(x * signs), expected)


@pytest.mark.parametrize("method", ["linear", "weibull", "hazen", "lower"])
def test_a_quantile_of_the_one_entry_that_is_there_is_that_entry(method: str) -> None:
    x = np.array([[np.nan, np.nan, 2.0], [1.0, np.nan, 3.0]])
    seen: list[Any] = []
    grad(lambda x: seen.append(np.nanquantile(x, [0.0, 0.4, 1.0], axis=1, method=method)) or np.sum(seen[-1]))(x)  # type: ignore[func-returns-value]
    # One rounding of the interpolation, which NumPy does in another order.
    np.testing.assert_allclose(
        seen[-1].value, np.nanquantile(x, [0.0, 0.4, 1.0], axis=1, method=method), rtol=1e-15, atol=0
    )


@pytest.mark.parametrize("exponent", [0.5, 1.5, -0.5, np.float64(0.5)])
@pytest.mark.parametrize("x", [-0.0, 0.0, -np.inf, np.inf, 4.0])
def test_powers_of_single_numbers_are_those_of_arrays(x: float, exponent: Any) -> None:
    # By np.power, for which the exponent 0.5 is a root: the slope of it is -inf at -0.0 and nan at minus infinity.
    def f(x: Any) -> Any:
        return np.sum(x**exponent)

    single, whole = np.float64(x), np.array([x])
    with np.errstate(all="ignore"):
        expected = grad(f)(whole)[0]
        for found in (grad(f)(single), jvp(f, (single,), (np.float64(1),))[1], compile(f, operator="gradient")(single)):
            np.testing.assert_array_equal(found, expected)
