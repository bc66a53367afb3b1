"""Compositions that are smooth where one of their parts is steep: powers of roots and norms, and inverse pairs.

``sqrt(x)**2`` at 0 is the product of the slopes 0 and infinity, which proves nothing (see
`autodiff_compare.backends.numpy_autodiff.core.reach`). As a function of x it is x. The functions here find, for a call
whose argument is steep, a primitive of the argument's argument that is the same function:

    sqrt(x)**p = x**(p/2)              x sqrt(x) = x**1.5
    cbrt(x)**p = x**(p/3)              for p a multiple of 3
    (x**c)**p  = x**(c p)              unless c is whole and p is not: then it is a power of |x|
    (a / x), then b / that = b x / a   exp(log x) = x, sin(arcsin x) = x, ...
    |x|**p, p at least 2, is smooth    for norms, hypot, std and the modulus

The last has the slope ``p |x|^(p-2) conj(x)``. For p = 2 that is ``2 conj(x)``, which needs no length. For p = 3 it is
``3 |x| conj(x)``, with the right second derivative 0 at the origin, since ``conj(x)`` is 0 there. For p between 2 and 3
the slope of ``|x|^(p-2)`` is infinite at the origin: where x is real and p no whole number, the slope is written
``p |x|^(p-1) sign(x)``, which has all the derivatives that ``|x|^p`` has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.reach import SPREADS
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
from autodiff_compare.backends.numpy_autodiff.rules.builders import expand

Found = tuple[Primitive, tuple[Any, ...], dict[str, Any]]


def exponent(node: Any, inner: Any) -> float | None:
    """Return p if ``node`` is ``inner**p`` with a constant p, else None."""
    name, args = node.call.primitive.name, node.args
    if args[0] is not inner:
        return None
    if name == "square":
        return 2.0
    if name == "reciprocal":
        return -1.0
    if name == "multiply":
        return 2.0 if args[1] is inner or _twice(args[1], inner) else None
    p = args[1] if name in ("power", "float_power") else None
    return float(p) if isinstance(p, (int, float, np.integer, np.floating)) else None


def _twice(x: Any, inner: Any) -> bool:
    """Return whether two calls compute the same of the same arguments."""
    if not isinstance(x, Node) or x.call.primitive is not inner.call.primitive or x.call.kwargs != inner.call.kwargs:
        return False
    return len(x.args) == len(inner.args) and all(a is b for a, b in zip(x.args, inner.args, strict=True))


def _power(x: Any, p: float) -> Found:
    return POWER, (x, p), {}


def _slope(g: Any, _ans: Any, x: Any, p: float) -> Any:
    """Multiply by ``p x^(p-1)``: the slope of a power that is given as a value."""
    if p == 0:
        return None
    if p == 1:
        return g
    with np.errstate(divide="ignore", invalid="ignore"):
        return g * (p * x ** (p - 1))


#: ``x**p`` for a constant p, of which the sweep needs the slope alone.
POWER: Primitive = Primitive("power_of", np.power, (_slope,), (_slope,), pointwise=True)
#: ``factor * x`` likewise.
SCALED: Primitive = Primitive(
    "scaled", np.multiply, (lambda g, ans, x, c: g * c,), (lambda t, ans, x, c: t * c,), pointwise=True
)


def _times_its_argument(node: Any, inner: Any) -> bool:
    """Return whether ``node`` is the product of ``inner`` and the argument of ``inner``."""
    if node.call.primitive.name != "multiply":
        return False
    x, y = node.args
    return (x is inner and y is inner.args[0]) or (y is inner and x is inner.args[0])


def undo_sqrt(node: Any, inner: Any) -> Found | None:
    """Find ``sqrt(x)**p = x**(p/2)`` and ``x sqrt(x) = x**1.5``."""
    if _times_its_argument(node, inner):
        return _power(inner.args[0], 1.5)
    p = exponent(node, inner)
    return None if p is None else _power(inner.args[0], p / 2)


def undo_cbrt(node: Any, inner: Any) -> Found | None:
    """Find ``cbrt(x)**p = x**(p/3)``, which is real for negative x if p is a multiple of 3."""
    p = exponent(node, inner)
    return None if p is None or p % 3 else _power(inner.args[0], p // 3)


def undo_power(node: Any, inner: Any) -> Found | None:
    """Find ``(x**c)**p = x**(c p)`` and ``x x**c = x**(c+1)``."""
    p, c = exponent(node, inner), inner.args[1]
    if not isinstance(c, (int, float, np.integer, np.floating)):
        return None
    if _times_its_argument(node, inner):
        return _power(inner.args[0], float(c) + 1)
    if p is None:
        return None
    return None if float(c).is_integer() and not p.is_integer() else _power(inner.args[0], p * float(c))


def undo_quotient(node: Any, inner: Any) -> Found | None:
    """Find ``b / (a / x) = (b / a) x``."""
    a, x = inner.args
    b = node.args[0]
    if node.call.primitive.name != "divide" or node.args[1] is not inner or isinstance(b, Node):
        return None
    if isinstance(a, Node) or not np.all(np.isfinite(a)) or np.count_nonzero(a) < np.size(a):
        return None
    return SCALED, (x, b / a), {}


def undo_by(name: str) -> Callable[[Any, Any], Found | None]:
    """Make the search for an inverse pair: the function ``name`` of a call is the argument of that call."""

    def undo(node: Any, inner: Any) -> Found | None:
        return (SCALED, (inner.args[0], 1.0), {}) if node.call.primitive.name == name else None

    return undo


# --- Lengths


def _scaled(g: Any, length: Any, p: float) -> Any:
    """Return ``g p |x|^(p-2)``, of which the slope is ``conj(x)`` times as much."""
    if p == 2:
        return 2.0 * g
    with np.errstate(divide="ignore", invalid="ignore"):
        return g * (p * length ** (p - 2))


def _modulus_vjp(g: Any, _ans: Any, x: Any, p: float) -> Any:
    if not float(p).is_integer() and x.dtype.kind != "c":
        return g * (p * np.abs(x) ** (p - 1)) * np.sign(x)
    return _scaled(g, np.abs(x), p) * np.conj(x)


def _modulus_jvp(t: Any, ans: Any, x: Any, p: float) -> Any:
    return np.real(_modulus_vjp(t, ans, x, p))


def _hypot_rule(g: Any, _ans: Any, x: Any, y: Any, p: float) -> Any:
    return _scaled(g, np.hypot(x, y), p) * x


# With a constant ``scale`` the length is ``|x| / scale``, as in the standard deviation.


def _length_vjp(g: Any, _ans: Any, x: Any, p: float, scale: Any = 1.0, axis: Any = None, keepdims: bool = False) -> Any:
    length = np.linalg.vector_norm(x, axis=axis, keepdims=keepdims) / scale
    return expand(_scaled(g, length, p) / scale**2, x, axis, keepdims) * np.conj(x)


def _length_jvp(t: Any, _ans: Any, x: Any, p: float, scale: Any = 1.0, axis: Any = None, keepdims: bool = False) -> Any:
    length = np.linalg.vector_norm(x, axis=axis, keepdims=keepdims) / scale
    moved = np.real(np.sum(t * np.conj(x), axis=axis, keepdims=keepdims))
    return _scaled(moved, length, p) / scale**2


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError


MODULUS: Primitive = Primitive("power_of_modulus", _never, (_modulus_vjp,), (_modulus_jvp,), pointwise=True)
HYPOT: Primitive = Primitive(
    "power_of_hypot",
    _never,
    (_hypot_rule, lambda g, ans, x, y, p: _hypot_rule(g, ans, y, x, p)),
    (_hypot_rule, lambda t, ans, x, y, p: _hypot_rule(t, ans, y, x, p)),
    pointwise=True,
)
LENGTH: Primitive = Primitive("power_of_norm", _never, (_length_vjp,), (_length_jvp,), selects=SPREADS)


def _smooth(node: Any, inner: Any) -> float | None:
    """Return an exponent of at least 2, from which on a power of a length has no tip."""
    p = exponent(node, inner)
    return p if p is not None and p >= 2 else None


def undo_length(node: Any, inner: Any) -> Found | None:
    """Find ``|x|**p``."""
    p = _smooth(node, inner)
    return None if p is None else (MODULUS, (inner.args[0], p), {})


def undo_hypot(node: Any, inner: Any) -> Found | None:
    """Find ``hypot(x, y)**p``."""
    p = _smooth(node, inner)
    return None if p is None else (HYPOT, (*inner.args, p), {})


def undo_norm(node: Any, inner: Any) -> Found | None:
    """Find ``norm(x)**p`` for the Euclidean norm."""
    p = _smooth(node, inner)
    if p is None or inner.call.kwargs.get("ord", 2) != 2:
        return None
    kwargs = {key: value for key, value in inner.call.kwargs.items() if key != "ord"}
    return LENGTH, (inner.args[0], p, *inner.args[1:]), kwargs
