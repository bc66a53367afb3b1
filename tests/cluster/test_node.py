"""The node within this process: the end of its orders, and the time limit of a unit, whenever they come."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from autodiff_compare.execution.cluster import node
from autodiff_compare.results.rows import MachineRow
from tests.processes import heard
from tests.report.blank import blank


def test_an_order_is_not_begun_once_the_pipe_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinator may have gone between an order and its beginning: nobody else would end what is carried out."""
    completed: list[Mapping[str, Any]] = []

    def carry_out(_: node.Node, order: Mapping[str, Any]) -> None:
        threading.Event().wait(60)
        completed.append(order)

    monkeypatch.setattr(node.Node, "carry_out", carry_out)
    # Begun before the other thread has seen the end, it is interrupted.
    with heard(signal.SIGTERM, signal.default_int_handler), contextlib.suppress(KeyboardInterrupt):
        node.serve(io.StringIO('{"unit": "u"}\n'), io.StringIO())
    assert completed == []


def test_the_time_limit_of_a_unit_holds_after_an_exception_that_python_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may arrive in a destructor, where Python prints the exception and goes on."""
    monkeypatch.setattr(node, "_AGAIN_S", 0.05)

    def work() -> None:
        with contextlib.suppress(node.UnitTimeout):
            threading.Event().wait(60)
        threading.Event().wait(60)
        raise AssertionError("nobody ended it")

    with pytest.raises(node.UnitTimeout), node._limited(0.05):
        work()


def test_words_of_two_workers_that_are_opened_at_the_same_time_stand_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = node.Stream(lambda line: None)
    stream.machine = blank(MachineRow, key="here")
    add_words = node.with_words

    def slow(row: MachineRow, told: Mapping[str, str]) -> Any:
        found = add_words(row, told)
        if told == {"onednn": "on"}:
            other.start()
            other.join(0.2)
        return found

    other = threading.Thread(target=stream.amend, args=({"onednn": "off"},))
    monkeypatch.setattr(node, "with_words", slow)
    stream.amend({"onednn": "on"})
    other.join()
    assert stream.machine.onednn == "off on"
