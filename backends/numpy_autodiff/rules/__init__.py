"""The derivative rules, by family, and the table that finds the rule of a NumPy function.

How to add a rule
-----------------
1. In the module of its family, make a `Primitive`: the NumPy function, a VJP and a JVP per argument, with the
   names and the transposition convention of `autodiff_compare.backends.numpy_autodiff.core.primitive`. The builders in
   `autodiff_compare.backends.numpy_autodiff.rules.builders` shorten the common kinds (elementwise, linear). Rules are
   NumPy code. Their arguments may be variables, so they use functions that have rules themselves, which gives
   derivatives of any order. A JVP that is left out is transposed from the VJP.
2. Enter it in the family's table under the NumPy function that it replaces: ``UFUNCS`` for a ufunc, ``HANDLERS`` for
   any other. A handler takes arguments of that function, by NumPy's names. It is a primitive, or a plain function that
   calls others (``np.var`` by means and products). Arguments that it does not take are rejected by name, so that none
   is ignored silently.
3. Add a row to the table in ``tests/engine/rules.py``: the function and arguments. The tests check VJP against
   JVP and both against differences, to second order, in each dtype.

A new family is a module with ``HANDLERS`` and ``UFUNCS``, named in ``_FAMILIES`` below.
"""

from __future__ import annotations

from typing import Any

from autodiff_compare.backends.numpy_autodiff.rules import (
    constants,
    convolution,
    decompositions,
    eigen,
    einsum,
    elementwise,
    fft,
    indexing,
    joining,
    linalg,
    norms,
    order,
    piecewise,
    polynomials,
    products,
    reductions,
    shapes,
    softmax,
    special,
    statistics,
    svd,
)
from autodiff_compare.backends.numpy_autodiff.rules.constants import CONSTANT

__all__ = ["ACCUMULATE", "CONSTANT", "HANDLERS", "REDUCE", "UFUNCS"]

_FAMILIES: tuple[Any, ...] = (
    *(elementwise, piecewise, reductions, shapes, indexing, joining, products, einsum, convolution),
    *(linalg, norms, eigen, decompositions, svd, fft, order, statistics, polynomials, special, constants),
)

#: NumPy function -> its replacement for variables.
HANDLERS: dict[Any, Any] = {f: h for family in _FAMILIES for f, h in getattr(family, "HANDLERS", {}).items()}
#: NumPy ufunc -> the replacement of its calls.
UFUNCS: dict[Any, Any] = {f: h for family in _FAMILIES for f, h in getattr(family, "UFUNCS", {}).items()}
# `Variable`'s methods and the namespace look up either kind by the NumPy function.
HANDLERS |= UFUNCS

#: ufunc -> the replacements of its ``reduce`` and ``accumulate``.
REDUCE: dict[Any, Any] = {f: HANDLERS[whole] for f, whole in reductions.WHOLE.items()} | softmax.REDUCE
ACCUMULATE: dict[Any, Any] = reductions.ACCUMULATE | order.ACCUMULATE
