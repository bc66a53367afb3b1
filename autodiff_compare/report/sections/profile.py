"""Performance profiles (Dolan and More 2002, *Benchmarking optimization software*, Math. Programming 91, 201-213).

For solver s and problem p with time t(p, s) the ratio is

    r(p, s) = t(p, s) / min over s' of t(p, s').

The profile of s is the cumulative distribution of its ratios over the problems P:

    rho_s(tau) = |{p in P: r(p, s) <= tau}| / |P|.

Here a solver is a backend, and a problem is a group of cells: (problem, size, operator). A failure has the ratio inf.
So ``rho_s(1)`` is the share of groups in which s is fastest, and the right end of the curve is the share in which it
gives a right result at all. A group with a flagged time is left out: the flag may tell of the machine alone.

Example: backend a takes 1 s and 3 s in two groups, b takes 2 s and fails in the second. Then a has the ratios 1 and 1
and the profile 1 from tau = 1 on; b has 2 and inf: its profile is 0 up to tau = 2 and 1/2 from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.lines import lines
from autodiff_compare.charts.looks import Looks
from autodiff_compare.report.page import wording
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.report.page.record import Record
from autodiff_compare.results import formatting
from autodiff_compare.results.frames.relative import GROUP, relative_times
from autodiff_compare.results.frames.tidy import right_and_timed

Ratios = Mapping[str, list[float]]


def ratios(record: Record, dtype: str) -> dict[str, list[float]]:
    """Return backend -> its ratio in each group in which any backend was timed and no time is flagged.

    The ratio of a failure is inf.
    """
    cells = record.cells[record.cells["dtype"] == dtype]
    specs = [s for s in record.specs if s in set(cells["spec"])]
    relative = relative_times(cells, specs)
    return {s: [float(v) for v in relative[s]] for s in specs} if len(relative) else {}


def profile(found: list[float], factors: np.ndarray) -> np.ndarray:
    """Return the share of the ratios ``found`` at or below each factor."""
    ordered = np.sort(found)
    return np.searchsorted(ordered, factors, side="right") / max(len(found), 1)


def pictures(record: Record, looks: Looks, name: str = "") -> Iterator[Chart]:
    """Yield one profile for each dtype in which two backends or more were run."""
    for dtype in record.cells["dtype"].unique():
        found = ratios(record, str(dtype))
        groups = len(next(iter(found.values()), []))
        if groups and len(found) > 1:
            about = f"{groups} groups (problem, size, operator), {dtype}" + (f", {name}" if name else "")
            chart, words = _chart(about, found, looks), f"Performance profile: {about}"
            yield Chart(wording.slug("profile", str(dtype), name), words, _sentence(record, str(dtype), found), chart)


def _sentence(record: Record, dtype: str, found: Ratios) -> str:
    groups = len(next(iter(found.values())))
    first = {s: sum(r == 1 for r in values) for s, values in found.items()}
    best = max(first, key=lambda s: first[s])
    share = "all" if first[best] == groups else first[best]
    words = f"Of {wording.plural(groups, 'group')} of cells, {best} is fastest in {share}"
    factors = {s: max((r for r in values if r < math.inf), default=math.inf) for s, values in found.items()}
    whole = {s: f for s, f in factors.items() if math.inf not in found[s]}
    if whole and first[best] < groups:
        near = min(whole, key=lambda s: whole[s])
        words += f"; {near} never takes more than {formatting.ratio(whole[near])} the time of the fastest"
    failed = {s: sum(r == math.inf for r in values) for s, values in found.items()}
    without = formatting.listed(f"{s} {n}" for s, n in failed.items() if n)
    failures = f"Groups without a right result: {without}." if without else "Every backend is right in every group."
    right = right_and_timed(record.cells[record.cells["dtype"] == dtype])
    left = right.groupby([*GROUP]).ngroups - groups
    return f"{words}. {failures}" + (
        f" Left out, since a time is flagged: {wording.plural(left, 'group')}." if left else ""
    )


def _chart(about: str, found: Ratios, looks: Looks) -> Json:
    last = max((r for values in found.values() for r in values if r < math.inf), default=1.0)
    last = max(last * 1.15, 2.0)
    rows = []
    for spec, values in found.items():
        at = np.unique([1.0, *(r for r in values if r < math.inf), last])
        for factor, share in zip(at, profile(values, at), strict=True):
            rows.append({"series": spec, "factor": float(factor), "share": float(share), "percent": f"{share:.0%}",
                         "words": formatting.ratio(factor)})  # fmt: skip
    return lines(
        "Performance profile", rows, Axis("factor", "factor: time relative to the fastest of the group", "ratio"),
        Axis("share", "groups within the factor", "share", log=False), {s: looks[s] for s in found}, about=about,
        step=True, markers=False, hints=(("series", "backend"), ("words", "factor"), ("percent", "groups within it")),
    )  # fmt: skip
