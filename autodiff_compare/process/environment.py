"""The facts that a run records about its machine and its code."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping

from autodiff_compare.process.affinity import processors

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
    "numba",
)


def hide_clone() -> None:
    """Take the folder of a clone off ``sys.path``; the package itself must be imported already.

    A clone holds ``backends``, ``problems`` and ``compare.py`` beside the package. The folder comes first on the path
    and would hide packages of these names that a user's file imports.
    """
    if (PACKAGE / "backends").is_symlink():
        sys.path[:] = [entry for entry in sys.path if pathlib.Path(entry).resolve() != ROOT]


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
