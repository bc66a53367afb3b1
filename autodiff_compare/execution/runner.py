"""The runner: execute a plan group by group, judge and time its cells, and write one row for each of them.

A group holds the cells of one (problem, size, dtype, operator), one for each backend:

1. Each cell is prepared and called once in its worker, and the result is judged. Only right cells are timed.
2. The right cells are timed in rounds. Each round visits all of them, so that drift of the machine affects all alike.
3. Further launches (``--launches``) start all workers afresh and time the right cells again, because a whole process
   can be slower than another of the same program. The rounds of all launches are pooled.

Every planned cell ends as exactly one row. A worker that fails costs its own cell; it is started again for the next
one, a few times. What is finished is in the folder even if the run is interrupted.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.progress import (
    LONGEST_MESSAGE,
    Group,
    Progress,
    blank_row,
    first_line,
    flagged,
    measured,
)
from autodiff_compare.judge.comparison import too_large
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.pairs import pairwise
from autodiff_compare.plan.cases import Cell, build_case, case_arrays, tracing_case
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.problems import Problem
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.environment import THREADS_TOLERANCE
from autodiff_compare.process.failures import described, whole
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import CellRow, CheckRow, PairRow, QuestionRow, SampleRow
from autodiff_compare.studies.records import first_descent
from autodiff_compare.timing.clock import CONTENDED
from autodiff_compare.timing.schedule import Budget, Schedule, run_rounds
from autodiff_compare.vocabulary import BROKEN, Operator, Phase, Status

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
    tell
        Called with the row of each cell after each launch, to show progress.
    pool
        Answers the requests; by default worker processes.

    Attributes
    ----------
    measured_s
        Seconds spent inside timed blocks so far.
    tracebacks
        Traceback of each exception -> the cells that ended by it.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        folder: RunFolder,
        tell: Callable[[CellRow], None] = lambda _: None,
        pool: Pool | LocalPool | None = None,
    ) -> None:
        self.plan, self.settings, self.folder, self.tell = plan, settings, folder, tell
        self.pool = pool or Pool(plan, settings, folder)
        self.problems = {p.name: p for p in plan.problems}
        self.order = random.Random(plan.seed)
        self.measured_s = 0.0
        self.tracebacks: dict[str, list[str]] = {}

    def run(self) -> None:
        """Execute all groups that are not finished, then questions and descents, then further launches."""
        try:
            left, groups = self.left(), []
            self.budget = Budget(self.settings.budget_s, len(left) * self.settings.launches)
            for cells in left:
                groups.append(self._judged(cells))
                self._launch(groups[-1], 0)
            for problem in self.plan.problems:
                self._questions(problem)
                self._descend(problem)
            for number in range(1, self.settings.launches):
                self.pool.restart()
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
        try:
            case = build_case(problem, first.size, first.dtype, first.operator, self.plan.seed)
            begun = [Progress(cell, blank(cell, case)) for cell in cells]
            why = too_large(case)
            judge = Judge(case, every=self.plan.every)
        except Exception as error:  # a user's code may raise anything: that costs its own cells only
            message = f"in plain NumPy, before any backend: {type(error).__name__}: {described(error)}"
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
        right = [p for p in group.begun if p.row.status == Status.OK]
        if number:
            right = [p for p in right if self._ask(p, "cell", _keep_phases(number), **self._request(p.cell))]
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
        for row in rows:
            self.tell(row)

    def _begin(self, p: Progress, judge: Judge) -> None:
        """Prepare a cell, call it once, and judge the result."""
        cell = p.cell
        try:
            request = self._request(cell, memory=self.settings.memory)
            found = self.pool.request(cell.spec, "cell", self.settings.deadline_s(cell.size), **request)
        except WorkerError as error:
            p.row = replace(p.row, status=error.status, message=first_line(error))
            self._traced(cell, error)
            return
        p.result = tuple(found["result"])
        _keep_phases(0)(p, found)
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
        ready = [p for p in right if schedule.continues(0, ()) and self._ask(p, "calibrate", _keep_calls)]

        def visit(p: Progress, number: int) -> bool:
            return self._ask(p, "visit", self._keep_visit(group.rounds + number), calls=p.calls)

        live, made = run_rounds(ready, visit, lambda p: p.rounds, schedule, self.order)
        group.rounds += made
        self.budget.end()
        for p in live:
            self._ask(p, "finish", _keep_retraced)
        if made < self.settings.rounds:
            for p in right:
                p.flags.add("cut")

    def _keep_visit(self, number: int) -> _Keep:
        """Return the function that stores the samples and flags of a visit in round ``number``."""

        def keep(p: Progress, found: dict[str, Any]) -> None:
            blocks = enumerate(found["seconds"])
            p.samples += [SampleRow(p.cell.cell_id, Phase.STEADY, number, i, p.calls, s) for i, s in blocks]
            p.contended += found["queue_s"] > CONTENDED * found["wall_s"]
            _keep_retraced(p, found)
            self.measured_s += sum(found["seconds"])

        return keep

    def _ask(self, p: Progress, verb: str, keep: _Keep, **params: Any) -> bool:
        """Send a request about a right cell and store the response; return whether it succeeded.

        A failure becomes the status of the cell.
        """
        try:
            keep(p, self.pool.request(p.cell.spec, verb, self.settings.deadline_s(p.cell.size), **params))
        except WorkerError as error:
            message = f"while being timed: {first_line(error)}"[:LONGEST_MESSAGE]
            p.row = replace(p.row, status=error.status, message=message)
            self._traced(p.cell, error)
            return False
        return True

    def _descend(self, problem: Problem) -> None:
        """Minimise the problem from its first start, for each dtype and backend that has a cell ``step``."""
        cells = [c for c in self.plan.cells if c.problem == problem.name and c.operator == Operator.STEP]
        if not self.settings.descents or not cells:
            return
        source = self.plan.sources[problem.name]
        for dtype, spec in dict.fromkeys((c.dtype, c.spec) for c in cells):
            piece = f"descents/{problem.name}/{dtype}/{spec}"
            if not self.folder.settled(done=piece):
                rows = first_descent(self.pool, problem, source, dtype, spec, self.settings.deadline_s())
                broken = {row.status for row in rows["descents"]} & BROKEN
                self.folder.add(rows, done="" if broken else piece)

    def _questions(self, problem: Problem) -> None:
        """Put the problem's questions to each backend."""
        if not problem.questions:
            return
        for spec in (s for s in self.plan.specs if s not in self.plan.ordered):
            piece = f"questions/{problem.name}/{spec}"
            if self.folder.settled(done=piece):
                continue
            try:
                found = self.pool.request(
                    spec,
                    "questions",
                    self.settings.deadline_s(),
                    source=self.plan.sources[problem.name],
                    problem=problem.name,
                )
            except WorkerError:
                continue
            # The worker does not know the label of its interpreter: the backend's full name is set here.
            answers = [QuestionRow(**{**answer, "backend": spec}) for answer in found["results"]]
            self.folder.add({"questions": answers}, done=piece)


def _keep_phases(launch: int) -> _Keep:
    """Return the function that stores the seconds of preparation and first call."""

    def keep(p: Progress, found: dict[str, Any]) -> None:
        phases = (Phase.PREPARE, Phase.FIRST_CALL)
        p.samples += [SampleRow(p.cell.cell_id, phase, launch, 0, 1, found[f"{phase}_s"]) for phase in phases]

    return keep


def _keep_calls(p: Progress, found: dict[str, Any]) -> None:
    p.calls = found["calls"]


def _keep_retraced(p: Progress, found: dict[str, Any]) -> None:
    if found["retraced"]:
        p.flags.add("retraced")


def _results(begun: Sequence[Progress]) -> dict[str, tuple[Any, ...]]:
    return {p.cell.spec: p.result for p in begun if p.result}
