"""Whether a job of Slurm has its processors to itself: what is timed beside another job is worth nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping

from autodiff_compare.process.affinity import processors


def unbound(environment: Mapping[str, str] | None = None, usable: int | None = None, of: int | None = None) -> str:
    """Return why nothing may be timed in this job; empty outside a job, or if its processors are its own.

    They are if the job has the whole node (``--exclusive``), or if Slurm binds it to those that it was granted
    (``task/affinity`` or ``task/cgroup``).

    Parameters
    ----------
    environment
        Variables of this process; by default its own.
    usable, of
        Number of processors that this process may use, and that the host has; by default those of this process.
    """
    environment = os.environ if environment is None else environment
    granted = environment.get("SLURM_CPUS_ON_NODE", "")
    if not environment.get("SLURM_JOB_ID") or not granted.isdigit():
        return ""
    usable = len(processors()) if usable is None else usable
    of = os.cpu_count() or 1 if of is None else of
    if int(granted) >= of or usable <= int(granted):
        return ""
    return (
        f"got a job of Slurm that is granted {granted} of {of} processors and not bound to them, expected a node of "
        "its own (--slurm-args=--exclusive) or a Slurm that binds jobs (task/affinity, task/cgroup)"
    )
