"""The environment variables of a worker, its threads, and the facts that a run records about its machine."""

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

#: Flags of a processor for which TensorFlow uses oneDNN unless told otherwise. Source: ``DefaultOneDnnPolicy`` in
#: tensorflow/core/util/port.cc; the wheel of 2.21 tests these six and, on ARM, for a Neoverse V1.
_ONEDNN_FLAGS = frozenset({"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"})
_NEOVERSE_V1 = ("0x41", "0xd40")

#: A worker is flagged ``threads`` if its CPU time over wall time exceeds this factor times the requested threads.
THREADS_TOLERANCE = 1.15


def worker_environment(threads: int) -> dict[str, str]:
    """Return the environment variables of a worker; some libraries read them only when the process starts."""
    count = str(threads)
    per_library = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        # XLA's CPU client sizes its pool by these and ignores the usual XLA_FLAGS recipe.
        "PJRT_NPROC",
        "NPROC",
    )
    fixed = {
        "TF_NUM_INTEROP_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    return {**_tensorflow_switches(), **os.environ, **dict.fromkeys(per_library, count), **fixed}


def _tensorflow_switches() -> dict[str, str]:
    """Return the settings that TensorFlow would else choose by the processor; those of the caller go before them.

    oneDNN changes kernels and rounding: the value is what TensorFlow chooses itself, but stated, so that it can be
    recorded. With oneDNN comes an allocator that keeps and counts large blocks only (a gradient for which BFC counts
    12 kB counts as 0), without it one that does neither; BFC keeps and counts all, everywhere. It changes no bit of a
    result (53 cells compared). Small cells take 0.97 to 1.01 of the time (traced and XLA, fastest of 15 to 25 paired
    rounds, with and without oneDNN; the times of eager ones scattered too widely to say more). XLA's gradient of the
    large neural network, which allocates 67 MB in a call, takes 0.52 of the time that it takes without either
    allocator, where each call waits for fresh pages.
    """
    # Without a limit of its own BFC refuses what goes beyond 64 GB, also where the machine has more.
    limit = max(_memory_bytes() or 0, 64 << 30) >> 20
    return {
        "TF_CPU_ALLOCATOR_USE_BFC": "1",
        "TF_CPU_BFC_MEM_LIMIT_IN_MB": str(limit),
        "TF_ENABLE_ONEDNN_OPTS": "1" if onednn_by_default(_cpuinfo()) else "0",
    }


def onednn_by_default(cpuinfo: str) -> bool:
    """Return whether TensorFlow uses oneDNN unless told otherwise, from the text of ``/proc/cpuinfo``."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    model = (fields.get("CPU implementer"), fields.get("CPU part"))
    return bool(_ONEDNN_FLAGS & set(fields.get("flags", "").split())) or model == _NEOVERSE_V1


def onednn_stated() -> str:
    """Return ``on`` or ``off``: whether workers are told to use oneDNN."""
    return "on" if worker_environment(1)["TF_ENABLE_ONEDNN_OPTS"].lower() in ("1", "true") else "off"


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
        "memory_bytes": _memory_bytes(),
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
    named = (line.split(":", 1)[1].strip() for line in _cpuinfo().splitlines() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _cpuinfo() -> str:
    """Return the text of ``/proc/cpuinfo``; empty where there is none."""
    try:
        return pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
