"""The verb ``descend``: minimise a problem on every backend, write the tables and print its study."""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from autodiff_compare import problems
from autodiff_compare.cli import exits
from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.console import console, told_after, usage
from autodiff_compare.cli.messages import expected
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.runs.run import open_folder
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.pool import Pool
from autodiff_compare.plan.plan import Plan, PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Array, Problem, ProblemError
from autodiff_compare.process.client import WorkerError
from autodiff_compare.results.places import shown
from autodiff_compare.results.resume import ResumeError, resumed
from autodiff_compare.results.rows import DescentRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import TableError
from autodiff_compare.studies import robot_arm, tables
from autodiff_compare.studies.changes import PLAIN, Changes, descent_of
from autodiff_compare.studies.records import Key, run_descent, step_rows, trace_from_rows
from autodiff_compare.studies.trace import Trace
from autodiff_compare.summary.terminal import show
from autodiff_compare.vocabulary import BROKEN, Status

#: Options that change or draw a descent.
_OF_DESCENTS = ("size", "lr", "stop_loss", "target", "start", "animate")


@dataclass(frozen=True)
class _Work:
    """The plan, the starts and dtypes to run, and what is recorded of the steps.

    ``descents`` names those of each problem, with the changes of the command line.
    """

    plan: Plan
    settings: Settings
    descents: Mapping[str, Sequence[str]]
    seeds: tuple[int, ...]
    dtypes: tuple[str, ...]
    iterations: int | None
    recorded: Mapping[str, Any]


def descend(options: argparse.Namespace) -> int:
    """Run the descents, write ``descents.csv`` and ``steps.csv``, print the study; return the exit code."""
    try:
        if options.resume is not None:
            options = resumed(options, parser().parse_args)
        work = _work(options)
        folder = open_folder(options, work.plan, work.settings)
    except (PlanError, ResumeError, TableError) as error:
        return usage(str(error))
    if isinstance(folder, int):
        return folder
    pieces = sum(_pieces(work, problem) for problem in work.plan.problems)
    display = Display("descents" if any(work.descents.values()) else "answers")
    out, interrupted = console(), False
    pool = Pool(work.plan, work.settings, folder, display)
    statuses: set[str] = set()
    traces: list[Trace] = []
    try:
        with display:
            display.begin(pieces, pieces)
            for problem in work.plan.problems:
                statuses |= _study(work, problem, pool, folder, out, traces)
    except KeyboardInterrupt:
        interrupted = True
    except TableError as error:
        return usage(str(error))
    finally:
        pool.close()
        folder.close()
    print(f"tables: {shown(folder.path)}")
    if options.animate is not None and traces:
        drawn = _animated(work, traces[0], pathlib.Path(options.animate or folder.path / "descent.gif"))
        if drawn != exits.OK:
            return drawn
    return exits.INTERRUPTED if interrupted else exits.FAILED if statuses & BROKEN else exits.OK


def _animated(work: _Work, trace: Trace, path: pathlib.Path) -> int:
    """Write a descent as a moving picture; return the exit code."""
    from autodiff_compare.report.animation import write

    problem = next(p for p in work.plan.problems if p.name == trace.problem)
    try:
        with told_after("drawing the moving picture"):
            write(problem, trace, path)
    except OSError as error:
        return usage(f"cannot write {path}: {error.strerror or error}")
    print(f"moving picture: {shown(path)}")
    return exits.OK


def _work(options: argparse.Namespace) -> _Work:
    """Check all names and return the work, before any worker starts."""
    if options.problem is None:
        raise PlanError(f"got no problem, expected one of: {', '.join(_known())}")
    if options.animate is not None and importlib.util.find_spec("matplotlib") is None:
        raise PlanError("not installed: matplotlib, needed for --animate: pip install 'autodiff-compare[report]'")
    if sum(map(bool, (options.start, options.starts, options.seed))) > 1:
        raise PlanError("got two of --start, --starts and --seed, expected one of them: each says where to start")
    query = Query([options.problem], options.backend, dtypes=options.dtype, sizes=_sizes(options.problem))
    planned = plan(query)
    descents = _descents_of(options, planned.problems)
    able = tuple(p for p in planned.problems if p.name in descents)
    seeds = tuple(options.seed or range(options.starts or 0))
    wanted = replace(planned, problems=able, cells=(), seed=seeds[0] if seeds else planned.seed)
    settings = Settings(
        rounds=0, threads=options.threads, timeout_s=options.timeout, environment=environment_of(options)
    )
    recorded = {"every": options.every, "watch": options.animate is not None}
    return _Work(wanted, settings, descents, seeds, tuple(query.dtypes), options.iterations, recorded)


def _descents_of(options: argparse.Namespace, found: Sequence[Problem]) -> dict[str, list[str]]:
    """Return problem -> the names of its descents to run, with the changes of the command line.

    Raises
    ------
    PlanError
        If no problem has a descent, there is none of the given name, or a change does not fit.
    """
    able = {p.name: p for p in found if p.descent or p.name in _WITHOUT_DESCENT or options.lr is not None}
    if not able:
        raise PlanError(
            f"got problem {options.problem!r}, which has no descent, expected one of: {', '.join(_known())}; or "
            "--lr RATE, to minimise it by plain gradient descent"
        )
    own = {name: list(p.descent) or ([PLAIN] if name not in _WITHOUT_DESCENT else []) for name, p in able.items()}
    changes = _changes(options, [name for descents in own.values() for name in descents])
    changed = {
        problem: [c.named(name) for name in descents if options.descent in (None, name) for c in changes]
        for problem, descents in own.items()
    }
    try:
        for problem, descents in changed.items():
            for name in descents:
                descent_of(able[problem], name)
    except ProblemError as error:
        raise PlanError(str(error)) from error
    return changed


def _changes(options: argparse.Namespace, names: Sequence[str]) -> list[Changes]:
    """Return the changes of the command line, one for each start, of descents with these names.

    Raises
    ------
    PlanError
        If there is no descent to change, or none of the given name.
    """
    if options.descent is not None and options.descent not in names:
        choices = expected(options.descent, names) if names else ", expected none: its study has no descent"
        raise PlanError(f"got descent {options.descent!r}{choices}")
    target = tuple(options.target or ())
    changes = [Changes(options.size, options.lr, options.stop_loss, target, start) for start in options.start or [()]]
    given = [f"--{name.replace('_', '-')}" for name in _OF_DESCENTS if getattr(options, name) not in (None, [])]
    if given and not names:
        raise PlanError(f"got {', '.join(given)}, but the study of {options.problem} has no descent")
    return changes


def _sizes(name: str) -> list[str]:
    """Return one size of each problem, of whatever name: a descent has its own inputs."""
    try:
        return [next(iter(problem.sizes)) for problem in problems.load(name)]
    except problems.ProblemError as error:
        raise PlanError(str(error)) from error


def _known() -> list[str]:
    return [p.name for p in problems.available().values() if p.descent or p.name in _WITHOUT_DESCENT]


def _study(work: _Work, problem: Problem, pool: Pool, folder: RunFolder, out: Console, found: list[Trace]) -> set[str]:
    """Run the descents of one problem and print its study; return the statuses that occurred.

    ``found`` gets the traces.
    """
    if problem.name in _WITHOUT_DESCENT:
        return _WITHOUT_DESCENT[problem.name](work, problem, pool, out)
    traces: list[Trace] = []
    statuses: set[str] = set()
    try:
        for row, trace in _descents(work, problem, pool, folder):
            statuses.add(row.status)
            traces += [trace] if trace else []
    finally:
        # After an interruption the finished descents are still shown.
        pool.listener.hide()
        if traces:
            show(tables.descent_tables(problem, traces), out)
            found += traces
    if not traces:
        out.print(f"No descent of {problem.name} ran: descents.csv holds the reasons.", soft_wrap=True)
    return statuses


def _descents(
    work: _Work, problem: Problem, pool: Pool, folder: RunFolder
) -> Iterator[tuple[DescentRow, Trace | None]]:
    """Yield the descents that the folder has; run the others and write them there."""
    known = _kept(problem, folder)
    for key in _keys(work, problem):
        piece = f"descents/{problem.name}/{key.piece}"
        if folder.settled(done=piece) and key in known:
            yield known[key]
            pool.listener.piece_done()
            continue
        pool.listener.doing(f"minimising {problem.name} on {key.spec}")
        row, trace = run_descent(
            pool,
            problem.name,
            work.plan.sources[problem.name],
            key,
            work.settings.deadline_s(),
            work.iterations,
            **work.recorded,
        )
        # A broken descent is not marked as done: the cause may be temporary, so --resume runs it again.
        folder.add({"descents": [row], "steps": step_rows(row, trace)}, done="" if row.status in BROKEN else piece)
        pool.listener.say(_words(row))
        pool.listener.piece_done()
        yield row, trace


def _keys(work: _Work, problem: Problem) -> Iterator[Key]:
    """Yield the descents to run, all backends of a start in a row, so that they are timed close together."""
    for name in work.descents[problem.name]:
        for dtype in work.dtypes:
            for start in work.seeds or descent_of(problem, name).starts:
                for spec in work.plan.specs:
                    yield Key(name, dtype, start, spec)


def _pieces(work: _Work, problem: Problem) -> int:
    """Return the number of descents to run; of a study without one, the number of answers to ask for."""
    if problem.name not in _WITHOUT_DESCENT:
        return len(list(_keys(work, problem)))
    return len(work.plan.specs) * (len(work.dtypes) if problem.name in robot_arm.POSES else 1)


def _kept(problem: Problem, folder: RunFolder) -> dict[Key, tuple[DescentRow, Trace | None]]:
    """Return the descents of a problem that the folder has."""
    rows, by_descent = folder.rows, defaultdict(list)
    for step in rows["steps"]:
        by_descent[step.cell_id, step.start].append(step)
    found = {}
    for row in rows["descents"]:
        try:
            name, descent, dtype, _, spec = row.cell_id.rsplit("/", 4)
            if name == problem.name:
                trace = trace_from_rows(problem, row, by_descent[row.cell_id, row.start])
                found[Key(descent, dtype, row.start, spec)] = row, trace
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise TableError(
                f"got a descent in {folder.path}, expected one that {problem.name} has: {error}"
            ) from error
    return found


def _words(row: DescentRow) -> str:
    """Return what a finished descent has come to, in a line."""
    if row.status == Status.OK:
        words = f"{row.iterations} updates, loss {row.final_loss:.3g}, {row.seconds:.2g} s"
    else:
        words = f"{row.status}: {row.message}"
    return f"{row.cell_id} start {row.start}: {words}"


# ---- studies without a descent


def _request_all(work: _Work, pool: Pool, verb: str, **params: Any) -> tuple[dict[str, Any], set[str]]:
    """Return each backend's answer, and the statuses of failed ones, which are printed on standard error."""
    found: dict[str, Any] = {}
    statuses: set[str] = set()
    for spec in work.plan.specs:
        pool.listener.doing(f"{verb} on {spec}")
        try:
            found[spec] = pool.request(spec, verb, work.settings.deadline_s(), **params)
        except WorkerError as error:
            statuses.add(error.status)
            pool.listener.say(f"{spec}: {error.status}: {error}")
        pool.listener.piece_done()
    pool.listener.hide()
    return found, statuses


def _arm(work: _Work, problem: Problem, pool: Pool, out: Console) -> set[str]:
    """Print the Jacobians of a robot arm in its pose and in a singular one; return the statuses of failures."""
    pose, source = robot_arm.POSES[problem.name], work.plan.sources[problem.name]
    statuses: set[str] = set()
    for dtype in work.dtypes:
        points = robot_arm.arrays_at(problem, [pose.theta, pose.singular])
        sent = {"dtype": dtype, "points": points, "outputs": robot_arm.outputs(problem)}
        answers, new = _request_all(work, pool, "jacobians", source=source, problem=problem.name, **sent)
        statuses |= new
        if answers:
            show(
                robot_arm.arm_tables(problem, {spec: _pair(answer["results"]) for spec, answer in answers.items()}), out
            )
    return statuses


def _pair(found: Sequence[Mapping[str, Array]]) -> tuple[robot_arm.Jacobians, robot_arm.Jacobians]:
    study, singular = found
    return robot_arm.Jacobians(**study), robot_arm.Jacobians(**singular)


def _conventions(work: _Work, problem: Problem, pool: Pool, out: Console) -> set[str]:  # noqa: ARG001
    """Print how the backends differentiate eigenvalues of a matrix; return the statuses of failures."""
    answers, statuses = _request_all(work, pool, "convention")
    if answers:
        show([tables.conventions(answers)], out)
    return statuses


_WITHOUT_DESCENT: Mapping[str, Callable[[_Work, Problem, Pool, Console], set[str]]] = {
    **dict.fromkeys(robot_arm.POSES, _arm),
    "eigenvalue_smallest_raw": _conventions,
}
