"""The atlas of conventions as data: points where AD systems may disagree. `autodiff_compare.conventions` runs it."""

from __future__ import annotations

from types import MappingProxyType

from autodiff_compare.problems.conventions import (
    arrays,
    functions,
    kinks,
    logarithms,
    matrices,
    orders,
    powers,
    reductions,
    structure,
)
from autodiff_compare.problems.conventions.case import Case, Kink, Right, Undefined, Value
from autodiff_compare.problems.conventions.definitions import DEFINITIONS

__all__ = ["CASES", "DEFINITIONS", "FAMILIES", "Case", "Kink", "Right", "Undefined", "Value"]


def _collected() -> dict[str, Case]:
    modules = (kinks, powers, logarithms, reductions, matrices, arrays, structure, functions, orders)
    listed = [case for module in modules for case in module.CASES]
    found: dict[str, Case] = {}
    for case in (*listed, *orders.forward(listed)):
        if case.name in found:
            raise ValueError(f"got two cases named {case.name!r}: rename one")
        found[case.name] = case
    return found


#: Name -> case, by family.
CASES = MappingProxyType(_collected())
#: Families in order.
FAMILIES = tuple(dict.fromkeys(case.family for case in CASES.values()))
