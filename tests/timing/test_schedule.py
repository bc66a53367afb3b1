"""The schedule of timing, by fake clocks and counted visits: how many rounds, in what order, and when they stop."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from autodiff_compare.timing.schedule import Budget, Schedule, run_rounds
from autodiff_compare.timing.statistics import Round

STEADY, WIDE = [1.0, 1.01], [1.0, 2.0]


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def around(
    schedule: Schedule,
    values: Sequence[float],
    visit: Callable[[str, int], bool] | None = None,
    quiet: Callable[[int], bool] = lambda _: True,
) -> tuple[list, list]:
    """Visits in order, and (alive, rounds), where the n-th round of each cell takes ``values[n % len]``."""
    visits: list[tuple[str, int]] = []

    def seen(key: str, number: int) -> bool:
        visits.append((key, number))
        return visit is None or visit(key, number)

    def series(key: str) -> list[Round]:
        return [Round(values[n % len(values)], quiet(n)) for k, n in visits if k == key]

    live, made = run_rounds(["a", "b", "c"], seen, series, schedule, random.Random(0))
    return visits, [sorted(live), made]


@pytest.mark.parametrize(
    ("rounds", "first_quiet", "made"),
    [
        (8, 0, 8),
        (8, 3, 11),  # until eight are quiet
        (8, 8, 16),
        (8, 9, 16),  # twice as many at most
        (15, 7, 15),
        (15, 8, 16),
        (3, 99, 3),  # too few for a verdict in any case
    ],
)
def test_rounds_are_added_until_enough_are_quiet(rounds: int, first_quiet: int, made: int) -> None:
    assert around(Schedule(rounds), STEADY, quiet=lambda n: n >= first_quiet)[1][1] == made


def test_one_cell_with_too_few_quiet_rounds_adds_rounds_for_all() -> None:
    quiet, disturbed = [Round(1.0)] * 8, [Round(1.0)] * 7 + [Round(1.0, False)]
    assert Schedule(8).continues(8, [quiet, disturbed])
    assert not Schedule(8).continues(8, [quiet, quiet])


@pytest.mark.parametrize(
    ("rounds", "values", "made"),
    [
        (3, WIDE, 3),  # few rounds were asked for: none is added
        (8, WIDE, 8),  # --quick
        (15, STEADY, 15),
        (15, WIDE, 30),  # wider than 10 % to the end: as many again, then no more
        (31, WIDE, 62),
        # 14 of 2.0 and then 1.0s: the order-statistic interval of n = 30 rounds takes the 10th smallest and largest,
        # n = 15 the 4th; it is narrow once both are 1.0, for the first time when at most k-1 are 2.0.
        (15, [2.0] * 3 + [1.0] * 100, 15),
        (15, [2.0] * 4 + [1.0] * 100, 17),  # n = 17 takes the 5th: 1 - 2 P(Binomial(17, 1/2) < 5) = 0.951
    ],
)
def test_rounds_are_added_for_precision_alone_and_only_so_many(rounds: int, values: list[float], made: int) -> None:
    visits, (_, found) = around(Schedule(rounds), values)
    assert found == made
    assert len(visits) == 3 * made


def test_one_imprecise_cell_adds_rounds_for_all() -> None:
    steady, scattered, slow = ([Round(s) for s in (values * 15)[:15]] for values in ([1.0], [1.0, 2.0], [2.0]))
    assert Schedule(15).continues(15, [steady, scattered])
    assert not Schedule(15).continues(15, [steady, slow])


def test_the_number_of_rounds_does_not_depend_on_a_difference() -> None:
    visits: list[str] = []

    def visit(key: str, number: int) -> bool:
        visits.append(key)
        return True

    speeds = {"slow": 10.0, "fast": 1.0}
    _, made = run_rounds(
        list(speeds), visit, lambda k: [Round(speeds[k])] * visits.count(k), Schedule(15), random.Random(0)
    )
    assert made == 15


def test_every_round_visits_each_living_cell_once_in_a_fresh_order() -> None:
    visits, _ = around(Schedule(20), STEADY)
    orders = ["".join(k for k, number in visits if number == n) for n in range(20)]
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(set(orders)) > 3, "the order is shuffled"
    assert visits == around(Schedule(20), STEADY)[0], "and seeded"


def test_a_cell_that_fails_is_not_visited_again_and_the_others_go_on() -> None:
    visits, (live, made) = around(Schedule(5), STEADY, lambda key, number: not (key == "b" and number == 2))
    assert (live, made) == (["a", "c"], 5)
    assert [n for k, n in visits if k == "b"] == [0, 1, 2]
    assert around(Schedule(5), STEADY, lambda key, number: False)[1] == [[], 1]


def test_no_round_begins_after_the_end_of_the_share() -> None:
    clock = FakeClock()

    def visit(key: str, number: int) -> bool:
        clock.now += 1.0
        return True

    assert around(Schedule(15, until=7.0, clock=clock), STEADY, visit)[1] == [["a", "b", "c"], 3]
    assert around(Schedule(15, until=7.0, clock=clock), STEADY, visit)[1] == [["a", "b", "c"], 0]


def test_a_budget_is_shared_out_and_what_is_left_goes_to_the_others() -> None:
    clock = FakeClock()
    budget = Budget(30.0, 3, clock)
    assert budget.begin() == 10.0
    clock.now = 4.0
    budget.end()
    clock.now = 100.0  # what is not timing costs nothing
    assert budget.begin() == 113.0
    clock.now = 140.0
    budget.end()
    assert budget.begin() == 140.0, "nothing is left"
    assert Budget(10.0, 1, clock).begin() == 150.0, "the last group has all that is left"
    assert Budget(None, 2, clock).begin() == math.inf
