"""The facts that a run records about its machine and its code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

from autodiff_compare.process import affinity
from autodiff_compare.process.affinity import processors, told

#: The folder that holds the package, and the package's own folder.
ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "autodiff_compare"

#: Distributions whose version can change a result or a timing.
PACKAGES = (
    "numpy",
    "torch",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "jax",
    "jaxlib",
    "optax",
    "autograd",
    "scipy",
    "pandas",
    "array-api-compat",
    "numba",
)


#: Fields of ``/proc/cpuinfo`` that identify a processor more closely than its name, which many clouds shorten, and
#: those that list its instruction sets: on x86 and on ARM.
_IDENTITY = ("vendor_id", "cpu family", "model", "stepping", "CPU implementer", "CPU variant", "CPU part")
_INSTRUCTIONS = ("flags", "Features")
#: The NVIDIA driver's description of its accelerators, a file each.
_ACCELERATORS = pathlib.Path("/proc/driver/nvidia/gpus")


def hide_clone() -> None:
    """Take the folder of a clone off ``sys.path``; the package itself must be imported already.

    A clone holds ``backends``, ``problems`` and ``compare.py`` beside the package. The folder comes first on the path
    and would hide packages of these names that a user's file imports.
    """
    if (PACKAGE / "backends").is_symlink():
        sys.path[:] = [entry for entry in sys.path if not _is_root(entry)]


def _is_root(entry: str) -> bool:
    """Return whether an entry of the path is the clone; a relative one is none where the current folder is gone."""
    try:
        return pathlib.Path(entry).resolve() == ROOT
    except OSError:
        return False


def machine() -> dict[str, str | int | None]:
    """Return the columns of ``runs.csv`` that describe the machine."""
    return {
        "hostname": platform.node(),
        "cpu_model": _cpu_model(),
        "cpu_count": len(processors()) or os.cpu_count() or 1,
        "memory_bytes": memory_bytes(),
        "os": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
    }


def hardware(allowed: Sequence[int]) -> dict[str, str | int]:
    """Return what distinguishes this machine from others beside `machine`: columns of ``machines.csv``.

    Parameters
    ----------
    allowed
        Numbers of the processors that the program may use.
    """
    return {
        "cpu_id": cpu_id(cpuinfo()),
        "cpu_count": len(allowed) or os.cpu_count() or 1,
        "affinity": affinity.described(allowed, os.cpu_count()),
        "accelerators": accelerators(),
    }


def cpu_id(text: str) -> str:
    """Return vendor, family, model and stepping of a processor, and a digest of its instruction sets.

    Parameters
    ----------
    text
        The text of ``/proc/cpuinfo``; its first processor counts.
    """
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    found = [fields[name] for name in _IDENTITY if name in fields]
    sets = " ".join(sorted({word for name in _INSTRUCTIONS for word in fields.get(name, "").split()}))
    return " ".join([*found, *([hashlib.sha256(sets.encode()).hexdigest()[:8]] if sets else [])])


def accelerators(folder: pathlib.Path = _ACCELERATORS) -> str:
    """Return the models of the NVIDIA accelerators, separated by commas; empty if there are none."""
    lines = (line.partition(":") for path in sorted(folder.glob("*/information")) for line in told(path).splitlines())
    return ", ".join(sorted(value.strip() for name, _, value in lines if name.strip() == "Model"))


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


def program_digest() -> str:
    """Return a digest of this program's source files; unlike a commit, it tells uncommitted states apart."""
    # In a clone, adapters and problems are behind links, which rglob does not follow.
    rooms = {path.resolve() for room in (".", "backends", "problems") for path in (PACKAGE / room).rglob("*.py")}
    return digest_of(sorted(rooms))


def digest_of(files: Iterable[pathlib.Path], begun: str = "") -> str:
    """Return a digest of the names and texts of files, in their order, and of the text ``begun``."""
    digest = hashlib.sha256(begun.encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _cpu_model() -> str:
    named = (line.split(":", 1)[1].strip() for line in cpuinfo().splitlines() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def cpuinfo() -> str:
    """Return the text of ``/proc/cpuinfo``; empty where there is none."""
    return told(pathlib.Path("/proc/cpuinfo"))


def memory_bytes() -> int | None:
    """Return the physical memory; `None` where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
