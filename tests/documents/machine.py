"""What this machine can do on one thread: ``OPENBLAS_NUM_THREADS=1 python -m tests.documents.machine``.

Printed as JSON: floating-point operations a second of a matrix product, seconds of one operation that waits for the
last, and bytes a second moved within working sets of several sizes. Each is the best of several trials.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

#: Working sets in bytes: within the caches of a core, within those shared by cores, in memory.
SETS = (2**14, 2**16, 2**18, 2**20, 2**22, 2**24, 2**27)
_TRIALS, _MATRIX, _OPERATIONS = 15, 512, 16384


def _fastest(f: Callable[[], Any]) -> float:
    found = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        f()
        found.append(time.perf_counter() - start)
    return min(found)


def peak_flops() -> float:
    """Return the floating-point operations a second of a product of two matrices, 2 n^3 operations."""
    a = np.ones((_MATRIX, _MATRIX))
    return 2 * _MATRIX**3 / _fastest(lambda: a.dot(a))


def latency() -> float:
    """Return the seconds from one operation to the next that needs its result: those of a product of many numbers.

    It stays in a register, and NumPy multiplies in order. A sum is added up in several parts at once, and a running sum
    goes through memory at each step, which takes three times as long.
    """
    x = np.ones(_OPERATIONS)
    return _fastest(lambda: np.multiply.reduce(x)) / _OPERATIONS


def bandwidth(size: int) -> float:
    """Return the bytes a second that are read and written within a working set.

    One call copies the same half of the set to the other half again and again: a single copy of a small set is mostly
    the overhead of the call. Pages of zeros that were never written would not be read from memory.
    """
    n = size // 16
    times = max(1, 2**22 // size)
    source, target = np.ones(n), np.ones(n)
    again = np.lib.stride_tricks.as_strided(target, (times, n), (0, 8))
    return times * size / _fastest(lambda: np.copyto(again, source))


def measured() -> dict[str, Any]:
    """Return all figures."""
    # What a larger set allows, a smaller one does; copies of a small one take more time to start.
    speeds = list(itertools.accumulate(map(bandwidth, reversed(SETS)), max))
    moved = {str(size): speed for size, speed in zip(SETS, reversed(speeds), strict=True)}
    return {"flops": peak_flops(), "latency": latency(), "bandwidth": moved}


if __name__ == "__main__":
    print(json.dumps(measured()))
