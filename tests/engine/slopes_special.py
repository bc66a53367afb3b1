"""The rows of the error functions, and of the gamma and beta families, for the table of slopes in the tails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as m
import numpy as np
import scipy.special as scipy_special

from autodiff_compare.backends.numpy_autodiff import special as engine_special
from tests.engine.slopes import LINE, POSITIVE, UNIT, Row, Slope, below_one, logistic, sech2, single, within


def special(name: str) -> Callable[..., Any]:
    return lambda *args: getattr(scipy_special, name)(*args)


def of(*fixed: Any, name: str) -> Callable[..., Any]:
    """Return the function of SciPy with its first arguments fixed."""
    return lambda x: getattr(scipy_special, name)(*fixed, x)


def _phi(x: Any) -> Any:
    return m.exp(-x * x / 2) / m.sqrt(2 * m.pi)


def _dawson_slope(x: Any) -> Any:
    if abs(x) > 60:
        # Asymptotic series of 1 - 2 x D (DLMF 7.12): its terms fall to 1e-1500 before they grow.
        u = 1 / (2 * x * x)
        return -m.fsum(m.fac2(2 * k - 1) * u**k for k in range(1, 30))
    return 1 - x * m.sqrt(m.pi) * m.exp(-x * x) * m.erfi(x)


def _erfcx_slope(x: Any) -> Any:
    if x > 60:
        u = -1 / (2 * x * x)
        return 2 / m.sqrt(m.pi) * m.fsum(m.fac2(2 * k - 1) * u**k for k in range(1, 30))
    return 2 * x * m.exp(x * x) * m.erfc(x) - 2 / m.sqrt(m.pi)


def _log_ndtr_slope(x: Any) -> Any:
    if x < -60:
        # The inverse of Mills' ratio (1 - 1/x^2 + 3/x^4 - ...) / |x|.
        return -x / m.fsum((-1) ** k * m.fac2(2 * k - 1) / x ** (2 * k) for k in range(25))
    return _phi(x) / (m.erfc(-x / m.sqrt(2)) / 2)


def _inverse_normal(x: Any) -> Any:
    """Return ``exp(z^2)`` for ``erfc(z) = x``."""
    z = m.erfinv(1 - x)
    return m.exp(z * z)


ERROR_FUNCTIONS = [
    Row("erf", special("erf"), (lambda x: 2 / m.sqrt(m.pi) * m.exp(-x * x),)),
    Row("erfc", special("erfc"), (lambda x: -2 / m.sqrt(m.pi) * m.exp(-x * x),)),
    Row("erfcx", special("erfcx"), (_erfcx_slope,), within(-25, 1e300)),
    Row("dawsn", special("dawsn"), (_dawson_slope,)),
    Row("ndtr", special("ndtr"), (_phi,)),
    Row("log_ndtr", special("log_ndtr"), (_log_ndtr_slope,)),
    Row("expit", special("expit"), (lambda x: sech2(x / 2) / 4,)),
    Row("log_expit", special("log_expit"), (lambda x: logistic(-x),), digits=400),
    Row("logit", special("logit"), (lambda x: 1 / (x * (1 - x)),), below_one()),
    Row("erfinv", special("erfinv"), (lambda x: m.sqrt(m.pi) / 2 * m.exp(m.erfinv(x) ** 2),), UNIT),
    Row(
        "erfcinv",
        special("erfcinv"),
        (lambda x: -m.sqrt(m.pi) / 2 * _inverse_normal(x),),
        tuple(x for x in below_one() if x > 1e-20),
    ),
    Row(
        "ndtri",
        special("ndtri"),
        (lambda x: m.sqrt(2 * m.pi) * _inverse_normal(2 * x),),
        tuple(x for x in below_one() if x > 1e-20),
    ),
    Row("expi", special("expi"), (lambda x: m.exp(x) / x,), tuple(x for x in LINE if x), second=None),
    Row("exp1", special("exp1"), (lambda x: -m.exp(-x) / x,), POSITIVE),
    Row("exp10", special("exp10"), (lambda x: m.log(10) * m.mpf(10) ** x,), within(-300, 300)),
    Row("cosm1", special("cosm1"), (lambda x: -m.sin(x),)),
    Row("entr", special("entr"), (lambda x: -m.log(x) - 1,), POSITIVE),
]

_ROUND = (*(x for x in LINE if 1e-3 < abs(x) < 30 and x != int(x)), *single(1.4616, -0.51, -3.3, -10.1, -25.7))
_PLAIN = single(1e-30, 1e-4, 0.3, 1.0, 2.5, 10.0, 40.0, 1e4, 1e10)
_BETAS = tuple(
    (a, b) for a in (1e-30, 1e-10, 0.3, 1.0, 5.5, 40.0, 1e5, 1e10, 1e30) for b in (1e-10, 0.7, 1.0, 12.0, 1e10)
)


def _trigamma(x: Any) -> Any:
    return m.psi(1, x) if x > -100 else (m.pi / m.sinpi(x)) ** 2 - m.psi(1, 1 - x)


def _density(a: Any) -> Slope:
    return lambda x: m.exp((m.mpf(a) - 1) * m.log(x) - x - m.loggamma(a))


def _beta(a: Any, b: Any) -> Any:
    return m.exp(m.loggamma(a) + m.loggamma(b) - m.loggamma(a + b))


def _beta_density(a: float, b: float) -> Slope:
    def density(x: Any) -> Any:
        p, q = m.mpf(a), m.mpf(b)
        norm = m.loggamma(p + q) - m.loggamma(p) - m.loggamma(q)
        return m.exp((p - 1) * m.log(x) + (q - 1) * m.log(1 - x) + norm)

    return density


_RATIOS = (
    *((x, y) for x in (1e-200, 0.3, 2.0, 1e200) for y in (1e-100, 0.7, 2.5, 1e200)),
    *((1.0, 1 + 2.0**-40), (1 - 2.0**-30, 1.0), (1e100, 1.4e100), (3.0, 3.0)),
)
_BASES = ((0.0, 2.0), (1e-200, 1e-200), (1e200, 1e-80), (3.0, 1 + 2.0**-40), (-2.0, 0.7), (1e-10, 1e200))

ENTROPIES = [
    Row("rel_entr", special("rel_entr"), (lambda x, y: m.log(x / y) + 1, lambda x, y: -x / y), _RATIOS),
    Row("kl_div", special("kl_div"), (lambda x, y: m.log(x / y), lambda x, y: 1 - x / y), _RATIOS),
    Row("xlogy", special("xlogy"), (lambda x, y: m.log(y), lambda x, y: x / y), _BASES),
    Row("xlog1py", special("xlog1py"), (lambda x, y: m.log1p(y), lambda x, y: x / (1 + y)), _BASES),
]

GAMMAS = [
    *(
        Row(f"polygamma {n}", lambda x, n=n: engine_special.polygamma(n, x), (lambda x, n=n: m.psi(n + 1, x),), _PLAIN)
        for n in (0, 1, 2)
    ),
    Row("zeta", lambda x: engine_special.zeta(2.5, x), (lambda x: -2.5 * m.zeta(3.5, x),), _PLAIN),
    Row("gammaincc", of(2.5, name="gammaincc"), (lambda x: -_density(2.5)(x),), within(1e-100, 600, POSITIVE)),
    Row("gamma", special("gamma"), (lambda x: m.gamma(x) * m.psi(0, x),), (*_ROUND, 1e-100, 1e-10, 40.0, 100.0, 170.0)),
    Row("gammaln", special("gammaln"), (lambda x: m.psi(0, x),), (*POSITIVE, *_ROUND)),
    Row("loggamma", special("loggamma"), (lambda x: m.psi(0, x),), POSITIVE),
    Row("psi", special("psi"), (_trigamma,), (*(x for x in POSITIVE if x > 1e-150), *_ROUND, -1e6 - 0.5, -1e9 - 0.25)),
    Row(
        "betaln",
        special("betaln"),
        (lambda a, b: m.psi(0, a) - m.psi(0, a + b), lambda a, b: m.psi(0, b) - m.psi(0, a + b)),
        _BETAS,
    ),
    Row(
        "beta",
        special("beta"),
        (
            lambda a, b: _beta(a, b) * (m.psi(0, a) - m.psi(0, a + b)),
            lambda a, b: _beta(a, b) * (m.psi(0, b) - m.psi(0, a + b)),
        ),
        tuple(p for p in _BETAS if p[0] < 1e4 and p[1] < 100),
        limit=60,
        reason="SciPy's own beta(40, 0.7) is off by 50 units",
    ),
    *(
        Row(f"gammainc {a}", of(a, name="gammainc"), (_density(a),), tuple(x for x in POSITIVE if x < 600))
        for a in (0.1, 0.5, 1, 2.5, 9.5)
    ),
    *(
        Row(
            f"gammainc {a}",
            of(a, name="gammainc"),
            (_density(a),),
            tuple(a * (1 + k / np.sqrt(a)) for k in (-3, -1, -0.1, 0, 0.1, 1, 3, 5)),
        )
        for a in (20.0, 1e3, 1e5, 1e10)
    ),
    *(
        Row(
            f"betainc {a} {b}",
            of(a, b, name="betainc"),
            (_beta_density(a, b),),
            tuple(x for x in below_one() if x > 1e-30),
        )
        for a, b in ((1, 1), (0.5, 2.5), (3, 4.5), (9, 0.3))
    ),
    *(
        Row(
            f"betainc {a} {b}",
            of(a, b, name="betainc"),
            (_beta_density(a, b),),
            tuple(a / (a + b) * (1 + k / np.sqrt(a)) for k in (-1, -0.1, 0, 0.1, 1, 2)),
        )
        for a, b in ((20.0, 30.0), (0.7, 200.0))
    ),
    # The argument n x of the deviance is rounded.
    *(
        Row(
            f"betainc {a} {b}",
            of(a, b, name="betainc"),
            (_beta_density(a, b),),
            tuple(a / (a + b) * (1 + k / np.sqrt(a)) for k in (-1, -0.1, 0, 0.1, 1, 2)),
            limit=30,
            reason="the mean n x is rounded",
            second=None,
        )
        for a, b in ((3e3, 4e4), (1e3, 1e6))
    ),
]
