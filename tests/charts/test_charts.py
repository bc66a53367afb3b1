"""Charts: what is drawn of rows, with which labels, and colours that can be told apart."""

from __future__ import annotations

import html
import itertools
import math
import pathlib
import re
from typing import Any

import pytest
import vl_convert

from autodiff_compare.charts import drawing, looks
from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.dots import dots
from autodiff_compare.charts.lines import lines

_N, _TIME = Axis("n", "number of inputs"), Axis("time", "time of one call", "seconds")


def texts(svg: str) -> list[str]:
    return [html.unescape(text) for text in re.findall(r">([^<>]+)</text>", svg)]


def a_line(values: dict[float, Any], **more: Any) -> Json:
    """Return a chart of one series through (n, time)."""
    rows = [{"series": "numpy", "n": n, "time": time} for n, time in values.items()]
    return lines("Title", rows, _N, _TIME, looks.backend_looks(["numpy"]), **more)


# ---- axes


@pytest.mark.parametrize(
    ("unit", "values", "labels"),
    [
        ("seconds", (2e-7, 3e-3), ["1 µs", "10 µs", "100 µs", "1 ms"]),
        ("seconds", (0.5, 90.0), ["1 s", "10 s"]),
        ("seconds", (1.1e-5, 1.9e-5), ["12 µs", "14 µs", "16 µs", "18 µs"]),
        ("number", (1.0, 30.0), ["1", "2", "5", "10", "20"]),
        ("number", (1e-9, 1e9), ["1e-10", "1e-5", "1", "1e5"]),
        ("bytes", (1024.0, 2.0**22), ["1 KiB", "1 MiB"]),
        ("bytes", (20_000.0, 90_000.0), ["32 KiB", "48 KiB", "64 KiB", "80 KiB"]),
        ("ratio", (1.0, 300.0), ["1x", "10x", "100x"]),
    ],
)
def test_labels_have_units_and_stand_at_round_values(unit: str, values: tuple[float, ...], labels: list[str]) -> None:
    rows = [{"series": "a", "n": k + 1.0, "v": v} for k, v in enumerate(values)]
    chart = lines("", rows, Axis("n", "n", log=False), Axis("v", "v", unit), looks.series_looks(["a"]))
    found = texts(drawing.svg(chart))
    assert set(labels) <= set(found), found


def test_a_linear_axis_has_every_label() -> None:
    rows = [{"series": "a", "n": n, "time": time} for n, time in ((1.0, 0.0), (2.0, 1.2e-6))]
    axis = Axis("time", "time of one call", "seconds", log=False)
    found = texts(drawing.svg(lines("", rows, Axis("n", "n", log=False), axis, looks.series_looks("a"))))
    assert {"0", "200 ns", "1 µs"} <= set(found), found


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((0.0, 140_000.0), ["0", "32 KiB", "64 KiB", "96 KiB", "128 KiB"]),
        ((0.0, 1.7e6), ["0", "512 KiB", "1 MiB", "1.5 MiB"]),
        ((3e9, 9e9), ["4 GiB", "6 GiB", "8 GiB"]),
    ],
)
def test_linear_axes_of_bytes_have_ticks_at_multiples_of_powers_of_two(
    values: tuple[float, ...], labels: list[str]
) -> None:
    rows = [{"series": "a", "n": k + 1.0, "v": v} for k, v in enumerate(values)]
    axis = Axis("v", "memory", "bytes", log=False)
    found = texts(drawing.svg(lines("", rows, Axis("n", "n", log=False), axis, looks.series_looks("a"))))
    assert set(labels) <= set(found), found


# ---- rows


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -1.0, 0.0, None])
def test_what_an_axis_cannot_show_has_no_point(odd: Any) -> None:
    chart = a_line({1.0: 1e-6, 2.0: odd, 3.0: 2e-6})
    assert [row["n"] for row in chart["data"]["values"]] == [1.0, 3.0]
    assert drawing.svg(chart).endswith("</svg>")


def test_zeros_are_drawn_left_of_all_other_dots() -> None:
    rows = [{"series": "a", "name": name, "e": e} for name, e in (("x", 0.0), ("y", 2.0), ("z", 5.0))]
    chart = dots("", rows, ["x", "y", "z"], Axis("e", "error"), looks.series_looks("a"))
    assert [row["e"] for row in chart["data"]["values"]] == [2.0 / 2.5, 2.0, 5.0]
    assert [row.get("zero") for row in chart["data"]["values"]] == ["e", None, None]
    assert texts(drawing.svg(chart)).count("0") == 1


def test_an_empty_chart_is_drawn() -> None:
    assert "Title" in texts(drawing.svg(a_line({})))
    assert drawing.svg(dots("Title", [], [], _TIME, {})).endswith("</svg>")


def test_flagged_markers_are_hollow_and_intervals_are_drawn() -> None:
    rows = [
        {"series": "a", "n": n, "time": 1e-6, "low": 0.9e-6, "high": 1.2e-6, "flags": flags}
        for n, flags in ((1.0, ""), (2.0, "noisy"))
    ]
    svg = drawing.svg(lines("", rows, _N, _TIME, looks.series_looks("a")))
    assert svg.count('class="mark-rule role-mark') == 1
    assert len(re.findall(f'<path[^>]*fill="{looks.PAPER}"', svg)) == 1


def test_a_drawing_has_the_same_bytes_each_time() -> None:
    chart = a_line({1.0: 1e-6, 2.0: 3e-6}, at=[1.5], notches=[1.2], bands=True, markers=False)
    first = drawing.svg(chart)
    assert "clip" in first
    assert drawing.svg(chart) == first
    assert drawing.png(first) == drawing.png(first)


def test_texts_are_no_markup() -> None:
    evil = "<script>alert(1)</script>"
    rows = [{"series": evil, "name": evil, "e": 1.0}]
    named = looks.series_looks([evil])
    svg = drawing.svg(dots(evil, rows, [evil], Axis("e", evil), named, about=evil, line=(1.0, evil)))
    assert "<script" not in svg
    assert evil in texts(svg)


# ---- colours


def _linear(part: int) -> float:
    """Return an sRGB component as light (IEC 61966-2-1)."""
    share = part / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _light(colour: str) -> tuple[float, float, float]:
    red, green, blue = (_linear(int(colour[k : k + 2], 16)) for k in (1, 3, 5))
    return red, green, blue


def contrast(a: str, b: str) -> float:
    """Return the contrast of two colours by WCAG 2.1, from 1 to 21."""
    lights = sorted(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), _light(x), strict=True)) for x in (a, b))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def distance(a: str, b: str) -> float:
    """Return the distance of two colours in Oklab (Ottosson 2020); black and white are 1 apart."""

    def lab(colour: str) -> list[float]:
        r, g, b = _light(colour)
        long, medium, short = (
            math.cbrt(x) for x in (
                0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b,
                0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b,
                0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b,
            )
        )  # fmt: skip
        return [
            0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
            1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
            0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
        ]

    return math.dist(lab(a), lab(b))


_BACKENDS = ("numpy", "torch", "tensorflow", "jax", "autograd", "mine")
_SPECS = [f"{backend}{variant}" for backend in _BACKENDS for variant in ("", ":a", ":b", ":c", ":d")]


def test_black_and_white_are_known() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert distance("#000000", "#ffffff") == pytest.approx(1, abs=1e-6)


def test_each_variant_has_its_own_colour() -> None:
    colours = [look.colour for look in looks.backend_looks(_SPECS).values()]
    assert [pair for pair in itertools.combinations(colours, 2) if distance(*pair) < 0.035] == []
    families = [colours[k : k + 5] for k in range(0, len(colours), 5)]
    assert [p for family in families for p in itertools.combinations(family, 2) if distance(*p) < 0.06] == []


def test_colours_are_seen_on_the_paper_of_both_themes() -> None:
    colours = [look.colour for look in looks.backend_looks(_SPECS).values()]
    assert [c for c in colours if contrast(c, looks.PAPER) < 3] == []
    assert [c for c in colours if contrast(looks.themed()[c], looks.DARK[looks.PAPER]) < 3] == []


def test_the_first_variants_keep_the_looks_of_their_backends() -> None:
    found = looks.backend_looks(["numpy", "torch", "numpy:compiled"])
    assert (found["numpy"].colour, found["torch"].colour) == (looks.BLUE, looks.VERMILLION)
    assert found["numpy:compiled"].marker == found["numpy"].marker == "circle"
    assert found["numpy:compiled"].dash != found["numpy"].dash == ()


# ---- the JavaScript of a page


def test_the_javascript_is_made_once_and_kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def bundle(snippet: str, **_: str) -> str:
        made.append(snippet)
        return "code"

    monkeypatch.setattr(vl_convert, "javascript_bundle", bundle)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert [drawing.javascript(), drawing.javascript()] == ["code", "code"]
    assert made == ["window.vegaEmbed = vegaEmbed;"]
    # Where nothing can be kept, it is made each time.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert drawing.javascript() == "code"
    assert len(made) == 2
