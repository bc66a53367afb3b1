"""The clock on trial: how often a difference is claimed between two workers.

Every trial times two fresh workers against each other, twice: with identical work, where nothing may be claimed, and
with a quarter more work in one, which must be found. Claims are counted for each launch by itself and for the
launches of a trial pooled. Run it with and without other load on the machine.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autodiff_compare.process.client import WorkerClient
from autodiff_compare.timing.schedule import Pace, go_around
from autodiff_compare.timing.statistics import ratio_verdict

Series = tuple[list[float], list[float]]
#: Units of work in the two workers.
IDENTICAL, SLOWER = (100, 100), (125, 100)
#: Launches of a trial, rounds of a launch, trials unless asked otherwise.
LAUNCHES, ROUNDS, TRIALS = 3, 15, 10
#: (of identical work, pooled) -> share of the trials with a claim: at most of identical work, at least of a slow-down.
BOUNDS = {(True, False): 2 / 60, (True, True): 1 / 60, (False, False): 48 / 60, (False, True): 57 / 60}
_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Count:
    """How often a difference was claimed."""

    identical: bool
    pooled: bool
    claims: int
    trials: int

    @property
    def kept(self) -> bool:
        """Whether the claims keep their bound; one claim in few trials says nothing about a rate."""
        bound = BOUNDS[self.identical, self.pooled] * self.trials
        return self.claims <= max(bound, 1) if self.identical else self.claims >= min(bound, self.trials - 1)


def counts(trials: int, launch: Callable[[Sequence[int], random.Random], Series], order: random.Random) -> list[Count]:
    """Claims over so many trials of both kinds; ``launch`` gives the rounds of two workers with that much work."""
    made = []
    for work in (IDENTICAL, SLOWER):
        series = [[launch(work, order) for _ in range(LAUNCHES)] for _ in range(trials)]
        single = [_claimed(work, *one) for trial in series for one in trial]
        pooled = [_claimed(work, *(list(itertools.chain(*side)) for side in zip(*t, strict=True))) for t in series]
        made += [Count(work == IDENTICAL, c is pooled, sum(c), len(c)) for c in (single, pooled)]
    return made


def launch(work: Sequence[int], order: random.Random) -> Series:
    """The seconds per call of each round of two fresh workers."""
    with _workers(len(work)) as clients:
        calls = []
        for client, units in zip(clients, work, strict=True):
            client.request("work", _DEADLINE_S, units=units)
            calls.append(client.request("calibrate", _DEADLINE_S)["calls"])
        series: Series = ([], [])

        def visit(k: int, _: int) -> bool:
            seconds = clients[k].request("visit", _DEADLINE_S, calls=calls[k])["seconds"]
            series[k].append(sorted(seconds)[len(seconds) // 2] / calls[k])
            return True

        go_around(range(len(work)), visit, series.__getitem__, Pace(ROUNDS), order)
    return series


@contextlib.contextmanager
def _workers(n: int) -> Iterator[list[WorkerClient]]:
    clients = [WorkerClient("manual", 1) for _ in range(n)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def _claimed(work: Sequence[int], a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether the first is called slower; of identical work, either."""
    claims = [ratio_verdict(a, b), ratio_verdict(b, a)] if work == IDENTICAL else [ratio_verdict(a, b)]
    return any(claim not in ("", "~") for claim in claims)
