"""The clock inside a worker: blocks of calls, their calibration, visits of a round, contention and peak memory.

The timed region of a block holds ``calls`` calls of the prepared callable and one completion barrier on the last
result, and nothing else. The barrier belongs inside: a framework that computes asynchronously returns before it is
done. A harness that forgot it reported 0.18 ms for a JAX gradient that takes 2162 ms.

A visit takes several blocks of one cell. Garbage is collected before a visit and not during it: a Python tape is 17 %
slower with collection on, and a collection falls into some blocks and not into others.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import itertools
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

#: Shortest duration of a block in seconds: the cost and the resolution of reading the time are negligible beside it.
BLOCK_S = 1e-3
#: The warm-up ends when the last three blocks agree within this ratio, or after this number of seconds.
WARM_AGREEMENT, WARM_S = 0.10, 0.5
#: Name of the method of `peak_memory_growth` in the column ``memory_method``.
HIGH_WATER_MARK = "VmHWM"
#: A cell is flagged ``contended`` if more than this part of its rounds is. Fewer hardly change a median or an
#: order-statistic interval: a claim needs the agreement of more than half of the rounds.
CONTENDED_ROUNDS = 0.25
#: A visit makes one block that is not timed, then takes at most this number of blocks within this number of seconds.
BLOCKS, VISIT_S = 7, 0.5
#: Blocks of the value in the visit of a derivative, at most, and seconds after which no further one begins.
VALUE_BLOCKS, VALUE_S = 3, 0.1
#: Longest duration of a block that is stretched to that of a slower callable, in seconds.
LONGEST_BLOCK_S = 0.01
#: More bytes than the three numbers of the scheduler's statistics have.
_STATISTICS_BYTES = 100
#: Folder of the threads of this process (Linux).
_THREADS = "/proc/self/task"
#: Seconds for finding how long an undisturbed call takes.
_UNDISTURBED_S = 0.03
#: Seconds of processor time in a visit for comparing the results of an untimed block with the first one; some hundred
#: small ones.
CHECK_S = 2e-3


@dataclass(frozen=True)
class Timed:
    """A prepared callable, the arguments on which it is timed, and the completion barrier that ends a block.

    Parameters
    ----------
    run
        The prepared callable.
    args
        Its arguments, in the framework's own type.
    barrier
        Returns its argument, a result of ``run``, once the computation has finished.
    others
        Equal copies of ``args``. Calls take them in turn, so that what a framework remembers of an input is not timed.
    """

    run: Callable[..., Any]
    args: Sequence[Any]
    barrier: Callable[[Any], Any]
    others: Sequence[Sequence[Any]] = ()

    def block(self, calls: int) -> float:
        """Return the seconds of ``calls`` calls and of the completion of the last one."""
        return self.finished(calls)[0]

    def finished(self, calls: int) -> tuple[float, Any]:
        """Return the seconds of ``calls`` calls and of the completion of the last one, and its result."""
        run, out, turns = self.run, None, self._turns(calls)
        start = time.perf_counter()
        for args in turns:
            out = run(*args)
        self.barrier(out)
        return time.perf_counter() - start, out

    def results(self, calls: int) -> list[Any]:
        """Return the results of ``calls`` calls, each completed."""
        return [self.barrier(self.run(*args)) for args in self._turns(calls)]

    def _turns(self, calls: int) -> Iterator[Sequence[Any]]:
        return itertools.islice(itertools.cycle((self.args, *self.others)), calls)


class Check(Protocol):
    """A look at results while they are timed, outside the clock."""

    def __call__(self, out: Any) -> None:
        """Look at a result."""

    def most(self, calls: int) -> int:
        """Return how many of ``calls`` results may be kept at the same time."""


@dataclass(frozen=True)
class Calibration:
    """The calls of a block of a callable, and the seconds of a call while it is not disturbed."""

    calls: int
    per_call_s: float


def calibrate(timed: Timed) -> Calibration:
    """Warm a callable up; return the calls of a block, and the seconds of a call.

    The number of calls is doubled until two blocks in a row last `BLOCK_S`: a single one may have lasted that long only
    because another process ran meanwhile. Then blocks are repeated until the last three agree within `WARM_AGREEMENT`,
    either in seconds or in processor time of this process. Processor time is enough, because disturbance by other
    processes does not pass with warming up. Where seconds agree, the fastest of these blocks tells the seconds of a
    call; else more blocks are taken, for one that was not disturbed.
    """
    calls, recent = 1, [(0.0, 0.0)]
    while recent[-1][0] < BLOCK_S:
        while timed.block(calls) < BLOCK_S:
            calls *= 2
        until = time.perf_counter() + WARM_S
        recent = [_block(timed, calls)]
        if recent[-1][0] < BLOCK_S:
            calls *= 2
    while time.perf_counter() < until:
        recent = [*recent[-2:], _block(timed, calls)]
        if len(recent) == 3 and any(map(_agree, zip(*recent, strict=True))):
            break
    steady = len(recent) == 3 and _agree([seconds for seconds, _ in recent])
    per_call_s = min(seconds for seconds, _ in recent) / calls if steady else undisturbed(timed, calls)
    return Calibration(calls, per_call_s)


def equal_blocks(per_call_s: Sequence[float]) -> list[int]:
    """Return the calls of a block of each of several callables, so that their blocks last equally long.

    A block of another length has another chance of meeting another process. Blocks last as long as the slowest call,
    at least `BLOCK_S` and at most `LONGEST_BLOCK_S`; a call that takes longer is a block of its own.

    Parameters
    ----------
    per_call_s
        Seconds of a call of each callable, undisturbed.
    """
    target = min(max([BLOCK_S, *per_call_s]), LONGEST_BLOCK_S)
    return [max(round(target / seconds), 1) for seconds in per_call_s]


def undisturbed(timed: Timed, calls: int) -> float:
    """Return the seconds of a call in the fastest of a few blocks."""
    found, until = [timed.block(calls)], time.perf_counter() + _UNDISTURBED_S
    while len(found) < BLOCKS and time.perf_counter() < until:
        found.append(timed.block(calls))
    return min(found) / calls


def _block(timed: Timed, calls: int) -> tuple[float, float]:
    """Return the seconds of a block and its processor time."""
    before = time.process_time()
    return timed.block(calls), time.process_time() - before


def _agree(times: Sequence[float]) -> bool:
    return 0 < max(times) <= (1 + WARM_AGREEMENT) * min(times)


@dataclass(frozen=True)
class Block:
    """A timed block: its seconds, and those of them in which another process had the processor."""

    seconds: float
    waited_s: float


def visit(timed: Timed, calls: int, check: Check | None = None) -> list[Block]:
    """Make one visit: return its blocks.

    Parameters
    ----------
    timed
        The callable with its arguments.
    calls
        Calls of a block.
    check
        Looks at results outside the clock: at those of the first block, which is not timed, as far as `CHECK_S`
        allows, and at the last of each timed block.
    """
    gc.collect()
    with uncollected():
        if check is None:
            timed.block(calls)
        else:
            _look(check, timed.results(check.most(calls)))
        return _blocks(timed, calls, BLOCKS, VISIT_S, check)


def beside(timed: Timed, calls: int) -> list[Block]:
    """Return a few blocks of the value of a derivative, taken after the derivative's visit.

    None is discarded and no garbage is collected before: the median of three blocks bears a first one with cold caches.
    """
    with uncollected():
        return _blocks(timed, calls, VALUE_BLOCKS, VALUE_S, None)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python from collecting garbage within the context; afterwards it does so if it did before."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _blocks(timed: Timed, calls: int, most: int, within_s: float, check: Check | None) -> list[Block]:
    """Time up to ``most`` blocks, at least one; none begins after ``within_s`` seconds."""
    blocks: list[Block] = []
    until = time.perf_counter() + within_s
    while len(blocks) < most and (not blocks or time.perf_counter() < until):
        before = Elapsed.now()
        seconds, out = timed.finished(calls)
        blocks.append(Block(seconds, (Elapsed.now() - before).contention_s))
        if check is not None:
            check(out)
        # Kept, the result would hold memory that the next block's first call can use.
        del out
    return blocks


def _look(check: Check, results: Sequence[Any]) -> None:
    # Processor time: beside other programs as many results are compared as on an idle machine.
    until = time.thread_time() + CHECK_S
    for out in results:
        check(out)
        if time.thread_time() > until:
            break


def synthetic_work(units: int) -> float:
    """Do ``units`` equal amounts of work of some microseconds each, for trials of the clock."""
    x = np.linspace(0.0, 1.0, 200)
    for _ in range(units):
        x = np.sin(x) + 0.5
    return float(x[0])


@dataclass(frozen=True)
class Elapsed:
    """Time that this process has spent: on the clock, on its processors, and waiting for one.

    Parameters
    ----------
    wall_s
        Seconds of the clock.
    cpu_s
        Seconds of processor time, summed over the threads.
    queue_s
        Seconds that the main thread was ready to run and waited for a processor.
    """

    wall_s: float
    cpu_s: float
    queue_s: float

    @classmethod
    def now(cls) -> Elapsed:
        """Return the times up to now; the difference of two such readings describes the time between them."""
        return cls(time.perf_counter(), time.process_time(), queue_delay_s())

    def __sub__(self, before: Elapsed) -> Elapsed:
        return Elapsed(self.wall_s - before.wall_s, self.cpu_s - before.cpu_s, self.queue_s - before.queue_s)

    @property
    def contention_s(self) -> float:
        """Seconds of waiting for a processor that another process had.

        ``queue_s`` alone is too much, because a thread also waits for other threads of its own process. On one
        processor that took over 5 % of the time in 121 of 121 cells of TensorFlow, and in none of NumPy. With P
        processors, other processes can have had at most ``P wall_s - cpu_s``: the processor time that no thread of this
        process used. The smaller of the two is returned, 0 where the clocks' different resolution makes it negative.
        """
        return max(min(self.queue_s, _processors() * self.wall_s - self.cpu_s), 0.0)


def _processors() -> float:
    """Return the number of processors that this process may use; infinity where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else math.inf


def queue_delay_s() -> float:
    """Return the seconds for which this process has waited for a processor so far (Linux; elsewhere 0)."""
    try:
        return int(os.pread(_scheduler_statistics(), _STATISTICS_BYTES, 0).split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0


def queue_delays_s() -> float | None:
    """Return the seconds for which all threads of this process have waited for a processor so far, in sum.

    Returns
    -------
    float or None
        `None` where the system does not tell (only Linux does).
    """
    try:
        threads = os.listdir(_THREADS)
    except OSError:
        return None
    # Not by pathlib: JAX and TensorFlow have twenty threads, and each duration that is judged reads them twice.
    found = [_queue_delay_s(f"{_THREADS}/{thread}/schedstat") for thread in threads]
    waited = [seconds for seconds in found if seconds is not None]
    return sum(waited) if waited else None


def _queue_delay_s(path: str) -> float | None:
    """Return the seconds in a thread's statistics; `None` if it has ended meanwhile."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return int(os.read(file, _STATISTICS_BYTES).split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return None
    finally:
        os.close(file)


@functools.cache
def _scheduler_statistics() -> int:
    """Return the open file of the main thread's statistics: each block reads it twice, and opening it is dear.

    Raises
    ------
    OSError
        If the system has no such file.
    """
    return os.open("/proc/self/schedstat", os.O_RDONLY)


def peak_memory_growth(call: Callable[[], Any]) -> int | None:
    """Return the bytes by which the high-water mark of resident memory rises during one call.

    Writing 5 to ``/proc/self/clear_refs`` resets the mark to the current size (Linux, ``man 5 proc``). ``ru_maxrss``
    does not serve: it cannot be reset, and in a child it starts at the parent's size.

    Returns
    -------
    int or None
        `None` where the mark cannot be reset.
    """
    try:
        _return_freed_memory()
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _high_water_bytes()
        call()
        return max(_high_water_bytes() - before, 0)
    except (OSError, KeyError):
        return None


def _return_freed_memory() -> None:
    """Return the allocator's free memory to the system (glibc): a call that fits into it would not raise the mark."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _high_water_bytes() -> int:
    lines = pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmHWM"].split()[0]) * 1024
