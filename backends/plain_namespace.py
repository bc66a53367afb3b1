"""NumPy as the namespace ``xp`` of backends whose variables are NumPy arrays, with ``xp.special`` beside it.

References are computed in it too. The functions below have parameters of the array API standard 2024.12 that NumPy's
lack.
"""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np


def __getattr__(name: str) -> Any:
    """Return ``special``, which loads SciPy and our engine where it is used, or an attribute of NumPy.

    What was found is kept, so that it is looked up once. Importing all names would load ``numpy.ma`` and others.

    Raises
    ------
    AttributeError
        If there is none; it names this namespace, by which a hint is found.
    """
    if name == "special":
        found: Any = importlib.import_module("autodiff_compare.backends.numpy_autodiff.array.special")
    elif name == "fft":
        found = SimpleNamespace(**{n: getattr(np.fft, n) for n in np.fft.__all__} | _FREQUENCIES)
    else:
        try:
            found = getattr(np, name)
        except AttributeError as error:
            error.name, error.obj = name, sys.modules[__name__]
            raise
    globals()[name] = found
    return found


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return the entries in order along an axis."""
    found = np.sort(x, axis=axis, kind="stable" if stable else None)
    return np.flip(found, axis=axis) if descending else found


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return the indices that sort along an axis; with ``stable``, equal entries keep their order."""
    kind: Any = "stable" if stable else None
    if not descending:
        return np.argsort(x, axis=axis, kind=kind)
    backwards = np.argsort(np.flip(x, axis=axis), axis=axis, kind=kind)
    return np.shape(x)[axis] - 1 - np.flip(backwards, axis=axis)


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Return the n-th differences along an axis; ``None`` adds nothing at that end."""
    ends = {name: end for name, end in (("prepend", prepend), ("append", append)) if end is not None}
    return np.diff(x, n=n, axis=axis, **ends)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Return the entries limited to two bounds; NumPy rejects one by position beside one by name."""
    return np.array(x) if min is None and max is None else np.clip(x, min, max)


def finfo(type: Any, /) -> Any:
    """Return the limits of a floating dtype, or of an array's."""
    return np.finfo(_dtype(type))


def iinfo(type: Any, /) -> Any:
    """Return the limits of an integer dtype, or of an array's."""
    return np.iinfo(_dtype(type))


def _dtype(x: Any) -> Any:
    return x.dtype if isinstance(x, (np.ndarray, np.generic)) else x


def _fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:  # noqa: ARG001
    return np.fft.fftfreq(n, d).astype(dtype or np.float64)


def _rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:  # noqa: ARG001
    return np.fft.rfftfreq(n, d).astype(dtype or np.float64)


_FREQUENCIES = {"fftfreq": _fftfreq, "rfftfreq": _rfftfreq}
