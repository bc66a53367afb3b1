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
was rounded. Such results stay, so that a kink at a whole number stays a kink.

*Ties.* ``u`` is a function of the value, drawn anew for each operation: equal entries of an array are rounded equally,
as they are in reality. Ties of a maximum and symmetric matrices survive.

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
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends.numpy_autodiff.core.primitive import values_of
from autodiff_compare.backends.numpy_autodiff.core.tracing import Node, Trace, constant
from autodiff_compare.problems import Array


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Names of primitives that select, move or compare numbers, and do not round.
EXACT = _names(
    "absolute astype average_ties broadcast_to clip concatenate conj copysign diagonal embed_diagonal fabs flip "
    "fmax fmin fmod freed frexp getitem imag input ldexp max maximum min minimum modf nanmax nanmin negative "
    "nextafter pick positive real remainder reshape roll share_ties sign sort stack transpose tril triu where"
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
_FACTORISATIONS = _names("cholesky cofactors det eig eigh embedded_eigh inv lstsq pinv qr slogdet solve spectrum svd")
#: Those whose error is relative to the norm of the matrix, not to each entry.
_ORTHOGONAL = _names("eig eigh embedded_eigh lstsq pinv qr spectrum svd")
#: Slopes that our engine computes without cancellation, and frameworks as ``1 - y^2``: they err relative to 1.
_CANCELLING = frozenset(("sech2", "within"))
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
    """

    __slots__ = ("_few", "_random", "_rest", "eps", "exact")

    def __init__(self, eps: float, seed: int) -> None:
        super().__init__()
        self.eps, self.exact = eps, False
        # Half of the digits: 11 of 23 bits in float32; a mantissa in float64 has 52.
        half = round(-math.log2(eps)) // 2
        self._few, self._rest = 2.0**half, np.uint64((1 << (52 - half)) - 1)
        self._random = np.random.default_rng(seed)
        self.record = self._round

    def rounded(self, value: Any, factor: float = 1.0) -> Any:
        """Return a value with each entry off by up to ``factor / 2`` roundings."""
        if isinstance(value, tuple):
            parts = [self.rounded(part, factor) for part in value]
            return type(value)._make(parts) if hasattr(value, "_make") else tuple(parts)
        kind = getattr(value, "dtype", np.dtype(object)).kind
        if kind == "c":
            turn = self._unit(np.abs(value)) + 1j * self._unit(np.abs(value))
            return value + np.abs(value) * turn * (self.eps * factor)
        if kind != "f":
            return value
        if value.shape == ():
            return value.dtype.type(value * (1 + self.eps * factor * (self._random.random() - 0.5)))
        noise = self._unit(value)
        noise *= self.eps * factor
        noise *= value
        noise += value
        return noise if value.dtype == noise.dtype else noise.astype(value.dtype)

    def _unit(self, value: Any) -> Array:
        """Return numbers in [-1/2, 1/2) that depend on the sizes of the entries and on this call.

        The bits of each entry are mixed and multiplied by a random odd number (multiplicative hashing); the top 52 bits
        of the product are the digits of a number in [1, 2).
        """
        bits = np.abs(value, dtype=np.float64).view(np.uint64) if np.ndim(value) else np.uint64(0)
        salt = np.uint64(self._random.integers(2**63) | 1)
        if not np.ndim(value):
            return np.asarray(self._random.random() - 0.5)
        bits ^= bits >> np.uint64(31)
        bits *= salt
        bits >>= np.uint64(12)
        bits |= _ONE
        unit = bits.view(np.float64)
        unit -= 1.5
        return unit

    def few_digits(self, value: Any) -> Any:
        """Return where entries need at most half of the digits: the others are zeros."""
        if np.ndim(value):
            bits = np.ascontiguousarray(value, dtype=np.float64).view(np.uint64)
            return (bits & self._rest) == 0
        return math.isfinite(value) and (math.frexp(value)[0] * self._few).is_integer()

    def _round(self, node: Node) -> None:
        """Perturb the value of a new node, and forget its arguments: nothing sweeps through this trace."""
        if not self.exact:
            node.primal = self._perturbed(node)
        node.args = ()

    def _perturbed(self, node: Node) -> Any:
        """Return the value of a node, off by the rounding of its operation."""
        name, value = node.call.primitive.name, node.primal
        if name in EXACT:
            return value
        operands = [constant(v) for v in values_of(node, node.call.where)]
        factor = 1.0
        if name in ALGEBRAIC:
            if is_inexact(value):
                kept = self._exact(value, operands, name not in _SUMS | _PRODUCTS | _FACTORS)
                if kept is True:
                    return value
                found = self.rounded(*self._summed(name, node, operands))
                return found if kept is False else np.where(kept, value, found)
        elif name in _EXPONENTIAL_SUMS or name in _TRANSFORMS or name in _FACTORISATIONS:
            return self.rounded(*self._summed(name, node, operands))
        else:
            factor = ELEMENTARY
        if name in _CANCELLING:
            value = value + factor * self.eps * (self._random.random(np.shape(value)) - 0.5)
        return self.rounded(value, factor)

    def _exact(self, value: Any, operands: Sequence[Any], entrywise: bool) -> Any:
        """Return which entries are exact: True for all, False for none, else an array of truth values."""
        if np.iscomplexobj(value):
            return False
        kept = self.few_digits(value)
        if not np.any(kept):
            return False
        for operand in operands:
            if is_inexact(operand):
                few = self.few_digits(operand) if not np.iscomplexobj(operand) else False
                kept = kept & (few if entrywise else bool(np.all(few)))
        return True if np.all(kept) else kept if np.any(kept) else False

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
        elif name in _TRANSFORMS or name in _FACTORISATIONS:
            each = whole = (2 if name in _ORTHOGONAL else 1) * math.sqrt(terms)
        else:
            return value, 1.0
        if each:
            moved = [self.rounded(x, each) if is_inexact(x) else x for x in operands]
            with np.errstate(all="ignore"):
                value = node.call.primitive.function(*moved, **kwargs)
        if name in ("logsumexp", "log_softmax"):
            # The logarithm of a sum that is off by a factor 1 + d is off by d, however small it is itself.
            value = value + (whole * self.eps) * (self._random.random(np.shape(value)) - 0.5)
        return value, whole


_ONE = np.uint64(np.float64(1).view(np.uint64))


def is_inexact(x: Any) -> bool:
    return getattr(getattr(x, "dtype", None), "kind", "") in ("f", "c")


def _terms(name: str, value: Any, operands: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    """Return the number of terms in each entry of a sum, or the order of the matrix of a factorisation."""
    if name == "einsum":
        spelled = kwargs["subscripts"].split("->")[0].split(",")
        lengths = {
            s: n for word, x in zip(spelled, operands, strict=True) for s, n in zip(word, np.shape(x), strict=True)
        }
        return math.prod(lengths.values()) / max(np.size(value), 1)
    if name == "matmul":
        return float(np.shape(operands[0])[-1])
    if name in ("cumsum", "cumprod"):
        return float(max(np.shape(operands[0]), default=1))
    if name in _FACTORISATIONS:
        return float(max(np.shape(operands[0])[-2:], default=1))
    if name in _TRANSFORMS:
        return math.log2(max(max(np.shape(value), default=1), 2))
    return sum(np.size(x) for x in operands if is_inexact(x)) / max(np.size(value), 1)
