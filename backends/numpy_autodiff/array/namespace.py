"""``xp``: the array API namespace (2024.12) for arrays and variables alike.

NumPy's functions conform to the standard and already take variables. Those of this namespace call the rule directly
where an argument is a variable, and NumPy where none is, which saves NumPy's dispatch. Added are functions that NumPy
does not dispatch (``asarray``, ``astype``).
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.array import functions, special
from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive, apply_to_one, apply_to_two
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, primal
from autodiff_compare.backends.numpy_autodiff.rules import HANDLERS
from autodiff_compare.backends.numpy_autodiff.rules.builders import as_array, holds_variable
from autodiff_compare.backends.numpy_autodiff.rules.shapes import astype as _astype_variable


def _direct(function: Any, handler: Any) -> Callable[..., Any]:
    """Return a function that calls ``handler`` where an argument is a variable or a list with one, and else NumPy."""
    if isinstance(function, np.ufunc):
        return _either(function, handler)

    def call(*args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], Node):
            if len(args) == 1 and not kwargs:
                return handler(args[0])
            return functions.call(function, handler, args, kwargs)
        if any(map(_traced, args)) or any(map(_traced, kwargs.values())):
            return functions.call(function, handler, args, kwargs)
        return function(*args, **kwargs)

    return _named(call, function)


def _either(function: Any, handler: Any) -> Callable[..., Any]:
    """Do the same for a ufunc, and for an array before a variable, for which NumPy's dispatch costs 0.6 us."""

    plain_rule = handler.__class__ is Primitive and handler.entry is None

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], Node):
            return apply_to_one(handler, args[0]) if plain_rule else handler(args[0])
        if len(args) == 2 and not kwargs:
            first, last = args
            if isinstance(first, Node) or (first.__class__ is np.ndarray and isinstance(last, Node)):
                last = as_array(last) if last.__class__ is list else last
                return apply_to_two(handler, first, last) if plain_rule else handler(first, last)
        if any(map(holds_variable, args)):
            args = tuple([as_array(a) if holds_variable(a) else a for a in args])
        return function(*args, **kwargs)

    return _named(call, function)


def _named(call: Callable[..., Any], function: Any) -> Callable[..., Any]:
    """Give a function the name and, for `inspect.signature`, the parameters of NumPy's."""
    call.__name__ = function.__name__
    call.__doc__ = f"Compute `numpy.{function.__name__}`."
    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call


def _traced(x: Any) -> bool:
    return isinstance(x, Node) or holds_variable(x)


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """Compute `numpy.asarray`; variables pass through, nested lists of them are stacked."""
    if isinstance(obj, Node):
        return obj if dtype is None else _astype_variable(obj, dtype)
    if holds_variable(obj):
        found = as_array(obj)
        return found if dtype is None else _astype_variable(found, dtype)
    return np.asarray(obj, dtype=dtype, device=device, copy=copy)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Compute `numpy.astype`."""
    return (
        _astype_variable(x, dtype) if isinstance(x, Node) else np.astype(np.asarray(x), dtype, copy=copy, device=device)
    )


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Compute as in the standard; `numpy.sort` has no ``descending``."""
    found = np.sort(as_array(x), axis=axis, stable=stable)
    return np.flip(found, axis=axis) if descending else found


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Compute as in the standard: with ``descending`` and ``stable``, equal entries keep their order."""
    x = as_array(x)
    if not descending:
        return np.argsort(x, axis=axis, stable=stable)
    backwards = np.argsort(np.flip(x, axis=axis), axis=axis, stable=stable)
    return x.shape[axis] - 1 - np.flip(backwards, axis=axis)


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Compute as in the standard: ``None`` adds nothing at that end."""
    ends = {name: end for name, end in (("prepend", prepend), ("append", append)) if end is not None}
    return np.diff(as_array(x), n=n, axis=axis, **ends)


_clip = _direct(np.clip, HANDLERS[np.clip])


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Compute as in the standard; `numpy.clip` rejects one bound by position beside one by name."""
    return _clip(x, min, max)


def finfo(type: Any, /) -> Any:
    """Compute `numpy.finfo` of a dtype, or of that of an array, which NumPy does not take."""
    return np.finfo(_dtype(type))


def iinfo(type: Any, /) -> Any:
    """Compute `numpy.iinfo` of a dtype, or of that of an array, which NumPy does not take."""
    return np.iinfo(_dtype(type))


def _dtype(x: Any) -> Any:
    return primal(x).dtype if isinstance(x, (np.ndarray, np.generic, Node)) else x


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Compute as in the standard; `numpy.fft.fftfreq` has no ``dtype``."""
    return np.fft.fftfreq(n, d, device=device).astype(dtype or np.float64)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Compute as in the standard; `numpy.fft.rfftfreq` has no ``dtype``."""
    return np.fft.rfftfreq(n, d, device=device).astype(dtype or np.float64)


#: Submodules of NumPy that compute nothing. Asking for them imports them, with as many modules as all the rest.
_TOOLS = frozenset({"f2py", "testing"})


def _namespace(module: Any, own: dict[str, Any]) -> SimpleNamespace:
    found: dict[str, Any] = {}
    for name in dir(module):
        if name.startswith("_") or name in _TOOLS:
            continue
        value = getattr(module, name)
        try:
            handler = HANDLERS.get(value)
        except TypeError:
            handler = None
        found[name] = value if handler is None else _direct(value, handler)
    return SimpleNamespace(**found | own)


linalg = _namespace(np.linalg, {})
fft = _namespace(np.fft, {f.__name__: f for f in (fftfreq, rfftfreq)})
xp = _namespace(
    np,
    {"linalg": linalg, "fft": fft, "special": special, "asarray": asarray, "astype": astype}
    | {"__array_api_version__": "2024.12", "__array_namespace_info__": np.__array_namespace_info__}
    | {f.__name__: f for f in (sort, argsort, diff, clip, finfo, iinfo)},
)
