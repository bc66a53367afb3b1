"""Builders of primitives for the kinds of function whose rules have a common form, and functions used by rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, Rule
from autodiff_compare.backends.numpy_autodiff.core.pytree import flatten
from autodiff_compare.backends.numpy_autodiff.core.reach import MOVES
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node

_float64 = np.float64
#: Entries from which on a comparison and a count of truths are faster than a count of numbers.
_LONG = 2048
_NUMBERS = frozenset({int, float, _float64})


def elementwise(function: Callable[..., Any], *slopes: Callable[..., Any], name: str = "", **more: Any) -> Primitive:
    """Make the primitive of a holomorphic elementwise function with the slope ``slope(ans, *args)`` per argument."""
    return both(function, *map(_scaled, slopes), name=name, **more)


def _scaled(slope: Callable[..., Any]) -> Rule:
    return lambda g, ans, *args: g * slope(ans, *args)


def both(function: Callable[..., Any], *rules: Rule, name: str = "", **more: Any) -> Primitive:
    """Make the primitive of an elementwise function; VJP and JVP are one formula, since the Jacobian is diagonal."""
    return Primitive(name or function.__name__, function, rules, rules, pointwise=True, **more)


def linear(
    name: str,
    function: Callable[..., Any],
    vjp: Rule,
    selects: Any = MOVES,
    pull: Callable[[Any, Any], None] | None = None,
) -> Primitive:
    """Make the primitive of a function linear in its first argument: its JVP is the function itself.

    By default it moves and adds entries: none of its matrix is negative (see `Primitive.selects`).
    """

    def jvp(t: Any, _ans: Any, _x: Any, *args: Any, **kwargs: Any) -> Any:
        return primitive(t, *args, **kwargs)

    primitive = Primitive(name, function, (vjp,), (jvp,), selects=selects, pull=pull)
    return primitive


def has_zero(d: Any) -> bool:
    """Return whether an entry is zero; a compiler guards the answer."""
    if d.__class__ is _float64:
        return bool(d == 0)
    if d.__class__ is np.ndarray:
        # Of 10 000 numbers 2.3 us, instead of 4.7.
        return bool(np.count_nonzero(d == 0)) if d.size > _LONG else bool(np.count_nonzero(d) != d.size)
    return bool(np.count_nonzero(d) != np.size(d))


def over(g: Any, d: Any) -> Any:
    """Return ``g / d`` without a warning: an infinite slope shows in the result, and 0/0 is nan.

    Whether that counts is decided by the sweep (see `autodiff_compare.backends.numpy_autodiff.core.reach`).
    """
    if d.__class__ is np.ndarray and (g.__class__ is float or g.__class__ is np.ndarray):
        # A finite number over entries that are not zero does not warn; to silence a warning takes 1.5 us.
        return g / d if g.__class__ is float and math.isfinite(g) and not has_zero(d) else _quotient(g, d)
    if d.__class__ in _NUMBERS and d != 0:
        return g / d
    if isinstance(d, Node) or isinstance(g, Node):
        return QUOTIENT(g, d) if has_zero(d) else g / d
    return _quotient(g, d)


def _quotient(g: Any, d: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return g / (d if hasattr(d, "dtype") else np.asarray(d)[()])


#: The quotient of `over`, which compiled code computes without a warning too.
QUOTIENT: Primitive = both(
    _quotient,
    lambda g, ans, x, d: over(g, d),
    lambda g, ans, x, d: over(-g * ans, d),
    name="quotient",
    steep=lambda node, x, d: has_zero(d),
)


def _ratio(x: Any, n: Any) -> Any:
    if not has_zero(n):
        return x / n
    neither = np.logical_and(np.equal(x, 0), np.equal(n, 0))
    with np.errstate(divide="ignore"):
        return x / np.where(neither, n.dtype.type(1), n)


#: ``x / n``, but 0 where both are zero, as the slope of a norm at its tip is by convention. It jumps there, so that its
#: own slopes are infinite: what is multiplied by it has no second derivative unless another way is known (`undo`).
UNIT: Primitive = both(
    _ratio,
    lambda g, ans, x, n: over(g, n),
    lambda g, ans, x, n: over(-g * ans, n),
    name="unit",
    steep=lambda node, x, n: has_zero(n),
)


def as_array(x: Any) -> Any:
    """Return numbers and nested lists as arrays, as NumPy takes them; lists with variables in them are stacked."""
    if hasattr(x, "dtype"):
        return x
    if holds_variable(x):
        return np.stack([as_array(part) for part in x])
    return np.asarray(x)


def holds_variable(x: Any) -> bool:
    """Return whether ``x`` is a list or tuple with a variable in it, at any depth."""
    return isinstance(x, (list, tuple)) and any(isinstance(part, Node) or holds_variable(part) for part in x)


def refuse_computed(name: str, argument: Any) -> None:
    """Reject a computed argument that decides a shape.

    Raises
    ------
    TypeError
        If the argument is a variable, or a list with one in it.
    """
    found = [part for part in flatten(argument)[0] if isinstance(part, Node)]
    if found:
        meanwhile, instead = found[0].tape.purpose
        raise TypeError(
            f"got an argument of np.{name} that is computed from the inputs {meanwhile}, but it decides the shape of "
            f"the result: use np.where or a mask as a factor, pass it as an integer argument, or {instead}"
        )


#: Arguments that name axes.
_AXES = frozenset({"axis", "axis1", "axis2", "axes", "source", "destination"})


def refuse_computed_axis(name: str, value: Any, of: str) -> None:
    """Reject an axis that is computed from the inputs, where another point could choose another one.

    Raises
    ------
    TypeError
        If the argument names an axis and is a variable, or holds one.
    """
    found = [part for part in flatten(value)[0] if isinstance(part, Node)] if name in _AXES else []
    if found:
        meanwhile, instead = found[0].tape.purpose
        raise TypeError(
            f"got {name}= of {of} computed from the inputs {meanwhile}, expected an integer: at another point it may "
            "be another axis, and the result of another shape: compute it along each axis and choose with np.where, "
            f"or {instead}"
        )


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return ``axis`` as a tuple of non-negative numbers; None is every axis.

    Raises
    ------
    numpy.exceptions.AxisError
        If there is no such axis.
    """
    if axis is None or not ndim:
        # NumPy takes a number for a vector of one entry: axis 0 of it.
        return tuple(range(ndim))
    return tuple([normalize_axis_index(a, ndim) for a in (axis if isinstance(axis, tuple) else (axis,))])


def expand(g: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """Restore the axes that a reduction of ``x`` has removed, with length 1."""
    if keepdims or axis is None or (not g.shape and not x.shape):
        return g
    if axis.__class__ is int:
        shape = list(x.shape)
        shape[axis] = 1
        return g.reshape(shape)
    kept = axes_of(axis, len(x.shape))
    return g.reshape(tuple([1 if i in kept else n for i, n in enumerate(x.shape)]))
