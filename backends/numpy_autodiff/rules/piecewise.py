"""Piecewise functions: each entry of the result is computed by one of several formulas, by the place of its argument.

Conventions: at a knot `numpy.interp` has the slope to the right of it, at the last knot that to the left, outside the
knots 0; `numpy.nan_to_num` has slope 0 where it replaces. `numpy.piecewise` evaluates each function on its own entries
only, so that its values elsewhere (infinite, say) cannot reach the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array
from autodiff_compare.backends.numpy_autodiff.rules.indexing import getitem
from autodiff_compare.backends.numpy_autodiff.rules.scatter import SCATTER


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None) -> Any:
    """Compute `numpy.interp`, differentiable in the points, the knots and the values there."""
    x, xp, fp = map(_at_least_float, (x, xp, fp))
    if period is not None:
        x, xp, fp = _unrolled(x, xp, fp, abs(period))
    last = len(xp) - 1
    below, above = np.less(x, xp[0]), np.greater(x, xp[-1])
    if last:
        i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, last - 1)
        # By `getitem`, because the places are traced in a compiler, where the knots may be plain arrays.
        (start, stop), (low, high) = ((getitem(a, i), getitem(a, i + 1)) for a in (xp, fp))
        width = stop - start
        inside = (high - low) / np.where(np.equal(width, 0), 1, width) * (x - start) + low
    else:
        inside = fp[0] + 0 * x
    left, right = fp[0] if left is None else left, fp[-1] if right is None else right
    return np.where(below, left, np.where(above, right, inside))


def _at_least_float(a: Any) -> Any:
    """Return numbers and lists as an array of floating or complex numbers."""
    a = as_array(a)
    return a.astype(float) if a.dtype.kind in "iub" else a


def _unrolled(x: Any, xp: Any, fp: Any, period: float) -> tuple[Any, Any, Any]:
    """Return the points and one period of sorted knots, with the neighbour on either side."""
    x, xp = np.remainder(x, period), np.remainder(xp, period)
    order = np.argsort(xp)
    xp, fp = getitem(xp, order), getitem(fp, order)
    knots = np.concatenate((xp[-1:] - period, xp, xp[:1] + period))
    return x, knots, np.concatenate((fp[-1:], fp, fp[:1]))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Compute `numpy.select`: of several true conditions the first one applies."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"got {len(condlist)} conditions and {len(choicelist)} choices, expected as many of each")
    found = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        found = np.where(condition, choice, found)
    return found


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """Compute `numpy.piecewise`: of several true conditions the last one applies."""
    single = isinstance(condlist, Node) or np.isscalar(condlist)
    if not single and x.shape:
        single = not isinstance(condlist[0], (list, np.ndarray, Node))
    conditions = [condlist] if single else list(condlist)
    functions, given = list(funclist), len(conditions)
    if len(functions) == len(conditions) + 1:
        # The default comes first, under a condition that always holds: all others override it.
        functions = [functions[-1], *functions[:-1]]
        conditions = [np.ones(x.shape, bool), *conditions]
    if len(functions) != len(conditions):
        raise ValueError(
            f"got {len(funclist)} functions for {given} conditions, expected as many, or one more for the rest"
        )
    if any(isinstance(c, Node) for c in conditions):
        return _chosen(x, conditions, functions, args, kw)
    owner = np.full(x.shape, -1)
    for k, condition in enumerate(conditions):
        owner[np.asarray(condition, bool)] = k
    masks = [owner == k for k in range(len(functions))]
    parts = [_piece(f, x[mask], args, kw) for f, mask in zip(functions, masks, strict=True)]
    return SCATTER(*parts, indices=masks, shape=x.shape, dtype=x.dtype)


def _piece(function: Any, x: Any, args: Any, kw: Any) -> Any:
    value = function(x, *args, **kw) if callable(function) and not isinstance(function, Node) else function
    return value if np.shape(value) == x.shape else np.broadcast_to(value, x.shape)


def _chosen(x: Any, conditions: Any, functions: Any, args: Any, kw: Any) -> Any:
    """Compute every function everywhere, then choose: a compiled function evaluates its conditions anew."""
    found = np.zeros(x.shape, x.dtype)
    for condition, function in zip(conditions, functions, strict=True):
        found = np.where(condition, _piece(function, x, args, kw), found)
    return found


def _replaced(x: Any, nan: Any, posinf: Any, neginf: Any) -> Any:
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


REPLACED: Primitive = Primitive("nan_to_num", _replaced, constant=True)


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Compute `numpy.nan_to_num`; the result is always new."""
    del copy
    if x.dtype.kind == "c":
        parts = [nan_to_num(part, True, nan, posinf, neginf) for part in (np.real(x), np.imag(x))]
        return parts[0] + 1j * parts[1]
    return np.where(np.isfinite(x), x, REPLACED(x, nan, posinf, neginf))


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Compute `numpy.gradient`, differentiable in the values and in the spacing."""
    f = _at_least_float(f)
    axes = tuple(range(len(f.shape))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    spacing = [1.0] * len(axes) if not varargs else list(varargs) * (len(axes) if len(varargs) == 1 else 1)
    if len(spacing) != len(axes):
        raise ValueError(f"got {len(spacing)} spacings, expected 1 or one per axis, {len(axes)}")
    if edge_order not in (1, 2):
        raise ValueError(f"got edge_order={edge_order}, expected 1 or 2")
    found = [np.moveaxis(_slope(np.moveaxis(f, a, 0), h, edge_order), 0, a) for a, h in zip(axes, spacing, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(f: Any, h: Any, edge_order: int) -> Any:
    """Differentiate along the first axis: by parabolas through three points inside, one-sided at the ends."""
    n = f.shape[0]
    if n < edge_order + 1:
        raise ValueError(f"got {n} entries along an axis, expected at least {edge_order + 1} for this edge_order")
    column = (-1,) + (1,) * (len(f.shape) - 1)
    if np.shape(h) not in ((), (n,)):
        raise ValueError(f"got spacing of shape {np.shape(h)}, expected one number or {n} coordinates along this axis")
    ones = np.ones(n - 1, f.real.dtype)
    steps: Any = ones * (np.diff(h) if np.shape(h) else h)
    steps = steps if isinstance(steps, Node) else steps.astype(ones.dtype)
    steps = np.reshape(steps, column)
    rise = (f[1:] - f[:-1]) / steps
    left, right = steps[:-1], steps[1:]
    middle = (rise[:-1] * right + rise[1:] * left) / (left + right)
    first, last = rise[:1], rise[-1:]
    if edge_order == 2:
        # The slope of the same parabola at its end: its difference quotients change at a constant rate.
        first = first + (first - rise[1:2]) * steps[:1] / (steps[:1] + steps[1:2])
        last = last + (last - rise[-2:-1]) * steps[-1:] / (steps[-1:] + steps[-2:-1])
    return np.concatenate((first, middle, last), axis=0)


HANDLERS: dict[Any, Any] = {
    np.interp: interp,
    np.select: select,
    np.piecewise: piecewise,
    np.nan_to_num: nan_to_num,
    np.gradient: gradient,
}
