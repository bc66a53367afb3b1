"""Trials of the clock: the rate of false claims on identical work, and the power to find a slow-down.

A trial times two fresh workers against each other by the paired rule of `autodiff_compare.timing.statistics`. With
identical work, every claim of a difference is false; with a quarter more work in one worker, the claim is right. Claims
are counted for single launches and for the pooled launches of a trial.

The trials are made on the machine as it is, and again with a busy process on each processor. Under load no claim of
equal work may be made either. A slow-down need not be found there: verdicts need rounds in which no other process had
the processor, and are otherwise withheld.
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
#: Launches of a trial, rounds of a launch.
LAUNCHES, ROUNDS = 3, 15
#: (identical work, pooled launches) -> share of trials with a claim: the most for identical work, the least for a
#: slow-down. Of 60 trials, at most one may claim a difference between equal work, and 57 must find a slow-down.
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
    claims, withheld, trials
        Trials in which a difference was claimed, those in which a verdict was withheld as too few rounds were quiet,
        and all trials.
    """

    identical: bool
    pooled: bool
    claims: int
    withheld: int
    trials: int

    @property
    def kept(self) -> bool:
        """Return whether the claims keep their bound; a single deviation is allowed, as it shows no rate."""
        bound = BOUNDS[self.identical, self.pooled] * self.trials
        return self.claims <= max(bound, 1) if self.identical else self.claims >= min(bound, self.trials - 1)


Launch = Callable[[Sequence[int], random.Random], Series]


def counts(
    trials: int, launch: Launch, order: random.Random, works: Sequence[Sequence[int]] = (IDENTICAL, SLOWER)
) -> list[Count]:
    """Count the claims over a number of trials of each kind of work.

    Parameters
    ----------
    trials
        Trials of each kind.
    launch
        Returns the rounds of two workers, for their units of work.
    order
        Random stream of the order of visits.
    works
        Units of work in the two workers.
    """
    made = []
    for work in works:
        series = [[launch(work, order) for _ in range(LAUNCHES)] for _ in range(trials)]
        single = [_verdict(work, *one) for trial in series for one in trial]
        pooled = [_verdict(work, *(list(itertools.chain(*side)) for side in zip(*t, strict=True))) for t in series]
        for verdicts in (single, pooled):
            claims = sum(v not in ("", "~", CONTENDED) for v in verdicts)
            kind = work == IDENTICAL, verdicts is pooled
            made.append(Count(*kind, claims, verdicts.count(CONTENDED), len(verdicts)))
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
            client.hang_up()
        for client in clients:
            client.close()


def _verdict(work: Sequence[int], a: Sequence[Round], b: Sequence[Round]) -> str:
    """Return the verdict on whether the first worker is slower; for identical work, on whether either is."""
    verdicts = [paired_verdict(a, b), paired_verdict(b, a)] if work == IDENTICAL else [paired_verdict(a, b)]
    return max(verdicts, key=lambda verdict: verdict not in ("", "~", CONTENDED))
