"""Calls of NumPy's ufuncs and of their methods: which rule computes them, and which arguments they take.

Arguments that change no value (``order``, ``subok``, ``casting``) have NumPy's own checks; ``dtype`` casts operands.
``out``, ``where`` and ``signature`` are rejected by name: a result cannot be written into a recorded array, and has no
value where a mask leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from autodiff_compare.backends.numpy_autodiff.array.functions import refuse_argument
from autodiff_compare.backends.numpy_autodiff.core.tracing import is_inexact
from autodiff_compare.backends.numpy_autodiff.rules import ACCUMULATE, CONSTANT, REDUCE, UFUNCS, constants, special
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array


def spelled(ufunc: Any) -> str:
    """Return the name of a ufunc as users write it."""
    name = ufunc.__name__
    return f"np.{name}" if getattr(np, name, None) is ufunc else f"the ufunc {name.lstrip('_')}"


def _no_rule(name: str) -> NoReturn:
    raise NotImplementedError(
        f"got {name} of a variable, which has no derivative rule: write it with other functions, "
        "or give it a rule with custom_rule"
    )


def _options(kwargs: Mapping[str, Any], taken: tuple[str, ...], of: str) -> dict[str, Any]:
    """Return the keywords in ``taken``, drop those that change nothing, and reject the others by name."""
    found = {}
    for name, value in kwargs.items():
        parts = value if name == "out" and isinstance(value, tuple) else (value,)
        if name in taken:
            if value is not None and value is not np._NoValue:
                found[name] = value
        elif name in ("casting", "order", "subok") or (name == "where" and value is True):
            continue
        elif any(part is not None for part in parts):
            refuse_argument(name, of)
    return found


def _call(ufunc: Any, *inputs: Any, **kwargs: Any) -> Any:
    handler = UFUNCS.get(ufunc) or special.handler(ufunc)
    if handler is None:
        _no_rule(spelled(ufunc))
    if not kwargs:
        return handler(*inputs)
    if ufunc in CONSTANT:
        return handler(*inputs, **_options(kwargs, ("dtype", "casting"), spelled(ufunc)))
    taken = ("axis",) if ufunc is np.vecdot else ()
    options = _options(kwargs, (*taken, "dtype"), spelled(ufunc))
    dtype = options.pop("dtype", None)
    if ufunc.signature is None:
        # NumPy's own errors for dtypes and castings that do not exist.
        like = [np.empty(0, x.dtype) if hasattr(x, "dtype") else x for x in inputs]
        checked = {name: kwargs[name] for name in ("dtype", "casting", "order", "subok") if name in kwargs}
        ufunc(*like, **checked)
    elif dtype is not None:
        refuse_argument("dtype", spelled(ufunc))
    if dtype is not None:
        inputs = tuple(x.astype(dtype) if is_inexact(x) else x for x in inputs)
    return handler(*inputs, **options)


def _reduce(ufunc: Any, x: Any, **kwargs: Any) -> Any:
    rule = REDUCE.get(ufunc)
    of = f"{spelled(ufunc)}.reduce"
    if rule is None:
        if ufunc in CONSTANT:
            options = _options(kwargs, ("axis", "dtype", "keepdims", "initial", "where"), of)
            return constants.REDUCE(x, ufunc, **options, **({"axis": None} if kwargs.get("axis", 0) is None else {}))
        _no_rule(of)
    every = ("axis", "keepdims", *(("dtype", "initial", "where") if ufunc in _MASKED else ()))
    options = {"axis": kwargs.get("axis", 0), **_options(kwargs, every, of)}
    return rule(x, **options)


#: Ufuncs whose reductions take a mask and an initial value.
_MASKED = (np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin)


def _accumulate(ufunc: Any, x: Any, axis: Any = 0, dtype: Any = None, **kwargs: Any) -> Any:
    of = f"{spelled(ufunc)}.accumulate"
    rule = ACCUMULATE.get(ufunc)
    if rule is None:
        _no_rule(of)
    _options(kwargs, (), of)
    return rule(x if dtype is None else x.astype(dtype), axis)


def _outer(ufunc: Any, a: Any, b: Any, **kwargs: Any) -> Any:
    a, b = as_array(a), as_array(b)
    return _call(ufunc, np.reshape(a, (*a.shape, *(1,) * len(b.shape))), b, **kwargs)


def _at(ufunc: Any, *_inputs: Any, **_kwargs: Any) -> NoReturn:
    raise TypeError(
        f"got {spelled(ufunc)}.at of a variable, which writes into its first argument and would lose the derivative: "
        "use np.bincount with weights, or build the array with np.where or np.concatenate"
    )


def _reduceat(ufunc: Any, *_inputs: Any, **_kwargs: Any) -> NoReturn:
    _no_rule(f"{spelled(ufunc)}.reduceat")


#: Method of a ufunc -> function of (ufunc, *inputs, **kwargs).
METHODS: dict[str, Callable[..., Any]] = {
    "__call__": _call,
    "reduce": _reduce,
    "accumulate": _accumulate,
    "outer": _outer,
    "at": _at,
    "reduceat": _reduceat,
}
