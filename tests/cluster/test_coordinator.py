"""The coordinator hands tasks to places, sends a lost one once more, and never lets one stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from autodiff_compare.execution.cluster.coordinator import Coordinator, ReceivedError, Task
from autodiff_compare.execution.cluster.engine import Channel, Engine, EngineError
from autodiff_compare.process import protocol
from autodiff_compare.vocabulary import Status

OK = {"status": "", "message": ""}
#: Place, name of the task, number of the order at this node -> what it does: lines, "dies", "hangs", or "leaves" once
#: it has ended the task.
Script = Callable[[str, str, int], Sequence[Any]]


class Noted(Task):
    """A task that notes what happens to it."""

    def __init__(self, name: str, place: str = "") -> None:
        super().__init__(name, place)
        self.came: list[Any] = []
        self.end: tuple[str, str] = ("", "")

    def order(self) -> Mapping[str, Any]:
        return {"unit": self.name}

    def receive(self, told: Mapping[str, Any], host: str) -> None:
        if told.get("record") == "not mine":
            raise ReceivedError("got a record that is not mine")
        self.came.append((host, told.get("record")))

    def completed(self, end: Mapping[str, Any]) -> None:
        self.end = ("completed", "")

    def given_up(self, status: Status, message: str) -> None:
        self.end = (status, message)


class Scripted(Engine):
    """Places whose nodes do what a script says; the host of a place is what follows its ``@``."""

    def __init__(self, places: Sequence[str], script: Script) -> None:
        self.now, self.script = list(places), script
        self.gone = False
        self.stopped = threading.Event()
        self.closed: list[str] = []

    def places(self) -> Sequence[str]:
        if self.gone:
            raise EngineError("the scheduler has disappeared")
        return self.now

    def open(self, place: str) -> Channel:
        return _ScriptedChannel(self, place)


class _ScriptedChannel(Channel):
    def __init__(self, engine: Scripted, place: str) -> None:
        self.engine, self.place, self.count, self.over = engine, place, 0, threading.Event()
        self.order: dict[str, Any] = {}
        self.left = False

    def lives(self) -> bool:
        return not self.left

    def send(self, line: str) -> None:
        self.order = protocol.decode(line)
        self.count += 1

    def lines(self) -> Iterator[str]:
        unit = self.order["unit"]
        yield protocol.encode({"hello": {"host": self.place.partition("@")[2] or "here", "pid": 1}})
        for told in self.engine.script(self.place, unit, self.count):
            if told == "dies" or (self.left and self.count > 1):
                return
            if told == "leaves":
                self.left = True
                continue
            if told == "hangs":
                self.over.wait(60)
                return
            yield told if isinstance(told, str) else protocol.encode({"unit": unit, **told})

    def stop(self) -> None:
        self.over.set()
        self.engine.stopped.set()

    def close(self) -> None:
        self.engine.closed.append(self.place)

    def why(self) -> str:
        return "ended with -9"


def carried_out(places: Sequence[str], tasks: Sequence[Task], script: Script) -> Scripted:
    engine = Scripted(places, script)
    Coordinator(engine, tasks).run()
    return engine


def test_every_task_is_done_once_and_gets_its_own_lines() -> None:
    tasks = [Noted(f"t{i}") for i in range(20)]
    carried_out(["a", "b", "c"], tasks, lambda place, unit, count: [{"record": unit}, {"end": OK}])
    assert [[record for _, record in task.came] for task in tasks] == [[task.name] for task in tasks]
    assert {task.end for task in tasks} == {("completed", "")}


def test_a_task_of_a_place_that_is_gone_is_given_up() -> None:
    """A worker that is started anew has another address: the place of the task would never be there again."""
    tasks = [Noted("t0", "a"), Noted("t1", "gone"), Noted("t2")]
    carried_out(["a", "b"], tasks, lambda place, unit, count: [{"end": OK}])
    lost = (Status.CRASH, "node lost: gone is no longer there")
    assert [task.end for task in tasks] == [("completed", ""), lost, ("completed", "")]


@pytest.mark.parametrize(
    ("first", "second", "tries", "end"),
    [
        ([{"record": 1}, "dies"], [{"record": 2}, {"end": OK}], 2, ("completed", "")),
        (["dies"], ["dies"], 2, (Status.CRASH, "node lost: here: ended with -9")),
        ([{"end": {"status": "error", "message": "disk full"}}], [{"end": OK}], 2, ("completed", "")),
        *[
            ([{"end": {"status": status, "message": "why"}}],) * 2 + (2, (status, "here: why"))
            for status in (Status.ERROR, Status.NOT_RUN)
        ],
        ([{"end": {"status": "timeout", "message": "too long"}}], [], 1, (Status.TIMEOUT, "here: too long")),
        ([{"record": "not mine"}, {"end": OK}], [{"end": OK}], 2, ("completed", "")),
        ([{"record": "not mine"}], ["dies"], 2, (Status.CRASH, "node lost: here: ended with -9")),
        (['{"half a line'], ["[1, 2]"], 2, (Status.CRASH, "node lost: here: ended with -9")),
    ],
)
def test_a_lost_task_is_sent_once_more(first: Any, second: Any, tries: int, end: tuple[str, str]) -> None:
    """The other tasks are done, whatever happens to it."""
    sent: list[int] = []

    def script(place: str, unit: str, count: int) -> Sequence[Any]:
        if unit != "lost":
            return [{"end": OK}]
        sent.append(count)
        found: Sequence[Any] = first if len(sent) == 1 else second
        return found

    lost, others = Noted("lost"), [Noted(f"t{i}") for i in range(5)]
    carried_out(["a"], [others[0], lost, *others[1:]], script)
    assert (lost.end, len(sent)) == (end, tries)
    assert {task.end for task in others} == {("completed", "")}


def test_a_node_that_ended_while_it_had_no_task_is_replaced() -> None:
    tasks = [Noted(f"t{i}") for i in range(3)]
    carried_out(["a"], tasks, lambda place, unit, count: ["leaves", {"end": OK}])
    assert [(task.end, task.tries) for task in tasks] == [(("completed", ""), 1)] * 3


def test_it_goes_to_another_host_if_there_is_one() -> None:
    hosts: list[str] = []

    def script(place: str, unit: str, count: int) -> Sequence[Any]:
        hosts.append(place)
        return ["dies"] if place.endswith("@bad") else [{"end": OK}]

    task = Noted("t")
    carried_out(["a@bad", "b@bad", "c@good"], [task], script)
    # Hosts are known once a node has said its name: the second place of the bad host may be tried, no third one is.
    assert task.end == ("completed", "") or hosts == ["a@bad", "b@bad"]
    both = [Noted("t0"), Noted("t1"), Noted("t2"), Noted("t3")]
    hosts.clear()
    carried_out(["a@bad", "c@good"], both, script)
    assert {task.end for task in both} == {("completed", "")}


def test_a_task_of_a_place_waits_for_it() -> None:
    tasks = [Noted("t0", "b"), Noted("t1", "b"), Noted("t2", "a")]
    seen: list[tuple[str, str]] = []

    def script(place: str, unit: str, count: int) -> Sequence[Any]:
        seen.append((place, unit))
        return [{"end": OK}]

    carried_out(["a", "b"], tasks, script)
    assert sorted(seen) == [("a", "t2"), ("b", "t0"), ("b", "t1")]


def test_a_scheduler_that_disappears_ends_every_task_that_is_left() -> None:
    engine = Scripted(["a"], lambda place, unit, count: [{"record": unit}, "hangs"] if unit == "t1" else [{"end": OK}])

    class Leaving(Noted):
        def receive(self, told: Mapping[str, Any], host: str) -> None:
            engine.gone = True

    tasks = [Noted("t0"), Leaving("t1"), Noted("t2")]
    Coordinator(engine, tasks).run()
    assert [task.end[0] for task in tasks] == ["completed", Status.CRASH, Status.CRASH]
    assert tasks[2].end[1] == "node lost: the scheduler has disappeared"


def test_an_interruption_ends_all_nodes() -> None:
    class Interrupting(Noted):
        def receive(self, told: Mapping[str, Any], host: str) -> None:
            raise KeyboardInterrupt

    engine = Scripted(["a", "b"], lambda place, unit, count: [{"record": 1}, "hangs"] if unit == "t1" else ["hangs"])
    with pytest.raises(KeyboardInterrupt):
        Coordinator(engine, [Noted("t0"), Interrupting("t1")]).run()
    assert set(engine.closed) == {"a", "b"}


def test_an_interruption_ends_a_node_that_is_being_opened() -> None:
    class Interrupting(Noted):
        def receive(self, told: Mapping[str, Any], host: str) -> None:
            raise KeyboardInterrupt

    class Slow(Scripted):
        def open(self, place: str) -> Channel:
            assert place == "a" or self.stopped.wait(60)
            return super().open(place)

    engine = Slow(["a", "b"], lambda place, unit, count: [{"record": 1}, "hangs"])
    with pytest.raises(KeyboardInterrupt):
        Coordinator(engine, [Interrupting("t0"), Interrupting("t1")]).run()
    assert set(engine.closed) == {"a", "b"}


def test_a_place_that_comes_later_gets_tasks() -> None:
    engine = Scripted([], lambda place, unit, count: [{"end": OK}])
    threading.Timer(0.2, engine.now.append, ["late"]).start()
    task = Noted("t")
    Coordinator(engine, [task]).run()
    assert task.end == ("completed", "")
