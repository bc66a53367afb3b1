"""The exponent of a time against the size, on times whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autodiff_compare.timing.growth import Growth, growth

SIZES = np.unique(np.round(np.geomspace(10, 1e6, 7)))


def of(seconds: np.ndarray, sizes: np.ndarray = SIZES, bar: float = math.nan) -> Growth:
    return growth(list(sizes), list(seconds), list(seconds * (1 - bar)), list(seconds * (1 + bar)))


@pytest.mark.parametrize(
    ("fixed", "factor", "power"),
    [
        (10e-6, 1e-9, 1.0),  # a line through log-log has the slope 0.38 here
        (0.0, 1e-9, 1.0),
        (5e-6, 1e-9, 2.0),
        (5e-6, 2e-10, 1.5),
        (1e-5, 3e-8, 0.5),
    ],
)
def test_the_exponent_of_an_exact_law_is_found_beside_its_fixed_cost(fixed: float, factor: float, power: float) -> None:
    found = of(fixed + factor * SIZES**power)
    assert found.exponent == pytest.approx(power, abs=0.011), "the step of the grid"
    assert found.low <= power <= found.high
    assert found.fixed_s == pytest.approx(fixed, rel=0.05, abs=0.02 * factor * 10**power)
    assert (found.first, found.last, found.sizes) == (10, 1e6, 7)


def test_intervals_hold_the_exponent_as_often_as_they_say() -> None:
    """95 of 100; of 40, 33 or more with a probability above 0.999."""
    rng = np.random.default_rng(1)
    law = 5e-6 + 2e-9 * SIZES
    found = [of(law * np.exp(0.03 * rng.normal(size=len(SIZES)))) for _ in range(40)]
    assert all(g.determined for g in found)
    assert sum(g.low <= 1 <= g.high for g in found) >= 33


def test_a_known_error_of_the_times_widens_the_interval() -> None:
    law = 5e-6 + 2e-9 * SIZES
    narrow, wide = of(law), of(law, bar=0.1)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert wide.low <= 1 <= wide.high


@pytest.mark.parametrize(
    ("sizes", "seconds", "words"),
    [
        (SIZES, np.full(7, 1e-3), "not determined"),  # nothing grows
        (SIZES, 1e-3 + 1e-12 * SIZES, "not determined"),  # by 0.1 % at the last size
        (SIZES[:3], 1e-9 * SIZES[:3], "under 4 quiet sizes"),
        (SIZES, 1e-3 / SIZES, "not determined"),  # it falls
        (SIZES[:0], SIZES[:0], "under 4 quiet sizes"),
    ],
)
def test_no_exponent_is_stated_where_none_is_determined(sizes: np.ndarray, seconds: np.ndarray, words: str) -> None:
    bar = 0.02
    found = of(seconds, sizes, bar)
    assert not found.determined
    assert str(found) == words
    assert math.isnan(found.exponent)


def test_it_reads_as_a_power() -> None:
    assert str(Growth(1.02, 0.97, 1.08, 1e-6, 10, 1e6, 7)) == "n^1.02 [0.97, 1.08]"
