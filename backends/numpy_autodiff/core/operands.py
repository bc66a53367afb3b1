"""Operands beside variables: which classes are taken as plain numbers, converted or refused.

A rule computes with its operands in another order than the function did. An operand with an arithmetic of its own
(labels that pandas aligns, a mask, a matrix product behind ``*``, units) would give other numbers there. So the engine
takes numbers and arrays only. What can become one without a loss is converted.
"""

from __future__ import annotations

import numbers
from types import EllipsisType, NoneType
from typing import Any, NoReturn

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.tracing import Node

#: Classes that need no look. Within a tuple or list, such as an index, labels have no meaning.
PLAIN: frozenset[type] = frozenset(
    {
        *(float, int, complex, bool, str, slice, tuple, list, EllipsisType, NoneType),
        *(np.ndarray, np.float64, np.float32, np.complex128, np.bool_, np.int64),
    }
)
_OF_ARRAYS = np.ndarray.__array_ufunc__
#: Classes of NumPy, by name: `numpy.ma` is imported only by those who use it.
_REFUSED: dict[str, tuple[str, str]] = {
    "matrix": ("its * is a matrix product", "np.asarray(m), with @ for products"),
    "MaskedArray": ("its mask would be lost", "m.data, and use np.where with the mask"),
}


def plain(x: Any, place: str) -> Any:
    """Return an operand as numbers or arrays; ``place`` is where it stands, for errors.

    Raises
    ------
    TypeError
        If that would lose labels, a mask, units or another arithmetic of the operand.
    """
    cls = x.__class__
    if cls in PLAIN or isinstance(x, (Node, np.generic)):
        return x
    if isinstance(x, numbers.Real):
        # NumPy takes a fraction for an object.
        return x if isinstance(x, (int, float)) else float(x)
    if isinstance(x, type) or not hasattr(x, "__array__"):
        if hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, type):
            _refuse(x, place, "it has an arithmetic of its own", ".toarray() of it")
        return x
    for base in cls.__mro__:
        package = base.__module__.partition(".")[0]
        if package == "numpy" and base.__name__ in _REFUSED:
            _refuse(x, place, *_REFUSED[base.__name__])
        if package == "pandas":
            return _unlabelled(x, place)
    if getattr(cls, "__array_ufunc__", _OF_ARRAYS) is not _OF_ARRAYS:
        _refuse(x, place, "it has an arithmetic of its own", "np.asarray(...) of it")
    return np.asarray(x) if isinstance(x, np.ndarray) else np.array(x)


def _refuse(x: Any, place: str, reason: str, advice: str) -> NoReturn:
    raise TypeError(f"got a {type(x).__name__} {place}, expected numbers or a NumPy array: {reason}, so pass {advice}")


def _unlabelled(x: Any, place: str) -> Any:
    """Return the numbers of a pandas object whose labels are positions, so that aligning it changes nothing."""
    for axis in ("index", "columns"):
        labels = getattr(x, axis, None)
        if labels is not None and not callable(labels) and not _are_positions(labels):
            _refuse(x, place, f"its {axis}, by which pandas aligns, would be lost", ".to_numpy() of it")
    found = np.array(x)
    if found.dtype.kind not in "biufc":
        _refuse(x, place, f"its dtype {getattr(x, 'dtype', 'object')} holds no plain numbers", ".to_numpy(float) of it")
    return found


def _are_positions(labels: Any) -> bool:
    values = np.asarray(labels)
    return values.dtype.kind in "iu" and bool((values == np.arange(len(values))).all())
