"""Bounds, ties and steps: slopes belong to the argument whose value NumPy returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import compile, grad, hessian, jacobian, jvp

INF, NAN = np.inf, np.nan
#: name, function of numbers, where, slope in each argument.
SLOPES: list[tuple[str, Callable[..., Any], tuple[float, ...], tuple[float, ...]]] = [
    # minimum(maximum(x, low), high): NumPy returns high where the bounds are crossed or equal, whatever x is.
    ("clip, below", np.clip, (0.0, 1.0, 2.0), (0.0, 1.0, 0.0)),
    ("clip, inside", np.clip, (1.5, 1.0, 2.0), (1.0, 0.0, 0.0)),
    ("clip, above", np.clip, (3.0, 1.0, 2.0), (0.0, 0.0, 1.0)),
    ("clip, at the lower bound", np.clip, (1.0, 1.0, 2.0), (1.0, 0.0, 0.0)),
    ("clip, at the upper bound", np.clip, (2.0, 1.0, 2.0), (1.0, 0.0, 0.0)),
    ("clip, crossed, below", np.clip, (0.0, 2.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, crossed, between", np.clip, (1.5, 2.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, crossed, above", np.clip, (3.0, 2.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, crossed, at the upper bound", np.clip, (1.0, 2.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, equal, below", np.clip, (0.0, 1.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, equal, at both", np.clip, (1.0, 1.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, equal, above", np.clip, (2.0, 1.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, no lower bound", lambda x, high: np.clip(x, None, high), (3.0, 2.0), (0.0, 1.0)),
    ("clip, no upper bound", lambda x, low: np.clip(x, low, None), (0.0, 2.0), (0.0, 1.0)),
    ("clip, infinite bounds", np.clip, (3.0, -INF, INF), (1.0, 0.0, 0.0)),
    ("clip, min= and max=", lambda x, a, b: np.clip(x, min=a, max=b), (0.0, 2.0, 1.0), (0.0, 0.0, 1.0)),
    ("clip, method", lambda x, a, b: x.clip(a, b), (0.0, 2.0, 1.0), (0.0, 0.0, 1.0)),
    # x - y q with the quotient q rounded down, or towards 0: -7/3 gives -3, or -2.
    ("remainder, x < 0", np.remainder, (-7.0, 3.0), (1.0, 3.0)),
    ("remainder, y < 0", np.remainder, (7.0, -3.0), (1.0, 3.0)),
    ("remainder, both", np.remainder, (-7.0, -3.0), (1.0, -2.0)),
    ("remainder, plain", np.remainder, (7.0, 3.0), (1.0, -2.0)),
    ("operator %", lambda x, y: x % y, (-7.0, 3.0), (1.0, 3.0)),
    ("divmod", lambda x, y: np.divmod(x, y)[1], (-7.0, 3.0), (1.0, 3.0)),
    ("remainder, the quotient is rounded", np.remainder, (1.0, 0.1), (1.0, -9.0)),
    ("fmod, x < 0", np.fmod, (-7.0, 3.0), (1.0, 2.0)),
    ("fmod, y < 0", np.fmod, (7.0, -3.0), (1.0, 2.0)),
    ("fmod, both", np.fmod, (-7.0, -3.0), (1.0, -2.0)),
    # 1 = 9 * 0.1 + 0.0999..., as 0.1 is above 1/10, while the quotient 1 / 0.1 is rounded to 10.
    ("fmod, the quotient is rounded", np.fmod, (1.0, 0.1), (1.0, -9.0)),
    ("floor_divide", lambda x, y: np.floor_divide(x, y) + 0 * x * y, (-7.0, 3.0), (0.0, 0.0)),
    ("heaviside, below", np.heaviside, (-1.0, 0.5), (0.0, 0.0)),
    ("heaviside, at 0", np.heaviside, (0.0, 0.5), (0.0, 1.0)),
    ("heaviside, above", np.heaviside, (2.0, 0.5), (0.0, 0.0)),
    ("copysign, ++", np.copysign, (2.0, 3.0), (1.0, 0.0)),
    ("copysign, +-", np.copysign, (2.0, -3.0), (-1.0, 0.0)),
    ("copysign, -+", np.copysign, (-2.0, 3.0), (-1.0, 0.0)),
    ("copysign, - and -0", np.copysign, (-2.0, -0.0), (1.0, 0.0)),
    ("nextafter", np.nextafter, (2.0, 3.0), (1.0, 0.0)),
    ("ldexp", lambda x: np.ldexp(x, -3), (5.0,), (0.125,)),
    ("frexp", lambda x: np.frexp(x)[0], (-20.0,), (1 / 32,)),
    ("modf, fraction", lambda x: np.modf(x)[0], (-2.5,), (1.0,)),
    ("modf, whole", lambda x: np.modf(x)[1] + 0 * x, (-2.5,), (0.0,)),
    # Shares e^x / (e^x + e^y) of equal infinities.
    ("logaddexp, both infinite", np.logaddexp, (INF, INF), (0.5, 0.5)),
    ("logaddexp, both minus infinite", np.logaddexp, (-INF, -INF), (0.5, 0.5)),
    ("logaddexp, one infinite", np.logaddexp, (INF, 1.0), (1.0, 0.0)),
    ("logaddexp, one minus infinite", np.logaddexp, (-INF, 1.0), (0.0, 1.0)),
    ("logaddexp, opposite infinities", np.logaddexp, (-INF, INF), (0.0, 1.0)),
    ("logaddexp2, both infinite", np.logaddexp2, (INF, INF), (0.5, 0.5)),
    ("logaddexp2, both minus infinite", np.logaddexp2, (-INF, -INF), (0.5, 0.5)),
    ("maximum, tie", np.maximum, (2.0, 2.0), (0.5, 0.5)),
    ("fmax, nan", np.fmax, (NAN, 2.0), (0.0, 1.0)),
    ("fmin, nan", np.fmin, (2.0, NAN), (1.0, 0.0)),
]
EVERY = pytest.mark.parametrize(("f", "args", "slopes"), [s[1:] for s in SLOPES], ids=[s[0] for s in SLOPES])


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_slopes(f: Any, args: tuple[float, ...], slopes: tuple[float, ...], dtype: Any) -> None:
    if dtype is np.float32 and 0.1 in args:
        pytest.skip("as a float32, 0.1 has another remainder")
    points = tuple(map(dtype, args))
    every = tuple(range(len(args)))
    np.testing.assert_allclose(grad(f, every)(*points), slopes, rtol=1e-6, atol=0)
    tangents = [jvp(f, points, tuple(map(dtype, unit)))[1] for unit in np.eye(len(args))]
    np.testing.assert_allclose(tangents, slopes, rtol=1e-6, atol=0)
    arrays = [np.array([x, x]) for x in points]
    for found, slope in zip(grad(lambda *xs: np.sum(f(*xs)), every)(*arrays), slopes, strict=True):
        np.testing.assert_allclose(found, [slope, slope], rtol=1e-6, atol=0)


def test_clip_of_arrays_of_bounds() -> None:
    x, low, high = np.array([0.0, 1.5, 3.0, 0.0]), np.array([1.0, 1.0, 1.0, 2.0]), np.array([[2.0], [1.0]])
    gx, gl, gh = grad(lambda x, a, b: np.sum(np.clip(x, a, b) * np.array([[1.0], [10.0]])), (0, 1, 2))(x, low, high)
    # Row 0, bounds (1, 2) and (2, 2): below, inside, above, equal. Row 1, bounds (1, 1) and (2, 1): the upper one.
    np.testing.assert_array_equal(gx, [0, 1, 0, 0])
    np.testing.assert_array_equal(gl, [1, 0, 0, 0])
    np.testing.assert_array_equal(gh, [[2], [40]])


def test_clip_of_nan_is_nan_and_depends_on_nothing() -> None:
    assert [float(g) for g in grad(np.clip, (0, 1, 2))(NAN, 0.0, 1.0)] == [0.0, 0.0, 0.0]


def test_crossed_bounds_compile() -> None:
    compiled = compile(lambda v: np.clip(v[0], v[1], v[2]) ** 2, np.array([0.0, 1.0, 3.0]))
    np.testing.assert_array_equal(compiled(np.array([0.0, 3.0, 2.0]))[1], [0.0, 0.0, 4.0])


Z = np.array([3 + 4j, -1j, 2 + 0j, -5e-200 + 1e-200j])


def test_the_sign_of_a_complex_number_is_its_phase() -> None:
    """``z/|z|``, by the rules of the quotient; complex conjugates and all."""
    c = np.array([1 - 2j, 0.5j, 1 + 1j, 1e-200])
    quotient = lambda z: z / np.abs(z)  # noqa: E731 - the reference
    for f in (lambda s: np.sum(np.real(s * c)), lambda s: np.sum(np.imag(s * s * c))):
        expected = grad(lambda z, f=f: f(quotient(z)))(Z)
        np.testing.assert_allclose(grad(lambda z, f=f: f(np.sign(z)))(Z), expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(jvp(np.sign, (Z,), (c,))[1], jvp(quotient, (Z,), (c,))[1], rtol=1e-14, atol=1e-15)
    # Along z the phase does not change; along i z it turns: d(z/|z|) = i z/|z|.
    np.testing.assert_allclose(jvp(np.sign, (Z,), (Z,))[1], 0, atol=1e-15)
    np.testing.assert_allclose(jvp(np.sign, (Z,), (1j * Z,))[1], 1j * np.sign(Z), rtol=1e-14, atol=1e-15)


def test_second_derivatives_of_a_phase() -> None:
    z = np.array([3 + 4j, 1 - 1j])
    f = lambda sign: lambda z: np.sum(np.real(sign(z) ** 3 * (2 + 1j)))  # noqa: E731 - used twice
    t = np.array([1 + 1j, -2j])
    found = jvp(grad(f(np.sign)), (z,), (t,))[1]
    np.testing.assert_allclose(found, jvp(grad(f(lambda z: z / np.abs(z))), (z,), (t,))[1], rtol=1e-13)


def test_the_phase_of_zero_and_of_real_numbers_is_constant() -> None:
    assert grad(lambda z: np.real(np.sign(z) * 2))(0j) == 0
    assert jvp(np.sign, (0j,), (1 + 1j,))[1] == 0
    np.testing.assert_array_equal(grad(lambda x: np.sum(np.sign(x) * x))(np.array([-2.0, 0.0, 3.0])), [-1.0, 0.0, 1.0])


#: name, function of an array, where, gradient.
TIES: list[tuple[str, Callable[..., Any], Any, Any]] = [
    ("max", np.max, [1.0, 2.0, 2.0, 2.0], [0, 1 / 3, 1 / 3, 1 / 3]),
    ("min", np.min, [1.0, 1.0, 2.0, 2.0], [0.5, 0.5, 0, 0]),
    ("max of a signed zero", np.max, [0.0, -0.0, -1.0], [0.5, 0.5, 0]),
    (
        "max over rows",
        lambda x: np.sum(np.max(x, axis=1) * np.array([1.0, 10.0])),
        [[1.0, 1.0], [2.0, 3.0]],
        [[0.5, 0.5], [0, 10]],
    ),
    ("ptp of equals", np.ptp, [2.0, 2.0, 2.0], [0, 0, 0]),
    ("ptp", np.ptp, [1.0, 3.0, 3.0, 1.0], [-0.5, 0.5, 0.5, -0.5]),
    ("sort: in their order", lambda x: np.sum(np.sort(x) * np.arange(1.0, 5.0)), [2.0, 1.0, 2.0, 1.0], [3, 1, 4, 2]),
    ("median of an even number", np.median, [3.0, 1.0, 3.0, 3.0], [1 / 3, 0, 1 / 3, 1 / 3]),
    ("percentile", lambda x: np.percentile(x, 25), [4.0, 2.0, 2.0, 4.0, 5.0], [0, 0.5, 0.5, 0, 0]),
    # A share of 1/0 does not exist: an exponent below 1 at 0, selected by nobody.
    ("power at 0, not selected", lambda x: np.sum(np.where(x > 0, x ** np.full(2, 0.5), 3 * x)), [0.0, 4.0], [3, 0.25]),
    (
        "negative power at 0, not selected",
        lambda x: np.sum(np.where(x > 0, x ** np.array([-1.0, -2.0]), 3 * x)),
        [0.0, 2.0],
        [3, -0.25],
    ),
    ("power at 0, weight 0", lambda x: np.sum(np.array([0.0, 1.0]) * x ** np.array([0.5, 0.5])), [0.0, 4.0], [0, 0.25]),
    ("power 0 at 0", lambda x: np.sum(x ** np.array([0.0, 1.0, 2.0])), [0.0, 0.0, 0.0], [0, 1, 0]),
    ("exponent at base 0", lambda y: np.sum(np.array([0.0, 2.0]) ** y), [2.0, 0.0], [0, np.log(2)]),
    ("diff of order 0", lambda x: np.sum(np.diff(x, n=0, prepend=9.0, append=x[:1]) ** 2), [1.0, 2.0], [2, 4]),
    (
        "diff, prepend and append",
        lambda x: np.sum(np.diff(x, prepend=x[:1] * 2, append=7.0) ** 2),
        [1.0, 3.0],
        [-2, -4],
    ),
]


@pytest.mark.parametrize(("f", "x", "expected"), [t[1:] for t in TIES], ids=[t[0] for t in TIES])
def test_ties(f: Any, x: Any, expected: Any) -> None:
    x = np.array(x)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(grad(f)(x), expected, rtol=1e-14)


def test_diff_has_the_value_of_numpy() -> None:
    x = np.arange(4.0) ** 2
    for kwargs in ({"n": 0, "prepend": 5.0}, {"n": 0}, {"n": 2, "append": [3.0]}, {"n": 9}):
        np.testing.assert_array_equal(jvp(lambda x, k=kwargs: np.diff(x, **k), (x,), (x,))[0], np.diff(x, **kwargs))
    with pytest.raises(ValueError, match="expected an order of 0 or more"):
        grad(lambda x: np.sum(np.diff(x, n=-1)))(x)


RNG = np.random.default_rng(0)
DATA, WEIGHTS = RNG.normal(size=(2, 6)), RNG.uniform(0.5, 2.0, 6)
#: name, function of six positive numbers: checked against differences in every entry.
SMOOTH: list[tuple[str, Callable[..., Any]]] = [
    *(
        (f"cov, aweights {options}", lambda w, options=options: np.sum(np.cov(DATA, aweights=w, **options) ** 2))
        for options in ({}, {"ddof": 0}, {"ddof": 2}, {"bias": True}, {"fweights": [1, 2, 1, 3, 1, 1]})
    ),
    ("cov of the data", lambda x: np.sum(np.cov(x, DATA, aweights=WEIGHTS, fweights=[1, 2, 1, 3, 1, 1], ddof=0) ** 2)),
    ("cov of one row", lambda x: np.cov(x, aweights=x)),
    ("cov of both", lambda x: np.sum(np.cov(x, DATA[0], aweights=x**2) ** 2)),
    ("corrcoef", lambda x: np.sum(np.corrcoef(x, DATA) ** 3)),
    ("average, weights", lambda w: np.sum(np.average(DATA, axis=1, weights=w) ** 2)),
    ("gradient, places", lambda x: np.sum(np.gradient(DATA[0], np.cumsum(x), edge_order=2) ** 2)),
    ("gradient, values", lambda x: np.sum(np.gradient(x, np.cumsum(WEIGHTS)) ** 2)),
    ("trapezoid, places", lambda x: np.sum(np.trapezoid(DATA, np.cumsum(x), axis=1) ** 2)),
    ("trapezoid, spacing", lambda x: np.trapezoid(x**2, dx=x[0]) ** 2),
    *(
        (f"quantile, {method}", lambda x, method=method: np.sum(np.quantile(x, [0.1, 0.33, 0.9], method=method) ** 2))
        for method in (
            *("linear", "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf"),
            *("hazen", "weibull", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"),
        )
    ),
]


@pytest.mark.parametrize("f", [s[1] for s in SMOOTH], ids=[s[0] for s in SMOOTH])
def test_statistics_against_differences(f: Any) -> None:
    steps = 1e-4 * np.eye(6)
    expected = [
        (8 * (f(WEIGHTS + h) - f(WEIGHTS - h)) - f(WEIGHTS + 2 * h) + f(WEIGHTS - 2 * h)) / 12e-4 for h in steps
    ]
    np.testing.assert_allclose(grad(f)(WEIGHTS), expected, rtol=1e-8, atol=1e-9)
    tangent = jvp(f, (WEIGHTS,), (np.ones(6),))[1]
    assert tangent == pytest.approx(np.sum(expected), rel=1e-8, abs=1e-8)


def test_cov_is_numpys_and_refuses_what_has_no_derivative() -> None:
    for options in ({}, {"aweights": WEIGHTS}, {"aweights": WEIGHTS, "fweights": [1, 2, 1, 3, 1, 1]}, {"ddof": 3}):
        value = jvp(lambda x, o=options: np.cov(x, **o), (DATA,), (DATA,))[0]
        np.testing.assert_allclose(value, np.cov(DATA, **options), rtol=1e-14)
    with pytest.raises(TypeError, match="fweights"):
        grad(lambda w: np.sum(np.cov(DATA, fweights=w)))(np.ones(6))
    for options, message in (
        ({"aweights": -WEIGHTS}, "negative aweights"),
        ({"aweights": WEIGHTS[:3]}, "aweights of shape"),
        ({"fweights": WEIGHTS}, "not integers"),
        ({"ddof": 0.5}, "ddof=0.5"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            grad(lambda x, o=options: np.sum(np.cov(x, **o)))(DATA)


@pytest.mark.parametrize("statistic", [np.var, np.std, np.nanvar])
@pytest.mark.parametrize(
    "options", [{"ddof": 3}, {"ddof": 5}, {"correction": 4}, {"ddof": 4, "where": np.ones(3, bool)}]
)
@pytest.mark.filterwarnings("ignore:Degrees of freedom:RuntimeWarning")
def test_a_variance_without_degrees_of_freedom_is_not_negative(statistic: Any, options: dict[str, Any]) -> None:
    x = np.array([1.0, 2.0, 4.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        value = jvp(lambda x: statistic(x, **options), (x,), (x,))[0]
        np.testing.assert_array_equal(np.isfinite(value), np.isfinite(statistic(x, **options)))


def test_the_curvature_of_a_share_of_equals() -> None:
    # p (1 - p) with p = 1/2, and 4.248e-18 far out, where p is 1 in double precision.
    found = hessian(lambda v: np.logaddexp(v[0], v[1]))(np.array([0.0, 0.0]))
    np.testing.assert_allclose(found, [[0.25, -0.25], [-0.25, 0.25]])
    far = hessian(lambda v: np.logaddexp(v[0], v[1]))(np.array([40.0, 0.0]))
    np.testing.assert_allclose(far, 4.248354255291589e-18 * np.array([[1, -1], [-1, 1]]), rtol=1e-14)
    np.testing.assert_allclose(jacobian(lambda v: np.tanh(v))(np.array([20.0])), [[4 * np.exp(-40)]], rtol=1e-14)
