"""Trials of the clock: the rate of false claims on identical work, and the power to find a slow-down.

A trial times two fresh workers against each other by the paired rule of `autodiff_compare.timing.statistics`. With
identical work, every claim of a difference is false; with a quarter more work in one worker, the claim is right. Claims
are counted for single launches and for the pooled launches of a trial. The trials should hold with and without other
load on the machine.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autodiff_compare.process.client import WorkerClient
from autodiff_compare.timing.clock import equal_blocks
from autodiff_compare.timing.schedule import Schedule, run_rounds
from autodiff_compare.timing.statistics import CONTENDED, Round, paired_verdict, round_of

Series = tuple[list[Round], list[Round]]
#: Units of `clock.synthetic_work` in the two workers.
IDENTICAL, SLOWER = (100, 100), (125, 100)
#: Launches of a trial, rounds of a launch, default number of trials.
LAUNCHES, ROUNDS, TRIALS = 3, 15, 10
#: (identical work, pooled launches) -> share of trials with a claim: the most for identical work, the least for a
#: slow-down.
BOUNDS = {(True, False): 2 / 60, (True, True): 1 / 60, (False, False): 48 / 60, (False, True): 57 / 60}
_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Count:
    """The number of claims in a number of trials of one kind.

    Parameters
    ----------
    identical
        Whether both workers did the same work, so that every claim is false.
    pooled
        Whether the launches of a trial were pooled.
    claims, trials
        Trials in which a difference was claimed, and all trials.
    """

    identical: bool
    pooled: bool
    claims: int
    trials: int

    @property
    def kept(self) -> bool:
        """Return whether the claims keep their bound; a single deviation is allowed, as it shows no rate."""
        bound = BOUNDS[self.identical, self.pooled] * self.trials
        return self.claims <= max(bound, 1) if self.identical else self.claims >= min(bound, self.trials - 1)


def counts(trials: int, launch: Callable[[Sequence[int], random.Random], Series], order: random.Random) -> list[Count]:
    """Count the claims over ``trials`` trials of identical work, and of a slow-down.

    Parameters
    ----------
    trials
        Trials of each of the two.
    launch
        Returns the rounds of two workers, for their units of work.
    order
        Random stream of the order of visits.
    """
    made = []
    for work in (IDENTICAL, SLOWER):
        series = [[launch(work, order) for _ in range(LAUNCHES)] for _ in range(trials)]
        single = [_claimed(work, *one) for trial in series for one in trial]
        pooled = [_claimed(work, *(list(itertools.chain(*side)) for side in zip(*t, strict=True))) for t in series]
        made += [Count(work == IDENTICAL, c is pooled, sum(c), len(c)) for c in (single, pooled)]
    return made


def launch(work: Sequence[int], order: random.Random) -> Series:
    """Time two fresh workers against each other: return their rounds."""
    with _workers(len(work)) as clients:
        per_call_s = []
        for client, units in zip(clients, work, strict=True):
            client.request("work", _DEADLINE_S, units=units)
            per_call_s.append(client.request("calibrate", _DEADLINE_S)["per_call_s"])
        calls = equal_blocks(per_call_s)
        series: Series = ([], [])

        def visit(k: int, _: int) -> bool:
            found = clients[k].request("visit", _DEADLINE_S, calls=calls[k])
            series[k].append(round_of(found["seconds"], found["waited_s"], calls[k]))
            return True

        run_rounds(range(len(work)), visit, series.__getitem__, Schedule(ROUNDS), order)
    return series


@contextlib.contextmanager
def _workers(n: int) -> Iterator[list[WorkerClient]]:
    clients = [WorkerClient("manual", 1) for _ in range(n)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def _claimed(work: Sequence[int], a: Sequence[Round], b: Sequence[Round]) -> bool:
    """Return whether the first worker is called slower; for identical work, whether either is."""
    claims = [paired_verdict(a, b), paired_verdict(b, a)] if work == IDENTICAL else [paired_verdict(a, b)]
    return any(claim not in ("", "~", CONTENDED) for claim in claims)
