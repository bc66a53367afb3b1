"""NumPy as the namespace ``xp`` of backends whose variables are NumPy arrays, with ``xp.special`` beside it.

References are computed in it too. The functions below have parameters of the array API standard 2024.12 that NumPy's
lack. A worker in another environment may have a NumPy before 2.1, whose missing names `_older` completes.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from autodiff_compare.backends.array_api import LINALG
from autodiff_compare.backends.special import Special, of_scipy

#: Whether NumPy is one before 2.1.
_OLD = not hasattr(np, "unstack")
#: Name of the standard -> that of NumPy before 2.0.
_OLDER_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "bitwise_invert": "invert", "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift", "concat": "concatenate", "permute_dims": "transpose", "pow": "power",
}  # fmt: skip
#: Functions that NumPy before 2.0 has without parameters of the standard.
_OLDER_PARAMETERS = ("asarray", "std", "var")


def __getattr__(name: str) -> Any:
    """Return ``special``, which loads SciPy and our engine where it is used, or an attribute of NumPy.

    What was found is kept, so that it is looked up once. Importing all names would load ``numpy.ma`` and others.

    Raises
    ------
    AttributeError
        If there is none; it names this namespace, by which a hint is found.
    """
    found: Any
    if name == "special" and _OLD:
        found = _older_special()
    elif name == "special":
        found = importlib.import_module("autodiff_compare.backends.numpy_autodiff.array.special")
    elif name == "fft":
        found = SimpleNamespace(**{n: getattr(np.fft, n) for n in np.fft.__all__} | _FREQUENCIES)
    elif _OLD and (name == "linalg" or name in _OLDER_PARAMETERS or not hasattr(np, name)):
        found = getattr(_older(), name)
    else:
        try:
            found = getattr(np, name)
        except AttributeError as error:
            error.name, error.obj = name, sys.modules[__name__]
            raise
    globals()[name] = found
    return found


@functools.cache
def _older() -> Any:
    """Return a namespace with the names that NumPy before 2.1 lacks; other names raise `Absent`."""
    completed: Any = importlib.import_module("autodiff_compare.backends.bases.namespace").Namespace
    own = {name: getattr(np, name) for name in ("abs", "max", "min", "reshape", "sqrt", "sum", "where")}
    own |= {name: getattr(np, before) for name, before in _OLDER_NAMES.items()}
    own |= {"cumulative_sum": _cumulative(np.cumsum, 0), "cumulative_prod": _cumulative(np.cumprod, 1)}
    linalg = {name: getattr(np.linalg, name) for name in LINALG if hasattr(np.linalg, name)}
    linalg["svdvals"] = lambda x: np.linalg.svd(x, compute_uv=False)
    return completed(f"NumPy {np.__version__}", own, linalg)


def _older_special() -> Special:
    """Return SciPy's functions, or none without SciPy: our engine, which has them for variables too, needs NumPy 2."""
    with contextlib.suppress(ImportError):
        return Special("SciPy", of_scipy(importlib.import_module("scipy.special")))
    return Special("an environment without SciPy", {})


def _cumulative(function: Callable[..., Any], first: int) -> Callable[..., Any]:
    def cumulative(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        found = function(x, axis=axis, dtype=dtype)
        if not include_initial:
            return found
        place = axis or 0
        shape = [1 if i == place % found.ndim else n for i, n in enumerate(found.shape)]
        return np.concatenate([np.full(shape, first, found.dtype), found], axis=place)

    return cumulative


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
