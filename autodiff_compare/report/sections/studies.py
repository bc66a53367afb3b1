"""Sections of the descent studies: figures and tables for the descents that a run has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from autodiff_compare import problems
from autodiff_compare.charts.looks import Looks, series_looks
from autodiff_compare.charts.spec import rule
from autodiff_compare.problems import Array
from autodiff_compare.report.page import style, wording
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.report.page.descent_traces import grid, known, numbers, traces
from autodiff_compare.report.page.grids import Grid
from autodiff_compare.report.page.page import Section
from autodiff_compare.report.page.record import Record
from autodiff_compare.report.page.style import Picture
from autodiff_compare.report.sections import descents
from autodiff_compare.results import formatting
from autodiff_compare.studies import tables
from autodiff_compare.studies.trace import Trace

#: Starts in one figure of followed quantities.
_PANELS = 4


def sections(record: Record, looks: Looks) -> Iterator[Section]:
    """Yield one section for each problem that was minimised."""
    for k, (problem, found) in enumerate(traces(record).items(), 1):
        name = f"descent-{k}"
        parts: list[Any] = [*descents.pictures(f"d{k}-{problem}", found, looks)]
        own = known(problem, found)
        parts += _followed(f"d{k}", found)
        if own is not None and problem in STUDIES:
            parts += STUDIES[problem](f"d{k}", found)
        parts += [grid(f"{name}-way-{i}", table, fold=True) for i, table in enumerate(tables.convergence(found))]
        yield Section(name, problem, parts=tuple(parts))


# ---- followed quantities of up to six numbers, such as eigenvalues


def _followed(name: str, found: Sequence[Trace]) -> Iterator[Picture]:
    """Yield for each descent on the first backend its followed quantities, with a panel for each start."""
    groups: dict[tuple[str, str], list[Trace]] = {}
    for t in found:
        if t.backend == found[0].backend:
            groups.setdefault((t.descent, t.dtype), []).append(t)
    for (descent, dtype), group in groups.items():
        for what in dict.fromkeys(n for t in group for n in t.steps[0].extra if n != "restart"):
            rows = {t.start: numbers(t, what) for t in group}
            rows = {start: r for start, r in rows.items() if r[1].size and 1 < r[1].shape[1] <= 6}
            if rows:
                target = _target(group[0], what)
                about = f"{group[0].problem}, {descent}, {dtype}, {group[0].backend}"
                yield Picture(
                    wording.slug(name, descent, dtype, what), f"{what.capitalize()} during the descent: {about}",
                    _followed_words(what, rows, target), partial(_draw_followed, what, about, rows, target),
                )  # fmt: skip


def _target(trace: Trace, what: str) -> Array:
    """Return the target of the eigenvalues if the problem is known; else an empty array."""
    aims = what == "eigenvalues" and trace.data and trace.data[0].ndim == 1
    return np.asarray(trace.data[0], dtype=np.float64) if aims else np.empty(0)


def _followed_words(what: str, rows: Mapping[int, tuple[Array, Array]], target: Array) -> str:
    first = next(iter(rows.values()))[1]
    words = f"From {wording.plural(len(rows), 'start')}"
    if target.size == first.shape[1]:
        off = max(float(np.max(np.abs(r[-1] - np.sort(target)))) for _, r in rows.values())
        aim = ", ".join(f"{v:g}" for v in target)
        words += f", all {what} end within {off:.1e} of the target ({aim}; dashed)"
        if off > 1e-3:
            words += ": they do not reach it"
        return f"{words}."
    ends = "; ".join(", ".join(f"{v:.4g}" for v in r[-1]) for _, r in list(rows.values())[:_PANELS])
    return f"{words}, {what} ends at {ends}."


_COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)
_LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)), "-", (0, (4, 1.5)))


def _draw_followed(what: str, about: str, rows: Mapping[int, tuple[Array, Array]], target: Array) -> Figure:
    shown = dict(list(rows.items())[:_PANELS])
    columns = min(len(shown), 2)
    count = next(iter(shown.values()))[1].shape[1]
    handles = {f"{what} {k}": Line2D([], [], color=_COLOURS[k], ls=_LINES[k]) for k in range(count)}
    if target.size:
        handles["target"] = Line2D([], [], color=style.SOFT, ls=(0, (6, 3)), lw=1)
    figure, axes = style.canvas(
        f"{what.capitalize()} during the descent", about=about, handles=handles,
        panels=(-(-len(shown) // columns), columns),
        panel=(3.3, 1.9), gap=(0.45, 0.72), left=0.72, room=0.16,
    )  # fmt: skip
    low = min(float(r.min()) for _, r in shown.values())
    high = max(float(r.max()) for _, r in shown.values())
    pad = 0.06 * (high - low) or 0.5
    for k, (ax, (start, (n, r))) in enumerate(zip(axes, shown.items(), strict=False)):
        _draw_start(ax, n, r, target)
        ax.set_title(f"start {start}", loc="left", pad=3)
        ax.set_ylim(low - pad, high + pad)
        if k >= len(shown) - columns:
            ax.set_xlabel("iteration")
        if k % columns == 0:
            ax.set_ylabel(what)
    for ax in axes[len(shown) :]:
        ax.remove()
    return figure


def _draw_start(ax: Axes, n: Array, values: Array, target: Array) -> None:
    """Draw the numbers of one start against the iterations ``n``, and their target as dashed lines."""
    for value in target:
        ax.axhline(value, color=style.SOFT, ls=(0, (6, 3)), lw=1, zorder=1)
    for i in range(values.shape[1]):
        at, y = _even(n, values[:, i])
        ax.plot(at, y, color=_COLOURS[i], ls=_LINES[i])
    ax.set_xlim(0, n[-1])
    ax.locator_params(axis="x", nbins=5)


def _even(n: Array, y: Array, most: int = 300) -> tuple[Array, Array]:
    """Select at most ``most`` points, evenly spaced."""
    chosen = np.unique(np.searchsorted(n, np.linspace(n[0], n[-1], most)).clip(0, len(n) - 1))
    return n[chosen], y[chosen]


# ---- the matrix inverse


def _inverse(name: str, found: Sequence[Trace]) -> Iterator[Picture | Grid]:
    """Yield the matrices before and after the descent, as figure and tables, and the errors of each descent."""
    trace = found[0]
    (X, target), (Y0,), (Y,) = trace.data, trace.first_point, trace.last_point
    before, after = (float(np.sum(np.abs(X @ A - target))) for A in (Y0, Y))
    about = f"{trace.problem}, {trace.descent}, start {trace.start}, {trace.backend}"
    sentence = (
        f"The descent lowers the residual, the sum of |X Y - I|, from {before:.3g} to {after:.3g}. The entries of Y "
        f"are within {float(np.max(np.abs(Y - np.linalg.inv(X)))):.2g} of those of inv(X)."
    )
    panels = {
        "X": X,
        "Y before": Y0,
        "X Y before": X @ Y0,
        "inv(X)": np.linalg.inv(X),
        "Y after": Y,
        "X Y after": X @ Y,
    }
    title = f"Matrices before and after the descent: {about}"
    yield Picture(f"{name}-matrices", title, sentence, partial(_draw_matrices, about, panels))
    for k, table in enumerate([*tables.matrices(trace), tables.inverse_errors(found)]):
        yield grid(f"{name}-matrices-{k}", table)


def _draw_matrices(about: str, panels: Mapping[str, Array]) -> Figure:
    figure, axes = style.canvas(
        "Matrices before and after the descent", about=about, panels=(2, 3), panel=(1.95, 1.45), left=0.25,
        gap=(0.3, 0.45), room=0.16,
    )  # fmt: skip
    for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
        _draw_matrix(ax, matrix)
        ax.set_title(title, loc="left", pad=4)
    return figure


def _draw_matrix(ax: Axes, matrix: Array) -> None:
    """Draw the entries as numbers on shades of blue (positive) and vermillion (negative)."""
    largest = float(np.max(np.abs(matrix))) or 1.0
    rows, columns = matrix.shape
    for (i, j), value in np.ndenumerate(matrix.astype(np.float64)):
        colour = style.BLUE if value >= 0 else style.VERMILLION
        ax.add_patch(Rectangle((j, i), 1, 1, color=colour, alpha=0.45 * abs(value) / largest, lw=0))
        ax.text(j + 0.5, i + 0.5, f"{round(float(value), 4) + 0.0:.4f}", ha="center", va="center", size=9)
    ax.set_xlim(0, columns)
    ax.set_ylim(rows, 0)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


# ---- the cubic fit


def _cubic(name: str, found: Sequence[Trace]) -> Iterator[Chart | Picture | Grid]:
    """Yield the fit with its residual, the excess loss, and the tables of the study."""
    fit = tables.Fit.of(*found[0].data)
    trace = next((t for t in found if t.descent == "cleared"), found[0])
    theta = trace.last_point[0].astype(np.float64)
    above = 100 * (fit.loss(theta) / fit.least - 1)
    largest, ends = (float(np.max(np.abs(fit.V @ point - fit.y))) for point in (theta, tables.MACLAURIN))
    sentence = (
        f"After {wording.plural(trace.iterations, 'update')} ({trace.backend}) the fit is within {largest:.3f} of the "
        f"sine everywhere, and its loss is {above:.2f} % above the least loss. The Maclaurin cubic is exact at 0 but "
        f"{ends:.2f} off at the ends; it has {fit.loss(tables.MACLAURIN) / fit.least:.0f} times the least loss."
    )
    about = f"{trace.problem}, {trace.descent}, {trace.backend}"
    yield Picture(f"{name}-fit", f"The fit: {about}", sentence, partial(_draw_fit, about, fit, theta))
    yield from _excess(name, fit, found)
    for k, table in enumerate(tables.cubic_fit(problems.available()["cubic_fit"], found)):
        yield grid(f"{name}-cubic-{k}", table)


def _draw_fit(about: str, fit: tables.Fit, theta: Array) -> Figure:
    curves = {
        "sine": (fit.y, style.SOFT, "-", 4.0),
        "descent": (fit.V @ theta, style.BLUE, "-", 1.7),
        "optimum (polyfit)": (fit.V @ fit.optimum, style.GREEN, (0, (4, 1.5)), 1.7),
        "Maclaurin x - x^3/6": (fit.V @ tables.MACLAURIN, style.VERMILLION, (0, (1, 1.2)), 1.7),
    }
    handles = {
        n: Line2D([], [], color=c, ls=ls, lw=lw, alpha=0.5 if n == "sine" else 1)
        for n, (_, c, ls, lw) in curves.items()
    }
    figure, (top, low) = style.canvas(
        "The fit and its residual", about=about, handles=handles, panels=(2, 1), heights=[2.0, 1.3], gap=(0.5, 0.2)
    )
    x = fit.V[:, 2]
    chosen = np.unique(np.linspace(0, len(x) - 1, 200).astype(int))
    for label, (y, colour, line, width) in curves.items():
        top.plot(x[chosen], y[chosen], color=colour, ls=line, lw=width, alpha=0.5 if label == "sine" else 1)
        if label != "sine":
            low.plot(x[chosen], (y - fit.y)[chosen], color=colour, ls=line, lw=width)
    low.set_ylim(-0.4, 0.4)
    top.set_ylim(-2.2, 2.2)
    top.set_ylabel("y")
    low.set_ylabel("y - sin x")
    low.set_xlabel("x")
    for ax in (top, low):
        ax.set_xlim(-math.pi, math.pi)
        ax.set_xticks([-math.pi, -math.pi / 2, 0, math.pi / 2, math.pi], ["-π", "-π/2", "0", "π/2", "π"])
    top.tick_params(labelbottom=False)
    return figure


def _excess(name: str, fit: tables.Fit, found: Sequence[Trace]) -> Iterator[Chart]:
    """Yield the excess of the loss over the least one, for each descent on the first backend that made it."""
    first = {t.descent: t for t in reversed(found) if t.dtype == found[0].dtype}
    chosen = dict(reversed(first.items()))
    ends = [
        f"{formatting.number(t.final_loss - fit.least)} above it with {descent} after "
        f"{wording.plural(t.iterations, 'update')}"
        for descent, t in chosen.items()
    ]
    sentence = f"The least loss is {fit.least:.6g}; {'; '.join(ends)}. Dashed: 1 % of the least loss."
    points = {descent: (t.steps, [s.loss - fit.least for s in t.steps]) for descent, t in chosen.items()}
    backends = formatting.listed(t.backend for t in chosen.values())
    chart = descents.over_steps(
        "Excess of the loss", f"cubic_fit, {backends}", points, "loss - least loss", series_looks(chosen), []
    )
    chart["layer"] += rule("y", 0.01 * fit.least)
    yield Chart(f"{name}-excess", "Excess of the loss: cubic_fit", sentence, chart)


#: Problem -> function that makes the figures and tables of its own study.
STUDIES: Mapping[str, Callable[[str, Sequence[Trace]], Iterator[Chart | Picture | Grid]]] = {
    "matrix_inverse_absolute": _inverse,
    "matrix_inverse_squared": _inverse,
    "cubic_fit": _cubic,
}
