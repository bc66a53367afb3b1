"""Calls at another point: a result that is repeated there instead of computed is found."""

from __future__ import annotations

import gc
import itertools
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


def _repeating_while_timed(f: Callable[[float], float]) -> Callable[[float], float]:
    """Return a function that repeats its last result while Python collects no garbage, as in timed blocks."""
    last: list[float] = []

    def run(x: float) -> float:
        if gc.isenabled() or not last:
            last[:] = [f(x)]
        return last[0]

    return run


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
        (_repeating_while_timed(_square), 3.0, True),
        (_repeating_while_timed(_constant), 3.0, False),
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


def test_a_failure_on_new_inputs_is_no_suspicion() -> None:
    timed = Timed(_reciprocal, [2.0], lambda result: result)
    assert not remembers(timed, lambda count: [[0.0]] * count, 2, 2)


#: Seconds on the clock, of processor time, and of waiting for a processor, during some work -> those that count.
SECONDS = [
    ((4.0, 4.0, 0.0), 4.0),
    # Another program had the processor.
    ((4.0, 1.0, 3.0), 1.0),
    # A device or another process computed meanwhile, beside other programs or not.
    ((4.0, 0.0, 0.0), 4.0),
    ((4.0, 0.5, 1.5), 2.5),
    # Two threads waited at the same time, or computed.
    ((4.0, 1.0, 6.0), 1.0),
    ((4.0, 8.0, 0.0), 8.0),
]


@pytest.mark.parametrize(("spent", "counted"), SECONDS)
def test_waiting_for_anything_but_a_processor_counts(
    spent: tuple[float, float, float], counted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, cpu, queued = (itertools.chain([10.0], itertools.repeat(10.0 + s)) for s in spent)
    monkeypatch.setattr(time, "perf_counter", lambda: next(wall))
    monkeypatch.setattr(time, "process_time", lambda: next(cpu))
    monkeypatch.setattr(suspicion, "queue_delays_s", lambda: next(queued))
    assert suspicion._seconds(lambda: None) == counted


def test_processor_time_alone_counts_where_the_system_does_not_tell_of_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = iter([1.0, 1.5])
    monkeypatch.setattr(time, "process_time", lambda: next(cpu))
    monkeypatch.setattr(suspicion, "queue_delays_s", lambda: None)
    assert suspicion._seconds(lambda: None) == 0.5
