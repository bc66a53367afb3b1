"""The ratio of a derivative to its value: per round, over rounds that were quiet for both."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from autodiff_compare.execution.progress import blank_row
from autodiff_compare.plan.cases import Cell
from autodiff_compare.results.rows import CellRow, SampleRow
from autodiff_compare.results.timings import timings
from autodiff_compare.vocabulary import Operator, Phase, Status


def row(operator: Operator) -> CellRow:
    return replace(blank_row("run", 1, Cell("sphere", "small", "float64", operator, "numpy"), None), status=Status.OK)


VALUE, GRADIENT = row(Operator.VALUE), row(Operator.GRADIENT)


def samples(cell: CellRow, phase: Phase, seconds: list[float], calls: int = 1, waited: int = 0) -> list[SampleRow]:
    """Return one block for each round; in the first ``waited`` ones another process had the processor for half."""
    return [
        SampleRow(cell.cell_id, phase, number, 0, calls, s * calls, 0.5 * s * calls if number < waited else 0.0)
        for number, s in enumerate(seconds)
    ]


def ratio(rows: list[SampleRow]) -> float:
    (found,) = (
        t.ratio_to_value
        for t in timings([VALUE, GRADIENT], rows)
        if t.cell_id == GRADIENT.cell_id and t.phase == Phase.STEADY
    )
    return found


#: A machine that slows down from round to round; the derivative takes four times its value throughout.
DRIFT = [1.0 + 0.5 * number for number in range(12)]
STEADY = [4.0 * s for s in DRIFT]


@pytest.mark.parametrize(
    ("waits_steady", "waits_value", "expected"),
    [(0, 0, 4.0), (4, 0, 4.0), (0, 4, 4.0), (5, 0, math.nan), (0, 5, math.nan)],
)
def test_it_is_taken_round_by_round_where_both_were_quiet(waits_steady: int, waits_value: int, expected: float) -> None:
    rows = samples(GRADIENT, Phase.STEADY, STEADY, waited=waits_steady)
    rows += samples(GRADIENT, Phase.VALUE, DRIFT, calls=5, waited=waits_value)
    # The value's own cell was timed minutes ago, on a faster machine: it does not count.
    rows += samples(VALUE, Phase.STEADY, [0.1] * 12)
    assert ratio(rows) == pytest.approx(expected, nan_ok=True)


def test_a_value_that_was_not_timed_beside_it_gives_none() -> None:
    rows = samples(GRADIENT, Phase.STEADY, STEADY) + samples(VALUE, Phase.STEADY, DRIFT)
    assert math.isnan(ratio(rows))


def test_the_value_itself_is_the_unit_and_its_blocks_beside_a_derivative_have_no_row() -> None:
    rows = samples(VALUE, Phase.STEADY, DRIFT) + samples(GRADIENT, Phase.STEADY, STEADY)
    found = timings([VALUE, GRADIENT], rows + samples(GRADIENT, Phase.VALUE, DRIFT))
    assert [(t.cell_id, t.phase) for t in found] == [
        (VALUE.cell_id, Phase.STEADY),
        (GRADIENT.cell_id, Phase.STEADY),
    ]
    assert [t.ratio_to_value for t in found] == [1.0, 4.0]


def test_under_eight_rounds_it_is_taken_from_those_that_there_are() -> None:
    rows = samples(GRADIENT, Phase.STEADY, STEADY[:3]) + samples(GRADIENT, Phase.VALUE, DRIFT[:3])
    assert ratio(rows) == 4.0
