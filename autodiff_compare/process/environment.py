"""The threads that a worker really uses, and the facts that a run records about its machine and code."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

#: The folder that holds the package, and the package's own folder.
ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "autodiff_compare"

#: Distributions whose version can change a result or a timing.
PACKAGES = (
    "numpy",
    "torch",
    "tensorflow",
    "keras",
    "jax",
    "jaxlib",
    "optax",
    "autograd",
    "scipy",
    "pandas",
    "mpmath",
    "array-api-compat",
)

#: A worker is flagged ``threads`` if its CPU time over wall time exceeds this factor times the requested threads.
THREADS_TOLERANCE = 1.15


def hide_clone() -> None:
    """Take the folder of a clone off ``sys.path``; the package itself must be imported already.

    A clone holds ``backends``, ``problems`` and ``compare.py`` beside the package. The folder comes first on the path
    and would hide packages of these names that a user's file imports.
    """
    if (PACKAGE / "backends").is_symlink():
        sys.path[:] = [entry for entry in sys.path if pathlib.Path(entry).resolve() != ROOT]


def limit_affinity(threads: int) -> None:
    """Bind this process to ``threads`` processors; do nothing where the system cannot."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])


def effective_threads(work: Callable[[], object], seconds: float = 0.05) -> float:
    """Return CPU time over wall time of this process while it repeats ``work``; 1.0 is one thread."""
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        work()
    return (time.process_time() - cpu) / (time.perf_counter() - wall)


def active_threads(work: Callable[[], object], seconds: float = 0.05) -> int | None:
    """Count the threads that are busy for a tenth of the time or more while this process repeats ``work``.

    Returns
    -------
    int or None
        `None` where the system does not report the CPU time of threads (only Linux does).
    """
    before, wall = _thread_seconds(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        work()
    busy = 0.1 * (time.perf_counter() - wall)
    after = _thread_seconds()
    return sum(after[thread] - before.get(thread, 0.0) > busy for thread in after) if after else None


def _thread_seconds() -> dict[str, float]:
    """Return the CPU seconds of each thread of this process so far; empty where the system does not report them."""
    found = {}
    for path in pathlib.Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            found[path.parent.name] = int(path.read_text(encoding="ascii").split()[0]) * 1e-9
    return found


def machine() -> dict[str, str | int | None]:
    """Return the columns of ``runs.csv`` that describe the machine."""
    return {
        "hostname": platform.node(),
        "cpu_model": _cpu_model(),
        "cpu_count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": memory_bytes(),
        "os": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
    }


def versions() -> Mapping[str, str]:
    """Return the installed versions of `PACKAGES`, read without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str:
    """Return the commit of this code, with '+dirty' if files differ from it; empty outside a checkout."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        if not (ROOT / ".git").exists():
            return ""
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _cpu_model() -> str:
    named = (line.split(":", 1)[1].strip() for line in cpuinfo().splitlines() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def cpuinfo() -> str:
    """Return the text of ``/proc/cpuinfo``; empty where there is none."""
    try:
        return pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def memory_bytes() -> int | None:
    """Return the physical memory; `None` where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
