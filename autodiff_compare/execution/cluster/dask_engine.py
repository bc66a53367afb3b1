"""``--on dask://HOST:PORT``: one node beside each worker of a dask scheduler, for as long as the run takes.

A node is started by a task, bound to its worker, which carries lines between the node and two queues of the scheduler.
Nothing but text is pickled: the task is named, and looked up on the worker, so that the scheduler, which unpickles what
it is given, needs no package of this project.
"""

from __future__ import annotations

import contextlib
import operator
import pkgutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, final
from urllib.parse import urlsplit

from distributed import Client, Queue, get_client

from autodiff_compare.execution.cluster.engine import Channel, Engine, EngineError, end_node, start_node

#: Seconds to reach the scheduler, and between two looks at whether a worker that sends nothing is still there.
_REACH_S, _LOOK_S = 20.0, 2.0
#: Seconds between two blank orders, which say that the coordinator lives, and without one until a node is ended.
_PULSE_S, _PATIENCE_S = 5.0, 60.0
#: Failures of a scheduler that is gone: a client that has given up has no scheduler, and knows of no workers.
_GONE = (OSError, RuntimeError, AttributeError, KeyError)


@final
class DaskEngine(Engine):
    """The workers of a dask scheduler.

    Raises
    ------
    EngineError
        If no scheduler answers at the address.
    """

    def __init__(self, address: str) -> None:
        try:
            self._client = Client(address, timeout=_REACH_S, set_as_default=False)
        except _GONE as error:
            raise EngineError(
                f"got --on dask://{address}, where no scheduler answers: start one with dask scheduler"
            ) from error
        self._address = address
        self.notes = [f"dashboard of the scheduler: {self._client.dashboard_link}"]

    def places(self) -> Sequence[str]:
        with self.reached():
            return list(self._client.scheduler_info(n_workers=-1)["workers"])

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Turn failures of a scheduler that is gone into an `EngineError`."""
        try:
            yield
        except _GONE as error:
            raise EngineError(f"the scheduler dask://{self._address} has disappeared") from error

    def hosts(self) -> Sequence[str]:
        found = list({urlsplit(place).hostname: place for place in self.places()}.values())
        if not found:
            start = f"dask worker tcp://{self._address}"
            raise EngineError(f"got --on dask://{self._address}, whose scheduler has no worker: start one with {start}")
        return found

    def open(self, place: str) -> Channel:
        with self.reached():
            return _DaskChannel(self, self._client, place)

    def close(self) -> None:
        with contextlib.suppress(*_GONE):
            self._client.close()


class _DaskChannel(Channel):
    def __init__(self, engine: DaskEngine, client: Client, place: str) -> None:
        self._engine, self._place, name = engine, place, f"autodiff-compare-{uuid.uuid4().hex}"
        self._orders, self._lines = Queue(f"{name}-orders", client), Queue(f"{name}-lines", client)
        there: Any = {"workers": [place], "allow_other_workers": False, "pure": False, "retries": 0}
        found = client.submit(pkgutil.resolve_name, f"{__name__}:{carry.__name__}", key=f"{name}-carry", **there)
        self._future = client.submit(operator.call, found, name, key=name, **there)

    def send(self, line: str) -> None:
        with self._engine.reached():
            self._orders.put(line)

    def lines(self) -> Iterator[str]:
        pulse = time.monotonic()
        with contextlib.suppress(EngineError, *_GONE):
            while True:
                line = self._next()
                if line is not None:
                    yield line
                elif self._future.done() or self._place not in self._engine.places():
                    return
                if time.monotonic() > pulse + _PULSE_S:
                    pulse = time.monotonic()
                    self._orders.put(" ")

    def _next(self) -> str | None:
        try:
            return str(self._lines.get(timeout=_LOOK_S))
        except TimeoutError:
            return None

    def stop(self) -> None:
        with contextlib.suppress(*_GONE):
            self._orders.put("")

    def close(self) -> None:
        self.stop()
        with contextlib.suppress(EngineError, *_GONE):
            if self._place not in self._engine.places():
                self._orders.close()
            self._lines.close()
            self._future.release()

    def lives(self) -> bool:
        # Without an order there is no pulse.
        return not self._future.done()

    def why(self) -> str:
        if self._future.status == "error":
            return f"{self._place}: {self._future.exception()}"
        return f"{self._place} has left the scheduler"


def carry(name: str) -> str:
    """Carry lines between the queues of a channel and a node beside this worker, until an empty order comes."""
    client = get_client()
    orders, lines = Queue(f"{name}-orders", client), Queue(f"{name}-lines", client)
    with tempfile.TemporaryFile() as stderr:
        node = start_node(stderr)
        feeder = threading.Thread(target=_feed, args=(orders, node), daemon=True)
        feeder.start()
        assert node.stdout is not None
        try:
            for line in node.stdout:
                lines.put(line.decode().rstrip("\n"))
        finally:
            end_node(node)
        stderr.seek(0)
        said: list[Any] = stderr.read().decode("utf-8", "replace").strip().splitlines()
    return f"ended with {node.wait()}" + (f": {said[-1]}" if said else "")


def _feed(orders: Queue, node: subprocess.Popen[bytes]) -> None:
    """Hand orders to a node until an empty one comes, or none for so long that the coordinator must be gone."""
    assert node.stdin is not None
    with contextlib.suppress(*_GONE):
        while node.poll() is None and (line := orders.get(timeout=_PATIENCE_S)):
            if line.strip():
                node.stdin.write(line.encode() + b"\n")
                node.stdin.flush()
        orders.close()
    end_node(node)
