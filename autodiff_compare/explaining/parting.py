"""Comparison of what two backends compute of the same program: where their numbers differ by more than rounding.

Rounding is measured for each entry by Monte Carlo arithmetic (`autodiff_compare.judge.tolerances`); two backends may be
off by twice of it. The first operation that differs is named only after that was measured well: the spread of few
samples is small by chance for some of many entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_compare.judge.comparison import absolute_difference, compared
from autodiff_compare.judge.tolerances import Tolerances
from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array

#: A difference of so many tolerances is no matter of the number of samples.
_BEYOND_DOUBT = 30.0


@dataclass(frozen=True)
class Difference:
    """The largest difference within one part of a result.

    Parameters
    ----------
    part
        Index of the part.
    entry
        Flat index of the entry.
    a, b
        The two numbers.
    tolerance
        The difference that rounding may cause.
    excess
        The difference in units of it.
    """

    part: int
    entry: int
    a: float
    b: float
    tolerance: float
    excess: float

    @property
    def nan(self) -> bool:
        """Return whether one of the two numbers is nan."""
        return math.isnan(self.a) != math.isnan(self.b)


#: Sorts differences.
Order = Callable[[Sequence[Difference]], Sequence[Difference]]


def largest_first(found: Sequence[Difference]) -> list[Difference]:
    """Sort differences by their size in units of rounding."""
    return sorted(found, key=lambda d: -d.excess)


def differences(
    case: Case,
    a: Sequence[Array],
    b: Sequence[Array],
    *,
    parts: Callable[[Sequence[Array]], Sequence[Array]] = lambda leaves: leaves,
    discrete: Sequence[int] = (),
    order: Order = largest_first,
    changes: Callable[[], Sequence[Array]] | None = None,
) -> list[Difference]:
    """Return where two results differ by more than rounding, one entry for each part.

    Parameters
    ----------
    case
        The case that both have computed.
    a, b
        Their leaves.
    parts
        Divides the leaves, or their tolerances, into parts.
    discrete
        Parts that hold truth values or whole numbers: rounding does not excuse a difference there.
    order
        Sorts differences; rounding is measured until the first of them is certain.
    changes
        Returns the change of each entry by one rounding of the inputs, where rounding cannot be measured.

    Returns
    -------
    list of Difference
        Sorted by ``order``.
    """
    tolerances, (wide_a, wide_b) = Tolerances(case, changes), (compared(case, leaves) for leaves in (a, b))
    base = tuple(np.fmax(np.abs(x), np.abs(y)) for x, y in zip(wide_a, wide_b, strict=True))
    split_a, split_b = parts(wide_a), parts(wide_b)

    def beyond(allowed: Sequence[Array]) -> list[Difference]:
        rows = enumerate(zip(split_a, split_b, parts(allowed), strict=True))
        found = (_largest(i, x, y, np.zeros_like(t) if i in discrete else 2 * t) for i, (x, y, t) in rows)
        return list(order([difference for difference in found if difference]))

    found = beyond(tolerances.floor(base))
    while found:
        found = beyond(tolerances(base, proved=False))
        certain = not found or found[0].excess > _BEYOND_DOUBT or found[0].part in discrete
        if certain or not tolerances.refined():
            break
    return found


def _largest(part: int, a: Array, b: Array, allowed: Array) -> Difference | None:
    """Return the entry that differs most in units of its tolerance; `None` if all are within it."""
    far = np.ravel(absolute_difference(a, b))
    # Both nan is the same answer. One nan, or an infinite difference, is beyond any tolerance.
    far = np.where(np.ravel(np.isnan(a) & np.isnan(b)), 0, np.where(np.isnan(far), np.inf, far))
    limit = np.where(np.isfinite(np.ravel(allowed)), np.ravel(allowed), 0)
    if (far <= limit).all():
        return None
    with np.errstate(all="ignore"):
        excess = np.where(far > limit, far / limit, 0)
    entry = int(np.argmax(excess))
    first, second = (float(np.ravel(x)[entry]) for x in (a, b))
    return Difference(part, entry, first, second, float(limit[entry]), float(excess[entry]))
