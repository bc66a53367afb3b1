"""The requests about cells: their parameters, sent side by side, and their failures as the status of a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from autodiff_compare.execution.dispatcher import Dispatcher, Request, Response, answered
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.local import LocalPool
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.progress import LONGEST_MESSAGE, Progress, first_line
from autodiff_compare.plan.cases import Cell, build_case, sent
from autodiff_compare.plan.plan import Plan
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process.client import WorkerError
from autodiff_compare.vocabulary import Status

#: Stores what a worker has returned for a cell.
Keep = Callable[[Progress, dict[str, Any]], None]


class CellRequests:
    """Send requests about the cells of a run.

    Parameters
    ----------
    plan, settings, listener
        As of the `autodiff_compare.execution.runner.Runner` to which they belong.
    dispatcher
        Sends requests side by side.
    pool
        Answers a request while nothing else is computed.

    Attributes
    ----------
    tracebacks
        Traceback of each exception -> the cells that ended by it.
    """

    def __init__(
        self, plan: Plan, settings: Settings, listener: Silent, dispatcher: Dispatcher, pool: Pool | LocalPool
    ) -> None:
        self.plan, self.settings, self.listener = plan, settings, listener
        self.dispatcher, self.pool = dispatcher, pool
        self.problems = {p.name: p for p in plan.problems}
        self.tracebacks: dict[str, list[str]] = {}

    def parameters(self, cell: Cell) -> dict[str, Any]:
        """Return the parameters that name a cell to its worker."""
        return {
            "source": self.plan.sources[cell.problem],
            "problem": cell.problem,
            "size": cell.size,
            "dtype": cell.dtype,
            "operator": cell.operator,
            "seed": self.plan.seed,
            "numbers": self._numbers(cell),
        }

    def computation(self, p: Progress, about: Any, *, memory: bool = False, held: Sequence[str] = ()) -> Request:
        """Return the request to compute a cell; its worker holds it beside the cells of the names ``held``."""
        params = {**self.parameters(p.cell), "memory": memory, "held": list(held)}
        return replace(self.about(p, "cell", **params), about=about)

    def about(self, p: Progress, verb: str, **params: Any) -> Request:
        """Return a request about a cell."""
        named = {"name": p.cell.cell_id, **params}
        return Request(p, p.cell.spec, verb, self.settings.deadline_s(p.cell.size), named)

    def ask(self, p: Progress, verb: str, keep: Keep, **params: Any) -> bool:
        """Send a request about a right cell while nothing else is computed; return whether the cell is still right."""
        return self._kept(answered(self.pool, self.about(p, verb, **params)), keep)

    def ask_all(self, requests: Iterable[Request], keep: Keep) -> list[Progress]:
        """Send requests about right cells side by side; return the cells that are still right, in the same order."""
        asked = list(requests)
        self.dispatcher.ask(asked)
        responses = [self.dispatcher.response() for _ in asked]
        right = {id(r.request.about) for r in responses if self._kept(r, keep)}
        return [r.about for r in asked if id(r.about) in right]

    def traced(self, cell: Cell, error: WorkerError) -> None:
        """Keep the traceback of a failed request."""
        if error.traceback:
            self.tracebacks.setdefault(error.traceback, []).append(cell.cell_id)

    def _kept(self, response: Response, keep: Keep) -> bool:
        """Store a response about a right cell; a failure becomes the status of the cell."""
        p: Progress = response.request.about
        if response.error is not None:
            words = f"while being timed: {first_line(response.error)}"[:LONGEST_MESSAGE]
            p.row = replace(p.row, status=response.error.status, message=words)
            self.traced(p.cell, response.error)
        else:
            keep(p, response.found)
        return p.row.status == Status.OK

    def _numbers(self, cell: Cell) -> tuple[Any, ...]:
        """Return what is `sent` of a cell if its worker cannot draw the same numbers, else nothing.

        It may draw others if the problem has a fixed point, or if it runs under another NumPy (``@PYTHON``).
        """
        problem = self.problems[cell.problem]
        if not (problem.fixed or cell.spec in self.plan.interpreters):
            return ()
        return sent(build_case(problem, cell.size, cell.dtype, cell.operator, self.plan.seed))
