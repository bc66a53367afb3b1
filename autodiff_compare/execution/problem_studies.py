"""The studies of a problem beside its cells: answers of each backend to its questions, and descents."""

from __future__ import annotations

from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.pool import Pool
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Problem
from autodiff_compare.process.client import WorkerError
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import QuestionRow
from autodiff_compare.studies.records import first_descent
from autodiff_compare.vocabulary import BROKEN, Operator


class ProblemStudies:
    """Make the studies of the problems of a plan that the folder does not hold yet.

    Parameters
    ----------
    plan, settings, folder, pool, listener
        As of the `autodiff_compare.execution.runner.Runner` to which they belong.
    """

    def __init__(
        self, plan: Plan, settings: Settings, folder: RunFolder, pool: Pool | LocalPool, listener: Silent
    ) -> None:
        self.plan, self.settings, self.folder, self.pool, self.listener = plan, settings, folder, pool, listener

    def descend(self, problem: Problem) -> None:
        """Minimise the problem from its first start, for each dtype and backend that has a cell ``step``."""
        cells = [c for c in self.plan.cells if c.problem == problem.name and c.operator == Operator.STEP]
        if not self.settings.descents or not cells:
            return
        source = self.plan.sources[problem.name]
        for dtype, spec in dict.fromkeys((c.dtype, c.spec) for c in cells):
            piece = f"descents/{problem.name}/{dtype}/{spec}"
            if not self.folder.settled(done=piece):
                self.listener.doing(f"minimising {problem.name} on {spec}")
                rows = first_descent(self.pool, problem, source, dtype, spec, self.settings.deadline_s())
                broken = {row.status for row in rows["descents"]} & BROKEN
                self.folder.add(rows, done="" if broken else piece)

    def ask(self, problem: Problem) -> None:
        """Put the problem's questions to each backend."""
        if not problem.questions:
            return
        for spec in (s for s in self.plan.specs if s not in self.plan.limited):
            piece = f"questions/{problem.name}/{spec}"
            if self.folder.settled(done=piece):
                continue
            source = self.plan.sources[problem.name]
            try:
                found = self.pool.request(
                    spec, "questions", self.settings.deadline_s(), source=source, problem=problem.name
                )
            except WorkerError:
                continue
            # The worker does not know the label of its interpreter: the backend's full name is set here.
            answers = [QuestionRow(**{**answer, "backend": spec}) for answer in found["results"]]
            self.folder.add({"questions": answers}, done=piece)
