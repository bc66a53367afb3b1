"""A time limit for what this process computes itself: the plain NumPy evaluations of the plan and of the judge."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from autodiff_compare.process.interruption import changes_context

#: Seconds from one signal to the next. Python drops an exception that is raised in a destructor or a weak reference's
#: callback, as imports have them: the code would then go on without end.
_AGAIN_S = 1.0


class TimeLimitExceeded(BaseException):
    """Raised in the code under the limit.

    It is no `Exception`: the judge tries several references in turn, and would take it for the failure of one.
    """


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the code of a ``with`` block after some seconds of wall time by `TimeLimitExceeded`.

    A timer's signal interrupts Python code between two instructions; a call into a library ends first. Signals reach
    the main thread only: in other threads, and on systems without interval timers, there is no limit.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    over = False

    def end(_number: int, frame: FrameType | None) -> None:
        # Raised while the context is entered or left, it would leave the timer on, whose next signal ends other code.
        if not over and not changes_context(frame):
            raise TimeLimitExceeded

    before = signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
