"""Calls of functions on the hosts of an engine: each is a task, whose records come back in the order of the tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodiff_compare.execution.cluster.coordinator import Coordinator, Task
from autodiff_compare.execution.cluster.engine import Engine
from autodiff_compare.execution.display import Silent
from autodiff_compare.process.environment import program_digest
from autodiff_compare.vocabulary import Status


class Call(Task):
    """A call of a function that a node knows by name (`autodiff_compare.execution.cluster.calls`).

    Parameters
    ----------
    name
        Name of the task in messages.
    function, parameters
        What is called.
    place
        The place at which it is called; empty for any.

    Attributes
    ----------
    records
        What the function has yielded.
    host
        Name of the host that has called it.
    failure
        Why it was given up; empty if it was completed.
    """

    def __init__(self, name: str, function: str, parameters: Mapping[str, Any], place: str = "") -> None:
        super().__init__(name, place)
        self.function, self.parameters, self.code = function, parameters, program_digest()
        self.records: list[dict[str, Any]] = []
        self.host, self.failure = "", ""
        self.listener = Silent()

    def order(self) -> Mapping[str, Any]:
        # A second node begins anew.
        self.records = []
        return {"unit": self.name, "call": self.function, "parameters": self.parameters, "code": self.code}

    def receive(self, told: Mapping[str, Any], host: str) -> None:
        self.host = host
        if "record" in told:
            self.records.append(told["record"])

    def completed(self, end: Mapping[str, Any]) -> None:
        del end
        self.listener.piece_done()

    def given_up(self, status: Status, message: str) -> None:
        self.listener.piece_done()
        self.failure = f"{status}: {message}"


def called(
    engine: Engine, calls: Sequence[Call], listener: Silent, limit_s: float | None = None, noun: str = "part"
) -> Sequence[Call]:
    """Have calls made, wherever a host is free, and return them."""
    listener.begin(len(calls), len(calls))
    for call in calls:
        call.listener = listener
    Coordinator(engine, calls, listener, limit_s, noun).run()
    return calls


def visits(engine: Engine, function: str, parameters: Mapping[str, Any]) -> list[Call]:
    """Return a call on each host of an engine."""
    return [Call(f"{function} of {place}", function, parameters, place) for place in engine.hosts()]
