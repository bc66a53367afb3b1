"""A recommendation as a person reads it: the candidates in a table, then sentences."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console

from autodiff_compare.summary.recommendation import ONCE_FACTOR, UNNOTICED_S, Candidate, Recommendation
from autodiff_compare.summary.terminal import WIDTH, plain_table, seconds
from autodiff_compare.timing.statistics import ENOUGH_ROUNDS, MATTERS

#: Errors that differ by more than this factor are mentioned.
_LESS_ACCURATE = 10.0


def show(found: Recommendation, console: Console) -> None:
    """The candidates as a table, then what follows from it, in words of at most 80 columns."""
    table = plain_table(f"{found.title}, {_calls(found.calls)} planned")
    table.add_column("backend", overflow="fold", min_width=16)
    for name in ("first", "each after it", "all", "error", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for c in found.ranked:
        table.add_row(
            c.spec,
            seconds(c.once_s),
            _with_interval(c),
            seconds(c.total(found.calls)),
            "-" if math.isnan(c.error) else f"{c.error:.0e}",
            _bytes(c.peak_bytes),
        )
    console.print(table)
    for paragraph in words(found):
        print(textwrap.fill(paragraph, WIDTH, break_on_hyphens=False, break_long_words=False))


def words(found: Recommendation) -> Iterator[str]:
    """What follows, a paragraph each."""
    best, calls = found.best, found.calls
    total = seconds(best.total(calls))
    if found.equals:
        others = _and(c.spec for c in found.equals)
        yield (
            f"Take {best.spec}, or what you have at hand: {total} for {_calls(calls)}, and no difference that matters "
            f"to {others}: it is under {UNNOTICED_S:g} s or {MATTERS:.0%}, or not proved by the rounds."
        )
    else:
        share = best.once_s / best.total(calls)
        yield f"Take {best.spec}: {total} for {_calls(calls)}, {share:.0%} of it until the first result is there."
    yield from _sureness(found)
    if len(found.ranges) > 1:
        yield (
            "Cheapest by the number of calls: "
            + "; ".join(_range(found.ranges, k) for k in range(len(found.ranges)))
            + "."
        )
    elif len(found.ranked) > 1:
        yield f"{found.ranges[0][1].spec} is the cheapest for any number of calls."
    yield from _remarks(found)
    for spec, why in found.left_out.items():
        yield f"Left out: {spec} ({' '.join(why.split())[:200]})."


def _sureness(found: Recommendation) -> Iterator[str]:
    rest = len(found.ranked) - 1 - len(found.equals)
    enough = all(len(c.rounds) >= ENOUGH_ROUNDS for c in found.ranked)
    if not enough:
        yield f"Not sure: under {ENOUGH_ROUNDS} timing rounds nothing is proved."
    elif found.open_to:
        yield (
            f"Open: {_and(c.spec for c in found.open_to)} could be cheaper. The first call was measured once and is "
            f"trusted to a factor of {ONCE_FACTOR:g} only, or the rounds scatter too much to prove a difference."
        )
    elif rest:
        many = f"the other {rest}" if rest > 1 else "the other one"
        yield f"Sure: {many} would cost more even if the first calls were off by a factor of {ONCE_FACTOR:g}."


def _remarks(found: Recommendation) -> Iterator[str]:
    """Accuracy, memory, and what the timings are to be read with care for."""
    best = found.best
    finer = [c for c in found.ranked if c.error * _LESS_ACCURATE < best.error]
    if finer:
        others = _and(c.spec for c in finer)
        yield f"Less accurate than {others}: {best.error:.0e} against {min(c.error for c in finer):.0e}."
    known = [c for c in found.ranked if c.peak_bytes]
    leanest = min(known, key=lambda c: c.peak_bytes or 0, default=None)
    if leanest is not None and best.peak_bytes and best.peak_bytes > 2 * (leanest.peak_bytes or 0) >= 2 << 20:
        yield f"It needs {_bytes(best.peak_bytes)} in a call; {leanest.spec} needs {_bytes(leanest.peak_bytes)}."
    flags = dict.fromkeys(itertools.chain.from_iterable(c.flags for c in found.ranked))
    if flags:
        having = sum(bool(c.flags) for c in found.ranked)
        yield f"Read with care: {having} of {len(found.ranked)} timings are {_and(flags)}."


def _range(ranges: Sequence[tuple[int, Candidate]], k: int) -> str:
    first, c = ranges[k]
    if k + 1 == len(ranges):
        return f"{c.spec} from {_about(first)} on"
    last = ranges[k + 1][0] - 1
    return f"{c.spec} up to {_about(last)}" if first == 1 else f"{c.spec} from {_about(first)} to {_about(last)}"


def _about(calls: int) -> str:
    """Two digits of a break-even count: no more of it is known."""
    return _count(int(float(f"{calls:.2g}")))


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{_count(number)} calls"


def _with_interval(c: Candidate) -> str:
    """``7.39 us [7, 8.1]``: the interval in the unit of its median."""
    number, unit = seconds(c.steady_s).split()
    scale = float(number) / c.steady_s
    interval = f" [{c.low_s * scale:.3g}, {c.high_s * scale:.3g}]" if c.low_s < c.high_s else ""
    return f"{number} {unit}{interval}"


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _and(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _bytes(count: int | None) -> str:
    if count is None:
        return "-"
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
