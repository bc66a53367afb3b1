"""Rounding errors of a derivative, measured entry by entry with Monte Carlo arithmetic.

Floating-point arithmetic returns ``z (1 + eps u)`` for the exact result ``z`` of an operation, with ``|u| <= 1/2`` and
``eps`` the spacing of numbers at 1. Monte Carlo arithmetic (Parker 1997, "Monte Carlo Arithmetic"; Verificarlo: Denis,
de Oliveira Castro and Petit 2016) draws ``u`` at random, evaluates the same computation a few times, and takes the
spread of each entry of the result as its rounding error. Nothing is assumed of the computation: an entry that is one
product spreads by one rounding, a sum by its cancellation, a solution by its condition number, and a gradient that is
zero by the size of the terms that cancel.

The computation is our engine's. All inputs are lifted on an outer trace, whose ``record`` sees the value of every
operation of the derivative, forwards and backwards, and replaces it by a perturbed one. The derivative is nested in
that trace as any derivative is in another. Arithmetic is float64 with the ``eps`` of the case, so that a case in
float32 neither overflows on the way nor is blurred by a rounding of its own.

Which results are perturbed, and by how much:

*Selections.* A comparison, index, maximum, sort, reshape or change of sign does not round, and is left alone.

*Exact results.* If an arithmetic result and its operands need at most half of the digits, as whole numbers do, nothing
was rounded, unless a sum has absorbed one of its terms. Such results stay, so that a kink at a whole number stays a
kink.

*Ties.* ``u`` is a function of the value, drawn anew for each operation: equal entries of an array are rounded equally,
as they are in reality. Ties of a maximum and symmetric matrices survive. Within a sum, ``u`` depends on the place of a
term instead, as its rounding does.

*Long sums.* A sum of K terms is one operation here, and K - 1 roundings in a framework. Adding one term after the
other, the error is ``eps sum_k u_k S_k`` with the partial sums ``S_k``, and ``u_k`` of variance 1/12.

- For terms of one sign ``S_k`` is ``k/K S``. The variance is ``eps^2/12 S^2 K/3``: that of one rounding of the result,
  ``sqrt(K/3)`` times as large.
- For terms of random signs and size t, ``S_k^2`` is about ``k t^2``. The variance is ``eps^2/12 t^2 K^2/2``: that of
  one rounding of each term, ``sqrt(K/2)`` times as large.

Both are applied. Frameworks that add in blocks or in pairs err less. TensorFlow's dot product in float32 adds one after
the other: for 10^6 random terms it is off by 1.25 ``eps sqrt(K)``.

*Factorisations* are backward stable: their results are those of a matrix whose entries are off by about ``sqrt(n)``
roundings each.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant, values_of
from autodiff_compare.problems import Array


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Names of primitives that select, move or compare numbers, and do not round.
EXACT = _names(
    "absolute astype average_ties broadcast_to clip concatenate conj copysign diagonal embed_diagonal fabs flip "
    "fmax fmin fmod freed frexp getitem imag input join_parts ldexp max maximum min minimum modf nanmax nanmin "
    "negative nextafter pick positive real remainder reshape roll share_ties sign sort split_parts stack transpose "
    "tril triu where"
)
#: Names of primitives whose result is exact if it and the operands have few digits.
ALGEBRAIC = _names(
    "add subtract multiply divide square power sqrt cbrt hypot reciprocal sum mean matmul einsum cumsum prod "
    "cumprod norm scatter"
)
_SUMS = _names("sum mean cumsum scatter norm")
_PRODUCTS = _names("matmul einsum")
_FACTORS = _names("prod cumprod")
_EXPONENTIAL_SUMS = _names("logsumexp log_softmax softmax")
_TRANSFORMS = _names("fft ifft rfft irfft")
_FACTORISATIONS = _names(
    "cholesky cholesky_adjoint cofactors det eig eigh embedded_eigh inv lstsq pinv qr slogdet solve spectrum svd"
)
#: Operations of several roundings, among the algebraic ones and others.
_SEVERAL = _SUMS | _PRODUCTS | _FACTORS
_COMPOSED = _EXPONENTIAL_SUMS | _TRANSFORMS | _FACTORISATIONS
#: Those whose error is relative to the norm of the matrix, not to each entry.
_ORTHOGONAL = _names("eig eigh embedded_eigh lstsq pinv qr spectrum svd")
#: Slopes that our engine computes without cancellation, and frameworks as ``1 - y^2``: they err relative to 1.
_CANCELLING = frozenset(("sech2", "within"))
#: Numbers that are rounded in the time that an operation takes by itself: 50 us against 15 ns a number.
NUMBERS = 3000
#: Roundings by which an elementary function may be off: libraries promise a few units in the last place.
ELEMENTARY = 2.0


class RoundingTrace(Trace):
    """A trace that replaces the value of every operation by one that is off by a random rounding.

    Parameters
    ----------
    eps
        Spacing of numbers at 1 in the arithmetic that is imitated.
    seed
        Seed of the roundings.

    Attributes
    ----------
    work
        Operations so far, counted in operations on a few numbers: the same on every machine.
    """

    __slots__ = ("_chance", "_few", "_random", "_rest", "eps", "exact", "work")

    def __init__(self, eps: float, seed: int) -> None:
        super().__init__()
        self.eps, self.exact, self.work = eps, False, 0.0
        # Half of the digits: 11 of 23 bits in float32; a mantissa in float64 has 52.
        half = round(-math.log2(eps)) // 2
        self._few, self._rest = 2.0**half, np.uint64((1 << (52 - half)) - 1)
        # Single numbers come from Python's generator: a call of NumPy's takes as long as 300 numbers.
        self._random, self._chance = np.random.default_rng(seed), random.Random(seed)
        self.record = self._round

    def rounded(self, value: Any, factor: float = 1.0) -> Any:
        """Return a value with each entry off by up to ``factor / 2`` roundings."""
        if value.__class__ is np.float64:
            return np.float64(value * (1 + self.eps * factor * (self._chance.random() - 0.5)))
        if isinstance(value, tuple):
            parts = [self.rounded(part, factor) for part in value]
            return type(value)._make(parts) if hasattr(value, "_make") else tuple(parts)
        if not is_inexact(value):
            return value
        if value.dtype.kind == "c":
            size = np.abs(value)
            return (value + (self._noisy(size, factor) - size) + 1j * (self._noisy(size, factor) - size)).astype(
                value.dtype
            )
        return self._noisy(value, factor).astype(value.dtype, copy=False)[()]

    def _noisy(self, value: Any, factor: float) -> Array:
        """Return real numbers with roundings that depend on the sizes of the entries and on this call.

        The bits of each entry, without the sign, are mixed and multiplied by a random odd number (multiplicative
        hashing). The product, divided by 2^64, is uniform in [0, 1).
        """
        value = np.asarray(value, dtype=np.float64)
        bits = value.view(np.uint64) << _1
        bits ^= bits >> _31
        bits *= np.uint64(self._chance.getrandbits(64) | 1)
        noise: Array = bits * (self.eps * factor * 2.0**-64)
        noise += 1 - self.eps * factor / 2
        noise *= value
        return noise

    def _moved(self, x: Any, factor: float, axes: Sequence[int] | None) -> Any:
        """Return an operand with roundings of its terms: one for each place along ``axes``, by value if that is None.

        The order of a sum depends on the places of its terms, not on their values: terms that cancel do so with an
        error. But all sums of one operation have the same order, so that equal rows stay equal.
        """
        if not is_inexact(x):
            return x
        if axes is None or not np.ndim(x):
            return self.rounded(x, factor)
        shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        return x * (1 + (self.eps * factor) * (self._random.random(shape) - 0.5)).astype(x.real.dtype)

    def few_digits(self, value: Any) -> Any:
        """Return where entries need at most half of the digits: the others are zeros."""
        if value.__class__ is np.ndarray and value.ndim:
            bits = np.asarray(value, dtype=np.float64).view(np.uint64)
            return (bits & self._rest) == 0
        return math.isfinite(value) and (math.frexp(value)[0] * self._few).is_integer()

    def _round(self, node: Node) -> None:
        """Perturb the value of a new node, and forget its arguments: nothing sweeps through this trace."""
        if not self.exact:
            self.work += 1 + getattr(node.primal, "size", 1) / NUMBERS
            node.primal = self._perturbed(node)
        node.args = ()

    def _perturbed(self, node: Node) -> Any:
        """Return the value of a node, off by the rounding of its operation."""
        name, value = node.call.primitive.name, node.primal
        if name in EXACT:
            return value
        if name in ALGEBRAIC:
            return self._algebraic(name, node, value)
        if name in _COMPOSED:
            return self.rounded(*self._summed(name, node, _operands(node)))
        if name in _CANCELLING:
            value = value + ELEMENTARY * self.eps * (self._random.random(np.shape(value)) - 0.5)
        return self.rounded(value, ELEMENTARY)

    def _algebraic(self, name: str, node: Node, value: Any) -> Any:
        """Return the value of an algebraic operation, off by its rounding where it is not exact."""
        if not is_inexact(value):
            return value
        several, kept = name in _SEVERAL, False
        if value.dtype.kind == "f":
            kept = self.few_digits(value)
            kept = kept if np.any(kept) else False
        if kept is not False:
            operands = _operands(node)
            kept = self._exact(kept, operands, not several)
            if name in ("add", "subtract"):
                kept = _some(kept & np.logical_not(_absorbed(name, value, *operands)))
            if kept is True:
                return value
        found = self.rounded(*self._summed(name, node, _operands(node))) if several else self.rounded(value)
        return found if kept is False else np.where(kept, value, found)

    def _exact(self, kept: Any, operands: Sequence[Any], entrywise: bool) -> Any:
        """Return which entries of those ``kept`` have exact operands: True for all, False for none, else an array."""
        for operand in operands:
            if is_inexact(operand):
                few = operand.dtype.kind == "f" and self.few_digits(operand)
                kept = kept & (few if entrywise else bool(np.all(few)))
        return _some(kept)

    def _summed(self, name: str, node: Node, operands: list[Any]) -> tuple[Any, float]:
        """Return a result of perturbed operands, and the factor of its own rounding."""
        value, kwargs = node.primal, node.call.kwargs
        terms = _terms(name, value, operands, kwargs)
        if name in _FACTORS:
            return value, math.sqrt(terms)
        if name in _SUMS:
            each, whole = math.sqrt(max(terms - 2, 0) / 2), math.sqrt(max(terms / 3, 1))
        elif name in _PRODUCTS:
            each, whole = math.sqrt(1 + terms / 2), math.sqrt(max(terms / 3, 1))
        elif name in _EXPONENTIAL_SUMS:
            each, whole = 1.0, ELEMENTARY + math.sqrt(terms / 3)
        else:
            each = whole = (2 if name in _ORTHOGONAL else 1) * math.sqrt(terms)
        if each:
            axes = _summed_axes(name, operands, kwargs)
            moved = [self._moved(x, each, summed) for x, summed in zip(operands, axes, strict=True)]
            with np.errstate(all="ignore"):
                value = node.call.primitive.function(*moved, **kwargs)
        if name in ("logsumexp", "log_softmax"):
            # The logarithm of a sum that is off by a factor 1 + d is off by d, however small it is itself.
            value = value + (whole * self.eps) * (self._random.random(np.shape(value)) - 0.5)
        return value, whole


def _some(kept: Any) -> Any:
    """Return True for all entries, False for none, else an array."""
    return True if np.all(kept) else kept if np.any(kept) else False


def _absorbed(name: str, value: Any, a: Any, b: Any) -> Any:
    """Return where a sum or difference of two is one of them though the other is not zero: all its digits are lost."""
    return (np.equal(value, a) & np.not_equal(b, 0)) | (
        np.equal(value, b if name == "add" else np.negative(b)) & np.not_equal(a, 0)
    )


_1, _31 = np.uint64(1), np.uint64(31)


def _operands(node: Node) -> list[Any]:
    """Return the arguments of a node as plain numbers and arrays."""
    return [constant(x) for x in values_of(node, node.call.where)]


def is_inexact(x: Any) -> bool:
    """Return whether a value is a NumPy number or array of a floating or complex type."""
    dtype = getattr(x, "dtype", None)
    return dtype is not None and dtype.kind in "fc"


def _summed_axes(name: str, operands: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Sequence[int] | None]:
    """Return the axes of each operand along which an operation sums; None if it does not sum products of its terms."""
    dimensions = [np.ndim(x) for x in operands]
    if name == "matmul":
        first, second = dimensions
        return [(first - 1,), (max(second - 2, 0),)]
    if name == "einsum":
        words, output = kwargs["subscripts"].split("->")
        return [tuple(i for i, s in enumerate(word) if s not in output) for word in words.split(",")]
    if name in _SUMS:
        axis = kwargs.get("axis")
        if axis is None or name == "scatter":
            return [tuple(range(n)) for n in dimensions]
        chosen = axis if isinstance(axis, tuple) else (axis,)
        return [tuple(a % n for a in chosen) for n in dimensions]
    return [None] * len(operands)


def _terms(name: str, value: Any, operands: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    """Return the number of terms in each entry of a sum, or the order of the matrix of a factorisation."""
    if name == "einsum":
        spelled = kwargs["subscripts"].split("->")[0].split(",")
        lengths = {
            s: n for word, x in zip(spelled, operands, strict=True) for s, n in zip(word, np.shape(x), strict=True)
        }
        return float(math.prod(lengths.values()) / max(np.size(value), 1))
    if name == "matmul":
        return float(np.shape(operands[0])[-1])
    if name in ("cumsum", "cumprod"):
        return float(max(np.shape(operands[0]), default=1))
    if name in _FACTORISATIONS:
        return float(max(np.shape(operands[0])[-2:], default=1))
    if name in _TRANSFORMS:
        return math.log2(max(max(np.shape(value), default=1), 2))
    return sum(np.size(x) for x in operands if is_inexact(x)) / max(np.size(value), 1)
