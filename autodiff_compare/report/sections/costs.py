"""Figures of costs: time against the number of calls and against the size, memory, error, differences of backends.

Break-even. See `autodiff_compare.summary.break_even`.

Growth. See `autodiff_compare.timing.growth`.

Cost of a gradient. By reverse mode it takes at most five times the operations of the function (Griewank and Walther
2008, *Evaluating Derivatives*, section 3.3); a larger ratio is overhead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from autodiff_compare.charts.axes import Axis, Json
from autodiff_compare.charts.dots import dots
from autodiff_compare.charts.lines import lines
from autodiff_compare.charts.looks import Looks, series_looks
from autodiff_compare.report.page import wording
from autodiff_compare.report.page.chart import Chart
from autodiff_compare.report.page.record import Record, largest
from autodiff_compare.results import formatting
from autodiff_compare.results.frames.relative import without_doubt
from autodiff_compare.results.frames.tidy import right_and_timed
from autodiff_compare.summary.break_even import Line, cheapest
from autodiff_compare.timing.growth import growth
from autodiff_compare.vocabulary import Status

#: Largest number of calls that is considered.
_MOST_CALLS = 10**9
#: Columns that flags of a timing bear on.
_TIMED = frozenset({"median_s", "ratio_to_value"})
#: Pairs of backends in one figure; more cannot be told apart.
_MOST_PAIRS = 8


# ---- first call against steady state


def break_even(name: str, what: str, cells: pd.DataFrame, looks: Looks) -> Chart | None:
    """Return total time against the number of calls, for the cells of one group; `None` if none was timed."""
    right = right_and_timed(cells)
    right = right[(right["setup_s"] > 0) & np.isfinite(right["setup_s"])]
    found = {s: Line(a, b) for s, a, b in zip(right["spec"], right["setup_s"], right["median_s"], strict=True)}
    if not found:
        return None
    trusted = {spec: found[spec] for spec in without_doubt(right)["spec"]}
    order = cheapest(trusted, _MOST_CALLS) if trusted else []
    first = [line.setup for line in found.values()]
    ends = " to ".join(dict.fromkeys(wording.seconds(f(first)) for f in (min, max)))
    sentence = (
        f"{_cheapest_words(order, [spec for spec in found if spec not in trusted])} The first call, with preparation, "
        f"takes {ends}. Importing the framework is not counted; it takes its time once in each process."
    )
    chart = _break_even_chart(what, found, order, looks)
    return Chart(name, f"Time for n calls: {what}", sentence, chart)


def _cheapest_words(order: Sequence[tuple[int, str]], flagged: Sequence[str]) -> str:
    """Return which backend is cheapest from which call on, among those whose times are not flagged."""
    left = f" Not compared, since its time is flagged: {formatting.listed(flagged)}." if flagged else ""
    if not order:
        return f"No break-even is stated.{left}"
    words = f"{order[0][1]} is cheapest from the first call on"
    if len(order) > 1:
        words = f"{order[0][1]} is cheapest up to {wording.plural(order[1][0] - 1, 'call')}"
        words += "".join(f", {spec} from {wording.count(n)} on" for n, spec in order[1:])
    return f"{words}.{left}"


def _break_even_chart(what: str, found: Mapping[str, Line], order: Sequence[tuple[int, str]], looks: Looks) -> Json:
    last = max([10**4, *(30 * n for n, _ in order)])
    calls = np.unique(np.round(np.geomspace(1, last, 30)))
    rows = [
        {"series": spec, "calls": float(n), "total": line.total(n), "count": wording.count(n),
         "words": wording.seconds(line.total(n)), "each": wording.seconds(line.each)}
        for spec, line in found.items() for n in calls
    ]  # fmt: skip
    return lines(
        "Time for n calls", rows, Axis("calls", "number of calls"),
        Axis("total", "total time, with preparation", "seconds"),
        {spec: looks[spec] for spec in found}, about=what, markers=False, at=[float(n) for n, _ in order[1:]],
        hints=(("series", "backend"), ("count", "calls"), ("words", "total time"), ("each", "each later call")),
    )  # fmt: skip


# ---- against size


@dataclass(frozen=True)
class _Against:
    """What is drawn against the size: column, title, title of the axis, unit, format, and the sentence below it."""

    column: str
    title: str
    axis: str
    unit: str
    words: Callable[[float], str]
    sentence: Callable[[pd.DataFrame], str]


def scaling(name: str, what: str, cells: pd.DataFrame, looks: Looks) -> Iterator[Chart]:
    """Yield time, cost in calls of the function, memory and error against the size, if several sizes were run."""
    right = cells[(cells["status"] == Status.OK) & cells["n"].notna()]
    if right["n"].nunique() < 2:
        return
    parts = (
        _Against("median_s", "Time against size", "time of one call", "seconds", wording.seconds, _growth),
        _Against("ratio_to_value", "Cost of a derivative against size", "calls of the function", "number",
                 formatting.number, _dearest),
        _Against("peak_rss_bytes", "Memory against size", "growth of peak memory", "bytes", formatting.size,
                 _largest_memory),
        _Against("error_eps", "Error against size", "error (eps)", "number", formatting.eps, _least_right),
    )  # fmt: skip
    for part in parts:
        values = right[part.column].astype("float64")
        shown = right.assign(shown=values)[values.notna() & (values > 0) & np.isfinite(values)]
        unit = part.column == "ratio_to_value" and (right["operator"] == "value").all()
        if shown["n"].nunique() >= 2 and not unit:
            chart = _scaling_chart(part, what, shown, looks)
            yield Chart(f"{name}-{part.column.partition('_')[0]}", f"{part.title}: {what}", part.sentence(shown), chart)


def _series(shown: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for spec, group in shown.groupby("spec", sort=False):
        yield str(spec), group.sort_values("n", kind="stable")


def _growth(shown: pd.DataFrame) -> str:
    """Return how the time of each backend grows: by an exponent where one is determined, else by a factor."""
    low, high = shown["n"].min(), shown["n"].max()
    kept = without_doubt(shown)
    parts = [words for spec, group in _series(kept) if (words := _grows(spec, group, (low, high)))]
    left = "" if len(kept) == len(shown) else " Flagged times, drawn hollow, are left out of it."
    if not parts:
        return f"No growth is stated: too few times are without a flag.{left} Bars: 95 % intervals of the median."
    powers = any("n^" in words for words in parts)
    model = " In brackets: 95 % interval of the exponent, beside a fixed cost of a call." if powers else ""
    words = f"From n = {low:g} to {high:g}, the time grows: {', '.join(parts)}"
    return f"{words}.{model}{left} Bars: 95 % intervals of the median."


def _grows(spec: str, group: pd.DataFrame, ends: tuple[float, float]) -> str:
    """Return the growth of one backend's time in words, between the ends of the sizes; empty for one size."""
    if group["n"].nunique() < 2:
        return ""
    found = growth(*(list(group[name]) for name in ("n", "shown", "ci_low_s", "ci_high_s")))
    if found.determined:
        return f"{spec} like {found}"
    factor = formatting.ratio(float(group["shown"].iloc[-1] / group["shown"].iloc[0]))
    own = "" if (found.first, found.last) == ends else f" from n = {found.first:g} to {found.last:g}"
    return f"{spec} {factor}{own}"


def _dearest(shown: pd.DataFrame) -> str:
    kept = without_doubt(shown)
    if kept.empty:
        return f"No cost is stated: the times of all {wording.plural(len(shown), 'cell')} are flagged."
    last = kept[kept["n"] == kept["n"].max()].sort_values("shown")
    return (
        f"At n = {last['n'].iloc[0]:g} one call takes {formatting.ratio(last['shown'].iloc[0])} "
        f"({last['spec'].iloc[0]}) to {formatting.ratio(last['shown'].iloc[-1])} ({last['spec'].iloc[-1]}) the time "
        "of the function."
    )


def _largest_memory(shown: pd.DataFrame) -> str:
    top = largest(shown, "shown")
    most = f"Most: {formatting.size(top['shown'])} by {top['spec']} at n = {top['n']:g}."
    return f"{most} Cells without growth have no point."


def _least_right(shown: pd.DataFrame) -> str:
    top = largest(shown, "shown")
    return (
        f"Largest error: {formatting.eps(top['shown'])} by {top['spec']} at n = {top['n']:g}, against "
        f"{top['reference']}. Exact results have no point."
    )


def _scaling_chart(part: _Against, what: str, shown: pd.DataFrame, looks: Looks) -> Json:
    timing = part.column == "median_s"
    rows = [row for _, group in _series(shown) for row in map(partial(_point, part), group.to_dict("records"))]
    known = {row["series"] for row in rows}
    hints = (("series", "backend"), ("where", "size"), ("words", part.axis), ("interval", "95 % interval"),
             ("accuracy", "error"), ("flags", "flags"))  # fmt: skip
    return lines(
        part.title, rows, Axis("n", str(shown["axis"].iloc[0])), Axis("shown", part.axis, part.unit),
        {spec: look for spec, look in looks.items() if spec in known}, about=what,
        hints=[hint for hint in hints if timing or hint[0] != "interval"],
    )  # fmt: skip


def _point(part: _Against, row: Mapping[Any, Any]) -> Json:
    """Return a cell as a point of a chart, with the interval of its time."""
    found = {
        "series": row["spec"], "name": row["problem"], "n": float(row["n"]), "shown": float(row["shown"]),
        "where": row["where"], "words": part.words(float(row["shown"])), "accuracy": formatting.eps(row["error_eps"]),
    }  # fmt: skip
    if part.column in _TIMED:
        found["flags"] = row["flags"]
    low, high = row["ci_low_s"], row["ci_high_s"]
    if part.column == "median_s" and low > 0 and math.isfinite(high):
        found |= {"low": low, "high": high, "interval": f"{wording.seconds(low)} to {wording.seconds(high)}"}
    return found


# ---- over all problems


def comparisons(record: Record, looks: Looks) -> Iterator[Chart]:
    """Yield for each dtype, over all problems: cost in calls of the function, memory, error, differences."""
    cells = record.cells[record.cells["leading"] & (record.cells["status"] == Status.OK)]
    for dtype in cells["dtype"].unique():
        group = largest_size(cells[cells["dtype"] == dtype])
        yield from _dots(group, str(dtype), looks)
    frame = record.tables["pairs"]
    leading = record.cells[record.cells["leading"]]
    stands = dict(zip(leading["problem"], leading["operator"], strict=True))
    for dtype in frame["dtype"].unique():
        chosen = frame[(frame["dtype"] == dtype) & (frame["operator"] == frame["problem"].map(stands))]
        chart = _differences(chosen, str(dtype))
        if chart:
            yield chart


def largest_size(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the largest size of each problem; of the last size if sizes are no numbers."""
    last = cells.sort_values("n", kind="stable", na_position="first").drop_duplicates("problem", keep="last")
    return cells[cells["size"] == cells["problem"].map(last.set_index("problem")["size"])]


def _dots(group: pd.DataFrame, dtype: str, looks: Looks) -> Iterator[Chart]:
    about = f"{formatting.listed(group['operator'])}, {dtype}" + (
        ", largest size" if "large" in set(group["size"]) else ""
    )
    cost = _by_spec(group[group["operator"] != "value"], "ratio_to_value", looks)
    if cost:
        kept = without_doubt(group[group["operator"] != "value"])
        yield _dot_chart(
            f"cost-{dtype}", "Cost of a derivative", group, "ratio_to_value", looks,
            Axis("shown", "time relative to the function (same backend)"), formatting.ratio,
            _cost_words(_by_spec(kept, "ratio_to_value", looks), set(group["operator"])), (1.0, "the function itself"),
            about,
        )  # fmt: skip
    memory = _by_spec(group, "peak_rss_bytes", looks)
    if any(v > 0 for found in memory.values() for v in found.values()):
        yield _dot_chart(
            f"memory-{dtype}", "Memory of one call", group, "peak_rss_bytes", looks,
            Axis("shown", "growth of peak memory", "bytes"), formatting.size, _memory_words(group, memory), None, about,
        )  # fmt: skip
    error = _by_spec(group, "error_eps", looks)
    if error:
        yield _dot_chart(
            f"error-{dtype}", "Error", group, "error_eps", looks,
            Axis("shown", "error against the best reference (eps)"), formatting.eps, _error_words(group),
            (1.0, "one rounding"), about,
        )  # fmt: skip


def _by_spec(group: pd.DataFrame, column: str, looks: Looks) -> dict[str, dict[str, float]]:
    values = group[column].astype("float64")
    kept = group.assign(shown=values)[np.isfinite(values)]
    found = {str(s): dict(zip(part["problem"], part["shown"], strict=True)) for s, part in kept.groupby("spec")}
    return {spec: found[spec] for spec in looks if spec in found}


def _dot_chart(
    name: str,
    title: str,
    group: pd.DataFrame,
    column: str,
    looks: Looks,
    axis: Axis,
    words: Callable[[float], str],
    sentence: str,
    line: tuple[float, str] | None,
    about: str,
) -> Chart:
    values = group[column].astype("float64")
    shown = group.assign(shown=values)[np.isfinite(values)]
    if column == "ratio_to_value":
        shown = shown[shown["operator"] != "value"]
    part = _Against(column, title, axis.title, axis.unit, words, _least_right)
    rows = [_point(part, {**row, "n": 0.0}) for row in shown.to_dict("records")]
    known = {row["series"] for row in rows}
    chart = dots(
        title, rows, list(dict.fromkeys(shown["problem"])), axis, {s: look for s, look in looks.items() if s in known},
        hints=(("series", "backend"), ("name", "problem"), ("where", "size"), ("words", axis.title),
               ("flags", "flags")),
        line=line, about=about,
    )  # fmt: skip
    return Chart(name, f"{title}: {about}", sentence, chart)


def _cost_words(cost: Mapping[str, Mapping[str, float]], operators: set[str]) -> str:
    if not cost:
        return "No cost is stated: 0 of the times are without a flag."
    middle = {spec: float(np.median(list(found.values()))) for spec, found in cost.items()}
    low, high = min(middle, key=lambda s: middle[s]), max(middle, key=lambda s: middle[s])
    words = f"The median over the problems is lowest for {low} ({formatting.ratio(middle[low])})"
    if low != high:
        words += f" and highest for {high} ({formatting.ratio(middle[high])})"
    bound = " In operations, a gradient by reverse mode needs at most five times the function; the rest is overhead."
    return f"{words}." + (bound if operators <= {"gradient", "value_and_gradient"} else "")


def _memory_words(group: pd.DataFrame, memory: Mapping[str, Mapping[str, float]]) -> str:
    value, spec, problem = max((v, s, p) for s, found in memory.items() for p, v in found.items())
    methods = group.groupby("memory_method")["spec"].unique()
    how = "; ".join(f"{formatting.listed(specs)}: {method}" for method, specs in methods.items() if method)
    return f"Most: {formatting.size(value)} by {spec} for {problem}. Measured by {how}."


def _error_words(group: pd.DataFrame) -> str:
    known = group[group["error_eps"].notna()]
    top = largest(known, "error_eps")
    exact = int((known["error_eps"] == 0).sum())
    words = (
        f"Largest: {formatting.eps(top['error_eps'])} by {top['spec']} for {top['problem']}, against "
        f"{str(top['reference']).replace('_', ' ')}"
    )
    return f"{words}; {exact} of {len(known)} results are exact (drawn at 0)." if exact else f"{words}."


def _differences(frame: pd.DataFrame, dtype: str) -> Chart | None:
    known = frame[np.isfinite(frame["difference_in_eps"])]
    known = known.assign(pair=known["backend_a"] + " - " + known["backend_b"])
    known = known.sort_values("difference_in_eps", kind="stable").drop_duplicates(["problem", "pair"], keep="last")
    if known.empty:
        return None
    top, same = largest(known, "difference_in_eps"), int((known["difference_in_eps"] == 0).sum())
    furthest = list(dict.fromkeys(known["pair"][::-1]))
    sentence = (
        f"Largest difference: {top['backend_a']} and {top['backend_b']} on {top['problem']}, "
        f"{formatting.eps(top['difference_in_eps'])} of the norm. {same} of {len(known)} results are equal to the last "
        "bit (drawn at 0)."
    )
    if len(furthest) > _MOST_PAIRS:
        sentence += f" The figure shows the {_MOST_PAIRS} of {len(furthest)} pairs with the largest differences."
    shown = known[known["pair"].isin(furthest[:_MOST_PAIRS])].sort_index()
    about = f"{formatting.listed(frame['operator'])}, {dtype}"
    rows = [
        {"series": str(row["pair"]), "name": row["problem"], "shown": float(row["difference_in_eps"]),
         "words": formatting.eps(row["difference_in_eps"])}
        for row in shown.to_dict("records")
    ]  # fmt: skip
    chart = dots(
        "Differences between backends", rows, list(dict.fromkeys(shown["problem"])), Axis("shown", "difference (eps)"),
        series_looks(map(str, shown["pair"])), about=about, line=(1.0, "one rounding"),
        hints=(("series", "pair"), ("name", "problem"), ("words", "difference")),
    )  # fmt: skip
    return Chart(f"pairs-{dtype}", f"Differences between backends: {about}", sentence, chart)
