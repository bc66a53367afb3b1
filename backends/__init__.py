"""Backends: automatic differentiation systems behind one neutral interface.

`interface` is the contract, and the place to start for a new backend. `registry` finds backends and loads them.
Importing this package imports no framework.
"""

from __future__ import annotations

from backends.interface import Backend
from backends.objective import Expanded, Objective, Unsupported
from backends.plain import PLAIN
from backends.registry import available, baseline, baseline_names, function_idioms, load, missing, offered
from backends.sparsity.pattern import Pattern

__all__ = [
    "PLAIN",
    "Backend",
    "Expanded",
    "Objective",
    "Pattern",
    "Unsupported",
    "available",
    "baseline",
    "baseline_names",
    "function_idioms",
    "load",
    "missing",
    "offered",
]
