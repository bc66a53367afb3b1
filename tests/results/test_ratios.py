"""Times relative to the hand-written gradient: paired by round, for right results only."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from autodiff_compare.results.ratios import in_words, markdown, ratios
from autodiff_compare.results.rows import CellRow, SampleRow
from tests.report.blank import blank


def _cell(spec: str, status: str = "ok", problem: str = "p", flags: str = "") -> CellRow:
    backend, _, variant = spec.partition(":")
    return dataclasses.replace(
        blank(CellRow),
        cell_id=f"{problem}/small/float64/gradient/{spec}",
        problem=problem,
        size="small",
        dtype="float64",
        operator="gradient",
        backend=backend,
        variant=variant,
        status=status,
        flags=flags,
    )


def _samples(spec: str, seconds: list[float], problem: str = "p", phase: str = "steady") -> list[SampleRow]:
    """One block of ten calls a round."""
    of: Any = {"cell_id": f"{problem}/small/float64/gradient/{spec}", "phase": phase, "calls": 10}
    return [dataclasses.replace(blank(SampleRow), round=i, seconds=10 * s, **of) for i, s in enumerate(seconds)]


def test_rounds_are_paired_and_the_median_counts() -> None:
    # The machine is ten times slower in the second round; ratios are 2, 3 and 4 all the same.
    cells = [_cell("manual"), _cell("numpy:compiled"), _cell("torch", status="wrong"), _cell("jax")]
    samples = [
        *_samples("manual", [1.0, 10.0, 1.0]),
        *_samples("numpy:compiled", [2.0, 30.0, 4.0]),
        *_samples("torch", [1.0, 1.0, 1.0]),
        *_samples("jax", [0.5, 5.0, 0.25, 9.0]),
        *_samples("jax", [100.0], phase="first_call"),
    ]
    assert ratios(cells, samples) == {("p", "small", "float64", "gradient"): {"numpy:compiled": 3.0, "jax": 0.5}}


@pytest.mark.parametrize("status", ["unsupported", "wrong"])
def test_without_a_right_time_by_hand_there_is_no_ratio(status: str) -> None:
    cells = [_cell("manual", status=status), _cell("jax")]
    assert ratios(cells, [*_samples("manual", [1.0]), *_samples("jax", [1.0])]) == {}
    assert ratios([_cell("manual")], _samples("manual", [1.0])) == {}


@pytest.mark.parametrize(
    ("flags", "found"), [("noisy threads", {"jax": 0.5}), ("lazy", None), ("noisy remembers", None)]
)
def test_a_time_that_is_not_of_the_computation_has_no_ratio(flags: str, found: dict[str, float] | None) -> None:
    samples = [*_samples("manual", [1.0]), *_samples("jax", [0.5])]
    expected = {} if found is None else {("p", "small", "float64", "gradient"): found}
    assert ratios([_cell("manual"), _cell("jax", flags=flags)], samples) == expected
    if found is None:
        assert ratios([_cell("manual", flags=flags), _cell("jax")], samples) == {}


def test_the_table_has_a_column_for_each_backend() -> None:
    found = {
        ("p", "small", "float64", "gradient"): {"numpy": 1.234},
        ("q", "large", "float64", "gradient"): {"jax": 250.0},
    }
    assert markdown(found).splitlines() == [
        "| problem | size | numpy | jax |",
        "|---|---|---|---|",
        "| p | small | 1.23 | - |",
        "| q | large | - | 250 |",
    ]
    assert [in_words(x) for x in (0.0123456, 99.44, 1234.5, float("nan"))] == ["0.0123", "99.4", "1234", "-"]
