"""The operations of random programs, by family: how each is written, where it is defined, and where it is smooth."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autodiff_compare.fuzzing.operations import (
    elementwise,
    linear_algebra,
    loops,
    reductions,
    selections,
    shapes,
    special,
)
from autodiff_compare.fuzzing.operations.operation import Operation

__all__ = ["FAMILIES", "OPERATIONS", "Operation"]

#: Family -> what its operations do.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "elementwise": "one number of each operand at a time",
        "special": "functions of statistics: the error function, log Gamma, Bessel functions and others",
        "reductions": "sums, products, extrema, norms and cumulative sums",
        "indexing": "slices, gathers, flips, triangles and sorting",
        "joining": "concatenation, stacking, shapes and broadcasting",
        "linear_algebra": "products, solutions, factorisations, spectra and Fourier transforms",
        "where": "selection by a condition",
        "loops": "scans, whose state may be a tuple",
        "nested": "derivatives within the function",
    }
)

#: Name -> operation.
OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        **elementwise.TABLE,
        **reductions.TABLE,
        **selections.TABLE,
        **shapes.TABLE,
        **linear_algebra.TABLE,
        **loops.TABLE,
        **special.TABLE,
    }
)
