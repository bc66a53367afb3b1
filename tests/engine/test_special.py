"""The engine's special functions: every rule by differences, slopes against mpmath, values at awkward points."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from autodiff_compare.backends.numpy_autodiff import grad, hessian, jvp, special
from autodiff_compare.backends.numpy_autodiff.rules.special import RULES
from tests.engine.judgement import JUDGES, Row

sc = pytest.importorskip("scipy.special", reason="SciPy is optional")
LINE, POSITIVE, UNIT = (-1.5, 1.5), (0.5, 3.0), (0.15, 0.85)

_UNARY = {
    "gamma gammaln loggamma psi y0 y1 k0 k1 k0e k1e expi exp1 entr": POSITIVE,
    "erf erfc erfcx dawsn ndtr log_ndtr j0 j1 i0 i1 expit log_expit exp10 cosm1": LINE,
    "erfinv": (-0.8, 0.8),
    "erfcinv ndtri logit": UNIT,
    "i0e i1e": (0.3, 2.0),
}
_PAIRS = {"beta betaln xlogy rel_entr kl_div": POSITIVE, "xlog1py": UNIT}


def _order(name: str, v: float) -> Row:
    f = getattr(sc, name)
    return Row(f"{name} order {v}", lambda x: f(v, x), ((2, 3),), POSITIVE)


def _with_constants() -> list[Row]:
    """Functions of constants and one differentiated argument."""
    shape = ((2, 3),)
    return [
        *(_order(n, v) for n in ("jv", "yv", "iv", "kv", "ive", "kve") for v in (0, 1, 2.5)),
        *(_order(n, v) for n in ("yn", "kn") for v in (0, 1, 3)),
        *(_order(n, a) for n in ("gammainc", "gammaincc") for a in (0.7, 1.0, 3.0)),
        *(Row(f"polygamma {n}", lambda x, n=n: special.polygamma(n, x), shape, POSITIVE) for n in (0, 1, 2)),
        *(
            Row(f"betainc {a} {b}", lambda x, a=a, b=b: sc.betainc(a, b, x), shape, UNIT)
            for a, b in ((1, 1), (0.5, 2), (3, 4.5))
        ),
        Row("zeta", lambda x: special.zeta(2.5, x), shape, POSITIVE),
    ]


def _sums() -> list[Row]:
    rows = []
    for axis, keepdims in ((None, False), (0, True), (-1, False), ((0, 2), False)):
        f = lambda x, a=axis, k=keepdims: special.logsumexp(x, axis=a, keepdims=k)  # noqa: E731 - bound by defaults
        rows.append(Row(f"logsumexp {axis} {keepdims}", f, ((2, 3, 2),)))
        rows.append(Row(f"softmax {axis}", lambda x, a=axis: x * special.softmax(x, a), ((2, 3, 2),)))
        rows.append(Row(f"log_softmax {axis}", lambda x, a=axis: special.log_softmax(x, a), ((2, 3, 2),)))
    rows.append(Row("logsumexp b", lambda x, b: special.logsumexp(x, 1, b=b), ((2, 3), (3,)), UNIT))
    signed = lambda x, b: special.logsumexp(x, b=b - 3, return_sign=True)[0]  # noqa: E731 - one of many rows
    return [*rows, Row("logsumexp signed", signed, ((2, 3), (2, 3)), UNIT)]


ROWS = [
    *(Row(n, getattr(sc, n), ((2, 3),), d, single=1e-3) for names, d in _UNARY.items() for n in names.split()),
    *(Row(f"{n} 0-d", getattr(sc, n), ((),), POSITIVE, single=1e-3) for n in ("gammaln", "erf", "j1", "entr")),
    *(Row(n, getattr(sc, n), ((2, 1, 3), (4, 1)), d) for names, d in _PAIRS.items() for n in names.split()),
    *(Row(f"complex {n}", getattr(sc, n), ((2, 3),), UNIT, kind="c") for n in ("erf", "expi")),
    *_with_constants(),
    *_sums(),
]


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_is_right_in_both_modes_dtypes_and_strides(row: Row, judge: Callable[[Row], None]) -> None:
    judge(row)


def test_every_rule_has_a_row() -> None:
    judged = {word for row in ROWS for word in row.name.split()}
    assert set(RULES) <= judged


_POINTS = (-20.0, -3.0, -0.4, 0.0, 0.6, 2.5, 9.0, 30.0, 300.0)


@pytest.mark.parametrize("x", _POINTS)
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("erf", lambda m, x: 2 / m.sqrt(m.pi) * m.exp(-x * x)),
        ("log_ndtr", lambda m, x: m.npdf(x) / m.ncdf(x)),
        ("expit", lambda m, x: m.exp(-abs(x)) / (1 + m.exp(-abs(x))) ** 2),
        ("log_expit", lambda m, x: m.exp(-x) / (1 + m.exp(-x))),
        ("j1", lambda m, x: m.besselj(1, x, derivative=1)),
        ("i1e", lambda m, x: m.diff(lambda u: m.besseli(1, u) * m.exp(-abs(u)), x)),
    ],
)
def test_slopes_keep_their_digits_far_out(name: str, reference: Callable[[Any, Any], Any], x: float) -> None:
    """Against mpmath with 60 digits: no cancellation, no overflow."""
    with mpmath.workdps(60):
        expected = float(reference(mpmath, mpmath.mpf(x)))
    assert float(grad(getattr(sc, name))(x)) == pytest.approx(expected, rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("x", [0.5, 3.0, 9.99, 10.01, 1e2, 1e4, 1e8])
def test_erfcx_does_not_cancel(x: float) -> None:
    with mpmath.workdps(60):
        u = mpmath.mpf(x)
        # erfcx' = 2 x erfcx - 2 / sqrt(pi), by 30 terms of its asymptotic series where erfc would underflow.
        series = sum((-1) ** k * mpmath.fac2(2 * k - 1) / (2 * u * u) ** k for k in range(1, 30))
        exact = 2 * u * mpmath.exp(u * u) * mpmath.erfc(u) - 2 / mpmath.sqrt(mpmath.pi) if x < 50 else 0
        expected = float(exact if x < 50 else 2 / mpmath.sqrt(mpmath.pi) * series)
    assert float(grad(sc.erfcx)(x)) == pytest.approx(expected, rel=1e-12)


LOG_2 = math.log(2)


@pytest.mark.parametrize(
    ("f", "args", "gradients"),
    [
        # x log y is linear in x; its slope x/y in y is 0 for x = 0 whatever y.
        (sc.xlogy, (0.0, 2.0), (LOG_2, 0.0)),
        (sc.xlogy, (0.0, 0.0), (-math.inf, 0.0)),
        (sc.xlogy, (3.0, 2.0), (LOG_2, 1.5)),
        (sc.xlog1py, (0.0, 1.0), (LOG_2, 0.0)),
        (sc.xlog1py, (0.0, -1.0), (-math.inf, 0.0)),
        # -log x - 1, its one-sided limit at 0, and 0 where entr is -inf throughout.
        (sc.entr, (0.0,), (math.inf,)),
        (sc.entr, (1.0,), (-1.0,)),
        (sc.entr, (-1.0,), (0.0,)),
        (sc.rel_entr, (0.0, 2.0), (-math.inf, 0.0)),
        (sc.rel_entr, (2.0, 1.0), (LOG_2 + 1, -2.0)),
        (sc.kl_div, (0.0, 2.0), (-math.inf, 1.0)),
        (sc.kl_div, (0.0, 0.0), (0.0, 0.0)),
        (sc.expit, (800.0,), (0.0,)),
        (sc.expit, (-800.0,), (0.0,)),
        (sc.expit, (0.0,), (0.25,)),
        (sc.log_expit, (800.0,), (0.0,)),
        (sc.log_expit, (-800.0,), (1.0,)),
        (sc.logit, (0.5,), (4.0,)),
        (sc.logit, (0.0,), (math.inf,)),
        # Bessel functions at 0 from their series: J1' = I1' = 1/2, J0' = I0' = 0.
        (sc.j0, (0.0,), (0.0,)),
        (sc.j1, (0.0,), (0.5,)),
        (sc.i0, (0.0,), (0.0,)),
        (sc.i1, (0.0,), (0.5,)),
        (lambda x: sc.jv(1, x), (0.0,), (0.5,)),
        (lambda x: sc.iv(2, x), (0.0,), (0.0,)),
        # The densities x^(a-1) e^-x / Gamma(a) and 1 at the lower end.
        (lambda x: sc.gammainc(1.0, x), (0.0,), (1.0,)),
        (lambda x: sc.gammainc(2.0, x), (0.0,), (0.0,)),
        (lambda x: sc.gammainc(0.5, x), (0.0,), (math.inf,)),
        (lambda x: sc.betainc(1.0, 1.0, x), (0.0,), (1.0,)),
        (lambda x: sc.betainc(2.0, 2.0, x), (1.0,), (0.0,)),
        # psi(1) = -euler_gamma, Gamma(5)' = 24 psi(5), psi'(1) = pi^2 / 6.
        (sc.gamma, (1.0,), (-np.euler_gamma,)),
        (sc.psi, (1.0,), (math.pi**2 / 6,)),
    ],
)
def test_awkward_points(f: Any, args: tuple[float, ...], gradients: tuple[float, ...]) -> None:
    with np.errstate(divide="ignore"):
        found = grad(f, tuple(range(len(args))))(*args)
        tangents = [jvp(f, args, np.eye(len(args))[i])[1] for i in range(len(args))]
    np.testing.assert_allclose(found, gradients, rtol=1e-14)
    for tangent, gradient, other in zip(tangents, gradients, gradients[::-1], strict=True):
        # A zero direction adds nothing, however steep the other argument is.
        assert tangent == pytest.approx(gradient, rel=1e-14), (gradient, other)


@pytest.mark.parametrize(
    ("x", "weights"),
    [
        ([0.0, 0.0], [0.5, 0.5]),
        ([-np.inf, 1.0], [0.0, 1.0]),
        ([-np.inf, -np.inf], [0.5, 0.5]),
        ([np.inf, np.inf, 1.0], [0.5, 0.5, 0.0]),
        ([800.0, 800.0, -800.0], [0.5, 0.5, 0.0]),
        ([-1e5, -1e5 - 1], [1 / (1 + math.exp(-1)), 1 / (1 + math.e)]),
        ([3.0], [1.0]),
    ],
)
def test_the_slopes_of_logsumexp_are_weights_that_add_up_to_one(x: list[float], weights: list[float]) -> None:
    found = grad(special.logsumexp)(np.array(x))
    np.testing.assert_allclose(found, weights, rtol=1e-14)
    np.testing.assert_allclose(special.softmax(np.array(x)), weights, rtol=1e-14)
    # Its Hessian is diag(w) - w w^T, finite too.
    np.testing.assert_allclose(
        hessian(special.logsumexp)(np.array(x)), np.diag(weights) - np.outer(weights, weights), atol=1e-15
    )


@pytest.mark.parametrize("shape", [(2, 3), (1,), ()])
def test_values_are_those_of_scipy(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape) * 100
    for name in ("logsumexp", "softmax", "log_softmax"):
        # log_softmax of the largest entry loses digits in SciPy, by 1 + tiny.
        np.testing.assert_allclose(getattr(special, name)(x), getattr(sc, name)(x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(special.polygamma(2, np.abs(x)), sc.polygamma(2, np.abs(x)), rtol=1e-15)
    assert special.digamma is special.psi
    assert sorted(special._ALIASES) == ["digamma", "jn", "lgamma"]


def test_log_softmax_keeps_the_digits_of_the_likeliest() -> None:
    # log(1 / (1 + e^-40)) = -e^-40 to first order; e^-80 / 2 is below rounding.
    assert special.log_softmax(np.array([40.0, 0.0]))[0] == pytest.approx(-math.exp(-40), rel=1e-14)
    assert special.logsumexp(np.array([0.0, -40.0])) == pytest.approx(math.exp(-40), rel=1e-14)


@pytest.mark.parametrize("name", ["erf", "gammaln", "j1", "i1e", "k0", "erfcx", "log_ndtr", "expit", "entr", "erfinv"])
def test_third_derivatives(name: str) -> None:
    exact: dict[str, Callable[[Any], Any]] = {
        "gammaln": mpmath.loggamma,
        "j1": lambda x: mpmath.besselj(1, x),
        "i1e": lambda x: mpmath.besseli(1, x) * mpmath.exp(-x),
        "k0": lambda x: mpmath.besselk(0, x),
        "erfcx": lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
        "log_ndtr": lambda x: mpmath.log(mpmath.ncdf(x)),
        "expit": lambda x: 1 / (1 + mpmath.exp(-x)),
        "entr": lambda x: -x * mpmath.log(x),
    }
    with mpmath.workdps(60):
        expected = float(mpmath.diff(exact.get(name) or getattr(mpmath, name), mpmath.mpf("0.7"), 3))
    f = getattr(sc, name)
    assert grad(grad(grad(f)))(0.7) == pytest.approx(expected, rel=1e-12)
    assert jvp(grad(lambda x: jvp(f, (x,), (1.0,))[1]), (0.7,), (1.0,))[1] == pytest.approx(expected, rel=1e-12)


def test_logsumexp_of_weights_with_a_sign() -> None:
    value, sign = special.logsumexp(np.array([1.0, 2.0]), b=np.array([1.0, -1.0]), return_sign=True)
    # log|e - e^2| and the sign of e - e^2.
    assert value == pytest.approx(math.log(math.e**2 - math.e), rel=1e-14)
    assert sign == -1


def test_empty_arrays() -> None:
    assert grad(lambda x: np.sum(sc.erf(x)))(np.zeros((0, 2))).shape == (0, 2)
    assert grad(lambda x: np.sum(special.logsumexp(x, axis=1)))(np.zeros((0, 2))).shape == (0, 2)
    assert special.logsumexp(np.zeros(0)) == -np.inf


@pytest.mark.parametrize(
    "f", [lambda a: sc.gammainc(a, 1.0), lambda v: sc.jv(v, 1.0), lambda a: sc.betainc(a, 1.0, 0.5)]
)
def test_an_argument_without_a_rule_is_refused(f: Any) -> None:
    with pytest.raises(NotImplementedError, match="argument 0"):
        grad(f)(0.5)


def test_a_function_without_a_rule_is_named() -> None:
    with pytest.raises(NotImplementedError, match="spence"):
        grad(sc.spence)(0.5)
    with pytest.raises(AttributeError, match="expected one of"):
        special.nothing  # noqa: B018 - the look-up is the test


def test_scipy_is_imported_only_when_it_is_used_and_what_computes_nothing_never() -> None:
    code = (
        "import sys, numpy as np; from autodiff_compare.backends.numpy_autodiff import special, grad; "
        "from autodiff_compare.backends.numpy_autodiff.array.namespace import xp; grad(special.logsumexp)(np.ones(3)); "
        "assert not {'scipy', 'numpy.f2py', 'numpy.testing', 'urllib.request'} & {*sys.modules}; "
        "grad(special.erf)(0.5); assert 'scipy.special' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
