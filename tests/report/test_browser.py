"""The page in a real browser: a script in a copy of the page tests sorting, filtering, paging and the theme."""

from __future__ import annotations

import html
import json
import pathlib
import re
import shutil
import subprocess
from typing import Any

import pytest

from autodiff_compare.report.write import write
from tests.report.made_run import made

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--virtual-time-budget=5000", "--dump-dom",
)  # fmt: skip

#: In every text of the run.
_EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"

_SCRIPT = """
const found = {};
const one = s => document.querySelector(s);
const column = (t, k) => Array.from(t.tBodies[0].rows, r => r.cells[k].querySelector(".main").textContent);
const paper = () => getComputedStyle(document.body).backgroundColor;
const theme = one("#theme");
found.themes = [];
for (let i = 0; i < 4; i++) {
  found.themes.push([document.documentElement.dataset.theme || "system", theme.textContent, paper()]);
  theme.click();
}
const table = one("#t-overview-float64");
const heads = table.tHead.rows[0].cells;
found.before = column(table, 1);
heads[1].querySelector("button").click();
found.up = [heads[1].getAttribute("aria-sort"), column(table, 1)];
heads[1].querySelector("button").click();
found.down = [heads[1].getAttribute("aria-sort"), column(table, 1)];
heads[0].querySelector("button").click();
found.byName = [heads[1].getAttribute("aria-sort"), heads[0].getAttribute("aria-sort"), column(table, 0)];
const checks = one("#d-checks");
const body = checks.querySelector("tbody"), filter = checks.querySelector("input");
const state = () => [checks.querySelector("output").textContent, body.rows.length];
found.pages = [state()];
checks.querySelectorAll(".tools button")[1].click();
found.pages.push(state());
filter.value = "PLANAR numerical";
filter.dispatchEvent(new Event("input"));
found.filtered = [state(), Array.from(body.rows, r => r.textContent)];
filter.value = "no such row";
filter.dispatchEvent(new Event("input"));
found.none = state();
filter.value = "";
filter.dispatchEvent(new Event("input"));
const errors = Array.from(checks.querySelectorAll("thead th"), th => th.textContent).indexOf("norm_rel_error");
const values = () => Array.from(body.rows, r => r.cells[errors].title || r.cells[errors].textContent);
checks.querySelectorAll("thead button")[errors].click();
found.sorted = values();
checks.querySelectorAll("thead button")[errors].click();
found.sortedDown = values();
found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
found.alerts = window.alerted || 0;
const probe = document.createElement("pre");
probe.id = "probe";
probe.textContent = JSON.stringify(found);
document.body.append(probe);
"""


def browser() -> str:
    """Return the path of a browser, or skip the test with the reason."""
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: looked for {', '.join(_BROWSERS)}")
    return path


def probed(page: pathlib.Path, folder: pathlib.Path, width: int = 1400) -> dict[str, Any]:
    """Return what the script finds in a copy of the page."""
    copy = folder / "probe.html"
    text = page.read_text(encoding="utf-8")
    watch = "<script>window.alert = () => { window.alerted = 1; };</script>"
    text = text.replace("<body>", f"<body>{watch}").replace("</body>", f"<script>{_SCRIPT}</script></body>")
    copy.write_text(text, encoding="utf-8")
    command = [browser(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    match = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)
    assert match, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match.group(1)))
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    browser()
    folder = made(tmp_path_factory.mktemp("runs"), name=_EVIL, studied=False)
    return write([folder], folder.parent)


@pytest.fixture(scope="module")
def found(page: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return probed(page, tmp_path_factory.mktemp("browser"))


def test_the_theme_goes_round(found: dict[str, Any]) -> None:
    themes, words, papers = zip(*found["themes"], strict=True)
    assert themes == ("system", "light", "dark", "system")
    assert words[:3] == ("Theme: auto", "Theme: light", "Theme: dark")
    assert papers[1] == "rgb(255, 255, 255)"
    assert papers[2] == "rgb(20, 23, 27)"


def test_columns_are_sorted_as_numbers(found: dict[str, Any]) -> None:
    # The ratios of a: fastest (1) at 2 inputs, 8x at 32.
    assert found["before"] == ["fastest", "8x"] * 3
    assert found["up"] == ["ascending", ["fastest"] * 3 + ["8x"] * 3]
    assert found["down"] == ["descending", ["8x"] * 3 + ["fastest"] * 3]
    assert found["byName"][:2] == [None, "ascending"]
    assert found["byName"][2] == sorted(found["byName"][2])


def test_full_tables_have_pages_and_a_filter(found: dict[str, Any]) -> None:
    # 24 right cells with three checks each.
    assert found["pages"] == [["1 to 50 of 72", 50], ["51 to 72 of 72", 22]]
    state, rows = found["filtered"]
    assert state == ["1 to 8 of 8 (72 in total)", 8]
    assert all("planar_arm" in r and "numerical" in r for r in rows)
    assert found["none"] == ["0 to 0 of 0 (72 in total)", 0]


def test_what_is_unknown_comes_last_in_both_directions(found: dict[str, Any]) -> None:
    # 48 of the 72 checks have an error; a page has 50 rows.
    for values, order in ((found["sorted"], 1), (found["sortedDown"], -1)):
        numbers = [float(v) for v in values if v != "-"]
        assert len(numbers) == 48
        assert values[48:] == ["-", "-"]
        assert numbers == sorted(numbers)[::order]


def test_hostile_texts_do_not_run(found: dict[str, Any]) -> None:
    assert found["alerts"] == 0


@pytest.mark.parametrize("width", [500, 820])
def test_a_narrow_page_does_not_scroll_sideways(page: pathlib.Path, tmp_path: pathlib.Path, width: int) -> None:
    # Headless Chromium makes no window narrower than 500.
    assert probed(page, tmp_path, width)["overflow"] <= 0
