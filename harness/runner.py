"""The runner: takes a plan through the workers, group by group, and every planned cell to one row.

A group is one (problem, size, dtype, operator). Its cells are computed one after another, judged, and those
found right are timed in rounds that go around the backends, so that drift of the machine hits all alike.
A worker that fails costs its own cell; it is started again for the next, a few times.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import backends
from harness import check
from harness.cells import Case, Cell, build_case, objective_value
from harness.client import WorkerClient, WorkerError
from harness.environment import THREADS_TOLERANCE
from harness.plan import Plan
from harness.statistics import drifting, noisy
from harness.store import RunFolder
from harness.tables import CellRow, CheckRow, PairRow, QuestionRow, SampleRow
from problems import Problem
from vocabulary import Operator, Phase, Status

#: A worker is started again so often after a death; then its backend is given up for this run.
_RESTARTS = 3
#: More of a visit's time than this spent waiting for a processor is flagged.
_CONTENDED = 0.05


@dataclass(frozen=True)
class Settings:
    """How a run is made.

    Parameters
    ----------
    rounds
        Timing rounds; 0 judges without timing.
    threads
        Threads of each worker.
    timeout_s
        Seconds for one cell's preparation and first call.
    memory
        Whether to measure peak memory, which costs one more call a cell.
    """

    rounds: int = 8
    threads: int = 1
    timeout_s: float = 60.0
    memory: bool = True


@dataclass
class _Progress:
    """A cell on its way to its row."""

    cell: Cell
    row: CellRow
    checks: list[CheckRow] = field(default_factory=list)
    samples: list[SampleRow] = field(default_factory=list)
    result: tuple[Any, ...] = ()
    calls: int = 0
    flags: set[str] = field(default_factory=set)


class Runner:
    """One run of a plan into a folder.

    Parameters
    ----------
    plan, settings, folder
        What is run, how, and where it is kept.
    tell
        Called with the finished row of each cell, for progress.
    """

    def __init__(
        self, plan: Plan, settings: Settings, folder: RunFolder, tell: Callable[[CellRow], None] = lambda _: None
    ) -> None:
        self.plan, self.settings, self.folder, self.tell = plan, settings, folder, tell
        self.pool = Pool(plan, settings, folder)
        self.problems = {p.name: p for p in plan.problems}
        self.order = random.Random(plan.seed)

    def run(self) -> None:
        """Every cell, then the questions; what is finished is in the folder even if this is interrupted."""
        try:
            for cells in self.left():
                self._group(cells)
            for problem in self.plan.problems:
                self._questions(problem)
        finally:
            self.pool.close()

    def left(self) -> list[list[Cell]]:
        """The groups that the folder does not have yet.

        A group in which one cell is missing or broke is computed again whole: pairs and "slower than" need the
        results and the rounds of all its backends side by side.
        """
        groups = [list(cells) for _, cells in itertools.groupby(self.plan.cells, key=lambda cell: cell.group)]
        return [cells for cells in groups if not self.folder.settled(cell.cell_id for cell in cells)]

    def _group(self, cells: Sequence[Cell]) -> None:
        first = cells[0]
        problem = self.problems[first.problem]
        case = build_case(problem, first.size, first.dtype, first.operator, self.plan.seed)
        judge = check.Judge(case)
        begun = [self._begin(cell, case, judge) for cell in cells]
        right = [p for p in begun if p.row.status == Status.OK]
        if self.settings.rounds:
            self._time(right)
        pairs = [PairRow(*first.group, **vars(pair)) for pair in check.pairwise(case, _results(begun))]
        rows = [replace(p.row, flags=" ".join(sorted(p.flags))) for p in begun]
        # One line of the log, so that an interrupted run has a group whole or not at all.
        self.folder.add(
            {
                "cells": rows,
                "checks": [row for p in begun for row in p.checks],
                "samples": [row for p in begun for row in p.samples],
                "pairs": pairs,
            }
        )
        for row in rows:
            self.tell(row)

    def _begin(self, cell: Cell, case: Case, judge: check.Judge) -> _Progress:
        """Prepare, call once, judge."""
        p = _Progress(cell, _blank(self.folder.run_id, cell, case))
        try:
            found = self.pool.request(
                cell.spec,
                "cell",
                self.settings.timeout_s,
                source=self.plan.sources[cell.problem],
                problem=cell.problem,
                size=cell.size,
                dtype=cell.dtype,
                operator=cell.operator,
                seed=self.plan.seed,
                memory=self.settings.memory,
            )
        except WorkerError as error:
            p.row = replace(p.row, status=error.status, message=_line(error))
            return p
        p.result = tuple(found["result"])
        p.samples = [
            SampleRow(cell.cell_id, phase, 0, 0, 1, found[f"{phase}_s"]) for phase in (Phase.PREPARE, Phase.FIRST_CALL)
        ]
        comparisons = judge(p.result, repeatable=found["repeatable"], inputs_unchanged=found["inputs_unchanged"])
        p.checks = [CheckRow(cell.cell_id, **vars(c)) for c in comparisons]
        status, message = check.overall(comparisons)
        p.row = replace(
            _measured(p.row, found, p.result),
            status=status,
            message=message,
            threads_effective=self.pool.threads[cell.spec],
        )
        if p.row.threads_effective > THREADS_TOLERANCE * self.settings.threads:
            p.flags.add("threads")
        return p

    def _time(self, right: list[_Progress]) -> None:
        """Rounds around the backends, in a fresh random order each; one that fails leaves the round."""
        live = [p for p in right if self._ask(p, "calibrate", lambda p, found: setattr(p, "calls", found["calls"]))]
        for number in range(self.settings.rounds):
            self.order.shuffle(live)
            live = [p for p in live if self._ask(p, "visit", _keeper(number), calls=p.calls)]
        for p in live:
            self._ask(p, "finish", lambda p, found: p.flags.update({"retraced"} if found["retraced"] else ()))
            rounds = _rounds(p.samples)
            p.flags |= {name for name, test in (("noisy", noisy), ("drift", drifting)) if test(rounds)}

    def _ask(self, p: _Progress, verb: str, keep: Callable[[_Progress, dict[str, Any]], None], **params: Any) -> bool:
        """Whether the worker answered; a failure while timing becomes the cell's status."""
        try:
            keep(p, self.pool.request(p.cell.spec, verb, self.settings.timeout_s, **params))
        except WorkerError as error:
            p.row = replace(p.row, status=error.status, message=f"while being timed: {_line(error)}")
            return False
        return True

    def _questions(self, problem: Problem) -> None:
        if not problem.questions:
            return
        for spec in self.plan.specs:
            piece = f"questions/{problem.name}/{spec}"
            if self.folder.settled(done=piece):
                continue
            try:
                found = self.pool.request(
                    spec,
                    "questions",
                    self.settings.timeout_s,
                    source=self.plan.sources[problem.name],
                    problem=problem.name,
                )
            except WorkerError:
                continue
            self.folder.add({"questions": [QuestionRow(**answer) for answer in found["answers"]]}, done=piece)


class Pool:
    """The workers of a run, started when first needed, one after another."""

    def __init__(self, plan: Plan, settings: Settings, folder: RunFolder) -> None:
        self.settings, self.folder = settings, folder
        self.threads: dict[str, float] = {}
        self._clients: dict[str, WorkerClient] = {}
        self._refused: dict[str, WorkerError] = {}
        self._adapters = plan.adapters
        self._starts = dict.fromkeys(plan.specs, 0)

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> dict[str, Any]:
        """Ask the worker of ``spec``; a dead one is dropped, to be started again by the next request."""
        client = self._client(spec)
        try:
            return client.request(verb, deadline_s, **params)
        except WorkerError as error:
            if error.fatal or error.status == Status.CRASH:
                self._drop(spec)
            raise

    def close(self) -> None:
        for spec in list(self._clients):
            self._drop(spec)

    def _client(self, spec: str) -> WorkerClient:
        if spec in self._refused:
            raise self._refused[spec]
        if spec not in self._clients:
            self._start(spec)
        return self._clients[spec]

    def _start(self, spec: str) -> None:
        absent = backends.missing(backends.load(self._adapters[spec]))
        if absent:
            reason = f"not installed: {', '.join(absent)}"
            self._refused[spec] = WorkerError(Status.NOT_INSTALLED, reason)
            raise self._refused[spec]
        if self._starts[spec] > _RESTARTS:
            self._refused[spec] = WorkerError(Status.CRASH, f"given up after {self._starts[spec]} workers died")
            raise self._refused[spec]
        self._starts[spec] += 1
        client = WorkerClient(self._adapters[spec], self.settings.threads)
        try:
            opened = client.request("open", max(self.settings.timeout_s, 60.0))
        except WorkerError as error:
            client.close()
            if not error.fatal:
                self._refused[spec] = error
            raise
        self._clients[spec] = client
        self.threads[spec] = opened["threads"]
        self.folder.add({"samples": [SampleRow(spec, Phase.IMPORT, self._starts[spec] - 1, 0, 1, opened["seconds"])]})

    def _drop(self, spec: str) -> None:
        self._clients.pop(spec).close()


def _keeper(number: int) -> Callable[[_Progress, dict[str, Any]], None]:
    """What keeps the samples of one round."""

    def keep(p: _Progress, found: dict[str, Any]) -> None:
        p.samples += [
            SampleRow(p.cell.cell_id, Phase.STEADY, number, i, p.calls, s) for i, s in enumerate(found["seconds"])
        ]
        if found["queue_share"] > _CONTENDED:
            p.flags.add("contended")

    return keep


def _rounds(samples: Sequence[SampleRow]) -> list[float]:
    steady = [s for s in samples if s.phase == Phase.STEADY]
    return [
        float(np.median([s.seconds / s.calls for s in blocks]))
        for _, blocks in itertools.groupby(steady, key=lambda s: s.round)
    ]


def _results(begun: Sequence[_Progress]) -> dict[str, tuple[Any, ...]]:
    return {p.cell.spec: p.result for p in begun if p.result}


def _blank(run_id: str, cell: Cell, case: Case) -> CellRow:
    """The row of a cell of which nothing is known but what it is about."""
    return CellRow(
        run_id=run_id,
        cell_id=cell.cell_id,
        problem=cell.problem,
        size=cell.size,
        n_inputs=sum(x.size for x in case.inputs.differentiated),
        n_outputs=int(objective_value(case.problem, case.inputs).size),
        dtype=cell.dtype,
        operator=cell.operator,
        backend=cell.backend,
        variant=cell.variant,
        how="",
        status=Status.ERROR,
        message="",
        value=float("nan"),
        gradient_norm=float("nan"),
        objective_calls=None,
        peak_rss_bytes=None,
        threads_effective=float("nan"),
        flags="",
    )


def _measured(row: CellRow, found: dict[str, Any], result: Sequence[Any]) -> CellRow:
    has_value = row.operator in (Operator.VALUE, Operator.VALUE_AND_GRADIENT) and result[0].shape == ()
    entries = result[1:] if row.operator == Operator.VALUE_AND_GRADIENT else result
    norm = float(np.linalg.norm(np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in entries])))
    return replace(
        row,
        how=found["how"],
        value=float(result[0]) if has_value else float("nan"),
        gradient_norm=norm,
        objective_calls=found["objective_calls"],
        peak_rss_bytes=found["peak_bytes"],
    )


def _line(error: Exception) -> str:
    """The first line of a message, at most 300 characters: it becomes a table's cell."""
    return next(_nonempty(str(error)), type(error).__name__)[:300]


def _nonempty(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
