"""Special functions: the ufuncs of `scipy.special`.

SciPy is optional. A program that calls one of its ufuncs has imported it, and
`autodiff_compare.backends.numpy_autodiff.array.special` imports it on first use. Therefore the rules are listed by the
functions' names. Their formulas are those of the Digital Library of Mathematical Functions (DLMF), chapters 5 to 10.

Conventions: a product with an exact zero is zero (``xlogy(0, y)`` has slope ``log y`` in x and 0 in y, also at y = 0);
entr has slope +inf at 0 and 0 below.
"""

from __future__ import annotations

import functools
import importlib
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, Rule
from autodiff_compare.backends.numpy_autodiff.core.reach import ENTRIES
from autodiff_compare.backends.numpy_autodiff.core.tracing import primal
from autodiff_compare.backends.numpy_autodiff.rules.builders import UNIT, has_zero, over
from autodiff_compare.backends.numpy_autodiff.rules.fractions import (
    bessel_i_defect,
    bessel_k_excess,
    dawson_slope,
    erfcx_slope,
)
from autodiff_compare.backends.numpy_autodiff.rules.gammas import (
    BETA_DENSITY,
    GAMMA_DENSITY,
    cotangent,
    digamma_rise,
    polygamma,
)
from autodiff_compare.backends.numpy_autodiff.rules.gauss import GAUSS
from autodiff_compare.backends.numpy_autodiff.rules.logistic import SECH2
from autodiff_compare.backends.numpy_autodiff.rules.where import not_finite

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2_PI = math.sqrt(2 * math.pi)


@functools.cache
def primitive(name: str) -> Primitive:
    """Return the primitive of the SciPy ufunc ``name``."""
    rules = RULES[name] if name in _OWN_PRECISION else [r and _in_double(name, r) for r in RULES[name]]
    function = getattr(importlib.import_module("scipy.special"), name)
    return Primitive(name, function, rules, rules, selects=ENTRIES, steep=_is_steep)


#: Functions whose rules lose nothing in single precision.
_OWN_PRECISION = frozenset({"expit", "log_expit", "logit", "xlogy", "xlog1py", "entr"})


def _in_double(name: str, rule: Rule) -> Rule:
    """Apply a rule to single-precision arguments in double precision, as SciPy computes the function itself."""

    def applied(g: Any, ans: Any, *args: Any) -> Any:
        if ans.dtype.char in "fF":
            args = tuple(
                a.astype(np.result_type(a, float)) if getattr(a, "dtype", None) is not None else a for a in args
            )
            ans = primitive(name)(*args)
        return rule(g, ans, *args)

    return applied


def _is_steep(node: Any, *args: Any) -> bool:
    """Return whether a slope may be infinite: at a pole, and at 0 as of entropies."""
    return not_finite(primal(node.primal)) or any(has_zero(args[i]) for i in node.call.where)


def handler(ufunc: Any) -> Primitive | None:
    """Return the primitive of a ufunc of `scipy.special`, or None if it has no rule."""
    return _named().get(ufunc) if "scipy.special" in sys.modules else None


@functools.cache
def _named() -> Mapping[Any, Primitive]:
    scipy_special = sys.modules["scipy.special"]
    return {getattr(scipy_special, name): primitive(name) for name in RULES if hasattr(scipy_special, name)}


def _f(name: str, *args: Any) -> Any:
    return primitive(name)(*args)


def _slope(slope: Callable[..., Any]) -> Rule:
    """Make the rule, for both modes, of an argument in which the slope is ``slope(ans, *args)``."""
    return lambda g, ans, *args: g * slope(ans, *args)


def _psi(x: Any) -> Any:
    return _f("psi", x)


def _digamma(x: Any) -> Any:
    """Return psi; for negative x by reflection about the nearest integer, whose distance is exact.

    SciPy's own psi loses all digits beside a pole: pi times -1 + 1e-15 is rounded.
    """
    negative = np.less(np.real(x), 0)
    if x.dtype.kind == "c" or not np.any(negative):
        return _psi(x)
    below = np.where(negative, x, -0.25)
    return np.where(negative, _psi(1 - below) - math.pi * cotangent(below), _psi(np.where(negative, 1.0, x)))


def _inverse_gauss(x: Any, ans: Any) -> Any:
    """Return ``exp(z^2)`` for z >= 0 with ``erfc(z) = x`` as ``erfcx(z) / x``: z^2 would magnify the error of z."""
    end = np.equal(x, 0)
    return np.where(end, np.inf, _f("erfcx", np.where(end, 0.0, ans)) / np.where(end, 1.0, x))


def _erfinv_slope(ans: Any, x: Any) -> Any:
    """Return ``sqrt(pi)/2 exp(ans^2)``, towards the ends by the exact ``1 - |x|``."""
    tail = np.greater(np.abs(x), 0.5)
    rest = np.where(tail, 1 - np.abs(x), 1.0)
    z = np.where(tail, np.abs(ans), 0.0)
    return (_ROOT_PI / 2) * np.where(tail, _inverse_gauss(rest, z), np.exp(np.square(np.where(tail, 0.0, ans))))


def _erfcinv_slope(ans: Any, x: Any) -> Any:
    """Return ``-sqrt(pi)/2 exp(ans^2)``, towards the ends by the exact ``x`` or ``2 - x``."""
    middle = np.logical_and(np.greater(x, 0.5), np.less(x, 1.5))
    tail = np.where(middle, 1.0, np.where(np.less(x, 1), x, 2 - x))
    far = _inverse_gauss(tail, np.where(middle, 0.0, np.abs(ans)))
    return (-_ROOT_PI / 2) * np.where(middle, np.exp(np.square(np.where(middle, ans, 0.0))), far)


def _ndtri_slope(ans: Any, x: Any) -> Any:
    """Return ``sqrt(2 pi) exp(ans^2 / 2)``; it is -sqrt(2) erfcinv(2 x)."""
    return -2 * math.sqrt(2) * _erfcinv_slope(ans / -math.sqrt(2), 2 * x)


def _log_ndtr_slope(_ans: Any, x: Any) -> Any:
    """Return the normal density over ``ndtr``; to the left, where both vanish, by ``erfcx``."""
    right = np.greater(x, 0)
    above = GAUSS(np.where(right, x, 0.0), 0.5) / _ROOT_2_PI / _f("ndtr", np.where(right, x, 0.0))
    return np.where(right, above, (2 / _ROOT_2_PI) / _f("erfcx", np.where(right, 0.0, -x) / math.sqrt(2)))


def _scaled_i_slope(v: Any, ans: Any, x: Any) -> Any:
    """Return ``ive'(v, x) = ive (v/x -+ defect)``; near 0, and for negative orders, by neighbouring orders."""
    near = np.logical_or(np.less(np.abs(x), 1), np.less(v, 0))
    inner, order = np.where(near, x, 0.5), np.where(near, 0.0, v)
    by_orders = 0.5 * (_f("ive", v - 1, inner) + _f("ive", v + 1, inner)) - np.sign(inner) * _f("ive", v, inner)
    outer = np.where(near, 1.0, x)
    return np.where(near, by_orders, ans * (order / outer - np.sign(outer) * bessel_i_defect(order, np.abs(outer))))


def _scaled_k_slope(v: Any, ans: Any, x: Any) -> Any:
    """Return ``kve'(v, x)``, which is ``-kve`` times the excess; for small x by neighbouring orders."""
    far = np.greater(x, 1)
    inner = np.where(far, 1.0, x)
    by_orders = _f("kve", v, inner) - 0.5 * (_f("kve", v - 1, inner) + _f("kve", v + 1, inner))
    return np.where(far, -ans * bessel_k_excess(v, np.where(far, x, 1.0)), by_orders)


def _exp_over(x: Any) -> Any:
    """Return ``exp(x) / x``, also where ``exp(x)`` overflows and the quotient does not."""
    half = np.exp(0.5 * x)
    return half * (half / x)


def _entr(g: Any, _ans: Any, x: Any) -> Any:
    inside = np.greater_equal(x, 0)
    x = np.where(inside, x, 1)
    return np.where(inside, -_f("xlogy", g, x) - g, 0)


def _ratio(x: Any, y: Any) -> Any:
    """Return ``x / y``, and 1 where both are zero."""
    none = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(none, 1, over(x, np.where(none, 1, y)))


def _relative_excess(x: Any, y: Any) -> Any:
    """Return ``1 - x / y``, and 0 where both are zero."""
    none = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(none, 0, over(y - x, _or_one(np.logical_not(none), y)))


def _log_ratio(g: Any, x: Any, y: Any) -> Any:
    """Return ``g log(x / y)``, 0 for g = 0: near 1 by the exact x - y; where x/y leaves its range, by parts."""
    positive = np.logical_and(np.greater(x, 0), np.greater(y, 0))
    near = np.logical_and(positive, np.less_equal(np.abs(x - y), 0.5 * y))
    far = np.logical_and(positive, np.greater(np.abs(np.log(_or_one(positive, x)) - np.log(_or_one(positive, y))), 690))
    apart = np.logical_or(near, far)
    plain = _f("xlogy", g, _ratio(np.where(apart, 1, x), np.where(apart, 1, y)))
    by_difference = g * np.log1p(np.where(near, x - y, 0) / _or_one(near, y))
    by_parts = g * (np.log(_or_one(far, x)) - np.log(_or_one(far, y)))
    return np.where(near, by_difference, np.where(far, by_parts, plain))


def _or_one(condition: Any, x: Any) -> Any:
    return np.where(condition, x, 1)


def _bessel(name: str, below: int, above: int) -> tuple[Rule | None, ...]:
    """Make the rule of the argument, ``(below f_(v-1) + above f_(v+1)) / 2``; there is no rule of the order."""
    return None, _slope(lambda ans, v, x: 0.5 * (below * _f(name, v - 1, x) + above * _f(name, v + 1, x)))


#: Name in `scipy.special` -> one rule per argument, for both modes; None where there is no derivative.
RULES: dict[str, tuple[Rule | None, ...]] = {
    # Gamma functions.
    "gamma": (_slope(lambda ans, x: ans * _digamma(x)),),
    "gammaln": (_slope(lambda ans, x: _digamma(x)),),
    "loggamma": (_slope(lambda ans, x: _digamma(x)),),
    "psi": (_slope(lambda ans, x: POLYGAMMA(1, x)),),
    "zeta": (None, _slope(lambda ans, s, x: -s * _f("zeta", s + 1, x))),
    "gammainc": (None, _slope(lambda ans, a, x: GAMMA_DENSITY(a, x))),
    "gammaincc": (None, _slope(lambda ans, a, x: -GAMMA_DENSITY(a, x))),
    "beta": (
        _slope(lambda ans, a, b: -ans * digamma_rise(_psi, a, b)),
        _slope(lambda ans, a, b: -ans * digamma_rise(_psi, b, a)),
    ),
    "betaln": (
        _slope(lambda ans, a, b: -digamma_rise(_psi, a, b)),
        _slope(lambda ans, a, b: -digamma_rise(_psi, b, a)),
    ),
    "betainc": (
        None,
        None,
        _slope(lambda ans, a, b, x: BETA_DENSITY(a, b, x)),
    ),
    # Error functions and the normal distribution.
    "erf": (_slope(lambda ans, x: (2 / _ROOT_PI) * GAUSS(x, 1.0)),),
    "erfc": (_slope(lambda ans, x: (-2 / _ROOT_PI) * GAUSS(x, 1.0)),),
    "erfcx": (_slope(erfcx_slope),),
    "erfinv": (_slope(_erfinv_slope),),
    "erfcinv": (_slope(_erfcinv_slope),),
    "dawsn": (_slope(lambda ans, x: dawson_slope(x)),),
    "ndtr": (_slope(lambda ans, x: GAUSS(x, 0.5) / _ROOT_2_PI),),
    "ndtri": (_slope(_ndtri_slope),),
    "log_ndtr": (_slope(_log_ndtr_slope),),
    # Bessel functions, by differences of neighbouring orders, which need no division by x at 0 (DLMF 10.6, 10.29).
    "j0": (_slope(lambda ans, x: -_f("j1", x)),),
    "j1": (_slope(lambda ans, x: 0.5 * (_f("j0", x) - _f("jv", 2, x))),),
    "jv": _bessel("jv", 1, -1),
    "y0": (_slope(lambda ans, x: -_f("y1", x)),),
    "y1": (_slope(lambda ans, x: 0.5 * (_f("y0", x) - _f("yn", 2, x))),),
    "yn": _bessel("yn", 1, -1),
    "yv": _bessel("yv", 1, -1),
    "i0": (_slope(lambda ans, x: _f("i1", x)),),
    "i1": (_slope(lambda ans, x: 0.5 * (_f("i0", x) + _f("iv", 2, x))),),
    "iv": _bessel("iv", 1, 1),
    "k0": (_slope(lambda ans, x: -_f("k1", x)),),
    "k1": (_slope(lambda ans, x: -0.5 * (_f("k0", x) + _f("kn", 2, x))),),
    "kn": _bessel("kn", -1, -1),
    "kv": _bessel("kv", -1, -1),
    "i0e": (_slope(lambda ans, x: _scaled_i_slope(0, ans, x)),),
    "i1e": (_slope(lambda ans, x: _scaled_i_slope(1, ans, x)),),
    "ive": (None, _slope(lambda ans, v, x: _scaled_i_slope(v, ans, x))),
    "k0e": (_slope(lambda ans, x: _scaled_k_slope(0, ans, x)),),
    "k1e": (_slope(lambda ans, x: _scaled_k_slope(1, ans, x)),),
    "kve": (None, _slope(lambda ans, v, x: _scaled_k_slope(v, ans, x))),
    # The logistic family. 1 - expit(x) is expit(-x), with all its digits.
    "expit": (_slope(lambda ans, x: 0.25 * SECH2(0.5 * x)),),
    "log_expit": (_slope(lambda ans, x: _f("expit", -x)),),
    "logit": (lambda g, ans, x: over(g, x * (1 - x)),),
    # Entropies.
    "xlogy": (lambda g, ans, x, y: _f("xlogy", g, y), lambda g, ans, x, y: g * UNIT(x, y)),
    "xlog1py": (lambda g, ans, x, y: _f("xlog1py", g, y), lambda g, ans, x, y: g * UNIT(x, 1 + y)),
    "entr": (_entr,),
    "rel_entr": (
        lambda g, ans, x, y: _log_ratio(g, x, y) + g,
        lambda g, ans, x, y: -g * _ratio(x, y),
    ),
    "kl_div": (
        lambda g, ans, x, y: _log_ratio(g, x, y),
        lambda g, ans, x, y: g * _relative_excess(x, y),
    ),
    # Others.
    "exp10": (_slope(lambda ans, x: math.log(10) * ans),),
    "cosm1": (_slope(lambda ans, x: -np.sin(x)),),
    "expi": (_slope(lambda ans, x: _exp_over(x)),),
    "exp1": (_slope(lambda ans, x: _exp_over(-x)),),
}


_POLYGAMMA_RULES: tuple[Rule | None, ...] = (None, _slope(lambda ans, n, x: POLYGAMMA(n + 1, x)))
POLYGAMMA: Primitive = Primitive("polygamma", polygamma, _POLYGAMMA_RULES, _POLYGAMMA_RULES)


HANDLERS: dict[Any, Any] = {np.i0: lambda x: primitive("i0")(x)}
