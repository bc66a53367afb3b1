"""The verb ``tax``: what our interface costs, in the terminal."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

import backends
from harness import exits, session, summary
from harness.client import WorkerClient, WorkerError
from harness.contest import TASKS
from harness.plan import DEFAULT_BACKENDS
from harness.statistics import order_statistic_interval
from vocabulary import Status

#: The interface may cost this share of the gradient written by hand, or so many seconds.
MOST_SHARE, MOST_S = 0.02, 1e-6
#: Relative difference of the two results above which they are not the same computation.
_SAME = 1e-9


@dataclass(frozen=True)
class Tax:
    """What the interface costs in one task: medians over paired rounds.

    ``ratio`` is the time through the interface over that by hand, ``low`` and ``high`` its 95 % interval.
    """

    backend: str
    task: str
    by_hand_s: float
    interface_s: float
    ratio: float
    low: float
    high: float
    more_s: float
    same: bool

    @property
    def verdict(self) -> str:
        """``ok``: at most `MOST_SHARE` or `MOST_S`; ``unclear``: more, but not proved; or what is wrong."""
        if not self.same:
            return "other result"
        if self.ratio <= 1 + MOST_SHARE or self.more_s <= MOST_S:
            return "ok"
        return "too much" if self.low > 1 + MOST_SHARE else "unclear"


def tax(options: argparse.Namespace) -> int:
    """Print what every backend's interface costs; exit code 1 if it is proved to be too much anywhere."""
    chosen = tuple(dict.fromkeys(options.backend)) or DEFAULT_BACKENDS
    known = backends.written_by_hand()
    for spec in chosen:
        if spec not in known:
            return session.usage(f"got backend {spec!r}, expected one of: {', '.join(known)}")
    tasks = tuple(dict.fromkeys(options.task)) or tuple(TASKS)
    for task in tasks:
        if task not in TASKS:
            return session.usage(f"got task {task!r}, expected one of: {', '.join(TASKS)}")
    table, broken, found = summary.plain_table("A gradient through the interface and by hand"), False, []
    for name in ("backend", "task", "by hand", "interface", "ratio [95 %]", "more", ""):
        table.add_column(name, justify="left" if name in ("backend", "task", "") else "right", overflow="fold")
    for spec in chosen:
        try:
            for row in _taxes(spec, tasks, options.rounds, options.seed):
                found.append(row)
                _add(table, row)
        except WorkerError as error:
            broken = True
            print(f"{spec}: {error.status}: {str(error).splitlines()[0]}", file=sys.stderr)
    out = session.console()
    out.print(table)
    verdicts = [row.verdict for row in found]
    within = verdicts.count("ok")
    out.print(f"\n{within} of {len(found)} within {MOST_SHARE:.0%} or {MOST_S * 1e6:.0f} us of the gradient by hand.")
    if broken:
        return exits.FAILED
    return exits.OK if set(verdicts) <= {"ok", "unclear"} else exits.WRONG


def judged(backend: str, task: str, interface: Sequence[float], by_hand: Sequence[float], difference: float) -> Tax:
    """The tax from the seconds of paired rounds."""
    logs = [math.log(a / b) for a, b in zip(interface, by_hand, strict=True)]
    low, high = order_statistic_interval(logs, 0.95)
    more = float(np.median([a - b for a, b in zip(interface, by_hand, strict=True)]))
    ratio = math.exp(float(np.median(logs)))
    medians = float(np.median(by_hand)), float(np.median(interface))
    return Tax(backend, task, *medians, ratio, math.exp(low), math.exp(high), more, difference <= _SAME)


def _taxes(spec: str, tasks: Sequence[str], rounds: int, seed: int) -> Iterator[Tax]:
    absent = backends.missing(backends.load(spec))
    if absent:
        raise WorkerError(Status.NOT_INSTALLED, ", ".join(absent))
    client = WorkerClient(spec, 1)
    try:
        client.request("open", 120.0)
        for task in tasks:
            found = client.request("tax", 120.0, task=task, rounds=rounds, seed=seed)
            yield judged(spec, task, found["interface"], found["by_hand"], found["difference"])
    finally:
        client.close()


def _add(table: Table, row: Tax) -> None:
    sign = "-" if row.more_s < 0 else "+"
    table.add_row(
        row.backend,
        TASKS[row.task].title,
        summary.seconds(row.by_hand_s),
        summary.seconds(row.interface_s),
        f"{row.ratio:.3f} [{row.low:.3f}, {row.high:.3f}]",
        f"{sign}{summary.seconds(abs(row.more_s))}",
        row.verdict,
    )
