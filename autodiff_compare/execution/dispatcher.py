"""Requests to different workers, sent side by side: one at a time to each worker, one on each share of the processors.

A framework compiles for seconds on one processor while the others idle, and a worker idles while the judge computes.
Where several processors are free, and nothing is timed, requests to different workers therefore overlap. For two
backends on two processors, with the judge in the runner::

    processor 0    jax compiles the gradient .......  judge   jax calibrates
    processor 1    numpy  torch  tensorflow traces    judge   numpy  torch  tensorflow

Whoever computes holds a share of the processors, the judge as well, so that no share has two programs on it. While
cells are timed nothing is sent here, and all workers are bound to the same share.

Without shares, requests are sent one by one, each when its response is asked for.
"""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.interruption import taken


@dataclass(frozen=True, eq=False)
class Request:
    """A request to the worker of a backend.

    Parameters
    ----------
    about
        What the response belongs to.
    spec, verb, deadline_s, params
        As in `autodiff_compare.execution.pool.Pool.request`.
    """

    about: Any
    spec: str
    verb: str
    deadline_s: float
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Response:
    """The response to a request: what the worker has found, or the error that ended the request."""

    request: Request
    found: dict[str, Any]
    error: WorkerError | None = None
    #: Time of `time.monotonic` at which the response came.
    at: float = field(default_factory=time.monotonic)


class Workers(Protocol):
    """The workers of a run, each serving one backend."""

    @property
    def shares(self) -> Sequence[Sequence[int]]:
        """Disjoint shares of the processors on which workers may compute side by side; none if they may not."""

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        """Send a request and wait for its response."""

    def request_on(
        self, share: Sequence[int], spec: str, verb: str, deadline_s: float, **params: Any
    ) -> dict[str, Any]:
        """Send a request that is computed on a share of the processors, while others compute elsewhere."""

    def expected_s(self, spec: str) -> float:
        """Return roughly the seconds by which the next request to a backend is delayed by its import."""

    def kill(self) -> None:
        """Kill all workers at once."""


class Dispatcher:
    """Send requests to workers, and hand out their responses as they come.

    Use it as a context manager: when it is left by an error, the requests that are still running are ended with their
    workers.

    Parameters
    ----------
    workers
        Answer the requests.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._pending: collections.deque[Request] = collections.deque()
        self._busy: set[str] = set()
        # Backend, verb -> seconds of its last request.
        self._took_s: dict[tuple[str, str], float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._responses: queue.SimpleQueue[Response | BaseException] = queue.SimpleQueue()
        self._shares: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
        for share in workers.shares:
            self._shares.put(share)
        # They live as long as the dispatcher: the kernel kills a worker when the thread that has started it ends.
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in workers.shares]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._pending.clear()
            running = bool(self._busy)
            self._changed.notify_all()
        if kind is not None and running:
            # The threads wait for their workers, and the user for the end of the run.
            self._workers.kill()
        for thread in self._threads:
            thread.join()

    def ask(self, requests: Iterable[Request]) -> None:
        """Take up requests, one or none to each worker; they are sent after those that were taken up before.

        The worker that took longest last time, or whose framework has the slowest import, comes first: begun last, it
        would keep the others waiting.
        """

        def expected_s(request: Request) -> float:
            known = self._took_s.get((request.spec, request.verb))
            return self._workers.expected_s(request.spec) if known is None else known

        with self._changed:
            ordered = sorted(requests, key=expected_s, reverse=True) if self._threads else requests
            self._pending.extend(ordered)
            self._changed.notify_all()

    def response(self) -> Response:
        """Return the next response to any request; each request that was taken up has one."""
        if not self._threads:
            return answered(self._workers, self._pending.popleft())
        found = taken(self._responses)
        if isinstance(found, BaseException):
            raise found
        return found

    @contextlib.contextmanager
    def share(self) -> Iterator[None]:
        """Hold a share of the processors while this process computes."""
        if not self._threads:
            yield
            return
        held = taken(self._shares)
        try:
            yield
        finally:
            self._shares.put(held)

    def _serve(self) -> None:
        """Send one request after the other, as long as there are any."""
        while (request := self._next()) is not None:
            share, began = self._shares.get(), time.monotonic()
            found: Response | BaseException
            try:
                if self._closed:
                    self._shares.put(share)  # another thread may wait for it before it ends, too
                    return
                found = answered(self._workers, request, share)
            except BaseException as error:  # of our own code: it is raised where the response is waited for
                found = error
            self._shares.put(share)
            with self._changed:
                self._took_s[request.spec, request.verb] = time.monotonic() - began
                self._busy.discard(request.spec)
                self._changed.notify_all()
            self._responses.put(found)

    def _next(self) -> Request | None:
        """Return the first request to a worker that is free; `None` when the dispatcher is left."""
        with self._changed:
            while not self._closed:
                for request in self._pending:
                    if request.spec not in self._busy:
                        self._pending.remove(request)
                        self._busy.add(request.spec)
                        return request
                self._changed.wait()
        return None


def answered(workers: Workers, request: Request, share: Sequence[int] | None = None) -> Response:
    """Send a request, by itself or on a share of the processors, and return the response to it."""
    spec, verb, deadline_s, params = request.spec, request.verb, request.deadline_s, request.params
    try:
        if share is None:
            found = workers.request(spec, verb, deadline_s, **params)
        else:
            found = workers.request_on(share, spec, verb, deadline_s, **params)
    except WorkerError as error:
        return Response(request, {}, error)
    return Response(request, found)
