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
from tests.processes import heard


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
