"""Figures of costs: time against the number of calls and against the size, memory, error, differences of backends.

Break-even. See `autodiff_compare.summary.break_even`.

Growth. If the time is ``c n^k``, then ``log t = log c + k log n``: k is the slope of the least-squares line.

Cost of a gradient. By reverse mode it takes at most five times the operations of the function (Griewank and Walther
2008, *Evaluating Derivatives*, section 3.3); a larger ratio is overhead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from autodiff_compare.report.page import dot_plot, style, wording
from autodiff_compare.report.page.record import Record, largest, timed
from autodiff_compare.report.page.style import LineStyles, Picture
from autodiff_compare.results import formatting
from autodiff_compare.summary.break_even import Line, cheapest
from autodiff_compare.timing.statistics import CONTENDED
from autodiff_compare.vocabulary import Status

#: Largest number of calls that is considered.
_MOST_CALLS = 10**9
#: Pairs of backends in one figure; more cannot be told apart.
_MOST_PAIRS = 8


# ---- first call against steady state


def break_even(name: str, what: str, cells: pd.DataFrame, styles: LineStyles) -> Picture | None:
    """Return total time against the number of calls, for the cells of one group; `None` if none was timed."""
    right = timed(cells)
    right = right[(right["setup_s"] > 0) & np.isfinite(right["setup_s"])]
    lines = {s: Line(a, b) for s, a, b in zip(right["spec"], right["setup_s"], right["median_s"], strict=True)}
    if not lines:
        return None
    order = cheapest(lines, _MOST_CALLS)
    words = f"{order[0][1]} is cheapest from the first call on"
    if len(order) > 1:
        words = f"{order[0][1]} is cheapest up to {wording.plural(order[1][0] - 1, 'call')}"
        words += "".join(f", {spec} from {wording.count(n)} on" for n, spec in order[1:])
    first = [line.setup for line in lines.values()]
    ends = " to ".join(dict.fromkeys(wording.seconds(f(first)) for f in (min, max)))
    sentence = (
        f"{words}. The first call, with preparation, takes {ends}. Importing the framework is not counted; it takes "
        "its time once in each process."
    )
    draw = partial(_draw_break_even, what, lines, order, styles)
    return Picture(name, f"Time for n calls: {what}", sentence, draw)


def _draw_break_even(
    what: str, lines: Mapping[str, Line], order: Sequence[tuple[int, str]], styles: LineStyles
) -> Figure:
    last = max(10**4, 30 * order[-1][0])
    calls = np.unique(np.round(np.geomspace(1, last, 60)))
    figure, (ax,) = style.canvas("Time for n calls", {s: styles[s] for s in lines}, about=what)
    totals: list[float] = []
    for spec, line in lines.items():
        y = [line.total(n) for n in calls]
        totals += y
        ax.plot(calls, y, **styles[spec].lines(markevery=(list(lines).index(spec) * 3, 15)))
    style.log_axis(ax.xaxis, [1, last], formatting.number)
    style.log_axis(ax.yaxis, totals, wording.seconds)
    for n, _ in order[1:]:
        ax.axvline(n, color=style.SOFT, lw=0.9, ls=(0, (2, 2)), zorder=1)
    ax.set_xlabel("number of calls")
    ax.set_ylabel("total time, with preparation")
    return figure


# ---- against size


def scaling(name: str, what: str, cells: pd.DataFrame, styles: LineStyles) -> Iterator[Picture]:
    """Yield time, cost in calls of the function, memory and error against the size, if several sizes were run."""
    right = cells[(cells["status"] == Status.OK) & cells["n"].notna()]
    if right["n"].nunique() < 2:
        return
    axis = str(right["axis"].iloc[0])
    parts: tuple[tuple[str, str, str, Callable[[float], str], Callable[[pd.DataFrame], str]], ...] = (
        ("median_s", "Time against size", "time of one call", wording.seconds, _growth),
        ("ratio_to_value", "Cost of a derivative against size", "calls of the function", formatting.number, _dearest),
        ("peak_rss_bytes", "Memory against size", "growth of peak memory", formatting.size, _largest_memory),
        ("error_eps", "Error against size", "error (eps)", formatting.number, _least_right),
    )
    for column, title, ylabel, words, sentence in parts:
        values = right[column].astype("float64")
        shown = right.assign(shown=values)[values.notna() & (values > 0) & np.isfinite(values)]
        unit = column == "ratio_to_value" and (right["operator"] == "value").all()
        if shown["n"].nunique() >= 2 and not unit:
            draw = partial(_draw_scaling, title, what, shown, axis, ylabel, words, styles)
            yield Picture(f"{name}-{column.partition('_')[0]}", f"{title}: {what}", sentence(shown), draw)


def exponent(n: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the slope of log time against log size, by least squares; nan for one size only."""
    if len(set(n)) < 2:
        return math.nan
    return float(np.polyfit(np.log(n), np.log(seconds), 1)[0])


def _series(shown: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for spec, group in shown.groupby("spec", sort=False):
        yield str(spec), group.sort_values("n", kind="stable")


def _growth(shown: pd.DataFrame) -> str:
    low, high = shown["n"].min(), shown["n"].max()
    # A line through contended cells tells of the other programs.
    shown = shown[shown["versus_fastest"] != CONTENDED]
    fits = {spec: exponent(list(g["n"]), list(g["shown"])) for spec, g in _series(shown)}
    order = sorted((k, spec) for spec, k in fits.items() if math.isfinite(k))
    parts = [f"{spec} like n^{_power(k)}" for k, spec in order]
    if not parts:
        return "No growth is stated: too few rounds were quiet. Bars: 95 % intervals of the median."
    words = f"From n = {low:g} to {high:g}, the time grows: {', '.join(parts)}"
    last = sorted(set(shown["n"]))[-2:]
    if shown["n"].nunique() > 2:
        ends = [exponent(list(g["n"]), list(g["shown"])) for _, g in _series(shown[shown["n"].isin(last)])]
        finite = [k for k in ends if math.isfinite(k)]
        words += f"; between the last two like n^{_power(min(finite))} to n^{_power(max(finite))}" if finite else ""
    return f"{words}. Bars: 95 % intervals of the median."


def _power(k: float) -> str:
    """Return an exponent with two decimals and without the sign of a rounded zero."""
    return f"{round(k, 2) + 0.0:.2f}"


def _dearest(shown: pd.DataFrame) -> str:
    last = shown[shown["n"] == shown["n"].max()].sort_values("shown")
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


def _draw_scaling(
    title: str,
    what: str,
    shown: pd.DataFrame,
    axis: str,
    ylabel: str,
    words: Callable[[float], str],
    styles: LineStyles,
) -> Figure:
    found = dict(_series(shown))
    series = {spec: found[spec] for spec in styles if spec in found}
    figure, (ax,) = style.canvas(title, {s: styles[s] for s in series}, about=what)
    reach = list(shown["shown"])
    for spec, group in series.items():
        ax.plot(group["n"], group["shown"], **styles[spec].lines())
        if ylabel == "time of one call":
            bars = group[(group["ci_low_s"] > 0) & np.isfinite(group["ci_high_s"])]
            ax.vlines(bars["n"], bars["ci_low_s"], bars["ci_high_s"], color=styles[spec].colour, lw=1.2)
            reach += [*bars["ci_low_s"], *bars["ci_high_s"]]
    style.size_axis(ax.xaxis, shown["n"])
    if words is formatting.size:
        style.byte_axis(ax.yaxis, reach)
    else:
        style.log_axis(ax.yaxis, reach, words)
    ax.set_xlabel(axis)
    ax.set_ylabel(ylabel)
    return figure


# ---- over all problems


def comparisons(record: Record, styles: LineStyles) -> Iterator[Picture]:
    """Yield for each dtype, over all problems: cost in calls of the function, memory, error, differences."""
    cells = record.cells[record.cells["leading"] & (record.cells["status"] == Status.OK)]
    for dtype in cells["dtype"].unique():
        group = largest_size(cells[cells["dtype"] == dtype])
        yield from _dots(group, str(dtype), styles)
    frame = record.tables["pairs"]
    leading = record.cells[record.cells["leading"]]
    stands = dict(zip(leading["problem"], leading["operator"], strict=True))
    for dtype in frame["dtype"].unique():
        chosen = frame[(frame["dtype"] == dtype) & (frame["operator"] == frame["problem"].map(stands))]
        picture = _differences(chosen, str(dtype))
        if picture:
            yield picture


def largest_size(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the largest size of each problem; of the last size if sizes are no numbers."""
    last = cells.sort_values("n", kind="stable", na_position="first").drop_duplicates("problem", keep="last")
    return cells[cells["size"] == cells["problem"].map(last.set_index("problem")["size"])]


def _dots(group: pd.DataFrame, dtype: str, styles: LineStyles) -> Iterator[Picture]:
    about = f"{formatting.listed(group['operator'])}, {dtype}" + (
        ", largest size" if "large" in set(group["size"]) else ""
    )
    cost = _by_spec(group[group["operator"] != "value"], "ratio_to_value", styles)
    if cost:
        yield _dot_picture(
            f"cost-{dtype}", "Cost of a derivative", cost, styles, "time relative to the function (same backend)",
            formatting.number, _cost_words(cost, set(group["operator"])), (1.0, "the function itself"), about=about,
        )  # fmt: skip
    memory = _by_spec(group, "peak_rss_bytes", styles)
    if any(v > 0 for found in memory.values() for v in found.values()):
        yield _dot_picture(
            f"memory-{dtype}", "Memory of one call", memory, styles, "growth of peak memory", formatting.size,
            _memory_words(group, memory), about=about,
        )  # fmt: skip
    error = _by_spec(group, "error_eps", styles)
    if error:
        yield _dot_picture(
            f"error-{dtype}", "Error", error, styles, "error against the best reference (eps)", formatting.number,
            _error_words(group), (1.0, "one rounding"), about=about,
        )  # fmt: skip


def _by_spec(group: pd.DataFrame, column: str, styles: LineStyles) -> dict[str, dict[str, float]]:
    values = group[column].astype("float64")
    kept = group.assign(shown=values)[np.isfinite(values)]
    found = {str(s): dict(zip(part["problem"], part["shown"], strict=True)) for s, part in kept.groupby("spec")}
    return {spec: found[spec] for spec in styles if spec in found}


def _dot_picture(
    name: str,
    title: str,
    series: Mapping[str, Mapping[str, float]],
    styles: LineStyles,
    xlabel: str,
    words: Callable[[float], str],
    sentence: str,
    line: tuple[float, str] | None = None,
    *,
    about: str,
) -> Picture:
    rows = list(dict.fromkeys(p for found in series.values() for p in found))
    draw = partial(dot_plot.dots, title, rows, series, styles, xlabel, words, line=line, about=about)
    return Picture(name, f"{title}: {about}", sentence, draw)


def _cost_words(cost: Mapping[str, Mapping[str, float]], operators: set[str]) -> str:
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
        f"Largest: {formatting.eps(top['error_eps'])} by {top['spec']} for {top['problem']}, against {top['reference']}"
    )
    return f"{words}; {exact} of {len(known)} results are exact (drawn at 0)." if exact else f"{words}."


def _differences(frame: pd.DataFrame, dtype: str) -> Picture | None:
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
    series = {
        str(pair): dict(zip(part["problem"], part["difference_in_eps"], strict=True))
        for pair, part in shown.groupby("pair", sort=False)
    }
    return _dot_picture(
        f"pairs-{dtype}", "Differences between backends", series, style.palette(series), "difference (eps)",
        formatting.number, sentence, (1.0, "one rounding"), about=f"{formatting.listed(frame['operator'])}, {dtype}",
    )  # fmt: skip
