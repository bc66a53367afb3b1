"""Interruptions of this process: signals that end a run as Ctrl-C does, and work that they must not cut in two.

The system may give a signal to any thread, as it does when a stopped process goes on. Python handles it in the main
thread, which does not notice as long as it waits for a lock: `taken` and `result_of` look for signals while they wait.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TypeVar

_T = TypeVar("_T")

#: Signals that end a run: Ctrl-C, `kill`, and a terminal that is closed.
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: Seconds between two looks at whether a signal has come.
_LOOK_S = 0.2


def end_alike() -> None:
    """Let each signal that ends a run raise `KeyboardInterrupt`, so that finished cells are written.

    A signal that the caller ignores stays ignored, as ``nohup`` asks for.
    """
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the first interruption wait until a short ``with`` block has ended; a second one ends the block.

    Signals reach the main thread only: other threads are not interrupted anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in _ENDING if callable(handler := signal.getsignal(number))}
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        if waiting:
            handlers[number](number, frame)
        waiting.append(number)

    try:
        for number in handlers:
            signal.signal(number, wait)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            handlers[waiting[0]](waiting[0], None)


def changes_context(frame: FrameType | None) -> bool:
    """Return whether a signal has come while a context is entered or left, where an exception leaves that half done.

    Parameters
    ----------
    frame
        What the handler of the signal got.
    """
    return frame is not None and frame.f_code.co_filename == contextlib.__file__


def taken(waiting: queue.SimpleQueue[_T]) -> _T:
    """Wait for the next item of a queue and return it; an interruption ends the wait."""
    while True:
        with contextlib.suppress(queue.Empty):
            return waiting.get(timeout=_LOOK_S)


def result_of(future: concurrent.futures.Future[_T]) -> _T:
    """Wait for the result of a future and return it; an interruption ends the wait."""
    while not future.done():
        concurrent.futures.wait([future], _LOOK_S)
    return future.result()
