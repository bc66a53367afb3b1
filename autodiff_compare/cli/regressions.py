"""Explanations of the cells that became wrong from one run to the next, for ``diff --explain``.

Such a cell is computed again, beside a backend of its group that is right, and the operation at which the two part is
named. A run's folder is data, and data must not choose what is executed: a user's file is executed only if the command
line names it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autodiff_compare import backends, problems
from autodiff_compare.explaining import session, wording
from autodiff_compare.plan.plan import PlanError
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import ProblemError
from autodiff_compare.vocabulary import join_spec, split_spec

#: Most cells that are explained.
MOST = 5


@dataclass(frozen=True)
class Regression:
    """A cell that became wrong.

    Parameters
    ----------
    cell_id
        Its name.
    axes
        Its ``problem``, ``size``, ``dtype``, ``operator`` and ``backend``.
    right
        The backends of its group that are right in the later run.
    """

    cell_id: str
    axes: Mapping[str, Hashable]
    right: Sequence[str]


class Files:
    """The files of users that the command line names: they may be executed.

    Parameters
    ----------
    paths
        Problem files and backend files.

    Raises
    ------
    PlanError
        If a file holds neither a problem nor a backend.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._problems: dict[str, str] = {}
        self._backends: dict[str, str] = {}
        for path in paths:
            try:
                self._backends[backends.load(path).name] = path
            except ValueError as error:
                try:
                    self._problems |= {p.name: path for p in problems.load(path)}
                except ProblemError as other:
                    raise PlanError(
                        f"got {path}, expected a problem file or a backend file: {other}; {error}"
                    ) from error

    def problem(self, name: str) -> str:
        """Return what `problems.load` takes for a problem of a run; empty if its file was not named."""
        return self._problems.get(name, name if name in problems.available() else "")

    def backend(self, spec: str) -> str:
        """Return what `backends.load` takes for a backend of a run; empty if its file was not named."""
        name, variant = split_spec(spec)
        known = {**{own: own for own in (*backends.available(), *backends.offered())}, **self._backends}
        return join_spec(known[name], variant) if name in known else ""


def explained(found: Sequence[Regression], files: Files, settings: Settings, seed: int) -> Iterator[str]:
    """Yield the lines about each cell, at most `MOST` of them."""
    for regression in found[:MOST]:
        yield ""
        yield f"{regression.cell_id}:"
        yield from _explained(regression, files, settings, seed)
    if len(found) > MOST:
        yield ""
        yield f"{len(found) - MOST} more cells became wrong: explain each by compare.py explain PROBLEM A B"


def _explained(regression: Regression, files: Files, settings: Settings, seed: int) -> Iterator[str]:
    axes = {name: str(value) for name, value in regression.axes.items()}
    source, wrong = files.problem(axes["problem"]), files.backend(axes["backend"])
    if not source or not wrong:
        missing = f"the file of {axes['problem']}" if not source else f"the file or Python of {axes['backend']}"
        yield f"  not explained: {missing} is executed only if it is named: --explain-file FILE"
        return
    partner = next((spec for spec in map(files.backend, regression.right) if spec), "numpy")
    if partner == wrong:
        yield "  not explained: no other backend to compare with"
        return
    query = Query([source], [partner, wrong], [axes["operator"]], [axes["dtype"]], [axes["size"]], seed)
    try:
        plan = session.planned(query)
        yield from wording.lines(session.explained(plan, settings), wording.subject_of(plan.cells[0]))
    except (PlanError, ProblemError, session.ExplainError) as error:
        yield f"  not explained: {error}"
