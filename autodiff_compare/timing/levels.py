"""Change points of a series of runs: where the time of a cell has moved to another level.

*What is one level.* Run k measures a median x_k, known to lie in the interval [l_k, u_k] (99 %, by order statistics).
Even with unchanged code, two runs may differ by a factor f = 1 + threshold, since a restarted process has another
layout in memory, on a machine in another state. So runs i to j may be one level exactly if medians m_k in their
intervals can be chosen with ``max m <= f min m``. That is possible if and only if::

    max l_k <= f min u_k

For two runs this is the rule by which ``diff`` claims nothing.

*Which levels.* Of all partitions into levels, those with the fewest are taken, since each change is a claim. Of these,
the one with the least sum of

    | log x_k - median of log x over the level of k |

says where the changes are. With ``best[j]`` the least pair (number of levels, sum) over runs 0 to j - 1, compared in
this order, ``best[j]`` is the least of ``best[i] + (1, cost(i, j))`` over all i from which runs i to j - 1 may be one
level (optimal partitioning: Jackson et al. 2005, *An algorithm for optimal partitioning of data on an interval*). This
is exact, and takes at most n^2 / 2 costs for n runs.

Example: medians 10, 10.3, 9.9, 13, 13.1 with intervals of 1 % and f = 1.1. The fourth run cannot be of the level of the
third, since 12.87 > 1.1 * 9.999, and both sides hold together: two levels, which begin at runs 0 and 3.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """The time of a cell in one run, in seconds: the median, and the ends of its interval."""

    median: float
    low: float
    high: float


def levels(series: Sequence[Measured], threshold: float) -> list[int]:
    """Return the index of the first run of each level, beginning with 0; empty for no runs.

    Parameters
    ----------
    series
        The runs in their order in time; all numbers are positive.
    threshold
        Relative change, such as 0.1, that is no change of level.
    """
    # For the runs before each index: number of levels, sum of deviations, start of the last level.
    best: list[tuple[int, float, int]] = [(0, 0.0, 0)]
    for end in range(1, len(series) + 1):
        options = []
        low, high = -math.inf, math.inf
        for start in range(end - 1, -1, -1):
            low, high = max(low, series[start].low), min(high, series[start].high)
            if low > (1 + threshold) * high:
                break
            before = best[start]
            options.append((before[0] + 1, before[1] + _deviation(series[start:end]), start))
        best.append(min(options))
    return _starts(best)


def _deviation(part: Sequence[Measured]) -> float:
    logs = [math.log(run.median) for run in part]
    middle = statistics.median(logs)
    return sum(abs(x - middle) for x in logs)


def _starts(best: Sequence[tuple[int, float, int]]) -> list[int]:
    found: list[int] = []
    end = len(best) - 1
    while end:
        end = best[end][2]
        found.append(end)
    return found[::-1]
