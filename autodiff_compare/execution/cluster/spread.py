"""A run that is spread over an engine: its units as tasks, and their rows in the folder of the run.

It stands beside `autodiff_compare.execution.runner.Runner`, and its tables are those of a run on one machine but for
what was measured. Cells of files that cannot be planned end here, without any host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from autodiff_compare.execution.cluster import units
from autodiff_compare.execution.cluster.coordinator import Coordinator, ReceivedError, Task
from autodiff_compare.execution.cluster.engine import Engine
from autodiff_compare.execution.cluster.texts import Texts
from autodiff_compare.execution.cluster.units import Unit
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.problem_studies import ProblemStudies
from autodiff_compare.execution.progress import LONGEST_MESSAGE, Effort, blank_row
from autodiff_compare.execution.runner import Part, Runner
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.plan.unplannable import is_unplannable
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.environment import program_digest
from autodiff_compare.results import tables
from autodiff_compare.results.machines import stamped
from autodiff_compare.results.rows import TABLES, MachineRow
from autodiff_compare.results.store import Rows, RunFolder, with_words
from autodiff_compare.results.tables import TableError
from autodiff_compare.vocabulary import Status


@dataclass
class Spent:
    """Seconds of all hosts together in timed calls, and in preparation and first calls."""

    measured_s: float = 0.0
    prepared_s: float = 0.0


class Spread:
    """One execution of a plan on an engine, with its results in a folder.

    Parameters
    ----------
    plan, query, settings
        What is computed.
    folder
        The folder to which finished groups are added as they come.
    engine
        Where the units are carried out; it is left at the end.
    texts
        The users' files of the plan.
    listener
        Is told what is done, and of each finished cell and group.
    limit_s
        Seconds that a host has for a unit; `None` for no limit.

    Attributes
    ----------
    effort
        Seconds of all hosts together in timed calls, and in preparation.
    tracebacks
        Traceback of each exception -> the cells that ended by it.
    """

    def __init__(
        self,
        plan: Plan,
        query: Query,
        settings: Settings,
        folder: RunFolder,
        engine: Engine,
        texts: Texts,
        listener: Silent | None = None,
        limit_s: float | None = None,
    ) -> None:
        self.plan, self.query, self.settings, self.folder = plan, query, settings, folder
        self.engine, self.listener, self.limit_s = engine, listener or Silent(), limit_s
        self.texts, self.code = texts, program_digest()
        self.effort = Spent()
        self.tracebacks: dict[str, list[str]] = {}
        #: Rows of cells that no host could begin.
        self._unplaced: list[Rows] = []

    def run(self) -> None:
        """Have all units carried out that the folder does not hold yet, and leave the engine."""
        try:
            self._here()
            self._elsewhere()
        finally:
            self.engine.close()

    def _elsewhere(self) -> None:
        found = units.units(self.plan, self.settings, self.folder)
        groups = sum(len(unit.groups) for unit in found) * self.settings.launches
        cells = sum(len(group) for unit in found for group in unit.groups) * self.settings.launches
        self.listener.begin(cells, groups)
        tasks = [UnitTask(unit, self) for unit in found]
        try:
            with self.listener.ticking():
                Coordinator(self.engine, tasks, self.listener, self.limit_s).run()
        finally:
            self._place()

    def add_lost(self, rows: Rows, machine: MachineRow | None) -> None:
        """Add rows of cells that were given up, with the machine that had them; without one they wait for the end."""
        if machine is None:
            self._unplaced.append(rows)
        else:
            self.folder.add(stamped(rows, machine))

    def _place(self) -> None:
        """Add the rows of cells that no host could begin: to those of the only machine, if no second one took part."""
        keys = {row.machine for row in self.folder.rows["cells"]}
        only = [row for row in self.folder.rows["machines"] if keys == {row.key}]
        for rows in self._unplaced:
            self.folder.add(stamped(rows, only[-1]) if only else rows)
        self._unplaced = []

    def _here(self) -> None:
        """Execute the cells of files that cannot be planned: they ask no backend."""
        here = {problem.name for problem in self.plan.problems if is_unplannable(problem)}
        cells = tuple(cell for cell in self.plan.cells if cell.problem in here)
        if cells:
            problems = tuple(problem for problem in self.plan.problems if problem.name in here)
            runner = Runner(replace(self.plan, problems=problems, cells=cells), self.settings, self.folder)
            runner.run()
            self.tracebacks |= runner.tracebacks


class UnitTask(Task):
    """A unit of a run, for a node."""

    def __init__(self, unit: Unit, run: Spread) -> None:
        super().__init__(unit.name)
        self.unit, self._run = unit, run
        self._cells = {cell.cell_id for group in unit.groups for cell in group}
        #: Group -> launches of it that have come.
        self._came = {cells[0].group: 0 for cells in unit.groups}
        #: The machine that has it, or had it last.
        self._machine: MachineRow | None = None

    @property
    def _left(self) -> Unit:
        """The unit, without the groups whose launches have all come."""
        launches = self._run.settings.launches
        return replace(self.unit, groups=tuple(g for g in self.unit.groups if self._came[g[0].group] < launches))

    def order(self) -> Mapping[str, Any]:
        run, left = self._run, self._left
        for group in left.groups:
            self._came[group[0].group] = 0
        return {
            **units.order(left, run.plan, run.query, run.settings, run.folder, run.texts),
            "code": run.code,
        }

    def receive(self, told: Mapping[str, Any], host: str) -> None:
        del host
        if "rows" in told:
            self._add(told)
        elif "amend" in told:
            self._amend(told["amend"])

    def _amend(self, told: Mapping[str, Any]) -> None:
        """Add what a worker says of its framework to the row of the run; that of its machine comes from the node."""
        words = {name: str(word) for name, word in told.items() if name == "onednn"}
        (row,) = self._run.folder.rows["runs"]
        if (amended := with_words(row, words)) != row:
            self._run.folder.add({"runs": [amended]})

    def _add(self, told: Mapping[str, Any]) -> None:
        """Add rows to the folder, if they are rows of this unit."""
        try:
            rows = {
                name: [tables.row(TABLES[name], fields) for fields in table] for name, table in told["rows"].items()
            }
            done = str(told["done"])
        except (TableError, KeyError, TypeError, AttributeError) as error:
            raise ReceivedError(f"got rows that are none of this program: {error}") from error
        cells = rows.get("cells", [])
        self._machine = next(iter(rows.get("machines", ())), self._machine)
        if any(row.cell_id not in self._cells or row.run_id != self._run.folder.run_id for row in cells):
            raise ReceivedError("got cells that were not asked for")
        self._run.folder.add(rows, done=done)
        for row in cells:
            self._run.listener.tell(row)
        for group in {(row.problem, row.size, row.dtype, row.operator) for row in cells}:
            self._came[group] += 1
            self._run.listener.group_done()

    def completed(self, end: Mapping[str, Any]) -> None:
        if self._left.groups:
            raise ReceivedError(f"ended without {self._left.groups[0][0].cell_id}")
        self._run.effort.measured_s += float(end.get("measured_s", 0))
        self._run.effort.prepared_s += float(end.get("prepared_s", 0))
        for text, cells in end.get("tracebacks", {}).items():
            self._run.tracebacks.setdefault(text, []).extend(cells)

    def given_up(self, status: Status, message: str) -> None:
        """Add a row for each cell and each descent that has none."""
        run, words = self._run, message[:LONGEST_MESSAGE]
        for group in self._left.groups:
            blank = (blank_row(run.folder.run_id, run.settings.threads, cell, None) for cell in group)
            rows = [replace(row, status=status, message=words) for row in blank]
            new = {"cells": rows, "checks": [], "samples": [], "pairs": []}
            run.add_lost(new, self._machine)
            for row in rows:
                run.listener.tell(row)
            run.listener.group_done()
        if self.unit.part == Part.DESCENTS:
            lost = _Lost(WorkerError(status, words))
            studies = ProblemStudies(run.plan, run.settings, run.folder, lost, Silent(), Effort())
            studies.descend(next(p for p in run.plan.problems if p.name == self.unit.problem))
        elif self.unit.part == Part.QUESTIONS:
            run.listener.say(f"{self.unit.name} without answers: {words}")


class _Lost:
    """In the place of a pool: every request fails as the unit did."""

    def __init__(self, error: WorkerError) -> None:
        self._error = error

    def request(self, spec: str, verb: str, deadline_s: float, **params: Any) -> NoReturn:
        """Raise the error of the unit."""
        del spec, verb, deadline_s, params
        raise self._error
