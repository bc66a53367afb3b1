"""Isolation of a worker process from its framework's output and from the death of its runner.

*Private pipes.* Frameworks and their C libraries print to standard output, which would end up in the middle of a
response. The pipes of requests and responses are therefore moved to new descriptors that no library knows. Then
descriptor 0 reads nothing, so that no library waits for input or takes a request, and 1 writes where 2 does, to
standard error.

*End.* Python takes every object apart before it ends: 1.5 s of processor time with TensorFlow imported, 0.9 s with
torch, while the user waits for the summary. A worker runs the functions that were registered for its end (``atexit``),
which remove temporary files, and leaves the objects to the system.

*Foreign packages.* A framework may import packages that it does not require if they happen to be installed: TensorFlow
imports JAX. In a worker it finds only what it requires, so that its import takes the time that it takes where no other
framework is installed.

*Orphans.* A runner that is killed cannot end its workers. The kernel kills a worker when its runner dies, if the worker
asks for it (``PR_SET_PDEATHSIG``, Linux). The runner may already be dead by then: its children have the parent 1. The
processes that a worker has started are ended by the watchdog of `autodiff_compare.process.client`.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

#: Number of the operation of ``prctl``, from ``linux/prctl.h``.
_PR_SET_PDEATHSIG = 1


def private_pipes() -> tuple[TextIO, TextIO]:
    """Return the pipes of requests and responses on new descriptors; redirect 0 and 1."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return requests, responses


def die_with_parent() -> None:
    """Let the kernel kill this process when the runner dies (Linux); exit if it is dead already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)


@contextlib.contextmanager
def without(packages: Sequence[str]) -> Iterator[None]:
    """Let imports of packages fail within the context as if they were not installed, unless they are imported already.

    Parameters
    ----------
    packages
        Names of top-level packages.
    """
    absent = [name for name in packages if name not in sys.modules]
    # Python's own mark of a module that cannot be imported ("The module cache" in its reference).
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)


def leave() -> None:
    """End this process with exit code 0, without taking its objects apart."""
    # Python has no public function that runs them and goes on.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
