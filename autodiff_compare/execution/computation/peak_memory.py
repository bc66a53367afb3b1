"""The peak memory of a call, by the framework's own counter where it has one."""

from __future__ import annotations

from typing import Any

from autodiff_compare.backends import Backend
from autodiff_compare.timing import clock


def peak_memory(backend: Backend, timed: clock.Timed) -> dict[str, Any]:
    """Return the growth of peak memory in one untimed call, and the method.

    A framework that keeps freed memory has a counter of its own. Where that is not available, the high-water mark is
    read.
    """
    own = backend.memory_counter

    def call() -> None:
        timed.barrier(timed.run(*timed.args))

    peak = backend.peak_bytes(call) if own else None
    if peak is not None:
        return {"peak_bytes": peak, "memory_method": own}
    peak = clock.peak_memory_growth(call)
    return {"peak_bytes": peak, "memory_method": "" if peak is None else clock.HIGH_WATER_MARK}
