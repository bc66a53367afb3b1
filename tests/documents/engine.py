"""Time the suite ``engine`` and remake what is shown of it: ``python -m tests.documents.engine``.

One command runs the suite on every backend that is installed, measures what the machine can do at best
(`tests.documents.machine`), and writes the tables and the roofline figure of ``docs/engine_performance.md``.
``python -m tests.documents.engine RUN`` remakes them from that run, or from several.

A time has three lower limits, and the largest counts:

    work       operations / operations a second of a matrix product
    traffic    bytes of inputs and outputs / bytes a second within a working set of that size
    order      operations that wait for one another, one after the other / seconds of one

The numbers of operations are those of the shortest known way to the value and the gradient, in units of one addition or
multiplication. An exponential, logarithm or hyperbolic function counts twenty.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.lines import Line2D

from autodiff_compare import problems
from autodiff_compare.report.page import style
from autodiff_compare.results.formatting import count
from autodiff_compare.results.formatting import seconds as duration
from autodiff_compare.results.formatting import size as byte_count
from autodiff_compare.results.ratios import in_words, ratios
from autodiff_compare.results.rows import CellRow, SampleRow
from autodiff_compare.results.tables import read, rows_from
from autodiff_compare.results.timings import timings

ROOT = pathlib.Path(__file__).parents[2]
PAGE, FIGURE = ROOT / "docs/engine_performance.md", ROOT / "docs/engine_roofline.svg"
#: Loops by hand, which `numba` compiles: the limit that `numpy:numba` is compared with, where that is installed.
BY_NUMBA = "tests/examples/numba_by_hand.py"
BACKENDS = ("manual", "numpy", "numpy:compiled", "numpy:numba", BY_NUMBA, "autograd", "torch", "tensorflow", "jax")
_RUN = ("run", "--suite", "engine", "--size", "medium", "--size", "large", "--rounds", "15")
_OPERATORS = ("value_and_gradient", "sparse_jacobian")


@dataclass(frozen=True)
class Work:
    """The least work of one call: operations, bytes, and operations that wait for one another."""

    operations: float
    bytes: float
    in_order: float = 0.0

    def limits(self, machine: Mapping[str, Any]) -> dict[str, float]:
        """Return the lower limits of the time, in seconds."""
        sizes = machine["bandwidth"]
        fitting = min((int(s) for s in sizes if int(s) >= self.bytes), default=max(map(int, sizes)))
        return {
            "work": self.operations / machine["flops"],
            "traffic": self.bytes / sizes[str(fitting)],
            "order": self.in_order * machine["latency"],
        }


def _layers(batch: int, *widths: int) -> Work:
    """Return the work of a network: three products a layer, but no gradient of the first layer's input."""
    weights = [m * n for m, n in itertools.pairwise(widths)]
    return Work(2 * batch * (3 * sum(weights) - weights[0]), 16 * sum(weights) + 8 * batch * (widths[0] + widths[-1]))


#: Problem -> its name in the tables, by size, and the work for n.
PROGRAMS: Mapping[str, tuple[str, Callable[[int], Work]]] = {
    "engine_goldstein_price": ("Goldstein-Price on numbers", lambda n: Work(75, 40, 12)),
    "engine_residual": ("sum abs(X Y - I), {n}x{n}", lambda n: Work(6 * n**3, 40 * n * n)),
    "engine_cubic": ("cubic fit of {n} points, x\\*x\\*x", lambda n: Work(19 * n, 16 * n)),
    "engine_rosenbrock": ("Rosenbrock, {n}", lambda n: Work(14 * n, 16 * n)),
    "engine_perceptron": ("perceptron 64-128-128-10, batch {n}", lambda n: _layers(n, 64, 128, 128, 10)),
    "engine_number_chain": ("{n} steps on a number", lambda n: Work(3 * n, 16, 2 * n)),
    "engine_vector_chain": ("{n} steps on ten numbers", lambda n: Work(21 * n, 160, 2 * n)),
    "engine_logistic": ("logistic regression, {n} x 20", lambda n: Work(125 * n, 168 * n)),
    "engine_mixture": ("mixture of ten Gaussians, {n} points", lambda n: Work(600 * n, 40 * n)),
    "engine_likelihood": ("likelihood of a Gaussian process, n = {n}", lambda n: Work(n**3, 8 * n * n)),
    "engine_atoms": ("Lennard-Jones, {n} atoms", lambda n: Work(15 * n * (n - 1), 48 * n)),
    "engine_network": ("network 50-100-100-100-10, batch {n}", lambda n: _layers(n, 50, 100, 100, 100, 10)),
    "engine_populations": ("Lotka-Volterra, {n} steps", lambda n: Work(60 * n, 8 * n, 16 * n)),
    "engine_banded": ("tridiagonal Jacobian, n = {n}", lambda n: Work(2 * n, 32 * n)),
}
#: Ratios that the engine and its compiled mode are to reach.
_TARGETS = {
    ("engine_goldstein_price", "medium"): (20, 1),
    ("engine_residual", "medium"): (2, 0.65),
    ("engine_residual", "large"): (1.15, 1),
    ("engine_cubic", "medium"): (2.5, 0.75),
    ("engine_rosenbrock", "medium"): (1.7, 0.9),
    ("engine_rosenbrock", "large"): (1.7, 0.5),
    ("engine_perceptron", "medium"): (1.15, 1),
}


#: Share of a limit that a time may fall to, since both are measured, minutes apart.
_WITHIN = 0.9


@dataclass(frozen=True)
class Row:
    """One program: its name, its work, and for each backend seconds a call and the ratio to the time by hand."""

    problem: str
    size: str
    n: int
    seconds: Mapping[str, float]
    ratios: Mapping[str, float]
    contended: int = 0

    @property
    def name(self) -> str:
        return PROGRAMS[self.problem][0].format(n=count(self.n) if self.n >= 10_000 else self.n)

    @property
    def work(self) -> Work:
        return PROGRAMS[self.problem][1](self.n)


def rows(folders: Iterable[pathlib.Path], sizes: Mapping[tuple[str, str], int]) -> list[Row]:
    """Return the rows of the tables, in the order of `PROGRAMS`."""
    found = []
    for folder in folders:
        cells = rows_from(read(folder / "cells.csv", CellRow), CellRow)
        samples = rows_from(read(folder / "samples.csv", SampleRow), SampleRow)
        median = {row.cell_id: row.median_s for row in timings(cells, samples) if row.phase == "steady"}
        groups = ratios(cells, samples)
        for (problem, size, dtype, operator), by_backend in groups.items():
            if problem in PROGRAMS and dtype == "float64" and operator in _OPERATORS:
                prefix = f"{problem}/{size}/{dtype}/{operator}/"
                seconds = {cell.removeprefix(prefix): s for cell, s in median.items() if cell.startswith(prefix)}
                waited = sum(cell.cell_id.startswith(prefix) and "contended" in cell.flags for cell in cells)
                found.append(Row(problem, size, sizes[problem, size], seconds, by_backend, waited))
    order = list(PROGRAMS)
    return sorted(found, key=lambda row: (order.index(row.problem), row.n))


def _backends(found: Sequence[Row]) -> list[str]:
    """Return the backends that are timed, other than the baseline, in the order of the tables."""
    timed = dict.fromkeys(spec for row in found for spec in row.seconds)
    known = [spec for spec in BACKENDS[1:] if spec in timed]
    return known + [spec for spec in timed if spec not in BACKENDS]


def ratios_table(found: Sequence[Row]) -> str:
    """Return the table of times relative to the gradient by hand."""
    specs = _backends(found)
    lines = [
        [row.name, _time(row.seconds.get("manual", math.nan)), *(_entry(row, spec) for spec in specs)] for row in found
    ]
    return _table(["program", "by hand", *map(_heading, specs)], lines)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    text = [f"| {' | '.join(line)} |" for line in (head, *lines)]
    return "\n".join([text[0], "|---" * len(head) + "|", *text[1:]]) + "\n"


def _time(seconds: float) -> str:
    return "-" if math.isnan(seconds) else duration(seconds)


def _heading(spec: str) -> str:
    if pathlib.Path(spec).stem == pathlib.Path(BY_NUMBA).stem:
        return "numba by hand"
    if spec == "manual":
        return "by hand"
    return f"`{spec}`" if spec.startswith("numpy") else spec


def _entry(row: Row, spec: str) -> str:
    targets = dict(zip(("numpy", "numpy:compiled"), _TARGETS.get((row.problem, row.size), ()), strict=False))
    return in_words(row.ratios.get(spec, math.nan)) + (f" ({targets[spec]:g})" if spec in targets else "")


def limits_table(found: Sequence[Row], machine: Mapping[str, Any]) -> str:
    """Return the table of times over their lower limits."""
    specs = ["manual", *_backends(found)]
    lines, bounds = [], []
    for row in found:
        why, limit = max(row.work.limits(machine).items(), key=lambda item: item[1])
        bounds.append((row, limit))
        entries = [in_words(row.seconds.get(spec, math.nan) / limit) for spec in specs]
        lines.append([row.name, duration(limit), why, *entries])
    beaten = [f"{row.name} on {spec}" for row, limit in bounds for spec in specs if _beats(row, spec, limit)]
    waited, timed = sum(row.contended for row in found), sum(len(row.seconds) for row in found)
    notes = [f"{waited} of {timed} cells were timed while other programs had the processor."] if waited else []
    if beaten:
        notes.append(f"Faster than the limit, which was measured too high then: {', '.join(beaten)}.")
    table = _table(["program", "limit", "set by", *map(_heading, specs)], lines)
    return table + "".join(f"\n{textwrap.fill(note, 120)}\n" for note in notes)


def _beats(row: Row, spec: str, limit: float) -> bool:
    """Return whether a time is below its limit by more than the two were measured to."""
    return row.seconds.get(spec, math.inf) < _WITHIN * limit


def machine_table(machine: Mapping[str, Any]) -> str:
    """Return what was measured of the machine."""
    lines = [
        ["matrix product", f"{machine['flops'] / 1e9:.3g} Gflop/s"],
        ["operations that wait for one another", f"{machine['latency'] * 1e9:.3g} ns each"],
    ]
    for size, speed in machine["bandwidth"].items():
        lines.append([f"copies within {byte_count(int(size))}", f"{speed / 1e9:.3g} GB/s"])
    return _table(["measured", "on one thread"], lines)


def _look(spec: str, style_of: style.LineStyle) -> dict[str, str]:
    """Return the marker of a backend, hollow for a variant."""
    return {"color": style_of.colour, "marker": style_of.marker, "fillstyle": "none" if ":" in spec else "full"}


def draw_roofline(found: Sequence[Row], machine: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draw operations a second against operations a byte, below the roofs of memory, cache and arithmetic."""
    specs = _backends(found)
    looks = {spec: _look(spec, look) for spec, look in style.backend_styles(specs).items()}
    looks["manual"] = {"color": style.INK, "marker": "_", "fillstyle": "full"}
    speeds = machine["bandwidth"]
    roofs = {"memory": speeds[max(speeds, key=int)], "cache": max(speeds.values())}
    intensity = [row.work.operations / row.work.bytes for row in found]
    with style.drawing():
        figure, (axes,) = style.canvas(
            "Roofline of the suite engine, float64, one thread",
            about="value and gradient; lines: the measured limits of arithmetic, cache and memory",
            panel=(6.4, 3.6),
            handles={_heading(s).strip("`"): Line2D([], [], linestyle="none", **look) for s, look in looks.items()},
        )
        low, high = min(intensity) / 2, max(intensity) * 2
        for name, speed in roofs.items():
            bend = machine["flops"] / speed
            xs = [low, *([bend] if low < bend < high else []), high]
            axes.plot(xs, [min(x * speed, machine["flops"]) / 1e9 for x in xs], color=style.SOFT, linewidth=1)
            # In parallel above its line.
            rise = {"rotation": math.degrees(math.atan(speed / 1e9)), "transform_rotates_text": True}
            place = {"va": "bottom", "rotation_mode": "anchor"}
            axes.text(low, low * speed / 1e9, f" {name}", fontsize=8, color=style.SOFT, **place, **rise)
        rates = [machine["flops"] / 1e9]
        for spec in ("manual", *specs):
            timed = [(x, row) for x, row in zip(intensity, found, strict=True) if spec in row.seconds]
            points = [(x, row.work.operations / row.seconds[spec] / 1e9) for x, row in timed]
            rates += [y for _, y in points]
            if points:
                axes.plot(*zip(*points, strict=True), linestyle="none", **looks[spec])
        style.log_axis(axes.xaxis, [low, high], lambda x: f"{x:g}")
        style.log_axis(axes.yaxis, [*rates], lambda x: f"{x:g}")
        axes.set_xlabel("operations a byte")
        axes.set_ylabel("Gflop/s")
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def replaced(text: str, name: str, table: str) -> str:
    """Return a document with the table between its two marks replaced."""
    pattern = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", re.S)
    made, count = pattern.subn(lambda m: f"{m.group(1)}\n{table}\n{m.group(2)}", text)
    if count != 1:
        raise SystemExit(f"got {count} marks '<!-- {name}: ... -->' with '<!-- end of {name} -->', expected one")
    return made


def _machine() -> dict[str, Any]:
    """Return what the machine can do, measured by a process with one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "tests.documents.machine"]
    done = subprocess.run(command, env={**os.environ, **one}, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _timed() -> list[pathlib.Path]:
    """Run the suite, and return the folder of the run."""
    chosen = [word for spec in BACKENDS for word in ("-b", spec)]
    operators = [word for operator in _OPERATORS for word in ("-o", operator)]
    before = set((ROOT / "results").iterdir())
    command = [sys.executable, "compare.py", *_RUN, *chosen, *operators, "--out", "results"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    made = sorted(set((ROOT / "results").iterdir()) - before)
    if not made:
        raise SystemExit(f"got exit code {done.returncode} and no tables from compare.py: read its messages above")
    return made


def main(names: Sequence[str]) -> None:
    """Remake the tables and the figure, from the named runs or from a new one."""
    folders = [ROOT / "results" / name if not pathlib.Path(name).is_dir() else pathlib.Path(name) for name in names]
    sizes = {(p.name, size): n for name in PROGRAMS for p in problems.load(name) for size, n in p.sizes.items()}
    found, machine = rows(folders or _timed(), sizes), _machine()
    page = PAGE.read_text(encoding="utf-8")
    tables = {
        "table of the engine": ratios_table(found),
        "limits": limits_table(found, machine),
        "machine": machine_table(machine),
    }
    for name, table in tables.items():
        page = replaced(page, name, table)
    PAGE.write_text(page, encoding="utf-8")
    draw_roofline(found, machine, FIGURE)


if __name__ == "__main__":
    main(sys.argv[1:])
