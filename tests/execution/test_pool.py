"""The workers of a run: imports side by side, their failures, and the settings under which they are made in turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autodiff_compare import backends
from autodiff_compare.execution import pool as pool_module
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.process.client import WorkerError
from autodiff_compare.results.store import RunFolder
from autodiff_compare.vocabulary import Status
from tests.execution.test_faults import FAULTY, QUADRATIC

SPECS = ["manual", "numpy", "finite_difference"]


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
        elif verb == "probe":
            assert FakeClient.importing == 0, "a probe is a measurement: nothing may be imported meanwhile"
        with self.lock:
            self.asked.append((self.spec, verb, params.get("processors", [])))
        if verb == "open" and self.spec in self.fails:
            raise self.fails.pop(self.spec)
        probed = {"threads": 1.0, "threads_active": 1} if verb == "probe" or params.get("probe", True) else {}
        return {"switches": {}, "seconds": 0.1, "calls": 1, **probed}

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

    def make(processors: int, **settings: Any) -> Pool:
        monkeypatch.setattr(pool_module, "WorkerClient", FakeClient)
        monkeypatch.setattr(pool_module, "processors", lambda: list(range(processors)))
        return Pool(plan(Query([QUADRATIC], SPECS, ["value"])), Settings(open_timeout_s=10.0, **settings), folder)

    yield make
    folder.close()


def test_imports_are_side_by_side_on_processors_of_their_own_and_probes_are_not(made: Any) -> None:
    pool = made(4)
    FakeClient.reset(together=3)
    pool.open_all(SPECS)
    opened = {spec: place for spec, verb, place in FakeClient.asked if verb == "open"}
    assert sorted(opened.values()) == [[0], [1], [2]]
    assert FakeClient.most == 3
    # The probes come last, in the order of the backends, on the common processor.
    assert FakeClient.asked[3:] == [(spec, "probe", [0]) for spec in SPECS]
    assert pool.threads == dict.fromkeys(SPECS, 1.0)
    for spec in SPECS:
        pool.request(spec, "calibrate", 1.0)
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
    pool.open_all(SPECS)
    assert 1 <= FakeClient.most <= most
    places = {tuple(place) for _, verb, place in FakeClient.asked if verb == "open"}
    assert all(len(place) == settings.get("threads", 1) for place in places)
    assert sorted(pool.threads) == sorted(SPECS)


def test_the_slowest_import_is_begun_first(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"manual": 1.0, "numpy": 2.0, "finite_difference": 3.0}
    real = backends.load

    def load(text: str) -> Any:
        backend = real(text)
        monkeypatch.setattr(type(backend), "import_s", seconds[backend.name])
        return backend

    monkeypatch.setattr(backends, "load", load)
    pool = made(2)
    # In one thread the imports follow each other in the order in which they are begun.
    FakeClient.reset()
    monkeypatch.setattr(pool_module, "ThreadPoolExecutor", lambda _: ThreadPoolExecutor(1))
    pool.open_all(SPECS)
    assert [spec for spec, verb, _ in FakeClient.asked if verb == "open"] == ["finite_difference", "numpy", "manual"]


@pytest.mark.parametrize(
    ("processors", "settings"),
    [
        (1, {}),
        (3, {"threads": 2}),
        (4, {"imports_alone": True}),
        (4, {"isolate": Isolate.CELL}),
        (4, {"isolate": Isolate.NONE}),
    ],
)
def test_imports_are_made_in_turn_when_first_needed(processors: int, settings: dict[str, Any], made: Any) -> None:
    pool = made(processors, **settings)
    FakeClient.reset()
    pool.open_all(SPECS)
    assert FakeClient.asked == []
    pool.request("numpy", "calibrate", 1.0)
    common = list(range(min(processors, settings.get("threads", 1))))
    assert [(verb, place) for _, verb, place in FakeClient.asked] == [("open", common), ("calibrate", common)]


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
def test_a_failed_import_costs_the_next_request_of_its_backend(
    error: WorkerError, second: str, patience: float | None, made: Any
) -> None:
    pool = made(4)
    FakeClient.reset({"numpy": error})
    pool.open_all(SPECS)
    found = []
    for spec in ("manual", "numpy", "numpy"):
        try:
            pool.request(spec, "calibrate", 1.0)
        except WorkerError as raised:
            found.append(str(raised.status))
        else:
            found.append("ok")
    assert found == ["ok", str(error.status), second]
    # The other imports were not hurried or delayed; the second try has the patience that the failure asks for.
    assert FakeClient.deadlines == [10.0] * 3 + ([] if patience is None else [patience])


def test_several_slow_imports_side_by_side_double_the_patience_once(made: Any) -> None:
    pool = made(4)
    FakeClient.reset({spec: WorkerError(Status.TIMEOUT, "no response", fatal=True) for spec in SPECS})
    pool.open_all(SPECS)
    for spec in SPECS:
        with pytest.raises(WorkerError, match="not imported within 10 s: give --open-timeout"):
            pool.request(spec, "calibrate", 1.0)
        pool.request(spec, "calibrate", 1.0)
    assert FakeClient.deadlines == [10.0] * 3 + [20.0] * 3


def test_a_restarted_pool_imports_side_by_side_again(made: Any) -> None:
    pool = made(4)
    FakeClient.reset()
    for _ in range(2):
        pool.open_all(SPECS)
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
    killed = threading.Event()

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    def importing(client: FakeClient, _: float) -> None:
        assert killed.wait(60.0), "the pool waits for its threads, so it must end what they wait for"

    monkeypatch.setattr(pool_module, "wait", interrupted)
    monkeypatch.setattr(FakeClient, "_import", importing)
    monkeypatch.setattr(FakeClient, "kill", lambda client: killed.set(), raising=False)
    pool = made(4)
    FakeClient.reset()
    with pytest.raises(KeyboardInterrupt):
        pool.open_all(SPECS)
    pool.close()
