"""The two backends of an explanation are asked side by side."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from autodiff_compare.explaining import session
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings

PLAN = ("sphere", "numpy", "numpy:compiled")


class _Pool:
    """A pool without workers, whose requests wait for each other."""

    shares: Sequence[Sequence[int]] = [[0], [1], [2]]
    barrier = threading.Barrier(2)

    def __init__(self, *_: Any) -> None:
        self.killed = False

    def request_on(self, share: Sequence[int], spec: str, verb: str, deadline_s: float, **_: Any) -> dict[str, Any]:
        # Passes if the other request has been sent too.
        self.barrier.wait(deadline_s)
        return {"spec": spec, "share": list(share), "verb": verb}

    def request(self, spec: str, verb: str, deadline_s: float, **_: Any) -> dict[str, Any]:
        assert deadline_s > 0
        return {"spec": spec, "share": [], "verb": verb}

    def kill(self) -> None:
        pass


@pytest.mark.parametrize("shares", [[[0], [1], [2]], []], ids=["two processors", "one processor"])
def test_the_first_requests_are_sent_side_by_side_if_there_are_processors(
    monkeypatch: pytest.MonkeyPatch, shares: list[list[int]]
) -> None:
    monkeypatch.setattr(session, "passing_pool", lambda *_: contextlib.nullcontext(_Pool()))
    monkeypatch.setattr(_Pool, "shares", shares)
    problem, *specs = PLAN
    plan = session.planned(Query([problem], specs))
    with session._asking(plan, Settings(rounds=0), session.Silent()) as (ask, together):
        found: Any = together(lambda spec: [ask(spec, "cell", {})])
    assert [(answer["spec"], answer["share"]) for (answer,) in found] == [
        (spec, shares[i] if shares else []) for i, spec in enumerate(specs)
    ]
