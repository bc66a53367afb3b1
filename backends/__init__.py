"""Backends: automatic differentiation systems behind one neutral interface.

`interface` is the contract, and the place to start for a new backend. `registry` finds backends and loads them.
Importing this package imports no framework.
"""

from __future__ import annotations

if __name__ != "autodiff_compare.backends":
    raise ImportError("got import backends, expected autodiff_compare.backends: the folder belongs to that package")

from autodiff_compare.backends.array_api import LINALG, NAMES
from autodiff_compare.backends.hints import hint, lacking
from autodiff_compare.backends.interface import Backend
from autodiff_compare.backends.loops import python_scan, python_while
from autodiff_compare.backends.operators.curvature import half_width
from autodiff_compare.backends.operators.derived import derivable, underivable
from autodiff_compare.backends.operators.objective import Expanded, Objective, Unsupported
from autodiff_compare.backends.plain import PLAIN, Plain
from autodiff_compare.backends.registry import (
    available,
    baseline,
    baseline_names,
    function_idioms,
    load,
    missing,
    offered,
)
from autodiff_compare.backends.sparsity.pattern import Pattern

__all__ = [
    "LINALG",
    "NAMES",
    "PLAIN",
    "Backend",
    "Expanded",
    "Objective",
    "Pattern",
    "Plain",
    "Unsupported",
    "available",
    "baseline",
    "baseline_names",
    "derivable",
    "function_idioms",
    "half_width",
    "hint",
    "lacking",
    "load",
    "missing",
    "offered",
    "python_scan",
    "python_while",
    "underivable",
]
