"""Calls at another point: a result that is repeated there instead of computed is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from autodiff_compare.timing import suspicion
from autodiff_compare.timing.clock import Timed
from autodiff_compare.timing.suspicion import remembers, repeats


class Pauses:
    """Count the pauses that are made, in place of `time.sleep`."""

    count = 0

    def __call__(self, _: float) -> None:
        self.count += 1


PAUSES = Pauses()


def _repeating(f: Callable[[float], float]) -> Callable[[float], float]:
    """Return a function that computes anew after a pause, and else repeats its last result."""
    last: dict[int, float] = {}

    def run(x: float) -> float:
        return last.setdefault(PAUSES.count, f(x))

    return run


def _square(x: float) -> float:
    return x * x


def _constant(x: float) -> float:
    return 2.0 + 0 * x


def _reciprocal(x: float) -> float:
    return 1 / x


@pytest.mark.parametrize(
    ("run", "elsewhere", "found"),
    [
        (_square, 3.0, False),
        # The gradient of a linear function: it is the same at both points, and is computed.
        (_constant, 3.0, False),
        (_repeating(_constant), 3.0, False),
        (_repeating(_square), 3.0, True),
        # Both points have the square 4.
        (_repeating(_square), -2.0, False),
        # Nobody asked for the other point, which is outside the domain.
        (_reciprocal, 0.0, False),
    ],
)
def test_a_repeated_result_is_told_from_an_equal_one(
    run: Callable[[float], float], elsewhere: float, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", PAUSES)
    first = run(2.0)
    timed = Timed(run, (2.0,), lambda out: out)

    def same(out: Any) -> bool:
        return bool(out == first)

    assert repeats(timed, (elsewhere,), lambda out: out, same, 20) is found


@pytest.mark.parametrize(
    ("on_new_inputs", "found"),
    [
        ([0.001], False),
        # The first new inputs are still on their way into memory; the next ones take as long as those seen before.
        ([0.5, 0.001], False),
        ([0.5, 0.5, 0.001], False),
        ([0.5, 0.5, 0.5], True),
        # Two seconds of waiting are enough.
        ([3.0], True),
    ],
)
def test_memory_of_inputs_is_suspected_where_all_new_ones_are_slow(
    on_new_inputs: list[float], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    durations = iter([0.001, 0.001, 0.001, *on_new_inputs])
    monkeypatch.setattr(suspicion, "_seconds", lambda _: next(durations))
    timed = Timed(_square, [2.0], lambda result: result)
    assert remembers(timed, lambda count: [[2.0]] * count, 2, 2) is found
    assert list(durations) == []
