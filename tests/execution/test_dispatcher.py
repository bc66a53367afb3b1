"""Requests side by side: which overlap, on which processors, in which order, and how they end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from autodiff_compare.execution.dispatcher import Dispatcher, Request
from autodiff_compare.process.client import WorkerError
from autodiff_compare.vocabulary import Status
from tests.processes import heard, until


class FakeWorkers:
    """Workers that note who computes beside whom, and wait where they are told to."""

    def __init__(self, shares: Sequence[Sequence[int]]) -> None:
        self.shares = shares
        self.lock = threading.Lock()
        self.now: list[tuple[str, int]] = []
        self.begun: list[tuple[str, str]] = []
        self.together: threading.Barrier | None = None
        self.killed = threading.Event()

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        assert not self.now, "nothing else is computed"
        self.begun.append((spec, verb))
        if verb == "dies":
            raise WorkerError(Status.CRASH, "died")
        return {"spec": spec, "deadline_s": deadline_s, **params}

    def request_on(
        self, share: Sequence[int], spec: str, verb: str, deadline_s: float, **params: Any
    ) -> dict[str, Any]:
        (processor,) = share
        with self.lock:
            assert not any(spec == other or processor == place for other, place in self.now)
            self.now.append((spec, processor))
            self.begun.append((spec, verb))
        try:
            if verb == "waits" and self.together is not None:
                self.together.wait()
            if verb == "hangs":
                assert self.killed.wait(60.0)
                raise WorkerError(Status.CRASH, "killed")
            if verb == "breaks":
                raise ZeroDivisionError("a bug of ours")
            if verb == "dies":
                raise WorkerError(Status.CRASH, "died")
        finally:
            with self.lock:
                self.now.remove((spec, processor))
        return {"spec": spec, "deadline_s": deadline_s, **params}

    def expected_s(self, spec: str) -> float:
        return {"tensorflow": 5.0, "torch": 2.0}.get(spec, 0.0)

    def kill(self) -> None:
        self.killed.set()


def asked(*words: str) -> list[Request]:
    """Return requests from texts such as ``numpy cell``, each about its own text."""
    return [Request(word, *word.split(), deadline_s=5.0, params={"word": word}) for word in words]


@pytest.mark.parametrize("places", [2, 3, 5])
def test_different_workers_compute_at_the_same_time_on_processors_of_their_own(places: int) -> None:
    workers = FakeWorkers([[i] for i in range(places)])
    workers.together = threading.Barrier(2, timeout=60.0)
    with Dispatcher(workers) as dispatcher:
        dispatcher.ask(asked("numpy waits", "jax waits"))
        found = [dispatcher.response() for _ in range(2)]
    assert sorted(r.found["spec"] for r in found) == ["jax", "numpy"]
    assert all(r.found["word"] == r.request.about and r.found["deadline_s"] == 5.0 for r in found)


@pytest.mark.parametrize("places", [0, 2, 3])
def test_requests_to_one_worker_keep_their_order(places: int) -> None:
    workers = FakeWorkers([[i] for i in range(places)])
    with Dispatcher(workers) as dispatcher:
        for verb in ("first", "second", "third"):
            dispatcher.ask(asked(f"numpy {verb}", f"jax {verb}"))
        for _ in range(6):
            dispatcher.response()
    for spec in ("numpy", "jax"):
        assert [verb for s, verb in workers.begun if s == spec] == ["first", "second", "third"]


def test_without_shares_a_request_is_sent_when_its_response_is_wanted() -> None:
    workers = FakeWorkers([])
    with Dispatcher(workers) as dispatcher:
        dispatcher.ask(asked("numpy cell", "jax cell"))
        assert workers.begun == []
        assert dispatcher.response().request.spec == "numpy"
        assert workers.begun == [("numpy", "cell")]
        with dispatcher.share():
            assert dispatcher.response().request.spec == "jax"


@pytest.mark.parametrize(
    ("took_s", "order"),
    [
        ({}, ["tensorflow", "torch", "numpy", "jax"]),
        ({"jax": 3.0, "torch": 0.1, "tensorflow": 1.0, "numpy": 0.0}, ["jax", "tensorflow", "torch", "numpy"]),
        # What is known of a worker goes before what is expected of its import.
        ({"jax": 3.0, "torch": 0.1}, ["tensorflow", "jax", "torch", "numpy"]),
    ],
)
def test_the_worker_that_is_expected_to_take_longest_comes_first(
    took_s: dict[str, float], order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = FakeWorkers([[0]])
    with Dispatcher(workers) as dispatcher:
        monkeypatch.setattr(dispatcher, "_took_s", {(spec, "cell"): seconds for spec, seconds in took_s.items()})
        dispatcher.ask(asked("numpy cell", "torch cell", "jax cell", "tensorflow cell"))
        for _ in range(4):
            dispatcher.response()
    assert [spec for spec, _ in workers.begun] == order


def test_the_judge_holds_a_share_while_workers_compute() -> None:
    workers = FakeWorkers([[0], [1]])
    with Dispatcher(workers) as dispatcher, dispatcher.share():
        dispatcher.ask(asked("numpy cell", "jax cell"))
        for _ in range(2):
            dispatcher.response()
    assert sorted(workers.begun) == [("jax", "cell"), ("numpy", "cell")]


@pytest.mark.parametrize("places", [0, 2])
def test_a_failure_is_the_response_of_its_own_request(places: int) -> None:
    with Dispatcher(FakeWorkers([[i] for i in range(places)])) as dispatcher:
        dispatcher.ask(asked("numpy dies", "jax cell"))
        found = {r.request.spec: r for r in (dispatcher.response() for _ in range(2))}
    assert str(found["numpy"].error) == "died"
    assert found["jax"].error is None


def test_an_error_of_our_own_reaches_the_caller() -> None:
    with Dispatcher(FakeWorkers([[0], [1]])) as dispatcher:
        dispatcher.ask(asked("numpy breaks"))
        with pytest.raises(ZeroDivisionError, match="a bug of ours"):
            dispatcher.response()


def test_an_interrupted_run_ends_the_workers_that_it_waits_for() -> None:
    workers = FakeWorkers([[0], [1]])

    def interrupted() -> None:
        with Dispatcher(workers) as dispatcher:
            dispatcher.ask(asked("numpy hangs", "jax hangs", "manual cell"))
            until(lambda: len(workers.begun) == 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert workers.killed.is_set()
    assert ("manual", "cell") not in workers.begun


@pytest.mark.parametrize("waits_for", ["response", "share"])
def test_an_interruption_that_another_thread_gets_ends_the_wait(waits_for: str) -> None:
    """The system gives a signal to any thread when a process that was stopped goes on."""
    workers = FakeWorkers([[0], [1]])

    def get() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    hears = heard(signal.SIGINT, signal.default_int_handler)
    with hears, pytest.raises(KeyboardInterrupt), Dispatcher(workers) as dispatcher:  # noqa: PT012
        dispatcher.ask(asked("numpy hangs", "jax hangs"))
        until(lambda: len(workers.begun) == 2)  # each holds a share
        threading.Thread(target=get).start()
        if waits_for == "response":
            dispatcher.response()
        with dispatcher.share():
            pass
    assert workers.killed.is_set()
