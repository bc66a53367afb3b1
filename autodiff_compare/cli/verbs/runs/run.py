"""The verbs ``run`` and ``check``: compute, check and time the cells of a query; write tables; print a summary."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence

from autodiff_compare.cli import output
from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.console import told_after, usage, users_prints_aside
from autodiff_compare.cli.exits import FAILED, INTERRUPTED, OK, WRONG
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.runs import show
from autodiff_compare.execution.cluster.engine import Engine, EngineError
from autodiff_compare.execution.cluster.engines import engine
from autodiff_compare.execution.cluster.spread import Spread
from autodiff_compare.execution.cluster.texts import TextsError, collected
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import Plan, PlanError, load_problems, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.process.variables import withheld_variables
from autodiff_compare.results.formatting import printable
from autodiff_compare.results.machines import this_machine
from autodiff_compare.results.places import NameTaken, folder_of_new, shown
from autodiff_compare.results.provenance import recorded_now
from autodiff_compare.results.resume import ResumeError, elsewhere, refusal, resumed
from autodiff_compare.results.rows import CellRow, MachineRow
from autodiff_compare.results.store import RunFolder, writable
from autodiff_compare.results.tables import TableError
from autodiff_compare.summary.run import summary
from autodiff_compare.summary.run.summary import not_computed
from autodiff_compare.vocabulary import BROKEN, Status


def run(options: argparse.Namespace) -> int:
    """Compute, check and time the cells; write the tables; print the summary; return the exit code."""
    try:
        if options.resume is not None:
            options = resumed(options, parser().parse_args)
        query = _query(options)
        with users_prints_aside(), told_after("reading the problems"):
            planned = plan(query)
        settings = _settings(options)
        there = _engine(options, settings)
        texts = collected(planned) if there else None
        folder = open_folder(options, planned, settings)
    except (PlanError, ResumeError, TableError, EngineError, TextsError) as error:
        return usage(str(error))
    if isinstance(folder, int):
        return folder
    _name_withheld(settings)
    for line in not_computed(planned.dropped):
        print(line, file=sys.stderr)
    interrupted, began = False, time.monotonic()
    # The summary lists the failures; programs read their rows, and a person is told of them meanwhile.
    display = Display(failures=output.wanted(options))
    folder.arrange(planned)
    runner: Runner | Spread = Runner(planned, settings, folder, display)
    if there and texts:
        there.use(folder.path / "slurm")
        for line in there.notes:
            print(line, file=sys.stderr)
        runner = Spread(planned, query, settings, folder, there, texts, display, options.unit_timeout)
    try:
        with users_prints_aside(), display:
            runner.run()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        folder.close()
    show.results(folder.path, options)
    if options.traceback:
        output.tracebacks(runner.tracebacks)
    if not output.wanted(options):
        for line in _closing(options, planned):
            print(line)
        if settings.rounds:
            print(summary.effort(runner.effort.measured_s, runner.effort.prepared_s, time.monotonic() - began))
        print(f"tables: {shown(folder.path)}")
    return INTERRUPTED if interrupted else exit_code(folder.rows["cells"])


def _settings(options: argparse.Namespace) -> Settings:
    """Return how the cells are executed."""
    return Settings(
        rounds=options.rounds,
        threads=options.threads,
        device=options.device,
        timeout_s=options.timeout,
        open_timeout_s=options.open_timeout,
        imports_alone=options.phases == "import",
        preparations_alone=options.phases == "prepare",
        launches=options.launches,
        isolate=Isolate(options.isolate),
        budget_s=options.budget,
        descents=options.rounds > 0,
        environment=environment_of(options),
    )


def _closing(options: argparse.Namespace, planned: Plan) -> Iterator[str]:
    """Yield what the reader of a summary does not see in it: what was not computed, and what else may be asked."""
    yield from not_computed(planned.dropped)
    if not options.operator and any(source.endswith(".py") for source in planned.sources.values()):
        yield "Computed: the gradient, or the Jacobian; -o all computes every operator."


def _engine(options: argparse.Namespace, settings: Settings) -> Engine | None:
    """Return the engine of ``--on``; `None` without it.

    Raises
    ------
    EngineError
        If it is not there.
    """
    if not options.on:
        return None
    return engine(options.on, settings, slurm_args=options.slurm_args, limit_s=options.unit_timeout)


def _name_withheld(settings: Settings) -> None:
    """Name the caller's variables that could change a number and that the workers do not get."""
    withheld = withheld_variables(settings.environment)
    if withheld:
        print(f"not passed on to the workers: {', '.join(withheld)} (--env NAME passes one on)", file=sys.stderr)


def _query(options: argparse.Namespace) -> Query:
    """Return the query of the options.

    Raises
    ------
    PlanError
        If instance files are given without a size: they may take hours, so none is run by default.
    """
    query = Query(
        problems=options.problems,
        backends=options.backend,
        operators=options.operator,
        dtypes=options.dtype,
        sizes=options.size,
        seed=options.seed,
        suites=options.suite,
        variants=options.variants,
        data=options.data,
        every=options.entries == "all",
        degrees=options.degree,
        points=options.at,
        # The author of a function asks for its derivative first.
        leading=True,
        timeout_s=options.timeout,
    )
    if options.data is None or options.size:
        return query
    found, _ = load_problems(query, keep_going=True)
    names = ", ".join(name for problem in found for name in problem.files)
    raise PlanError(f"got --data without --size, expected --size with one of them, or a pattern such as '*': {names}")


def open_folder(options: argparse.Namespace, planned: Plan, settings: Settings) -> RunFolder | int:
    """Return the run's folder with its row in ``runs.csv``, or the exit code if it cannot be written or resumed."""
    here = this_machine(planned, settings)
    row = recorded_now(options.command, planned, settings, here)
    resume = getattr(options, "resume", None)
    if resume is not None:
        reason = refusal(resume, row)
        return usage(reason) if reason else _continued(options, here)
    try:
        place = folder_of_new(options.out, options.name)
    except NameTaken as error:
        return usage(str(error))
    reason = writable(place)
    if reason:
        given = f"got --out {str(place)!r}" if options.out is not None else f"got {place} without --out"
        return usage(f"{given}, expected a folder that can be written to: {reason}")
    folder = RunFolder(place, name=options.name, machine=here)
    folder.add({"runs": [dataclasses.replace(row, run_id=folder.run_id)]})
    return folder


def _continued(options: argparse.Namespace, here: MachineRow) -> RunFolder:
    """Return the folder of a run that is resumed; say so if it goes on on another machine."""
    folder = RunFolder(options.resume.parent, options.resume, machine=here)
    words = "" if getattr(options, "on", None) else elsewhere(folder.rows["machines"], here)
    if words:
        complain(printable(words))
    return folder


def exit_code(rows: Sequence[CellRow]) -> int:
    """Return 1 if a result is wrong, else 3 if a cell broke or no backend is installed, else 0."""
    statuses = {row.status for row in rows}
    if Status.WRONG in statuses:
        return WRONG
    return FAILED if statuses & BROKEN or statuses == {Status.NOT_INSTALLED} else OK
