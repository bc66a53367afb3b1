"""Accumulation of cotangents in the ``flow`` of nodes.

A node that is used k times gets k cotangents, and its own is their sum. Three forms of a cotangent keep that cheap:

- an array or NumPy scalar in the shape of the value;
- a Python float, a *uniform* cotangent: the same number for every entry, as the gradient of a sum is. It is written
  out only when an array is needed, so the gradient of ``sum(100 * t**2)`` is one array operation;
- a `Scatter`: parts at some places, as the gradient of ``x[i]`` has, and one of the other forms beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from sys import getrefcount
from types import EllipsisType, NoneType
from typing import Any, final

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.broadcasting import fit, spread, total
from autodiff_compare.backends.numpy_autodiff.core.tracing import values_of

_ndarray = np.ndarray
_float64 = np.float64
_DOUBLE = np.dtype(float)


def add_cotangent(parent: Any, d: Any, ans: Any) -> None:
    """Add a cotangent to the ``flow`` of ``parent``, in the shape and dtype of its value.

    Parameters
    ----------
    d
        Shaped like the value of ``parent``, or like ``ans``, to which that value was broadcast. A Python float is the
        same number for every entry of ``ans``.
    """
    x = parent.primal
    if d.__class__ is float:
        if x.shape != ans.shape:
            # Sum over the copies that broadcasting made: the same number, times how many there are.
            d = d * (math.prod(ans.shape) / math.prod(x.shape)) if x.size else 0.0
        if x.__class__ is not _float64 and not x.shape:
            d = x.dtype.type(d)
    elif d.__class__ is x.__class__ is _float64:
        d = float(d)
    elif d.__class__ is not Scatter and (d.shape != x.shape or d.dtype is not x.dtype):
        plain_sum = x.__class__ is _float64 and d.__class__ is _ndarray and d.dtype is _DOUBLE
        d = float(total(d)) if plain_sum else fit(d, x)
    h = parent.flow
    if h is None:
        parent.flow = d
    elif h.__class__ is _ndarray and d.__class__ is _ndarray and getrefcount(h) == _OWNED and h.base is None:
        # Nothing else refers to h, so the sum may overwrite it.
        h += d
    elif d.__class__ is Scatter:
        # Not ``h + d``, by which an array would add up the scatter entry by entry.
        parent.flow = h + d if h.__class__ is Scatter else d + h
    else:
        parent.flow = h + d


def _references() -> int:
    """Return the `getrefcount` that `add_cotangent` sees of an array which only a ``flow`` refers to.

    It depends on the version of Python, so it is found out by the same steps.
    """
    parent = [np.zeros(1)]
    h = parent[0]
    return getrefcount(h)


_OWNED = _references()


def generic_pull(node: Any, g: Any) -> None:
    """Send a cotangent to the arguments of a node, by one VJP rule after the other."""
    call, args, ans = node.call, node.args, node.primal
    kwargs = call.kwargs
    values = values_of(node, call.where)
    if g.__class__ is float and (
        ans.__class__ is _float64 or not (call.primitive.pointwise and _alike(ans, values, call.where))
    ):
        g = spread(g, ans)
    for i, rule in call._vjps or call.vjps:
        d = rule(g, ans, *values, **kwargs) if kwargs else rule(g, ans, *values)
        if d is not None:
            add_cotangent(args[i], d, ans)


def _alike(ans: Any, values: Sequence[Any], where: Sequence[int]) -> bool:
    shape = ans.shape
    return all(values[i].shape == shape for i in where)


def dense_only(pull: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Wrap ``pull`` so that a uniform cotangent is written out before it sees it."""
    return lambda node, g: pull(node, spread(g, node.primal) if g.__class__ is float else g)


@final
class Scatter:
    """A cotangent given by parts and their places, written out when it is needed.

    Indexing an array in a loop of n would otherwise add n arrays of zeros, in time quadratic in n. Adding another
    scatter extends this one in place, since only the ``flow`` of one node refers to it. Any other cotangent is kept
    beside the parts, so that an array that is indexed n times and used as a whole besides is still written out once.

    The cotangent of a view, as of the row in ``x[i][j]``, may be a scatter itself. It is kept as a part, whose index is
    then the step that leads to the view: a primitive with its arguments. So the row is not written out either.

    Parameters
    ----------
    scatter
        The function ``scatter(*parts, indices=, shape=, dtype=)`` that writes the array out. With views it also takes
        ``views``, the steps to each with the number of the view that the step begins from, and ``places``, the number
        of the view that each index is meant for. The whole array is view 0.
    like
        The array that was indexed.
    index, part
        Where the first entries are, and their cotangents.
    """

    __slots__ = ("dtype", "indices", "nested", "parts", "rest", "scatter", "shape")

    def __init__(self, scatter: Callable[..., Any], like: Any, index: Any, part: Any) -> None:
        self.scatter = scatter
        self.shape = like.shape
        self.dtype = like.dtype
        self.indices = [index]
        self.parts = [part]
        self.rest: Any = None
        self.nested = part.__class__ is Scatter

    def __add__(self, other: Any) -> Any:
        if other.__class__ is Scatter:
            self.indices += other.indices
            self.parts += other.parts
            self.nested = self.nested or other.nested
            other = other.rest
        if other is not None:
            self.rest = other if self.rest is None else self.rest + other
        return self

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other

    # Without this, NumPy takes a scatter for an array of objects.
    __array_ufunc__ = None

    def dense(self) -> Any:
        """Write out the array."""
        if self.nested:
            parts = self._through_views()
        else:
            parts = self.scatter(*self.parts, indices=self.indices, shape=self.shape, dtype=self.dtype)
        rest = self.rest
        if rest is None:
            return parts
        if parts.__class__ is rest.__class__ is _ndarray and parts.dtype is rest.dtype:
            # Nobody else knows the parts.
            parts += rest
            return parts
        return parts + rest

    def _through_views(self) -> Any:
        """Write out parts within views, without recursion, since a view of a view may be as deep as a loop is long."""
        parts, indices, places, views = [], [], [], []
        waiting = [(self, 0)]
        while waiting:
            scatter, place = waiting.pop()
            for index, part in zip(scatter.indices, scatter.parts, strict=True):
                if part.__class__ is Scatter:
                    views.append((place, index))
                    waiting.append((part, len(views)))
                else:
                    parts.append(part)
                    indices.append(index)
                    places.append(place)
            if place and scatter.rest is not None:
                parts.append(scatter.rest)
                indices.append(Ellipsis)
                places.append(place)
        return self.scatter(
            *parts, indices=indices, shape=self.shape, dtype=self.dtype, views=tuple(views), places=places
        )


def is_basic(index: Any) -> bool:
    """Return whether an index selects each entry at most once and holds no array."""
    for p in index if isinstance(index, tuple) else (index,):
        if p.__class__ in _BASIC:
            continue
        if p.__class__ is _ndarray or not isinstance(p, (int, np.integer, slice)) or isinstance(p, bool):
            return False
    return True


_BASIC = frozenset({int, slice, NoneType, EllipsisType})
