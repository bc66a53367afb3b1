"""logsumexp, softmax and log_softmax, in plain NumPy; equal infinities share the slope of logsumexp evenly.

The largest weight is 1 minus the sum of the others. Where it is above one half, every ``1 - w`` is taken as that sum:
the slope of softmax((40, 0)) is 4e-18, not 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules.builders import expand
from autodiff_compare.backends.numpy_autodiff.rules.constants import STOP
from autodiff_compare.backends.numpy_autodiff.rules.logistic import exact_difference

#: The logarithm of 2, the other base in which sums of powers are taken.
_LOG_2 = math.log(2)


def _weights(x: Any, axis: Any, log_base: float = 1.0) -> Any:
    """Return ``exp(x) / sum exp(x)``, or the same of powers of 2; equal infinities share evenly."""
    if not np.size(x):
        return np.zeros_like(x)
    x = np.asarray(x)
    top = np.max(x, axis=axis, keepdims=True)
    below, error = exact_difference(x, np.where(np.equal(x, top), 0, top))
    ties = np.equal(x, top)
    lifted = (np.exp if log_base == 1.0 else np.exp2)(np.where(ties, 0, below))
    lifted = lifted + lifted * np.where(ties, 0, error * log_base)
    lifted = lifted.astype(np.result_type(lifted, np.float32))
    return (lifted / np.sum(lifted, axis=axis, keepdims=True)).astype(x.dtype)[()]


def _heavy(w: Any, axis: Any) -> tuple[Any, Any]:
    """Return the place of a weight above one half, one at most, and ``1 - w``, there as the sum of the others."""
    heavy = np.greater(w, 0.5)
    return heavy, np.where(heavy, np.sum(np.where(heavy, 0, w), axis=axis, keepdims=True), 1 - w)


def _weights_rule(g: Any, ans: Any, _x: Any, axis: Any, log_base: float = 1.0) -> Any:
    """Apply the Jacobian ``diag(w) - w w^T``, which is symmetric: one rule for VJP and JVP.

    ``w_i (g_i - sum_j g_j w_j)`` does not change if a number is subtracted from g. With that of the heavy weight,
    its own entry needs no ``1 - w``, which would cancel.
    """
    heavy, _ = _heavy(ans, axis)
    g = g - np.sum(np.where(heavy, g, 0), axis=axis, keepdims=True)
    found = ans * (g - np.sum(np.where(heavy, 0, g * ans), axis=axis, keepdims=True))
    return found if log_base == 1.0 else found * log_base


WEIGHTS: Primitive = Primitive("softmax", _weights, (_weights_rule,), (_weights_rule,))


def _shifted(x: Any, axis: Any, log_base: float = 1.0) -> tuple[Any, Any, Any]:
    """Return the maximum (0 if infinite), ``x`` minus it, and the log of the sum of exp of that.

    All digits of small terms count: one maximum is the 1 of log1p.
    """
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, x.dtype.type(0))
    moved = x - shift
    ties = np.equal(x, top)
    rest = (np.exp if log_base == 1.0 else np.exp2)(np.where(ties, x.dtype.type(-np.inf), moved))
    rest = np.sum(rest.astype(np.result_type(x, np.float32)), axis=axis, keepdims=True)
    count = np.sum(ties, axis=axis, keepdims=True, dtype=float) - 1
    # For infinities (and for no entries) the result is the maximum itself.
    total = (np.log1p(rest + np.maximum(count, 0)) / log_base).astype(x.dtype)
    return shift, moved, np.where(np.equal(shift, top), total, top)


def _logsumexp(x: Any, axis: Any, keepdims: bool, log_base: float = 1.0) -> Any:
    shift, _, total = _shifted(x, axis, log_base)
    found = shift + total
    return found if keepdims else np.squeeze(found, axis=axis)[()]


def _log_softmax(x: Any, axis: Any) -> Any:
    _, moved, total = _shifted(x, axis)
    with np.errstate(invalid="ignore"):
        return (moved - total)[()]


def _log_softmax_vjp(g: Any, _ans: Any, x: Any, axis: Any) -> Any:
    """Return ``g_i - w_i sum_j g_j = g_i (1 - w_i) - w_i sum_(j != i) g_j``, the latter for the heavy weight."""
    w = WEIGHTS(x, axis)
    heavy, rest = _heavy(w, axis)
    others = np.sum(np.where(heavy, 0, g), axis=axis, keepdims=True)
    return np.where(heavy, g * rest - w * others, g - w * np.sum(g, axis=axis, keepdims=True))


def _log_softmax_jvp(t: Any, _ans: Any, x: Any, axis: Any) -> Any:
    """Return ``t_i - sum_j w_j t_j``, with the t of the heavy weight subtracted from all."""
    w = WEIGHTS(x, axis)
    heavy, _ = _heavy(w, axis)
    t = t - np.sum(np.where(heavy, t, 0), axis=axis, keepdims=True)
    return t - np.sum(np.where(heavy, 0, t * w), axis=axis, keepdims=True)


LOG_SOFTMAX: Primitive = Primitive("log_softmax", _log_softmax, (_log_softmax_vjp,), (_log_softmax_jvp,))


def _logsumexp_vjp(g: Any, _ans: Any, x: Any, axis: Any, keepdims: bool, *log_base: float) -> Any:
    return expand(g, x, axis, keepdims) * WEIGHTS(x, axis, *log_base)


def _logsumexp_jvp(t: Any, _ans: Any, x: Any, axis: Any, keepdims: bool, *log_base: float) -> Any:
    return np.sum(t * WEIGHTS(x, axis, *log_base), axis=axis, keepdims=keepdims)


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
    return LOGSUMEXP(_array(x), axis, keepdims, _LOG_2)


def _logsumexp_of(x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    return LOGSUMEXP(_array(x), axis, keepdims)


#: ufunc -> replacement of its ``reduce``.
REDUCE = {np.logaddexp: _logsumexp_of, np.logaddexp2: _logsumexp2, np.hypot: _hypotenuse}
