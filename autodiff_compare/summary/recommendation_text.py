"""Show a recommendation: the candidates in a table, then the conclusions in sentences."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console

from autodiff_compare.results.formatting import count, listed, plural, seconds, size
from autodiff_compare.summary.recommendation import NEAR, ONCE_FACTOR, UNNOTICED_S, Candidate, Recommendation
from autodiff_compare.summary.terminal import WIDTH, plain_table
from autodiff_compare.timing.statistics import ENOUGH_ROUNDS, MATTERS

#: Errors that differ by more than this factor are mentioned.
_LESS_ACCURATE = 10.0

_LEGEND = """\
in brackets: 95 % interval of the median; error: the largest relative error
against the references; memory: growth of the peak memory in one call"""


def show(found: Recommendation, console: Console) -> None:
    """Print the candidates as a table, then the conclusions, at most 80 columns wide."""
    table = plain_table(f"{found.title}, {plural(found.calls, 'call')} planned")
    table.add_column("backend", overflow="fold", min_width=16)
    for name in ("first call", "each later call", "all calls", "error", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for c in found.ranked:
        table.add_row(
            c.spec,
            seconds(c.once_s),
            _with_interval(c),
            seconds(c.total(found.calls)),
            "-" if math.isnan(c.error) else f"{c.error:.0e}",
            size(c.peak_bytes),
        )
    console.print(table)
    console.print(_LEGEND, style="dim", markup=False, highlight=False)
    for paragraph in paragraphs(found):
        print(textwrap.fill(paragraph, WIDTH, break_on_hyphens=False, break_long_words=False))


def paragraphs(found: Recommendation) -> Iterator[str]:
    """Yield the conclusions, one paragraph each: the choice, its certainty, the ranges, remarks, rejected backends."""
    yield _choice(found)
    yield from _certainty(found)
    by = "By these medians, " if found.uncompared else ""
    if len(found.ranges) > 1:
        ranges = "; ".join(_range(found.ranges, k) for k in range(len(found.ranges)))
        yield f"{by}{'c' if by else 'C'}heapest by the number of calls: {ranges}."
    elif len(found.ranked) > 1:
        yield f"{by}{found.ranges[0][1].spec} is the cheapest for any number of calls."
    yield from _remarks(found)
    alike = defaultdict(list)
    for spec, why in found.left_out.items():
        alike[" ".join(why.split())[:200]].append(spec)
    for why, specs in alike.items():
        yield f"Left out: {', '.join(specs)} ({why})."


def _choice(found: Recommendation) -> str:
    best, calls = found.best, found.calls
    cost = f"{seconds(best.total(calls))} for {plural(calls, 'call')}"
    if found.equals:
        return (
            f"Take {best.spec}: {cost}. Or take {_names(c.spec for c in found.equals)}: there is no difference that "
            f"matters. It is under {UNNOTICED_S:g} s or {MATTERS:.0%} of the total, or the rounds do not prove it."
        )
    share = best.once_s / best.total(calls)
    return f"Take {best.spec}: {cost}, {share:.0%} of it for the first call (with tracing and compiling)."


def _certainty(found: Recommendation) -> Iterator[str]:
    rest = len(found.ranked) - 1 - len(found.equals)
    if not found.enough:
        yield f"Not sure: under {ENOUGH_ROUNDS} timing rounds no difference is proved. Measure with more --rounds."
    elif found.uncompared:
        yield from _uncompared(found)
    elif found.open_to:
        yield (
            f"Open: {_names(c.spec for c in found.open_to)} could be cheaper. The first call was measured only once "
            f"and is trusted to a factor of {ONCE_FACTOR:g}, or the rounds scatter too much to prove a difference."
        )
    elif rest:
        others = f"the other {rest}" if rest > 1 else "the other one"
        yield f"Sure: {others} would cost more even if the first calls were off by a factor of {ONCE_FACTOR:g}."


def _uncompared(found: Recommendation) -> Iterator[str]:
    """Yield what is not proved because of flags or other programs on the CPU, and which backends are still near."""
    yield f"Not sure: {'; '.join(_causes(found))}. Repeat on an idle machine."
    far = len([c for c in found.uncompared if c not in found.open_to])
    if found.open_to:
        others = f"the totals of the other {far} are" if far > 1 else "the total of the other one is"
        behind = f"; {others} over {NEAR:g} times as large" if far else ""
        yield f"Open: {_names(c.spec for c in found.open_to)} could be cheaper{behind}."
    else:
        yield f"Every other total is over {NEAR:g} times as large."


def _causes(found: Recommendation) -> Iterator[str]:
    """Yield why no difference is proved."""
    if found.busy:
        disturbed = sum(not all(r.quiet for r in c.rounds) for c in found.ranked)
        every = len(found.uncompared) == len(found.ranked) - 1
        missing = "no difference is" if every else f"the difference to {len(found.uncompared)} of them is not"
        cells = plural(len(found.ranked), "cell")
        yield f"other programs used the CPU in {disturbed} of {cells}, so {missing} proved"
    doubts = [c.doubts for c in found.ranked if c.doubts]
    if doubts:
        kinds = listed(dict.fromkeys(itertools.chain.from_iterable(doubts)))
        times = f"{len(doubts)} of {plural(len(found.ranked), 'time')} {'is' if len(doubts) == 1 else 'are'}"
        yield f"{times} flagged ({kinds}), and nothing is concluded from a flagged time"


def _remarks(found: Recommendation) -> Iterator[str]:
    """Yield what speaks against the choice: accuracy, memory, flags of its timings."""
    best = found.best
    finer = [c for c in found.ranked if c.error * _LESS_ACCURATE < best.error]
    if finer:
        others = _names(c.spec for c in finer)
        yield f"Less accurate than {others}: {best.error:.0e} against {min(c.error for c in finer):.0e}."
    known = [c for c in found.ranked if c.peak_bytes]
    leanest = min(known, key=lambda c: c.peak_bytes or 0, default=None)
    if leanest is not None and best.peak_bytes and best.peak_bytes > 2 * (leanest.peak_bytes or 0) >= 2 << 20:
        yield f"It needs {size(best.peak_bytes)} in a call; {leanest.spec} needs {size(leanest.peak_bytes)}."
    flags = Counter(itertools.chain.from_iterable(c.flags for c in found.ranked))
    if flags:
        counts = ", ".join(f"{n} {flag}" for flag, n in flags.items())
        yield f"Read with care: of {len(found.ranked)} timings, {counts}."


def _range(ranges: Sequence[tuple[int, Candidate]], k: int) -> str:
    first, c = ranges[k]
    if k + 1 == len(ranges):
        return f"{c.spec} from {_about(first)} on"
    last = ranges[k + 1][0] - 1
    return f"{c.spec} up to {_about(last)}" if first == 1 else f"{c.spec} from {_about(first)} to {_about(last)}"


def _about(calls: int) -> str:
    """Return a break-even count with two digits: the first call, measured once, gives no more."""
    return count(int(float(f"{calls:.2g}")))


def _with_interval(c: Candidate) -> str:
    """Return ``7.39 us [7, 8.1]``: the median and its interval, in the unit of the median."""
    number, unit = seconds(c.steady_s).split()
    scale = float(number) / c.steady_s
    interval = f" [{c.low_s * scale:.3g}, {c.high_s * scale:.3g}]" if c.low_s < c.high_s else ""
    return f"{number} {unit}{interval}"


def _names(names: Iterable[str]) -> str:
    given = list(names)
    return listed(given, most=len(given))
