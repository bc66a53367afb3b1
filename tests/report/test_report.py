"""The report: right statements on a run with known times, one safe file, the same bytes each time."""

from __future__ import annotations

import argparse
import html.parser
import importlib.util
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autodiff_compare.charts.looks import backend_looks, themed
from autodiff_compare.cli.main import main
from autodiff_compare.cli.verbs.runs import report as verb
from autodiff_compare.report import contents, markdown, side_by_side
from autodiff_compare.report.page import chart, record, style, wording
from autodiff_compare.report.page.grids import Grid, packed
from autodiff_compare.report.page.packing import packed as packed_text
from autodiff_compare.report.page.page import Section
from autodiff_compare.report.page.record import Record
from autodiff_compare.report.sections import conventions, costs, descents, graph, overview, profile
from autodiff_compare.report.write import write
from autodiff_compare.results import formatting, tables
from autodiff_compare.results.frames.tidy import sized
from autodiff_compare.results.rows import LATER_TABLES, CellRow, SampleRow, StepRow
from autodiff_compare.results.tables import TableError, rows_from
from autodiff_compare.results.timings import timings
from tests.documents.sample import thinned_samples, thinned_steps
from tests.report.made_run import PROBLEMS, made, row, written
from tests.report.opened import opened, parts

ROOT = pathlib.Path(__file__).parents[2]
#: What would be code in HTML, in a script element, in a template, in a formula, in a terminal or in a path.
HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)></script>{{7*7}}{% raw %}$\\frac{$=1+1 ../../etc/passwd"
    "\x1b[31m\u202e中|`<!--"
)
_VOID = {"meta", "br", "wbr", "input", "link", "img", "hr", "path", "use", "rect"}


class Page(html.parser.HTMLParser):
    """Elements, attributes and texts of a page; asserts that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a run with its report."""
    made_run = made(tmp_path_factory.mktemp("runs"))
    write([made_run], made_run.parent)
    return made_run


@pytest.fixture(scope="module")
def page(folder: pathlib.Path) -> Page:
    return Page(opened((folder / "report.html").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def read(folder: pathlib.Path) -> Record:
    return record.read(folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    made_run = made(tmp_path_factory.mktemp("runs"), name=HOSTILE, problems=("own",), studied=False)
    write([made_run], made_run.parent)
    return made_run


def texts(grid: Grid) -> list[list[str]]:
    return [[cell.text for cell in r] for r in grid.rows]


# ---- one file, for everybody


def test_the_page_needs_no_other_file(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "img", "image"}
        assert "src" not in attributes
        for name in ("href", "xlink:href"):
            target = attributes.get(name)
            assert target is None or re.match(r"#|figures/[a-z0-9_-]+\.(svg|png)$|[a-z]+\.csv$", target), target
    style_sheet = (ROOT / "autodiff_compare/report/page/templates/report.css").read_text()
    assert "url(" not in style_sheet
    assert "@import" not in style_sheet
    (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for a in page.all("a") if str(a["href"]).startswith("#")}
    assert targets <= set(ids)


def test_every_figure_says_in_a_sentence_what_it_shows(page: Page, folder: pathlib.Path) -> None:
    drawings = [a for a in page.all("div") if str(a.get("class")).startswith("drawing")]
    assert len(drawings) == len(page.all("figure")) == len(page.all("figcaption")) > 15
    assert all(a["role"] == "img" and a["aria-label"] for a in drawings)
    whole = opened((folder / "report.html").read_text(encoding="utf-8"))
    for sentence in re.findall(r"<figcaption>(.*?) <span", whole):
        assert sentence.endswith((".", "axis"))
        assert re.search(r"\d|tape", sentence), f"nothing of the data in {sentence!r}"
    assert (
        len(list((folder / "figures").glob("*.svg"))) == len(list((folder / "figures").glob("*.png"))) == len(drawings)
    )


def test_tables_have_captions_and_heads(page: Page) -> None:
    tables = page.all("table")
    assert len(tables) == len(page.all("caption")) > 10
    heads = page.all("th")
    assert all(a.get("scope") in {"col", "row"} for a in heads)
    assert page.all("html") == [{"lang": "en"}]


def test_colours_of_figures_have_a_form_for_the_dark_theme(folder: pathlib.Path) -> None:
    whole = (folder / "report.html").read_text(encoding="utf-8")
    (drawings,) = parts(whole, "figures")
    assert {f"{name}.svg" for name in drawings} == {path.name for path in (folder / "figures").glob("*.svg")}
    assert {name for name, drawing in drawings.items() if "spec" in drawing} >= {"profile-float64", "cost-float64"}
    assert "rounds" in drawings
    colours = json.loads(re.findall(r'<script type="application/json" id="colours">(.*?)</script>', whole)[0])
    assert colours == themed()
    for drawing in drawings.values():
        found = set(re.findall(r"#[0-9a-f]{6}\b", json.dumps(drawing.get("spec", {}))))
        assert found <= set(colours)


def test_the_first_look_at_a_page_is_small(folder: pathlib.Path) -> None:
    """The bundle of Vega is the largest part; it is unpacked after the page is shown."""
    whole = (folder / "report.html").read_text(encoding="utf-8")
    assert len(Page(whole).elements) < 1500
    (library,) = parts(whole, "library")
    assert "vegaEmbed" in library
    assert len(whole) - len(packed_text(library)) < 450_000


# ---- the same bytes


def contents_of(folder: pathlib.Path) -> dict[str, bytes]:
    made_files = [folder / "report.html", folder / "summary.md", *(folder / "figures").iterdir()]
    return {path.name: path.read_bytes() for path in made_files}


def test_bytes_do_not_change(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Nor in another process, folder, language, hash seed, or with a user's settings of matplotlib."""
    again = tmp_path / folder.name
    shutil.copytree(folder, again, ignore=shutil.ignore_patterns("figures", "report.html", "summary.md"))
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7\nsvg.fonttype: path\nfont.size: 20\n")
    environment = {**os.environ, "PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path), "LANG": "C", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-W", "error", str(ROOT / "compare.py"), "report", folder.name, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{again / 'report.html'}\n"
    assert contents_of(again) == contents_of(folder)


def test_bytes_of_two_runs_do_not_change(both: pathlib.Path, tmp_path: pathlib.Path) -> None:
    runs = [both.parent.parent / name for name in ("a-run", "b-run")]
    again = write(runs, tmp_path)
    assert contents_of(again.parent) == contents_of(both.parent)


def test_figures_of_an_earlier_rendering_are_removed_and_no_other_file(tmp_path: pathlib.Path) -> None:
    made_run = made(tmp_path, studied=False)
    write([made_run], tmp_path)
    before = {path.name for path in (made_run / "figures").iterdir()}
    (made_run / "figures" / "mine.svg").write_text("<svg/>")
    (made_run / "figures" / "rounds.svg.bak").write_text("kept")
    for table in ("samples", "timings"):
        path = made_run / f"{table}.csv"
        path.write_text(path.read_text().splitlines()[0] + "\n")
    write([made_run], tmp_path)
    after = {path.name for path in (made_run / "figures").iterdir()}
    assert {"rounds.svg", "rounds.png", "profile-float64.svg"} <= before - after, "untimed: nothing to draw"
    assert after - before == {"mine.svg", "rounds.svg.bak"}
    page = opened((made_run / "report.html").read_text(encoding="utf-8"))
    assert set(re.findall(r'"figures/(.*?)"', page)) == after & before


# ---- what it says


def test_failures_come_first_and_in_words(read: Record, page: Page) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", (read.folder / "report.html").read_text(encoding="utf-8"))
    assert headings[0] == "Failures"
    found = texts(overview.failures(read))
    assert [r[:3] for r in found] == [
        ["c", "wrong", "the sky is falling"],
        ["c", "unsupported", "the sky is falling"],
        ["c", "timeout", "too slow"],
    ]
    assert [r[5] for r in found] == ["6", "6", "1"]
    assert list(overview.faults(read)) == ["6 cells wrong", "1 descent failed"]
    assert list(overview.gaps(read)) == ["6 cells unsupported"]


def test_the_overview_gives_ratio_time_and_error(read: Record) -> None:
    (grid,) = overview.overviews(read)
    assert grid.columns == ("problem", "a", "b", "c")
    first, second = grid.rows[0], grid.rows[1]
    # At 2 inputs a gradient takes 6 us on a and 12 us on b; at 32 it takes 96 us on a.
    assert [c.text for c in first] == ["goldstein_price", "fastest", "2x", "unsupported"]
    assert first[1].small == ("6.01 µs, error 0.5 eps",)
    assert [c.rank for c in first[1:]] == [1, 2, 3]
    assert [c.rank for c in second[1:]] == [2, 1, 3]
    assert [c.text for c in second] == ["goldstein_price", "8x", "fastest", "unsupported"]
    assert second[2].small[-2:] == ("12 µs, error 2 eps", "drift noisy")
    assert (first[1].kind, second[2].kind) == ("fastest", ""), "a flagged time is not marked as a result"
    assert all(cell.text for r in grid.rows for cell in r)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"versus_fastest": "~", "ratio_to_fastest": 1.03}, "~ 1.03x"),
        ({"versus_fastest": "", "ratio_to_fastest": 1.5}, "1.5x (too few rounds to compare)"),
        ({"versus_fastest": "1.48x [1.42, 1.55]", "ratio_to_fastest": 1.5}, "1.48x"),
        ({"versus_fastest": "fastest", "ratio_to_fastest": 1.0}, "fastest"),
        ({"median_s": math.nan}, "ok"),
        ({"status": "out_of_memory"}, "out of memory"),
        ({"status": "not_installed"}, "not installed"),
    ],
)
def test_a_cell_of_the_overview(read: Record, changes: dict[str, Any], text: str) -> None:
    plain = read.cells[read.cells["status"] == "ok"].to_dict("records")[0]
    assert overview.cell({**plain, **changes}).text == text


def test_errors_are_those_against_the_best_reference(read: Record) -> None:
    right = read.cells[read.cells["status"] == "ok"]
    # numerical_difference is a million times further off, and less trusted.
    assert {(b, e, r) for b, e, r in zip(right["spec"], right["error_eps"], right["reference"], strict=True)} == {
        ("a", 0.5, "closed_form"),
        ("b", 2.0, "closed_form"),
    }


def test_conventions_are_counted_and_defects_told(read: Record) -> None:
    (section,) = conventions.sections(read)
    assert section.lead == "2 cases of 1 family on 2 backends. Defects: a 0 and b 1."
    counts, defects, atlas = section.parts
    assert [r[1:] for r in texts(counts)] == [["1", "1"], ["1", "0"], ["0", "1"]]
    assert [r[:4] + r[5:] for r in texts(defects)] == [["abs_zero", "b", "[[-1.0], [1.0]]", "[2.0]", "sqrt(x * x)"]]
    assert atlas.columns[3:5] == ("a", "b")
    assert [r[3:5] for r in atlas.rows] == [("convention [0.0]", "defect [2.0]"), ("agree [0.0]", "agree [0.0]")]


def test_flags_are_said_in_words(read: Record) -> None:
    found = texts(overview.flags(read))
    assert [r[0] for r in found] == ["noisy", "drift"]
    assert found[1][1:] == ["the time rises or falls from round to round", "6 of 36", "b (6)"]


def test_the_summary_can_be_pasted(folder: pathlib.Path) -> None:
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert text.startswith(f"# autodiff-compare: run {folder.name}\n")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in lines if "goldstein" in line and "fastest" in line} == {3}


def test_the_full_tables_hold_every_row(read: Record, folder: pathlib.Path) -> None:
    whole = opened((folder / "report.html").read_text(encoding="utf-8"))
    found = re.findall(
        r'<details class="data" id="d-(.*?)">.*?<script type="application/json">(.*?)</script>', whole, re.S
    )
    rows = {name: json.loads(text)["count"] for name, text in found}
    # A run without random programs has no section about them.
    names = {name for name in read.tables if name != "runs"} - LATER_TABLES
    assert rows == {name: len(read.tables[name]) for name in names} | {"rounds": 24 * 8, "atlas": 2}
    files = {name for name, _ in found if f'<a href="{name}.csv">{name}.csv</a>' in whole}
    assert files == names
    assert all((folder / f"{name}.csv").exists() for name in files)


def test_a_table_that_is_too_long_says_so(read: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_MOST_ROWS", 10)
    found = {table.name: table for table in contents.full(read)}
    assert {len(table.rows) for table in found.values()} == {2, 3, 4, 10}
    assert found["rounds"].note.endswith("The first 10 of 192 rows, to keep the page small.")
    assert found["samples"].title == f"samples ({len(read.tables['samples'])} rows)"


@pytest.mark.parametrize(
    ("values", "runs"),
    [
        ([], True),
        (["a"], False),
        (["a"] * 50 + ["b"] * 50, True),
        ([None] * 30 + [1.5] * 30, True),
        ([1] * 20 + [1.0] * 20 + [True] * 20, True),
        ([0.0] * 20 + [-0.0] * 20, True),
        (list(range(40)), False),
    ],
    ids=["empty", "one", "runs", "missing", "equal but not alike", "zeros", "no runs"],
)
def test_a_packed_column_is_the_column(values: list[Any], runs: bool) -> None:
    found = packed(values)
    assert isinstance(found, dict) == runs
    if isinstance(found, dict):
        pairs = zip(found["runs"][::2], found["runs"][1::2], strict=True)
        found = [found["words"][k] for k, n in pairs for _ in range(n)]
    assert [*map(repr, found)] == [*map(repr, values)]


SAMPLE = ROOT / "results" / "sample"


def test_the_sample_is_what_its_tables_make_today() -> None:
    """Its summary and the sentences below its figures: compare.py report results/sample makes the whole page."""
    read = record.read(SAMPLE)
    assert (SAMPLE / "summary.md").read_text(encoding="utf-8") == markdown.summary([read])
    pictures = [p for section in contents.page(read).sections for p in pictures_of(section)]
    kept = list((SAMPLE / "figures").iterdir())
    assert {path.suffix for path in kept} == {".svg"}
    assert {path.stem for path in kept} < {picture.name for picture in pictures}


def pictures_of(section: Section) -> Iterator[style.Picture | chart.Chart]:
    for part in section.parts:
        if isinstance(part, Section):
            yield from pictures_of(part)
        elif isinstance(part, (style.Picture, chart.Chart)):
            yield part


def test_the_sample_is_light() -> None:
    """It has 520 cells and 21 figures; each row of its tables names its machine."""
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) <= 3e6


def test_thinning_the_sample_again_changes_nothing() -> None:
    for name, kind, thinned in (("samples", SampleRow, thinned_samples), ("steps", StepRow, thinned_steps)):
        rows = rows_from(tables.read(SAMPLE / f"{name}.csv", kind), kind)
        assert thinned(rows) == rows


def test_thinned_samples_give_the_same_timings() -> None:
    """A round's value is the median of its blocks, here of 1, 3 and 7."""
    blocks = {0: [2.0], 1: [3.0, 1.0, 9.0], 2: [7.0, 4.0, 4.5, 5.0, 9.0, 6.0, 1.0]}
    rows = [SampleRow("a", "steady", r, i, 1, value) for r, values in blocks.items() for i, value in enumerate(values)]
    assert [row.seconds for row in thinned_samples(rows)] == [2.0, 3.0, 5.0]


# ---- the mathematics of the figures


def test_the_break_even_of_the_made_run(read: Record) -> None:
    group = read.cells[(read.cells["problem"] == "goldstein_price") & (read.cells["operator"] == "gradient")]
    largest = costs.largest_size(group)
    drawn = costs.break_even("p", "goldstein_price", largest.assign(flags=""), backend_looks(read.specs))
    assert drawn is not None
    # 10 us + 96 (n-1) us against 1 ms + 12 (n-1) us: 990/84 = 11.8, so from 13 calls on; the median is 0.1 % higher.
    assert drawn.sentence.startswith("a is cheapest up to 12 calls, b from 13 on")
    flagged = costs.break_even("p", "goldstein_price", largest, backend_looks(read.specs))
    assert flagged is not None
    told = "a is cheapest from the first call on. Not compared, since its time is flagged: b."
    assert flagged.sentence.startswith(told)
    # A run on a busy machine: nothing is left to conclude from.
    busy = costs.break_even("p", "goldstein_price", largest.assign(flags="noisy"), backend_looks(read.specs))
    assert busy is not None
    assert busy.sentence.startswith("No break-even is stated. Not compared, since its time is flagged: a and b.")


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([3, 30, 300, 3000, 30_000], "a like n^1.0"),
        # A model of three numbers is not fitted to three times.
        ([3, 30, 300], "a 3.88x"),
    ],
)
def test_the_growth_of_a_time_with_a_fixed_cost(sizes: list[int], words: str, read: Record) -> None:
    """1 us + 10 ns n: from n = 3 to 300 by a factor of 4 / 1.03, and like n^1 beside its fixed cost."""
    row = read.cells[read.cells["leading"] & (read.cells["spec"] == "a")].iloc[[0]]
    cells = pd.concat([row.assign(n=float(n), median_s=1e-6 + 1e-8 * n, flags="") for n in sizes])
    cells = cells.assign(ci_low_s=0.99 * cells["median_s"], ci_high_s=1.01 * cells["median_s"])
    found = {c.name: c.sentence for c in costs.scaling("p", "what", cells, backend_looks(["a"]))}
    assert words in found["p-median"]


def test_growth_is_told_for_each_backend(read: Record) -> None:
    group = read.cells[(read.cells["problem"] == "goldstein_price") & read.cells["leading"]]
    looks = backend_looks(read.specs)
    quiet = {c.name: c.sentence for c in costs.scaling("p", "what", group.assign(flags=""), looks)}
    assert quiet["p-median"].startswith("From n = 2 to 32, the time grows: a 16x, b 1x.")
    assert set(quiet) == {"p-median", "p-ratio", "p-peak", "p-error"}
    # The larger time of b is flagged, so that one time is left of it.
    found = {c.name: c.sentence for c in costs.scaling("p", "what", group, looks)}
    assert found["p-median"].startswith("From n = 2 to 32, the time grows: a 16x. Flagged times, drawn hollow")


def test_series_are_drawn_against_their_degree() -> None:
    sizes = ["small", "small^2", "small^8"]
    given = {"problem": "p", "size": sizes, "operator": ["gradient", "taylor", "taylor"], "n_inputs": 3}
    found = sized(pd.DataFrame(given))
    assert found["n"].tolist() == [3, 2, 8]
    assert found["axis"].tolist() == ["number of inputs", *["degree of the Taylor series"] * 2]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("small", 2000.0, 4.0, "number of inputs", 4.0), "n = 2000, 4 inputs"),
        (("large", 20_000.0, 20_000.0, "number of inputs", 20_000.0), "20 000 inputs"),
        (("small", math.nan, 1.0, "number of inputs", 1.0), "1 input"),
        (("smallx8", math.nan, 8.0, "rows of the batch", 4.0), "8 rows, 4 inputs"),
        (("small^6", math.nan, 6.0, "degree of the Taylor series", 4.0), "degree 6, 4 inputs"),
        (("mine", math.nan, math.nan, "", math.nan), "mine"),
    ],
)
def test_sizes_are_told_in_numbers(row: tuple[Any, ...], words: str) -> None:
    assert record._where(*row) == words


def test_the_profile_counts_failures_as_never(read: Record) -> None:
    calm = replace(read, cells=read.cells.assign(flags=""))
    found = profile.ratios(calm, "float64")
    assert found["c"] == [math.inf] * 12
    # a is 2 times faster at 2 inputs and 8 times slower at 32, for every problem and operator.
    assert sorted(np.round(found["a"], 6)) == [1.0] * 6 + [8.0] * 6
    at = np.array([0.5, 1.0, 2.0, 7.9, 8.1])
    assert profile.profile([round(r, 6) for r in found["b"]], at).tolist() == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert profile.profile(found["c"], at).tolist() == [0.0] * 5
    (drawn,) = profile.pictures(calm, backend_looks(read.specs))
    assert drawn.sentence.endswith("Groups without a right result: c 12.")


def test_groups_with_a_flagged_time_are_left_out_of_the_profile(read: Record) -> None:
    # Every time of b at 32 inputs is flagged; a is fastest in the other six groups.
    assert profile.ratios(read, "float64")["a"] == [1.0] * 6
    (drawn,) = profile.pictures(read, backend_looks(read.specs))
    assert "Of 6 groups of cells, a is fastest in all" in drawn.sentence
    assert drawn.sentence.endswith("Left out, since a time is flagged: 6 groups.")


def test_descents_that_part_are_told(read: Record) -> None:
    from autodiff_compare.report.page.descent_traces import traces

    first, second = traces(read)["cubic_fit"]
    assert descents.parting(first, second) == math.inf
    assert [t.data[0].shape for t in (first, second)] == [(2000,), (2000,)]
    changed = first.steps[7].__class__(7, 1.0, 1.0, 1.0, {})
    other = first.__class__(**{**vars(second), "steps": (*second.steps[:7], changed, *second.steps[8:])})
    assert descents.parting(first, other) == 7


@pytest.mark.parametrize(
    ("converged", "message", "words"),
    [
        (True, "", "meets its stop rule after"),
        (False, "loss 2 after 9 updates, expected at most 1", "ends without meeting its stop rule after"),
        (False, "no stop rule: made its 9 updates", "ends after"),
    ],
)
def test_the_end_of_a_descent_is_told(read: Record, converged: bool, message: str, words: str) -> None:
    from autodiff_compare.report.page.descent_traces import traces

    ended = replace(traces(read)["cubic_fit"][0], converged=converged, message=message)
    told = next(iter(descents.pictures("made", [ended], backend_looks(read.specs)))).sentence
    assert told.startswith(f"{ended.backend} {words} "), told


def test_another_problem_of_a_known_name_is_not_taken_for_it(tmp_path: pathlib.Path) -> None:
    from autodiff_compare.report.page.descent_traces import known, traces

    made_run = made(tmp_path)
    path = made_run / "descents.csv"
    path.write_text(path.read_text().replace("[[0.1, 0.2, 0.3, 0.4]]", "[[0.1, 0.2, 0.3, 0.5]]"))
    found = traces(record.read(made_run))
    assert known("cubic_fit", found["cubic_fit"]) is None
    assert known("matrix_inverse_squared", found["matrix_inverse_squared"]) is not None


def test_boxes_of_a_graph_do_not_touch() -> None:
    text = "\n".join(
        ["x0: f[] = input", "v0: f[] = add(x0, 1)", "v1: f[] = power(x0, 2)", "v2: f[] = multiply(v0, v1)",
         "v3: f[] = subtract(v2, v0)", "v4: f[] = multiply(v3, v3)", "return v4"]
    )  # fmt: skip
    nodes = graph.parsed(text)
    assert {name: node.text for name, node in nodes.items()} == {
        "v0": "x0 + 1", "v1": "x0^2", "v2": "a * b", "v3": "a - b", "v4": "a * b"
    }  # fmt: skip
    places = graph.placed(nodes)
    assert {name: level for name, (_, level) in places.items()} == {"v0": 3, "v1": 3, "v2": 2, "v3": 1, "v4": 0}
    for name, (x, y) in places.items():
        assert all(abs(x - other) >= 1 for n, (other, level) in places.items() if level == y and n != name)


# ---- tables from elsewhere


def test_hostile_texts_are_text(hostile: pathlib.Path, page: Page) -> None:
    folded = (hostile / "report.html").read_text(encoding="utf-8")
    whole = opened(folded)
    found = Page(whole)
    inert = ("application/json", "application/octet-stream")
    assert [a for a in [*Page(folded).all("script"), *found.all("script")] if a.get("type") not in inert] == [{}, {}]
    assert not [a for _, attributes in found.elements for a in attributes if a.startswith("on")]
    assert not found.all("img")
    assert not re.findall("[\x00-\x08\x0b-\x1f\u202e]", whole)
    assert "{{7*7}}" in whole
    shown = "".join(found.texts)
    assert "the sky is falling<script>alert(1)</script>" in shown


def test_hostile_names_name_no_file(hostile: pathlib.Path) -> None:
    made_files = {path.name for path in (hostile / "figures").iterdir()}
    assert all(re.fullmatch(r"[a-z0-9_-]{1,90}\.(svg|png)", name) for name in made_files), made_files
    assert {path.name for path in hostile.parent.iterdir()} == {hostile.name}
    summary = (hostile / "summary.md").read_text(encoding="utf-8")
    assert "<script>" not in summary.replace("\\<script\\>", "")


def _with_odd_times(folder: pathlib.Path, odd: float) -> pathlib.Path:
    """Return a run of two backends, one of which has a median time that is odd."""
    cells = [
        row(CellRow, cell_id=f"p/small/float64/{o}/{b}", problem="p", size="small", n_inputs=1, dtype="float64",
            operator=o, backend=b, status="ok", peak_rss_bytes=0)
        for o in ("value", "gradient") for b in ("a", "b")
    ]  # fmt: skip
    samples = [
        SampleRow(c.cell_id, phase, k, 0, 1, odd if c.backend == "a" and 0 < odd < math.inf else 1e-6)
        for c in cells for phase in ("prepare", "first_call", "steady") for k in range(8)
    ]  # fmt: skip
    derived = [
        r.__class__(**{**vars(r), "median_s": odd}) if "a" in r.cell_id[-1] else r for r in timings(cells, samples)
    ]
    runs = [row(record.Run, schema_version=1, versions="{}")]
    return written(folder / "r", {"runs": runs, "cells": cells, "samples": samples, "timings": derived})


@pytest.mark.parametrize("odd", [-1.0, math.nan, math.inf])
def test_times_that_are_no_numbers_are_refused(tmp_path: pathlib.Path, odd: float) -> None:
    with pytest.raises(
        TableError, match=f"got {odd} in column 'median_s' of the table timings, expected numbers from 0"
    ):
        record.read(_with_odd_times(tmp_path, odd))


@pytest.mark.parametrize("odd", [0.0, 1e-300, 1e300])
def test_odd_numbers_are_drawn_or_left_out(tmp_path: pathlib.Path, odd: float) -> None:
    read = record.read(_with_odd_times(tmp_path, odd))
    with style.drawing():
        for section in contents.page(read).sections:
            for part in section.parts:
                for figure in [part, *getattr(part, "parts", ())]:
                    if isinstance(figure, style.Picture):
                        assert style.save(figure, tmp_path).svg.endswith("</svg>\n")
                    if isinstance(figure, chart.Chart):
                        assert chart.save(figure, tmp_path).svg.endswith("</svg>")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cells": ["twice"]}, "twice in the table cells"),
        ({"runs": []}, "got 0 rows in the table runs"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(
    tmp_path: pathlib.Path, changes: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [row(CellRow, cell_id=c) for c in changes.get("cells", []) * 2]
    runs = [] if "runs" in changes else [row(record.Run, schema_version=1, versions="{}")]
    made_run = written(tmp_path / "r", {"runs": runs, "cells": cells})
    assert main(["report", str(made_run)]) == 2
    assert words in capsys.readouterr().err


def test_a_run_without_cells_has_a_page(tmp_path: pathlib.Path) -> None:
    runs = [row(record.Run, schema_version=1, versions="{}")]
    made_run = written(tmp_path / "r", {"runs": runs})
    text = write([made_run], tmp_path).read_text(encoding="utf-8")
    assert "This run has no results." in text
    assert "Nothing failed" not in text


def test_no_such_run(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nowhere", "--out", str(tmp_path)]) == 2
    assert "got run 'nowhere'" in capsys.readouterr().err


def test_what_draws_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "jinja2" else found(name, *a))
    assert verb.report(argparse.Namespace(runs=["r"], out=pathlib.Path(), open=False)) == 2
    assert "not installed: Jinja2, needed for the report" in capsys.readouterr().err


# ---- side by side


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("runs")
    folders = [made(out, "a-run", studied=False), made(out, "b-run", slow=2.0, studied=False)]
    return write(folders, out)


def test_two_runs_side_by_side(both: pathlib.Path) -> None:
    assert both.parent.name == "a-run_and_b-run"
    found = Page(both.read_text(encoding="utf-8"))
    shown = "".join(found.texts)
    assert "a-run and b-run have the same machine, versions and code." in shown
    # 6 of the 24 cells are flagged.
    told = "Over 18 common cells without a flag, b-run takes 2x the time of a-run in the median; by backend: a 2x and"
    assert told in shown
    records = [record.read(both.parent.parent / name) for name in ("a-run", "b-run")]
    (grid,) = side_by_side.beside(records)
    assert grid.columns == ("problem", "backend", "a-run", "b-run", "b-run / a-run")
    by_backend = {r[1].text: r for r in grid.rows[:3]}
    assert (by_backend["a"][4].text, by_backend["a"][4].small) == ("2x", ("differs",))
    assert [c.text for c in by_backend["c"][2:]] == ["unsupported", "unsupported", "-"]
    summary = (both.parent / "summary.md").read_text(encoding="utf-8")
    assert "One call in each run, float64" in summary


def test_names_of_folders_stay_short(read: Record) -> None:
    assert len(side_by_side.folder_name([read] * 40)) < 60


# ---- words


@pytest.mark.parametrize(
    ("made_words", "expected"),
    [
        (wording.seconds(1.25e-3), "1.25 ms"),
        (wording.seconds(99.96e-6), "100 µs"),
        (wording.seconds(0.99999), "1 s"),
        (wording.seconds(math.nan), "-"),
        (formatting.size(1536), "1.5 KiB"),
        (formatting.size(0), "0 B"),
        (formatting.eps(0.0), "exact"),
        (formatting.eps(0.314), "0.31 eps"),
        (formatting.number(1e-8), "1e-8"),
        (formatting.number(10_000), "10000"),
        (wording.count(12_345), "12\u202f345"),
        (formatting.listed(["a", "b", "a", "c"]), "a, b and c"),
        (wording.slug("../X y", "é"), "x-y"),
        (wording.label("ab" * 30, 10), "abababa..."),
        (wording.markdown("a|b_c\n<d>"), "a\\|b\\_c \\<d\\>"),
    ],
)
def test_words(made_words: str, expected: str) -> None:
    assert made_words == expected


def test_every_problem_of_the_made_run_is_there(page: Page) -> None:
    shown = "".join(page.texts)
    assert all(problem in shown for problem in PROBLEMS)
