"""Figure of a recorded graph: the operations that the NumPy engine records for Goldstein-Price.

Results flow down, a reverse sweep runs from the bottom to the top. Each box is one recorded operation. Inputs and
constants are written in the box, results of other operations are lines. The layout follows Reingold and Tilford (1981,
*Tidier drawings of trees*, IEEE Trans. Software Eng. 7, 223-228): each operation is above the operations that use it,
centred over its own arguments, and parts are moved as close together as they fit without two boxes touching.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from autodiff_compare import backends, problems
from autodiff_compare.report.page import style, wording
from autodiff_compare.report.page.page import Section
from autodiff_compare.report.page.record import Record
from autodiff_compare.report.page.style import Picture

_PROBLEM = "goldstein_price"
_LINE = re.compile(r"^(\w+): .*? = (\w+)\((.*)\)$")
#: Operation -> its notation with signs.
_SIGNS = {"add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "power": "{}^{}"}
#: Inches: width of a box, distance of two rows.
_WIDE, _ROW = 0.86, 0.42


#: Name -> column and level.
Places = dict[str, tuple[float, int]]


@dataclass(frozen=True)
class Node:
    """One recorded operation: its text, and the names of the operations that compute its arguments."""

    text: str
    uses: tuple[str, ...]


def sections(record: Record) -> Iterator[Section]:
    """Yield the section with the graph, if the run has the problem."""
    problem = problems.available().get(_PROBLEM)
    if problem is None or problem.objective is None or _PROBLEM not in set(record.cells["problem"]):
        return
    # Imported here: pages of runs without the problem do not need the engine.
    from autodiff_compare.backends import numpy_autodiff

    engine = backends.load("numpy")
    engine.open()
    inputs = problem.inputs(np.random.default_rng(0), min(problem.sizes.values()))
    function = partial(problem.objective, xp=engine.xp, **inputs.static)
    nodes = parsed(numpy_autodiff.graph_text(function, *inputs.arrays))
    used = Counter(re.findall(r"\bx\d+\b", " ".join(node.text for node in nodes.values())))
    sums = ", ".join(f"{name} is used {n} times" for name, n in sorted(used.items()))
    depth = max(_depths(nodes).values()) + 1
    sentence = (
        f"One call of the problem records {len(nodes)} operations in {depth} levels. {sums}; a reverse sweep, from the "
        "bottom to the top, adds up as many cotangents for each input."
    )
    picture = Picture("graph-goldstein-price", "Recorded graph: Goldstein-Price", sentence, partial(_draw, nodes))
    yield Section("study-graph", "Recorded graph", "", (picture,))


def parsed(text: str) -> dict[str, Node]:
    """Parse the text of a graph into its operations, by name, in order."""
    found: dict[str, Node] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            name, operation, given = match.groups()
            arguments = [a.strip() for a in given.split(",")]
            letters = iter("abcdefgh")
            shown = [next(letters, "...") if a in found else a for a in arguments]
            sign = _SIGNS.get(operation, "")
            words = sign.format(*shown) if sign.count("{}") == len(shown) else f"{operation}({', '.join(shown)})"
            found[name] = Node(words, tuple(a for a in arguments if a in found))
    return found


def _depths(nodes: Mapping[str, Node]) -> dict[str, int]:
    """Return the level of each operation: the length of the longest path from it to the result."""
    depth = dict.fromkeys(nodes, 0)
    for name in reversed(list(nodes)):
        for used in nodes[name].uses:
            depth[used] = max(depth[used], depth[name] + 1)
    return depth


def placed(nodes: Mapping[str, Node]) -> Places:
    """Return the column and level of each operation; two on one level are at least 1 apart."""
    depth = _depths(nodes)
    places: Places = {}

    def lay(name: str) -> Places:
        """Place ``name`` at column 0, with the operations above it that have no place yet."""
        parts: list[Places] = []
        for used in nodes[name].uses:
            if used not in places and not any(used in part for part in parts):
                parts.append(_beside(parts, lay(used)))
        centre = float(np.mean([part[u][0] for part in parts for u in nodes[name].uses if u in part])) if parts else 0.0
        moved = {n: (x - centre, y) for part in parts for n, (x, y) in part.items()}
        return {**moved, name: (0.0, depth[name])}

    for name in reversed(list(nodes)):
        if name not in places:
            places |= _beside([places] if places else [], lay(name))
    return places


def _beside(
    parts: Sequence[Mapping[str, tuple[float, int]]], new: dict[str, tuple[float, int]]
) -> dict[str, tuple[float, int]]:
    """Move the new part to the right until none of its levels touches the other parts."""
    ends: dict[int, float] = {}
    for part in parts:
        for x, y in part.values():
            ends[y] = max(ends.get(y, x), x)
    shift = max((ends[y] + 1 - x for x, y in new.values() if y in ends), default=0.0)
    return {name: (x + shift, y) for name, (x, y) in new.items()}


def _draw(nodes: Mapping[str, Node]) -> Figure:
    places = placed(nodes)
    columns = [x for x, _ in places.values()]
    low, high, deep = min(columns), max(columns), max(y for _, y in places.values())
    figure, (ax,) = style.canvas(
        "Recorded graph", about="Goldstein-Price, NumPy engine; a, b: results of the operations above, left to right",
        panel=(max((high - low + 1) * _WIDE, 4.0), (deep + 1) * _ROW), left=0.12,
    )  # fmt: skip
    for name, node in nodes.items():
        x, y = places[name]
        for used in node.uses:
            ax.plot([places[used][0], x], [places[used][1], y], color=style.SOFT, lw=1, zorder=1)
    inputs = {f"x{k}": colour for k, colour in enumerate((style.BLUE, style.VERMILLION))}
    for name, node in nodes.items():
        found = [colour for x, colour in inputs.items() if re.search(rf"\b{x}\b", node.text)]
        edge = found[0] if len(found) == 1 else style.SOFT
        box = {"boxstyle": "round,pad=0.3", "facecolor": style.PAPER, "edgecolor": edge, "linewidth": 1.4}
        ax.text(*places[name], wording.label(node.text, 16), ha="center", va="center", size=8.5, bbox=box, zorder=2)
    ax.set_xlim(low - 0.5, high + 0.5)
    ax.set_ylim(-0.5, deep + 0.5)
    ax.set_axis_off()
    return figure
