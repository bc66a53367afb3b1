"""The backends of a plan in this process, for a function that cannot be sent to a worker process.

It takes the place of `autodiff_compare.execution.pool.Pool`, without its protection: there are no deadlines, a hang or
a crash takes the caller's process with it, and the frameworks keep the threads that the caller has set.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from autodiff_compare import backends
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.responses import checked
from autodiff_compare.execution.worker import Worker, answer
from autodiff_compare.plan.plan import Plan
from autodiff_compare.process.client import WorkerError, payload
from autodiff_compare.results.rows import SampleRow
from autodiff_compare.results.store import Record
from autodiff_compare.vocabulary import Phase, Status


class LocalPool:
    """The backends of a plan, each opened in this process when it is first needed.

    Parameters
    ----------
    plan
        Adapters and problems of the run.
    folder
        The folder to which the import times are added.
    listener
        Is told which frameworks are being imported.

    Attributes
    ----------
    threads, active
        As in `autodiff_compare.execution.pool.Pool`.
    """

    def __init__(self, plan: Plan, folder: Record, listener: Silent | None = None) -> None:
        self.folder, self.listener = folder, listener or Silent()
        self.threads: dict[str, float] = {}
        self.active: dict[str, int | None] = {}
        self._plan = plan
        self._workers: dict[str, Worker] = {}
        self._refused: dict[str, WorkerError] = {}

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        """Answer a request in this process; the deadline is ignored, as nothing could end the call.

        Raises
        ------
        WorkerError
            If the request fails, or the backend cannot be opened.
        """
        del deadline_s
        if spec in self._refused:
            raise self._refused[spec]
        if spec not in self._workers:
            try:
                self._workers[spec] = self._open(spec)
            except WorkerError as error:
                self._refused[spec] = error
                raise
        return checked(verb, payload(answer(self._workers[spec], verb, params)))

    @property
    def shares(self) -> list[list[int]]:
        """Return no shares of the processors: one process serves one request at a time."""
        return []

    def request_on(
        self, share: Sequence[int], spec: str, verb: str, deadline_s: float, **params: Any
    ) -> dict[str, Any]:
        """Answer a request as `request` does."""
        del share
        return self.request(spec, verb, deadline_s, **params)

    def kill(self) -> None:
        """Do nothing: there is no process to kill."""

    def import_alone(self, specs: Sequence[str]) -> None:
        """Do nothing: in one process, each import is alone when it is first needed."""

    def expected_s(self, spec: str) -> float:
        """Return 0: requests have one order only."""
        del spec
        return 0.0

    def restart(self) -> None:
        """Drop every backend, so that the next request opens it afresh; its framework stays imported."""
        self._workers.clear()
        # `Worker.calibrate` freezes the frameworks' objects; the caller's own collections must see them again.
        gc.unfreeze()

    close = restart

    def _open(self, spec: str) -> Worker:
        if spec in self._plan.interpreters:
            raise WorkerError(Status.UNSUPPORTED, "a function that cannot be sent runs under this Python only")
        absent = backends.missing(backends.load(self._plan.adapters[spec]))
        if absent:
            raise WorkerError(Status.NOT_INSTALLED, f"not installed: {', '.join(absent)}")
        worker = Worker(self._plan.adapters[spec])
        worker.problems = {(self._plan.sources[p.name], p.name): p for p in self._plan.problems}
        with self.listener.starting(spec):
            opened = checked("open", payload(answer(worker, "open", {})))
        self.threads[spec], self.active[spec] = opened["threads"], opened["threads_active"]
        self.folder.amend(opened["switches"])
        self.folder.add({"samples": [SampleRow(spec, Phase.IMPORT, 0, 0, 1, opened["seconds"])]})
        return worker
