"""The studies of a problem beside its cells: answers of each backend to its questions, and descents."""

from __future__ import annotations

from autodiff_compare.execution.dispatcher import Dispatcher, Request, Response
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.progress import Effort
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Problem
from autodiff_compare.results.rows import QuestionRow
from autodiff_compare.results.store import Record
from autodiff_compare.results.tables import row
from autodiff_compare.studies.records import Requester, first_descent, first_parameters
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
        folder: Record,
        pool: Requester,
        listener: Silent,
        effort: Effort,
    ) -> None:
        self.plan, self.settings, self.folder, self.pool, self.listener = plan, settings, folder, pool, listener
        self.effort = effort

    def prepare(self, problem: Problem, dispatcher: Dispatcher) -> None:
        """Let all backends prepare the descents of the problem side by side.

        A backend that fails does so again when it descends, and the rows tell of it then.
        """
        source, limit_s = self.plan.sources[problem.name], self.settings.deadline_s()
        left = descents_left(problem, self.plan, self.settings, self.folder)
        told = [(spec, first_parameters(problem, source, dtype, spec)) for dtype, spec in left]
        params = [(spec, {"of": "descend", "given": descent}) for spec, descent in told]
        dispatcher.ask(Request(spec, spec, "make_ready", limit_s, given) for spec, given in params)
        for _ in left:
            dispatcher.response()

    def descend(self, problem: Problem) -> None:
        """Minimise the problem from its first start, for each dtype and backend that has a cell ``step``."""
        source = self.plan.sources[problem.name]
        for dtype, spec in descents_left(problem, self.plan, self.settings, self.folder):
            self.listener.doing(f"minimising {problem.name} on {spec}")
            rows = first_descent(self.pool, problem, source, dtype, spec, self.settings.deadline_s())
            self.effort.measured_s += sum(row.seconds for row in rows["descents"] if row.status == Status.OK)
            broken = {row.status for row in rows["descents"]} & BROKEN
            self.folder.add(rows, done="" if broken else _descent(problem, dtype, spec))

    def ask(self, problem: Problem, dispatcher: Dispatcher) -> None:
        """Put the problem's questions to all backends side by side."""
        source, limit_s = self.plan.sources[problem.name], self.settings.deadline_s()
        params = {"source": source, "problem": problem.name}
        wanted = questions_left(problem, self.plan, self.folder)
        dispatcher.ask(Request(spec, spec, "questions", limit_s, params) for spec in wanted)
        responses = [dispatcher.response() for _ in wanted]
        for response in sorted(responses, key=lambda r: wanted.index(r.request.spec)):
            rows = _answers(response)
            if rows is not None:
                self.folder.add({"questions": rows}, done=_questions(problem, response.request.spec))


def _answers(response: Response) -> list[QuestionRow] | None:
    """Return the answers in a response; `None` if it holds none, or something else.

    A worker does not know the label of its interpreter: the backend's full name is set here.
    """
    if response.error is not None:
        return None
    try:
        return [row(QuestionRow, {**each, "backend": response.request.spec}) for each in response.found["results"]]
    except (LookupError, TypeError, ValueError):
        return None


def descents_left(problem: Problem, plan: Plan, settings: Settings, folder: Record) -> list[tuple[str, str]]:
    """Return (dtype, backend) of the descents of a problem that a record does not hold yet."""
    cells = [c for c in plan.cells if c.problem == problem.name and c.operator == Operator.STEP]
    pairs = dict.fromkeys((c.dtype, c.spec) for c in cells) if settings.descents else {}
    return [pair for pair in pairs if not folder.settled(done=_descent(problem, *pair))]


def questions_left(problem: Problem, plan: Plan, folder: Record) -> list[str]:
    """Return the backends whose answers to the questions of a problem are not yet in the folder of the run."""
    specs = [spec for spec in plan.specs if spec not in plan.limited] if problem.questions else []
    return [spec for spec in specs if not folder.settled(done=_questions(problem, spec))]


def _descent(problem: Problem, dtype: str, spec: str) -> str:
    """Return the name of a descent in the log."""
    return f"descents/{problem.name}/{dtype}/{spec}"


def _questions(problem: Problem, spec: str) -> str:
    """Return the name of a backend's answers in the log."""
    return f"questions/{problem.name}/{spec}"
