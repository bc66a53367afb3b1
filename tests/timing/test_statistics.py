"""Statistics of rounds, against exact binomial probabilities and simulated rounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autodiff_compare.timing.statistics import drifting, noisy, order_statistic_interval, ratio_verdict


@pytest.mark.parametrize(
    ("n", "confidence", "k"),
    # 1 - 2 P(Binomial(n, 1/2) < k), by hand: n=6: .96875; n=8: .9921875 (k=1), .9297 (k=2); n=15: .9648 (k=4).
    [(5, 0.95, 0), (6, 0.95, 1), (8, 0.99, 1), (8, 0.95, 1), (15, 0.95, 4), (7, 0.99, 0)],
)
def test_the_interval_takes_the_largest_order_that_keeps_the_confidence(n: int, confidence: float, k: int) -> None:
    values = [float(v) for v in np.random.default_rng(0).permutation(n)]
    low, high = order_statistic_interval(values, confidence)
    if k == 0:
        assert math.isnan(low)
        assert math.isnan(high)
    else:
        assert (low, high) == (k - 1, n - k)


def test_interval_covers_the_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    draws = rng.standard_exponential((4000, 15))
    hits = [low <= math.log(2) <= high for low, high in (order_statistic_interval(d, 0.95) for d in draws)]
    assert np.mean(hits) >= 0.95


def test_slower_is_claimed_only_if_the_rounds_agree() -> None:
    base = [1.0 + 0.01 * i for i in range(8)]
    assert ratio_verdict([1.5 * b for b in base], base).startswith("1.5x [1.5, 1.5]")
    assert ratio_verdict([1.01 * b for b in base], base) == "~"
    assert ratio_verdict([*(1.5 * b for b in base[:-1]), base[-1]], base) == "~"
    assert ratio_verdict([2.0] * 7, [1.0] * 7) == ""


def test_identical_programs_are_rarely_called_different() -> None:
    rng = np.random.default_rng(2)
    claims = [
        ratio_verdict(list(rng.lognormal(0, 0.1, 8)), list(rng.lognormal(0, 0.1, 8))) not in ("", "~")
        for _ in range(2000)
    ]
    assert np.mean(claims) <= 0.01


def test_flags() -> None:
    assert noisy([1.0, 2.0, 1.0, 2.0])
    assert not noisy([1.0, 1.01, 1.02, 1.0])
    assert drifting([1.0 + 0.1 * i for i in range(8)])
    assert not drifting([1.0, 1.2] * 4)
