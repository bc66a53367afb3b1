"""Backends in this process, for a function that cannot be sent to another: what `Pool` is for workers.

A hang or a crash then takes the caller with it, the frameworks' threads are as the caller has set them, and
deadlines are not kept.
"""

from __future__ import annotations

import gc
from typing import Any

from autodiff_compare import backends
from autodiff_compare.execution.worker import Worker, answer
from autodiff_compare.plan.plan import Plan
from autodiff_compare.process.client import WorkerError
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import SampleRow
from autodiff_compare.vocabulary import Phase, Status


class Here:
    """The backends of a plan, opened in this process when first needed.

    Parameters
    ----------
    plan, folder
        What is run, and where the import times are kept.
    """

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self.folder = folder
        #: As in `autodiff_compare.execution.pool.Pool`.
        self.threads: dict[str, float] = {}
        self.active: dict[str, int | None] = {}
        self._plan = plan
        self._workers: dict[str, Worker] = {}
        self._refused: dict[str, WorkerError] = {}

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        """Answer in this process; ``deadline_s`` cannot be kept."""
        del deadline_s
        if spec in self._refused:
            raise self._refused[spec]
        if spec not in self._workers:
            try:
                self._workers[spec] = self._opened(spec)
            except WorkerError as error:
                self._refused[spec] = error
                raise
        return _answered(self._workers[spec], verb, params)

    def restart(self) -> None:
        """Forget every backend; a framework stays imported."""
        self._workers.clear()
        # The workers set aside what the frameworks left, for the collections between their visits.
        gc.unfreeze()

    close = restart

    def _opened(self, spec: str) -> Worker:
        if spec in self._plan.interpreters:
            raise WorkerError(Status.UNSUPPORTED, "a function that cannot be sent runs under this Python only")
        absent = backends.missing(backends.load(self._plan.adapters[spec]))
        if absent:
            raise WorkerError(Status.NOT_INSTALLED, f"not installed: {', '.join(absent)}")
        worker = Worker(self._plan.adapters[spec])
        worker.problems = {(self._plan.sources[p.name], p.name): p for p in self._plan.problems}
        opened = _answered(worker, "open", {})
        self.threads[spec], self.active[spec] = opened["threads"], opened["threads_active"]
        self.folder.amend(opened["switches"])
        self.folder.add({"samples": [SampleRow(spec, Phase.IMPORT, 0, 0, 1, opened["seconds"])]})
        return worker


def _answered(worker: Worker, verb: str, params: dict[str, Any]) -> dict[str, Any]:
    found = answer(worker, verb, params)
    if "ok" not in found:
        raise WorkerError(Status(found["status"]), str(found["message"]))
    result: dict[str, Any] = found["ok"]
    return result
