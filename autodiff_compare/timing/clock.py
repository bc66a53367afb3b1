"""The clock: blocks of calls, calibrated, warmed up, taken in visits with garbage collection off.

Runs inside a worker. What is inside the timed region: ``calls`` calls of the bare prepared callable
and one completion barrier on the last result. Nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A block of calls lasts at least this long, so that the clock's own cost and resolution vanish.
BLOCK_S = 1e-3
#: Warming up ends when the last three blocks agree within this ratio, or after this time.
WARM_AGREEMENT, WARM_S = 0.10, 0.5
#: How `peak_memory_growth` measures, in a word for its column.
HIGH_WATER_MARK = "VmHWM"
#: A round in which more of a visit's time than this is spent waiting for a processor is contended.
CONTENDED = 0.05
#: A cell in which more of the rounds are contended is flagged. Medians and order-statistic intervals hardly feel fewer:
#: nothing is claimed unless more than half of the rounds say so.
CONTENDED_ROUNDS = 0.25
#: A visit: one block discarded, then up to so many blocks within so many seconds.
BLOCKS, VISIT_S = 7, 0.5


@dataclass(frozen=True)
class Timed:
    """A prepared callable with the arguments it is timed on and the barrier that ends a block."""

    run: Callable[..., Any]
    args: Sequence[Any]
    barrier: Callable[[Any], Any]

    def block(self, calls: int) -> float:
        """Seconds for so many calls and the completion of the last."""
        run, args, out = self.run, self.args, None
        start = time.perf_counter()
        for _ in range(calls):
            out = run(*args)
        self.barrier(out)
        return time.perf_counter() - start


def calibrate(timed: Timed) -> int:
    """Calls per block: doubled until a block takes `BLOCK_S`, and one more; then warm up until blocks agree.

    One block alone may have taken so long because another process ran meanwhile. Blocks agree that do so in seconds or
    in the processor time of this process: what others do to the seconds does not pass with warming up.
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
    return calls


def _block(timed: Timed, calls: int) -> tuple[float, float]:
    """Seconds of a block, and those of processor time."""
    before = time.process_time()
    return timed.block(calls), time.process_time() - before


def _agree(times: Sequence[float]) -> bool:
    return 0 < max(times) <= (1 + WARM_AGREEMENT) * min(times)


def visit(timed: Timed, calls: int) -> list[float]:
    """Seconds of each block of one visit; garbage is collected before and not during it."""
    gc.collect()
    gc.disable()
    try:
        timed.block(calls)
        blocks: list[float] = []
        until = time.perf_counter() + VISIT_S
        while len(blocks) < BLOCKS and (not blocks or time.perf_counter() < until):
            blocks.append(timed.block(calls))
        return blocks
    finally:
        gc.enable()


def work(units: int) -> float:
    """So many equal pieces of work of some microseconds: what the clock is tried on."""
    x = np.linspace(0.0, 1.0, 200)
    for _ in range(units):
        x = np.sin(x) + 0.5
    return float(x[0])


@dataclass(frozen=True)
class Spent:
    """Where the time of this process has gone.

    Parameters
    ----------
    wall_s, cpu_s, queue_s
        Seconds, seconds of processor time of all its threads, and seconds the first thread was able to run and did not.
    """

    wall_s: float
    cpu_s: float
    queue_s: float

    @classmethod
    def so_far(cls) -> Spent:
        """Now; the difference of two of them is about the time between."""
        return cls(time.perf_counter(), time.process_time(), queue_delay_s())

    def __sub__(self, before: Spent) -> Spent:
        return Spent(self.wall_s - before.wall_s, self.cpu_s - before.cpu_s, self.queue_s - before.queue_s)

    @property
    def for_others_s(self) -> float:
        """Seconds of waiting while other processes ran.

        A thread also waits for those of its own process: in a comparison on one processor for over 5 % of the time
        in 121 of 121 cells of TensorFlow, and in none of NumPy. The share of the processors that no thread of this
        process had bounds what others can have had.
        """
        return max(min(self.queue_s, _processors() * self.wall_s - self.cpu_s), 0.0)


def _processors() -> float:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else math.inf


def queue_delay_s() -> float:
    """Seconds this process has waited for a processor so far (Linux; elsewhere 0)."""
    try:
        return int(pathlib.Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0


def peak_memory_growth(call: Callable[[], Any]) -> int | None:
    """Bytes by which the resident high-water mark rises during one call, or `None` where it cannot be reset.

    ``ru_maxrss`` would not do: in a child it starts at the parent's size.
    """
    try:
        _return_freed_memory()
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _status_bytes("VmHWM")
        call()
        return max(_status_bytes("VmHWM") - before, 0)
    except (OSError, KeyError):
        return None


def _return_freed_memory() -> None:
    """Give what the allocator keeps back to the system (glibc), or the call would fit into what earlier ones freed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _status_bytes(key: str) -> int:
    lines = pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields[key].split()[0]) * 1024
