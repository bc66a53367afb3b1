"""NumPy as the namespace ``xp`` of backends whose variables are NumPy arrays, with ``xp.special`` beside it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy import *  # noqa: F403 - the namespace is NumPy's
from numpy import fft, linalg

__all__ = ["fft", "linalg", *np.__all__]


def __getattr__(name: str) -> Any:
    """Return ``special``, which loads SciPy and our engine where it is used, or an attribute of NumPy."""
    if name == "special":
        return importlib.import_module("autodiff_compare.backends.numpy_autodiff.array.special")
    return getattr(np, name)
