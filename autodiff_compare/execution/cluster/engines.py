"""The engine that ``--on`` names."""

from __future__ import annotations

import pkgutil
from typing import Any

from autodiff_compare.execution.cluster.engine import Engine, EngineError
from autodiff_compare.execution.cluster.local_engine import LocalEngine
from autodiff_compare.plan.settings import Settings


def engine(on: str, settings: Settings, *, slurm_args: str = "", limit_s: float | None = None) -> Engine:
    """Return the engine that a text names.

    Parameters
    ----------
    on
        ``local:N``, ``dask://HOST:PORT`` or ``slurm[:PARTITION]``.
    settings
        Threads of a worker.
    slurm_args
        Arguments of ``sbatch``.
    limit_s
        Seconds that a host has for a unit.

    Raises
    ------
    EngineError
        If the engine is not installed or not there.
    """
    kind, _, where = on.partition(":")
    if slurm_args and kind != "slurm":
        raise EngineError(f"got --slurm-args with --on {on}, expected --on slurm")
    if kind == "local":
        return LocalEngine(int(where), settings.threads)
    if kind == "dask":
        found: Engine = _installed("dask_engine:DaskEngine", on)(where.removeprefix("//"))
    else:
        jobs = _installed("slurm_engine:slurm_jobs", on)(where, slurm_args, limit_s)
        found = _installed("slurm_engine:SlurmEngine", on)(jobs, where)
    return found


def _installed(name: str, on: str) -> Any:
    """Return what an engine's file defines; it is imported here, since few people have its library."""
    try:
        return pkgutil.resolve_name(f"autodiff_compare.execution.cluster.{name}")
    except ImportError as error:
        raise EngineError(
            f"got --on {on}, which needs {error.name}: pip install 'autodiff-compare[cluster]'"
        ) from error
