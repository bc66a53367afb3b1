"""The pace of timing: how many rounds, in what order, and when to stop.

A round visits every cell that is still alive once, in a fresh random order, so that drift of the machine hits all
alike and every cell has the same rounds: comparisons are paired by round.

More rounds than asked for are added on precision alone. To stop as soon as a difference is significant
would find one between identical programs sooner or later; an interval that is narrow enough says nothing about
which side it lies on.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from autodiff_compare.timing.statistics import imprecise

Clock = Callable[[], float]
Key = TypeVar("Key")

#: With fewer rounds than this a run is meant to be quick: no rounds are added.
PRECISE_FROM = 15
#: At most so many times the rounds asked for: noise that as many again do not calm is the machine's.
MOST = 2


@dataclass(frozen=True)
class Pace:
    """When the rounds of a group end.

    Parameters
    ----------
    rounds
        As many as asked for.
    until
        The moment of ``clock`` after which no round begins.
    clock
        Seconds.
    """

    rounds: int
    until: float = math.inf
    clock: Clock = time.monotonic

    def another(self, done: int, series: Sequence[Sequence[float]]) -> bool:
        """Whether a further round begins, given the values of the rounds so far of every living cell."""
        if self.clock() >= self.until:
            return False
        if done < self.rounds:
            return True
        return self.rounds >= PRECISE_FROM and done < MOST * self.rounds and any(map(imprecise, series))


def go_around(
    keys: Sequence[Key],
    visit: Callable[[Key, int], bool],
    series: Callable[[Key], Sequence[float]],
    pace: Pace,
    order: random.Random,
) -> tuple[list[Key], int]:
    """Visit ``keys`` round by round until the pace says enough; returns those still alive and the rounds made.

    Parameters
    ----------
    keys
        What is timed against each other.
    visit
        ``visit(key, number)`` makes a visit of that round; ``False`` takes the key out of the following ones.
    series
        The values of a key's rounds so far.
    pace
        When to stop.
    order
        Where the order of each round comes from.
    """
    live, done = list(keys), 0
    while live and pace.another(done, [series(key) for key in live]):
        order.shuffle(live)
        live = [key for key in live if visit(key, done)]
        done += 1
    return live, done


class Budget:
    """Seconds for all timing, shared out evenly among the pieces that are left; what one leaves goes to the others.

    Parameters
    ----------
    seconds
        The total, or `None` for no limit.
    pieces
        How many groups will be timed, launch by launch.
    clock
        Seconds.
    """

    def __init__(self, seconds: float | None, pieces: int, clock: Clock = time.monotonic) -> None:
        self.left = math.inf if seconds is None else seconds
        self.pieces, self.clock = pieces, clock
        self._began = math.nan

    def begin(self) -> float:
        """Begin a piece; returns the moment at which its share is spent."""
        self._began = self.clock()
        return self._began + max(self.left, 0.0) / max(self.pieces, 1)

    def end(self) -> None:
        """End the piece begun last."""
        self.left -= self.clock() - self._began
        self.pieces -= 1
