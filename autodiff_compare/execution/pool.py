"""The worker processes of a run: started when first needed, restarted after a death, paused while another is timed.

Importing a framework takes seconds of one processor, and so does a compilation. Where several are free and nothing is
timed, workers serve requests side by side (`Pool.request_on`), each on a share of the processors; the first request to
a worker imports its framework there. For `Pool.request` all workers are bound to the same processors, so that no
backend is timed on better ones.

The probe of threads follows each import. Another process beside it takes no processor of its share, and could only
lower the processor time over wall time that it finds.
"""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autodiff_compare import backends
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.responses import checked
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.process.affinity import processors, shares
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.results.rows import SampleRow
from autodiff_compare.results.store import Record, RunFolder
from autodiff_compare.vocabulary import Phase, Status

#: Workers of a backend that may die one after the other, without a result in between; then it is not tried again.
_DEATHS = 4
#: Imports of a backend that may exceed their time limit; then it is not tried again.
_SLOW_IMPORTS = 3
#: Requests that are timed, and those that are where the user asks for the time of their phase.
_TIMED = frozenset({"visit", "descend"})
_TIMED_ON_DEMAND = frozenset({"open", "cell"})
#: Name of the process that all backends share under ``--isolate none``.
_SHARED = "all backends"


class Pool:
    """The workers of a run: one for each backend, or one for all.

    Parameters
    ----------
    plan
        Adapters and interpreters of the run.
    settings
        Threads, deadlines and isolation.
    folder
        The folder to which the import times are added.
    listener
        Is told which frameworks are being imported.
    timed_on
        Processors on which all workers are timed; by default the first of those that this process may use. What is not
        timed is computed on these, whatever is timed elsewhere.

    Attributes
    ----------
    threads
        ``backend[:variant]`` -> CPU time over wall time of the worker's own probe, once it has been opened.
    active
        ``backend[:variant]`` -> threads that were busy in that probe; `None` where the system does not report them.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        folder: Record,
        listener: Silent | None = None,
        timed_on: Sequence[int] = (),
    ) -> None:
        self.settings, self.folder, self.listener = settings, folder, listener or Silent()
        self.threads: dict[str, float] = {}
        self.active: dict[str, int | None] = {}
        self._clients: dict[str, WorkerClient] = {}
        self._opened: set[str] = set()
        # Several threads may start workers, and end those that have failed.
        self._lock = threading.RLock()
        self._killed = False
        self._shares = shares(processors(), settings.threads)
        self._timed_on = timed_on or self._shares[0]
        self._refused: dict[str, WorkerError] = {}
        self._failed: dict[str, WorkerError] = {}
        self._adapters, self._interpreters = plan.adapters, plan.interpreters
        self._starts = dict.fromkeys(plan.specs, 0)
        self._deaths = dict.fromkeys(plan.specs, 0)
        self._slow_imports: dict[str, list[float]] = {spec: [] for spec in plan.specs}
        self._open_timeout_s = settings.open_timeout_s

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        """Send a request to the worker of a backend, which is started if there is none.

        A dead worker is dropped; the next request starts another.

        Raises
        ------
        WorkerError
            If the request fails, or the backend is not installed, cannot be opened or has been given up.
        """
        share = self._timed_on if self._is_timed(verb) else self._shares[0]
        return self._request(share, spec, verb, deadline_s, params, alone=True)

    def _is_timed(self, verb: str) -> bool:
        phases = self.settings.imports_alone or self.settings.preparations_alone
        return verb in _TIMED or (phases and verb in _TIMED_ON_DEMAND)

    def request_on(
        self, share: Sequence[int], spec: str, verb: str, deadline_s: float, **params: Any
    ) -> dict[str, Any]:
        """Send a request that is computed on a share of the processors, while other workers compute on theirs.

        Several threads may do so at the same time, each with another backend.
        """
        return self._request(share, spec, verb, deadline_s, params, alone=False)

    @property
    def shares(self) -> list[list[int]]:
        """Shares of the processors for `request_on`, one for each backend and one for the runner; none if it is not
        possible or not wanted.
        """
        apart = self.settings.isolate == Isolate.BACKEND and not self.settings.preparations_alone
        return self._shares[: len(self._starts) + 1] if apart and len(self._shares) > 1 else []

    def _request(
        self, share: Sequence[int], spec: str, verb: str, deadline_s: float, params: Mapping[str, Any], *, alone: bool
    ) -> dict[str, Any]:
        client = self._client(spec, share, alone=alone)
        self._go_on(client, alone=alone)
        try:
            found = client.request(verb, deadline_s, self._adapters[spec], processors=share, **params)
        except WorkerError as error:
            if error.fatal:
                self._count(spec, error)
                self._drop(self._process(spec))
            raise
        self._deaths[spec] = 0
        if not alone and self.settings.threads > 1:
            client.pause()
        return checked(verb, found)

    def _count(self, spec: str, error: WorkerError) -> None:
        """Count a worker that died by itself; one that was killed at its deadline counts against its cell alone."""
        if error.status != Status.TIMEOUT:
            self._deaths[spec] += 1

    def import_alone(self, specs: Sequence[str]) -> None:
        """Import the frameworks of several backends one after the other, so that each import is timed by itself.

        A backend that fails raises its error at its next request.
        """
        for spec in specs if self.shares else ():
            try:
                self._client(spec, self._timed_on, alone=True)
            except WorkerError as error:
                self._failed[spec] = error

    def expected_s(self, spec: str) -> float:
        """Return roughly the seconds by which the next request to a backend is delayed by its import."""
        return 0.0 if spec in self._opened else backends.load(self._adapters[spec]).import_s

    def restart(self) -> None:
        """End every worker; the next request starts a fresh one. This does not count as a death."""
        self._failed.clear()
        for client in self._clients.values():
            client.hang_up()
        for name in list(self._clients):
            self._drop(name)

    close = restart

    def renumber(self) -> None:
        """Number the imports as those of another run: the workers that live have been imported once in it."""
        self._starts = {spec: int(spec in self._opened) for spec in self._starts}

    def kill(self) -> None:
        """Kill every worker, also one that is being started; requests that other threads wait for fail at once."""
        with self._lock:
            self._killed = True
            for client in self._clients.values():
                client.kill()

    def _process(self, spec: str) -> str:
        """Return the name of the process that serves a backend."""
        shared = self.settings.isolate == Isolate.NONE and spec not in self._interpreters
        return _SHARED if shared else spec

    def _go_on(self, running: WorkerClient, *, alone: bool) -> None:
        """Let a worker run; if it is to run alone, pause all others.

        Above one thread, OpenBLAS keeps a core busy for 100 ms after its last call.
        """
        if self.settings.threads == 1:
            return
        for client in self._clients.values() if alone else ():
            if client is not running:
                client.pause()
        running.go_on()

    def _client(self, spec: str, share: Sequence[int], *, alone: bool) -> WorkerClient:
        if spec in self._refused:
            raise self._refused[spec]
        if spec in self._failed:
            raise self._failed.pop(spec)
        if spec not in self._opened:
            self._open(spec, share, alone=alone)
        return self._clients[self._process(spec)]

    def _open(self, spec: str, share: Sequence[int], *, alone: bool) -> None:
        """Start the worker of a backend if necessary, and import the framework in it."""
        client, limit_s = self._start(spec), self._open_timeout_s
        self._go_on(client, alone=alone)
        with self._failures_counted(spec, limit_s), self.listener.starting(spec):
            opened = client.request(
                "open", limit_s, self._adapters[spec], processors=share, device=self.settings.device
            )
            checked("open", opened)
        self._admit(spec, opened)

    def _start(self, spec: str) -> WorkerClient:
        """Return the process that serves a backend, which is started if there is none."""
        self._check_available(spec)
        name = self._process(spec)
        if name not in self._clients:
            interpreter = self._interpreters.get(spec)
            client = WorkerClient(self._adapters[spec], self.settings.threads, interpreter, self.settings.environment)
            with self._lock:
                self._clients[name] = client
                if self._killed:
                    client.kill()
        return self._clients[name]

    @contextlib.contextmanager
    def _failures_counted(self, spec: str, limit_s: float) -> Iterator[None]:
        """Count a failed import against its backend, and end a worker that cannot be used."""
        name = self._process(spec)
        try:
            yield
        except WorkerError as error:
            late = error.status == Status.TIMEOUT
            if late:
                self._slow_imports[spec].append(limit_s)
                self._open_timeout_s = max(self._open_timeout_s, 2 * limit_s)
            elif error.fatal:
                self._deaths[spec] += 1
            else:
                # A framework that cannot be opened once cannot be opened: later requests get the same error.
                self._refused[spec] = error
            if error.fatal or name == spec:
                self._drop(name)
            if late:
                tried = f"{spec} was not imported within {limit_s:g} s: give --open-timeout"
                raise WorkerError(Status.TIMEOUT, tried, fatal=True) from error
            raise

    def _admit(self, spec: str, opened: Mapping[str, Any]) -> None:
        """Record what an opened worker has told about itself and its import."""
        with self._lock:
            self._opened.add(spec)
        self.threads[spec], self.active[spec] = opened["threads"], opened["threads_active"]
        self.folder.amend(opened["switches"])
        self._starts[spec] += 1
        self.folder.add({"samples": [SampleRow(spec, Phase.IMPORT, self._starts[spec] - 1, 0, 1, opened["seconds"])]})

    def _check_available(self, spec: str) -> None:
        """Raise `WorkerError`, now and at all later requests, if packages are missing or too many workers died."""
        adapter, interpreter = backends.load(self._adapters[spec]), self._interpreters.get(spec)
        absent = interpreter.missing(adapter.requires) if interpreter else backends.missing(adapter)
        if absent:
            self._refused[spec] = WorkerError(Status.NOT_INSTALLED, f"not installed: {', '.join(absent)}")
        elif self._deaths[spec] >= _DEATHS:
            why = f"{self._deaths[spec]} workers of {spec} died one after the other, without a result in between"
            self._refused[spec] = WorkerError(Status.NOT_RUN, why)
        elif len(self._slow_imports[spec]) >= _SLOW_IMPORTS:
            limits = ", ".join(f"{seconds:g}" for seconds in self._slow_imports[spec])
            why = f"{spec} was not imported within {limits} s: give --open-timeout"
            self._refused[spec] = WorkerError(Status.NOT_RUN, why)
        if spec in self._refused:
            raise self._refused[spec]

    def _drop(self, name: str) -> None:
        """End a process; the backends that it served are opened again when they are needed.

        A thread whose request failed may end a process while the pool is closed by another one: the first one does.
        """
        with self._lock:
            self._opened -= {spec for spec in self._opened if self._process(spec) == name}
            client = self._clients.pop(name, None)
        if client is not None:
            client.close()


@contextlib.contextmanager
def passing_pool(plan: Plan, settings: Settings, listener: Silent | None = None) -> Iterator[Pool]:
    """Yield the workers of a plan whose records are not kept; they end with the context."""
    with tempfile.TemporaryDirectory(prefix="autodiff-compare-") as out:
        folder = RunFolder(pathlib.Path(out))
        pool = Pool(plan, settings, folder, listener)
        try:
            yield pool
        finally:
            pool.close()
            folder.close()
