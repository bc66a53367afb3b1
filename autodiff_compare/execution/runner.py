"""The runner: execute a plan group by group, judge and time its cells, and write one row for each of them.

A group holds the cells of one (problem, size, dtype, operator), one for each backend:

1. Each cell is prepared and called once in its worker, and the result is judged (`execution.judging`).
2. The right cells are timed in rounds (`execution.rounds`). Each round visits all of them, so that drift of the machine
   affects all alike. Nothing else is computed meanwhile.
3. Further launches (``--launches``) start all workers afresh and time the right cells again, because a whole process
   can be slower than another of the same program. The rounds of all launches are pooled.

While nothing is timed, workers import their frameworks and prepare cells side by side (`execution.dispatcher`). A
backend that is ready computes the first groups, and is judged, while others are still imported. The groups of one
problem, size and dtype are prepared together before the first of them is timed, as long as their numbers are few: a
worker then needs to wait for no other between two of them. In a run without timing the next groups are always asked for
before the results of the last one are judged.

Every planned cell ends as exactly one row. A worker that fails costs its own cell; it is started again for the next
one, a few times. What is finished is in the folder even if the run is interrupted.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import itertools
import random
from collections.abc import Collection, Iterable, Iterator, Sequence

from autodiff_compare.execution.dispatcher import Dispatcher
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.judging import Judging
from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.problem_studies import ProblemStudies
from autodiff_compare.execution.progress import Effort, Group, Progress, flagged
from autodiff_compare.execution.requests import CellRequests
from autodiff_compare.execution.rounds import Rounds, comparable_values
from autodiff_compare.execution.turns import NoTurns
from autodiff_compare.plan.cases import Cell
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.results.store import Record
from autodiff_compare.timing.schedule import Budget

#: Most entries of the inputs and results of a group that workers hold while other groups are prepared.
_HELD_ENTRIES = 2**17
#: Groups that are asked for ahead of the one that is judged, in a run without timing.
_AHEAD = 4


class Part(enum.StrEnum):
    """A part of a run: its cells, the questions that problems ask, or the descents."""

    CELLS = "cells"
    QUESTIONS = "questions"
    DESCENTS = "descents"


class Runner:
    """One execution of a plan, with its results in a folder.

    Parameters
    ----------
    plan
        The cells to be executed.
    settings
        Rounds, launches, threads, deadlines and isolation.
    folder
        The record to which finished groups are added.
    listener
        Is told what is done, and of each finished cell and group in each launch.
    pool
        Answers the requests; by default worker processes.
    turns
        Keeps what is timed apart from other work on this host; by default the run has its host to itself.
    dispatcher
        Sends the requests, for a pool that outlives the run: its threads have started the workers, which the kernel
        kills with them. By default the run has one of its own.

    Attributes
    ----------
    effort
        Seconds spent so far in timed calls and in preparation.
    tracebacks
        Traceback of each exception -> the cells that ended by it.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        folder: Record,
        listener: Silent | None = None,
        pool: Pool | LocalPool | None = None,
        turns: NoTurns | None = None,
        dispatcher: Dispatcher | None = None,
    ) -> None:
        self.plan, self.settings, self.folder, self.listener = plan, settings, folder, listener or Silent()
        self.pool, self.turns = pool or Pool(plan, settings, folder, self.listener), turns or NoTurns()
        self._dispatcher = dispatcher
        self.effort = Effort()
        self.tracebacks: dict[str, list[str]] = {}
        here = folder.machine.key if folder.machine else ""
        self._values = comparable_values([row for row in folder.rows["cells"] if row.machine == here])

    def run(self) -> None:
        """Execute the whole plan, and end its workers."""
        try:
            self.execute()
        finally:
            self.pool.close()

    def execute(self, parts: Collection[Part] = tuple(Part)) -> None:
        """Execute all groups that are not finished, then questions and descents, then further launches.

        Parameters
        ----------
        parts
            What is executed of the plan; the workers live on.
        """
        left = groups_left(self.plan, self.settings, self.folder) if Part.CELLS in parts else []
        pieces = len(left) * self.settings.launches
        self.listener.begin(sum(map(len, left)) * self.settings.launches, pieces)
        # A phase that is to be measured alone is measured while no other unit computes on this host either.
        alone = self.settings.imports_alone or self.settings.preparations_alone
        with self.turns.working(), self.turns.measuring() if alone else contextlib.nullcontext():
            self._import_alone(cell for cells in left for cell in cells)
            kept = self._dispatcher
            with Dispatcher(self.pool) if kept is None else contextlib.nullcontext(kept) as dispatcher:
                self._execute(left, parts, dispatcher, Budget(self.settings.budget_s, pieces))

    def _execute(
        self, left: Sequence[Sequence[Cell]], parts: Collection[Part], dispatcher: Dispatcher, budget: Budget
    ) -> None:
        requests = CellRequests(self.plan, self.settings, self.listener, dispatcher, self.pool)
        requests.tracebacks = self.tracebacks
        judging = Judging(requests, self.folder.run_id, self.effort)
        rounds = Rounds(requests, judging, self.effort, budget, random.Random(self.plan.seed))
        groups = self._first_launch(left, judging, rounds)
        studies = ProblemStudies(self.plan, self.settings, self.folder, self.pool, self.listener, self.effort)
        for problem in self.plan.problems:
            if Part.QUESTIONS in parts:
                studies.ask(problem, dispatcher)
            if Part.DESCENTS in parts:
                studies.prepare(problem, dispatcher)
                with self._measuring():
                    studies.descend(problem)
        for number in range(1, self.settings.launches):
            self.pool.restart()
            self._import_alone(p.cell for group in groups for p in group.right)
            for group in groups:
                wanted = [requests.computation(p, p) for p in group.right]
                self._time(group, rounds, requests.ask_all(wanted, judging.keep_launch(number)))
                self._add(group, number)

    def _import_alone(self, cells: Iterable[Cell]) -> None:
        """Import the frameworks of some cells before anything else if each import is to be timed by itself."""
        if self.settings.imports_alone:
            self.pool.import_alone(list(dict.fromkeys(cell.spec for cell in cells)))

    def _first_launch(self, left: Sequence[Sequence[Cell]], judging: Judging, rounds: Rounds) -> list[Group]:
        """Judge and time all groups; others are prepared while nothing is timed."""
        groups: list[Group] = []
        ahead = self._timed_ahead if self.settings.rounds else self._judged_ahead
        for group in ahead(collections.deque(left), judging):
            self._time(group, rounds, group.right)
            with judging.requests.dispatcher.share():
                self._add(group, 0)
            groups.append(group)
        return groups

    def _timed_ahead(self, left: collections.deque[Sequence[Cell]], judging: Judging) -> Iterator[Group]:
        """Yield judged groups whose cells the workers hold; nothing is prepared until the next one is wanted."""
        while left:
            together = [judging.begin(left.popleft())]
            while left and self._holds(together, left[0]):
                together.append(judging.begin(left.popleft(), together))
            for group in together:
                judging.complete(group)
            yield from together

    def _holds(self, together: Sequence[Group], cells: Sequence[Cell]) -> bool:
        """Return whether workers prepare the cells of another group while they hold those of the groups before."""
        same = together[0].begun[0].cell.group[:-1] == cells[0].group[:-1]
        return same and bool(self.pool.shares) and together[-1].entries <= _HELD_ENTRIES

    def _judged_ahead(self, left: collections.deque[Sequence[Cell]], judging: Judging) -> Iterator[Group]:
        """Yield judged groups while the workers compute the next ones, unless another unit waits for its turn."""
        begun: collections.deque[Group] = collections.deque()
        while left or begun:
            if not begun:
                self.turns.pause()
            while left and self._asks(begun):
                begun.append(judging.begin(left.popleft()))
            judging.complete(begun[0])
            yield begun.popleft()

    def _asks(self, begun: Sequence[Group]) -> bool:
        """Return whether another group is asked for; few groups of many numbers are, which fill the memory."""
        if not begun or self.turns.wanted():
            return not begun
        return len(begun) == 1 or (len(begun) <= _AHEAD and begun[-1].entries <= _HELD_ENTRIES)

    def _time(self, group: Group, rounds: Rounds, right: list[Progress]) -> None:
        """Time the right cells of a group, if the run has rounds."""
        if self.settings.rounds:
            with self._measuring():
                rounds.time(group, right, self._values)
        if self.settings.isolate == Isolate.CELL:
            self.pool.restart()

    def _measuring(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which no other unit computes on this host."""
        alone = self.settings.imports_alone or self.settings.preparations_alone
        return contextlib.nullcontext() if alone else self.turns.measuring()

    def _add(self, group: Group, launch: int) -> None:
        """Add the rows of a group to the folder."""
        rows = [flagged(p) for p in group.begun]
        done = _piece(group.begun[0].cell, self.settings) if launch + 1 == self.settings.launches else ""
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
        self._values |= comparable_values(rows)
        for row in rows:
            self.listener.tell(row)
        self.listener.group_done()


def groups_left(plan: Plan, settings: Settings, folder: Record) -> list[list[Cell]]:
    """Return the groups of a plan that the record does not hold yet.

    A group with a missing or broken cell is executed again as a whole: pairs and the paired rule need the results and
    rounds of all its backends from one execution.
    """
    groups = [list(cells) for _, cells in itertools.groupby(plan.cells, key=lambda cell: cell.group)]
    return [g for g in groups if not folder.settled((cell.cell_id for cell in g), _piece(g[0], settings))]


def _piece(cell: Cell, settings: Settings) -> str:
    """Return the mark of a group whose launches are all done; with one launch the cells themselves are the mark."""
    return f"launches/{'/'.join(cell.group)}" if settings.launches > 1 else ""
