"""Products of all entries but one, and linear recurrences: what the slopes of prod and cumprod are made of.

``EXCLUSIVE(x, a, b, ...)`` is the coefficient of ``s t ...`` in ``prod_(j != i) (x_j + s a_j + t b_j + ...)``, where
``s^2 = t^2 = 0``. Without a, b it is the product of all entries but the i-th, the slope of prod. Its derivative in x
along a is ``EXCLUSIVE(x, a)``, and so on to any order; all of them are symmetric, so VJP and JVP are one rule.

It is computed on a tree. Upwards it holds products of pairs, of pairs of pairs, and so on. From the root down, the
product of what lies outside a pair, times its left half, is that of what lies outside its right half. Nothing is
divided, so zeros do no harm. Mantissas and exponents are kept apart, so nothing over- or underflows on the way. Time
and memory are O(n). Where no entry is zero and no product of some can leave the range, the first order is the quotient
``prod(x) / x_i``.

``RECURRENCE(x, b)`` is y with ``y_k = b_k + x_k y_(k-1)``. For cumprod, ``dy_k = dx_k y_(k-1) + x_k dy_(k-1)``.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import Primitive
from autodiff_compare.backends.numpy_autodiff.rules.builders import axes_of

#: The exponent of zero: below that of any product that is not.
_NONE = -(2**40)
#: A number as mantissa and exponent; a polynomial in s, t, ... by the set of its variables, as bits.
Scaled = tuple[Any, Any]
Jet = list[Scaled]


def _scaled(x: Any) -> Scaled:
    """Split into a mantissa of [1/2, 1) and an exponent; complex numbers by their larger part."""
    size = np.maximum(np.abs(x.real), np.abs(x.imag)) if x.dtype.kind == "c" else x
    e = np.frexp(size)[1].astype(np.int64)
    return _shifted(x, -e), np.where(x == 0, _NONE, e)


def _shifted(x: Any, e: Any) -> Any:
    """Return ``x 2^e``."""
    e = np.clip(e, -(2**20), 2**20).astype(np.int32)
    return np.ldexp(x.real, e) + 1j * np.ldexp(x.imag, e) if x.dtype.kind == "c" else np.ldexp(x, e)


def _times(a: Scaled, b: Scaled) -> Scaled:
    m, e = _scaled(a[0] * b[0])
    return m, np.where(m == 0, _NONE, e + a[1] + b[1])


def _plus(a: Scaled, b: Scaled) -> Scaled:
    top = np.maximum(a[1], b[1])
    m, e = _scaled(_shifted(a[0], a[1] - top) + _shifted(b[0], b[1] - top))
    return m, np.where(m == 0, _NONE, e + top)


def _product(a: Jet, b: Jet) -> Jet:
    """Multiply polynomials in which no variable has a square."""
    found = []
    for s in range(len(a)):
        parts = [_times(a[t], b[s ^ t]) for t in range(s + 1) if t & s == t]
        total = parts[0]
        for part in parts[1:]:
            total = _plus(total, part)
        found.append(total)
    return found


def _at(jet: Jet, index: Any) -> Jet:
    return [(m[index], e[index]) for m, e in jet]


def _excluded(jet: Jet) -> Scaled:
    """Return the highest coefficient of the product of all but each, along the last axis, of a power of 2 entries."""
    if jet[0][0].shape[-1] == 1:
        one = np.ones_like(jet[0][0])
        return (one, np.zeros(one.shape, np.int64)) if len(jet) == 1 else (0 * one, np.full(one.shape, _NONE))
    levels = [jet]
    while levels[-1][0][0].shape[-1] > 2:
        levels.append(_product(_at(levels[-1], np.s_[..., ::2]), _at(levels[-1], np.s_[..., 1::2])))
    # Outside of each half of the root is the other half.
    outside = _at(levels.pop(), np.s_[..., ::-1])
    while levels:
        below = levels.pop()
        swapped = [(_swapped(m), _swapped(e)) for m, e in below]
        outside = _product([(np.repeat(m, 2, axis=-1), np.repeat(e, 2, axis=-1)) for m, e in outside], swapped)
    return outside[-1]


def _swapped(x: Any) -> Any:
    """Exchange the two entries of every pair."""
    return x.reshape((*x.shape[:-1], -1, 2))[..., ::-1].reshape(x.shape)


def _rows(x: Any, axes: tuple[int, ...], fill: float) -> Any:
    """Return the entries along ``axes`` as last axis, filled up to a power of 2."""
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    n = int(np.prod([x.shape[i] for i in axes], dtype=int))
    rows = np.transpose(x, rest + axes).reshape((*(x.shape[i] for i in rest), n))
    padded = np.full((*rows.shape[:-1], 1 << max(n - 1, 0).bit_length()), fill, x.dtype)
    padded[..., :n] = rows
    return padded


def _within_range(x: Any, axes: Any) -> bool:
    """Return whether no entry is zero and no product of some of them can over- or underflow."""
    if x.dtype.kind == "c":
        x = np.abs(x)
    exponents = np.abs(np.frexp(x)[1].astype(np.int64))
    largest = np.max(np.sum(exponents, axis=axes), initial=0)
    return bool(largest < np.finfo(x.dtype).maxexp - 2 and np.all(x != 0) and np.all(np.isfinite(x)))


def _exclusive(x: Any, *directions: Any, axis: Any = None) -> Any:
    x = np.asarray(x)
    # NumPy takes axis 0 of a number.
    axes = axes_of(axis, x.ndim) if x.ndim else ()
    if not directions and _within_range(x, axes):
        return np.multiply.reduce(x, axis=axes, keepdims=True) / x
    jet = [_scaled(_rows(x, axes, 1.0))]
    for a in directions:
        one = _scaled(_rows(np.broadcast_to(a, x.shape).astype(x.dtype), axes, 0.0))
        zero = (np.zeros_like(one[0]), np.full(one[0].shape, _NONE))
        jet += [one, *([zero] * (len(jet) - 1))]
    with np.errstate(over="ignore", invalid="ignore"):
        found = _shifted(*_excluded(jet))
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    n = int(np.prod([x.shape[i] for i in axes], dtype=int))
    moved = found[..., :n].reshape(tuple(x.shape[i] for i in rest + axes))
    return np.transpose(moved, np.argsort(rest + axes).astype(int))[()]


def _exclusive_rule(i: int, g: Any, _ans: Any, x: Any, *directions: Any, axis: Any = None) -> Any:
    if i == 0:
        return EXCLUSIVE(x, *directions, g, axis=axis)
    others = [g if k == i else a for k, a in enumerate(directions, 1)]
    return EXCLUSIVE(x, *others, axis=axis)


EXCLUSIVE: Primitive = Primitive("exclusive_product", _exclusive, (_exclusive_rule,), (_exclusive_rule,), variadic=True)


def _recurrence(x: Any, b: Any) -> Any:
    """Solve along the last axis: by division where products stay in range, else step by step."""
    x, b = np.broadcast_arrays(np.asarray(x), np.asarray(b))
    if not x.size:
        return b.copy()
    if _within_range(x, (-1,)):
        scale = np.cumprod(x, axis=-1)
        return scale * np.cumsum(b / scale, axis=-1)
    rows, terms = x.reshape((-1, x.shape[-1])), b.reshape((-1, x.shape[-1]))
    dtype = np.result_type(x, b)
    if len(rows) <= 4 and dtype.itemsize <= (16 if dtype.kind == "c" else 8):
        # Python's numbers take a tenth of the time of as many calls of NumPy.
        pairs = [list(zip(r.tolist(), t.tolist(), strict=True)) for r, t in zip(rows, terms, strict=True)]
        solved = [list(itertools.accumulate(p, _step, initial=0.0))[1:] for p in pairs]
        return np.array(solved, dtype).reshape(x.shape)
    found = np.empty(rows.shape, dtype)
    before = np.zeros(len(rows), dtype)
    for k in range(rows.shape[1]):
        before = found[:, k] = terms[:, k] + rows[:, k] * before
    return found.reshape(x.shape)


def _step(before: Any, pair: Any) -> Any:
    return pair[1] + pair[0] * before


def delayed(y: Any, first: float) -> Any:
    """Return ``y_(k-1)``, with ``first`` in front, along the last axis."""
    return np.concatenate((np.full((*y.shape[:-1], 1), first, y.dtype), y[..., :-1]), axis=-1)


def backwards(x: Any, g: Any) -> Any:
    """Transpose ``b -> RECURRENCE(x, b)``: ``s_i = g_i + x_(i+1) s_(i+1)``."""
    return np.flip(RECURRENCE(delayed(np.flip(x, -1), 0.0), np.flip(g, -1)), -1)


RECURRENCE: Primitive = Primitive(
    "recurrence",
    _recurrence,
    (lambda g, ans, x, b: backwards(x, g) * delayed(ans, 0.0), lambda g, ans, x, b: backwards(x, g)),
    (lambda t, ans, x, b: RECURRENCE(x, t * delayed(ans, 0.0)), lambda t, ans, x, b: RECURRENCE(x, t)),
)
