"""The runner: execute a plan group by group, judge and time its cells, and write one row for each of them.

A group holds the cells of one (problem, size, dtype, operator), one for each backend:

1. Each cell is prepared and called once in its worker, and the result is judged. Only right cells are timed.
2. The right cells are timed in rounds. Each round visits all of them, so that drift of the machine affects all alike.
3. Further launches (``--launches``) start all workers afresh and time the right cells again, because a whole process
   can be slower than another of the same program. The rounds of all launches are pooled.

Before the first group of a launch, workers import their frameworks side by side (`Pool.open_all`).

Every planned cell ends as exactly one row. A worker that fails costs its own cell; it is started again for the next
one, a few times. What is finished is in the folder even if the run is interrupted.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.problem_studies import ProblemStudies
from autodiff_compare.execution.progress import (
    LONGEST_MESSAGE,
    Group,
    Progress,
    blank_row,
    first_line,
    flagged,
    measured,
)
from autodiff_compare.execution.recheck import digest
from autodiff_compare.execution.time_limit import TimeLimitExceeded, time_limit
from autodiff_compare.judge.comparison import too_large
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.pairs import pairwise
from autodiff_compare.plan.cases import Cell, build_case, case_arrays, tracing_case
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.problems import ProblemError
from autodiff_compare.process.affinity import THREADS_TOLERANCE
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.failures import described, whole
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import CellRow, CheckRow, PairRow, SampleRow
from autodiff_compare.results.timings import UNSEEN
from autodiff_compare.timing.clock import equal_blocks
from autodiff_compare.timing.schedule import Budget, Schedule, run_rounds
from autodiff_compare.vocabulary import Operator, Phase, Status

#: Stores what a worker has returned for a cell.
_Keep = Callable[[Progress, dict[str, Any]], None]


class Runner:
    """One execution of a plan, with its results in a folder.

    Parameters
    ----------
    plan
        The cells to be executed.
    settings
        Rounds, launches, threads, deadlines and isolation.
    folder
        The folder to which finished groups are added.
    listener
        Is told what is done, and of each finished cell and group in each launch.
    pool
        Answers the requests; by default worker processes.

    Attributes
    ----------
    measured_s
        Seconds spent inside timed blocks so far.
    prepared_s
        Seconds spent so far in preparation and first calls, where frameworks trace and compile.
    tracebacks
        Traceback of each exception -> the cells that ended by it.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        folder: RunFolder,
        listener: Silent | None = None,
        pool: Pool | LocalPool | None = None,
    ) -> None:
        self.plan, self.settings, self.folder, self.listener = plan, settings, folder, listener or Silent()
        self.pool = pool or Pool(plan, settings, folder, self.listener)
        self.problems = {p.name: p for p in plan.problems}
        self.order = random.Random(plan.seed)
        self.measured_s = self.prepared_s = 0.0
        self._values = {row.cell_id for row in folder.rows["cells"] if _is_comparable_value(row)}
        self.tracebacks: dict[str, list[str]] = {}

    def run(self) -> None:
        """Execute all groups that are not finished, then questions and descents, then further launches."""
        try:
            left, groups = self.left(), []
            self.budget = Budget(self.settings.budget_s, len(left) * self.settings.launches)
            self.listener.begin(sum(map(len, left)) * self.settings.launches, len(left) * self.settings.launches)
            self.pool.open_all(_backends_of(cell for cells in left for cell in cells))
            for cells in left:
                groups.append(self._judged(cells))
                self._launch(groups[-1], 0)
            studies = ProblemStudies(self.plan, self.settings, self.folder, self.pool, self.listener)
            for problem in self.plan.problems:
                studies.ask(problem)
                studies.descend(problem)
            for number in range(1, self.settings.launches):
                self.pool.restart()
                self.pool.open_all(_backends_of(p.cell for group in groups for p in group.right))
                for group in groups:
                    self._launch(group, number)
        finally:
            self.pool.close()

    def left(self) -> list[list[Cell]]:
        """Return the groups that the folder does not hold yet.

        A group with a missing or broken cell is executed again as a whole: pairs and the paired rule need the results
        and rounds of all its backends from one execution.
        """
        groups = [list(cells) for _, cells in itertools.groupby(self.plan.cells, key=lambda cell: cell.group)]
        return [g for g in groups if not self.folder.settled((cell.cell_id for cell in g), self._piece(g[0]))]

    def _piece(self, cell: Cell) -> str:
        """Return the mark of a group whose launches are all done; with one launch the cells themselves are the mark."""
        return f"launches/{'/'.join(cell.group)}" if self.settings.launches > 1 else ""

    def _judged(self, cells: Sequence[Cell]) -> Group:
        """Compute and judge the cells of a group."""
        first = cells[0]
        problem, blank = self.problems[first.problem], partial(blank_row, self.folder.run_id, self.settings.threads)
        limit_s = self.settings.deadline_s(first.size)
        try:
            with time_limit(limit_s):
                case = build_case(problem, first.size, first.dtype, first.operator, self.plan.seed)
            begun = [Progress(cell, blank(cell, case)) for cell in cells]
            why = too_large(case)
            judge = Judge(case, every=self.plan.every)
        except TimeLimitExceeded:
            message = f"in plain NumPy, before any backend: no value within {limit_s:g} s"
            rows = [replace(blank(cell, None), status=Status.TIMEOUT, message=message) for cell in cells]
            return Group([Progress(cell, row) for cell, row in zip(cells, rows, strict=True)], [])
        except Exception as error:  # a user's code may raise anything: that costs its own cells only
            message = f"in plain NumPy, before any backend: {type(error).__name__}: {described(error)}"
            if isinstance(error, ProblemError):
                message = first_line(error)
            message = message.splitlines()[0][:LONGEST_MESSAGE]
            self.tracebacks.setdefault(whole(error), []).extend(cell.cell_id for cell in cells)
            return Group([Progress(cell, replace(blank(cell, None), message=message)) for cell in cells], [])
        if why:
            for p in begun:
                p.row = replace(p.row, status=Status.UNSUPPORTED, message=why)
            return Group(begun, [])
        for p in begun:
            self._begin(p, judge)
        pairs = [PairRow(*first.group, **vars(pair)) for pair in pairwise(case, _results(begun))]
        for p in begun:
            p.result = ()
        return Group(begun, pairs)

    def _launch(self, group: Group, number: int) -> None:
        """Time the right cells of a group, and add its rows to the folder."""
        right = group.right
        if number:
            right = [p for p in right if self._ask(p, "cell", self._keep_launch(number), **self._request(p.cell))]
        if self.settings.rounds:
            self._time(group, right)
        if self.settings.isolate == Isolate.CELL:
            self.pool.restart()
        rows = [flagged(p) for p in group.begun]
        done = self._piece(group.begun[0].cell) if number + 1 == self.settings.launches else ""
        # One line of the log: an interrupted run holds all of a group or nothing of it.
        self.folder.add(
            {
                "cells": rows,
                "checks": [row for p in group.begun for row in p.checks],
                "samples": [row for p in group.begun for row in p.samples],
                "pairs": group.pairs,
            },
            done=done,
        )
        self._values |= {row.cell_id for row in rows if _is_comparable_value(row)}
        for row in rows:
            self.listener.tell(row)
        self.listener.group_done()

    def _begin(self, p: Progress, judge: Judge) -> None:
        """Prepare a cell, call it once, and judge the result."""
        cell = p.cell
        self.listener.doing(f"computing {_words(cell)}")
        try:
            request = self._request(cell, memory=self.settings.memory)
            found = self.pool.request(cell.spec, "cell", self.settings.deadline_s(cell.size), **request)
        except WorkerError as error:
            p.row = replace(p.row, status=error.status, message=first_line(error))
            self._traced(cell, error)
            return
        self.listener.doing(f"judging {_words(cell)}")
        try:
            with time_limit(self.settings.deadline_s(cell.size)):
                self._judge(p, judge, found)
        except TimeLimitExceeded:
            limit = f"within {self.settings.deadline_s(cell.size):g} s"
            self._unjudged(p, Status.TIMEOUT, f"while being judged, in plain NumPy: no verdict {limit}")
        except Exception as error:  # a response and a user's code may hold anything: that costs this cell only
            self._unjudged(p, Status.ERROR, f"while being judged: {type(error).__name__}: {first_line(error)}")

    def _unjudged(self, p: Progress, status: Status, message: str) -> None:
        p.result, p.checks = (), []
        p.row = replace(p.row, status=status, message=message[:LONGEST_MESSAGE])

    def _judge(self, p: Progress, judge: Judge, found: dict[str, Any]) -> None:
        """Judge the result in a worker's response, and complete the cell's row."""
        cell = p.cell
        p.result = tuple(found["result"])
        p.judged = digest(p.result)
        self._keep_phases(p, found, 0)
        comparisons = judge(p.result, repeatable=found["repeatable"], inputs_unchanged=found["inputs_unchanged"])
        p.checks = [CheckRow(cell.cell_id, **vars(c)) for c in comparisons]
        status, message = overall(comparisons)
        p.row = replace(
            measured(p.row, found, p.result),
            status=status,
            message=message,
            threads_effective=self.pool.threads[cell.spec],
            threads_active=self.pool.active[cell.spec],
        )
        if p.row.threads_effective > THREADS_TOLERANCE * self.settings.threads:
            p.flags.add("threads")

    def _traced(self, cell: Cell, error: WorkerError) -> None:
        if error.traceback:
            self.tracebacks.setdefault(error.traceback, []).append(cell.cell_id)

    def _request(self, cell: Cell, *, memory: bool = False) -> dict[str, Any]:
        """Return the parameters of the request ``cell``."""
        return {
            "source": self.plan.sources[cell.problem],
            "problem": cell.problem,
            "size": cell.size,
            "dtype": cell.dtype,
            "operator": cell.operator,
            "seed": self.plan.seed,
            "memory": memory,
            "numbers": self._numbers(cell),
        }

    def _numbers(self, cell: Cell) -> tuple[Any, ...]:
        """Return both points of a cell if its worker cannot draw the same ones, else nothing.

        It may draw others if the problem has a fixed point, or if it runs under another NumPy (``@PYTHON``).
        """
        problem = self.problems[cell.problem]
        if not (problem.fixed or cell.spec in self.plan.interpreters):
            return ()
        case = build_case(problem, cell.size, cell.dtype, cell.operator, self.plan.seed)
        return case_arrays(case), case_arrays(tracing_case(case))

    def _time(self, group: Group, right: list[Progress]) -> None:
        """Time the cells in rounds within the group's share of the budget; a cell that fails leaves the rounds."""
        schedule = Schedule(self.settings.rounds, self.budget.begin())
        cell, told = group.begun[0].cell, -1
        ready = [p for p in right if schedule.continues(0, ()) and self._ask(p, "calibrate", _keep_calls)]

        def visit(p: Progress, number: int) -> bool:
            nonlocal told
            if number > told:
                told = number
                rounds = f"round {number + 1} of {max(number + 1, self.settings.rounds)}"
                self.listener.doing(f"timing {rounds}, {cell.problem} {cell.operator}")
            calls = {"calls": p.calls, "value_calls": p.value_calls}
            return self._ask(p, "visit", self._keep_visit(group.rounds + number), **calls)

        for p, calls in zip(ready, equal_blocks([p.per_call_s for p in ready]), strict=True):
            p.calls = calls
        ready = [p for p in ready if self._hold_value(p)]
        live, made = run_rounds(ready, visit, lambda p: p.series, schedule, self.order)
        group.rounds += made
        self.budget.end()
        for p in live:
            self._ask(p, "finish", _keep_retraced)
        if made < self.settings.rounds:
            for p in right:
                p.flags.add("cut")

    def _hold_value(self, p: Progress) -> bool:
        """Let the worker hold the value beside a derivative if it is right and timed; return whether the cell lives."""
        value = replace(p.cell, operator=Operator.VALUE)
        p.value_calls = 0
        if p.cell == value or value.cell_id not in self._values:
            return True

        def keep(p: Progress, found: dict[str, Any]) -> None:
            # As short as blocks may be: the value of a slow derivative would take longer than it needs to.
            p.value_calls = equal_blocks([found["per_call_s"]])[0]

        request = self._request(value)
        del request["memory"]
        return self._ask(p, "beside", keep, **request)

    def _keep_visit(self, number: int) -> _Keep:
        """Return the function that stores the samples and flags of a visit in round ``number``."""

        def keep(p: Progress, found: dict[str, Any]) -> None:
            blocks = enumerate(zip(found["seconds"], found["waited_s"], strict=True))
            self._same_as_judged(p, found.get("other"), f"a call in round {number}")
            p.samples += [SampleRow(p.cell.cell_id, Phase.STEADY, number, i, p.calls, s, w) for i, (s, w) in blocks]
            values = zip(found.get("value_seconds", ()), found.get("value_waited_s", ()), strict=True)
            id_, calls = p.cell.cell_id, p.value_calls
            p.samples += [SampleRow(id_, Phase.VALUE, number, i, calls, s, w) for i, (s, w) in enumerate(values)]
            _keep_retraced(p, found)
            self.measured_s += sum(found["seconds"]) + sum(found.get("value_seconds", ()))

        return keep

    def _keep_launch(self, number: int) -> _Keep:
        """Return the function that stores what a worker of a further launch has returned for a cell."""

        def keep(p: Progress, found: dict[str, Any]) -> None:
            self._keep_phases(p, found, number)
            self._same_as_judged(p, found["result"], f"the first call of launch {number + 1}")

        return keep

    def _keep_phases(self, p: Progress, found: Mapping[str, Any], launch: int) -> None:
        """Store the seconds of preparation and first call."""
        for phase in (Phase.PREPARE, Phase.FIRST_CALL):
            seconds = found[f"{phase}_s"]
            p.samples.append(SampleRow(p.cell.cell_id, phase, launch, 0, 1, seconds))
            self.prepared_s += seconds

    def _same_as_judged(self, p: Progress, result: Sequence[Any] | None, where: str) -> None:
        """Judge a result that differs in some bit from the one that was judged; a wrong one ends the cell."""
        if result is None or digest(result) == p.judged:
            return
        cell = p.cell
        with time_limit(self.settings.deadline_s(cell.size)):
            case = build_case(self.problems[cell.problem], cell.size, cell.dtype, cell.operator, self.plan.seed)
            comparisons = Judge(case)(result)
        status, message = overall(comparisons)
        if status != Status.OK:
            p.checks = [CheckRow(cell.cell_id, **vars(c)) for c in comparisons]
            words = f"{where} gave another result than the first call, which was right: {message}"
            p.row = replace(p.row, status=status, message=words[:LONGEST_MESSAGE])

    def _ask(self, p: Progress, verb: str, keep: _Keep, **params: Any) -> bool:
        """Send a request about a right cell and store the response; return whether it succeeded.

        A failure becomes the status of the cell.
        """
        try:
            keep(p, self.pool.request(p.cell.spec, verb, self.settings.deadline_s(p.cell.size), **params))
        except WorkerError as error:
            status, words = error.status, first_line(error)
            self._traced(p.cell, error)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # A response that lacks a field, or holds another type in it, is the worker's failure.
            status, words = Status.ERROR, f"malformed response to {verb!r}: {type(error).__name__}: {error}"
        else:
            return p.row.status == Status.OK
        p.row = replace(p.row, status=status, message=f"while being timed: {words}"[:LONGEST_MESSAGE])
        return False


def _keep_calls(p: Progress, found: dict[str, Any]) -> None:
    p.per_call_s = found["per_call_s"]
    p.flags.update(found.get("flags", ()))


def _keep_retraced(p: Progress, found: dict[str, Any]) -> None:
    if found["retraced"]:
        p.flags.add("retraced")


def _is_comparable_value(row: CellRow) -> bool:
    """Return whether a row is a right value whose time is that of its computation."""
    return row.operator == Operator.VALUE and row.status == Status.OK and not UNSEEN & set(row.flags.split())


def _words(cell: Cell) -> str:
    return f"{cell.problem} {cell.operator} on {cell.spec}"


def _backends_of(cells: Iterable[Cell]) -> list[str]:
    """Return the backends of the cells, each once."""
    return list(dict.fromkeys(cell.spec for cell in cells))


def _results(begun: Sequence[Progress]) -> dict[str, tuple[Any, ...]]:
    return {p.cell.spec: p.result for p in begun if p.result}
