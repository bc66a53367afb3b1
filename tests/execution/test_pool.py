"""The workers of a run: imports side by side, their failures, and the settings under which they are made in turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autodiff_compare import backends
from autodiff_compare.execution import pool as pool_module
from autodiff_compare.execution.dispatcher import Dispatcher, Request
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.process.client import WorkerError
from autodiff_compare.results.store import RunFolder
from autodiff_compare.vocabulary import Status
from tests.execution.test_faults import FAULTY, QUADRATIC
from tests.execution.test_responses import GOOD

SPECS = ["manual", "numpy", "finite_difference"]
#: What a runner asks of a worker.
OF_A_RUN = ("open", "cell", "calibrate", "visit", "finish", "questions", "descend")


class FakeClient:
    """A worker that counts how many import at the same time, and may fail."""

    lock: ClassVar[threading.Lock] = threading.Lock()
    #: Requests in the order in which they end: backend, verb, processors.
    asked: ClassVar[list[tuple[str, str, list[int]]]]
    deadlines: ClassVar[list[float]]
    importing: ClassVar[int]
    most: ClassVar[int]
    fails: ClassVar[dict[str, WorkerError]]
    together: ClassVar[threading.Barrier | None]

    def __init__(self, spec: str, *_: object) -> None:
        self.spec = spec

    @classmethod
    def reset(cls, fails: dict[str, WorkerError] | None = None, together: int = 0) -> None:
        """Forget all counts; imports wait for each other if ``together`` are expected side by side."""
        cls.asked, cls.deadlines, cls.importing, cls.most, cls.fails = [], [], 0, 0, fails or {}
        cls.together = threading.Barrier(together, timeout=60.0) if together else None

    def request(self, verb: str, deadline_s: float, *_: object, **params: Any) -> dict[str, Any]:
        if verb == "open":
            self._import(deadline_s)
        with self.lock:
            self.asked.append((self.spec, verb, params.get("processors", [])))
        if verb == "open" and self.spec in self.fails:
            raise self.fails.pop(self.spec)
        return GOOD.get(verb, {})

    def _import(self, deadline_s: float) -> None:
        with self.lock:
            self.deadlines.append(deadline_s)
            FakeClient.importing += 1
            FakeClient.most = max(FakeClient.most, FakeClient.importing)
        if self.together is not None:
            self.together.wait()
        with self.lock:
            FakeClient.importing -= 1

    def pause(self) -> None:
        pass

    go_on = hang_up = close = kill = pause


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make pools of fake workers on a machine of so many processors."""
    folder = RunFolder(tmp_path)

    def make(processors: int | list[int], timed_on: tuple[int, ...] = (), **settings: Any) -> Pool:
        allowed = list(range(processors)) if isinstance(processors, int) else processors
        monkeypatch.setattr(pool_module, "WorkerClient", FakeClient)
        monkeypatch.setattr(pool_module, "processors", lambda: allowed)
        done = plan(Query([QUADRATIC], SPECS, ["value"]))
        return Pool(done, Settings(open_timeout_s=10.0, **settings), folder, timed_on=timed_on)

    yield make
    folder.close()


def ask_all(pool: Pool, verb: str = "calibrate") -> dict[str, str]:
    """Send a request to every backend side by side; return how each ended."""
    with Dispatcher(pool) as dispatcher:
        dispatcher.ask(Request(spec, spec, verb, 1.0) for spec in SPECS)
        found = [dispatcher.response() for _ in SPECS]
    return {r.request.spec: str(r.error.status) if r.error else "ok" for r in found}


def test_imports_are_side_by_side_on_processors_of_their_own(made: Any) -> None:
    pool = made(4)
    FakeClient.reset(together=3)
    assert ask_all(pool) == dict.fromkeys(SPECS, "ok")
    assert FakeClient.most == 3
    opened = {spec: place for spec, verb, place in FakeClient.asked if verb == "open"}
    assert len({*map(tuple, opened.values())}) == 3
    # The request that needs the import is served on the same processor.
    assert {spec: place for spec, verb, place in FakeClient.asked if verb == "calibrate"} == opened
    assert pool.threads == dict.fromkeys(SPECS, 1.0)
    ask_all(pool)
    assert [verb for _, verb, _ in FakeClient.asked].count("open") == 3


@pytest.mark.parametrize(
    ("processors", "settings", "most"),
    [(2, {}, 2), (4, {"threads": 2}, 2), (5, {"threads": 2}, 2)],
)
def test_no_more_imports_than_shares_of_processors(
    processors: int, settings: dict[str, Any], most: int, made: Any
) -> None:
    pool = made(processors, **settings)
    FakeClient.reset()
    ask_all(pool)
    assert 1 <= FakeClient.most <= most
    places = {tuple(place) for _, verb, place in FakeClient.asked if verb == "open"}
    assert all(len(place) == settings.get("threads", 1) for place in places)
    assert sorted(pool.threads) == sorted(SPECS)


def test_a_node_computes_on_its_own_processor_and_is_timed_on_the_common_one(made: Any) -> None:
    """Nodes of one host would otherwise compute on one processor, one after the other."""
    pool = made([3], timed_on=(0,))
    FakeClient.reset()
    ask_all(pool, "cell")
    for verb in ("calibrate", "visit", "finish", "questions", "descend"):
        pool.request("numpy", verb, 1.0)
    places = {verb: {tuple(place) for _, asked, place in FakeClient.asked if asked == verb} for verb in OF_A_RUN}
    assert places == {verb: {(3,)} for verb in OF_A_RUN} | {"visit": {(0,)}, "descend": {(0,)}}


def test_a_phase_that_is_measured_is_measured_on_the_common_processor(made: Any) -> None:
    for alone in ({"imports_alone": True}, {"preparations_alone": True}):
        pool = made([3], timed_on=(0,), **alone)
        FakeClient.reset()
        ask_all(pool, "cell")
        assert {(verb, *place) for _, verb, place in FakeClient.asked} == {("open", 0), ("cell", 0)}


def test_the_slowest_import_is_expected_to_last_longest_until_it_is_done(made: Any) -> None:
    pool = made(2)
    FakeClient.reset()
    assert backends.load("tensorflow").import_s > backends.load("torch").import_s > backends.load("jax").import_s
    assert pool.expected_s("numpy") == backends.load("numpy").import_s
    pool.request("numpy", "calibrate", 1.0)
    assert pool.expected_s("numpy") == 0.0


@pytest.mark.parametrize(
    ("processors", "settings"),
    [
        (1, {}),
        (3, {"threads": 2}),
        (4, {"preparations_alone": True}),
        (4, {"isolate": Isolate.CELL}),
        (4, {"isolate": Isolate.NONE}),
    ],
)
def test_imports_are_made_in_turn_when_first_needed(processors: int, settings: dict[str, Any], made: Any) -> None:
    pool = made(processors, **settings)
    FakeClient.reset()
    ask_all(pool)
    common = list(range(min(processors, settings.get("threads", 1))))
    assert [(verb, place) for _, verb, place in FakeClient.asked] == [("open", common), ("calibrate", common)] * 3
    assert FakeClient.most == 1


def test_imports_that_are_timed_alone_come_before_all_else(made: Any) -> None:
    pool = made(4, imports_alone=True)
    FakeClient.reset({"numpy": WorkerError(Status.CRASH, "died", fatal=True)})
    pool.import_alone(SPECS)
    assert FakeClient.asked == [(spec, "open", [0]) for spec in SPECS]
    assert ask_all(pool) == {**dict.fromkeys(SPECS, "ok"), "numpy": "crash"}


@pytest.mark.parametrize(
    ("processors", "settings", "shares"),
    [
        (4, {}, [[0], [1], [2], [3]]),
        # One for each backend and one for the judge: memory of far processors would be slow in the timed rounds.
        (9, {}, [[0], [1], [2], [3]]),
        (2, {}, [[0], [1]]),
        (5, {"threads": 2}, [[0, 1], [2, 3]]),
        (1, {}, []),
        (3, {"threads": 2}, []),
        (4, {"preparations_alone": True}, []),
        (4, {"imports_alone": True}, [[0], [1], [2], [3]]),
        (4, {"isolate": Isolate.CELL}, []),
        (4, {"isolate": Isolate.NONE}, []),
    ],
)
def test_shares_of_the_processors_for_preparations_side_by_side(
    processors: int, settings: dict[str, Any], shares: list[list[int]], made: Any
) -> None:
    assert made(processors, **settings).shares == shares


def test_a_worker_leaves_its_share_before_it_runs_alone(made: Any) -> None:
    pool = made(4)
    FakeClient.reset()
    pool.request_on([3], "numpy", "cell", 1.0)
    pool.request("numpy", "visit", 1.0)
    assert FakeClient.asked == [("numpy", "open", [3]), ("numpy", "cell", [3]), ("numpy", "visit", [0])]


@pytest.mark.parametrize(
    ("error", "second", "patience"),
    [
        (WorkerError(Status.CRASH, "died", fatal=True), "ok", 10.0),
        (WorkerError(Status.TIMEOUT, "no response to 'open'", fatal=True), "ok", 20.0),
        (WorkerError(Status.ERROR, "ImportError: libmissing.so"), "error", None),
    ],
)
def test_a_failed_import_costs_one_request_of_its_backend(
    error: WorkerError, second: str, patience: float | None, made: Any
) -> None:
    pool = made(4)
    FakeClient.reset({"numpy": error})
    assert ask_all(pool) == {**dict.fromkeys(SPECS, "ok"), "numpy": str(error.status)}
    assert ask_all(pool) == {**dict.fromkeys(SPECS, "ok"), "numpy": second}
    # The second try has the patience that the failure asks for.
    assert FakeClient.deadlines[3:] == ([] if patience is None else [patience])


def test_several_slow_imports_side_by_side_double_the_patience_once(made: Any) -> None:
    pool = made(4)
    FakeClient.reset({spec: WorkerError(Status.TIMEOUT, "no response", fatal=True) for spec in SPECS}, together=3)
    assert ask_all(pool) == dict.fromkeys(SPECS, "timeout")
    assert ask_all(pool) == dict.fromkeys(SPECS, "ok")
    assert FakeClient.deadlines == [10.0] * 3 + [20.0] * 3


def test_a_restarted_pool_imports_side_by_side_again(made: Any) -> None:
    pool = made(4)
    FakeClient.reset(together=3)
    for _ in range(2):
        ask_all(pool)
        pool.restart()
    rounds = sorted((s.cell_id, s.round) for s in pool.folder.rows["samples"])
    assert rounds == sorted((spec, number) for spec in SPECS for number in (0, 1))


def test_real_workers_import_side_by_side_and_one_that_dies_costs_its_row(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    made = plan(Query([QUADRATIC], ["manual", "numpy", f"{FAULTY}:no_import"], ["gradient"]))
    runner = Runner(made, Settings(rounds=0), folder)
    runner.run()
    folder.close()
    assert [(r.backend, r.status) for r in folder.rows["cells"]] == [
        ("manual", Status.OK),
        ("numpy", Status.OK),
        ("faulty", Status.ERROR),
    ]
    assert sorted(runner.pool.threads) == ["manual", "numpy"]


def test_an_interrupted_import_ends_its_workers_at_once(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    killed, begun = threading.Event(), threading.Semaphore(0)

    def importing(client: FakeClient, _: float) -> None:
        begun.release()
        assert killed.wait(60.0), "the run waits for its threads, so it must end what they wait for"

    monkeypatch.setattr(FakeClient, "_import", importing)
    monkeypatch.setattr(FakeClient, "kill", lambda client: killed.set())
    pool = made(2)
    FakeClient.reset()

    def interrupted() -> None:
        with Dispatcher(pool) as dispatcher:
            dispatcher.ask(Request(spec, spec, "cell", 1.0) for spec in SPECS)
            assert all(begun.acquire(timeout=60.0) for _ in range(2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    pool.close()


def test_a_worker_that_is_started_after_the_others_were_killed_is_killed_too(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[str] = []
    monkeypatch.setattr(FakeClient, "kill", lambda client: killed.append(client.spec))
    pool = made(2)
    FakeClient.reset()
    pool.kill()
    pool.request_on([1], "numpy", "cell", 1.0)
    assert killed == ["numpy"]
