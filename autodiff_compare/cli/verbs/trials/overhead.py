"""The verb ``overhead``: time gradients through the neutral interface against hand-written ones, in each framework."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from autodiff_compare import backends
from autodiff_compare.cli import exits
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.messages import expected
from autodiff_compare.cli.options import environment_of
from autodiff_compare.execution.display import Display
from autodiff_compare.plan.query import DEFAULT_BACKENDS
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.results import formatting
from autodiff_compare.summary import terminal
from autodiff_compare.timing.overhead import TASKS
from autodiff_compare.timing.statistics import order_statistic_interval
from autodiff_compare.vocabulary import Status

#: Bounds on the overhead: a share of the hand-written gradient's time, or seconds; it need keep only one.
MOST_SHARE, MOST_S = 0.02, 1e-6
#: Largest relative difference of two results of the same computation.
_SAME = 1e-9


@dataclass(frozen=True)
class Overhead:
    """The overhead of the interface in one task: medians over paired rounds.

    Parameters
    ----------
    by_hand_s, interface_s
        Seconds of the hand-written gradient, and of the same gradient through the interface.
    ratio, ratio_between
        Time through the interface over time by hand, and its 95 % interval.
    more_s, more_between_s
        Additional seconds through the interface, and their 95 % interval.
    same
        Whether both computed the same result.
    """

    backend: str
    task: str
    by_hand_s: float
    interface_s: float
    ratio: float
    ratio_between: tuple[float, float]
    more_s: float
    more_between_s: tuple[float, float]
    same: bool

    @property
    def within(self) -> bool:
        """Return whether the medians differ by at most `MOST_SHARE` or `MOST_S`."""
        return self.ratio <= 1 + MOST_SHARE or self.more_s <= MOST_S

    @property
    def proved(self) -> bool:
        """Return whether the intervals lie on the same side of the bounds as the medians; few rounds prove nothing."""
        shares, seconds = self.ratio_between, self.more_between_s
        if self.within:
            return shares[1] <= 1 + MOST_SHARE or seconds[1] <= MOST_S
        return shares[0] > 1 + MOST_SHARE and seconds[0] > MOST_S

    @property
    def verdict(self) -> str:
        """Return ``within`` or ``over``, with ``?`` if that is not proved, or ``other result``."""
        if not self.same:
            return "other result"
        return ("within" if self.within else "over") + ("" if self.proved else " ?")


def overhead(options: argparse.Namespace) -> int:
    """Print the overhead on each backend; return exit code 1 if it is proved to be over the bounds anywhere."""
    chosen = tuple(dict.fromkeys(options.backend)) or DEFAULT_BACKENDS
    known = backends.baseline_names()
    for spec in chosen:
        if spec not in known:
            return usage(f"got backend {spec!r}{expected(spec, known)}")
    tasks = tuple(dict.fromkeys(options.task)) or tuple(TASKS)
    for task in tasks:
        if task not in TASKS:
            return usage(f"got task {task!r}{expected(task, list(TASKS))}")
    out, broken, found = console(), False, []
    for spec in chosen:
        rows: list[Overhead] = []
        try:
            with Display("tasks") as display:
                rows.extend(_measured(spec, tasks, options, display))
        except WorkerError as error:
            broken = True
            print(f"{spec}: {error.status}: {str(error).splitlines()[0]}", file=sys.stderr)
        out.print(_table(spec, rows))
        found += rows
    out.print(f"\n{sentence(found)}")
    if broken:
        return exits.FAILED
    return exits.WRONG if any(not row.same or (row.proved and not row.within) for row in found) else exits.OK


def sentence(found: Sequence[Overhead]) -> str:
    """Return how many overheads are within the bounds and over them, and for how many that is proved."""
    bounds = f"{MOST_SHARE:.0%} or {MOST_S * 1e6:.0f} us of the hand-written gradient"
    within, over = ([row for row in found if row.same and row.within == side] for side in (True, False))
    parts = [f"{len(within)} of {len(found)} within {bounds}, {sum(r.proved for r in within)} of them proved"]
    parts += [f"{len(over)} over, {sum(r.proved for r in over)} of them proved"] if over else []
    unsure = any(not row.proved for row in found)
    return "; ".join(parts) + (". ?: the interval includes the bound; more --rounds narrow it." if unsure else ".")


def judged(
    backend: str, task: str, interface: Sequence[float], by_hand: Sequence[float], difference: float
) -> Overhead:
    """Return the overhead of a task from the seconds of paired rounds."""
    ratios = [a / b for a, b in zip(interface, by_hand, strict=True)]
    more = [a - b for a, b in zip(interface, by_hand, strict=True)]
    shares, seconds = (order_statistic_interval(values, 0.95) for values in (ratios, more))
    medians = median(by_hand), median(interface), median(ratios)
    return Overhead(backend, task, *medians, shares, median(more), seconds, difference <= _SAME)


def _measured(spec: str, tasks: Sequence[str], options: argparse.Namespace, display: Display) -> Iterator[Overhead]:
    absent = backends.missing(backends.load(spec))
    if absent:
        raise WorkerError(Status.NOT_INSTALLED, ", ".join(absent))
    client = WorkerClient(spec, 1, environment=environment_of(options))
    try:
        display.begin(len(tasks), 0)
        with display.starting(spec):
            client.request("open", 120.0)
        for task in tasks:
            display.doing(f"timing {task} on {spec}")
            found = client.request("overhead", 120.0, task=task, rounds=options.rounds, seed=options.seed)
            yield judged(spec, task, found["interface"], found["by_hand"], found["difference"])
            display.piece_done()
    finally:
        client.close()


def _us(seconds: float) -> str:
    """Return seconds as microseconds, with two decimals below 100."""
    return f"{1e6 * seconds:.2f}" if abs(seconds) < 1e-4 else f"{1e6 * seconds:.0f}"


def _table(spec: str, rows: Sequence[Overhead]) -> Table:
    table = terminal.plain_table(f"{spec}: a gradient through the interface, relative to the same gradient by hand")
    for name in ("task", "by hand", "ratio [95 %]", "more us [95 %]", ""):
        words = name in ("task", "")
        table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=name != "task")
    for row in rows:
        (low, high), (least, most) = row.ratio_between, map(_us, row.more_between_s)
        table.add_row(
            TASKS[row.task].title,
            formatting.seconds(row.by_hand_s),
            f"{row.ratio:.3f} [{low:.3f}, {high:.3f}]",
            f"{_us(row.more_s)} [{least}, {most}]",
            row.verdict,
        )
    return table
