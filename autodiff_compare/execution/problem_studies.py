"""The studies of a problem beside its cells: answers of each backend to its questions, and descents."""

from __future__ import annotations

from autodiff_compare.execution.dispatcher import Dispatcher, Request
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.progress import Effort
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Problem
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import QuestionRow
from autodiff_compare.studies.records import first_descent
from autodiff_compare.vocabulary import BROKEN, Operator, Status


class ProblemStudies:
    """Make the studies of the problems of a plan that the folder does not hold yet.

    Parameters
    ----------
    plan, settings, folder, pool, listener, effort
        As of the `autodiff_compare.execution.runner.Runner` to which they belong.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        folder: RunFolder,
        pool: Pool | LocalPool,
        listener: Silent,
        effort: Effort,
    ) -> None:
        self.plan, self.settings, self.folder, self.pool, self.listener = plan, settings, folder, pool, listener
        self.effort = effort

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
                self.effort.measured_s += sum(row.seconds for row in rows["descents"] if row.status == Status.OK)
                broken = {row.status for row in rows["descents"]} & BROKEN
                self.folder.add(rows, done="" if broken else piece)

    def ask(self, problem: Problem, dispatcher: Dispatcher) -> None:
        """Put the problem's questions to all backends side by side."""
        if not problem.questions:
            return
        source, limit_s = self.plan.sources[problem.name], self.settings.deadline_s()
        params = {"source": source, "problem": problem.name}
        specs = [spec for spec in self.plan.specs if spec not in self.plan.limited]
        pieces = {spec: f"questions/{problem.name}/{spec}" for spec in specs}
        wanted = [spec for spec in specs if not self.folder.settled(done=pieces[spec])]
        dispatcher.ask(Request(spec, spec, "questions", limit_s, params) for spec in wanted)
        responses = [dispatcher.response() for _ in wanted]
        for response in sorted(responses, key=lambda r: wanted.index(r.request.spec)):
            if response.error is None:
                # The worker does not know the label of its interpreter: the backend's full name is set here.
                answers = [{**answer, "backend": response.request.spec} for answer in response.found["results"]]
                rows = [QuestionRow(**answer) for answer in answers]
                self.folder.add({"questions": rows}, done=pieces[response.request.spec])
