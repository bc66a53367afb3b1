"""Taylor mode: closed forms to order 10, every rule against nested forward mode, and what the coefficients promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special as sp

from autodiff_compare.backends.numpy_autodiff import grad, jvp, taylor
from autodiff_compare.backends.numpy_autodiff.taylor import series
from tests.engine.rules import ROWS, Row
from tests.engine.test_rules import directions

EPS = np.finfo(float).eps
ORDER = 10

#: NumPy's function, the same in mpmath, and the point. All are smooth there.
CLOSED: dict[str, tuple[Callable[..., Any], Callable[..., Any], float]] = {
    "exp": (np.exp, mpmath.exp, 0.3),
    "exp2": (np.exp2, lambda x: mpmath.power(2, x), 0.2),
    "expm1": (np.expm1, mpmath.expm1, 0.2),
    "log": (np.log, mpmath.log, 1.7),
    "log2": (np.log2, lambda x: mpmath.log(x, 2), 3.0),
    "log10": (np.log10, mpmath.log10, 3.0),
    "log1p": (np.log1p, mpmath.log1p, 0.3),
    "sqrt": (np.sqrt, mpmath.sqrt, 2.0),
    "cbrt": (np.cbrt, mpmath.cbrt, 2.0),
    "reciprocal": (np.reciprocal, lambda x: 1 / x, 0.5),
    "sin": (np.sin, mpmath.sin, 0.7),
    "cos": (np.cos, mpmath.cos, 0.7),
    "tan": (np.tan, mpmath.tan, 0.4),
    "sinh": (np.sinh, mpmath.sinh, 0.4),
    "cosh": (np.cosh, mpmath.cosh, 0.4),
    "tanh": (np.tanh, mpmath.tanh, 0.9),
    "tanh far out": (np.tanh, mpmath.tanh, 20.0),
    "arcsin": (np.arcsin, mpmath.asin, 0.3),
    "arccos": (np.arccos, mpmath.acos, 0.3),
    "arctan": (np.arctan, mpmath.atan, 0.8),
    "arcsinh": (np.arcsinh, mpmath.asinh, 0.8),
    "arccosh": (np.arccosh, mpmath.acosh, 1.8),
    "arctanh": (np.arctanh, mpmath.atanh, 0.3),
    "square": (np.square, lambda x: x * x, 0.7),
    "fifth power": (lambda x: x**5, lambda x: x**5, 1.2),
    "fifth power at 0": (lambda x: x**5, lambda x: x**5, 0.0),
    "powers at 0": (lambda x: np.sum(x ** np.arange(4.0)), lambda x: 1 + x + x**2 + x**3, 0.0),
    "fractional power": (lambda x: x**2.5, lambda x: x ** mpmath.mpf(2.5), 1.2),
    "negative power": (lambda x: x**-3, lambda x: x**-3, 1.2),
    "x to the x": (lambda x: x**x, lambda x: x**x, 1.2),
    "2 to the x": (lambda x: 2.0**x, lambda x: mpmath.power(2, x), 1.2),
    "quotient": (lambda x: (1 - x) / (1 + x * x), lambda x: (1 - x) / (1 + x * x), 0.5),
    "product": (lambda x: x * np.sin(x) * np.exp(x), lambda x: x * mpmath.sin(x) * mpmath.exp(x), 0.4),
    "hypot": (lambda x: np.hypot(x, 1.0), lambda x: mpmath.sqrt(x * x + 1), 0.7),
    "arctan2": (lambda x: np.arctan2(x, 2.0), lambda x: mpmath.atan(x / 2), 0.7),
    "logaddexp": (lambda x: np.logaddexp(x, 1.0), lambda x: mpmath.log(mpmath.exp(x) + mpmath.e), 0.3),
    "erf": (sp.erf, mpmath.erf, 0.5),
    "gammaln": (sp.gammaln, mpmath.loggamma, 2.3),
    "expit": (sp.expit, lambda x: 1 / (1 + mpmath.exp(-x)), 0.5),
    "sinc": (np.sinc, lambda x: mpmath.sinc(mpmath.pi * x), 0.3),
    "absolute": (lambda x: np.abs(x) ** 3, lambda x: -(x**3), -0.3),
    "product of entries, one zero": (
        lambda x: np.prod(np.stack([x, x - 0.5, np.sin(x)])),
        lambda x: x * (x - mpmath.mpf(0.5)) * mpmath.sin(x),
        0.5,
    ),
    "solution": (
        lambda x: np.linalg.solve(np.stack([np.stack([2 + x, x]), np.stack([x, 3 + x])]), np.array([1.0, 0.0]))[0],
        lambda x: (3 + x) / (6 + 5 * x),
        0.1,
    ),
    "inverse": (
        lambda x: np.linalg.inv(np.stack([np.stack([2 + x, x]), np.stack([x, 3 + x])]))[0, 0],
        lambda x: (3 + x) / (6 + 5 * x),
        0.1,
    ),
    "Cholesky factor": (
        lambda x: np.linalg.cholesky(np.stack([np.stack([2 + x, x]), np.stack([x, 1 + x])]))[1, 1],
        lambda x: mpmath.sqrt(1 + x - x * x / (2 + x)),
        0.5,
    ),
    "einsum": (
        lambda x: np.einsum("i,i->", np.stack([x, x * x]), np.stack([np.sin(x), x])),
        lambda x: x * mpmath.sin(x) + x**3,
        0.4,
    ),
    "median": (lambda x: np.median(np.stack([x, x * x, -x])), lambda x: x * x, 0.4),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_to_order_ten(name: str) -> None:
    f, exact, x = CLOSED[name]
    with mpmath.workdps(40):
        expected = [float(mpmath.re(c)) for c in mpmath.taylor(exact, mpmath.mpf(x), ORDER)]
    got = np.array(taylor(f, (x,), (1.0,), ORDER), float)
    # Each order is a sum of at most ten products of earlier ones, which may cancel: relative to the largest.
    assert np.max(np.abs(got - expected)) <= 10 * ORDER * EPS * np.max(np.abs(expected))


def test_small_coefficients_far_out_keep_their_digits() -> None:
    # tanh' = 1 / cosh^2 at 20, by mpmath: computed as 1 - tanh^2 it would be 0.
    assert taylor(np.tanh, (20.0,), (1.0,), 1)[1] == pytest.approx(1.6993417021166355e-17, rel=4 * EPS)


def nested(f: Any, args: Any, tangents: Any, order: int) -> Any:
    """Return the derivative along a direction by forward mode within forward mode."""
    if not order:
        return f(*args)
    return jvp(lambda *xs: nested(f, xs, tangents, order - 1), args, tangents)[1]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_rule_agrees_with_nested_forward_mode_to_third_order(row: Row) -> None:
    args = row.arguments()
    tangents = directions(args, 1)
    got = taylor(row.function, args, tangents, 3)
    assert np.array_equal(got[0], jvp(row.function, args, tangents)[0])
    scale = np.linalg.norm(np.ravel(got[1])) / 1000
    for k in (1, 2, 3):
        expected = np.ravel(nested(row.function, args, tangents, k)) / math.factorial(k)
        assert np.shape(got[k]) == np.shape(got[0])
        assert np.linalg.norm(np.ravel(got[k]) - expected) <= 1e-11 * max(np.linalg.norm(expected), scale)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "complex128"])
def test_the_dtype_is_kept(dtype: str) -> None:
    x = np.asarray(0.5, dtype)[()]
    got = taylor(lambda x: np.sin(x) * np.exp(x) / (2 + x), (x,), (np.ones_like(x),), 4)
    assert {c.dtype for c in got} == {np.dtype(dtype)}


def test_the_first_coefficient_is_the_tangent_bit_for_bit_of_a_polynomial() -> None:
    x, t = np.array([0.3, -1.2]), np.array([0.5, 2.0])

    def f(x: Any) -> Any:
        return np.sum(x * x * x)

    assert taylor(f, (x,), (t,), 1)[1] == pytest.approx(jvp(f, (x,), (t,))[1], rel=4 * EPS)


def test_several_arguments_containers_and_constants() -> None:
    # f = a b^2 along (1, 2) at (3, 5): (3 + t)(5 + 2 t)^2 = 75 + 85 t + 32 t^2 + 4 t^3.
    got = taylor(lambda p, c: p["a"] * p["b"] ** 2 * c, ({"a": 3.0, "b": 5.0}, 1.0), ({"a": 1.0, "b": 2.0}, 0.0), 4)
    assert [float(c) for c in got] == [75, 85, 32, 4, 0]
    assert [float(c) for c in taylor(lambda x: 7.0, (1.0,), (1.0,), 2)] == [7, 0, 0]


def test_a_coefficient_can_be_differentiated() -> None:
    # The second coefficient of sin(x + t) is -sin(x)/2, with the slope -cos(x)/2.
    slope = grad(lambda x: taylor(np.sin, (x,), (1.0,), 2)[2])(0.4)
    assert slope == pytest.approx(-math.cos(0.4) / 2, rel=4 * EPS)


def test_where_a_slope_is_infinite_no_coefficient_is_finite_and_wrong() -> None:
    for f in (np.sqrt, np.cbrt, np.log, lambda x: x**0.5, lambda x: 1 / x):
        with np.errstate(divide="ignore"):
            got = np.array(taylor(f, (0.0,), (1.0,), 3), float)
        assert not np.isfinite(got[1:]).any()


def test_the_work_grows_with_the_square_of_the_order() -> None:
    def products(order: int) -> int:
        count = 0

        class Counted(np.ndarray):
            def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += ufunc is np.multiply
                plain = [np.asarray(x) if isinstance(x, Counted) else x for x in inputs]
                found = getattr(ufunc, method)(*plain, **kwargs)
                return np.asarray(found).view(Counted)

        series.exponential([np.ones(1).view(Counted) for _ in range(order + 1)])
        return count

    # 2 j products for each pair j <= k: K (K + 1), so that twice the order takes a little less than 4 times as many.
    assert products(8) / products(4) == 72 / 20


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: taylor(np.sin, (1.0,), (1.0,), -1), ValueError, "got order -1, expected 0 or more"),
        (lambda: taylor(np.sin, (1.0,), (np.ones(2),), 1), ValueError, "direction of shape"),
        (lambda: taylor(np.sin, (1.0,), (), 1), ValueError, "got 0 directions, expected 1"),
        (lambda: taylor(np.sin, (1,), (1.0,), 1), TypeError, "integers and booleans have no derivative"),
        (lambda: taylor(lambda x: (x, x), (1.0,), (1.0,), 1), TypeError, "expected one array"),
        (lambda: taylor(np.sin, 1.0, (1.0,), 1), TypeError, "expected a tuple"),
    ],
)
def test_mistakes_are_named(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
