"""The processors that a worker is bound to, and the threads that it really uses.

While cells are timed, all workers are bound to the same processors, so that no backend has a better one than another.
Workers that import their frameworks, or prepare cells, side by side would share these processors and gain nothing.
Meanwhile each is therefore bound to a share of its own, of the same number of processors: a framework counts them when
it is imported. Before anything is timed, all its threads are bound to the common processors again. A thread keeps the
binding of the thread that started it, and the pools of a framework have been started by then.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

#: A worker is flagged ``threads`` if its CPU time over wall time exceeds this factor times the requested threads.
THREADS_TOLERANCE = 1.15
#: The folder with an entry for each thread of this process.
_TASKS = pathlib.Path("/proc/self/task")
#: The folder with an entry for each processor of the machine.
_PROCESSORS = pathlib.Path("/sys/devices/system/cpu")


def processors() -> list[int]:
    """Return the processors that this process may use, in ascending order; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def described(allowed: Sequence[int], every: int | None, folder: pathlib.Path = _PROCESSORS) -> str:
    """Describe processors by what their speed depends on: ``4 at 4.2 GHz of 8, on 2 cores``; empty if there are none.

    Their numbers are left out: a scheduler gives each job others, which are as fast. The number of cores tells whether
    some of them share one (simultaneous multithreading), and the highest clock rate tells fast cores from economical
    ones.

    Parameters
    ----------
    allowed
        Numbers of the processors.
    every
        Number of all processors of the machine.
    folder
        The system's description of its processors.
    """
    cores = {told(folder / f"cpu{n}" / "topology" / "thread_siblings_list") or str(n) for n in allowed}
    rates = Counter(told(folder / f"cpu{n}" / "cpufreq" / "cpuinfo_max_freq").strip() for n in allowed)
    kinds = ", ".join(
        f"{count} at {int(rate) / 1e6:.4g} GHz" if rate.isdecimal() else str(count)
        for rate, count in sorted(rates.items(), key=lambda kind: (kind[0].rjust(12), kind[1]), reverse=True)
    )
    of = f" of {every}" if every else ""
    return f"{kinds}{of}, on {len(cores)} core{'s' if len(cores) > 1 else ''}" if allowed else ""


def told(path: pathlib.Path) -> str:
    """Return the text of a file of the system; empty where there is none, or it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def limit_affinity(threads: int) -> None:
    """Bind this process to ``threads`` processors; do nothing where the system cannot."""
    bind(processors()[:threads])


def shares(allowed: Sequence[int], threads: int) -> list[list[int]]:
    """Return as many disjoint shares of ``threads`` processors as there are; all processors where they are too few."""
    whole = len(allowed) // threads
    return [list(allowed[i * threads : (i + 1) * threads]) for i in range(whole)] or [list(allowed)]


def bind(chosen: Collection[int]) -> None:
    """Bind every thread of this process to the chosen processors; do nothing if none is chosen."""
    if not chosen or not hasattr(os, "sched_setaffinity"):
        return
    # The calling thread comes first: what it starts from now on is bound as well.
    os.sched_setaffinity(0, chosen)
    done: set[str] = set()
    while new := _threads() - done:
        for thread in new:
            # A thread may have ended meanwhile.
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), chosen)
        done |= new


def rebind(chosen: Collection[int]) -> None:
    """Bind every thread of this process to other processors; do nothing if the calling thread is bound to them."""
    if chosen and processors() != sorted(chosen):
        bind(chosen)


def effective_threads(work: Callable[[], object], seconds: float = 0.05) -> float:
    """Return CPU time over wall time of this process while it repeats ``work``; 1.0 is one thread."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        work()
    return (time.process_time() - cpu) / (time.perf_counter() - wall)


def active_threads(work: Callable[[], object], seconds: float = 0.05) -> int | None:
    """Count the threads that are busy while this process repeats ``work``.

    They have a tenth or more of the processor time of the busiest one. Where other processes want the processor, none
    of them may have a tenth of the time on the clock.

    Returns
    -------
    int or None
        `None` where the system does not report the CPU time of threads (only Linux does).
    """
    before, wall = _thread_seconds(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        work()
    after = _thread_seconds()
    spent = [after[thread] - before.get(thread, 0.0) for thread in after]
    return sum(own > 0.1 * max(spent) for own in spent) if after else None


def _threads() -> set[str]:
    """Return the ids of the threads of this process; none where the system does not tell."""
    return {path.name for path in _TASKS.iterdir()} if _TASKS.is_dir() else set()


def _thread_seconds() -> dict[str, float]:
    """Return the CPU seconds of each thread of this process so far; empty where the system does not report them."""
    found = {}
    for thread in _threads():
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = (_TASKS / thread / "schedstat").read_text(encoding="ascii")
            found[thread] = int(text.split()[0]) * 1e-9
    return found
