"""The derivative rules, by family, and the table that finds the rule of a NumPy function.

How to add a rule
-----------------
1. In the module of its family, make a `Primitive`: the NumPy function, a VJP and a JVP per argument, with the
   names and the transposition convention of `autodiff_compare.backends.numpy_autodiff.core.primitive`. The builders in
   `autodiff_compare.backends.numpy_autodiff.rules.builders` shorten the common kinds (elementwise, linear). Rules are
   NumPy code. Their arguments may be variables, so they use functions that have rules themselves, which gives
   derivatives of any order. A JVP that is left out is transposed from the VJP.
2. Enter it in the family's table under the NumPy function that it replaces: ``UFUNCS`` for a ufunc, ``HANDLERS`` for
   any other. A handler takes the arguments of that function. It is a primitive, or a plain function that calls others
   (``np.var`` by means and products). It raises `TypeError` for arguments that it does not take, so that none is
   ignored silently.
3. Add a row to the table in ``tests/engine/rules.py``: the function and arguments. The tests check VJP against
   JVP and both against differences, to second order, in each dtype.

A new family is a module with ``HANDLERS`` and ``UFUNCS``, named in ``_FAMILIES`` below.
"""

from __future__ import annotations

from typing import Any, NoReturn

from autodiff_compare.backends.numpy_autodiff.rules import (
    constants,
    convolution,
    decompositions,
    eigen,
    einsum,
    elementwise,
    fft,
    indexing,
    joining,
    linalg,
    norms,
    order,
    piecewise,
    polynomials,
    products,
    reductions,
    shapes,
    softmax,
    special,
    statistics,
)
from autodiff_compare.backends.numpy_autodiff.rules.constants import CONSTANT

__all__ = ["CONSTANT", "HANDLERS", "UFUNCS", "UFUNC_METHODS"]

_FAMILIES: tuple[Any, ...] = (
    *(elementwise, piecewise, reductions, shapes, indexing, joining, products, einsum, convolution),
    *(linalg, norms, eigen, decompositions, fft, order, statistics, polynomials, special, constants),
)

#: NumPy function -> its replacement for variables.
HANDLERS: dict[Any, Any] = {f: h for family in _FAMILIES for f, h in getattr(family, "HANDLERS", {}).items()}
#: NumPy ufunc -> the replacement of its calls.
UFUNCS: dict[Any, Any] = {f: h for family in _FAMILIES for f, h in getattr(family, "UFUNCS", {}).items()}
# `Variable`'s methods and the namespace look up either kind by the NumPy function.
HANDLERS |= UFUNCS


#: ufunc -> the replacements of its ``reduce`` and ``accumulate``.
_REDUCE: dict[Any, Any] = reductions.REDUCE | softmax.REDUCE
_ACCUMULATE: dict[Any, Any] = reductions.ACCUMULATE | order.ACCUMULATE


def _no_rule(name: str) -> NoReturn:
    raise NotImplementedError(
        f"got {name} of a variable, which has no derivative rule: write it with other functions, "
        "or give it a rule with custom_rule"
    )


def _only(kwargs: dict[str, Any], ufunc: Any, allowed: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the keywords that a rule takes. Others are rejected: ``out=`` would overwrite recorded arrays."""
    for key, value in kwargs.items():
        if key not in allowed and value is not None:
            raise TypeError(
                f"got {key}= in np.{ufunc.__name__} of a variable, expected a call without it: "
                "use the returned value, and np.where or astype"
            )
    return {key: value for key, value in kwargs.items() if key in allowed}


def _call(ufunc: Any, *inputs: Any, **kwargs: Any) -> Any:
    handler = UFUNCS.get(ufunc) or special.handler(ufunc)
    if handler is None:
        _no_rule(f"np.{ufunc.__name__}")
    return handler(*inputs) if not kwargs else handler(*inputs, **_only(kwargs, ufunc, ("axis",)))


def _reduce(ufunc: Any, x: Any, **kwargs: Any) -> Any:
    primitive = _REDUCE.get(ufunc)
    if primitive is None:
        if ufunc in CONSTANT:
            return constants.REDUCE(x, ufunc, **kwargs)
        _no_rule(f"np.{ufunc.__name__}.reduce")
    return primitive(x, **{"axis": 0, **_only(kwargs, ufunc, ("axis", "keepdims"))})


def _accumulate(ufunc: Any, x: Any, **kwargs: Any) -> Any:
    primitive = _ACCUMULATE.get(ufunc)
    if primitive is None:
        _no_rule(f"np.{ufunc.__name__}.accumulate")
    return primitive(x, _only(kwargs, ufunc, ("axis",)).get("axis", 0))


def _outer(ufunc: Any, a: Any, b: Any, **kwargs: Any) -> Any:
    left = a.reshape((*a.shape, *(1,) * len(b.shape)))
    return _call(ufunc, left, b, **kwargs)


def _other(method: str) -> Any:
    return lambda ufunc, *_inputs, **_kwargs: _no_rule(f"np.{ufunc.__name__}.{method}")


#: Method of a ufunc -> function of (ufunc, *inputs, **kwargs).
UFUNC_METHODS: dict[str, Any] = {
    "__call__": _call,
    "reduce": _reduce,
    "accumulate": _accumulate,
    "outer": _outer,
    "at": _other("at"),
    "reduceat": _other("reduceat"),
}
