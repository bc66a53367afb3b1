"""Builders of primitives for the kinds of function whose rules have a common form, and functions used by rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, Rule
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node


def elementwise(function: Callable[..., Any], *slopes: Callable[..., Any], name: str = "") -> Primitive:
    """Make the primitive of a holomorphic elementwise function with the slope ``slope(ans, *args)`` per argument."""
    rules = [_scaled(slope) for slope in slopes]
    return Primitive(name or function.__name__, function, rules, rules, pointwise=True)


def _scaled(slope: Callable[..., Any]) -> Rule:
    return lambda g, ans, *args: g * slope(ans, *args)


def both(function: Callable[..., Any], *rules: Rule, name: str = "", keeps: bool = True) -> Primitive:
    """Make the primitive of an elementwise function; VJP and JVP are one formula, since the Jacobian is diagonal."""
    return Primitive(name or function.__name__, function, rules, rules, pointwise=True, keeps=keeps)


def linear(name: str, function: Callable[..., Any], vjp: Rule) -> Primitive:
    """Make the primitive of a function linear in its first argument: its JVP is the function itself."""

    def jvp(t: Any, _ans: Any, _x: Any, *args: Any, **kwargs: Any) -> Any:
        return primitive(t, *args, **kwargs)

    primitive = Primitive(name, function, (vjp,), (jvp,))
    return primitive


def over(g: Any, d: Any) -> Any:
    """Return ``g / d`` with 0/0 = 0: no cotangent goes out where none came in, however steep the slope.

    It keeps ``where(x > 0, sqrt(x), 0)`` free of nan at 0.
    """
    if np.count_nonzero(d) == (d.size if d.__class__ is np.ndarray else np.size(d)):
        return g / d
    d = d if hasattr(d, "dtype") else np.float64(d)
    unused = np.logical_and(np.equal(g, 0), np.equal(d, 0))
    # An infinite slope shows in the result, so it needs no warning; often it is a branch that `where` discards.
    with np.errstate(divide="ignore", invalid="ignore"):
        return g / np.where(unused, d.dtype.type(1), d)


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
    kept = axes_of(axis, len(x.shape))
    return g.reshape(tuple([1 if i in kept else n for i, n in enumerate(x.shape)]))
