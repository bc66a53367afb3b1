"""The verbs of the command line: each takes parsed options and returns an exit code.

Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console

from harness import output, summary
from harness.arguments import parser
from harness.client import writable
from harness.exits import FAILED, INTERRUPTED, OK, USAGE, WRONG
from harness.plan import DEFAULT_BACKENDS, Plan, PlanError, chosen, plan
from harness.progress import Progress
from harness.provenance import recorded_now
from harness.resume import ResumeError, refusal, resumed
from harness.runner import Runner
from harness.settings import Isolate, Settings
from harness.store import RunFolder, locate
from harness.tables import CellRow, TableError
from vocabulary import BROKEN, Status

#: Tables and words fit a terminal of this width.
_WIDTH = 80


def run(options: argparse.Namespace) -> int:
    """Compute, check and time what is asked for; write the tables; print the summary."""
    try:
        if options.resume is not None:
            options = resumed(options, parser().parse_args)
        with users_prints_aside():
            planned = plan(
                options.problems,
                options.backend or DEFAULT_BACKENDS,
                options.operator,
                options.dtype or ("float64",),
                options.size or _default_size(options),
                options.seed,
                options.suite,
                variants=options.variants,
                data=options.data,
            )
        settings = Settings(
            rounds=options.rounds,
            threads=options.threads,
            device=options.device,
            timeout_s=options.timeout,
            launches=options.launches,
            isolate=Isolate(options.isolate),
            budget_s=options.budget,
            descents=options.rounds > 0,
        )
        folder = open_folder(options, planned, settings)
    except (PlanError, ResumeError, TableError) as error:
        return usage(str(error))
    if isinstance(folder, int):
        return folder
    interrupted, began = False, time.monotonic()
    try:
        runner = Runner(planned, settings, folder)
        with users_prints_aside(), Progress(sum(map(len, runner.left())) * settings.launches) as progress:
            runner.tell = progress.tell
            runner.run()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        folder.close()
    _print(folder.path, options)
    if not output.wanted(options):
        if settings.rounds:
            print(summary.effort(runner.measured_s, time.monotonic() - began))
        print(f"tables: {folder.path}")
    return INTERRUPTED if interrupted else exit_code(folder.rows["cells"])


def show(options: argparse.Namespace) -> int:
    """Print the summary of a run from its tables."""
    try:
        _print(locate(options.run, options.out), options)
    except TableError as error:
        return usage(str(error))
    return OK


def users_prints_aside() -> contextlib.redirect_stdout[TextIO]:
    """While functions of users run here: what they print goes to standard error, for results are read by programs."""
    return contextlib.redirect_stdout(sys.stderr)


def _print(folder: pathlib.Path, options: argparse.Namespace) -> None:
    if output.wanted(options):
        output.write(output.results(folder), options)
    else:
        summary.show(folder, console())


def _default_size(options: argparse.Namespace) -> tuple[str, ...]:
    """Own inputs of the smallest size; of instance files, which may take hours, none is chosen unasked."""
    if options.data is None:
        return ("small",)
    found, _ = chosen(options.problems, options.suite, options.data)
    names = ", ".join(name for problem in found for name in problem.files)
    raise PlanError(f"got --data without --size, expected --size with one of them, or a pattern such as '*': {names}")


def open_folder(options: argparse.Namespace, planned: Plan, settings: Settings) -> RunFolder | int:
    """The run's folder with its row in ``runs.csv``, or the exit code if it cannot be written to."""
    reason = writable(options.out)
    if reason:
        return usage(f"got --out {str(options.out)!r}, expected a folder that can be written to: {reason}")
    row = recorded_now(options.command, planned, settings)
    if getattr(options, "resume", None) is not None:
        reason = refusal(options.resume, row)
        return usage(reason) if reason else RunFolder(options.out, options.resume)
    folder = RunFolder(options.out)
    folder.add({"runs": [dataclasses.replace(row, run_id=folder.run_id)]})
    return folder


def exit_code(rows: Sequence[CellRow]) -> int:
    """1 if some result is wrong, else 3 if some cell broke or nothing that was asked for is installed, else 0."""
    statuses = {row.status for row in rows}
    if Status.WRONG in statuses:
        return WRONG
    return FAILED if statuses & BROKEN or statuses == {Status.NOT_INSTALLED} else OK


def console() -> Console:
    """Standard output, never wider than 80 columns unless the terminal says so."""
    made = Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal or made.width < _WIDTH:
        made = Console(highlight=False, markup=False, emoji=False, width=_WIDTH)
    return made


def usage(message: str) -> int:
    """One clear line on standard error."""
    print(f"autodiff-compare: {message}", file=sys.stderr)
    return USAGE
