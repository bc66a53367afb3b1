"""What people want to see of a descent: plain rows, made from finished traces.

`sheets` gives the tables of one problem: first the overview and the way down, which every descent has, then
what the problem's own study asks for, found by its name in `STUDIES`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.problems import Problem
from autodiff_compare.results import formatting
from autodiff_compare.studies.descent import Step, Trace

Array = NDArray[Any]

#: Rows of a table that shows the way down.
_SHOWN = 12


@dataclass(frozen=True)
class Sheet:
    """A table for people.

    Parameters
    ----------
    title, columns, rows
        A cell is text, an integer, a float, `None` (unknown) or a one-dimensional array, shown as one row of a matrix.
    note
        Lines below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


def sheets(problem: Problem, traces: Sequence[Trace]) -> list[Sheet]:
    """All tables of one problem's traces, of which there must be one or more."""
    return [overview(traces), *way_down(traces), *STUDIES.get(problem.name, followed)(problem, traces)]


# ---- every descent


def overview(traces: Sequence[Trace]) -> Sheet:
    """One row for each descent, dtype and start; the backends' seconds beside each other."""
    specs = list(dict.fromkeys(t.backend for t in traces))
    rows = []
    for (descent, dtype, start), group in _grouped(traces, "descent", "dtype", "start").items():
        by_spec = {t.backend: t for t in group}
        times = (formatting.seconds(by_spec[s].seconds) if s in by_spec else "-" for s in specs)
        name = descent if dtype == "float64" else f"{descent} {dtype}"
        losses = _span([t.final_loss for t in group])
        rows.append((name, start, _span([t.iterations for t in group]), losses, *times))
    columns = ("descent", "start", "updates", "last loss", *specs)
    return Sheet(f"Descents of {traces[0].problem}: updates, loss, time", columns, tuple(rows), _remarks(traces))


def way_down(traces: Sequence[Trace]) -> list[Sheet]:
    """For each descent the first trace: a few of its steps, evenly spaced on a log scale of iterations."""
    return [_path(group[0]) for group in _grouped(traces, "descent").values()]


def _path(trace: Trace) -> Sheet:
    last = max(trace.iterations, 1)
    wanted = np.unique(np.rint(np.geomspace(1, last + 1, _SHOWN)).astype(int) - 1)
    kept = [s.iteration for s in trace.steps]
    chosen = [trace.steps[i] for i in dict.fromkeys(np.searchsorted(kept, wanted).tolist()) if i < len(kept)]
    columns: tuple[str, ...] = ("iteration", "loss", "step size", "|gradient|")
    rows: list[tuple[Any, ...]] = [(s.iteration, s.loss, s.step_size, s.gradient_norm) for s in chosen]
    if all(math.isnan(s.gradient_norm) for s in chosen):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    if trace.restarts:
        columns += ("restarts so far",)
        rows = [(*row, _restarts(trace.steps, s.iteration)) for row, s in zip(rows, chosen, strict=True)]
    return Sheet(
        f"The way down: {trace.descent}, start {trace.start}, {trace.backend} {trace.dtype}", columns, tuple(rows)
    )


def followed(problem: Problem, traces: Sequence[Trace]) -> list[Sheet]:  # noqa: ARG001 - the shape of a study
    """What a descent follows besides the loss, at its first and last iteration, where that is up to six numbers."""
    chosen = [t for t in traces if t.backend == traces[0].backend and t.dtype == traces[0].dtype]
    names = dict.fromkeys(n for t in chosen for n, v in t.steps[0].extra.items() if n != "restart" and np.size(v) <= 6)
    return [
        Sheet(
            f"{name.capitalize()} at the first and the last iteration ({traces[0].backend})",
            ("descent", "start", "iteration", name),
            tuple(
                (t.descent, t.start, step.iteration, np.ravel(step.extra[name]))
                for t in chosen
                if name in t.steps[0].extra
                for step in (t.steps[0], t.steps[-1])
            ),
        )
        for name in names
    ]


# ---- the matrix inverse


def matrix_inverse(problem: Problem, traces: Sequence[Trace]) -> list[Sheet]:  # noqa: ARG001 - the shape of a study
    """X, Y0, X Y0, Y, X Y and inv(X) side by side; how near each descent came; the time of `numpy.linalg.inv`."""
    return [*matrices(traces[0]), nearness(traces, inverse_seconds(traces[0].data[0]))]


def matrices(t: Trace) -> list[Sheet]:
    """X, Y0 and X Y0; Y, X Y and inv(X)."""
    (X, _), (Y0,), (Y,) = t.data, t.first_point, t.last_point
    before = {"X": X, "Y0": Y0, "X Y0": X @ Y0}
    after = {"Y": Y, "X Y": X @ Y, "inv(X)": np.linalg.inv(X)}
    head = f"{t.descent}, start {t.start}, {t.backend} {t.dtype}"
    return [
        Sheet(f"Before the descent: {head}", tuple(before), tuple(zip(*before.values(), strict=True))),
        Sheet(f"After it, beside the inverse: {head}", tuple(after), tuple(zip(*after.values(), strict=True))),
    ]


def nearness(traces: Sequence[Trace], inverse_s: float | None = None) -> Sheet:
    """How near each descent came; its time over ``inverse_s``, that of `numpy.linalg.inv`, where given."""
    rows: list[tuple[Any, ...]] = []
    for t in traces:
        (X, target), (Y,) = (tuple(a.astype(np.float64) for a in part) for part in (t.data, t.last_point))
        residual, distance = np.max(np.abs(X @ Y - target)), np.max(np.abs(Y - np.linalg.inv(X)))
        row = (t.descent, t.start, float(np.linalg.cond(X)), t.backend, float(residual), float(distance))
        rows.append(row if inverse_s is None else (*row, f"{t.seconds / inverse_s:,.0f}x"))
    columns = ("descent", "start", "cond(X)", "backend", "|X Y - I|", "|Y - inv(X)|")
    title = "How near: the largest entries"
    if inverse_s is None:
        return Sheet(title, columns, tuple(rows))
    note = f"numpy.linalg.inv takes {formatting.seconds(inverse_s)} here"
    return Sheet(f"{title}, and the time over that of numpy.linalg.inv", (*columns, "time"), tuple(rows), note)


def inverse_seconds(X: Array, calls: int = 200) -> float:
    """Seconds of one `numpy.linalg.inv` of ``X``: the fastest of three means over ``calls``."""

    def mean() -> float:
        begun = time.perf_counter()
        for _ in range(calls):
            np.linalg.inv(X)
        return (time.perf_counter() - begun) / calls

    return min(mean() for _ in range(3))


# ---- the cubic fit


@dataclass(frozen=True)
class Fit:
    """The linear least-squares problem behind a cubic fit of ``y`` over ``x``, in float64.

    ``optimum`` is that of `numpy.polyfit`, highest power first; ``curvature`` the eigenvalues of the Hessian
    ``2 V^T V``, ascending; ``axes`` its eigenvectors as columns. Gradient descent is stable below the
    learning rate ``2 / max(curvature)``.
    """

    V: Array
    y: Array
    optimum: Array
    least: float
    curvature: Array
    axes: Array

    @classmethod
    def of(cls, x: Array, y: Array) -> Fit:
        V = np.vander(x.astype(np.float64), 4)
        optimum = np.polyfit(x.astype(np.float64), y.astype(np.float64), 3)
        curvature, axes = np.linalg.eigh(2 * V.T @ V)
        return cls(V, y, optimum, float(np.sum((V @ optimum - y) ** 2)), curvature, axes)

    @property
    def stable_rate(self) -> float:
        return float(2 / self.curvature[-1])

    def loss(self, theta: Array) -> float:
        return float(np.sum((self.V @ theta - self.y) ** 2))

    def excess_after(self, start: Array, rate: float, updates: int) -> float:
        """Loss above the optimum after n updates: ``sum_k c_k^2 l_k (1 - rate l_k)^(2 n) / 2`` along the axes."""
        c = self.axes.T @ (start - self.optimum)
        return float(np.sum(c**2 * self.curvature / 2 * (1 - rate * self.curvature) ** (2 * updates)))

    def updates_until(self, start: Array, rate: float, part: float) -> int | None:
        """Updates until the loss is within ``part`` of the least one; `None` where it diverges. The excess falls."""
        if rate >= self.stable_rate:
            return None
        high = 1
        while self.excess_after(start, rate, high) > part * self.least:
            high *= 2
        low = -1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.excess_after(start, rate, middle) > part * self.least else (low, middle)
        return high


#: x - x^3/6, highest power first.
MACLAURIN = np.array([-1 / 6, 0.0, 1.0, 0.0])


def cubic_fit(problem: Problem, traces: Sequence[Trace]) -> list[Sheet]:
    """End points beside polyfit and the Maclaurin cubic, how far off they are, and what the curvature allows."""
    fit = Fit.of(*traces[0].data)
    points = {"polyfit: the optimum": fit.optimum, "Maclaurin: x - x^3/6": MACLAURIN, **_ends(traces)}
    rows = tuple((name, *map(float, theta)) for name, theta in points.items())
    off = []
    for name, theta in points.items():
        above = fit.loss(theta) - fit.least
        off.append((name, float(np.linalg.norm(theta - fit.optimum)), fit.loss(theta), above, 100 * above / fit.least))
    return [
        Sheet("Coefficients of a x^3 + b x^2 + c x + d", ("point", "a", "b", "c", "d"), rows),
        Sheet("How far from the optimum", ("point", "distance", "loss", "loss above it", "in %"), tuple(off)),
        _rates(problem, fit, traces),
        _swings(traces),
    ]


def _ends(traces: Sequence[Trace]) -> dict[str, Array]:
    """Where each descent ended; backends that agree to nine decimals share a line."""
    ends = {}
    for (descent, start), group in _grouped(traces, "descent", "start").items():
        alike: dict[bytes, list[Trace]] = {}
        for t in group:
            alike.setdefault(np.round(t.last_point[0].astype(np.float64), 9).tobytes(), []).append(t)
        for same in alike.values():
            who = f"{len(same)} backends" if len(same) > 1 else same[0].backend
            name = f"{descent}, {who}" + (f", start {start}" if start else "")
            ends[name] = same[0].last_point[0].astype(np.float64)
    return ends


def _rates(problem: Problem, fit: Fit, traces: Sequence[Trace]) -> Sheet:
    plain = [t for t in traces if not problem.descent[t.descent].accumulate]
    rows = []
    for (descent, start), group in _grouped(plain, "descent", "start").items():
        rate, theta = problem.descent[descent].optimizer.learning_rate, group[0].first_point[0].astype(np.float64)
        needed = fit.updates_until(theta, rate, 0.01)
        rows.append((descent, start, rate, group[0].iterations, "never" if needed is None else needed))
    columns = ("descent", "start", "learning rate", "updates made", "needed to be within 1 %")
    curvature = ", ".join(f"{v:.6g}" for v in fit.curvature)
    note = f"Hessian eigenvalues {curvature}: stable below a learning rate of {fit.stable_rate:.4g}"
    return Sheet("What the curvature allows", columns, tuple(rows), note)


def _swings(traces: Sequence[Trace]) -> Sheet:
    rows = []
    for (descent, start), group in _grouped(traces, "descent", "start").items():
        losses = np.array([s.loss for s in group[0].steps])
        turns = int(np.sum(np.diff(np.sign(np.diff(losses[:100]))) != 0))
        rows.append((descent, start, losses[0], float(losses.min()), float(losses.max()), losses[-1], turns))
    columns = ("descent", "start", "first", "least", "largest", "last", "turns")
    note = "turns: between falling and rising, in the first 100 steps"
    return Sheet(f"The loss on its way ({traces[0].backend})", columns, tuple(rows), note)


# ---- the smallest eigenvalue of a matrix that is not symmetric


def conventions(found: Mapping[str, Mapping[str, Any]]) -> Sheet:
    """From the fields of each backend's `autodiff_compare.studies.eigenvalues.Convention`."""
    rows = tuple(
        (spec, c["reads"], c["returns"], c["value"], c["value_beside_gradient"], f"{c['error']:.0e}")
        for spec, c in found.items()
    )
    columns = ("backend", "reads", "returns a gradient", "value", "with gradient", "error")
    note = "error: of (G + G^T)/2 against v v^T of the matrix that was read; values first, then symmetrised gradients"
    return Sheet("The smallest eigenvalue of the printed matrix, which is not symmetric", columns, rows, note)


# ---- small parts


#: Problem -> what its study shows besides.
STUDIES: Mapping[str, Callable[[Problem, Sequence[Trace]], list[Sheet]]] = {
    "matrix_inverse_absolute": matrix_inverse,
    "matrix_inverse_squared": matrix_inverse,
    "cubic_fit": cubic_fit,
}


def _grouped(traces: Sequence[Trace], *names: str) -> dict[tuple[Any, ...], list[Trace]]:
    groups: dict[tuple[Any, ...], list[Trace]] = {}
    for t in traces:
        groups.setdefault(tuple(getattr(t, name) for name in names), []).append(t)
    return groups


def _restarts(steps: Sequence[Step], iteration: int) -> int:
    return sum("restart" in s.extra for s in steps if s.iteration <= iteration)


def _span(values: Sequence[float]) -> str:
    """One number where all agree to three digits, else the least and the largest."""
    texts = list(dict.fromkeys(f"{v:d}" if isinstance(v, int) else f"{v:.3g}" for v in sorted(values)))
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"


def _remarks(traces: Sequence[Trace]) -> str:
    """The restarts of each start; for each descent that did not reach its stop rule its first reason."""
    restarts = [
        f"{descent}, start {start}: {_span([t.restarts for t in group])} restarts"
        for (descent, start), group in _grouped(traces, "descent", "start").items()
        if any(t.restarts for t in group)
    ]
    reasons: dict[str, str] = {}
    for t in traces:
        if not t.converged:
            reasons.setdefault(t.descent, f"{t.descent}: {t.message}")
    return "\n".join([*restarts, *reasons.values()])
