"""The tables as Python code uses them: frames, recommendation, Markdown, HTML, a report, a stored run."""

from __future__ import annotations

import html.parser
import pathlib
from typing import Any

import pytest

import autodiff_compare
from autodiff_compare.api.advice import Advice, Crossover
from autodiff_compare.api.numbers import sizes
from autodiff_compare.api.tables import Tables
from autodiff_compare.results.rows import TABLES
from autodiff_compare.results.tables import TableError
from tests.summary.test_recommend import EAGER, QUIET, TRACED, run

ROOT = pathlib.Path(__file__).parents[2]


def test_every_table_is_an_attribute_with_the_keys(tmp_path: pathlib.Path) -> None:
    tables = Tables(run(tmp_path, EAGER, TRACED), None)
    assert list(tables) == list(TABLES)
    for name in TABLES:
        assert getattr(tables, name) is tables[name]
    assert tables.checks.query("backend == 'jax' and n == 3")["verdict"].size == 1
    with pytest.raises(AttributeError, match="got 'nosuch', expected one of: runs, machines, cells"):
        _ = tables.nosuch  # type: ignore[attr-defined]
    # A copy: a reader's columns do not come back.
    own = tables.tidy()
    own["mine"] = 1
    assert "mine" not in tables.tidy()


def test_a_recommendation_is_an_object_that_reads_as_a_text(tmp_path: pathlib.Path) -> None:
    """0.5 s once against 100 us a call: from 1 + 0.499 / 90e-6 = 5546 calls on, the traced one is cheaper."""
    found = Tables(run(tmp_path, EAGER, TRACED), None).recommend(calls=100_000)
    assert isinstance(found, Advice)
    assert (found.best, found.sure, found.equals, found.calls) == ("jax", True, (), 100_000)
    assert found.crossovers == (Crossover(5546, "jax"),)
    assert str(found).startswith("Take jax: 1.5 s for 100 000 calls")
    assert repr(found) == str(found)
    costs = found.costs.set_index("backend")
    assert list(costs.index) == ["jax", "torch"]
    assert costs.loc["torch", "total_s"] == pytest.approx(1e-3 + 99_999 * 100e-6, rel=0.01)
    assert costs.loc["jax", "once_s"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("second", "calls", "sure"),
    [
        (TRACED, 9_000, False),  # not if the first call takes twice as long
        ({**TRACED, "scatter": QUIET[:3]}, 100_000, False),  # too few rounds
        ({"spec": "jax", "once": 1e-3, "steady": 100.5e-6}, 100_000, False),  # half a per cent
        ({"spec": "jax", "status": "error", "message": "no"}, 10, True),  # the only one
    ],
)
def test_it_is_sure_only_where_the_text_is(
    second: dict[str, Any], calls: int, sure: bool, tmp_path: pathlib.Path
) -> None:
    first = {**EAGER, "scatter": second["scatter"]} if "scatter" in second else EAGER
    found = Tables(run(tmp_path, first, second), None).recommend(calls)
    assert found.sure is sure
    assert not found.sure or "Sure" in str(found) or "Left out" in str(found)


def test_one_size_of_several_is_chosen_by_its_number(tmp_path: pathlib.Path) -> None:
    cells = [{**EAGER, "size": f"n={n}"} for n in (10, 100)]
    tables = Tables(run(tmp_path, *cells), None)
    assert tables.recommend(10, n=100).best == "torch"
    with pytest.raises(ValueError, match="got tables with more than one size, expected n= one of: 10, 100"):
        tables.recommend(10)
    with pytest.raises(ValueError, match="got size 'n=7', expected one of: n=10, n=100"):
        tables.recommend(10, n=7)
    with pytest.raises(ValueError, match=r"got calls=1\.5, expected a whole number from 1"):
        tables.recommend(1.5)  # type: ignore[arg-type]


class _Balance(html.parser.HTMLParser):
    """Checks that every tag is closed in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_and_markdown_hold_times_failures_and_no_markup_of_a_table(tmp_path: pathlib.Path) -> None:
    hostile = "<script>alert(1)</script> | **x**"
    tables = Tables(
        run(tmp_path, {**EAGER, "flags": "noisy"}, TRACED, {"spec": "numpy", "status": "error", "message": hostile}),
        None,
    )
    for page in (tables._repr_html_(), tables.recommend(10)._repr_html_()):
        balance = _Balance()
        balance.feed(page)
        assert balance.open == []
        assert "table" in balance.seen
        assert "script" not in balance.seen
    assert "<b>10 us</b>" in tables._repr_html_()
    assert "95 % interval" in tables._repr_html_()
    lines = tables.to_markdown().splitlines()
    assert lines[2:5] == [
        "| problem | operator | torch | jax | numpy | error |",
        "| --- | --- | --- | --- | --- | --- |",
        "| p | gradient | 100 us | **10 us** | error | 1e-16 |",
    ]
    flagged = Tables(run(tmp_path, EAGER, {**TRACED, "flags": "noisy"}), None)
    assert "| p | gradient | 100 us | 10 us | 1e-16 |" in flagged.to_markdown(), "a flagged time does not stand out"
    assert any("&lt;" not in line and "\\<script\\>" in line and "\\| \\*\\*x\\*\\*" in line for line in lines)
    assert lines[-1].startswith("2 of 3 cells agree")


def test_several_sizes_have_a_column(tmp_path: pathlib.Path) -> None:
    tables = Tables(run(tmp_path, *({**EAGER, "size": f"n={n}"} for n in (10, 100))), None)
    assert "| p | n=100 | gradient | 100 us |" in tables.to_markdown()


def test_a_report_is_one_page(tmp_path: pathlib.Path) -> None:
    frames = run(tmp_path, EAGER, TRACED)
    run_row = frames["runs"].assign(versions="{}", environment="{}", run_id="../x")
    machine = frames["machines"].assign(versions="{}", environment="{}")
    tables = Tables({**frames, "runs": run_row, "machines": machine}, None)
    page = tables.report(tmp_path / "page.html")
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert {p.suffix for p in tmp_path.iterdir()} == {".csv", ".html"}
    with pytest.raises(ValueError, match=r"got the folder '.*', expected the path of a page: '.*report\.html'"):
        tables.report(tmp_path)


def test_a_stored_run_is_read_as_the_tables_that_made_it() -> None:
    tables = autodiff_compare.read(ROOT / "results" / "sample")
    assert tables.folder == ROOT / "results" / "sample"
    assert len(tables.tidy()) == len(tables.cells) > 100
    assert "cells agree" in repr(tables)
    with pytest.raises(TableError, match=r"got folder '.*' without runs.csv or log.jsonl, expected a run's folder"):
        autodiff_compare.read(ROOT / "tests")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, ()),
        (10, (10,)),
        (1e3, (1000,)),
        ([10, 1e2], (10, 100)),
        ("10:1e3:log3", (10, 100, 1000)),
        (range(1, 3), (1, 2)),
    ],
)
def test_sizes_are_numbers_several_or_a_range(given: Any, found: tuple[int, ...]) -> None:
    assert sizes(given) == found


@pytest.mark.parametrize("given", [0, -1, 1.5, True, [], [10, "x"], "10:20", {}, object()])
def test_other_sizes_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^got .*, expected"):
        sizes(given)


def squares(x: Any, xp: Any) -> Any:
    return xp.sum(x * x)


def test_a_drawn_point_is_compared_at_every_size() -> None:
    found = autodiff_compare.compare(
        squares, lambda n, rng: rng.normal(size=n), n=[3, 5], backends="numpy", operators="gradient", rounds=0
    )
    assert found.in_process == ""
    assert found.cells[["size", "n", "n_inputs", "status"]].to_numpy().tolist() == [
        ["n=3", 3, 3, "ok"],
        ["n=5", 5, 5, "ok"],
    ]


def test_a_problem_is_compared_by_its_name_at_sizes() -> None:
    found = autodiff_compare.compare("lse", n="10:100:log2", backends="numpy", operators="gradient", rounds=0)
    assert list(found.cells["n"]) == [10, 100]
    assert set(found.cells["status"]) == {"ok"}
    assert (
        autodiff_compare.compare("lse", backends="numpy", operators="value", rounds=0).cells["size"].item() == "small"
    )


@pytest.mark.parametrize(
    ("f", "x", "given", "words"),
    [
        ("lse", [1.0], {}, "got x for the problem 'lse', expected at= or n="),
        ("nosuch", None, {}, "got problem 'nosuch'"),
        (squares, None, {}, "got no x in compare(), expected the point: compare(f, [1.0, 2.0])"),
        (squares, [1.0, 2.0], {"n": 10}, "its point is given: write x = lambda n, rng: ..."),
        (squares, lambda size: [1.0], {"n": 10}, "got a function of (size) for INPUTS[0]"),
        (squares, lambda n, rng: [1.0], {"n": "10:20"}, "got '10:20', expected 1000, 10,100,1e3"),
    ],
)
def test_a_mistake_about_sizes_is_one_clear_error(f: Any, x: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words below
        autodiff_compare.compare(f, x, backends="numpy", **given)
    assert words in str(caught.value)
