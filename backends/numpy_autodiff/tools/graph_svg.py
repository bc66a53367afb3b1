"""The graph of a function as SVG: rows by depth, boxes with text, curves between them. No other package draws it.

Every node stands one row below the lowest of its arguments. Within a row nodes are sorted by the mean place of their
arguments (the barycentre heuristic of Sugiyama, Tagawa and Toda 1981), which keeps most curves from crossing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape  # xml.sax.saxutils imports urllib and all that it needs for the network
from typing import Any

from autodiff_compare.backends.numpy_autodiff.core.tracing import Node
from autodiff_compare.backends.numpy_autodiff.tools.graph_text import argument, form, recorded

#: Characters of a constant in a drawing.
_LONGEST = 24
#: Pixels. A character of the 12 px monospaced font is about 7.3 wide.
_CHARACTER, _LINE, _PADDING, _ROW_GAP, _GAP, _MARGIN = 7.3, 15, 10, 36, 18, 12
_STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;text-anchor:middle;fill:#1b1f24}"
    "rect{fill:#fff;stroke:#57606a}.input rect{fill:#ddf4ff}.output rect{fill:#dafbe1;stroke-width:2}"
    "path{fill:none;stroke:#8c959f}"
)


def graph_svg(f: Callable[..., Any], *args: Any) -> str:
    """Return the graph of ``f(*args)`` as an SVG drawing, to be written to a file or shown in a notebook.

    Each input and each recorded operation is a box with its name, its constants, and the dtype and shape of its result.
    Arguments stand above their results; outputs of the function have a thick frame.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff_compare.backends.numpy_autodiff import graph_svg
    >>> drawing = graph_svg(lambda x: np.sum(x * x + 1.0), np.ones(3))
    >>> drawing[:4], drawing.count("<rect"), drawing.count("<path")
    ('<svg', 4, 4)
    """
    names, nodes, r = recorded(f, args)
    results = {id(leaf) for leaf in r.outputs}
    boxes: dict[str, Box] = {}
    for node in r.inputs:
        name = names[id(node)]
        boxes[name] = Box((name, form(node)), kind="output" if id(node) in results else "input")
    for node in nodes:
        boxes[names[id(node)]] = Box(
            (_call(node, names), form(node)),
            tuple(names[id(node.args[i])] for i in node.call.where),
            "output" if id(node) in results else "",
        )
    title = f"{getattr(f, '__name__', type(f).__name__)}: inputs {len(r.inputs)}, operations {len(nodes)}"
    return _svg(boxes, title)


def _call(node: Node, names: dict[int, str]) -> str:
    """Return the name of an operation and its constants; the curves show its other arguments."""
    traced = node.call.where
    given = ["." if i in traced else _shortened(_constant(a, names)) for i, a in enumerate(node.args)]
    given += [f"{k}={_shortened(repr(v))}" for k, v in node.call.kwargs.items()]
    plain = all(g == "." for g in given)
    return node.call.primitive.name if plain else f"{node.call.primitive.name}({', '.join(given)})"


def _constant(x: Any, names: dict[int, str]) -> str:
    if isinstance(x, slice):
        ends = f"{'' if x.start is None else x.start}:{'' if x.stop is None else x.stop}"
        return ends if x.step is None else f"{ends}:{x.step}"
    return ", ".join(_constant(part, names) for part in x) if isinstance(x, tuple) else argument(x, names)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


@dataclass(frozen=True)
class Box:
    """A box: its lines of text, the names of its arguments, and its kind, ``input``, ``output`` or empty."""

    lines: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    kind: str = ""

    @property
    def width(self) -> float:
        return max(map(len, self.lines)) * _CHARACTER + 2 * _PADDING

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PADDING


def _svg(boxes: Mapping[str, Box], title: str) -> str:
    """Draw a graph.

    Parameters
    ----------
    boxes
        Name -> box, arguments before results.
    title
        Description for screen readers.
    """
    rows = _rows(boxes)
    centres, width, height = _places(boxes, rows)
    curves = [_curve(centres[a], boxes[a], centres[name], box) for name, box in boxes.items() for a in box.arguments]
    shapes = [_shape(name, box, *centres[name]) for name, box in boxes.items()]
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    told = f"<title>{escape(title, quote=False)}</title>"
    return "\n".join([head, told, f"<style>{_STYLE}</style>", *curves, *shapes, "</svg>"])


def _rows(boxes: Mapping[str, Box]) -> list[list[str]]:
    """Return the names by depth, in each row from left to right."""
    depth: dict[str, int] = {}
    rows: list[list[str]] = []
    for name, box in boxes.items():
        at = depth[name] = max((depth[a] + 1 for a in box.arguments), default=0)
        rows += [[]] * (at + 1 - len(rows))
        rows[at] = [*rows[at], name]
    place: dict[str, float] = {}
    for row in rows:
        middle = {n: _mean([place[a] for a in boxes[n].arguments], i / len(row)) for i, n in enumerate(row)}
        row.sort(key=middle.__getitem__)
        place |= {name: (i + 0.5) / len(row) for i, name in enumerate(row)}
    return rows


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _places(boxes: Mapping[str, Box], rows: list[list[str]]) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Return the centre of each box, and the width and height of the drawing."""
    widths = [sum(boxes[n].width for n in row) + _GAP * (len(row) - 1) for row in rows]
    whole = max(widths, default=0.0)
    centres = {}
    y = float(_MARGIN)
    for row, width in zip(rows, widths, strict=True):
        x = _MARGIN + (whole - width) / 2
        height = max(boxes[n].height for n in row)
        for name in row:
            centres[name] = (x + boxes[name].width / 2, y + height / 2)
            x += boxes[name].width + _GAP
        y += height + _ROW_GAP
    return centres, whole + 2 * _MARGIN, y - _ROW_GAP + _MARGIN if rows else 2.0 * _MARGIN


def _curve(start: tuple[float, float], above: Box, end: tuple[float, float], below: Box) -> str:
    """Draw a curve from the lower edge of one box to the upper edge of another, vertical at both ends."""
    (x, y), (u, v) = (start[0], start[1] + above.height / 2), (end[0], end[1] - below.height / 2)
    half = (y + v) / 2
    return f'<path d="M{x:.1f} {y:.1f}C{x:.1f} {half:.1f} {u:.1f} {half:.1f} {u:.1f} {v:.1f}"/>'


def _shape(name: str, box: Box, x: float, y: float) -> str:
    corner = f'x="{x - box.width / 2:.1f}" y="{y - box.height / 2:.1f}"'
    rounded = box.height / 2 if box.kind == "input" else 3
    rectangle = f'<rect {corner} width="{box.width:.1f}" height="{box.height:.1f}" rx="{rounded:.1f}"/>'
    top = y - box.height / 2 + _PADDING + 0.75 * _LINE
    lines = [escape(line, quote=False) for line in box.lines]
    text = [f'<text x="{x:.1f}" y="{top + i * _LINE:.1f}">{line}</text>' for i, line in enumerate(lines)]
    return f'<g id="{escape(name)}" class="{box.kind}">{rectangle}{"".join(text)}</g>'
