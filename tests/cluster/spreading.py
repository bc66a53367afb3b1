"""Runs that are spread over an engine, for the tests, and the tables in which they must equal a run on one machine."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from autodiff_compare.execution.cluster.engine import Engine
from autodiff_compare.execution.cluster.local_engine import LocalEngine
from autodiff_compare.execution.cluster.spread import Spread
from autodiff_compare.execution.cluster.texts import collected
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.results import tables
from autodiff_compare.results.machines import this_machine
from autodiff_compare.results.provenance import recorded_now
from autodiff_compare.results.store import RunFolder
from autodiff_compare.vocabulary import Status
from tests.results.test_resume import facts

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
QUADRATIC, FAULTY = str(EXAMPLES / "quadratic.py"), str(EXAMPLES / "faulty_backend.py")
#: Small problems: one with questions, one with a descent, and a file of the user's.
QUERY = Query(["tape_polynomial", "cubic_fit", QUADRATIC], ["manual", "numpy"], ["value", "gradient", "step"])
UNTIMED = Settings(rounds=0, timeout_s=120.0, memory=False)


class Heard(Silent):
    """A listener that keeps what is said and done."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.did: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def doing(self, what: str) -> None:
        self.did.append(what)


def folder_of(out: pathlib.Path, query: Query, settings: Settings) -> RunFolder:
    """Return the folder of a new run, as the command line makes it."""
    planned = plan(query)
    here = this_machine(planned, settings)
    folder = RunFolder(out, machine=here)
    folder.add({"runs": [recorded_now("compare.py run", planned, settings, here)]})
    folder.arrange(planned)
    return folder


def spread(
    out: pathlib.Path,
    engine: Engine | None = None,
    query: Query = QUERY,
    settings: Settings = UNTIMED,
    listener: Silent | None = None,
    limit_s: float | None = None,
) -> RunFolder:
    """Return the folder of a run that was spread, by default over two places here."""
    folder = folder_of(out, query, settings)
    try:
        planned, there = plan(query), engine or LocalEngine(1, 1)
        there.use(out / "jobs")
        Spread(planned, query, settings, folder, there, collected(planned), listener, limit_s).run()
    finally:
        folder.close()
    return folder


def alone(out: pathlib.Path, query: Query = QUERY, settings: Settings = UNTIMED) -> RunFolder:
    """Return the folder of a run on this machine alone."""
    folder = folder_of(out, query, settings)
    try:
        Runner(plan(query), settings, folder).run()
    finally:
        folder.close()
    return folder


def unmeasured(folder: pathlib.Path) -> dict[str, Any]:
    """Return the tables as CSV, without what was measured and without the machines."""
    found = facts(folder)
    del found["machines"]
    frames = tables.read_all(folder)
    return {name: _without(text) if "machine" in frames[name].columns else text for name, text in found.items()}


def _without(text: str) -> str:
    """Return a table without its last column, which names the machine."""
    return "\n".join(line.rpartition(",")[0] for line in text.splitlines())


def ends(folder: RunFolder, words: Sequence[str] = ()) -> dict[str, str]:
    """Return cell -> its status, with its message if it did not end well and that lacks one of some words."""
    return {
        row.cell_id: row.status
        if row.status == Status.OK or all(word in row.message for word in words)
        else f"{row.status}: {row.message}"
        for row in folder.rows["cells"]
    }
