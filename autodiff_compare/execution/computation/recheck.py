"""The comparison of later results of a prepared callable with its first one, which was judged.

What is timed must be what was judged. A backend may return something else from its fifth call on, in one call of a
thousand, or after a round; a result that differs in any bit is sent to the judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.problems import Array

#: Bytes of results that are kept at the same time in order to be compared.
_KEPT_BYTES = 1 << 24


def bits(leaf: Array) -> bytes:
    """Return the bits of an array's numbers.

    The numbers of ``longdouble`` have 10 bytes and take 16: the other bytes hold anything. They are split into a
    float64 and the rest.
    """
    if leaf.dtype.char not in "gG":
        return bytes(leaf.tobytes())
    with np.errstate(all="ignore"):
        double = np.complex128 if leaf.dtype.kind == "c" else np.float64
        high = leaf.astype(double)
        return bytes(high.tobytes() + (leaf - high).astype(double).tobytes())


def digest(result: Sequence[Array]) -> str:
    """Return a digest of the bits, shapes and dtypes of a result."""
    found = hashlib.sha256()
    for leaf in result:
        found.update(f"{leaf.dtype.str}{leaf.shape}".encode() + bits(leaf))
    return found.hexdigest()


class Recheck:
    """Compare results with the first one, bit by bit, and keep the first that differs.

    Parameters
    ----------
    numpy
        Returns the leaves of a result as NumPy arrays.
    first
        The leaves of the first result.

    Attributes
    ----------
    other
        The leaves of the first result that differs; `None` while there is none.
    """

    def __init__(self, numpy: Callable[[Any], list[Array]], first: Sequence[Array]) -> None:
        self._numpy = numpy
        self._first = [(leaf.dtype, leaf.shape, bits(leaf)) for leaf in first]
        self.other: list[Array] | None = None

    def __call__(self, out: Any) -> None:
        """Compare a result, unless another one has been found to differ."""
        if self.other is None:
            leaves = self._numpy(out)
            if not self.same(leaves):
                self.other = leaves

    def same(self, leaves: Sequence[Array]) -> bool:
        """Return whether a result has the bits of the first one."""
        return [(leaf.dtype, leaf.shape, bits(leaf)) for leaf in leaves] == self._first

    @property
    def leaves(self) -> int:
        """Number of arrays of a result."""
        return len(self._first)

    @property
    def bytes(self) -> int:
        """Bytes of a result."""
        return sum(len(each) for *_, each in self._first)

    def most(self, calls: int) -> int:
        """Return how many of ``calls`` results may be kept at the same time; at least 1."""
        return min(calls, max(_KEPT_BYTES // max(self.bytes, 1), 1))
