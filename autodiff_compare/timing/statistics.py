"""Statistics of timing rounds: the interval of a median, the paired rule for "slower", and the flags.

The unit is the round, never the sample: the blocks of one visit are not independent. A round's value is the median of
its blocks.

**Interval of the median.** Let ``x(1) <= ... <= x(n)`` be n independent values with median M. Each lies below M with
probability 1/2, so the number of values below M is Binomial(n, 1/2). M is less than ``x(k)`` if fewer than k values
lie below M, and greater than ``x(n-k+1)`` if fewer than k values lie above M. For any continuous distribution::

    P(x(k) <= M <= x(n-k+1)) = 1 - 2 P(Binomial(n, 1/2) < k)

The largest k that keeps the confidence is taken. For n = 15 and 95 %, P(Binomial < 4) = 0.0176, so k = 4: the interval
goes from the 4th to the 12th value and covers 96.5 % (David and Nagaraja 2003, Order Statistics, section 7.1). Under
6 rounds there is no 95 % interval, under 8 no 99 % interval.

**Paired rule.** A cell A is called slower than B only if the 99 % interval of the per-round ``log(a_i / b_i)`` lies
wholly above ``log 1.02``. Both are measured in the same round, so what slows the machine in that round cancels in the
ratio. The rule needs no variance, and one slow round cannot move the interval far. On identical code it claimed a
difference in 2 of 114 comparisons. A t-test, the Mann-Whitney test and a 5 % rule on the minimum claim one in 17 to 63
% of them, also when the measurements are interleaved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# The median of some numbers takes 1 us with the standard library and 30 us with NumPy.
from statistics import median

import numpy as np

#: Relative differences below this are not reported, however certain they are.
MATTERS = 0.02
#: A 95 % interval wider than this, relative to the median, is imprecise: rounds are added.
PRECISE = 0.10
#: Below this number of rounds the paired rule gives no verdict.
ENOUGH_ROUNDS = 8
#: A block is contended if another process had the processor for more than this part of it.
CONTENDED_SHARE = 0.05
#: Word in the place of a verdict that is withheld because too few rounds were quiet.
CONTENDED = "contended"
#: A cell is flagged ``noisy`` if the interquartile range of its rounds exceeds this part of their median.
NOISY = 0.10
#: A cell is flagged ``drift`` above this Kendall's tau between round number and value ...
DRIFT_TAU = 0.6
#: ... if, in addition, the medians of its two halves differ by more than this part of the first.
DRIFT_CHANGE = 0.10


@dataclass(frozen=True)
class Round:
    """The value of one round of a cell, in seconds per call, and whether it was quiet.

    A round is quiet if in more than half of its blocks no other process had the processor for long. In a round that is
    not, identical code may take three times as long, and differently for different lengths of block: such rounds prove
    nothing.
    """

    seconds: float
    quiet: bool = True


def round_of(seconds: Sequence[float], waited_s: Sequence[float], calls: int) -> Round:
    """Return the round of a visit: the median of its quiet blocks, or of all blocks where half or more are not.

    Parameters
    ----------
    seconds, waited_s
        Seconds of each block, and those of them in which another process had the processor; nan where the system does
        not tell, which counts as quiet.
    calls
        Calls of a block.
    """
    quiet = [s for s, w in zip(seconds, waited_s, strict=True) if not w > CONTENDED_SHARE * s]
    most = 2 * len(quiet) > len(seconds)
    return Round(median(quiet if most else seconds) / calls, most)


def quiet_pairs(a: Sequence[Round], b: Sequence[Round]) -> tuple[list[float], list[float]]:
    """Return the values of the rounds that were quiet for both of two cells; the n-th rounds belong together."""
    both = [(x.seconds, y.seconds) for x, y in zip(a, b, strict=False) if x.quiet and y.quiet]
    return [x for x, _ in both], [y for _, y in both]


def steadiest(rounds: Sequence[Round]) -> list[float]:
    """Return the values of the quiet rounds if there are enough of them for a verdict, else those of all rounds."""
    quiet = [r.seconds for r in rounds if r.quiet]
    return quiet if len(quiet) >= ENOUGH_ROUNDS else [r.seconds for r in rounds]


def paired_verdict(slower: Sequence[Round], faster: Sequence[Round]) -> str:
    """Return the verdict of `ratio_verdict` on the rounds that were quiet for both cells.

    Returns
    -------
    str
        As `ratio_verdict`; `CONTENDED` if there were enough rounds, and too few of them were quiet.
    """
    found = ratio_verdict(*quiet_pairs(slower, faster))
    return found or (CONTENDED if min(len(slower), len(faster)) >= ENOUGH_ROUNDS else "")


def paired_ratio(slower: Sequence[Round], faster: Sequence[Round]) -> tuple[float, float, float]:
    """Return the median ratio of two cells over the rounds that were quiet for both, and its 99 % interval.

    Returns
    -------
    tuple of float
        Median, lower and upper end; nan with fewer than `ENOUGH_ROUNDS` such rounds, as no verdict is given then.
    """
    ratios = [math.log(a / b) for a, b in zip(*quiet_pairs(slower, faster), strict=True)]
    if len(ratios) < ENOUGH_ROUNDS:
        return (math.nan, math.nan, math.nan)
    low, high = order_statistic_interval(ratios, 0.99)
    return (math.exp(median(ratios)), math.exp(low), math.exp(high))


def order_statistic_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the narrowest order-statistic interval of the median that covers it with ``confidence``.

    Parameters
    ----------
    values
        n values, in any order.
    confidence
        Probability of coverage, such as 0.95.

    Returns
    -------
    tuple of float
        The k-th smallest and k-th largest value, k as derived in this module's docstring; ``(nan, nan)`` if n is too
        small for the confidence.
    """
    n, ordered = len(values), sorted(values)
    # tail is P(Binomial(n, 1/2) < k + 1), at least 1/2 from k = n // 2 on.
    tail, k = 1 / 2**n, 0
    while 1 - 2 * tail >= confidence:
        k += 1
        tail += math.comb(n, k) / 2**n
    return (ordered[k - 1], ordered[n - k]) if k else (math.nan, math.nan)


def ratio_verdict(slower: Sequence[float], faster: Sequence[float]) -> str:
    """Return whether the first cell is proved slower by the paired rule, as a text for the tables.

    Parameters
    ----------
    slower, faster
        Seconds per call of each round; the n-th values are of the same round.

    Returns
    -------
    str
        ``'1.48x [1.42, 1.55]'``, median ratio and 99 % interval, if it is proved; ``'~'`` if not; ``''`` under
        `ENOUGH_ROUNDS` rounds.
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
    """Return whether the 95 % interval of the median is wider than `PRECISE` of it; True for too few values."""
    low, high = order_statistic_interval(values, 0.95)
    # The negation makes nan, of too few values, imprecise.
    return not high - low <= PRECISE * float(np.median(values))


def noisy(values: Sequence[float]) -> bool:
    """Return whether the interquartile range of the rounds exceeds `NOISY` of their median."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return bool(high - low > NOISY * middle)


def drifting(values: Sequence[float]) -> bool:
    """Return whether the rounds have a trend: a high Kendall's tau against time, and a change that matters.

    Kendall's tau is the mean of ``sign(v_j - v_i)`` over all pairs ``i < j``: 1 for rising, -1 for falling values, near
    0 without a trend. Single outliers hardly change it. Returns False under `ENOUGH_ROUNDS` rounds.
    """
    n = len(values)
    if n < ENOUGH_ROUNDS:
        return False
    signs = [np.sign(values[j] - values[i]) for i in range(n) for j in range(i + 1, n)]
    first, second = np.median(values[: n // 2]), np.median(values[n // 2 :])
    tau = abs(np.sum(signs)) / len(signs)
    return bool(tau > DRIFT_TAU and abs(second - first) > DRIFT_CHANGE * first)
