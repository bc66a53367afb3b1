"""Statistics of rounds, against exact binomial probabilities and simulated rounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autodiff_compare.timing.statistics import (
    drifting,
    imprecise,
    noisy,
    order_statistic_interval,
    ratio_verdict,
)


@pytest.mark.parametrize(
    ("n", "confidence", "k"),
    # 1 - 2 P(Binomial(n, 1/2) < k), by hand: n=2: .5; n=6: .96875; n=8: .9921875 (k=1), .9297 (k=2); n=15: .9648 (k=4).
    [(2, 0.5, 1), (5, 0.95, 0), (6, 0.95, 1), (8, 0.99, 1), (8, 0.95, 1), (15, 0.95, 4), (7, 0.99, 0)],
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


@pytest.mark.parametrize(("ratio", "claimed"), [(1.015, False), (1.025, True), (1.1, True)])
def test_two_per_cent_is_the_least_difference_that_is_claimed(ratio: float, claimed: bool) -> None:
    base = [1e-6 * (1.0 + 0.01 * i) for i in range(8)]
    assert (ratio_verdict([ratio * b for b in base], base) != "~") == claimed


def test_rounds_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio_verdict([2.0] * 9, [1.0] * 8)


#: Microseconds: a bound that is not relative to the median would show.
UNIT = 1e-6
RISING = [1.0 + 0.1 * i for i in range(8)]
#: Rounds, and whether they drift. Of 28 pairs of 8 rounds, d in falling order give Kendall's tau (28 - 2 d) / 28.
DRIFTS = [
    ("rising", RISING, True),
    ("falling", RISING[::-1], True),
    ("5 pairs fall: tau .643", [RISING[i] for i in (2, 1, 0, 4, 3, 6, 5, 7)], True),
    ("6 pairs fall: tau .571", [RISING[i] for i in (2, 1, 0, 5, 4, 3, 6, 7)], False),
    ("seven rounds", RISING[:7], False),
    ("no trend", [1.0, 1.2] * 4, False),
    ("a jump without a trend", [1.0, 1.3, 1.2, 1.1, 1.6, 1.5, 1.4, 1.35], False),
    ("halves 9.4 % apart", [1.00, 1.01, 1.02, 1.03, 1.09, 1.10, 1.12, 1.13], False),
    ("halves 10.8 % apart", [1.00, 1.01, 1.02, 1.03, 1.11, 1.12, 1.13, 1.14], True),
    ("1 % in all", [1.0 + 0.0014 * i for i in range(8)], False),
]


@pytest.mark.parametrize(("rounds", "drifts"), [d[1:] for d in DRIFTS], ids=[d[0] for d in DRIFTS])
def test_drift_is_a_trend_and_a_change_of_a_tenth(rounds: list[float], drifts: bool) -> None:
    assert drifting([UNIT * v for v in rounds]) is drifts


@pytest.mark.parametrize(
    ("rounds", "flagged"),
    # NumPy's quartiles of five values are the second and the fourth.
    [([1.0, 1.0, 1.04, 1.09, 2.0], False), ([0.1, 1.0, 1.04, 1.11, 1.11], True), ([1.0, 2.0, 1.0, 2.0], True)],
)
def test_noise_is_an_interquartile_range_above_a_tenth_of_the_median(rounds: list[float], flagged: bool) -> None:
    assert noisy([UNIT * v for v in rounds]) is flagged


@pytest.mark.parametrize(
    ("rounds", "wide"),
    # The 95 % interval of six rounds goes from the least to the greatest; five rounds have none.
    [([1.0, 1.05, 1.05, 1.05, 1.05, 1.1], False), ([1.0, 1.05, 1.05, 1.05, 1.05, 1.12], True), ([1.0] * 5, True)],
)
def test_an_interval_above_a_tenth_of_the_median_is_imprecise(rounds: list[float], wide: bool) -> None:
    assert imprecise([UNIT * v for v in rounds]) is wide
