"""Performance profiles (Dolan and More 2002, *Benchmarking optimization software*, Math. Programming 91, 201-213).

For solver s and problem p with time t(p, s) the ratio is

    r(p, s) = t(p, s) / min over s' of t(p, s').

The profile of s is the cumulative distribution of its ratios over the problems P:

    rho_s(tau) = |{p in P: r(p, s) <= tau}| / |P|.

Here a solver is a backend, and a problem is a group of cells: (problem, size, operator). A failure has the ratio inf.
So ``rho_s(1)`` is the share of groups in which s is fastest, and the right end of the curve is the share in which it
gives a right result at all.

Example: backend a takes 1 s and 3 s in two groups, b takes 2 s and fails in the second. Then a has the ratios 1 and 1
and the profile 1 from tau = 1 on; b has 2 and inf: its profile is 0 up to tau = 2 and 1/2 from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from autodiff_compare.report.page import style, wording
from autodiff_compare.report.page.record import Record, timed
from autodiff_compare.report.page.style import LineStyles, Picture
from autodiff_compare.results import formatting

Ratios = Mapping[str, list[float]]


def ratios(record: Record, dtype: str) -> dict[str, list[float]]:
    """Return backend -> its ratio in each group in which any backend was timed; inf for a failure."""
    cells = record.cells[record.cells["dtype"] == dtype]
    right = timed(cells)
    group = ["problem", "size", "operator"]
    times = right.pivot_table(index=group, columns="spec", values="median_s", sort=False)
    relative = times.div(times.min(axis=1), axis=0)
    specs = [s for s in record.specs if s in set(cells["spec"])]
    return {
        s: [v if math.isfinite(v) else math.inf for v in relative[s]] if s in relative else [math.inf] * len(relative)
        for s in specs
    }


def profile(found: list[float], factors: np.ndarray) -> np.ndarray:
    """Return the share of the ratios ``found`` at or below each factor."""
    ordered = np.sort(found)
    return np.searchsorted(ordered, factors, side="right") / max(len(found), 1)


def pictures(record: Record, styles: LineStyles, name: str = "") -> Iterator[Picture]:
    """Yield one profile for each dtype in which two backends or more were run."""
    for dtype in record.cells["dtype"].unique():
        found = ratios(record, str(dtype))
        groups = len(next(iter(found.values()), []))
        if groups and len(found) > 1:
            about = f"{groups} groups (problem, size, operator), {dtype}" + (f", {name}" if name else "")
            draw = partial(_draw, about, found, styles)
            words = f"Performance profile: {about}"
            yield Picture(wording.slug("profile", str(dtype), name), words, _sentence(found, groups), draw)


def _sentence(found: Ratios, groups: int) -> str:
    first = {s: sum(r == 1 for r in values) for s, values in found.items()}
    best = max(first, key=lambda s: first[s])
    words = f"Of {wording.plural(groups, 'group')} of cells, {best} is fastest in {first[best]}"
    factors = {s: max((r for r in values if r < math.inf), default=math.inf) for s, values in found.items()}
    whole = {s: f for s, f in factors.items() if math.inf not in found[s]}
    if whole:
        near = min(whole, key=lambda s: whole[s])
        words += f"; {near} never takes more than {formatting.ratio(whole[near])} the time of the fastest"
    failed = {s: sum(r == math.inf for r in values) for s, values in found.items()}
    without = formatting.listed(f"{s} {n}" for s, n in failed.items() if n)
    failures = f"Groups without a right result: {without}." if without else "Every backend is right in every group."
    return f"{words}. {failures}"


def _draw(about: str, found: Ratios, styles: LineStyles) -> Figure:
    figure, (ax,) = style.canvas("Performance profile", {s: styles[s] for s in found}, about=about)
    last = max((r for values in found.values() for r in values if r < math.inf), default=1.0)
    last = max(last * 1.15, 2.0)
    for k, (spec, values) in enumerate(found.items()):
        at = np.array([1.0, *sorted(r for r in values if r < math.inf), last])
        share = profile(values, at)
        ax.step(at, share * 100, where="post", **styles[spec].lines(markevery=(k, max(len(at) // 6, 1))))
    style.log_axis(ax.xaxis, [1.0, last], formatting.ratio)
    ax.set_xlim(0.97, last * 1.03)
    ax.set_ylim(-2, 103)
    ax.set_yticks([0, 25, 50, 75, 100], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    ax.set_xlabel("factor: time relative to the fastest of the group")
    ax.set_ylabel("groups within the factor")
    return figure
