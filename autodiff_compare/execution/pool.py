"""The workers of a run: started when first needed, one after another, and stopped while another one is timed."""

from __future__ import annotations

from typing import Any

from autodiff_compare import backends
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import SMALL_S, Isolate, Settings
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import SampleRow
from autodiff_compare.vocabulary import Phase, Status

#: A worker is started again so often after a death; then its backend is given up for this run.
_RESTARTS = 3
#: The one process of a run that isolates nothing.
_SHARED = "all backends"


class Pool:
    """One worker for each backend, or one for all.

    Parameters
    ----------
    plan, settings, folder
        What is run, how, and where the import times are kept.
    """

    def __init__(self, plan: Plan, settings: Settings, folder: RunFolder) -> None:
        self.settings, self.folder = settings, folder
        #: CPU time over wall time of each backend's probe, and the threads that were busy in it.
        self.threads: dict[str, float] = {}
        self.active: dict[str, int | None] = {}
        self._clients: dict[str, WorkerClient] = {}
        self._opened: set[str] = set()
        self._refused: dict[str, WorkerError] = {}
        self._adapters, self._interpreters = plan.adapters, plan.interpreters
        self._starts = dict.fromkeys(plan.specs, 0)
        self._deaths = dict.fromkeys(plan.specs, 0)

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        """Ask the worker of ``spec``; a dead one is dropped, to be started again by the next request."""
        client = self._client(spec)
        if self.settings.threads > 1:
            self._only(client)
        try:
            return client.request(verb, deadline_s, self._adapters[spec], **params)
        except WorkerError as error:
            if error.fatal or error.status == Status.CRASH:
                self._deaths[spec] += 1
                self._drop(self._process(spec))
            raise

    def restart(self) -> None:
        """End every worker; the next request starts a fresh one, which is no death."""
        for name in list(self._clients):
            self._drop(name)

    close = restart

    def _process(self, spec: str) -> str:
        shared = self.settings.isolate == Isolate.NONE and spec not in self._interpreters
        return _SHARED if shared else spec

    def _only(self, running: WorkerClient) -> None:
        """Stop the idle workers: above one thread OpenBLAS spins for a tenth of a second after its last call."""
        for client in self._clients.values():
            if client is not running:
                client.pause()
        running.go_on()

    def _client(self, spec: str) -> WorkerClient:
        if spec in self._refused:
            raise self._refused[spec]
        if spec not in self._opened:
            self._open(spec)
        return self._clients[self._process(spec)]

    def _open(self, spec: str) -> None:
        adapter, interpreter = backends.load(self._adapters[spec]), self._interpreters.get(spec)
        absent = interpreter.missing(adapter.requires) if interpreter else backends.missing(adapter)
        if absent:
            reason = f"not installed: {', '.join(absent)}"
            self._refused[spec] = WorkerError(Status.NOT_INSTALLED, reason)
            raise self._refused[spec]
        if self._deaths[spec] > _RESTARTS:
            self._refused[spec] = WorkerError(Status.CRASH, f"given up after {self._deaths[spec]} workers died")
            raise self._refused[spec]
        name = self._process(spec)
        if name not in self._clients:
            self._clients[name] = WorkerClient(self._adapters[spec], self.settings.threads, interpreter)
        client = self._clients[name]
        if self.settings.threads > 1:
            self._only(client)
        try:
            opened = client.request(
                "open", max(self.settings.deadline_s(), SMALL_S), self._adapters[spec], device=self.settings.device
            )
        except WorkerError as error:
            if error.fatal:
                self._deaths[spec] += 1
            else:
                self._refused[spec] = error
            if error.fatal or name == spec:
                self._drop(name)
            raise
        self._opened.add(spec)
        self.threads[spec], self.active[spec] = opened["threads"], opened["threads_active"]
        self.folder.amend(opened["switches"])
        self._starts[spec] += 1
        self.folder.add({"samples": [SampleRow(spec, Phase.IMPORT, self._starts[spec] - 1, 0, 1, opened["seconds"])]})

    def _drop(self, name: str) -> None:
        self._opened -= {spec for spec in self._opened if self._process(spec) == name}
        self._clients.pop(name).close()
