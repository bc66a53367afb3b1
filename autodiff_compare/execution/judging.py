"""The first part of a group's execution: each cell is prepared and called once, and its result is judged.

Workers compute side by side, and each result is judged when it arrives. `Judging.begin` asks for the results of a group
and `Judging.complete` waits for them: between the two, the runner may finish another group.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from autodiff_compare.execution.computation.recheck import digest
from autodiff_compare.execution.dispatcher import Response
from autodiff_compare.execution.progress import (
    LONGEST_MESSAGE,
    Effort,
    Group,
    Progress,
    blank_row,
    first_line,
    measured,
)
from autodiff_compare.execution.requests import CellRequests, Keep
from autodiff_compare.judge import complex_numbers
from autodiff_compare.judge.comparison import too_large
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.judge.pairs import pairwise
from autodiff_compare.plan.cases import Cell, build_case
from autodiff_compare.problems import ProblemError
from autodiff_compare.process.affinity import THREADS_TOLERANCE
from autodiff_compare.process.failures import described, whole
from autodiff_compare.process.time_limit import TimeLimitExceeded, time_limit
from autodiff_compare.results.rows import CheckRow, PairRow, SampleRow
from autodiff_compare.vocabulary import Phase, Status


class Judging:
    """Have the cells of groups computed and judged.

    Parameters
    ----------
    requests
        Sends the requests about the cells.
    run_id
        The run, of whose rows the cells become.
    effort
        Takes up the seconds of preparation.
    """

    def __init__(self, requests: CellRequests, run_id: str, effort: Effort) -> None:
        self.requests, self.effort = requests, effort
        self.plan, self.settings, self.listener = requests.plan, requests.settings, requests.listener
        self._blank = partial(blank_row, run_id, self.settings.threads)

    def begin(self, cells: Sequence[Cell], beside: Sequence[Group] = ()) -> Group:
        """Draw the numbers of a group and ask its workers for their results.

        Parameters
        ----------
        cells
            The cells of the group.
        beside
            Groups whose cells the workers hold beside these, because they wait for their rounds.
        """
        with self.requests.dispatcher.share():
            group = self._group(cells)
        if group.judge is not None:
            first = cells[0]
            self.listener.doing(f"computing {first.problem} {first.operator}")
            group.awaited = len(group.begun)
            memory, held = self.settings.memory, [p.cell.cell_id for other in beside for p in other.begun]
            self.requests.dispatcher.ask(
                self.requests.computation(p, (group, p), memory=memory, held=held) for p in group.begun
            )
        return group

    def complete(self, group: Group) -> None:
        """Judge the results of a group, and those of later groups that arrive before its last one."""
        with self.listener.ticking() if group.awaited else contextlib.nullcontext():
            while group.awaited:
                response = self.requests.dispatcher.response()
                owner, p = response.request.about
                owner.awaited -= 1
                self._receive(owner.judge, p, response)
        if group.judge is not None:
            results = {p.cell.spec: p.result for p in group.begun if p.result}
            of = group.begun[0].cell.group
            group.pairs = [PairRow(*of, **vars(pair)) for pair in pairwise(group.judge.case, results)]
            group.judge = None
        for p in group.begun:
            p.result = ()

    def keep_launch(self, number: int) -> Keep:
        """Return the function that stores what a worker of a further launch has returned for a cell."""

        def keep(p: Progress, found: dict[str, Any]) -> None:
            self._keep_phases(p, found, number, time.monotonic())
            self.same_as_judged(p, found["result"], f"the first call of launch {number + 1}")

        return keep

    def keep_again(self, p: Progress, found: dict[str, Any]) -> None:
        """Judge what a worker has returned for a cell that an earlier process of it has lost."""
        self.same_as_judged(p, found["result"], "the first call in another process")

    def same_as_judged(self, p: Progress, result: Sequence[Any] | None, where: str) -> None:
        """Judge a result that differs in some bit from the one that was judged; a wrong one ends the cell."""
        if result is None or digest(result) == p.judged:
            return
        cell, limit_s = p.cell, self.settings.deadline_s(p.cell.size)
        try:
            with time_limit(limit_s):
                problem = self.requests.problems[cell.problem]
                comparisons = Judge(build_case(problem, cell.size, cell.dtype, cell.operator, self.plan.seed))(result)
            status, message = overall(comparisons)
        except TimeLimitExceeded:
            status, message, comparisons = Status.TIMEOUT, f"no verdict on it within {limit_s:g} s", ()
        except Exception as error:  # a user's code may raise anything, in a later call too
            status, message, comparisons = Status.ERROR, f"while being judged: {type(error).__name__}: {error}", ()
        if status != Status.OK:
            p.checks = [CheckRow(cell.cell_id, **vars(c)) for c in comparisons] or p.checks
            words = f"{where} gave another result than the first call, which was right: {message}"
            p.row = replace(p.row, status=status, message=words[:LONGEST_MESSAGE])

    def _group(self, cells: Sequence[Cell]) -> Group:
        """Return a group with its judge; without one if its cells cannot be computed, and have ended."""
        first, limit_s = cells[0], self.settings.deadline_s(cells[0].size)
        problem = self.requests.problems[first.problem]
        try:
            with time_limit(limit_s):
                case = build_case(problem, first.size, first.dtype, first.operator, self.plan.seed)
            begun = [Progress(cell, self._blank(cell, case)) for cell in cells]
            why = complex_numbers.refused(case) or too_large(case)
            judge = Judge(case, every=self.plan.every)
        except TimeLimitExceeded:
            message = f"in plain NumPy, before any backend: no value within {limit_s:g} s"
            return self._ended(cells, Status.TIMEOUT, message)
        except Exception as error:  # a user's code may raise anything: that costs its own cells only
            message = f"in plain NumPy, before any backend: {type(error).__name__}: {described(error)}"
            if isinstance(error, ProblemError):
                message = first_line(error)
            self.requests.tracebacks.setdefault(whole(error), []).extend(cell.cell_id for cell in cells)
            return self._ended(cells, Status.ERROR, message.splitlines()[0][:LONGEST_MESSAGE])
        if why:
            for p in begun:
                p.row = replace(p.row, status=Status.UNSUPPORTED, message=why)
        return Group(begun, judge=None if why else judge)

    def _ended(self, cells: Sequence[Cell], status: Status, message: str) -> Group:
        rows = [replace(self._blank(cell, None), status=status, message=message) for cell in cells]
        return Group([Progress(cell, row) for cell, row in zip(cells, rows, strict=True)])

    def _receive(self, judge: Judge, p: Progress, response: Response) -> None:
        """Judge the result in a response about a cell that has been computed for the first time."""
        cell = p.cell
        if response.error is not None:
            p.row = replace(p.row, status=response.error.status, message=first_line(response.error))
            self.requests.traced(cell, response.error)
            return
        self.listener.doing(f"judging {cell.problem} {cell.operator} on {cell.spec}")
        limit_s = self.settings.deadline_s(cell.size)
        try:
            with self.requests.dispatcher.share(), time_limit(limit_s):
                self._judge(p, judge, response.found, response.at)
        except TimeLimitExceeded:
            message = f"while being judged, in plain NumPy: no verdict within {limit_s:g} s"
            self._unjudged(p, Status.TIMEOUT, message)
        except Exception as error:  # a response and a user's code may hold anything: that costs this cell only
            self._unjudged(p, Status.ERROR, f"while being judged: {type(error).__name__}: {first_line(error)}")

    def _unjudged(self, p: Progress, status: Status, message: str) -> None:
        p.result, p.checks = (), []
        p.row = replace(p.row, status=status, message=message[:LONGEST_MESSAGE])

    def _judge(self, p: Progress, judge: Judge, found: dict[str, Any], at: float) -> None:
        """Judge the result in a response that came at a time, and complete the cell's row."""
        cell, pool = p.cell, self.requests.pool
        p.result = tuple(found["result"])
        p.judged = digest(p.result)
        p.flags.update(found["flags"])
        self._keep_phases(p, found, 0, at)
        comparisons = judge(p.result, repeatable=found["repeatable"], inputs_unchanged=found["inputs_unchanged"])
        p.checks = [CheckRow(cell.cell_id, **vars(c)) for c in comparisons]
        status, message = overall(comparisons)
        p.row = replace(
            measured(p.row, found, p.result),
            status=status,
            message=message,
            threads_effective=pool.threads[cell.spec],
            threads_active=pool.active[cell.spec],
        )
        if p.row.threads_effective > THREADS_TOLERANCE * self.settings.threads:
            p.flags.add("threads")

    def _keep_phases(self, p: Progress, found: Mapping[str, Any], launch: int, ended: float) -> None:
        """Store the seconds of preparation and first call."""
        for phase in (Phase.PREPARE, Phase.FIRST_CALL):
            seconds, waited_s = found[f"{phase}_s"], found[f"{phase}_waited_s"]
            p.samples.append(SampleRow(p.cell.cell_id, phase, launch, 0, 1, seconds, waited_s))
        self.effort.prepare(ended - found["prepare_s"] - found["first_call_s"], ended)
