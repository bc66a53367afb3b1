"""A headless Chromium that tests drive, or the reason why there is none, and places of parts of a chart in its page."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-smooth-scrolling",  # a page that is still moving has its parts elsewhere a moment later
)

#: Where a part of a chart stands, in pixels of the page; `null` if it has none. Vega draws on one canvas, and its scene
#: graph says where: each item within its group.
_PLACE = """([selector, role, series]) => {
  const node = document.querySelector(selector), view = node.drawn.view;
  const box = node.querySelector("canvas").getBoundingClientRect(), origin = view.origin();
  const named = item => item.datum && (role === "mark" ? item.datum.series : item.datum.value) === series;
  const wanted = item => item.mark && item.mark.role === role && named(item) && item.mark.marktype !== "rule" &&
    item.mark.marktype !== "line";
  const find = (item, x, y) => {
    if (wanted(item)) return [x + item.x, y + item.y];
    const group = item.mark ? [x + (item.x || 0), y + (item.y || 0)] : [x, y];
    for (const part of item.items || []) {
      const inside = find(part, ...group);
      if (inside) return inside;
    }
    return null;
  };
  const found = find(view.scenegraph().root, 0, 0);
  const padding = view.padding();
  return found && [box.x + padding.left + origin[0] + found[0], box.y + padding.top + origin[1] + found[1]];
}"""

#: How long a page is waited for; other machines are slower, and shared.
_PATIENCE_MS = 300_000
#: Whether each part that is open holds more than its title, and nothing that is still packed.
_ARRIVED = """() => [...document.querySelectorAll("details[open]")].every(
  part => part.children.length > 1 && !part.querySelector(":scope > script.packed"))"""
#: Whether each figure in view, or as close to it as the page looks ahead, is drawn: until then, parts below it move.
_STILL = """() => [...document.querySelectorAll("figure")].every(figure => {
  const box = figure.getBoundingClientRect(), live = figure.querySelector(".live");
  const near = figure.checkVisibility() && box.bottom > -400 && box.top < innerHeight + 400;
  return !near || live && live.getAttribute("aria-busy") !== "true" && live.complete !== false;
})"""


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Yield a browser, or skip the test with the reason: ``.ci/browser`` installs what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser is driven without playwright")
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: looked for {', '.join(_BROWSERS)}")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=[*_FLAGS], timeout=_PATIENCE_MS)
        yield found
        found.close()


@contextlib.contextmanager
def shown(browser: Any, path: pathlib.Path, width: int = 1400, theme: str = "light") -> Iterator[Any]:
    """Yield a page at a width, drawn to its end; fails if it reports an error in its console."""
    size = {"width": width, "height": 900}
    made = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    with contextlib.closing(made) as context:
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]", state="attached")
        yield page
        assert said == []


def marker(page: Any, chart: str, series: str) -> list[float]:
    """Return where the first marker of a series stands, in pixels of the page."""
    found = page.evaluate(_PLACE, [chart, "mark", series])
    assert found, f"no marker of {series}"
    return list(found)


def name(page: Any, chart: str, series: str) -> list[float]:
    """Return where a series stands in the legend of a chart, in pixels of the page."""
    found = page.evaluate(_PLACE, [chart, "legend-label", series])
    assert found, f"no name of {series} in the legend"
    return [found[0] + 4, found[1]]


def settled(page: Any, chart: str) -> None:
    """Wait until a chart that was changed is drawn."""
    page.wait_for_selector(f"{chart}[aria-busy=false]")


def still(page: Any) -> None:
    """Wait until nothing moves that a reader sees: all figures there are drawn."""
    page.wait_for_function(_STILL)


def hint(page: Any, chart: str, series: str) -> str:
    """Point at the first marker of a series, and return what the chart tells of it."""
    page.locator(chart).scroll_into_view_if_needed()
    still(page)
    page.mouse.move(*marker(page, chart, series))
    told = page.locator("#vg-tooltip-element.visible")
    told.wait_for()
    return str(told.text_content())


def unfold_all(page: Any) -> None:
    """Open every folded part, outer ones first: what a part holds, folded parts too, arrives after it is opened."""
    folded = page.locator("details:not([open]) > summary")
    while folded.count():
        folded.first.click()
        page.wait_for_function(_ARRIVED)
