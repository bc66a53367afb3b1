"""Convergence of each descent: loss and step size on log axes, with restarts marked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.lines import lines
from autodiff_compare.charts.looks import Looks, series_looks
from autodiff_compare.problems import Array
from autodiff_compare.report.page import wording
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.results import formatting
from autodiff_compare.studies.trace import NO_STOP_RULE, Step, Trace

#: Points of a line; a figure shows no more.
_POINTS = 400
#: Two descents have diverged once their losses differ by more than this, relatively.
_APART = 1e-6
#: Values below this part of the largest are cut off: a step size may fall without end.
_DEEPEST = 1e-16
#: Starts in one figure.
_STARTS = 4


def pictures(name: str, found: Sequence[Trace], backend_looks: Looks) -> Iterator[Chart]:
    """Yield for each descent and dtype its first start on all backends, and its starts on the first backend."""
    for (descent, dtype), group in _grouped(found).items():
        first = {t.backend: t for t in group if t.start == group[0].start and drawn(t)}
        about = f"{group[0].problem}, {descent}, {dtype}"
        slug = wording.slug(name, descent, dtype)
        if first:
            looks = {backend: backend_looks[backend] for backend in first}
            where = f"{about}, start {group[0].start}"
            words = _sentence([*first.values()])
            yield Chart(f"{slug}-loss", f"Convergence: {where}", words, loss_chart("Convergence", where, first, looks))
            if any(len({s.step_size for s in t.steps}) > 1 for t in first.values()):
                yield _step_sizes(f"{slug}-step-size", where, first, looks)
        starts = {f"start {t.start}": t for t in group if t.backend == group[0].backend and drawn(t)}
        if len(starts) > 1:
            few = dict(list(starts.items())[:_STARTS])
            where, title = f"{about}, {group[0].backend}", "Convergence from several starts"
            chart = loss_chart(title, where, few, series_looks(few))
            yield Chart(f"{slug}-starts", f"{title}: {where}", _start_words(list(starts.values())), chart)


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
    unmet = "ends" if t.message.startswith(NO_STOP_RULE) else "ends without meeting its stop rule"
    end = "meets its stop rule" if t.converged else unmet
    words = f"{t.backend} {end} after {wording.plural(t.iterations, 'update')}"
    words += f" with {wording.plural(t.restarts, 'restart')} (strokes at the bottom)" if t.restarts else ""
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
    without = all(t.message.startswith(NO_STOP_RULE) for t in found)
    updates = [t.iterations for t in found]
    few = f" The figure shows the first {_STARTS}." if len(found) > _STARTS else ""
    met = f"{len(found)} starts end" if without else f"{goals} of {len(found)} starts meet the stop rule,"
    return f"{met} after {wording.count(min(updates))} to {wording.plural(max(updates), 'update')}.{few}"


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


def loss_chart(title: str, about: str, found: Mapping[str, Trace], looks: Looks) -> Json:
    """Return the losses of descents by name, with the restarts of the first that has any."""
    points = {name: (t.steps, [s.loss for s in t.steps]) for name, t in found.items()}
    restarts = next((r for t in found.values() if (r := _restarts(t))), [])
    return over_steps(title, about, points, "loss", looks, restarts)


def _step_sizes(name: str, about: str, found: Mapping[str, Trace], looks: Looks) -> Chart:
    points = {spec: (t.steps, [s.step_size for s in t.steps]) for spec, t in found.items()}
    sizes = [v for _, values in points.values() for v in values if 0 < v < math.inf]
    words = f"The step size lies between {formatting.number(min(sizes))} and {formatting.number(max(sizes))}."
    chart = over_steps("Step size", about, points, "step size", looks, [])
    return Chart(name, f"Step size: {about}", words, chart)


def over_steps(
    title: str,
    about: str,
    found: Mapping[str, tuple[Sequence[Step], Sequence[float]]],
    quantity: str,
    looks: Looks,
    restarts: Sequence[int],
) -> Json:
    """Return a quantity of the steps of descents against the iteration, both on log axes.

    Values below `_DEEPEST` of the largest are left out.
    """
    values = {name: np.array(given, dtype=np.float64) for name, (_, given) in found.items()}
    largest = max((float(v[np.isfinite(v)].max(initial=0.0)) for v in values.values()), default=0.0)
    rows = []
    for name, (steps, _) in found.items():
        kept = thinned(np.array([s.iteration for s in steps]), values[name], np.arange(len(steps)))
        for n, value, k in zip(*kept, strict=True):
            if largest * _DEEPEST <= value < math.inf:
                rows.append({
                    "series": name, "n": int(n) + 1, "value": float(f"{value:.7g}"), "count": wording.count(int(n) + 1),
                    "words": formatting.number(float(value)), "rate": formatting.number(steps[int(k)].step_size),
                })  # fmt: skip
    hints = (("series", "series"), ("count", "iteration"), ("words", quantity), ("rate", "step size"))
    return lines(
        title, rows, Axis("n", "iteration (from 1)"), Axis("value", quantity), looks, about=about, markers=False,
        bands=True, hints=hints, notches=[n + 1 for n in restarts],
    )  # fmt: skip


def _restarts(trace: Trace) -> list[int]:
    return [s.iteration for s in trace.steps if "restart" in s.extra]
