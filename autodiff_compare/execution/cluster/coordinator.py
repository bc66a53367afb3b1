"""The coordinator: hands tasks to the places of an engine, and what comes back to the tasks, in one thread.

Each place has a thread of its own, which opens a channel, sends an order and passes on its lines. All decisions, and
all writing, are made by the thread that calls `Coordinator.run`.

*Loss.* A node whose lines end before its order did is lost, and a node may refuse an order or fail at it. The task is
then sent once more, to another host if there is one; what came of it before is kept. A task that is lost twice is given
up, and the others go on. A task that took too long is given up at once: it would again.

*Interruption.* When `Coordinator.run` is left by an exception, such as Ctrl-C, all nodes are asked to end what they do.
"""

from __future__ import annotations

import abc
import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from autodiff_compare.execution.cluster.engine import GRACE_S, Channel, Engine, EngineError
from autodiff_compare.execution.display import Silent
from autodiff_compare.process import protocol
from autodiff_compare.results.formatting import plural
from autodiff_compare.vocabulary import Status

#: Times that a task is sent.
_TRIES = 2
#: Seconds between two looks at the places that an engine has.
_LOOK_S = 1.0


class ReceivedError(ValueError):
    """Raised by a task for a line that does not belong to it; the message says what is wrong."""


class Task(abc.ABC):
    """A piece of work for one node.

    Parameters
    ----------
    name
        Its name in messages.
    place
        The place at which it must be done; empty for any.
    """

    def __init__(self, name: str, place: str = "") -> None:
        self.name, self.place = name, place
        self.tries = 0
        #: Hosts that have lost or refused it.
        self.avoid: set[str] = set()

    @abc.abstractmethod
    def order(self) -> Mapping[str, Any]:
        """Return what is sent now; what has come of it before need not come again."""

    @abc.abstractmethod
    def receive(self, told: Mapping[str, Any], host: str) -> None:
        """Take up a line of the node.

        Raises
        ------
        ReceivedError
            If the line is none that this task may get.
        """

    @abc.abstractmethod
    def given_up(self, status: Status, message: str) -> None:
        """Take note that it will not be completed."""

    def completed(self, end: Mapping[str, Any]) -> None:  # noqa: B027 - there may be nothing to note
        """Take note that it is completed.

        Raises
        ------
        ReceivedError
            If something of it is missing.
        """


@dataclass
class _Place:
    """What the coordinator knows of a place: its thread, channel, host and task."""

    inbox: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    channel: Channel | None = None
    host: str = ""
    task: Task | None = None
    thread: threading.Thread | None = None
    #: Why nothing more is taken of the order; empty if all is.
    refused: str = ""


class Coordinator:
    """Hands tasks to the places of an engine.

    Parameters
    ----------
    engine
        Where they are carried out.
    tasks
        The tasks, in the order in which they are handed out.
    listener
        Is told what is done.
    limit_s
        Seconds after which a node ends a task; `None` for no limit.
    noun
        What a task is called in messages.
    """

    def __init__(
        self,
        engine: Engine,
        tasks: Sequence[Task],
        listener: Silent | None = None,
        limit_s: float | None = None,
        noun: str = "unit",
    ) -> None:
        self._noun = noun
        self._engine, self._listener, self._limit_s = engine, listener or Silent(), limit_s
        self._waiting, self._all, self._ended = list(tasks), len(tasks), 0
        self._places: dict[str, _Place] = {}
        self._known: Sequence[str] = ()
        self._look_at = 0.0
        self._closing = False
        self._events: queue.SimpleQueue[tuple[str, Mapping[str, Any] | str]] = queue.SimpleQueue()

    def run(self) -> None:
        """Have all tasks carried out; return when each is completed or given up."""
        try:
            while self._ended < self._all:
                try:
                    self._hand_out()
                except EngineError as error:
                    self._give_up_all(str(error))
                    return
                with contextlib.suppress(queue.Empty):
                    self._handle(*self._events.get(timeout=_LOOK_S))
        finally:
            self._close()

    @property
    def _hosts(self) -> set[str]:
        return {place.host for place in self._places.values() if place.host}

    def _hand_out(self) -> None:
        """Give waiting tasks to places that have none."""
        if time.monotonic() > self._look_at:
            self._known = self._engine.places()
            self._look_at = time.monotonic() + _LOOK_S
            self._give_up_absent()
            if not self._known:
                self._listener.doing("waiting for a host")
        for name in self._known:
            place = self._places.get(name)
            if place is not None and place.task is not None:
                continue
            task = next((t for t in self._waiting if self._fits(t, name)), None)
            if task is not None:
                self._waiting.remove(task)
                self._give(name, task)

    def _give_up_absent(self) -> None:
        """Give up the tasks that wait for a place which is gone: a worker that is started anew is another place."""
        for task in [task for task in self._waiting if task.place and task.place not in self._known]:
            self._waiting.remove(task)
            task.given_up(Status.CRASH, f"node lost: {task.place} is no longer there")
            self._ended += 1

    def _fits(self, task: Task, name: str) -> bool:
        """Return whether a place may have a task: not one whose host lost it, while there is another host."""
        if task.place:
            return task.place == name
        hosts = {other: self._places[other].host if other in self._places else "" for other in self._known}
        return hosts[name] not in task.avoid or all(host in task.avoid for host in hosts.values())

    def _give(self, name: str, task: Task) -> None:
        place = self._places.setdefault(name, _Place())
        place.task, place.refused = task, ""
        task.tries += 1
        order = {**task.order(), **self._engine.told(name), "limit_s": self._limit_s}
        if place.thread is None:
            place.inbox, place.channel = queue.SimpleQueue(), None
            place.thread = threading.Thread(target=self._serve, args=(name, place), daemon=True)
            place.thread.start()
        place.inbox.put(protocol.encode(order))
        self._tell()

    def _serve(self, name: str, place: _Place) -> None:
        """Send the orders of a place, and pass on the lines, until the node is lost or none comes any more."""
        why = ""
        try:
            while (order := place.inbox.get()) is not None:
                channel = self._channel(name, place)
                if self._closing:
                    # Whoever closes has not seen a channel that was opened meanwhile.
                    break
                channel.send(order)
                if not self._pass_on(name, channel.lines()):
                    why = channel.why() or "it answers no more"
                    break
                if self._engine.once:
                    channel.close()
                    place.channel = None
        except EngineError as error:
            why = str(error)
        except Exception as error:  # of an engine's library: it costs this place, and its task goes elsewhere
            why = f"{type(error).__name__}: {error}"
        if place.channel is not None:
            place.channel.close()
        if why:
            # The last that this thread does: the place may get another one now.
            self._events.put((name, why))

    def _channel(self, name: str, place: _Place) -> Channel:
        """Return the channel of a place; a new one if its node has ended, which it may while it has no order."""
        if place.channel is not None and not place.channel.lives():
            place.channel.close()
            place.channel = None
        if place.channel is None:
            place.channel = self._engine.open(name)
        return place.channel

    def _pass_on(self, name: str, lines: Iterator[str]) -> bool:
        """Pass on lines up to the end of an order; return whether it came."""
        for line in lines:
            try:
                told = protocol.decode(line)
            except protocol.ProtocolError:
                return False
            if not isinstance(told, dict):
                return False
            self._events.put((name, told))
            if "end" in told:
                return True
        return False

    def _handle(self, name: str, told: Mapping[str, Any] | str) -> None:
        """Take up an event of a place: a line of its node, or in words why it is lost."""
        place = self._places[name]
        if isinstance(told, str):
            place.thread = None
            self._end(place, Status.CRASH, f"node lost: {place.host or name}: {told}")
        elif "hello" in told:
            place.host = str(told["hello"]["host"])
        elif place.task is not None and told.get("unit") == place.task.name:
            try:
                if "end" in told:
                    self._completed(place, place.task, told["end"])
                elif not place.refused:
                    place.task.receive(told, place.host)
                    self._tell(str(told.get("doing", "")))
            except ReceivedError as error:
                # Nothing more is taken of this order; the node is left to end it.
                place.refused = f"{place.host}: {error}"
                if "end" in told:
                    self._end(place, Status.ERROR, place.refused)

    def _completed(self, place: _Place, task: Task, end: Mapping[str, Any]) -> None:
        """Take up the end of an order."""
        if place.refused:
            self._end(place, Status.ERROR, place.refused)
        elif end["status"]:
            self._end(place, Status(end["status"]), f"{place.host}: {end['message']}")
        else:
            task.completed(end)
            place.task = None
            self._ended += 1
            self._tell()

    def _end(self, place: _Place, status: Status, why: str) -> None:
        """Send a task that was not completed once more, or give it up."""
        task, place.task = place.task, None
        if task is None:
            return
        task.avoid.add(place.host)
        if task.tries < _TRIES and status != Status.TIMEOUT:
            self._waiting.insert(0, task)
            self._listener.say(f"{task.name} is sent once more: {why}")
        else:
            task.given_up(status, why)
            self._ended += 1

    def _give_up_all(self, why: str) -> None:
        running = [place.task for place in self._places.values() if place.task is not None]
        for task in (*running, *self._waiting):
            task.given_up(Status.CRASH, f"node lost: {why}")
        self._listener.say(f"{plural(len(running) + len(self._waiting), self._noun)} given up: {why}")

    def _tell(self, what: str = "") -> None:
        hosts = len(self._hosts)
        on = f" on {plural(hosts, 'host')}" if hosts else ""
        self._listener.doing(f"{self._ended} of {plural(self._all, self._noun)}{on}" + (f": {what}" if what else ""))

    def _close(self) -> None:
        """End all nodes side by side: those that carry something out at once, the others by an end of orders."""
        self._closing = True
        for place in self._places.values():
            place.inbox.put(None)
        running = [p.channel for p in self._places.values() if p.task is not None and p.channel is not None]
        with ThreadPoolExecutor(max(len(running), 1)) as threads:
            list(threads.map(lambda channel: channel.stop(), running))
        for place in self._places.values():
            if place.thread is not None:
                place.thread.join(2 * GRACE_S)
