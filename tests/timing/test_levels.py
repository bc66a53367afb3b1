"""Change points: the fewest levels that the intervals of the runs allow, at the place with the least deviation."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest

from autodiff_compare.timing.levels import Measured, levels


def _runs(medians: Sequence[float], half: float = 0.01) -> list[Measured]:
    return [Measured(m, m * (1 - half), m * (1 + half)) for m in medians]


@pytest.mark.parametrize(
    ("medians", "starts"),
    [
        ([], []),
        ([10], [0]),
        ([10, 10.3, 9.9, 13, 13.1], [0, 3]),
        # 11.2 (1 - .01) = 11.088 > 1.1 * 10 (1 + .01) = 11.11 is false: within the intervals and the threshold.
        ([10, 11.2], [0]),
        ([10, 11.3], [0, 1]),
        ([11.3, 10], [0, 1]),
        ([10, 10, 20, 10, 10], [0, 2, 3]),
        # A creep of 4 % a run: no two neighbours are apart, the ends are.
        ([10, 10.4, 10.8, 11.2, 11.6, 12.1], [0, 3]),
        # The middle run could belong to either side: it is nearer to the right one.
        ([10, 10, 11.0, 11.5, 11.5], [0, 2]),
    ],
)
def test_levels_of_made_series(medians: list[float], starts: list[int]) -> None:
    assert levels(_runs(medians), 0.1) == starts


def _by_search(series: Sequence[Measured], threshold: float) -> tuple[int, float]:
    """Return the least number of levels and the least deviation with so many, by trying every partition."""
    n = len(series)
    found = []
    for cuts in itertools.product((False, True), repeat=n - 1):
        starts = [0, *(k + 1 for k, cut in enumerate(cuts) if cut)]
        parts = [series[a:b] for a, b in itertools.pairwise([*starts, n])]
        if all(max(m.low for m in p) <= (1 + threshold) * min(m.high for m in p) for p in parts):
            logs = [[math.log(m.median) for m in p] for p in parts]
            found.append((len(parts), sum(abs(x - statistics.median(part)) for part in logs for x in part)))
    return min(found)


@pytest.mark.parametrize("seed", range(20))
def test_the_levels_are_those_of_a_search_through_all_partitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    series = _runs(np.exp(rng.normal(0, 0.12, 8)).tolist(), half=0.02)
    starts = levels(series, 0.1)
    parts = [series[a:b] for a, b in itertools.pairwise([*starts, len(series)])]
    logs = [[math.log(m.median) for m in p] for p in parts]
    own = sum(abs(x - statistics.median(part)) for part in logs for x in part)
    assert (len(starts), own) == pytest.approx(_by_search(series, 0.1))
