"""Processes that tests follow: whether one lives, whose child it is, waiting for either, and signals to it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any


def children(pid: int) -> list[int]:
    """Return the processes that the threads of ``pid`` started (Linux)."""
    found = (path.read_text() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(word) for text in found for word in text.split()]


def lives(pid: int) -> bool:
    """Return whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return not pathlib.Path("/proc/self/stat").exists()


def until(condition: Callable[[], object], seconds: float = 600.0) -> None:
    """Wait until a condition holds, which takes a moment; the time limit only ends a test that fails."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "expected it to happen by now"
        time.sleep(0.05)


@contextlib.contextmanager
def heard(number: signal.Signals, handler: Any = signal.SIG_DFL) -> Iterator[None]:
    """Let this process, and those that it starts, hear a signal, which a script or ``nohup`` may let them ignore."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
