"""The second part of a group's execution: its right cells are timed in rounds, while nothing else is computed."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from autodiff_compare.execution.judging import Judging
from autodiff_compare.execution.progress import Effort, Group, Progress
from autodiff_compare.execution.requests import CellRequests, Keep
from autodiff_compare.results.rows import CellRow, SampleRow
from autodiff_compare.results.timings import unseen
from autodiff_compare.timing.clock import equal_blocks
from autodiff_compare.timing.schedule import Budget, Schedule, run_rounds
from autodiff_compare.vocabulary import Operator, Phase, Status


class Rounds:
    """Time the right cells of groups.

    Parameters
    ----------
    requests
        Sends the requests about the cells.
    judging
        Judges a result that differs from the first one.
    effort
        Takes up the seconds of timed blocks.
    budget
        The time limit of all timing.
    order
        Random stream of the order of visits.
    """

    def __init__(
        self, requests: CellRequests, judging: Judging, effort: Effort, budget: Budget, order: random.Random
    ) -> None:
        self.requests, self.judging, self.effort = requests, judging, effort
        self.budget, self.order = budget, order

    def time(self, group: Group, right: list[Progress], values: Collection[str]) -> None:
        """Time cells in rounds within the group's share of the budget; a cell that fails leaves the rounds.

        Parameters
        ----------
        group
            The group.
        right
            Its cells that are to be timed.
        values
            The cells whose value may be timed beside its derivatives.
        """
        settings, cell = self.requests.settings, group.begun[0].cell
        schedule = Schedule(settings.rounds, self.budget.begin())
        ready = self._calibrated(right) if schedule.continues(0, ()) else []
        ready = [p for p in ready if self._hold_value(p, values)]
        told = -1

        def visit(p: Progress, number: int) -> bool:
            nonlocal told
            if number > told:
                told = number
                rounds = f"round {number + 1} of {max(number + 1, settings.rounds)}"
                self.requests.listener.doing(f"timing {rounds}, {cell.problem} {cell.operator}")
            calls = {"calls": p.calls, "value_calls": p.value_calls}
            return self.requests.ask(p, "visit", self._keep_visit(group.rounds + number), **calls)

        live, made = run_rounds(ready, visit, lambda p: p.series, schedule, self.order)
        group.rounds += made
        self.budget.end()
        self.requests.ask_all([self.requests.about(p, "finish") for p in live], _keep_flags)
        if made < settings.rounds:
            for p in right:
                p.flags.add("cut")

    def _calibrated(self, right: list[Progress]) -> list[Progress]:
        """Warm the cells up side by side, and give them blocks that last equally long; return those that are left.

        What is found may be disturbed by a neighbour, and nothing of it becomes a number of the tables. A cell whose
        worker has died since, at another cell, is computed again.
        """
        requests = self.requests
        ready = requests.ask_all([requests.about(p, "calibrate") for p in right], _keep_calls)
        lost = [p for p in ready if not p.per_call_s]
        if lost:
            again = requests.ask_all([requests.computation(p, p) for p in lost], self.judging.keep_again)
            requests.ask_all([requests.about(p, "calibrate") for p in again], _keep_calls)
            ready = [p for p in ready if p.row.status == Status.OK]
        for p, calls in zip(ready, equal_blocks([p.per_call_s for p in ready]), strict=True):
            p.calls = calls
        return ready

    def _hold_value(self, p: Progress, values: Collection[str]) -> bool:
        """Let the worker hold the value beside a derivative if it is right and timed; return whether the cell lives."""
        # The value has no degree, and is computed at the size alone.
        size = self.requests.problems[p.cell.problem].degree_of(p.cell.size)[0]
        value = replace(p.cell, size=size, operator=Operator.VALUE)
        p.value_calls = 0
        if p.cell == value or value.cell_id not in values:
            return True

        def keep(p: Progress, found: dict[str, Any]) -> None:
            # As short as blocks may be: the value of a slow derivative would take longer than it needs to.
            p.value_calls = equal_blocks([found["per_call_s"]])[0]

        return self.requests.ask(p, "beside", keep, **self.requests.parameters(value))

    def _keep_visit(self, number: int) -> Keep:
        """Return the function that stores the samples and flags of a visit in round ``number``."""

        def keep(p: Progress, found: dict[str, Any]) -> None:
            blocks = enumerate(zip(found["seconds"], found["waited_s"], strict=True))
            self.judging.same_as_judged(p, found["other"], f"a call in round {number}")
            p.samples += [SampleRow(p.cell.cell_id, Phase.STEADY, number, i, p.calls, s, w) for i, (s, w) in blocks]
            values = zip(found["value_seconds"], found["value_waited_s"], strict=True)
            id_, calls = p.cell.cell_id, p.value_calls
            p.samples += [SampleRow(id_, Phase.VALUE, number, i, calls, s, w) for i, (s, w) in enumerate(values)]
            _keep_flags(p, found)
            self.effort.measured_s += sum(found["seconds"]) + sum(found["value_seconds"])

        return keep


def comparable_values(rows: list[CellRow]) -> set[str]:
    """Return the cells that are right values and whose time is that of their computation."""
    return {
        row.cell_id
        for row in rows
        if row.operator == Operator.VALUE and row.status == Status.OK and not unseen(row.flags)
    }


def _keep_calls(p: Progress, found: dict[str, Any]) -> None:
    """Store the seconds of a call; 0 if the worker has lost the cell."""
    p.per_call_s = 0.0 if found.get("lost") else found["per_call_s"]
    p.flags.update(found.get("flags", ()))


def _keep_flags(p: Progress, found: dict[str, Any]) -> None:
    p.flags.update(found.get("flags", ()))
    if found["retraced"]:
        p.flags.add("retraced")
