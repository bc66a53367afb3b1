"""How exactly Linux counts resident memory: in batches on each processor, which are added up when they are full."""

from __future__ import annotations

import os

#: So many pages a processor may hold back of each count: 64 before Linux 6.2, ``max(32, 2 * processors)`` since
#: (``percpu_counter_batch``).
_BATCH = max(64, 2 * (os.cpu_count() or 1))


def counting_error() -> int:
    """Return the bytes by which a process on one processor is miscounted: a batch each of its own and of files' pages.

    A process that moves between processors leaves a batch on each of them.
    """
    return 2 * _BATCH * os.sysconf("SC_PAGE_SIZE")
