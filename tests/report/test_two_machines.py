"""No number that is shown of a run is computed from two machines.

A run on machines A and B is drawn at random, and every number that B has measured is changed. Nothing that is said of
A changes, and nothing that is said of both: whatever still differs stands under the name of B.
"""

from __future__ import annotations

import dataclasses
import io
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from autodiff_compare.cli import output
from autodiff_compare.cli.verbs.runs import diff, history
from autodiff_compare.report import contents, markdown, side_by_side
from autodiff_compare.report.page import record
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.report.page.grids import Grid
from autodiff_compare.report.page.page import Page, Section
from autodiff_compare.report.page.style import Picture
from autodiff_compare.report.write import write
from autodiff_compare.results.frames.tidy import tidy
from autodiff_compare.results.machines import split
from autodiff_compare.results.ratios import ratios
from autodiff_compare.results.tables import read_all
from autodiff_compare.results.timings import timings
from autodiff_compare.summary.recommendation import NothingRight, recommendation
from autodiff_compare.summary.run import summary
from tests.report.two_machines import A, B, Rows, as_json, drawn, folder, perturbed

SEEDS = (1, 2)


@pytest.fixture(scope="module", params=SEEDS)
def rows(request: pytest.FixtureRequest) -> Rows:
    return drawn(request.param)


@pytest.fixture(scope="module")
def before(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return folder(tmp_path_factory.mktemp("before"), rows)


@pytest.fixture(scope="module")
def after(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The run in which B, and nothing of A, has other numbers."""
    return folder(tmp_path_factory.mktemp("after"), perturbed(rows, B.key))


def test_every_column_of_the_timings_is_of_one_machine(rows: Rows) -> None:
    """Also where both have timed a cell, and where the cells of a group come from both."""
    other = perturbed(rows, B.key)
    first, second = (timings(r["cells"], r["samples"]) for r in (rows, other))
    for key, same in ((A.key, True), (B.key, False)):
        own = [as_json([t for t in found if t.machine == key]) for found in (first, second)]
        assert (own[0] == own[1]) == same
        assert own[0] != []
    assert {t.machine for t in first if t.ratio_to_fastest == t.ratio_to_fastest} == {A.key, B.key}, "both compare"


def test_the_rows_would_show_a_joined_number(rows: Rows) -> None:
    """A control: where all rows name one machine, the changed numbers of B do change what is said of A."""
    machine = {c.cell_id: c.machine for c in rows["cells"]}
    first, second = (
        timings(*([dataclasses.replace(row, machine="") for row in r[name]] for name in ("cells", "samples")))
        for r in (rows, perturbed(rows, B.key))
    )
    for column in ("median_s", "ratio_to_value", "ratio_to_fastest", "versus_fastest"):
        pairs = zip(first, second, strict=True)
        changed = {x.cell_id for x, y in pairs if repr(getattr(x, column)) != repr(getattr(y, column))}
        assert any(machine.get(cell_id) == A.key for cell_id in changed), column


def test_a_time_over_the_hand_written_one_is_of_one_machine(rows: Rows) -> None:
    machine = {c.cell_id: c.machine for c in rows["cells"]}
    first, second = (ratios(r["cells"], r["samples"]) for r in (rows, perturbed(rows, B.key)))
    for group, found in first.items():
        by_hand = machine["/".join((*group, "manual"))]
        assert {machine["/".join((*group, spec))] for spec in found} == {by_hand}
        assert (found == second[group]) == (by_hand == A.key)


def blocks(path: pathlib.Path) -> dict[str, str]:
    """Return the summary in the terminal, by the machine that a part is of; what is of none has an empty name."""
    out = io.StringIO()
    summary.show(path, Console(file=out, width=80, highlight=False, markup=False, emoji=False))
    text, _, last = out.getvalue().rpartition("2 machines, whose times are not compared.")
    said, _, of_b = " ".join(last.split()).partition("Machine 2: ")
    head, of_a = text.partition("Machine 1: ")[::2]
    of_a, _, of_b_tables = of_a.partition("Machine 2: ")
    return {"": head, "A": of_a + said, "B": of_b_tables + of_b}


def test_the_summary_says_nothing_of_two_machines(before: pathlib.Path, after: pathlib.Path) -> None:
    first, second = blocks(before), blocks(after)
    assert {name for name, text in first.items() if text != second[name]} == {"B"}
    assert "Fast 9000" in first["A"]
    assert "cells agree with their references" in first["A"]
    assert all(len(line) <= 80 for line in first["A"].splitlines()[:-1])


def texts(page: Page) -> Iterator[str]:
    """Yield what a page says: its tables, the sentences of its figures, and its paragraphs."""
    yield from (page.title, page.found, *page.faults, *page.gaps)
    yield from (text for section in page.sections for text in _texts(section))


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, Section):
        yield f"{part.title} {part.lead}"
        for inner in part.parts:
            yield from _texts(inner)
    elif isinstance(part, Picture):
        yield f"{part.title}: {part.sentence}"
    elif isinstance(part, Chart):
        yield f"{part.title}: {part.sentence} {json.dumps(part.spec)}"
    else:
        yield f"{part.title} {part.columns} {part.rows} {part.note}" if isinstance(part, Grid) else str(part)


def test_the_page_of_a_machine_is_of_that_machine(before: pathlib.Path, after: pathlib.Path) -> None:
    first, second = record.read_all(before), record.read_all(after)
    assert [r.machine.key for r in first] == [A.key, B.key]
    (a, b), (same, other) = ([[*texts(contents.page(r))] for r in records] for records in (first, second))
    assert a == same
    assert b != other
    stated = ("the time grows", "No growth is stated")  # the latter where every time is flagged
    assert any(words in text for text in a for words in stated)
    assert any("Performance profile" in text for text in a)


def test_the_side_by_side_page_joins_nothing(before: pathlib.Path, after: pathlib.Path) -> None:
    first, second = ([*texts(side_by_side.page(record.read_all(path)))] for path in (before, after))
    # Every text that differs says that it is of machine 2, or has no other numbers than its.
    changed = [x for x, y in zip(first, second, strict=True) if x != y]
    assert changed
    for text in changed:
        assert "two, machine 2" in text or text.startswith("cells ("), text[:200]
    assert "Run two on 2 machines" in first
    assert not any("/ two, machine 1" in text for text in first)
    a, b = (markdown.summary(record.read_all(path)).partition("# autodiff-compare: run two, machine 2") for path in
            (before, after))  # fmt: skip
    assert a[0] == b[0]
    assert a[2] != b[2]


def test_a_recommendation_is_of_one_machine(rows: Rows, before: pathlib.Path, after: pathlib.Path) -> None:
    machine = {c.cell_id: c.machine for c in rows["cells"]}
    seen, tables = set(), [read_all(path) for path in (before, after)]
    for problem, size in {(c.problem, c.size) for c in rows["cells"]}:
        found: list[Any] = []
        for run in tables:
            try:
                found.append(recommendation(run, problem, 100, "gradient", size))
            except NothingRight as error:
                found.append(str(error))
        if isinstance(found[0], str):
            assert found[0] == found[1]
            continue
        (key,) = {machine[f"{problem}/{size}/float64/gradient/{c.spec}"] for c in found[0].ranked}
        seen.add(key)
        if key == A.key:
            assert repr(found[0]) == repr(found[1])
        elsewhere = {spec for spec, why in found[0].left_out.items() if "another machine" in why}
        assert {machine[f"{problem}/{size}/float64/gradient/{spec}"] for spec in elsewhere} <= {A.key, B.key} - {key}
    assert seen == {A.key, B.key}


def test_records_for_programs_are_of_one_machine(before: pathlib.Path, after: pathlib.Path) -> None:
    first, second = (
        [json.dumps({**r, "folder": ""}, default=str) for r in output.results(path)] for path in (before, after)
    )
    keys = [json.loads(text)["machine"] for text in first]
    assert [x == y for x, y in zip(first, second, strict=True)] == [key == A.key for key in keys]


def test_tidy_rows_are_of_one_machine(before: pathlib.Path, after: pathlib.Path) -> None:
    first, second = (tidy(read_all(path)) for path in (before, after))
    for key, same in ((A.key, True), (B.key, False)):
        own = [frame[frame["machine"] == key].to_csv() for frame in (first, second)]
        assert (own[0] == own[1]) == same
    assert set(first.loc[first["ratio"] > 1, "machine"]) == {A.key, B.key}


def test_two_such_runs_are_compared_machine_by_machine(before: pathlib.Path, after: pathlib.Path) -> None:
    a, b = diff.recorded(before), diff.recorded(after)
    assert diff.reasons(a, b) == []
    for change in diff.changes(a, b):
        assert a.machines[change.cell_id] == B
    parts = diff.sentence(a, b, diff.changes(a, b))
    assert f"median ratio of all B/A 1 on machine {A.key}" in parts


def test_a_history_is_of_one_machine(rows: Rows, before: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The second run has computed every cell on the other machine: nothing of the first run counts."""
    moved = {A.key: B.key, B.key: A.key, "": ""}
    other = {
        name: [dataclasses.replace(r, machine=moved[r.machine]) for r in rows[name]] for name in ("cells", "samples")
    }
    past = [
        history.Past(name, run.run, run)
        for name, run in (("1", diff.recorded(before)), ("2", diff.recorded(folder(tmp_path, {**rows, **other}))))
    ]
    found = history.series(past, (), 0.1)
    assert found
    assert {one.runs for one in found} == {("2",)}
    assert [one.runs for one in history.series([past[0], past[0]], (), 0.1)] == [("1", "1")] * len(found)


def test_each_part_holds_the_rows_of_its_machine(before: pathlib.Path) -> None:
    tables = read_all(before)
    parts = split(tables)
    assert list(parts) == [A.key, B.key]
    for name, frame in tables.items():
        if "machine" in frame.columns:
            assert sum(len(part[name]) for part in parts.values()) == len(frame)
            assert all(set(part[name]["machine"]) <= {key} for key, part in parts.items())


def test_the_report_has_a_page_for_each_machine(tmp_path: pathlib.Path) -> None:
    rows = drawn(1)
    kept = [c for c in rows["cells"] if c.problem == "sphere" and c.operator == "gradient"]
    made = folder(tmp_path, {**rows, "cells": kept, "samples": [], "checks": [], "descents": [], "steps": []})
    path = write([made], tmp_path)
    assert path == made / "report.html"
    whole = path.read_text(encoding="utf-8")
    assert all(f"Its whole page is two/machine-{k}/report.html." in whole for k in (1, 2))
    for k, machine in enumerate((A, B), 1):
        page = (made / f"machine-{k}" / "report.html").read_text(encoding="utf-8")
        assert machine.hostname in page
        assert {A: B, B: A}[machine].hostname not in page
