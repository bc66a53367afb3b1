"""The array namespace of torch: torch's own functions wherever they conform to the array API standard.

array-api-compat supplies what torch lacks, but its wrappers take time. Measured with torch 2.13 on 2x3 float64:
``matmul`` 3.6 us against 0.9 us, ``maximum`` 1.6 against 0.8, ``multiply`` 1.4 against 0.9. So the functions below are
torch's own, and everything else comes from array-api-compat.

Two behaviours differ from NumPy. A 0-d tensor is weak in promotion (a float64 scalar times a float32 vector is
float32), in these functions as in the operators ``+ - * /``. And integers become torch's default dtype in functions and
quotients of floats, such as ``xp.sqrt(xp.arange(4))``: the adapter makes that the dtype of the cell. A default of
float64 for every cell is none: in float32 torch's own derivatives fail with it (`det`, torch 2.13). What the namespace
makes of Python numbers has `default_dtype`: that of the cell, and outside of cells float64, as in NumPy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from autodiff_compare.backends.default_dtype import Namespace, default_dtype, in_cells
from autodiff_compare.backends.special import Special

#: Functions of torch that conform as they are, Python scalars included.
_OWN = ("add", "divide", "matmul", "multiply", "pow", "subtract", "where")

#: Standard name -> name in torch, of functions that conform for two tensors. With a Python scalar as an operand,
#: array-api-compat is used.
_OWN_FOR_TENSORS = {
    "atan2": "atan2",
    "copysign": "copysign",
    "equal": "eq",
    "floor_divide": "floor_divide",
    "greater": "gt",
    "greater_equal": "ge",
    "hypot": "hypot",
    "less": "lt",
    "less_equal": "le",
    "logaddexp": "logaddexp",
    "maximum": "maximum",
    "minimum": "minimum",
    "not_equal": "ne",
    "remainder": "remainder",
}


def namespace(torch: Any, compat: Any) -> Namespace:
    """Build the namespace from the modules ``torch`` and ``array_api_compat.torch``."""
    names = {name: getattr(compat, name) for name in dir(compat) if not name.startswith("_")}
    names |= {name: getattr(torch, name) for name in _OWN}
    names |= {name: _binary(getattr(torch, own), getattr(compat, name)) for name, own in _OWN_FOR_TENSORS.items()}
    names |= {"sum": _sum(torch, compat), "unstack": _unstack(torch), "special": _special(torch)}
    names |= {name: _of_floats(torch, getattr(compat, name)) for name in ("mean", "std", "var")}
    names["asarray"] = _asarray(torch, compat.asarray)
    names["__array_api_version__"] = compat.__array_api_version__
    names["__array_namespace_info__"] = compat.__array_namespace_info__
    return in_cells(SimpleNamespace(**names), own="")


def indexed_take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Return ``take`` by indexing, whose derivative inductor compiles correctly.

    The derivative of `torch.index_select` adds into zeros. Under vmap these zeros are expanded, with stride 0, and
    inductor then adds a whole batch in one place (pytorch issue 183986, present in 2.13): a compiled Jacobian of it is
    silently wrong.
    """
    if axis is None and x.ndim != 1:
        raise ValueError(f"got an array of {x.ndim} dimensions and no axis, expected axis=0, 1, ...")
    return x[(slice(None),) * ((axis or 0) % x.ndim) + (indices,)]


#: Functions of ``xp.special`` that torch has under the same name and with the same signature.
_SPECIAL = ("erf", "erfc", "erfinv", "digamma", "expit", "logit", "xlogy", "gammainc", "i0", "i1")


def _special(torch: Any) -> Special:
    """Return the special functions of torch, which has no ``betainc``."""
    own = torch.special

    def axes(x: Any, axis: Any) -> Any:
        return tuple(range(x.ndim)) if axis is None else axis

    def logsumexp(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return own.logsumexp(x, axes(x, axis), keepdim=keepdims)

    def log_softmax(x: Any, /, *, axis: Any = None) -> Any:
        if axis is not None:
            return own.log_softmax(x, axis)
        return own.log_softmax(x.reshape(-1), 0).reshape(x.shape)

    named = {name: getattr(own, name) for name in _SPECIAL}
    return Special("torch", named | {"lgamma": own.gammaln, "logsumexp": logsumexp, "log_softmax": log_softmax})


def _sum(torch: Any, compat: Any) -> Callable[..., Any]:
    """Return ``sum``, which uses torch's own for all entries; that of array-api-compat takes 0.3 us more."""
    own, conforming = torch.sum, compat.sum

    def sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        if axis is None and dtype is None and not keepdims:
            return own(x)
        return conforming(x, axis=axis, dtype=dtype, keepdims=keepdims)

    return sum


def _of_floats(torch: Any, conforming: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes integers and truth values as floats of the default dtype; torch rejects them."""

    def function(x: Any, /, **options: Any) -> Any:
        exact = not (x.dtype.is_floating_point or x.dtype.is_complex)
        return conforming(x.to(getattr(torch, default_dtype())) if exact else x, **options)

    return functools.wraps(conforming)(function)


def _asarray(torch: Any, conforming: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``asarray``, which stacks nested lists with tensors; torch's own drops the derivatives of these."""

    def leaves(obj: Any) -> list[Any]:
        return [leaf for part in obj for leaf in leaves(part)] if isinstance(obj, (list, tuple)) else [obj]

    def stacked(obj: Any, dtype: Any) -> Any:
        if isinstance(obj, (list, tuple)):
            return torch.stack([stacked(part, dtype) for part in obj])
        return obj.to(dtype) if isinstance(obj, torch.Tensor) else torch.asarray(obj, dtype=dtype)

    def common(parts: list[Any]) -> Any:
        dtype = functools.reduce(torch.promote_types, [x.dtype for x in parts if isinstance(x, torch.Tensor)])
        for number in parts:
            if isinstance(number, (int, float, complex)):
                dtype = torch.result_type(torch.empty(1, dtype=dtype), number)
        return dtype

    def asarray(obj: Any, /, **options: Any) -> Any:
        parts = leaves(obj)
        if parts and parts[0] is not obj and any(isinstance(part, torch.Tensor) for part in parts):
            return stacked(obj, options.get("dtype") or common(parts))
        return conforming(obj, **options)

    return functools.wraps(conforming)(asarray)


def _unstack(torch: Any) -> Callable[..., Any]:
    """Return ``unstack`` as one operation; that of array-api-compat moves an axis and iterates."""

    def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        parts: tuple[Any, ...] = torch.unbind(x, axis)
        return parts

    return unstack


def _binary(own: Callable[..., Any], conforming: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``own`` for two tensors, ``conforming`` for a tensor and a Python scalar."""

    def function(x1: Any, x2: Any, /) -> Any:
        return own(x1, x2) if type(x1) is type(x2) else conforming(x1, x2)

    function.__name__ = conforming.__name__
    function.__doc__ = conforming.__doc__
    return function
