"""Shares of a campaign, as JSON, add up to the campaign on one host."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest

from autodiff_compare.cli.verbs.trials.campaigns import written
from autodiff_compare.fuzzing.campaign import Campaign, Scope
from autodiff_compare.fuzzing.findings import Findings
from autodiff_compare.fuzzing.generator import Recipe
from autodiff_compare.fuzzing.record import fuzz_rows
from autodiff_compare.fuzzing.searched import Searched
from autodiff_compare.results.store import RunFolder
from tests.fuzzing.test_campaign import campaign, faulty

#: Three batches of programs, two of one dtype and one of the other.
SCOPE = Scope(7, Recipe(("elementwise",), awkward=0.0, longest=2), ("float64", "float32"), programs=60)


@pytest.fixture(scope="module")
def whole() -> Campaign:
    return campaign(faulty("tanh", "exp"), SCOPE)


@pytest.mark.parametrize("parts", [2, 4])
def test_the_shares_add_up_to_the_campaign(parts: int, whole: Campaign) -> None:
    """With four shares of three batches one is empty."""
    found = Searched(("numpy",), Findings())
    for part in range(parts):
        share = campaign(faulty("tanh", "exp"), dataclasses.replace(SCOPE, part=part, parts=parts))
        found.take_up(json.loads(json.dumps(share.as_data())))
    assert (found.count, found.outcomes) == (60, whole.outcomes)
    assert list(fuzz_rows(found, "run")) == list(fuzz_rows(whole, "run"))
    assert found.coverage.pairs == whole.coverage.pairs
    assert {f.key.operations for f in found.findings} == {f.key.operations for f in whole.findings}
    numbers = lambda some: sorted(number for finding in some for number in finding.numbers)  # noqa: E731
    assert numbers(found.findings) == numbers(whole.findings)
    assert sum(sum(f.seen.values()) for f in found.findings) == sum(sum(f.seen.values()) for f in whole.findings)


def test_what_is_known_stays_known(whole: Campaign) -> None:
    found = Searched(("numpy",), Findings(list(whole.findings)))
    found.take_up(whole.as_data())
    assert len(found.findings) == 2
    assert found.findings.new == []


def test_findings_of_two_machines_are_counted_apart_and_written_once(whole: Campaign, tmp_path: pathlib.Path) -> None:
    folder, earlier = RunFolder(tmp_path), {}
    for machine in ("a", "b"):
        found = Searched(("numpy",), Findings())
        for _ in range(1 if machine == "a" else 2):
            found.take_up(whole.as_data())
        written(found, folder, {}, earlier, machine)
    folder.close()
    rows = folder.rows["findings"]
    assert [(row.machine, row.number) for row in rows] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert [sum(json.loads(row.seen).values()) for row in rows[2:]] == [
        2 * sum(json.loads(row.seen).values()) for row in rows[:2]
    ]
    assert sorted(path.name for path in (folder.path / "findings").iterdir()) == ["001", "002"]
    assert {row.machine for row in folder.rows["fuzz"]} == {"a", "b"}
