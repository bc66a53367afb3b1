"""The schedule of timing: the order of visits in a round, the number of rounds, and the time budget of a group.

A round visits each cell of a group once, in a fresh random order. Drift of the machine then affects all cells alike,
and every cell has the same rounds, so that comparisons can be paired by round. A cell that fails leaves the later
rounds.

Rounds beyond the requested number are added for precision alone: while the interval of some cell's median is wide, or
while some cell has too few rounds in which no other process had its processor. A rule that stops as soon as a
difference is significant looks again after every round, and would sooner or later find one between identical programs.
The width of an interval does not depend on whether it contains "no difference", so stopping on it does not favour a
claim.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from autodiff_compare.timing.statistics import ENOUGH_ROUNDS, Round, imprecise

Clock = Callable[[], float]
Key = TypeVar("Key")

#: Rounds are added only to runs of at least this many; shorter ones are meant to be quick.
EXTENDED_FROM = 15
#: Bound of all rounds, as a multiple of those requested. Noise that twice the rounds do not reduce is the machine's.
EXTENSION = 2


@dataclass(frozen=True)
class Schedule:
    """The rule that ends the rounds of a group.

    Parameters
    ----------
    rounds
        Requested number of rounds.
    until
        Time of ``clock`` after which no round begins.
    clock
        Returns the time in seconds.
    """

    rounds: int
    until: float = math.inf
    clock: Clock = time.monotonic

    def continues(self, done: int, series: Sequence[Sequence[Round]]) -> bool:
        """Return whether another round begins.

        Parameters
        ----------
        done
            Number of rounds so far.
        series
            For each cell that has not failed, its rounds so far.
        """
        if self.clock() >= self.until:
            return False
        if done < self.rounds:
            return True
        if done >= EXTENSION * self.rounds:
            return False
        quiet = [[r.seconds for r in rounds if r.quiet] for rounds in series]
        if self.rounds >= ENOUGH_ROUNDS and any(len(values) < ENOUGH_ROUNDS for values in quiet):
            return True
        return self.rounds >= EXTENDED_FROM and any(map(imprecise, quiet))


def run_rounds(
    keys: Sequence[Key],
    visit: Callable[[Key, int], bool],
    series: Callable[[Key], Sequence[Round]],
    schedule: Schedule,
    order: random.Random,
) -> tuple[list[Key], int]:
    """Visit all keys round by round, in random order, until the schedule ends.

    Parameters
    ----------
    keys
        The cells, or other things, that are timed against each other.
    visit
        ``visit(key, number)`` times a key in round ``number``, from 0; it returns False if the key failed and leaves
        the later rounds.
    series
        Returns a key's rounds so far.
    schedule
        Decides after each round whether another begins.
    order
        Random stream of the order in each round.

    Returns
    -------
    list, int
        The keys that have not failed, and the number of rounds.
    """
    live, done = list(keys), 0
    while live and schedule.continues(done, [series(key) for key in live]):
        order.shuffle(live)
        live = [key for key in live if visit(key, done)]
        done += 1
    return live, done


class Budget:
    """The time budget of a run, divided evenly among the groups that are still to be timed.

    Time that a group does not use is divided among the later ones. Time between `begin` and `end` alone counts.

    Parameters
    ----------
    seconds
        Seconds for all timing, or `None` for no limit.
    pieces
        Number of groups times launches.
    clock
        Returns the time in seconds.
    """

    def __init__(self, seconds: float | None, pieces: int, clock: Clock = time.monotonic) -> None:
        self.left = math.inf if seconds is None else seconds
        self.pieces, self.clock = pieces, clock
        self._began = math.nan

    def begin(self) -> float:
        """Begin timing a group; return the time of the clock at which its share is spent."""
        self._began = self.clock()
        return self._began + max(self.left, 0.0) / max(self.pieces, 1)

    def end(self) -> None:
        """End timing the group that was begun last."""
        self.left -= self.clock() - self._began
        self.pieces -= 1
