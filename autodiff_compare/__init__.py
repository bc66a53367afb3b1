"""Differentiate one function with NumPy, PyTorch, TensorFlow and JAX, verify every derivative, time the right ones.

>>> import autodiff_compare
>>> tables = autodiff_compare.compare(lambda x, xp: xp.sum(x**2), [1.0, 2.0])  # doctest: +SKIP

Importing this package imports no framework: each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodiff_compare import testing
    from autodiff_compare.api.compare import compare
    from autodiff_compare.api.tables import Tables, read
    from autodiff_compare.problems import Inputs, Problem
    from autodiff_compare.taps import tap
    from autodiff_compare.vocabulary import Operator

__version__ = "0.1.0"

__all__ = ["Inputs", "Operator", "Problem", "Tables", "__version__", "compare", "read", "tap", "testing"]

#: Public name -> the module that defines it.
_HOMES = {
    "Inputs": "autodiff_compare.problems",
    "Operator": "autodiff_compare.vocabulary",
    "Problem": "autodiff_compare.problems",
    "Tables": "autodiff_compare.api.tables",
    "compare": "autodiff_compare.api.compare",
    "read": "autodiff_compare.api.tables",
    "tap": "autodiff_compare.taps",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name == "testing":
        return importlib.import_module("autodiff_compare.testing")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}, expected one of: {', '.join(__all__)}")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
