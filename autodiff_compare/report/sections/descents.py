"""Convergence of each descent: loss and step size on log axes, with restarts marked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from autodiff_compare.problems import Array
from autodiff_compare.report.page import style, wording
from autodiff_compare.report.page.style import LineStyles, Picture
from autodiff_compare.results import formatting
from autodiff_compare.studies.descent import Step, Trace

#: Points of a line; a figure shows no more.
_POINTS = 400
#: Two descents have diverged once their losses differ by more than this, relatively.
_APART = 1e-6
#: Values below this part of the largest are cut off: a step size may fall without end.
_DEEPEST = 1e-16
#: Starts in one figure.
_STARTS = 4


def pictures(name: str, found: Sequence[Trace], backend_styles: LineStyles) -> Iterator[Picture]:
    """Yield for each descent and dtype its first start on all backends, and its starts on the first backend."""
    for (descent, dtype), group in _grouped(found).items():
        first = [t for t in group if t.start == group[0].start and drawn(t)]
        about = f"{group[0].problem}, {descent}, {dtype}"
        slug = wording.slug(name, descent, dtype)
        if first:
            by_name = {t.backend: t for t in first}
            styles = style.bands({t.backend: backend_styles[t.backend] for t in first})
            where = f"{about}, start {first[0].start}"
            yield Picture(
                f"{slug}-loss", f"Convergence: {where}", _sentence(first), partial(_draw, where, by_name, styles)
            )
        starts = {f"start {t.start}": t for t in group if t.backend == group[0].backend and drawn(t)}
        if len(starts) > 1:
            few = dict(list(starts.items())[:_STARTS])
            where = f"{about}, {group[0].backend}"
            yield Picture(
                f"{slug}-starts", f"Convergence from several starts: {where}", _start_words(list(starts.values())),
                partial(_draw, where, few, style.palette(few), "Convergence from several starts"),
            )  # fmt: skip


def drawn(trace: Trace) -> bool:
    """Return whether a log axis can show any loss of the trace."""
    return any(0 < s.loss < math.inf for s in trace.steps)


def _grouped(found: Sequence[Trace]) -> Mapping[tuple[str, str], list[Trace]]:
    groups: dict[tuple[str, str], list[Trace]] = {}
    for t in found:
        groups.setdefault((t.descent, t.dtype), []).append(t)
    return groups


def _sentence(found: Sequence[Trace]) -> str:
    t = found[0]
    end = "meets its stop rule after" if t.converged else "ends without meeting its stop rule after"
    words = f"{t.backend} {end} {wording.plural(t.iterations, 'update')}"
    words += f" with {wording.plural(t.restarts, 'restart')} (ticks at the bottom)" if t.restarts else ""
    words += f", at a loss of {formatting.number(t.final_loss)}"
    if len(found) < 2:
        return f"{words}."
    low, high = (formatting.number(f(u.final_loss for u in found)) for f in (min, max))
    words += f". Over {len(found)} backends the last loss is {low}" + (f" to {high}" if low != high else "")
    at = min((parting(t, u) for u in found[1:]), default=math.inf)
    apart = f"differ from update {wording.count(at)} on" if at < math.inf else "never differ"
    return f"{words}. Their losses {apart} (by more than {formatting.number(_APART)}, relatively)."


def _start_words(found: Sequence[Trace]) -> str:
    goals = sum(t.converged for t in found)
    updates = [t.iterations for t in found]
    few = f" The figure shows the first {_STARTS}." if len(found) > _STARTS else ""
    return (
        f"{goals} of {len(found)} starts meet the stop rule, after {wording.count(min(updates))} to "
        f"{wording.plural(max(updates), 'update')}.{few}"
    )


def parting(a: Trace, b: Trace) -> float:
    """Return the first common iteration at which the losses of two traces differ; inf if they never do."""
    others = {s.iteration: s.loss for s in b.steps}
    for s in a.steps:
        if s.iteration in others and not abs(s.loss - others[s.iteration]) <= _APART * max(abs(s.loss), 1e-300):
            return s.iteration
    return math.inf


def thinned(iterations: Array, *values: Array) -> tuple[Array, ...]:
    """Select at most `_POINTS` points, evenly spaced on a log scale of iterations, with the first and the last."""
    if len(iterations) <= _POINTS:
        return (iterations, *values)
    wanted = np.geomspace(1, iterations[-1] + 1, _POINTS) - 1
    chosen = np.unique(np.clip(np.searchsorted(iterations, wanted), 0, len(iterations) - 1))
    return (iterations[chosen], *(v[chosen] for v in values))


def _column(steps: Sequence[Step], name: str) -> Array:
    values = np.array([getattr(s, name) for s in steps], dtype=np.float64)
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def _draw(about: str, found: Mapping[str, Trace], styles: LineStyles, title: str = "Convergence") -> Figure:
    sizes = {name: _column(t.steps, "step_size") for name, t in found.items()}
    known = np.concatenate([v[np.isfinite(v)] for v in sizes.values()])
    moving = known.size > 0 and known.max() > known.min()
    restarts = next(((n, r) for n, t in found.items() if (r := _restarts(t))), None)
    handles = {"restart": Line2D([], [], color=style.INK, marker="|", linestyle="none")} if restarts else None
    figure, axes = style.canvas(
        title, styles, about=about, panels=(2 if moving else 1, 1), handles=handles,
        heights=[2.1, 1.3] if moving else [2.3], gap=(0.5, 0.2), share_x=True,
    )  # fmt: skip
    columns = {"loss": {name: _column(t.steps, "loss") for name, t in found.items()}, "step size": sizes}
    for ax, (label, values) in zip(axes, columns.items(), strict=False):
        for name, t in found.items():
            n, y = thinned(np.array([s.iteration for s in t.steps]), values[name])
            ax.plot(n + 1, y, **styles[name].lines(markevery=60))
        shown = np.concatenate([v[np.isfinite(v)] for v in values.values()])
        style.log_axis(ax.yaxis, shown[shown >= shown.max() * _DEEPEST], formatting.number, most=6)
        ax.set_ylabel(label)
    last = max(t.steps[-1].iteration for t in found.values()) + 1
    for ax in axes:
        style.log_axis(ax.xaxis, [1, last], formatting.number)
        ax.tick_params(labelbottom=ax is axes[-1])
    if restarts:
        _mark_restarts(axes[0], restarts[1])
    axes[-1].set_xlabel("iteration (from 1)")
    return figure


def _restarts(trace: Trace) -> list[int]:
    return [s.iteration for s in trace.steps if "restart" in s.extra]


def _mark_restarts(ax: Any, iterations: Sequence[int]) -> None:
    at = np.array(iterations) + 1
    ax.plot(at, np.full(len(at), 0.025), "|", color=style.INK, ms=6, mew=0.7, alpha=0.6, clip_on=False,
            transform=ax.get_xaxis_transform())  # fmt: skip
