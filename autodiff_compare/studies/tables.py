"""Tables of the descent studies, made from finished traces.

`descent_tables` returns the tables of one problem: first the overview and the convergence, which every descent has,
then those of the problem's own study, which `STUDIES` finds by its name:

- ``matrix_inverse_absolute``, ``matrix_inverse_squared``: the matrices before and after, and their distance to
  `numpy.linalg.inv`.
- ``cubic_fit``: the coefficients beside `numpy.polyfit` and the Maclaurin cubic, and the convergence rate by the
  curvature.
- all others: the quantities that the descent follows, such as eigenvalues.

The expected numbers of these studies are in ``tests/studies/test_studies.py`` and ``tests/studies/test_descent.py``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.problems import Array, Problem
from autodiff_compare.results import formatting
from autodiff_compare.studies.changes import descent_of
from autodiff_compare.studies.trace import Step, Trace

#: Steps of a descent in the table of its convergence.
_SHOWN = 12
#: Calls of `numpy.linalg.inv` over which a mean is taken.
_INVERSES = 200


@dataclass(frozen=True)
class StudyTable:
    """A table of a study, for the terminal and the report.

    Parameters
    ----------
    title, columns, rows
        A cell is text, an integer, a float, `None` (unknown) or a one-dimensional array (one row of a matrix).
    note
        Lines below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


def descent_tables(problem: Problem, traces: Sequence[Trace]) -> list[StudyTable]:
    """Return all tables of the traces of one problem; at least one trace is needed."""
    return [overview(traces), *convergence(traces), *STUDIES.get(problem.name, followed)(problem, traces)]


# ---- every descent


def overview(traces: Sequence[Trace]) -> StudyTable:
    """Return one row for each descent, dtype and start, with one column of times for each backend."""
    specs = list(dict.fromkeys(t.backend for t in traces))
    rows = []
    for (descent, dtype, start), group in _grouped(traces, "descent", "dtype", "start").items():
        by_spec = {t.backend: t for t in group}
        times = (formatting.seconds(by_spec[s].seconds) if s in by_spec else "-" for s in specs)
        name = descent if dtype == "float64" else f"{descent} {dtype}"
        losses = _span([t.final_loss for t in group])
        rows.append((name, start, _span([t.iterations for t in group]), losses, *times))
    columns = ("descent", "start", "updates", "last loss", *specs)
    title = f"Descents of {traces[0].problem}: updates, last loss, time on each backend"
    return StudyTable(title, columns, tuple(rows), _remarks(traces))


def convergence(traces: Sequence[Trace]) -> list[StudyTable]:
    """Return for each descent a few steps of its first trace, evenly spaced on a log scale of iterations."""
    return [_convergence(group[0]) for group in _grouped(traces, "descent").values()]


def _convergence(trace: Trace) -> StudyTable:
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
    title = f"Convergence: {trace.descent}, start {trace.start}, {trace.backend} {trace.dtype}"
    return StudyTable(title, columns, tuple(rows))


def followed(problem: Problem, traces: Sequence[Trace]) -> list[StudyTable]:  # noqa: ARG001 - signature of `STUDIES`
    """Return each followed quantity of up to six numbers (`Descent.follow`) at the first and last iteration."""
    chosen = [t for t in traces if t.backend == traces[0].backend and t.dtype == traces[0].dtype]
    names = dict.fromkeys(n for t in chosen for n, v in t.steps[0].extra.items() if n != "restart" and np.size(v) <= 6)
    return [
        StudyTable(
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


def matrix_inverse(problem: Problem, traces: Sequence[Trace]) -> list[StudyTable]:  # noqa: ARG001 - see `STUDIES`
    """Return the matrices before and after the descent, its error, and its time relative to `numpy.linalg.inv`."""
    return [*matrices(traces[0]), inverse_errors(traces, inverse_seconds(traces[0].data[0]))]


def matrices(t: Trace) -> list[StudyTable]:
    """Return the matrices X, Y0, X Y0 before the descent, and Y, X Y, inv(X) after it."""
    (X, _), (Y0,), (Y,) = t.data, t.first_point, t.last_point
    before = {"X": X, "Y0": Y0, "X Y0": X @ Y0}
    after = {"Y": Y, "X Y": X @ Y, "inv(X)": np.linalg.inv(X)}
    head = f"{t.descent}, start {t.start}, {t.backend} {t.dtype}"
    return [
        StudyTable(f"Before the descent: {head}", tuple(before), tuple(zip(*before.values(), strict=True))),
        StudyTable(f"After the descent: {head}", tuple(after), tuple(zip(*after.values(), strict=True))),
    ]


def inverse_errors(traces: Sequence[Trace], inverse_s: float | None = None) -> StudyTable:
    """Return the errors of each descent's inverse, and its time relative to ``inverse_s`` if that is given.

    Parameters
    ----------
    inverse_s
        Seconds of one `numpy.linalg.inv`, see `inverse_seconds`.
    """
    rows: list[tuple[Any, ...]] = []
    for t in traces:
        (X, target), (Y,) = (tuple(a.astype(np.float64) for a in part) for part in (t.data, t.last_point))
        residual, distance = np.max(np.abs(X @ Y - target)), np.max(np.abs(Y - np.linalg.inv(X)))
        row = (t.descent, t.start, float(np.linalg.cond(X)), t.backend, float(residual), float(distance))
        rows.append(row if inverse_s is None else (*row, f"{t.seconds / inverse_s:,.0f}x"))
    columns = ("descent", "start", "cond(X)", "backend", "|X Y - I|", "|Y - inv(X)|")
    title = "Error of the inverse: largest entry of each difference"
    if inverse_s is None:
        return StudyTable(title, columns, tuple(rows))
    note = f"time: relative to numpy.linalg.inv, which takes {formatting.seconds(inverse_s)} here"
    return StudyTable(title, (*columns, "time"), tuple(rows), note)


def inverse_seconds(X: Array) -> float:
    """Measure the seconds of one `numpy.linalg.inv` of ``X``: the fastest of three means over many calls."""

    def mean() -> float:
        begun = time.perf_counter()
        for _ in range(_INVERSES):
            np.linalg.inv(X)
        return (time.perf_counter() - begun) / _INVERSES

    return min(mean() for _ in range(3))


# ---- the cubic fit


@dataclass(frozen=True)
class Fit:
    """The linear least-squares problem of a cubic fit of ``y`` over ``x``, in float64, with its convergence rate.

    With the Vandermonde matrix V the loss is ``|V theta - y|^2``, its Hessian ``H = 2 V^T V``. At the optimum theta*
    the gradient is zero, so the gradient elsewhere is ``H (theta - theta*)``, and an update by gradient descent is

        theta - theta*  <-  (I - rate H) (theta - theta*).

    Along an eigenvector of H with eigenvalue l, the component c of ``theta - theta*`` is multiplied by ``1 - rate l``.
    After n updates the excess of the loss, ``(theta - theta*)^T H (theta - theta*) / 2``, is therefore

        sum over k of  l_k c_k^2 (1 - rate l_k)^(2 n) / 2.

    It falls exactly if ``|1 - rate l| < 1`` for every eigenvalue, that is for ``rate < 2 / max(l)``.

    Parameters
    ----------
    V
        (points, 4), highest power first.
    y
        (points,).
    optimum
        (4,), by `numpy.polyfit`.
    least
        Loss at the optimum.
    curvature, axes
        Eigenvalues of H, (4,) ascending, and its eigenvectors as columns.
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
        """Return the learning rate from which on gradient descent diverges."""
        return float(2 / self.curvature[-1])

    def loss(self, theta: Array) -> float:
        """Return the loss at ``theta``, (4,)."""
        return float(np.sum((self.V @ theta - self.y) ** 2))

    def excess_after(self, start: Array, rate: float, updates: int) -> float:
        """Return the loss above the least one after n updates from ``start``, by the formula above."""
        c = self.axes.T @ (start - self.optimum)
        return float(np.sum(c**2 * self.curvature / 2 * (1 - rate * self.curvature) ** (2 * updates)))

    def updates_until(self, start: Array, rate: float, part: float) -> int | None:
        """Return the updates until the loss is within ``part`` of the least one; `None` if the descent diverges."""
        if rate >= self.stable_rate:
            return None
        # The excess falls with every update, so bisection finds the first count below the bound.
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


def cubic_fit(problem: Problem, traces: Sequence[Trace]) -> list[StudyTable]:
    """Return the end points beside polyfit and the Maclaurin cubic, their distances, and the convergence rates."""
    fit = Fit.of(*traces[0].data)
    points = {"polyfit: the optimum": fit.optimum, "Maclaurin: x - x^3/6": MACLAURIN, **_end_points(traces)}
    rows = tuple((name, *map(float, theta)) for name, theta in points.items())
    off = []
    for name, theta in points.items():
        above = fit.loss(theta) - fit.least
        off.append((name, float(np.linalg.norm(theta - fit.optimum)), fit.loss(theta), above, 100 * above / fit.least))
    return [
        StudyTable("Coefficients of a x^3 + b x^2 + c x + d", ("point", "a", "b", "c", "d"), rows),
        StudyTable("Distance from the optimum", ("point", "distance", "loss", "excess loss", "in %"), tuple(off)),
        _rates(problem, fit, traces),
        _oscillations(traces),
    ]


def _end_points(traces: Sequence[Trace]) -> dict[str, Array]:
    """Return the end point of each descent; backends that agree to nine decimals share a row."""
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


def _rates(problem: Problem, fit: Fit, traces: Sequence[Trace]) -> StudyTable:
    plain = [t for t in traces if not descent_of(problem, t.descent).accumulate]
    rows = []
    for (descent, start), group in _grouped(plain, "descent", "start").items():
        rate, theta = descent_of(problem, descent).optimizer.learning_rate, group[0].first_point[0].astype(np.float64)
        needed = fit.updates_until(theta, rate, 0.01)
        rows.append((descent, start, rate, group[0].iterations, "never" if needed is None else needed))
    columns = ("descent", "start", "learning rate", "updates made", "needed to be within 1 %")
    curvature = ", ".join(f"{v:.6g}" for v in fit.curvature)
    note = f"Hessian eigenvalues {curvature}: gradient descent is stable below a learning rate of {fit.stable_rate:.4g}"
    return StudyTable("Convergence rate by the curvature", columns, tuple(rows), note)


def _oscillations(traces: Sequence[Trace]) -> StudyTable:
    rows = []
    for (descent, start), group in _grouped(traces, "descent", "start").items():
        losses = np.array([s.loss for s in group[0].steps])
        turns = int(np.sum(np.diff(np.sign(np.diff(losses[:100]))) != 0))
        rows.append((descent, start, losses[0], float(losses.min()), float(losses.max()), losses[-1], turns))
    columns = ("descent", "start", "first", "least", "largest", "last", "turns")
    note = "turns: changes between a falling and a rising loss in the first 100 steps"
    return StudyTable(f"Oscillation of the loss ({traces[0].backend})", columns, tuple(rows), note)


# ---- the smallest eigenvalue of a matrix that is not symmetric


def conventions(found: Mapping[str, Mapping[str, Any]]) -> StudyTable:
    """Return the table from the fields of each backend's `autodiff_compare.studies.eigenvalues.Convention`."""
    rows = tuple(
        (spec, c["reads"], c["returns"], c["value"], c["value_beside_gradient"], f"{c['error']:.0e}")
        for spec, c in found.items()
    )
    columns = ("backend", "reads", "returns a gradient", "value", "with gradient", "error")
    note = "error: of (G + G^T)/2 against v v^T of the matrix that was read; values first, then symmetrised gradients"
    return StudyTable("The smallest eigenvalue of the printed matrix, which is not symmetric", columns, rows, note)


# ---- parts of the tables


#: Problem -> the function that makes the tables of its own study.
STUDIES: Mapping[str, Callable[[Problem, Sequence[Trace]], list[StudyTable]]] = {
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
    """Return one number if all agree to three digits, else the smallest and the largest."""
    texts = list(dict.fromkeys(f"{v:d}" if isinstance(v, int) else f"{v:.3g}" for v in sorted(values)))
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"


def _remarks(traces: Sequence[Trace]) -> str:
    """Return the restarts of each start, and why descents did not meet their stop rule (first reason of each)."""
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
