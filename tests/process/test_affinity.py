"""Processors of a worker: shares for imports side by side, and a binding that reaches every thread."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

import pytest

from autodiff_compare.process.affinity import shares

CAN_BIND = hasattr(os, "sched_setaffinity") and pathlib.Path("/proc/self/task").is_dir()


@pytest.mark.parametrize(
    ("allowed", "threads", "found"),
    [
        ([0, 1, 2, 3], 1, [[0], [1], [2], [3]]),
        ([0, 2, 5, 7], 2, [[0, 2], [5, 7]]),
        # The fifth processor makes no whole share.
        ([0, 1, 2, 3, 4], 2, [[0, 1], [2, 3]]),
        ([3], 1, [[3]]),
        # Too few for one share: all of them, as without shares.
        ([0, 1], 4, [[0, 1]]),
        # The system does not tell its processors.
        ([], 1, [[]]),
    ],
)
def test_shares_are_disjoint_and_as_large_as_the_threads(
    allowed: Sequence[int], threads: int, found: list[list[int]]
) -> None:
    assert shares(allowed, threads) == found


@pytest.mark.skipif(not CAN_BIND, reason="only Linux binds single threads")
def test_threads_that_run_already_are_bound_too() -> None:
    code = """
import os, threading
from autodiff_compare.process.affinity import bind, processors
allowed, stop = processors(), threading.Event()
threads = [threading.Thread(target=stop.wait) for _ in range(3)]
for thread in threads:
    thread.start()
bind(allowed[-1:])
bound = [os.sched_getaffinity(thread.native_id) for thread in (threading.main_thread(), *threads)]
bind([])
late = threading.Thread(target=lambda: bound.append(os.sched_getaffinity(0)))
late.start(), late.join()
stop.set()
print(all(each == set(allowed[-1:]) for each in bound), len(bound))
"""
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "5"]
