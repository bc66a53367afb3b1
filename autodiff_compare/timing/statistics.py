"""Statistics of rounds: medians, order-statistic intervals, and when "slower" may be said.

The unit is the round, never the sample: blocks of one visit are not independent. A round's value is
the median of its blocks. Two cells of a group are compared by their per-round log ratio, which cancels
the drift of the machine that hits both alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: A difference below this is not called one, however sure.
MATTERS = 0.02
#: A 95 % interval wider than this, relative to the median, asks for more rounds.
PRECISE = 0.10
#: With fewer rounds than this no verdict is given.
ENOUGH_ROUNDS = 8


def order_statistic_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Distribution-free interval of the median from sorted values; ``nan`` where n is too small for it.

    The k-th smallest and k-th largest of n values enclose the median with probability
    ``1 - 2 P(Binomial(n, 1/2) < k)``; the largest such k is taken (David and Nagaraja 2003, 7.1).
    """
    n, ordered = len(values), sorted(values)
    tail, k = 0.0, 0
    while k < n // 2:
        tail += math.comb(n, k) / 2**n
        if 1 - 2 * tail < confidence:
            break
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else (math.nan, math.nan)


def ratio_verdict(slower: Sequence[float], faster: Sequence[float]) -> str:
    """``'1.48x [1.42, 1.55]'`` if the first is proved slower, else ``'~'``; ``''`` under `ENOUGH_ROUNDS` rounds.

    Proved means: the 99 % order-statistic interval of the per-round log ratio lies beyond 2 %.
    """
    ratios = [math.log(a / b) for a, b in zip(slower, faster, strict=True)]
    if len(ratios) < ENOUGH_ROUNDS:
        return ""
    low, high = order_statistic_interval(ratios, 0.99)
    if not low > math.log1p(MATTERS):
        return "~"
    middle = float(np.median(ratios))
    return f"{math.exp(middle):.3g}x [{math.exp(low):.3g}, {math.exp(high):.3g}]"


def imprecise(values: Sequence[float]) -> bool:
    """Whether the 95 % interval of the median is wider than a tenth of it, or cannot be told yet."""
    low, high = order_statistic_interval(values, 0.95)
    return not high - low <= PRECISE * float(np.median(values))


def noisy(values: Sequence[float]) -> bool:
    """Whether the interquartile range of the rounds exceeds a tenth of their median."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return bool(high - low > 0.1 * middle)


def drifting(values: Sequence[float]) -> bool:
    """Whether the rounds trend: Kendall's tau against time beyond 0.6, and the halves differ by 10 %."""
    n = len(values)
    if n < ENOUGH_ROUNDS:
        return False
    signs = [np.sign(values[j] - values[i]) for i in range(n) for j in range(i + 1, n)]
    first, second = np.median(values[: n // 2]), np.median(values[n // 2 :])
    return bool(abs(np.sum(signs)) / len(signs) > 0.6 and abs(second - first) > 0.1 * first)
