"""Busy processes, for trials of the clock under load."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

#: Computes until its parent, whose id is its argument, has ended: a killed trial leaves nothing behind.
_BUSY = """
import os, sys, time
while os.getppid() == int(sys.argv[1]):
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        pass
"""


@contextlib.contextmanager
def busy(processes: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep some processes busy during a ``with`` block, each bound to one processor, in turn."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    started: list[subprocess.Popen[bytes]] = []
    try:
        for i in range(processes):
            started.append(subprocess.Popen([sys.executable, "-c", _BUSY, str(os.getpid())]))
            if allowed:
                os.sched_setaffinity(started[-1].pid, {allowed[i % len(allowed)]})
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
