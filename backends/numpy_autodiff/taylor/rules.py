"""The rules of Taylor mode: how the series of a primitive's result follows from those of its arguments.

A rule takes a `SeriesCall` and returns the coefficients of the result; the first is the value that is known already.
The kinds:

- *linear* functions (sum, index, join, fft) are applied to each coefficient;
- *bilinear* ones (multiply, matmul, einsum) to products of coefficients;
- elementary functions follow from their differential equations
  (`autodiff_compare.backends.numpy_autodiff.taylor.series`);
- all others have a rule already: their JVP, see `autodiff_compare.backends.numpy_autodiff.taylor.curve`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import PICK, Primitive
from autodiff_compare.backends.numpy_autodiff.rules import (
    convolution,
    einsum,
    elementwise,
    exclusive,
    fft,
    indexing,
    joining,
    limits,
    linalg,
    products,
    reductions,
    scatter,
    shapes,
    special,
)
from autodiff_compare.backends.numpy_autodiff.rules.builders import QUOTIENT, UNIT, axes_of
from autodiff_compare.backends.numpy_autodiff.taylor import elementary, series
from autodiff_compare.backends.numpy_autodiff.taylor.call import SeriesCall
from autodiff_compare.backends.numpy_autodiff.taylor.series import Series

Rule = Callable[[SeriesCall], Series]
_UFUNCS = elementwise.UFUNCS


# --- Linear functions


def _linear(call: SeriesCall) -> Series:
    """Apply a function that is linear in its first argument to each coefficient."""
    return [None if c is None else call.primitive(c, *call.values[1:], **call.kwargs) for c in call.series[0]]


def _jointly_linear(call: SeriesCall) -> Series:
    """Apply a function that is linear in all of its arguments together; constants have the coefficients zero."""
    found: Series = [call.ans]
    for k in range(1, call.order + 1):
        parts = [None if s is None else s[k] for s in call.series]
        if all(part is None for part in parts):
            found.append(None)
            continue
        filled = [
            np.zeros(np.shape(x), call.ans.dtype) if part is None else part
            for part, x in zip(parts, call.values, strict=True)
        ]
        found.append(call.primitive(*filled, **call.kwargs))
    return found


def _chosen(call: SeriesCall) -> Series:
    condition = call.values[0]
    x, y = call.of(1), call.of(2)
    return [
        None if a is None and b is None else np.where(condition, 0 if a is None else a, 0 if b is None else b)
        for a, b in zip(x, y, strict=True)
    ]


def _sum_of_two(call: SeriesCall) -> Series:
    return series.combine(call.of(0), call.of(1), series.add)


def _difference(call: SeriesCall) -> Series:
    return series.combine(call.of(0), call.of(1), series.subtract)


def _negated(call: SeriesCall) -> Series:
    return [None if c is None else -c for c in call.series[0]]


def _same(call: SeriesCall) -> Series:
    return list(call.series[0])


def _picked(call: SeriesCall) -> Series:
    return list(call.series[0][call.values[1]])


def _scaled_by(factor: float) -> Rule:
    return lambda call: series.scale(call.series[0], factor)


# --- Products and quotients


def _product(call: SeriesCall) -> Series:
    return series.multiply(call.of(0), call.of(1))


def _bilinear(call: SeriesCall) -> Series:
    def product(a: Any, b: Any) -> Any:
        return call.primitive(a, b, *call.values[2:], **call.kwargs)

    return series.multiply(call.of(0), call.of(1), product)


def _multilinear(call: SeriesCall) -> Series:
    """Sum an einsum over all ways to share out the powers of t among its operands."""
    found: Series = [call.ans]
    for k in range(1, call.order + 1):
        total = None
        for powers_ in _shared_out(k, len(call.where)):
            parts = list(call.values)
            for i, power in zip(call.where, powers_, strict=True):
                parts[i] = call.series[i][power]
            if all(part is not None for part in parts):
                total = series.add(total, call.primitive(*parts, **call.kwargs))
        found.append(total)
    return found


def _shared_out(k: int, parts: int) -> list[tuple[int, ...]]:
    if parts == 1:
        return [(k,)]
    return [(j, *rest) for j in range(k + 1) for rest in _shared_out(k - j, parts - 1)]


def _quotient(call: SeriesCall) -> Series:
    return series.divide(call.of(0), call.of(1), call.ans)


def _reciprocal(call: SeriesCall) -> Series:
    x = call.series[0]
    return series.divide(series.constant(np.ones_like(x[0]), x), x, call.ans)


def _product_along(call: SeriesCall) -> Series:
    """Multiply the entries of each row, one after the other, so that zeros do no harm."""
    x, axis = call.series[0], call.kwargs.get("axis")
    ndim = len(x[0].shape)
    axes = axes_of(axis, ndim)
    rest = [i for i in range(ndim) if i not in axes]
    shape = [x[0].shape[i] for i in rest]
    rows: list[Any] = [None if c is None else np.reshape(np.transpose(c, (*rest, *axes)), (*shape, -1)) for c in x]
    n = rows[0].shape[-1]
    entries = [[None if c is None else c[..., k] for c in rows] for k in range(n)]
    one = series.constant(np.ones(shape, x[0].dtype)[()], x)
    found = functools.reduce(series.multiply, entries, one)
    return [None if c is None else np.reshape(c, call.ans.shape) for c in found]


def _recurrence(call: SeriesCall) -> Series:
    """Solve ``y_i = b_i + x_i y_(i-1)``: what the lower orders of y contribute is added to b."""
    x, b = call.of(0), call.of(1)
    found: Series = [call.ans]
    for k in range(1, call.order + 1):
        before = [exclusive.delayed(y, 0.0) if y is not None else None for y in found]
        terms = series.add(b[k], series.coefficient(x, [*before, None], k, 1))
        found.append(None if terms is None else exclusive.RECURRENCE(x[0], terms))
    return found


def _solution(call: SeriesCall) -> Series:
    """Solve ``A X = B``: ``X_k = A_0^-1 (B_k - sum_(j=1..k) A_j X_(k-j))``."""
    a, b = call.of(0), call.of(1)
    found: Series = [call.ans]
    for k in range(1, call.order + 1):
        rest = series.subtract(b[k], series.coefficient(a, [*found, None], k, 1, np.matmul))
        found.append(None if rest is None else np.linalg.solve(a[0], rest))
    return found


def _inverse(call: SeriesCall) -> Series:
    """Invert: from ``A X = 1``, ``X_k = -X_0 sum_(j=1..k) A_j X_(k-j)``."""
    a = call.series[0]
    found: Series = [call.ans]
    for k in range(1, call.order + 1):
        rest = series.coefficient(a, [*found, None], k, 1, np.matmul)
        found.append(None if rest is None else -np.matmul(call.ans, rest))
    return found


def _rows() -> Mapping[Primitive, Rule]:
    kinds: list[tuple[Rule, tuple[Any, ...]]] = [
        (_sum_of_two, (elementwise.ADD,)),
        (_difference, (elementwise.SUBTRACT,)),
        (_negated, (elementwise.NEGATIVE,)),
        (_same, (_UFUNCS[np.positive],)),
        (_chosen, (elementwise.WHERE,)),
        (_picked, (PICK,)),
        (
            _linear,
            (
                *(elementwise.REAL, elementwise.IMAG, elementwise.CONJ, reductions.SUM, reductions.MEAN),
                *(reductions.CUMSUM, shapes.RESHAPE, shapes.TRANSPOSE, shapes.BROADCAST, shapes.FLIP, shapes.ROLL),
                *(shapes.TRIL, shapes.TRIU, shapes.DIAGONAL, shapes.EMBED, shapes.ASTYPE, indexing.GETITEM),
                *(indexing.GATHER, indexing.SPREAD, fft.FFT, fft.IFFT, fft.RFFT, fft.IRFFT),
            ),
        ),
        (_jointly_linear, (joining.CONCATENATE, joining.STACK, scatter.SCATTER)),
        (_product, (elementwise.MULTIPLY, limits.SCALED)),
        (_bilinear, (products.MATMUL, convolution.CONVOLVE)),
        (_multilinear, (einsum.EINSUM,)),
        (_quotient, (elementwise.DIVIDE, QUOTIENT, UNIT)),
        (_reciprocal, (_UFUNCS[np.reciprocal],)),
        (_product_along, (reductions.PROD,)),
        (_recurrence, (exclusive.RECURRENCE,)),
        (_solution, (linalg.SOLVE,)),
        (_inverse, (linalg.INV,)),
        (_scaled_by(math.pi / 180), (_UFUNCS[np.deg2rad], _UFUNCS[np.radians])),
        (_scaled_by(180 / math.pi), (_UFUNCS[np.rad2deg], _UFUNCS[np.degrees])),
    ]
    own = {primitive: rule for rule, primitives in kinds for primitive in primitives}
    return {**own, **elementary.RULES}


_RULES: Mapping[Primitive, Rule] = MappingProxyType(_rows())
#: Rules of functions of SciPy, which is imported only by those who use them.
_SCIPY: Mapping[str, Rule] = MappingProxyType({"expit": elementary.expit})


def rule_of(primitive: Primitive) -> Rule | None:
    """Return the rule of a primitive; None if there is none, so that its JVP has to serve."""
    found = _RULES.get(primitive)
    if found is None and primitive.name in _SCIPY and primitive is special.primitive(primitive.name):
        return _SCIPY[primitive.name]
    return found
