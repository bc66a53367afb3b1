"""NumPy as the namespace ``xp`` of backends whose variables are NumPy arrays, with ``xp.special`` beside it."""

from __future__ import annotations

import importlib
import sys
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
        found = importlib.import_module("autodiff_compare.backends.numpy_autodiff.array.special")
    else:
        try:
            found = getattr(np, name)
        except AttributeError as error:
            error.name, error.obj = name, sys.modules[__name__]
            raise
    globals()[name] = found
    return found
