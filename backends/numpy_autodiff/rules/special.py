"""Special functions: the ufuncs of `scipy.special`, and logsumexp, softmax and log_softmax in plain NumPy.

SciPy is optional. A program that calls one of its ufuncs has imported it, and
`autodiff_compare.backends.numpy_autodiff.array.special` imports it on first use. Therefore the rules are listed by the
functions' names. Their formulas are those of the Digital Library of Mathematical Functions (DLMF), chapters 5 to 10.

Conventions: a product with an exact zero is zero (``xlogy(0, y)`` has slope ``log y`` in x and 0 in y, also at y = 0);
entr has slope +inf at 0 and 0 below; equal infinities share the slope of logsumexp evenly.
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
from autodiff_compare.backends.numpy_autodiff.rules.builders import expand, over
from autodiff_compare.backends.numpy_autodiff.rules.constants import STOP

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2_PI = math.sqrt(2 * math.pi)


@functools.cache
def primitive(name: str) -> Primitive:
    """Return the primitive of the SciPy ufunc ``name``."""
    return Primitive(name, getattr(importlib.import_module("scipy.special"), name), RULES[name], RULES[name])


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


def _exp_term(*parts: Any) -> Any:
    """Return ``exp`` of a sum, for densities: no factor overflows on its own."""
    return np.exp(functools.reduce(np.add, parts))


def _erfcx_slope(ans: Any, x: Any) -> Any:
    """Return ``2 x erfcx(x) - 2/sqrt(pi)``. For large x that cancels, and the series DLMF 7.12.1 is used."""
    far = np.greater(x, 10)
    near = 2 * x * ans - 2 / _ROOT_PI
    if not np.any(far):
        return near
    u = 0.5 / np.square(np.where(far, x, 10))
    series: Any = 0.0
    for k in range(15, 0, -1):
        series = -(2 * k - 1) * u * (1 + series)
    return np.where(far, (2 / _ROOT_PI) * series, near)


def _entr(g: Any, _ans: Any, x: Any) -> Any:
    inside = np.greater_equal(x, 0)
    x = np.where(inside, x, 1)
    return np.where(inside, -_f("xlogy", g, x) - g, 0)


def _ratio(x: Any, y: Any) -> Any:
    """Return ``x / y``, and 1 where both are zero."""
    none = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(none, 1, over(x, np.where(none, 1, y)))


def _bessel(name: str, below: int, above: int) -> tuple[Rule | None, ...]:
    """Make the rule of the argument, ``(below f_(v-1) + above f_(v+1)) / 2``; there is no rule of the order."""
    return None, _slope(lambda ans, v, x: 0.5 * (below * _f(name, v - 1, x) + above * _f(name, v + 1, x)))


#: Name in `scipy.special` -> one rule per argument, for both modes; None where there is no derivative.
RULES: dict[str, tuple[Rule | None, ...]] = {
    # Gamma functions.
    "gamma": (_slope(lambda ans, x: ans * _f("psi", x)),),
    "gammaln": (_slope(lambda ans, x: _f("psi", x)),),
    "loggamma": (_slope(lambda ans, x: _f("psi", x)),),
    "psi": (_slope(lambda ans, x: POLYGAMMA(1, x)),),
    "zeta": (None, _slope(lambda ans, s, x: -s * _f("zeta", s + 1, x))),
    "gammainc": (None, _slope(lambda ans, a, x: _exp_term(_f("xlogy", a - 1, x), -x, -_f("gammaln", a)))),
    "gammaincc": (None, _slope(lambda ans, a, x: -_exp_term(_f("xlogy", a - 1, x), -x, -_f("gammaln", a)))),
    "beta": (
        _slope(lambda ans, a, b: ans * (_f("psi", a) - _f("psi", a + b))),
        _slope(lambda ans, a, b: ans * (_f("psi", b) - _f("psi", a + b))),
    ),
    "betaln": (
        _slope(lambda ans, a, b: _f("psi", a) - _f("psi", a + b)),
        _slope(lambda ans, a, b: _f("psi", b) - _f("psi", a + b)),
    ),
    "betainc": (
        None,
        None,
        _slope(lambda ans, a, b, x: _exp_term(_f("xlogy", a - 1, x), _f("xlog1py", b - 1, -x), -_f("betaln", a, b))),
    ),
    # Error functions and the normal distribution.
    "erf": (_slope(lambda ans, x: (2 / _ROOT_PI) * np.exp(-x * x)),),
    "erfc": (_slope(lambda ans, x: (-2 / _ROOT_PI) * np.exp(-x * x)),),
    "erfcx": (_slope(_erfcx_slope),),
    "erfinv": (_slope(lambda ans, x: (_ROOT_PI / 2) * np.exp(ans * ans)),),
    "erfcinv": (_slope(lambda ans, x: (-_ROOT_PI / 2) * np.exp(ans * ans)),),
    "dawsn": (_slope(lambda ans, x: 1 - 2 * x * ans),),
    "ndtr": (_slope(lambda ans, x: np.exp(-0.5 * x * x) / _ROOT_2_PI),),
    "ndtri": (_slope(lambda ans, x: _ROOT_2_PI * np.exp(0.5 * ans * ans)),),
    # exp(-x^2/2 - ans) would cancel far to the left.
    "log_ndtr": (_slope(lambda ans, x: (2 / _ROOT_2_PI) / _f("erfcx", -x / math.sqrt(2))),),
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
    "i0e": (_slope(lambda ans, x: _f("i1e", x) - np.sign(x) * ans),),
    "i1e": (_slope(lambda ans, x: 0.5 * (_f("i0e", x) + _f("ive", 2, x)) - np.sign(x) * ans),),
    "ive": (
        None,
        _slope(lambda ans, v, x: 0.5 * (_f("ive", v - 1, x) + _f("ive", v + 1, x)) - np.sign(x) * ans),
    ),
    "k0e": (_slope(lambda ans, x: ans - _f("k1e", x)),),
    "k1e": (_slope(lambda ans, x: ans - 0.5 * (_f("k0e", x) + _f("kve", 2, x))),),
    "kve": (None, _slope(lambda ans, v, x: ans - 0.5 * (_f("kve", v - 1, x) + _f("kve", v + 1, x)))),
    # The logistic family. 1 - expit(x) is expit(-x), with all its digits.
    "expit": (_slope(lambda ans, x: ans * _f("expit", -x)),),
    "log_expit": (_slope(lambda ans, x: _f("expit", -x)),),
    "logit": (lambda g, ans, x: over(g, x * (1 - x)),),
    # Entropies.
    "xlogy": (lambda g, ans, x, y: _f("xlogy", g, y), lambda g, ans, x, y: over(g * x, y)),
    "xlog1py": (lambda g, ans, x, y: _f("xlog1py", g, y), lambda g, ans, x, y: over(g * x, 1 + y)),
    "entr": (_entr,),
    "rel_entr": (
        lambda g, ans, x, y: _f("xlogy", g, _ratio(x, y)) + g,
        lambda g, ans, x, y: -g * _ratio(x, y),
    ),
    "kl_div": (
        lambda g, ans, x, y: _f("xlogy", g, _ratio(x, y)),
        lambda g, ans, x, y: g * (1 - _ratio(x, y)),
    ),
    # Others.
    "exp10": (_slope(lambda ans, x: math.log(10) * ans),),
    "cosm1": (_slope(lambda ans, x: -np.sin(x)),),
    "expi": (_slope(lambda ans, x: np.exp(x) / x),),
    "exp1": (_slope(lambda ans, x: -np.exp(-x) / x),),
}


def _polygamma(n: Any, x: Any) -> Any:
    found = importlib.import_module("scipy.special").polygamma(n, x)
    return np.asarray(found, np.result_type(x))[()]


_POLYGAMMA_RULES: tuple[Rule | None, ...] = (None, _slope(lambda ans, n, x: POLYGAMMA(n + 1, x)))
POLYGAMMA: Primitive = Primitive("polygamma", _polygamma, _POLYGAMMA_RULES, _POLYGAMMA_RULES)


def _weights(x: Any, axis: Any) -> Any:
    """Return ``exp(x) / sum exp(x)``; equal infinities share evenly."""
    if not np.size(x):
        return np.zeros_like(x)
    top = np.max(x, axis=axis, keepdims=True)
    ties = np.equal(x, top)
    lifted = np.exp(np.where(ties, 0, np.subtract(x, np.where(ties, 0, top))))
    return lifted / np.sum(lifted, axis=axis, keepdims=True)


def _weights_rule(g: Any, ans: Any, _x: Any, axis: Any) -> Any:
    """Apply the Jacobian ``diag(w) - w w^T``, which is symmetric: one rule for VJP and JVP."""
    return ans * (g - np.sum(g * ans, axis=axis, keepdims=True))


WEIGHTS: Primitive = Primitive("softmax", _weights, (_weights_rule,), (_weights_rule,))


def _shifted(x: Any, axis: Any) -> tuple[Any, Any, Any]:
    """Return the maximum (0 if infinite), ``x`` minus it, and the log of the sum of exp of that.

    All digits of small terms count: one maximum is the 1 of log1p.
    """
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, x.dtype.type(0))
    moved = x - shift
    ties = np.equal(x, top)
    rest = np.sum(np.exp(np.where(ties, x.dtype.type(-np.inf), moved)), axis=axis, keepdims=True)
    count = np.sum(ties, axis=axis, keepdims=True, dtype=x.dtype) - 1
    # For infinities (and for no entries) the result is the maximum itself.
    return shift, moved, np.where(np.equal(shift, top), np.log1p(rest + np.maximum(count, 0)), top)


def _logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    shift, _, total = _shifted(x, axis)
    found = shift + total
    return found if keepdims else np.squeeze(found, axis=axis)[()]


def _log_softmax(x: Any, axis: Any) -> Any:
    _, moved, total = _shifted(x, axis)
    with np.errstate(invalid="ignore"):
        return (moved - total)[()]


LOG_SOFTMAX: Primitive = Primitive(
    "log_softmax",
    _log_softmax,
    (lambda g, ans, x, axis: g - WEIGHTS(x, axis) * np.sum(g, axis=axis, keepdims=True),),
    (lambda t, ans, x, axis: t - np.sum(t * WEIGHTS(x, axis), axis=axis, keepdims=True),),
)


def _logsumexp_vjp(g: Any, _ans: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return expand(g, x, axis, keepdims) * WEIGHTS(x, axis)


def _logsumexp_jvp(t: Any, _ans: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return np.sum(t * WEIGHTS(x, axis), axis=axis, keepdims=keepdims)


LOGSUMEXP: Primitive = Primitive("logsumexp", _logsumexp, (_logsumexp_vjp,), (_logsumexp_jvp,))


def _array(x: Any) -> Any:
    return x if hasattr(x, "dtype") and x.dtype.kind in "fc" else np.asarray(x, float)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """Compute `scipy.special.logsumexp`: ``log(sum(b exp(a)))`` without overflow; ``b`` may be differentiated too."""
    a = _array(a)
    if b is None and not return_sign and a.dtype.kind != "c":
        return LOGSUMEXP(a, axis, keepdims)
    b = np.ones_like(a) if b is None else _array(b)
    # Any constant shift gives the same result and derivatives; this one keeps exp from overflowing. It is real, so that
    # the imaginary part of the logarithm is the principal one.
    top = np.max(np.where(np.equal(STOP(b), 0), -np.inf, np.real(STOP(a))), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(a.dtype)
    total = np.sum(b * np.exp(a - top), axis=axis, keepdims=True)
    found = np.log(np.abs(total) if return_sign else total) + top
    sign = np.sign(total)
    if not keepdims:
        found, sign = np.squeeze(found, axis=axis), np.squeeze(sign, axis=axis)
    return (found, sign) if return_sign else found


def softmax(x: Any, axis: Any = None) -> Any:
    """Compute `scipy.special.softmax`, but equal infinities share evenly."""
    return WEIGHTS(_array(x), axis)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """Compute `scipy.special.log_softmax`."""
    return LOG_SOFTMAX(_array(x), axis)


def _hypotenuse(x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims)


def _logsumexp2(x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    return LOGSUMEXP(_array(x) * math.log(2), axis, keepdims) / math.log(2)


def _logsumexp_of(x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    return LOGSUMEXP(_array(x), axis, keepdims)


HANDLERS: dict[Any, Any] = {np.i0: lambda x: primitive("i0")(x)}
#: ufunc -> replacement of its ``reduce``.
REDUCE = {np.logaddexp: _logsumexp_of, np.logaddexp2: _logsumexp2, np.hypot: _hypotenuse}
