"""Tests of whether the clock sees the whole computation: lazy results, and results remembered by the input's identity.

A lazy framework computes when a result is read, after the clock has stopped. A framework that remembers results by the
identity or the value of the input computes nothing when the same input comes again. Both are found by timing the same
calls in another way: with the reading inside the clock, and on new inputs nearby. A framework may also repeat its last
result by the pace of calls, by who calls it or while no garbage is collected; it is found at another point.

A result may be computed elsewhere, on a device or in another process, while this process waits for it. Time in which it
waits for anything but a processor therefore counts as well as its processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from autodiff_compare.timing.clock import Timed, queue_delays_s, uncollected

#: The other way must take this many times as long. Reading and new inputs cost time of their own: cold caches make
#: large inputs twice as slow.
_FACTOR = 4.0
#: Allowance for reading: seconds for each array (2 to 15 us were measured), and bytes copied in a second.
_READ_S, _READ_BYTES_S = 2e-5, 5e8
#: Calls that are timed in one way, at most, and seconds after which no further repetition begins.
_CALLS, _PATIENCE_S = 64, 0.02
#: The same for a suspicion, which rests on every repetition being slow.
_SUSPICION_S = 2.0
#: New inputs, at most: a framework takes 0.1 ms to make one.
_COPIES = 16
_REPETITIONS = 3
#: Pause after which a backend that goes by the pace of its calls computes again, in seconds.
_PAUSE_S = 0.02


def lazy(timed: Timed, read: Callable[[Any], object], calls: int, leaves: int, size: int) -> bool:
    """Return whether reading the results takes so long that they were not computed before.

    Parameters
    ----------
    timed
        The callable with its arguments.
    read
        Copies a result into NumPy arrays.
    calls
        Calls of a block.
    leaves, size
        Number of arrays in a result, and their bytes.
    """
    calls = min(calls, _CALLS)

    def with_reading() -> None:
        for _ in range(calls):
            read(timed.run(*timed.args))

    plain = _fastest(lambda: timed.block(calls))
    return _always_above(_FACTOR * plain + calls * (leaves * _READ_S + size / _READ_BYTES_S), with_reading)


def remembers(timed: Timed, copies: Callable[[int], Sequence[Sequence[Any]]], calls: int, most: int) -> bool:
    """Return whether calls on inputs that were seen before are much faster than on new ones.

    Parameters
    ----------
    timed
        The callable with its arguments.
    copies
        Returns a number of new arguments, equal to the first ones or nearly so.
    calls
        Calls of a block.
    most
        The largest number of copies that fit into a cache.
    """
    calls = max(min(calls, _COPIES, most), 2)

    made: list[Sequence[Sequence[Any]]] = []

    def on_new_inputs() -> None:
        first, *others = made.pop()
        Timed(timed.run, first, timed.barrier, others).block(calls)

    again = _fastest(lambda: Timed(timed.run, timed.args, timed.barrier).block(calls))
    try:
        return _always_above(_FACTOR * again + calls * 1e-6, on_new_inputs, lambda: made.append(copies(calls)))
    except Exception:  # a backend may fail at a point that nobody asked for
        return False


def repeats(
    timed: Timed,
    elsewhere: Sequence[Any],
    read: Callable[[Any], Any],
    same: Callable[[Any], bool],
    calls: int,
) -> bool:
    """Return whether a timed call at another point returns the result of the calls before it.

    A function may have the same derivative at both points, as a linear one has. So a result that is the same is held
    against that of a call after a pause, which is not timed.

    Parameters
    ----------
    timed
        The callable with its arguments.
    elsewhere
        Arguments at another point.
    read, same
        Copies a result into NumPy arrays; returns whether those have the bits of the first result.
    calls
        Calls at the same pace before that one.
    """
    there = Timed(timed.run, elsewhere, timed.barrier)
    try:
        with uncollected():
            for _ in range(min(calls, _CALLS) - 1):
                timed.run(*timed.args)
            found = read(there.finished(1)[1])
        if not same(found):
            return False
        time.sleep(_PAUSE_S)
        (own,) = there.results(1)
        return not same(read(own))
    except Exception:  # a backend may fail at a point that nobody asked for
        return False


def _always_above(limit: float, work: Callable[[], object], before: Callable[[], object] = lambda: None) -> bool:
    """Return whether the smallest of a few durations is above a limit; the first one below it decides."""
    spent = 0.0
    for _ in range(_REPETITIONS):
        before()
        found = _seconds(work)
        if found <= limit:
            return False
        spent += found
        # One duration proves nothing: new inputs of many megabytes may still be on their way into memory.
        if spent >= _SUSPICION_S:
            break
    return True


def _fastest(work: Callable[[], object]) -> float:
    """Return the smallest of a few durations; one repetition is enough for a slow one."""
    found: list[float] = []
    while len(found) < _REPETITIONS and sum(found) < _PATIENCE_S:
        found.append(_seconds(work))
    return min(found)


def _seconds(work: Callable[[], object]) -> float:
    """Return the seconds of some work, without those in which another program had the processor.

    Other programs would make any call look lazy. At each moment some thread of this process runs, or waits for a
    processor, or none does. The seconds on the clock less the seconds of waiting for a processor, summed over the
    threads, are therefore no more than those of running and of waiting for something else.
    """
    queued, start, cpu = queue_delays_s(), time.perf_counter(), time.process_time()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - start
    after = queue_delays_s()
    return cpu if queued is None or after is None else max(cpu, wall - (after - queued))
