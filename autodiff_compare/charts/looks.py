"""Looks of series: an own colour for each backend and each of its variants, a marker and a dash.

Each backend has a family of colours, so that its variants are seen to belong together. The first colours are those of
Okabe and Ito (2008), which remain distinct with any kind of colour blindness; the marker tells the backend and the dash
the variant, so that colour alone carries no information. Every colour has a contrast of 3 or more with white, the
least that WCAG 2.1 asks of graphics, and its lighter form has it with the paper of the dark theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autodiff_compare.vocabulary import split_spec

INK, SOFT, GRID, FAINT, PAPER = "#1b1f24", "#59636e", "#d9dde2", "#eceff2", "#ffffff"
#: The same in the dark theme.
DARK = {INK: "#e8ebee", SOFT: "#a3adb8", GRID: "#363d46", FAINT: "#242a31", PAPER: "#14171b"}
#: Share of white in a colour of the dark theme.
_WHITE = 0.4
BLUE, VERMILLION, ORANGE, GREEN, PURPLE, SKY, GREY = (
    "#0072b2", "#d55e00", "#c07f00", "#009e73", "#b3569a", "#3b97cf", "#767676",
)  # fmt: skip
#: Backend -> marker, and the colours of its default and of its variants in the order of their appearance.
_FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "numpy": ("circle", (BLUE, "#00929e", "#5b50c8", "#7b86b0", "#0d3f73")),
    "torch": ("square", (VERMILLION, "#a01c1c", "#e0507c", "#8a5a3c", "#5c1f3a")),
    "tensorflow": ("triangle-up", (ORANGE, "#6b5a00", "#948400", "#8f7350", "#453a00")),
    "jax": ("diamond", (GREEN, "#4f8f1f", "#00594a", "#7d9a5c", "#3d4a00")),
}
#: Families of other backends, in the order of their appearance.
_OTHERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("triangle-down", (PURPLE, "#7a2f8f", "#e05fb8", "#8f6f9a", "#4a1f5c")),
    ("cross", (SKY, "#2f6f8f", "#6f7fd8", "#4f8f9a", "#1f4a5c")),
    ("triangle-right", (GREY, "#4f4f4f", "#8f8478", "#69757f", "#2f2f2f")),
    ("triangle-left", ("#c2453d", "#7f4f24", "#9c7f9c", "#a0606f", "#5a2a27")),
)
_DASHES: tuple[tuple[int, ...], ...] = ((), (6, 3), (2, 2), (8, 3, 2, 3))


@dataclass(frozen=True)
class Look:
    """Colour, marker and dash of a series; a dash is empty for a full line, else lengths in pixels."""

    colour: str
    marker: str = "circle"
    dash: tuple[int, ...] = ()


Looks = Mapping[str, Look]


def backend_looks(specs: Iterable[str]) -> dict[str, Look]:
    """Return the look of each ``backend[:variant]``: colours of a family and a marker by backend, dash by variant."""
    found: dict[str, Look] = {}
    families = dict(_FAMILIES)
    counts: dict[str, int] = {}
    for spec in dict.fromkeys(specs):
        backend = split_spec(spec)[0]
        if backend not in families:
            families[backend] = _OTHERS[(len(families) - len(_FAMILIES)) % len(_OTHERS)]
        marker, colours = families[backend]
        k = counts[backend] = counts.get(backend, -1) + 1
        found[spec] = Look(colours[k % len(colours)], marker, _DASHES[k % len(_DASHES)])
    return found


def series_looks(names: Iterable[str]) -> dict[str, Look]:
    """Return looks of series that are not backends, such as starts or pairs of backends."""
    colours = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)
    markers = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
    return {
        name: Look(colours[k % len(colours)], markers[k % len(markers)], _DASHES[k % len(_DASHES)])
        for k, name in enumerate(dict.fromkeys(names))
    }


def themed() -> dict[str, str]:
    """Return each colour of a chart, with the colour that stands for it in the dark theme."""
    families = [*(colours for _, colours in _FAMILIES.values()), *(colours for _, colours in _OTHERS)]
    return DARK | {colour: lighter(colour) for colours in families for colour in colours}


def lighter(colour: str) -> str:
    """Return a colour mixed with a share of white, in sRGB."""
    parts = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{round(part + _WHITE * (255 - part)):02x}" for part in parts)
