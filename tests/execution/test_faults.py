"""Faults in a worker: each becomes the row of its own cell and costs no other cell."""

from __future__ import annotations

import errno
import math
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from autodiff_compare.execution import pool as pool_module
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process import client
from autodiff_compare.process.client import WorkerClient, WorkerError
from autodiff_compare.results.store import RunFolder
from autodiff_compare.timing.statistics import CONTENDED
from autodiff_compare.vocabulary import Status
from tests.processes import lives, until

HERE = pathlib.Path(__file__).parents[1] / "examples"
QUADRATIC, FAULTY = str(HERE / "quadratic.py"), str(HERE / "faulty_backend.py")


def run(tmp_path: pathlib.Path, specs: list[str], operators: list[str], **settings: object) -> RunFolder:
    folder = RunFolder(tmp_path)
    given = {"rounds": 0, "timeout_s": 120.0, "memory": False, **settings}
    Runner(plan(Query([QUADRATIC], specs, operators)), Settings(**given), folder).run()  # type: ignore[arg-type]
    folder.close()
    return folder


#: Fault -> the status its cell ends with, and words in the message.
ENDS = {
    "": (Status.OK, ""),
    "raises": (Status.ERROR, "RuntimeError: the sky is falling"),
    "unsupported": (Status.UNSUPPORTED, "not today"),
    "lacks": (Status.UNSUPPORTED, "no such kernel"),
    "no_import": (Status.ERROR, "ImportError: libmissing.so"),
    "segfault": (Status.CRASH, "SIGSEGV"),
    "abort": (Status.CRASH, "SIGABRT"),
    "killed": (Status.CRASH, "SIGKILL"),
    "exit": (Status.CRASH, "exit code 7"),
    "overallocates": (Status.OUT_OF_MEMORY, "allocate"),
    "nan": (Status.WRONG, ""),
    "inf": (Status.WRONG, ""),
    "zeros": (Status.WRONG, ""),
    "shape": (Status.WRONG, "shape"),
    "dtype": (Status.WRONG, "dtype"),
    "noise": (Status.OK, ""),
    "no_payload": (Status.ERROR, "the worker broke the protocol: got {'id': 2}"),
    "payload_of_a_list": (Status.ERROR, "the worker broke the protocol"),
    "unknown_status": (Status.ERROR, "the worker broke the protocol"),
    "empty_payload": (Status.ERROR, "malformed response to 'cell': got no result"),
    "nested": (Status.ERROR, "the worker broke the protocol"),
    "texts": (Status.ERROR, "got a result of dtype <U5, expected numbers"),
    "objects": (Status.ERROR, "got a result of dtype object, expected numbers"),
    "dates": (Status.ERROR, "expected numbers"),
    "segfault_with_children": (Status.CRASH, "SIGSEGV"),
    "half_line": (Status.ERROR, "the worker broke the protocol"),
    "half_line_and_exit": (Status.CRASH, "exit code 3"),
    "other_reply": (Status.OK, ""),
    # Zeros until the barrier is passed: it is judged, and would be wrong, only if nobody waited.
    "late": (Status.OK, ""),
    "mutates": (Status.WRONG, "input"),
}


@pytest.mark.parametrize("fault", ENDS)
def test_a_fault_becomes_its_row_and_the_other_backend_is_untouched(fault: str, tmp_path: pathlib.Path) -> None:
    spec = f"{FAULTY}:{fault}" if fault else FAULTY
    # Imported in turn, so that the cell is the second request: malformed replies carry its number.
    folder = run(tmp_path, [spec, "manual"], ["gradient"], imports_alone=True)
    rows = {row.backend: row for row in folder.rows["cells"]}
    status, words = ENDS[fault]
    assert rows["faulty"].status == status, rows["faulty"]
    assert words in rows["faulty"].message
    assert rows["manual"].status == Status.OK
    assert (status == Status.OK) == (rows["faulty"].message == "")


def with_deadlines(monkeypatch: pytest.MonkeyPatch, *hanging: str) -> None:
    """Give requests about the gradient that hang 3 s, and all others the time that they take on any machine."""
    request = WorkerClient.request

    def timed(worker: WorkerClient, verb: str, deadline_s: float, *given: Any, **params: Any) -> dict[str, Any]:
        hangs = verb in hanging and FAULTY in worker.spec and params.get("operator") in (None, "gradient")
        return request(worker, verb, 3.0 if hangs else max(deadline_s, 300.0), *given, **params)

    monkeypatch.setattr(WorkerClient, "request", timed)


@pytest.mark.parametrize("fault", ["spins", "spins_in_c", "sleeps", "stopped"])
def test_a_worker_that_does_not_answer_is_killed_at_its_deadline(
    fault: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_deadlines(monkeypatch, "cell")
    folder = run(tmp_path, [f"{FAULTY}:{fault}", "manual"], ["gradient"])
    statuses = {row.backend: row.status for row in folder.rows["cells"]}
    assert statuses == {"faulty": Status.TIMEOUT, "manual": Status.OK}


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [("segfault_later", Status.CRASH, "SIGSEGV"), ("sleeps_later", Status.TIMEOUT, "no response to '")],
)
def test_a_fault_while_being_timed_leaves_the_others_their_rounds(
    fault: str, status: Status, words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_deadlines(monkeypatch, "calibrate", "visit")
    folder = run(tmp_path, [f"{FAULTY}:{fault}", "manual"], ["gradient"], rounds=3)
    rows = {row.backend: row for row in folder.rows["cells"]}
    assert rows["faulty"].status == status
    assert rows["faulty"].message.startswith("while being timed: ")
    assert words in rows["faulty"].message
    assert rows["manual"].status == Status.OK
    assert {s.round for s in folder.rows["samples"] if s.phase == "steady" and "manual" in s.cell_id} == {0, 1, 2}


def test_a_worker_that_the_system_killed_for_memory_is_out_of_memory(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The count of /proc/vmstat: as the faulty worker starts, as it is found dead, as manual's starts.
    counts = iter([7, 8, 8])
    monkeypatch.setattr(client, "_memory_kills", lambda: next(counts))
    folder = run(tmp_path, [f"{FAULTY}:killed", "manual"], ["gradient"], preparations_alone=True)
    rows = {row.backend: row for row in folder.rows["cells"]}
    assert rows["faulty"].status == Status.OUT_OF_MEMORY
    assert "SIGKILL" in rows["faulty"].message
    assert "the system ran out of memory" in rows["faulty"].message
    assert rows["manual"].status == Status.OK


def test_a_worker_is_started_again_after_a_death(tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [f"{FAULTY}:segfault"], ["gradient", "value"])
    assert [(r.operator, r.status) for r in folder.rows["cells"]] == [("value", "ok"), ("gradient", "crash")]
    folder = run(tmp_path, [f"{FAULTY}:segfault"], ["gradient", "hessian", "value"])
    assert [r.status for r in folder.rows["cells"]] == ["ok", "crash", "unsupported"]


@pytest.mark.parametrize(
    ("fault", "status"), [("segfault", Status.CRASH), ("exit", Status.CRASH), ("sleeps", Status.TIMEOUT)]
)
def test_a_cell_that_waits_for_its_rounds_survives_the_death_of_its_worker(
    fault: str, status: Status, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The value is prepared first; the worker dies at the gradient, before the value is timed.
    with_deadlines(monkeypatch, "cell")
    folder = run(tmp_path, [f"{FAULTY}:{fault}", "manual"], ["value", "gradient"], rounds=2)
    statuses = {(row.operator, row.backend): row.status for row in folder.rows["cells"]}
    assert statuses == {
        ("value", "faulty"): Status.OK,
        ("value", "manual"): Status.OK,
        ("gradient", "faulty"): status,
        ("gradient", "manual"): Status.OK,
    }
    rounds = [(s.cell_id.split("/")[3:], s.round) for s in folder.rows["samples"] if s.phase == "steady"]
    assert {(operator, r) for (operator, spec), r in rounds if "faulty" in spec} == {("value", 0), ("value", 1)}
    assert len([s for s in folder.rows["samples"] if s.phase == "prepare" and "/value/faulty" in s.cell_id]) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong_from_the_fifth", "gave another result than the first call, which was right: gradient"),
        ("sees_the_clock", "gave another result than the first call, which was right: gradient"),
        ("wrong_from_the_third", "gave another result than the first call, which was right: gradient"),
        ("wrong_from_the_hundredth", "gave another result than the first call, which was right: gradient"),
        ("nan_in_one_of_ten", "gave another result than the first call, which was right: gradient: 1 entry nan"),
    ],
)
def test_what_is_timed_is_judged(fault: str, words: str, tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [f"{FAULTY}:{fault}", "manual"], ["gradient"], rounds=8)
    rows = {row.backend: row for row in folder.rows["cells"]}
    assert rows["faulty"].status == Status.WRONG, rows["faulty"]
    assert words in rows["faulty"].message
    assert rows["manual"].status == Status.OK


def test_every_launch_is_judged(tmp_path: pathlib.Path) -> None:
    specs, told = [f"{FAULTY}:wrong_in_launch_2", "manual"], told_where(tmp_path)
    folder = run(tmp_path, specs, ["gradient"], rounds=2, launches=2, environment=told)
    rows = {row.backend: row for row in folder.rows["cells"]}
    assert rows["faulty"].status == Status.WRONG, rows["faulty"]
    assert "the first call of launch 2 gave another result" in rows["faulty"].message
    assert rows["manual"].status == Status.OK


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        ("lazy", "lazy"),
        ("awaited", "lazy"),
        ("memoised", "remembers"),
        ("memoised_by_value", "remembers"),
        ("memoised_by_rounded_value", "remembers"),
        ("sees_no_collection_and_remembers", "remembers"),
        ("sees_no_collection_and_repeats", "remembers"),
        ("sees_the_harness_and_remembers", "remembers"),
        ("sees_the_clock_and_repeats", "remembers"),
        ("sees_the_pace_and_repeats", "remembers"),
    ],
)
def test_a_clock_that_does_not_see_the_computation_is_flagged(fault: str, flag: str, tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [f"{FAULTY}:{fault}", "manual"], ["gradient"], rounds=8)
    rows = {row.backend: row for row in folder.rows["cells"]}
    assert rows["faulty"].status == Status.OK
    assert flag in rows["faulty"].flags.split()
    assert not {"lazy", "remembers"} & set(rows["manual"].flags.split())
    steady = {row.cell_id: row for row in folder.rows["timings"] if row.phase == "steady"}
    assert steady[rows["faulty"].cell_id].versus_fastest == ""
    assert math.isnan(steady[rows["faulty"].cell_id].ratio_to_fastest)
    # Alone in its group it gets no star; on a busy machine it is not even compared.
    assert steady[rows["manual"].cell_id].versus_fastest in {"", CONTENDED}


class FakeClient:
    """A worker that answers each request with the next of the given ends."""

    ends: ClassVar[list[WorkerError | None]] = []
    deadlines: ClassVar[list[float]] = []

    def __init__(self, *_: object) -> None:
        pass

    def request(self, verb: str, deadline_s: float, *_: object, **__: object) -> dict[str, Any]:
        opening = verb == "open"
        if opening:
            self.deadlines.append(deadline_s)
        end = self.ends.pop(0) if self.ends and (opening == (self.ends[0] is SLOW)) else None
        if end is not None:
            raise end
        opened = {"threads": 1.0, "threads_active": 1, "switches": {}, "seconds": 0.1}
        return opened if opening else {"calls": 1, "per_call_s": 1e-3, "flags": []}

    def close(self) -> None:
        pass

    hang_up = close


DIED, LATE = (WorkerError(status, "as told", fatal=True) for status in (Status.CRASH, Status.TIMEOUT))
SLOW = WorkerError(Status.TIMEOUT, "no response to 'open'", fatal=True)


def ends_of(ends: list[WorkerError | None], requests: int, folder: pathlib.Path, monkeypatch: Any) -> list[str]:
    """Return the status with which each of several requests to one backend ends."""
    monkeypatch.setattr(FakeClient, "ends", list(ends))
    monkeypatch.setattr(FakeClient, "deadlines", [])
    monkeypatch.setattr(pool_module, "WorkerClient", FakeClient)
    store, found = RunFolder(folder), []
    pool = Pool(plan(Query([QUADRATIC], ["manual"], ["value"])), Settings(open_timeout_s=10.0), store)
    for _ in range(requests):
        try:
            pool.request("manual", "calibrate", 1.0)
        except WorkerError as error:
            found.append(str(error.status))
        else:
            found.append("ok")
    pool.close()
    store.close()
    return found


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        # Only deaths by themselves count, and only those without a result in between.
        ([LATE] * 6, ["timeout"] * 6 + ["ok"] * 2),
        ([DIED] * 4, ["crash"] * 4 + ["not_run"] * 4),
        ([DIED, DIED, DIED, None, DIED, DIED, DIED], ["crash"] * 3 + ["ok"] + ["crash"] * 3 + ["ok"]),
        ([DIED, DIED, LATE, DIED, DIED], ["crash", "crash", "timeout", "crash", "crash"] + ["not_run"] * 3),
        ([SLOW] * 2, ["timeout"] * 2 + ["ok"] * 6),
        ([SLOW] * 3, ["timeout"] * 3 + ["not_run"] * 5),
    ],
)
def test_a_backend_is_not_tried_again_only_after_deaths_in_a_row_or_slow_imports(
    ends: list[WorkerError | None], found: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends_of(ends, 8, tmp_path, monkeypatch) == found
    slow = ends.count(SLOW)
    assert FakeClient.deadlines[: slow + 1] == [10.0, 20.0, 40.0, 80.0][: min(slow + 1, 3)]


def test_the_judge_has_the_time_limit_of_a_cell(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_deadlines(monkeypatch)
    source = tmp_path / "slow.py"
    source.write_text(
        "import itertools\nimport numpy as np\nx = np.ones(3)\nseen = itertools.count()\n"
        "def objective(x, xp):\n    while next(seen) > 20:\n        pass\n    return xp.sum(x * x)\n"
    )
    folder = RunFolder(tmp_path)
    Runner(plan(Query([str(source)], ["numpy"], ["gradient"])), Settings(rounds=0, timeout_s=6.0), folder).run()
    folder.close()
    (row,) = folder.rows["cells"]
    assert (row.status, row.message) == (Status.TIMEOUT, "while being judged, in plain NumPy: no verdict within 6 s")


@pytest.fixture
def left_behind(tmp_path: pathlib.Path) -> Callable[[], int]:
    """The number of the process that a worker leaves behind, 0 before there is one."""
    path = tmp_path / "left_behind"
    return lambda: int(path.read_text() or 0) if path.exists() else 0


def told_where(folder: pathlib.Path) -> dict[str, str]:
    """Return the variable that tells a worker where to write the number of its child."""
    return {"LEFT_BEHIND": str(folder / "left_behind")}


def test_children_of_a_dead_worker_die_too(left_behind: Callable[[], int], tmp_path: pathlib.Path) -> None:
    run(tmp_path, [f"{FAULTY}:leaves_children"], ["gradient"], environment=told_where(tmp_path))
    assert left_behind()
    until(lambda: not lives(left_behind()))


def test_a_killed_runner_takes_the_children_of_its_workers_along(
    left_behind: Callable[[], int], tmp_path: pathlib.Path
) -> None:
    command = [sys.executable, "compare.py", "check", QUADRATIC, "-b", f"{FAULTY}:outlived_by_children"]
    (where,) = (f"{name}={value}" for name, value in told_where(tmp_path).items())
    command += ["-o", "gradient", "--out", str(tmp_path), "--env", where]
    runner = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(left_behind)
    finally:
        runner.kill()
        runner.wait()
    until(lambda: not lives(left_behind()))


def test_a_worker_that_cannot_be_started_is_a_row(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, refusals = subprocess.Popen, iter([OSError(errno.ENOMEM, "Cannot allocate memory")])

    def refuse(command: list[str], **given: Any) -> Any:
        # Taken in one step: two threads start workers.
        if refusal := next(refusals, None):
            raise refusal
        return start(command, **given)

    monkeypatch.setattr(subprocess, "Popen", refuse)
    folder = run(tmp_path, ["manual", FAULTY], ["gradient"])
    # Which of the two is started first depends on the threads that start them.
    refused, served = sorted(folder.rows["cells"], key=lambda row: row.status != Status.ERROR)
    assert (refused.status, served.status) == (Status.ERROR, Status.OK)
    assert refused.message == "no worker could be started: Cannot allocate memory"


def test_an_absent_framework_is_a_row(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autodiff_compare import backends

    manual = backends.available()["manual"]
    monkeypatch.setattr(manual, "requires", ("a-distribution-that-nobody-has",))
    folder = run(tmp_path, ["manual", FAULTY], ["gradient"])
    rows = {row.backend: row for row in folder.rows["cells"]}
    assert rows["manual"].status == Status.NOT_INSTALLED
    assert "a-distribution-that-nobody-has" in rows["manual"].message
    assert rows["faulty"].status == Status.OK
