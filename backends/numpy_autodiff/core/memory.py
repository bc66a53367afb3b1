"""Reuse of freed memory, which decides the speed of gradients on large arrays, and pauses of the garbage collector."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import numpy as np

#: The GNU C library's largest threshold is 32 MiB; an array must be a little smaller to count.
_BYTES = 31 << 20


def keep_freed_memory() -> None:
    """Let the C library keep freed arrays of up to 31 MiB for reuse, for the rest of this process.

    A backward sweep frees its arrays all at once. The GNU allocator then returns them to the system, and the next
    forward pass takes a page fault for every page: 220 faults and 350 of 430 us for Rosenbrock's function on
    10 000 numbers. That allocator adapts: once it has freed one large block, it keeps blocks up to that size
    (mallopt(3), ``M_MMAP_THRESHOLD``, dynamic adjustment). The block freed here is never touched and costs nothing.
    Other allocators ignore it. It is a setting of the whole process, so a program should call it, not a library.
    """
    np.empty(_BYTES, np.int8)


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's cyclic garbage collector within the block.

    A long recording makes hundreds of thousands of objects that all live until it ends. The collector visits them again
    and again in vain, for two fifths of the time. It is left as it was: a caller who has disabled it keeps it so.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
