"""The page in a real browser: what a reader does with it, and pictures of it at three widths, light and dark.

``pytest --artefacts FOLDER tests/report/test_browser.py`` keeps the pictures.
"""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from autodiff_compare.charts.looks import DARK, INK
from autodiff_compare.report.write import write
from autodiff_compare.results.rows import CellRow
from autodiff_compare.results.tables import read
from tests.report.browsing import browser, hint, name, settled, shown, still, unfold_all
from tests.report.made_run import made

ROOT = pathlib.Path(__file__).parents[2]
#: In every text of the made run.
_EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"
#: A figure of the sample with a legend and two log axes.
_FIGURE = "#f-d1-cubic_fit-cleared-float64-loss"


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def sample(opened: Any, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the page of the default comparison."""
    folder = tmp_path_factory.mktemp("runs") / "sample"
    shutil.copytree(ROOT / "results" / "sample", folder)
    return write([folder], folder.parent)


@pytest.fixture(scope="module")
def hostile(opened: Any, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the page of a made run with texts that would be markup."""
    folder = made(tmp_path_factory.mktemp("runs"), name=_EVIL, studied=False)
    return write([folder], folder.parent)


@pytest.fixture
def pictures(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the folder of the pictures: that of ``--artefacts``, else a temporary one."""
    folder = pathlib.Path(request.config.getoption("--artefacts") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# ---- the page as a whole


def test_the_page_of_the_default_comparison_is_small(opened: Any, sample: pathlib.Path) -> None:
    assert sample.stat().st_size < 2e6
    with shown(opened, sample) as page:
        count = "document.querySelectorAll('*').length"
        print("elements:", page.evaluate(count), "bytes:", sample.stat().st_size)
        print("first paint (ms):", page.evaluate("performance.getEntriesByType('paint').map(e => e.startTime)"))
        assert page.evaluate(count) < 4000
        for _ in range(12):
            page.evaluate("scrollBy(0, 2000)")
            still(page)
        print("elements at the end:", page.evaluate(count))
        assert page.evaluate(count) < 4000


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1400])
def test_pictures_of_the_page(
    opened: Any, sample: pathlib.Path, pictures: pathlib.Path, width: int, theme: str
) -> None:
    with shown(opened, sample, width, theme) as page:
        still(page)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        page.screenshot(path=pictures / f"top-{width}-{theme}.png")
        for place in ("#explore", "#overview .figures", _FIGURE):
            page.locator(place).first.scroll_into_view_if_needed()
            if place == _FIGURE:
                settled(page, f"{_FIGURE} .live")
            page.locator(place).first.screenshot(path=pictures / f"{place.strip('#.').split()[0]}-{width}-{theme}.png")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[theme]


def test_a_narrow_page_shows_the_fastest_first(opened: Any, sample: pathlib.Path) -> None:
    with shown(opened, sample, 390) as page:
        rows = page.evaluate(
            "Array.from(document.querySelector('table.ranked').tBodies[0].rows, row => Array.from(row.cells).slice(1)"
            ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)"
            ".map(cell => Number(cell.dataset.key)))"
        )
    assert len(rows) == len(_problems("gradient") | _problems("jacobian"))
    assert all(row == sorted(row) and len(row) == 4 for row in rows)


def test_print_shows_the_drawings_on_white(opened: Any, sample: pathlib.Path, pictures: pathlib.Path) -> None:
    with shown(opened, sample, theme="dark") as page:
        page.emulate_media(media="print")
        visible = "Array.from(document.querySelectorAll('{}'), e => e.offsetParent !== null)"
        printed = page.evaluate(visible.format("figure .printed"))
        assert len(printed) == page.locator("figure").count() > 10
        assert all(printed)
        assert not any(page.evaluate(visible.format("figure .live, .chart-tools, #explore")))
        assert page.evaluate("getComputedStyle(document.body).getPropertyValue('--paper')").strip() == "#fff"
        page.pdf(path=pictures / "print.pdf", format="A4")
        assert (pictures / "print.pdf").stat().st_size > 50_000


# ---- the explorer


def _rows(page: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("document.querySelector('#chart').drawn.view.data('rows')")
    return found


def test_a_backend_is_taken_out_and_put_back(opened: Any, sample: pathlib.Path, pictures: pathlib.Path) -> None:
    with shown(opened, sample) as page:
        chart = page.locator("#explore")
        before = chart.screenshot(path=pictures / "explorer-before.png")
        assert [row["backend"] for row in _rows(page)] == ["numpy", "torch", "tensorflow", "jax"]
        chip = page.get_by_role("button", name="jax", exact=True)
        chip.click()
        settled(page, "#chart")
        after = chart.screenshot(path=pictures / "explorer-after.png")
        assert chip.get_attribute("aria-pressed") == "false"
        assert [row["backend"] for row in _rows(page)] == ["numpy", "torch", "tensorflow"]
        assert before != after
        chip.click()
        settled(page, "#chart")
        assert len(_rows(page)) == 4


def test_every_choice_of_the_explorer_draws_a_chart(opened: Any, sample: pathlib.Path, pictures: pathlib.Path) -> None:
    with shown(opened, sample) as page:
        page.select_option("select[name=problem]", "cubic_fit")
        for across, count in (("backend", 4), ("problem", 4 * len(_problems("gradient"))), ("calls", 25 * 4)):
            page.select_option("select[name=across]", across)
            settled(page, "#chart")
            assert len(_rows(page)) == count, across
            page.locator("#explore").screenshot(path=pictures / f"explorer-{across}.png")
        page.select_option("select[name=across]", "backend")
        for quantity in ("time", "ratio", "cost", "setup", "error", "memory"):
            page.select_option("select[name=shown]", quantity)
            settled(page, "#chart")
            assert {row["backend"] for row in _rows(page)} <= {"numpy", "torch", "tensorflow", "jax"}
            assert _rows(page), quantity
            page.locator("#explore").screenshot(path=pictures / f"explorer-{quantity}.png")
        page.locator("#log").click()
        settled(page, "#chart")
        assert page.evaluate("document.querySelector('#chart').drawn.view.scale('x').domain()[0]") == 0


def test_sizes_are_compared_and_flags_are_hollow(opened: Any, hostile: pathlib.Path, pictures: pathlib.Path) -> None:
    with shown(opened, hostile) as page:
        page.select_option("select[name=across]", "size")
        settled(page, "#chart")
        # Two sizes of a and b; c has no result.
        assert sorted((row["n"], row["backend"]) for row in _rows(page)) == [(2, "a"), (2, "b"), (32, "a"), (32, "b")]
        told = page.locator("#told").text_content()
        assert "No result: c<script>" in told
        assert "Hollow: flagged, read with care: b (drift, noisy)." in told
        page.locator("#explore").screenshot(path=pictures / "explorer-size.png")


def test_hovering_tells_value_interval_and_error(opened: Any, sample: pathlib.Path, pictures: pathlib.Path) -> None:
    with shown(opened, sample) as page:
        told = hint(page, "#chart", "numpy")
        for word in ("backend", "numpy", "time of one call", "95 % interval", " to ", "error", "eps", "flags"):
            assert word in told, told
        page.screenshot(path=pictures / "explorer-hover.png")


# ---- charts


def test_a_chart_is_singled_out_moved_zoomed_and_made_linear(
    opened: Any, sample: pathlib.Path, pictures: pathlib.Path
) -> None:
    with shown(opened, sample) as page:
        figure, live = page.locator(_FIGURE), f"{_FIGURE} .live"
        figure.scroll_into_view_if_needed()
        settled(page, live)
        figure.screenshot(path=pictures / "chart-before.png")
        still(page)
        page.mouse.click(*name(page, live, "torch"))
        chosen = f"document.querySelector('{live}').drawn.view.data('shown_store').map(d => d.values)"
        page.wait_for_function(f"{chosen}.length > 0")
        assert page.evaluate(chosen) == [["torch"]]
        figure.screenshot(path=pictures / "chart-singled-out.png")

        domain = f"Array.from(document.querySelector('{live}').drawn.view.scale('x').domain())"
        whole, top = page.evaluate(domain), page.evaluate("scrollY")
        page.mouse.wheel(0, 40)
        page.wait_for_function("top => scrollY > top", arg=top)
        assert page.evaluate(domain) == whole, "a wheel turned over a chart scrolls the page alone"
        figure.hover()
        page.keyboard.down("Control")
        page.mouse.wheel(0, -200)
        page.keyboard.up("Control")
        page.wait_for_function(f"whole => String({domain}) !== String(whole)", arg=whole)
        low, high = page.evaluate(domain)
        assert whole[0] < low < high < whole[1]
        figure.screenshot(path=pictures / "chart-zoomed.png")

        figure.get_by_role("button", name="Linear axes").click()
        settled(page, live)
        assert page.evaluate(domain)[0] == 0
        figure.screenshot(path=pictures / "chart-linear.png")
        figure.get_by_role("button", name="Reset").click()
        settled(page, live)


def test_what_is_done_while_a_chart_is_drawn_starts_from_that_chart(opened: Any, sample: pathlib.Path) -> None:
    """Not from the one before: what is done within one task of the page, a reader does on a slow machine."""
    with shown(opened, sample) as page:
        page.evaluate("""() => {
          const problem = document.querySelector("select[name=problem]");
          problem.value = "cubic_fit";
          problem.dispatchEvent(new Event("change"));
          document.getElementById("theme").click();
        }""")
        settled(page, "#chart")
        assert {row["problem"] for row in _rows(page)} == {"cubic_fit"}

        live = f"{_FIGURE} .live"
        page.locator(_FIGURE).scroll_into_view_if_needed()
        settled(page, live)
        # Linear axes, then Reset.
        page.evaluate(f"document.querySelectorAll('{_FIGURE} .chart-tools button').forEach(tool => tool.click())")
        settled(page, live)
        assert page.evaluate(f"document.querySelector('{live}').drawn.view.scale('x').domain()[0]") == 0


# ---- tables, theme, hostile texts


def _column(page: Any, k: int) -> list[str]:
    found: list[str] = page.locator("#t-overview-float64 tbody tr").evaluate_all(
        f"rows => rows.map(row => row.cells[{k}].querySelector('.main').textContent)"
    )
    return found


def test_tables_are_sorted_as_numbers(opened: Any, hostile: pathlib.Path) -> None:
    with shown(opened, hostile) as page:
        head = page.locator("#t-overview-float64 thead th")
        # The ratios of a: fastest (1) at 2 inputs, 8x at 32.
        assert _column(page, 1) == ["fastest", "8x"] * 3
        head.nth(1).locator("button").click()
        assert (head.nth(1).get_attribute("aria-sort"), _column(page, 1)) == (
            "ascending",
            ["fastest"] * 3 + ["8x"] * 3,
        )
        head.nth(1).locator("button").click()
        assert _column(page, 1) == ["8x"] * 3 + ["fastest"] * 3
        head.nth(0).locator("button").click()
        assert (head.nth(1).get_attribute("aria-sort"), head.nth(0).get_attribute("aria-sort")) == (None, "ascending")
        assert _column(page, 0) == sorted(_column(page, 0))


def test_full_tables_are_made_when_they_are_opened(opened: Any, hostile: pathlib.Path) -> None:
    with shown(opened, hostile) as page:
        checks = page.locator("#d-checks")
        assert checks.locator("table").count() == 0
        checks.locator("summary").click()
        state, rows = checks.locator("output"), checks.locator("tbody tr")
        rows.first.wait_for()
        # 24 right cells with three checks each.
        assert (state.text_content(), rows.count()) == ("1 to 50 of 72", 50)
        checks.get_by_role("button", name="Next").click()
        assert (state.text_content(), rows.count()) == ("51 to 72 of 72", 22)
        checks.locator("input").fill("PLANAR numerical")
        assert (state.text_content(), rows.count()) == ("1 to 8 of 8 (72 in total)", 8)
        assert all("planar_arm" in text and "numerical" in text for text in rows.all_text_contents())
        checks.locator("input").fill("no such row")
        assert state.text_content() == "0 to 0 of 0 (72 in total)"
        checks.locator("input").fill("")
        k = checks.locator("thead th").all_text_contents().index("norm_rel_error")
        for order in (1, -1):
            # 48 of the 72 checks have an error; a page has 50 rows, and what is unknown comes last in both directions.
            checks.locator("thead button").nth(k).click()
            values = checks.locator("tbody tr").evaluate_all(
                f"rows => rows.map(row => row.cells[{k}].title || row.cells[{k}].textContent)"
            )
            numbers = [float(v) for v in values if v != "-"]
            assert (len(numbers), values[48:]) == (48, ["-", "-"])
            assert numbers == sorted(numbers)[::order]


def test_links_open_the_folded_parts_that_they_lead_to(opened: Any, hostile: pathlib.Path) -> None:
    with shown(opened, hostile) as page:
        part = page.locator("#problem-2")
        assert part.locator("figure").count() == 0
        page.evaluate("location.hash = '#problem-2'")
        part.locator("figure").first.wait_for()
        assert part.get_attribute("open") is not None


def test_the_theme_goes_round_and_charts_follow(opened: Any, hostile: pathlib.Path) -> None:
    with shown(opened, hostile) as page:
        button, found = page.locator("#theme"), []
        for _ in range(4):
            settled(page, "#chart")
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            colours = page.evaluate("document.querySelector('#chart').drawn.spec.config.axis.labelColor")
            found.append((button.text_content(), paper, colours))
            button.click()
    assert [words for words, _, _ in found] == ["Theme: auto", "Theme: light", "Theme: dark", "Theme: auto"]
    assert found[1][1:] == ("rgb(255, 255, 255)", INK)
    assert found[2][1:] == ("rgb(20, 23, 27)", DARK[INK])


def test_hostile_texts_do_not_run(opened: Any, hostile: pathlib.Path) -> None:
    """A dialog would be reported by the browser, a refused script in the console."""
    with shown(opened, hostile) as page:
        asked: list[str] = []
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        unfold_all(page)
        assert page.locator("details details[open]").count()
        assert _EVIL in hint(page, "#chart", "a")
        assert asked == []
        assert page.locator("img[src='x']").count() == 0


@pytest.mark.parametrize("width", [390, 820])
def test_a_narrow_page_does_not_scroll_sideways(opened: Any, hostile: pathlib.Path, width: int) -> None:
    with shown(opened, hostile, width) as page:
        still(page)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def _problems(operator: str) -> set[str]:
    """Return the problems of the sample that have an operator."""
    cells = read(ROOT / "results" / "sample" / "cells.csv", CellRow)
    return set(cells.loc[cells["operator"] == operator, "problem"])
