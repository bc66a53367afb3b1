"""The runner: every planned cell ends as one row; timing, launches, isolation and flags."""

from __future__ import annotations

import dataclasses
import io
import math
import pathlib
import signal
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from autodiff_compare.execution import runner as runner_module
from autodiff_compare.execution.judging import Judging
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.progress import Effort, Group
from autodiff_compare.execution.runner import Runner, groups_left
from autodiff_compare.plan.cases import build_case
from autodiff_compare.plan.plan import PlanError, plan, plan_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.problems import load
from autodiff_compare.process.client import WorkerClient
from autodiff_compare.results import tables
from autodiff_compare.results.store import RunFolder
from autodiff_compare.summary.run import summary
from autodiff_compare.vocabulary import Operator, Status
from tests.execution.test_faults import FAULTY, HERE, QUADRATIC, run


@pytest.mark.parametrize(
    ("asked", "size", "seconds"),
    [(None, "small", 60), (None, "medium", 1800), (None, "an instance", 1800), (5, "large", 5)],
)
def test_larger_sizes_have_a_longer_deadline_unless_one_is_given(
    asked: float | None, size: str, seconds: float
) -> None:
    assert Settings(timeout_s=asked).deadline_s(size) == seconds


def test_a_right_cell_is_timed_in_rounds_and_a_wrong_one_is_not(tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [FAULTY, f"{FAULTY}:zeros", "manual"], ["gradient"], rounds=3)
    steady = [s for s in folder.rows["samples"] if s.phase == "steady"]
    by_cell = {cell_id: {s.round for s in steady if s.cell_id == cell_id} for cell_id in {s.cell_id for s in steady}}
    assert by_cell == {f"quadratic/small/float64/gradient/{b}": {0, 1, 2} for b in ("faulty", "manual")}
    assert all(s.calls >= 1 and s.seconds > 0 for s in steady)
    timings = {(t.cell_id, t.phase): t for t in folder.rows["timings"]}
    assert timings["quadratic/small/float64/gradient/manual", "steady"].n == 3


def test_every_table_of_a_run_is_readable(tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, [f"{FAULTY}:raises", "manual"], [], rounds=1)
    frames = tables.read_all(folder.path)
    assert len(frames["cells"]) == 6
    assert set(frames["checks"]["cell_id"]) <= set(frames["cells"]["cell_id"])
    log = (folder.path / "log.jsonl").read_text().splitlines()
    assert len([line for line in log if '"cells"' in line]) == 3, "one line a group: whole or not at all"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"problems": ["nosuch"]}, "got problem 'nosuch', expected one of"),
        ({"problems": ["nosuch.py"]}, "expected an existing .py file"),
        ({"backends": ["nosuch"]}, "got backend 'nosuch', expected one of"),
        ({"backends": ["numpy:nosuch"]}, "got variant 'nosuch'"),
        ({"operators": ["nosuch"]}, "got operator 'nosuch', expected one of"),
        ({"dtypes": ["int8"]}, "got dtype 'int8', expected one of: float64, float32, float16, bfloat16"),
        ({"sizes": ["huge"]}, "got size 'huge', expected one of"),
        (
            {"problems": [QUADRATIC], "operators": ["jvp"]},
            "jvp of quadratic (the problem does not offer jvp). quadratic has: value, gradient",
        ),
    ],
)
def test_an_unknown_name_in_a_plan_lists_the_choices(given: dict[str, list[str]], words: str) -> None:
    with pytest.raises(PlanError, match="got") as caught:
        plan(Query(**given))  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_is_the_product_of_the_choices() -> None:
    made = plan(Query([QUADRATIC], ["manual", FAULTY], ["gradient", "value"], ["float64", "float32"]))
    assert [cell.cell_id for cell in made.cells][:4] == [
        "quadratic/small/float64/value/manual",
        "quadratic/small/float64/value/faulty",
        "quadratic/small/float64/gradient/manual",
        "quadratic/small/float64/gradient/faulty",
    ]
    assert len({cell.cell_id for cell in made.cells}) == len(made.cells) == 8


@pytest.mark.parametrize(
    ("own", "asked", "found"),
    [
        (["n10", "n20"], ["small"], ["n10"]),
        (["n10", "n20"], ["small", "n10"], ["n10"]),
        (["n10", "n20"], ["n*"], ["n10", "n20"]),
        (["n10", "small"], ["small"], ["small"]),
        (["n10", "small"], ["*"], ["n10", "small"]),
    ],
)
def test_a_problem_without_a_size_called_small_is_taken_at_its_first(
    own: list[str], asked: list[str], found: list[str]
) -> None:
    problem = dataclasses.replace(load("sphere")[0], sizes={name: 10 * k for k, name in enumerate(own, 1)})
    made = plan_problems([problem], {"sphere": "sphere"}, Query([], ["manual"], ["value"], sizes=asked))
    assert [cell.size for cell in made.cells] == found


class FakePool:
    """A pool that answers as workers would, without any, and counts the requests."""

    def __init__(
        self, seconds: float = 1e-3, queue_s: float = 0.0, retraced: bool = False, traced_in: int = -1, waits: int = 99
    ) -> None:
        """``traced_in``: the visit in which a backend traces; ``waits``: visits that wait ``queue_s`` of their time."""
        self.shares: list[list[int]] = []
        self.asked: list[tuple[str, str]] = []
        self.opened: list[list[str]] = []
        self.restarts = 0
        self.threads, self.active = {"manual": 1.0, "numpy": 1.0}, {"manual": 1, "numpy": 1}
        self.seconds, self.queue_s, self.retraced = seconds, queue_s, retraced
        self.traced_in, self.waits = traced_in, waits

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        self.asked.append((spec, verb))
        cell = {
            "result": [2 * build_case(load(QUADRATIC)[0], "small", "float64", Operator.GRADIENT, 0).inputs.arrays[0]],
            "repeatable": True,
            "inputs_unchanged": True,
            "prepare_s": 1.0,
            "prepare_waited_s": 0.0,
            "first_call_s": 1.0,
            "first_call_waited_s": 0.0,
            "how": "native",
            "mode": "",
            "conversion": "",
            "objective_calls": 0,
            "flags": [],
            "peak_bytes": 8,
            "memory_method": "VmHWM",
        }
        number = self.asked.count((spec, "visit"))
        queue_s, retraced = self.queue_s if number <= self.waits else 0.0, number == self.traced_in
        waited_s = [queue_s * self.seconds] * 7
        visit = {"seconds": [self.seconds] * 7, "waited_s": waited_s, "retraced": retraced, "other": None}
        visit |= {"value_seconds": [], "value_waited_s": []}
        calibrated = {"calls": 1, "per_call_s": self.seconds, "flags": []}
        answers = {"cell": cell, "calibrate": calibrated, "visit": visit, "finish": {"retraced": self.retraced}}
        answers["beside"] = {"per_call_s": self.seconds}
        return answers[verb]

    def import_alone(self, specs: list[str]) -> None:
        self.opened.append(specs)

    def expected_s(self, spec: str) -> float:
        return 0.0

    def restart(self) -> None:
        self.restarts += 1

    def close(self) -> None:
        pass


def faked(
    tmp_path: pathlib.Path, pool: FakePool, operators: Sequence[str] = ("gradient",), **settings: Any
) -> tuple[RunFolder, Runner]:
    folder = RunFolder(tmp_path)
    runner = Runner(plan(Query([QUADRATIC], ["manual", "numpy"], operators)), Settings(**settings), folder)
    runner.pool = pool  # type: ignore[assignment]
    try:
        runner.run()
    finally:
        folder.close()
    return folder, runner


@pytest.mark.parametrize(
    ("settings", "restarts", "cells", "visits"),
    [
        ({"rounds": 8}, 0, 2, 16),
        ({"rounds": 8, "launches": 3}, 2, 6, 48),
        ({"rounds": 8, "launches": 2, "imports_alone": True}, 1, 4, 32),
        ({"rounds": 8, "isolate": Isolate.CELL}, 1, 2, 16),
        ({"rounds": 8, "isolate": Isolate.CELL, "launches": 2}, 3, 4, 32),
        ({"rounds": 8, "budget_s": 1e-9}, 0, 2, 0),
        ({"rounds": 0}, 0, 2, 0),
    ],
)
def test_launches_start_afresh_and_pool_their_rounds(
    settings: dict[str, Any], restarts: int, cells: int, visits: int, tmp_path: pathlib.Path
) -> None:
    pool = FakePool()
    folder, runner = faked(tmp_path, pool, **settings)
    verbs = [verb for _, verb in pool.asked]
    assert (pool.restarts, verbs.count("cell"), verbs.count("visit")) == (restarts, cells, visits)
    alone = settings.get("imports_alone", False)
    assert pool.opened == ([["manual", "numpy"]] * settings.get("launches", 1) if alone else [])
    assert runner.effort.measured_s == pytest.approx(visits * 7e-3)
    # A second of preparation and one of the first call, which both end at the same time for all cells.
    assert runner.effort.prepared_s >= 2.0
    rounds = {s.round for s in folder.rows["samples"] if s.phase == "steady"}
    assert rounds == set(range(visits // 2))
    steady = {t.cell_id: t.n for t in folder.rows["timings"] if t.phase == "steady"}
    assert set(steady.values()) == ({visits // 2} if visits else set())


@pytest.mark.parametrize(
    ("pool", "settings", "flags"),
    [
        (FakePool(), {}, ""),
        (FakePool(queue_s=0.04), {}, ""),
        (FakePool(queue_s=0.06), {}, "contended"),
        (FakePool(queue_s=0.06, waits=3), {}, "contended"),
        # Two rounds of eight, however long they waited: the median and its interval hardly feel them.
        (FakePool(queue_s=0.9, waits=2), {}, ""),
        (FakePool(retraced=True), {}, "retraced"),
        (FakePool(traced_in=5), {}, "retraced"),
        (FakePool(), {"budget_s": 1e-9}, "cut"),
    ],
)
def test_doubtful_timings_are_flagged_and_reported(
    pool: FakePool, settings: dict[str, Any], flags: str, tmp_path: pathlib.Path
) -> None:
    folder, _ = faked(tmp_path, pool, rounds=8, **settings)
    assert {row.flags for row in folder.rows["cells"]} == {flags}
    # Rounds are added until eight are quiet, up to twice as many as were asked for.
    contended = None if settings else min(pool.waits, 16) if pool.queue_s > 0.05 else 0
    assert {row.contended_rounds for row in folder.rows["cells"]} == {contended}
    versus = {row.versus_fastest for row in folder.rows["timings"] if row.phase == "steady"}
    assert versus == (set() if settings else {"contended"} if contended == 16 else {"fastest", "~"})
    out = Console(width=80, record=True, file=io.StringIO())
    summary.show(folder.path, out)
    assert ("Flagged times, to be read with care" in out.export_text()) == bool(flags)


@pytest.mark.parametrize("isolate", [Isolate.BACKEND, Isolate.NONE, Isolate.CELL])
@pytest.mark.parametrize("launches", [1, 2])
def test_the_value_is_timed_in_the_visits_of_its_derivatives(
    isolate: Isolate, launches: int, tmp_path: pathlib.Path
) -> None:
    folder = run(tmp_path, ["manual"], ["value", "gradient"], rounds=2, launches=launches, isolate=isolate)
    blocks: dict[tuple[str, str], list[int]] = {}
    for sample in folder.rows["samples"]:
        if sample.phase in ("steady", "value"):
            operator = sample.cell_id.split("/")[3]
            blocks.setdefault((operator, sample.phase), []).append(sample.round)
    assert sorted(blocks) == [("gradient", "steady"), ("gradient", "value"), ("value", "steady")]
    assert set(blocks["gradient", "value"]) == set(range(2 * launches))
    assert 2 * launches <= len(blocks["gradient", "value"]) <= 3 * 2 * launches
    assert {row.phase for row in folder.rows["timings"]} == {"import", "prepare", "first_call", "steady"}


@pytest.mark.parametrize("operators", [["gradient"], ["value", "gradient"]])
def test_without_a_right_value_none_is_timed_beside_the_derivative(
    operators: list[str], tmp_path: pathlib.Path
) -> None:
    pool = FakePool()
    # The fake answers each request with the gradient, so that the value is wrong.
    folder, _ = faked(tmp_path, pool, operators, rounds=8)
    right = {"value": Status.WRONG, "gradient": Status.OK}
    assert {row.operator: row.status for row in folder.rows["cells"]} == {name: right[name] for name in operators}
    assert "beside" not in [verb for _, verb in pool.asked]
    assert all(math.isnan(row.ratio_to_value) for row in folder.rows["timings"])


def test_a_run_of_several_launches_is_settled_only_after_the_last(tmp_path: pathlib.Path) -> None:
    class Interrupted(FakePool):
        def restart(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        faked(tmp_path, Interrupted(), rounds=8, launches=2)
    folder = RunFolder(tmp_path, next(tmp_path.iterdir()))
    able = plan(Query([QUADRATIC], ["manual", "numpy"], ["gradient"]))
    assert len(groups_left(able, Settings(rounds=8, launches=2), folder)) == 1
    assert len(groups_left(able, Settings(rounds=8), folder)) == 0
    folder.close()


@pytest.mark.parametrize(("isolate", "processes"), [(Isolate.BACKEND, 2), (Isolate.NONE, 1), (Isolate.CELL, 2)])
def test_isolation_decides_what_shares_a_process(isolate: Isolate, processes: int, tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    pool = Pool(plan(Query([QUADRATIC], ["manual", FAULTY], [])), Settings(isolate=isolate), folder)
    what = {"source": QUADRATIC, "problem": "quadratic", "size": "small", "dtype": "float64", "seed": 0}
    for spec in ("manual", "faulty"):
        pool.request(spec, "cell", 60.0, operator="gradient", **what)
    for spec in ("manual", "faulty"):
        assert pool.request(spec, "visit", 60.0, calls=1)["seconds"], "each keeps its own cell"
    assert len(pool._clients) == processes
    pool.close()
    folder.close()


def test_above_one_thread_idle_workers_are_stopped(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    real = WorkerClient._signal

    def signalled(client: WorkerClient, number: int) -> None:
        sent.append((client.spec.rpartition("/")[2], signal.Signals(number).name))
        real(client, number)

    monkeypatch.setattr(WorkerClient, "_signal", signalled)
    folder = RunFolder(tmp_path)
    pool = Pool(plan(Query([QUADRATIC], ["manual", "finite_difference"], [])), Settings(threads=2), folder)
    for spec in ("manual", "finite_difference", "finite_difference", "manual"):
        pool.request(spec, "questions", 60.0, source=QUADRATIC, problem="quadratic")
    assert sent == [
        ("manual", "SIGSTOP"),
        ("finite_difference", "SIGSTOP"),
        ("manual", "SIGCONT"),
    ]
    pool.close()
    assert sent[3] == ("finite_difference", "SIGCONT"), "a stopped worker is continued to end in peace"
    folder.close()
    sent.clear()
    folder = RunFolder(tmp_path)
    pool = Pool(plan(Query([QUADRATIC], ["manual", "finite_difference"], [])), Settings(threads=1), folder)
    for spec in ("manual", "finite_difference"):
        pool.request(spec, "questions", 60.0, source=QUADRATIC, problem="quadratic")
    assert sent == []
    pool.close()
    folder.close()


def test_a_broken_problem_costs_its_own_cells_and_no_other(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    Runner(plan(Query([str(HERE / "broken.py")], ["numpy", "manual"])), Settings(rounds=0), folder).run()
    folder.close()
    statuses = {(r.problem, r.operator, r.backend): r.status for r in folder.rows["cells"]}
    assert len(statuses) == 12
    for (problem, operator, backend), status in statuses.items():
        can = problem == "cube" and (backend == "numpy" or operator == "value")
        assert status == (Status.OK if can else Status.UNSUPPORTED if problem == "cube" else Status.ERROR)
    messages = {r.problem: r.message for r in folder.rows["cells"]}
    assert "ValueError: no such thing" in messages["fails"]
    assert "FileNotFoundError: data.csv" in messages["no_inputs"]


def test_a_run_descends_where_steps_are_among_its_cells(tmp_path: pathlib.Path) -> None:
    folder = RunFolder(tmp_path)
    Runner(
        plan(Query(["matrix_inverse_squared"], ["numpy"], ["step"])), Settings(rounds=0, descents=True), folder
    ).run()
    folder.close()
    (row,) = folder.rows["descents"]
    # 490 updates to E < 1e-7: measured with a plain NumPy loop from RandomState(0).
    assert (row.cell_id, row.iterations, row.converged) == (
        "matrix_inverse_squared/fresh/float64/step/numpy",
        490,
        True,
    )
    losses = [step.loss for step in folder.rows["steps"]]
    assert losses[0] == pytest.approx(5.06838, rel=1e-5)
    assert len(losses) == 491


def test_an_objective_may_be_a_partial_or_an_object(tmp_path: pathlib.Path) -> None:
    (tmp_path / "called.py").write_text(
        "from functools import partial\n"
        "from autodiff_compare.problems import Inputs, Problem\n"
        "class Cube:\n"
        "    def __call__(self, x, xp):\n"
        "        return xp.sum(x * x * x)\n"
        "def power(x, n, xp):\n"
        "    return xp.sum(x**n)\n"
        "def problem(name, f):\n"
        "    return Problem(name, name, 'by hand', {'small': 3}, lambda rng, n: Inputs((rng.random(n),)), f)\n"
        "PROBLEMS = (problem('object', Cube()), problem('partial', partial(power, n=3)))\n"
    )
    folder = RunFolder(tmp_path / "out")
    Runner(plan(Query([str(tmp_path / "called.py")], ["numpy"], ["gradient"])), Settings(rounds=1), folder).run()
    folder.close()
    assert [(r.status, r.objective_calls) for r in folder.rows["cells"]] == [(Status.OK, 1), (Status.OK, 1)]


def test_a_backend_that_cannot_compute_on_the_device_says_where_it_can(tmp_path: pathlib.Path) -> None:
    folder = run(tmp_path, ["manual"], ["gradient"], device="gpu")
    (row,) = folder.rows["cells"]
    assert (row.status, row.message) == (Status.UNSUPPORTED, "manual computes on cpu, not on gpu")


def test_an_error_in_a_users_function_names_its_line(tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import numpy as np\n\nx = np.ones(2)\n\n\ndef objective(x, xp):\n"
        "    y = x if isinstance(x, np.ndarray) else x.shapes[0]\n    return xp.sum(y * y)\n",
        encoding="utf-8",
    )
    folder = RunFolder(tmp_path / "runs")
    runner = Runner(plan(Query([str(mine)], ["numpy"], ["gradient"])), Settings(rounds=0), folder)
    runner.run()
    (row,) = folder.rows["cells"]
    folder.close()
    assert row.status == Status.ERROR
    assert row.message.startswith("AttributeError: ")
    assert "mine.py:7: y = x if isinstance(x, np.ndarray) else x.shapes[0])" in row.message
    ((told, cells),) = runner.tracebacks.items()
    assert cells == [row.cell_id]
    assert 'mine.py", line 7' in told


class OverlappingPool(FakePool):
    """A pool with two shares of the processors, which notes what is sent on a share and what alone."""

    def __init__(self) -> None:
        super().__init__()
        self.shares = [[0], [1]]
        self.lock = threading.Lock()
        self.log: list[tuple[str, str, bool]] = []
        self.running = 0

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        assert self.running == 0, "nothing is computed beside a request that is sent alone"
        self.log.append((spec, verb, True))
        return super().request(spec, verb, deadline_s, **params)

    def request_on(
        self, share: Sequence[int], spec: str, verb: str, deadline_s: float, **params: Any
    ) -> dict[str, Any]:
        assert list(share) in self.shares
        with self.lock:
            self.running += 1
            self.log.append((spec, verb, False))
        found = super().request(spec, verb, deadline_s, **params)
        with self.lock:
            self.running -= 1
        return found

    def kill(self) -> None:
        pass


@pytest.mark.parametrize(("rounds", "launches"), [(8, 1), (8, 2), (0, 1)])
def test_cells_are_prepared_side_by_side_and_timed_alone(rounds: int, launches: int, tmp_path: pathlib.Path) -> None:
    pool = OverlappingPool()
    folder, _ = faked(tmp_path, pool, rounds=rounds, launches=launches)
    assert {row.status for row in folder.rows["cells"]} == {Status.OK}
    beside = {"calibrate", "finish"} if rounds else set()
    assert {verb for _, verb, alone in pool.log if not alone} == {"cell"} | beside
    assert {verb for _, verb, alone in pool.log if alone} == ({"visit"} if rounds else set())
    # The rows have the order of the plan, whatever the order of the responses.
    assert [row.backend for row in folder.rows["cells"]] == ["manual", "numpy"]


@pytest.mark.parametrize(
    ("rounds", "shares", "held", "together"),
    [
        (8, 2, 2**17, True),
        # More numbers than workers may hold beside others: the groups are prepared one after the other.
        (8, 2, 1, False),
        # One request at a time: nothing is gained by holding cells.
        (8, 0, 2**17, False),
        (0, 2, 2**17, True),
        # A run without timing is always one group ahead.
        (0, 2, 1, True),
    ],
)
def test_the_groups_of_a_problem_are_prepared_together(
    rounds: int, shares: int, held: int, together: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_HELD_ENTRIES", held)
    pool, begun = OverlappingPool() if shares else FakePool(), []
    real = Judging.complete

    def complete(judging: Judging, group: Group) -> None:
        begun.append(sorted({str(p.cell.operator) for r in judging_groups for p in r.begun}))
        real(judging, group)

    judging_groups: list[Group] = []
    begin = Judging.begin

    def noted(judging: Judging, cells: Sequence[Any], beside: Sequence[Group] = ()) -> Group:
        judging_groups.append(begin(judging, cells, beside))
        return judging_groups[-1]

    monkeypatch.setattr(Judging, "complete", complete)
    monkeypatch.setattr(Judging, "begin", noted)
    faked(tmp_path, pool, ["value", "gradient"], rounds=rounds)
    assert begun == [["gradient", "value"] if together else ["value"], ["gradient", "value"]]


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([(0, 1), (2, 4)], 3),
        # Two side by side count once.
        ([(0, 3), (1, 4)], 4),
        # The second to end began before both that ended earlier.
        ([(1, 2), (3, 4), (0, 5)], 5),
        ([(0, 1), (5, 6), (2, 7)], 6),
        ([(0, 1), (1, 2)], 2),
        # Responses of two workers may be taken up in another order than they came.
        ([(3, 4), (0, 1)], 2),
        ([(2, 4), (0, 3)], 4),
        ([], 0),
    ],
)
def test_preparations_side_by_side_are_counted_once(intervals: list[tuple[float, float]], seconds: float) -> None:
    effort = Effort()
    for start, end in intervals:
        effort.prepare(start, end)
    assert effort.prepared_s == seconds
