"""Sums and counts in half and single precision: as exact as NumPy's own, beyond 65504 entries too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, hessian, jacobian, jvp, special, vjp
from autodiff_compare.backends.special import NAMES

#: More than the largest number of half precision.
MANY = 70_000
ALL = np.ones(MANY, bool)
#: Of MANY equal entries each takes the same share, 1/70000: of a maximum by convention, of a mean by its definition.
SHARED: dict[str, Callable[[Any], Any]] = {
    "max": np.max,
    "min": np.min,
    "nanmax": np.nanmax,
    "maximum.reduce": np.maximum.reduce,
    "mean": np.mean,
    "nanmean": np.nanmean,
    "mean, where": lambda x: np.mean(x, where=ALL),
    "mean, dtype": lambda x: np.mean(x, dtype=np.float32),
    "average": np.average,
    "median": np.median,
    "quantile": lambda x: np.quantile(x, 0.25),
    "logsumexp": special.logsumexp,
    "log_softmax": lambda x: -special.log_softmax(x)[0],
    "ptp": lambda x: np.ptp(np.concatenate((x, np.zeros(1, x.dtype)))),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", SHARED)
def test_equal_entries_share(name: str, dtype: Any) -> None:
    f, x = SHARED[name], np.ones(MANY, dtype)
    found = grad(f)(x)
    # The first entry of log_softmax loses what all share: 1/n - 1.
    expected = np.full(MANY, 1 / MANY)
    expected[0] -= name == "log_softmax"
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, expected, rtol=4 * np.finfo(dtype).eps, atol=2.0**-24 if dtype == np.float16 else 0
    )
    # Moving all of them moves the result as much, or not at all.
    tangent = jvp(f, (x,), (np.ones_like(x),))[1]
    assert tangent == pytest.approx(0.0 if name == "log_softmax" else 1.0, rel=2e-3, abs=1e-3)


def _numbers(dtype: Any) -> Any:
    """Thousandths of -2 to 2, so that no sum of their squares leaves half precision."""
    return (np.random.default_rng(0).integers(-2000, 2000, 3000) / 1000).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "statistic", [np.mean, np.var, np.std, lambda x: np.nanvar(x, ddof=1), lambda x: np.var(x, where=x > 0)]
)
def test_statistics_of_narrow_numbers(statistic: Any, dtype: Any) -> None:
    x = _numbers(dtype)
    exact = grad(statistic)(x.astype(float))
    np.testing.assert_allclose(
        grad(statistic)(x), exact, rtol=20 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps / 1000
    )


@pytest.mark.parametrize("statistic", [np.mean, np.nanmean, lambda x: np.mean(x, where=np.ones(1, bool)), np.prod])
def test_values_are_those_of_numpy(statistic: Any) -> None:
    x = _numbers(np.float16)
    assert vjp(statistic, x)[0] == statistic(x)


def test_the_dtype_of_a_sum_is_that_which_is_asked_for() -> None:
    x = np.ones(MANY, np.float16)
    value, pullback = vjp(lambda x: np.sum(x, dtype=np.float32), x)
    assert (value, value.dtype) == (MANY, np.float32)
    (found,) = pullback(np.float32(1))
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, 1)


def test_the_cotangent_of_a_broadcast_number_is_summed_in_single_precision() -> None:
    """1/70000 added 70000 times: in half precision the sum stays at 1/32, where the spacing is 2^-15."""
    x = np.ones((MANY, 2), np.float16)
    for shape in ((), (1, 1), (2,), (1, 2)):
        found = grad(lambda s: np.mean(s * x) * 2)(np.ones(shape, np.float16))
        assert (found.dtype, found.shape) == (np.float16, shape)
        np.testing.assert_allclose(found, 2.0 / max(found.size, 1), rtol=2e-3)


PLACES = np.arange(MANY) % 2
COPIES: dict[str, Callable[[Any], Any]] = {
    "index": lambda s: s[PLACES],
    "take": lambda s: np.take(s, PLACES),
    "take_along_axis": lambda s: np.take_along_axis(s, PLACES, 0),
    "repeat": lambda s: np.repeat(s, MANY // 2),
    "tile": lambda s: np.tile(s, MANY // 2),
    "resize": lambda s: np.resize(s, MANY),
    "pad": lambda s: np.pad(s, (0, MANY - 2), mode="wrap"),
    "broadcast_to": lambda s: np.broadcast_to(s, (MANY // 2, 2)),
    "outer": lambda s: np.outer(np.ones(MANY // 2, s.dtype), s),
    "stack": lambda s: np.stack([s[0], s[1]])[PLACES],
}


@pytest.mark.parametrize("copies", COPIES.values(), ids=COPIES)
def test_the_cotangents_of_copies_are_summed_in_single_precision(copies: Callable[[Any], Any]) -> None:
    found = grad(lambda s: np.mean(copies(s)))(np.ones(2, np.float16))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, 0.5, rtol=2e-3)


def test_saturated_functions_keep_their_slope_in_half_precision() -> None:
    # sech^2(3) = 9.866e-3; 1 - tanh(3)^2 in half precision has 1 digit.
    assert grad(np.tanh)(np.float16(3)) == pytest.approx(9.866e-3, rel=3e-3)
    # e^-8 / (1 + e^-8) = 3.3535e-4.
    assert grad(lambda x: np.logaddexp(x, np.float16(0)))(np.float16(-8)) == pytest.approx(3.3535e-4, rel=3e-3)


#: Special function of an array in (0, 1) -> the same with its data.
SPECIAL: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(special, name) for name in NAMES if name not in ("betainc", "gammainc", "xlogy")},
    "betainc": lambda x: special.betainc(2.0, 3.0, x),
    "gammainc": lambda x: special.gammainc(np.float16(2), x),
    "xlogy": lambda x: special.xlogy(np.float16([1, 0, 3]), x),
    "softmax": special.softmax,
    "polygamma": lambda x: special.polygamma(1, x),
}


@pytest.mark.parametrize("derivative", [lambda f: f, jacobian, lambda f: hessian(lambda x: np.sum(f(x)))])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_keep_half_precision(name: str, derivative: Any) -> None:
    """Expected: the numbers of float64, rounded. A sum of two rounded derivatives is off by another rounding."""
    x = np.array([0.25, 0.5, 0.75], np.float16)
    found, exact = (np.asarray(derivative(SPECIAL[name])(at)) for at in (x, x.astype(float)))
    assert (found.dtype, found.shape) == (np.float16, exact.shape)
    np.testing.assert_allclose(found, exact, rtol=1.01 * 2.0**-11, atol=2.0**-13)


@pytest.mark.parametrize("number", [np.float16(0.5), np.array(0.5, np.float16)])
def test_a_special_function_of_one_number_keeps_half_precision(number: Any) -> None:
    assert special.erf(number) == np.float16(0.5204998778130465)  # DLMF 7.2.1
    assert special.erf(number).dtype == grad(special.erf)(number).dtype == np.float16
