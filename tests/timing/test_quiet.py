"""Quiet rounds: those in which no other process had the processor for long; only they support a verdict."""

from __future__ import annotations

import math

import pytest

from autodiff_compare.results.rows import CellRow, SampleRow
from autodiff_compare.results.timings import series_of, timings
from autodiff_compare.timing.clock import equal_blocks
from autodiff_compare.timing.statistics import (
    CONTENDED,
    Round,
    paired_ratio,
    paired_verdict,
    quiet_pairs,
    round_of,
    steadiest,
)
from tests.report.blank import blank


@pytest.mark.parametrize(
    ("waited_s", "expected"),
    [
        ([0.0, 0.0, 0.0], Round(2.0, True)),
        ([0.0, 0.0, 0.9], Round(1.5, True)),  # the disturbed block of 9 s does not count
        ([0.05, 0.1, 0.0], Round(2.0, True)),  # 5 % is no disturbance
        ([0.0, 0.3, 0.9], Round(2.0, False)),  # most blocks are disturbed: all count, and the round proves nothing
        ([math.nan] * 3, Round(2.0, True)),  # the system does not tell
    ],
)
def test_the_value_of_a_round_is_that_of_its_quiet_blocks(waited_s: list[float], expected: Round) -> None:
    assert round_of([1.0, 2.0, 9.0], waited_s, 1) == expected


def test_a_round_with_half_of_its_blocks_disturbed_is_not_quiet() -> None:
    assert round_of([1.0, 2.0, 3.0, 10.0], [0.0, 0.0, 1.0, 1.0], 2) == Round(1.25, False)


def test_only_rounds_that_were_quiet_for_both_are_paired() -> None:
    a = [Round(1.0), Round(2.0, False), Round(3.0)]
    b = [Round(4.0, False), Round(5.0), Round(6.0)]
    assert quiet_pairs(a, b) == ([3.0], [6.0])


@pytest.mark.parametrize(
    ("quiet", "total", "verdict"),
    [(8, 8, "1.5x [1.5, 1.5]"), (8, 15, "1.5x [1.5, 1.5]"), (7, 15, CONTENDED), (0, 8, CONTENDED), (7, 7, "")],
)
def test_a_verdict_needs_eight_quiet_rounds_on_both_sides(quiet: int, total: int, verdict: str) -> None:
    slow, fast = ([Round(s, k < quiet) for k in range(total)] for s in (1.5, 1.0))
    undisturbed = [Round(1.0)] * total
    assert paired_verdict(slow, fast) == paired_verdict(slow, undisturbed) == verdict


def test_a_ratio_has_the_interval_of_99_per_cent_of_the_quiet_rounds() -> None:
    """Of 15 rounds it goes from the third smallest to the third largest: 1 - 2 P(Binomial(15, 1/2) < 3) = .9926."""
    slow = [Round(2.0 + k) for k in (8, 3, 14, 0, 11, 5, 1, 12, 7, 2, 13, 6, 10, 4, 9)]
    fast = [Round(2.0)] * 15
    disturbed = [Round(100.0, False)] * 15
    assert paired_ratio(slow + disturbed, fast + fast) == pytest.approx((4.5, 2.0, 7.0))
    assert paired_ratio(fast, slow)[1:] == pytest.approx((1 / 7, 1 / 2))
    assert all(map(math.isnan, paired_ratio(slow[:7] + disturbed, fast + fast)))
    assert not any(map(math.isnan, paired_ratio(slow[:8], fast[:8])))


def test_the_median_is_that_of_the_quiet_rounds_if_they_are_enough() -> None:
    disturbed = [Round(9.0, False)] * 9
    assert steadiest([Round(1.0)] * 8 + disturbed) == [1.0] * 8
    assert steadiest([Round(1.0)] * 7 + disturbed) == [1.0] * 7 + [9.0] * 9


def cell(backend: str, flags: str = "") -> CellRow:
    cell_id = f"p/small/float64/gradient/{backend}"
    return blank(CellRow, cell_id=cell_id, problem="p", size="small", dtype="float64", operator="gradient",
                 backend=backend, status="ok", flags=flags)  # fmt: skip


def samples(backend: str, seconds: float, quiet: int, rounds: int = 8) -> list[SampleRow]:
    cell_id = cell(backend).cell_id
    waits = [0.0 if k < quiet else seconds for k in range(rounds)]
    return [SampleRow(cell_id, "steady", k, 0, 1, seconds, waits[k]) for k in range(rounds)]


def versus(cells: list[CellRow], *taken: list[SampleRow]) -> dict[str, str]:
    found = timings(cells, [sample for part in taken for sample in part])
    return {row.cell_id.rpartition("/")[2]: row.versus_fastest for row in found}


def test_a_contended_cell_is_neither_fastest_nor_slower() -> None:
    cells = [cell("a"), cell("b"), cell("c")]
    quick = samples("a", 1.0, quiet=7)
    assert versus(cells, quick, samples("b", 2.0, quiet=8), samples("c", 3.0, quiet=8)) == {
        "a": CONTENDED, "b": "fastest", "c": "1.5x [1.5, 1.5]",
    }  # fmt: skip
    # One is left: it is compared with no other.
    assert versus(cells[:2], quick, samples("b", 2.0, quiet=8)) == {"a": CONTENDED, "b": ""}


def test_a_lone_cell_is_not_the_fastest() -> None:
    assert versus([cell("a")], samples("a", 1.0, quiet=8)) == {"a": ""}


@pytest.mark.parametrize("flag", ["lazy", "remembers"])
def test_a_time_that_is_not_that_of_the_computation_is_not_compared(flag: str) -> None:
    cells = [cell("a", f"noisy {flag}"), cell("b"), cell("c")]
    taken = (samples("a", 1.0, quiet=8), samples("b", 2.0, quiet=8), samples("c", 2.0, quiet=8))
    assert versus(cells, *taken) == {"a": "", "b": "fastest", "c": "~"}


def test_a_block_belongs_to_its_round() -> None:
    rounds = series_of(samples("a", 1.0, quiet=1, rounds=2))[cell("a").cell_id, "steady", ""]
    assert rounds == [Round(1.0, True), Round(1.0, False)]


@pytest.mark.parametrize(
    ("per_call_s", "calls"),
    [
        ([1e-6], [1000]),
        ([1e-6, 1e-6], [1000, 1000]),
        ([1e-6, 4e-3], [4000, 1]),  # both blocks last 4 ms
        ([1e-5, 0.3], [1000, 1]),  # 10 ms beside one call of 300 ms
        ([0.3, 0.2], [1, 1]),
        ([], []),
    ],
)
def test_blocks_of_a_group_last_equally_long(per_call_s: list[float], calls: list[int]) -> None:
    assert equal_blocks(per_call_s) == calls
