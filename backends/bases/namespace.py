"""An array namespace ``xp`` from the functions that a system has.

A system seldom has every function of the array API standard. `Namespace` takes those it has and completes them:

1. Functions that follow from operators, from indexing or from functions that are there, as
   ``hypot(x, y) = sqrt(x x + y y)``.
   Only formulas without loss of digits are used, so that ``log1p`` is never written as ``log(1 + x)``. Squares leave
   the range of numbers beyond 1e154 and below 1e-162: a system with a ``hypot`` of its own should give that one.
2. Functions that make new arrays, such as ``zeros``: NumPy's. A system takes NumPy arrays as constants.

Any other name raises `Absent` with the name of the system. Results of several arrays get the names of the standard,
such as ``eigh(A).eigenvalues``.
"""

from __future__ import annotations

import collections
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.default_dtype import makers
from autodiff_compare.backends.operators.objective import Absent, Unsupported
from autodiff_compare.backends.special import Special

Functions = Mapping[str, Callable[..., Any]]


class Part:
    """The functions of one namespace as attributes; a missing one raises `Absent`.

    Parameters
    ----------
    owner
        Name of the system, for messages.
    prefix
        ``""``, or ``"linalg."`` within the extension.
    functions
        Name -> function.
    """

    def __init__(self, owner: str, prefix: str, functions: Functions) -> None:
        self._owner, self._prefix = owner, prefix
        vars(self).update(functions)

    def __getattr__(self, name: str) -> Any:
        raise Absent(f"{self._owner} has no xp.{self._prefix}{name}")


class Namespace(Part):
    """An array namespace: the functions of a system, and those that are composed of them.

    Parameters
    ----------
    owner
        Name of the system, for messages.
    functions
        The system's own functions under the names of the array API standard, with its signatures.
    linalg, special
        Those of the extension ``linalg`` and of ``xp.special``.
    """

    def __init__(
        self, owner: str, functions: Functions, linalg: Functions | None = None, special: Functions | None = None
    ) -> None:
        found: dict[str, Callable[..., Any]] = {**_NEW, **functions}
        found |= {name: _of_data(f, found[name]) for name, f in _MOVES.items() if name in found}
        inner: dict[str, Callable[..., Any]] = dict(linalg or {})
        for name, (needs, formula) in _FORMULAS.items():
            if name not in found and all(n in found for n in needs.split()):
                found[name] = _bound(formula, self)
        for name, (needs, formula) in _LINALG.items():
            if name not in inner and all(n in found for n in needs.split()):
                inner[name] = _bound(formula, self)
        inner |= {name: _named(name, fields, inner[name]) for name, fields in _FIELDS.items() if name in inner}
        super().__init__(owner, "", found)
        self.linalg = Part(owner, "linalg.", inner)
        self.special = Special(owner, special or {})
        self.pi, self.e, self.inf, self.nan, self.newaxis = math.pi, math.e, math.inf, math.nan, None
        self.float32, self.float64, self.int32, self.int64, self.bool = (
            np.float32, np.float64, np.int32, np.int64, np.bool_,
        )  # fmt: skip


def _bound(formula: Callable[..., Any], xp: Any) -> Callable[..., Any]:
    return lambda *args, **options: formula(xp, *args, **options)


#: Function of ``linalg`` -> names of the arrays that it returns.
_FIELDS: Mapping[str, str] = MappingProxyType(
    {"eigh": "eigenvalues eigenvectors", "qr": "Q R", "slogdet": "sign logabsdet", "svd": "U S Vh"}
)


def _named(name: str, fields: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose result, a sequence of arrays, has these names."""
    result = collections.namedtuple(f"{name.capitalize()}Result", fields)  # type: ignore[misc]

    def call(*args: Any, **options: Any) -> Any:
        found = function(*args, **options)
        return found if hasattr(found, "_fields") else result(*found)

    return call


def is_constant(x: Any) -> bool:
    """Return whether ``x`` holds numbers alone, no variable or expression of a system."""
    if isinstance(x, (list, tuple)):
        return all(map(is_constant, x))
    return isinstance(x, (int, float, complex, np.generic)) or (isinstance(x, np.ndarray) and x.dtype != object)


def on_arrays(functions: Functions, of_numpy: Any = np) -> Functions:
    """Return functions that leave numbers to NumPy, where it has a function of the name.

    Outside of a graph, arrays are NumPy's. An expression of constants would be computed when it is read, after the
    clock has stopped.
    """

    def either(own: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            return (other if all(map(is_constant, args)) else own)(*args, **options)

        return call

    return {name: either(f, getattr(of_numpy, name)) if hasattr(of_numpy, name) else f for name, f in functions.items()}


def dtype_of(x: Any) -> np.dtype[Any]:
    """Return the NumPy dtype of a dtype, of its name in a system's own words, or of an array or variable."""
    if isinstance(x, (type, np.dtype)):
        return np.dtype(x)
    return np.dtype(str(getattr(x, "dtype", x)))


def asarray(x: Any, dtype: Any = None, copy: Any = None) -> Any:  # noqa: ARG001 - a constant is never written into
    """Return numbers as a NumPy array, and a variable unchanged."""
    return np.asarray(x, dtype=dtype) if is_constant(x) else x


def _astype(x: Any, dtype: Any, copy: bool = True) -> Any:
    return np.asarray(x).astype(dtype, copy=copy) if is_constant(x) else x.astype(dtype)


def _of_data(of_numpy: Callable[..., Any], own: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that leaves arrays of integers or truth values to NumPy: they are data, often indices."""

    def either(x: Any, *args: Any, **options: Any) -> Any:
        is_data = isinstance(x, np.ndarray) and x.dtype.kind in "iub"
        return (of_numpy if is_data else own)(x, *args, **options)

    return either


#: Functions that move entries, which is done to indices too.
_MOVES: Functions = MappingProxyType(
    {
        "reshape": np.reshape, "permute_dims": np.transpose, "broadcast_to": np.broadcast_to, "tile": np.tile,
        "repeat": np.repeat, "roll": np.roll,
    }
)  # fmt: skip


def _like(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(x: Any, *, dtype: Any = None) -> Any:
        return make(tuple(x.shape), dtype=dtype_of(x if dtype is None else dtype))

    return made


def _full_like(x: Any, fill_value: Any, *, dtype: Any = None) -> Any:
    return np.full(tuple(x.shape), fill_value, dtype=dtype_of(x if dtype is None else dtype))


#: Functions that make arrays.
_NEW: Functions = MappingProxyType(
    makers(
        {name: getattr(np, name) for name in ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")}
        | {"asarray": asarray}
    )
    | {"astype": _astype, "meshgrid": np.meshgrid}
    | {"finfo": lambda x: np.finfo(dtype_of(x)), "iinfo": lambda x: np.iinfo(dtype_of(x))}
    | {f"{name}_like": _like(getattr(np, name)) for name in ("empty", "ones", "zeros")}
    | {"full_like": _full_like}
)


def _place(axis: int, ndim: int) -> int:
    """Return an axis counted from the front; IndexError if there is none, as in NumPy."""
    if not -ndim <= axis < ndim:
        raise IndexError(f"got axis {axis}, expected one of {ndim} axes, from {-ndim} to {ndim - 1}")
    return axis % ndim


def along(x: Any, axis: int, key: Any) -> Any:
    """Return ``x`` indexed by ``key`` on one axis."""
    return x[(slice(None),) * _place(axis, len(x.shape)) + (key,)]


def _axes(x: Any, axis: int | tuple[int, ...] | None) -> Sequence[int]:
    """Return the axes that an argument ``axis`` names, from the front; all if it is `None`."""
    every = range(len(x.shape))
    return every if axis is None else [_place(a, len(every)) for a in ((axis,) if isinstance(axis, int) else axis)]


def _unstack(xp: Any, x: Any, *, axis: int = 0) -> tuple[Any, ...]:  # noqa: ARG001 - the signature of a formula
    return tuple(along(x, axis, i) for i in range(x.shape[axis]))


def _stack(xp: Any, xs: Sequence[Any], *, axis: int = 0) -> Any:
    return xp.concat([xp.expand_dims(x, axis=axis) for x in xs], axis=axis)


def _expand_dims(xp: Any, x: Any, axis: int = 0) -> Any:
    shape, place = list(x.shape), _place(axis, len(x.shape) + 1)
    return xp.reshape(x, (*shape[:place], 1, *shape[place:]))


def _squeeze(xp: Any, x: Any, axis: int | tuple[int, ...]) -> Any:
    dropped = _axes(x, axis)
    if any(x.shape[a] != 1 for a in dropped):
        raise ValueError(f"got shape {tuple(x.shape)} with axis {axis}, expected a length of 1 on the axes to squeeze")
    return xp.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in dropped))


def _moveaxis(xp: Any, x: Any, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Any:
    moved, places = _axes(x, source), _axes(x, destination)
    order = [i for i in range(len(x.shape)) if i not in moved]
    for place, axis in sorted(zip(places, moved)):  # noqa: B905 - Python 3.9 has no strict zip
        order.insert(place, axis)
    return xp.permute_dims(x, tuple(order))


def _matrix_transpose(xp: Any, x: Any) -> Any:
    n = len(x.shape)
    return xp.permute_dims(x, (*range(n - 2), n - 1, n - 2))


def _flip(xp: Any, x: Any, *, axis: int | tuple[int, ...] | None = None) -> Any:  # noqa: ARG001
    for a in _axes(x, axis):
        x = along(x, a, slice(None, None, -1))
    return x


def _take(xp: Any, x: Any, indices: Any, *, axis: int = 0) -> Any:  # noqa: ARG001
    return along(x, axis, np.asarray(indices) if is_constant(indices) else indices)


def _take_along_axis(xp: Any, x: Any, indices: Any, *, axis: int = -1) -> Any:  # noqa: ARG001
    at, place = np.asarray(indices), _place(axis, len(x.shape))
    return x[tuple(at if i == place else g for i, g in enumerate(np.ogrid[tuple(map(slice, at.shape))]))]


def _mean(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return xp.sum(x, axis=axis, keepdims=keepdims) / float(math.prod(x.shape[a] for a in _axes(x, axis)))


def _var(xp: Any, x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    away = x - _mean(xp, x, axis=axis, keepdims=True)
    count = math.prod(x.shape[a] for a in _axes(x, axis)) - correction
    return xp.sum(away * away, axis=axis, keepdims=keepdims) / float(count)


def _clip(xp: Any, x: Any, min: Any = None, max: Any = None) -> Any:
    above = x if min is None else xp.maximum(x, min)
    return above if max is None else xp.minimum(above, max)


def _vecdot(xp: Any, x: Any, y: Any, *, axis: int = -1) -> Any:
    return xp.sum(x * y, axis=axis)


def _triangle(make: Callable[..., Any]) -> Callable[..., Any]:
    def part(xp: Any, x: Any, *, k: int = 0) -> Any:
        inside = make(np.ones(tuple(x.shape), dtype=bool), k)
        return xp.where(inside, x, np.zeros((), dtype=dtype_of(x)))

    return part


def _operator(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda _, x, y: function(x, y)


#: Functions that are operators of Python.
_OPERATORS: Functions = MappingProxyType(
    {
        "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
        "pow": operator.pow, "matmul": operator.matmul, "less": operator.lt, "less_equal": operator.le,
        "greater": operator.gt, "greater_equal": operator.ge,
    }
)  # fmt: skip
#: Function -> the functions it needs, and its formula.
_FORMULAS: Mapping[str, tuple[str, Callable[..., Any]]] = MappingProxyType(
    {name: ("", _operator(f)) for name, f in _OPERATORS.items()}
    | {
        "negative": ("", lambda _, x: -x),
        "positive": ("", lambda _, x: x),
        "square": ("", lambda _, x: x * x),
        "reciprocal": ("", lambda _, x: 1.0 / x),
        "hypot": ("sqrt", lambda xp, x, y: xp.sqrt(x * x + y * y)),
        "clip": ("maximum minimum", _clip),
        "unstack": ("", _unstack),
        "expand_dims": ("reshape", _expand_dims),
        "squeeze": ("reshape", _squeeze),
        "stack": ("reshape concat", _stack),
        "moveaxis": ("permute_dims", _moveaxis),
        "matrix_transpose": ("permute_dims", _matrix_transpose),
        "flip": ("", _flip),
        "take": ("", _take),
        "take_along_axis": ("", _take_along_axis),
        "mean": ("sum", _mean),
        "var": ("sum", _var),
        "std": ("sum sqrt", lambda xp, x, **options: xp.sqrt(xp.var(x, **options))),
        "vecdot": ("sum", _vecdot),
        "tril": ("where", _triangle(np.tril)),
        "triu": ("where", _triangle(np.triu)),
    }
)


def _diagonal(xp: Any, x: Any, *, offset: int = 0) -> Any:  # noqa: ARG001
    rows, columns = x.shape[-2:]
    each = np.arange(max(min(rows + min(offset, 0), columns - max(offset, 0)), 0))
    return x[(slice(None),) * (len(x.shape) - 2) + (each - min(offset, 0), each + max(offset, 0))]


def _cross(xp: Any, x: Any, y: Any, *, axis: int = -1) -> Any:
    (a, b, c), (u, v, w) = xp.unstack(x, axis=axis), xp.unstack(y, axis=axis)
    return xp.stack([b * w - c * v, c * u - a * w, a * v - b * u], axis=axis)


def _vector_norm(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    over = {"axis": axis, "keepdims": keepdims}
    if ord == 2:
        return xp.sqrt(xp.sum(x * x, **over))
    if ord in (math.inf, -math.inf):
        return (xp.max if ord > 0 else xp.min)(xp.abs(x), **over)
    if ord == 0:
        raise Unsupported("the number of non-zero entries, ord=0, has no derivative: this namespace leaves it out")
    return xp.sum(xp.abs(x), **over) if ord == 1 else xp.sum(xp.abs(x) ** ord, **over) ** (1 / ord)


def _matrix_norm(xp: Any, x: Any, *, keepdims: bool = False, ord: float | str = "fro") -> Any:
    if ord == "fro":
        return _vector_norm(xp, x, axis=(-2, -1), keepdims=keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise Unsupported(f"got ord={ord!r}, expected 'fro', 1, -1, inf or -inf: others need singular values")
    # 1: the largest sum of a column; inf: of a row; negative: the smallest.
    summed = -2 if abs(ord) == 1 else -1
    sums = xp.sum(xp.abs(x), axis=summed, keepdims=True)
    found = (xp.max if ord > 0 else xp.min)(sums, axis=(-2, -1), keepdims=True)
    return found if keepdims else xp.reshape(found, tuple(x.shape[:-2]))


#: Function of ``linalg`` -> the functions it needs, and its formula.
_LINALG: Mapping[str, tuple[str, Callable[..., Any]]] = MappingProxyType(
    {
        "matrix_transpose": ("permute_dims", _matrix_transpose),
        "outer": ("reshape", lambda xp, x, y: xp.reshape(x, (-1, 1)) * xp.reshape(y, (1, -1))),
        "vecdot": ("sum", _vecdot),
        "diagonal": ("", _diagonal),
        "trace": ("sum", lambda xp, x, *, offset=0: xp.sum(_diagonal(xp, x, offset=offset), axis=-1)),
        "cross": ("reshape concat", _cross),
        "vector_norm": ("sum sqrt", _vector_norm),
        "matrix_norm": ("sum sqrt reshape", _matrix_norm),
    }
)
