"""The runner: takes a plan through the workers, group by group, and every planned cell to one row.

A group is one (problem, size, dtype, operator). Its cells are computed one after another, judged, and those
found right are timed in rounds that go around the backends, so that drift of the machine hits all alike. Further
launches start every worker afresh and time the right cells again; the rounds of all launches are pooled.
A worker that fails costs its own cell; it is started again for the next, a few times.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from autodiff_compare.execution.local import Here
from autodiff_compare.execution.pool import Pool
from autodiff_compare.judge import judge as check
from autodiff_compare.judge.comparison import refusal
from autodiff_compare.plan.cases import Case, Cell, build_case, elsewhere, sent
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.problems import Problem
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.environment import THREADS_TOLERANCE
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import CellRow, CheckRow, PairRow, QuestionRow, SampleRow
from autodiff_compare.studies.records import first_descent
from autodiff_compare.timing.clock import CONTENDED, CONTENDED_ROUNDS
from autodiff_compare.timing.schedule import Budget, Schedule, run_rounds
from autodiff_compare.timing.statistics import drifting, noisy
from autodiff_compare.vocabulary import BROKEN, Operator, Phase, Status


@dataclass
class _Progress:
    """A cell on its way to its row."""

    cell: Cell
    row: CellRow
    checks: list[CheckRow] = field(default_factory=list)
    samples: list[SampleRow] = field(default_factory=list)
    result: tuple[Any, ...] = ()
    calls: int = 0
    #: Rounds in which others had the processor for a while.
    contended: int = 0
    flags: set[str] = field(default_factory=set)


@dataclass
class _Group:
    """The cells that are timed against each other."""

    begun: list[_Progress]
    pairs: list[PairRow]
    #: Rounds made in all launches so far.
    rounds: int = 0


class Runner:
    """One run of a plan into a folder.

    Parameters
    ----------
    plan, settings, folder
        What is run, how, and where it is kept.
    tell
        Called with the row of each cell after each launch, for progress.
    pool
        What computes; by default worker processes.

    Attributes
    ----------
    measured_s
        Seconds spent inside timed blocks so far.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        folder: RunFolder,
        tell: Callable[[CellRow], None] = lambda _: None,
        pool: Pool | Here | None = None,
    ) -> None:
        self.plan, self.settings, self.folder, self.tell = plan, settings, folder, tell
        self.pool = pool or Pool(plan, settings, folder)
        self.problems = {p.name: p for p in plan.problems}
        self.order = random.Random(plan.seed)
        self.measured_s = 0.0

    def run(self) -> None:
        """Every cell, then questions and descents; what is finished is in the folder even if this is interrupted."""
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
        """The groups that the folder does not have yet.

        A group in which one cell is missing or broke is computed again whole: pairs and "slower than" need the
        results and the rounds of all its backends side by side.
        """
        groups = [list(cells) for _, cells in itertools.groupby(self.plan.cells, key=lambda cell: cell.group)]
        return [g for g in groups if not self.folder.settled((cell.cell_id for cell in g), self._piece(g[0]))]

    def _piece(self, cell: Cell) -> str:
        """What the last of several launches leaves in the folder; one launch needs no such mark."""
        return f"launches/{'/'.join(cell.group)}" if self.settings.launches > 1 else ""

    def _judged(self, cells: Sequence[Cell]) -> _Group:
        """Compute and judge a group's cells."""
        first = cells[0]
        problem, blank = self.problems[first.problem], partial(_blank, self.folder.run_id, self.settings.threads)
        try:
            case = build_case(problem, first.size, first.dtype, first.operator, self.plan.seed)
            blanks = [blank(cell, case) for cell in cells]
            too_large = refusal(case)
            if too_large:
                rows = [replace(row, status=Status.UNSUPPORTED, message=too_large) for row in blanks]
                return _Group([_Progress(cell, row) for cell, row in zip(cells, rows, strict=True)], [])
            judge = check.Judge(case)
        except Exception as error:  # a user's code: whatever it raises costs its own cells only
            message = f"in plain NumPy, before any backend: {type(error).__name__}: {_line(error)}"
            rows = [replace(blank(cell, None), message=message) for cell in cells]
            return _Group([_Progress(cell, row) for cell, row in zip(cells, rows, strict=True)], [])
        begun = [self._begin(_Progress(row[0], row[1]), judge) for row in zip(cells, blanks, strict=True)]
        pairs = [PairRow(*first.group, **vars(pair)) for pair in check.pairwise(case, _results(begun))]
        for p in begun:
            p.result = ()
        return _Group(begun, pairs)

    def _launch(self, group: _Group, number: int) -> None:
        """Time the right cells of a group, and keep all that is known of it."""
        right = [p for p in group.begun if p.row.status == Status.OK]
        if number:
            right = [p for p in right if self._ask(p, "cell", _phases(number), **self._what(p.cell, memory=False))]
        if self.settings.rounds:
            self._time(group, right)
        if self.settings.isolate == Isolate.CELL:
            self.pool.restart()
        rows = [_flagged(p) for p in group.begun]
        done = self._piece(group.begun[0].cell) if number + 1 == self.settings.launches else ""
        # One line of the log, so that an interrupted run has a group whole or not at all.
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

    def _begin(self, p: _Progress, judge: check.Judge) -> _Progress:
        """Prepare, call once, judge."""
        cell = p.cell
        try:
            what = self._what(cell, memory=self.settings.memory)
            found = self.pool.request(cell.spec, "cell", self.settings.deadline_s(cell.size), **what)
        except WorkerError as error:
            p.row = replace(p.row, status=error.status, message=_line(error))
            return p
        p.result = tuple(found["result"])
        _phases(0)(p, found)
        comparisons = judge(p.result, repeatable=found["repeatable"], inputs_unchanged=found["inputs_unchanged"])
        p.checks = [CheckRow(cell.cell_id, **vars(c)) for c in comparisons]
        status, message = check.overall(comparisons)
        p.row = replace(
            _measured(p.row, found, p.result),
            status=status,
            message=message,
            threads_effective=self.pool.threads[cell.spec],
            threads_active=self.pool.active[cell.spec],
        )
        if p.row.threads_effective > THREADS_TOLERANCE * self.settings.threads:
            p.flags.add("threads")
        return p

    def _what(self, cell: Cell, *, memory: bool) -> dict[str, Any]:
        """The parameters of the request that prepares a cell."""
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
        """Both points of a cell, where its worker may not find the same ones: they are then sent."""
        problem = self.problems[cell.problem]
        if not (problem.fixed or cell.spec in self.plan.interpreters):
            return ()
        case = build_case(problem, cell.size, cell.dtype, cell.operator, self.plan.seed)
        return sent(case), sent(elsewhere(case))

    def _time(self, group: _Group, right: list[_Progress]) -> None:
        """Rounds around the backends within this group's share of the budget; one that fails leaves the round."""
        schedule = Schedule(self.settings.rounds, self.budget.begin())
        ready = [
            p
            for p in right
            if schedule.continues(0, ())
            and self._ask(p, "calibrate", lambda p, found: setattr(p, "calls", found["calls"]))
        ]
        live, made = run_rounds(
            ready,
            lambda p, number: self._ask(p, "visit", self._visited(group.rounds + number), calls=p.calls),
            lambda p: _rounds(p.samples),
            schedule,
            self.order,
        )
        group.rounds += made
        self.budget.end()
        for p in live:
            self._ask(p, "finish", lambda p, found: p.flags.update({"retraced"} if found["retraced"] else ()))
        if made < self.settings.rounds:
            for p in right:
                p.flags.add("cut")

    def _visited(self, number: int) -> Callable[[_Progress, dict[str, Any]], None]:
        """What keeps the samples of one visit."""

        def keep(p: _Progress, found: dict[str, Any]) -> None:
            blocks = enumerate(found["seconds"])
            p.samples += [SampleRow(p.cell.cell_id, Phase.STEADY, number, i, p.calls, s) for i, s in blocks]
            p.contended += found["queue_s"] > CONTENDED * found["wall_s"]
            if found["retraced"]:
                p.flags.add("retraced")
            self.measured_s += sum(found["seconds"])

        return keep

    def _ask(self, p: _Progress, verb: str, keep: Callable[[_Progress, dict[str, Any]], None], **params: Any) -> bool:
        """Whether the worker answered; a failure while timing becomes the cell's status."""
        try:
            keep(p, self.pool.request(p.cell.spec, verb, self.settings.deadline_s(p.cell.size), **params))
        except WorkerError as error:
            p.row = replace(p.row, status=error.status, message=f"while being timed: {_line(error)}"[:300])
            return False
        return True

    def _descend(self, problem: Problem) -> None:
        """Minimise the problem from its first start, where its steps are among the cells."""
        cells = [c for c in self.plan.cells if c.problem == problem.name and c.operator == Operator.STEP]
        if not self.settings.descents or not cells:
            return
        left = dict.fromkeys((c.dtype, c.spec) for c in cells)
        source = self.plan.sources[problem.name]
        for dtype, spec in left:
            piece = f"descents/{problem.name}/{dtype}/{spec}"
            if not self.folder.settled(done=piece):
                rows = first_descent(self.pool, problem, source, dtype, spec, self.settings.deadline_s())
                broken = {row.status for row in rows["descents"]} & BROKEN
                self.folder.add(rows, done="" if broken else piece)

    def _questions(self, problem: Problem) -> None:
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
            # A worker does not know under which label its interpreter stands in the tables.
            answers = [QuestionRow(**{**answer, "backend": spec}) for answer in found["results"]]
            self.folder.add({"questions": answers}, done=piece)


def _phases(launch: int) -> Callable[[_Progress, dict[str, Any]], None]:
    """What keeps the times of preparing and of the first call."""

    def keep(p: _Progress, found: dict[str, Any]) -> None:
        phases = (Phase.PREPARE, Phase.FIRST_CALL)
        p.samples += [SampleRow(p.cell.cell_id, phase, launch, 0, 1, found[f"{phase}_s"]) for phase in phases]

    return keep


def _flagged(p: _Progress) -> CellRow:
    """The row with what is to be known about its timings."""
    flags, rounds = set(p.flags), _rounds(p.samples)
    if rounds:
        often = p.contended > CONTENDED_ROUNDS * len(rounds)
        tests = {"noisy": noisy(rounds), "drift": drifting(rounds), "contended": often}
        flags |= {name for name, holds in tests.items() if holds}
    return replace(p.row, flags=" ".join(sorted(flags)), contended_rounds=p.contended if rounds else None)


def _rounds(samples: Sequence[SampleRow]) -> list[float]:
    steady = [s for s in samples if s.phase == Phase.STEADY]
    return [
        median(s.seconds / s.calls for s in blocks) for _, blocks in itertools.groupby(steady, key=lambda s: s.round)
    ]


def _results(begun: Sequence[_Progress]) -> dict[str, tuple[Any, ...]]:
    return {p.cell.spec: p.result for p in begun if p.result}


def _blank(run_id: str, threads: int, cell: Cell, case: Case | None) -> CellRow:
    """The row of a cell of which nothing is known but what it is about."""
    return CellRow(
        run_id=run_id,
        cell_id=cell.cell_id,
        problem=cell.problem,
        size=cell.size,
        n_inputs=sum(x.size for x in case.inputs.differentiated) if case else None,
        n_outputs=case.output.size if case else None,
        dtype=cell.dtype,
        operator=cell.operator,
        backend=cell.backend,
        variant=cell.variant,
        how="",
        mode="",
        status=Status.ERROR,
        message="",
        value=float("nan"),
        gradient_norm=float("nan"),
        objective_calls=None,
        peak_rss_bytes=None,
        memory_method="",
        threads_requested=threads,
        threads_effective=float("nan"),
        threads_active=None,
        contended_rounds=None,
        flags="",
    )


def _measured(row: CellRow, found: dict[str, Any], result: Sequence[Any]) -> CellRow:
    has_value = row.operator in (Operator.VALUE, Operator.VALUE_AND_GRADIENT) and result[0].shape == ()
    entries = result[1:] if row.operator == Operator.VALUE_AND_GRADIENT else result
    norm = float(np.linalg.norm(np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in entries])))
    return replace(
        row,
        how=found["how"],
        mode=found["mode"],
        value=float(result[0]) if has_value else float("nan"),
        gradient_norm=norm,
        objective_calls=found["objective_calls"],
        peak_rss_bytes=found["peak_bytes"],
        memory_method=found["memory_method"],
    )


def _line(error: Exception) -> str:
    """The first line of a message, at most 300 characters: it becomes a table's cell."""
    return next(_nonempty(str(error)), type(error).__name__)[:300]


def _nonempty(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
