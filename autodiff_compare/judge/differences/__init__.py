"""Numerical derivatives of plain NumPy functions, with error bars, and the directions in which they are taken."""

from __future__ import annotations

from autodiff_compare.judge.differences.derivatives import first, second
from autodiff_compare.judge.differences.estimates import Estimates, settle
from autodiff_compare.judge.differences.ladder import WIDE, FlatFunction
from autodiff_compare.judge.differences.scales import CHOSEN_COORDINATES, FEW, directions, scales, signs

__all__ = [
    "CHOSEN_COORDINATES",
    "FEW",
    "WIDE",
    "Estimates",
    "FlatFunction",
    "directions",
    "first",
    "scales",
    "second",
    "settle",
    "signs",
]
