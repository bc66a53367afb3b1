"""Break-even of backends: the cheapest one as a function of the number of calls.

A backend takes ``setup + (n - 1) each`` seconds for n calls: the first call with its preparation, then n - 1 later
calls. A backend with the larger setup and the cheaper call has the smaller total once

    n - 1 > (setup_2 - setup_1) / (each_1 - each_2),

so the smallest such n is ``floor(ratio) + 2``. The cheapest backend as a function of n is the lower envelope of these
lines: start with the one that is cheapest at n = 1, and go on to the line of smaller slope that it crosses first.

Example: (setup, each) is (1, 4) for a and (10, 1) for b. The ratio is 9 / 3 = 3: at n = 4 both take 13 s, from n = 5 on
b is cheaper. The envelope is a from 1, b from 5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """Seconds for n calls: ``setup + (n - 1) each``."""

    setup: float
    each: float

    def total(self, n: float) -> float:
        """Return the seconds for n calls."""
        return self.setup + (n - 1) * self.each


def cheapest(lines: Mapping[str, Line], most: int) -> list[tuple[int, str]]:
    """Return the lower envelope: (number of calls, name of the line that is cheapest from there on).

    Parameters
    ----------
    lines
        At least one.
    most
        Largest number of calls; lines that become cheaper beyond it are left out.
    """
    now = min(lines, key=lambda s: (lines[s].setup, lines[s].each))
    found = [(1, now)]
    while True:
        cheaper = [
            (_break_even(lines[s], lines[now], most), lines[s].each, s)
            for s in lines
            if lines[s].each < lines[now].each
        ]
        n, _, following = min(cheaper, default=(most + 1, 0.0, ""))
        if n > most:
            return found
        found.append((n, following))
        now = following


def _break_even(later: Line, earlier: Line, most: int) -> int:
    """Return the smallest n at which ``later``, with the cheaper call, has the smaller total; at most ``most + 1``."""
    calls = (later.setup - earlier.setup) / (earlier.each - later.each)
    return min(math.floor(min(max(calls, 0.0), 2.0 * most)) + 2, most + 1)
