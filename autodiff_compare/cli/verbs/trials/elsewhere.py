"""Trials of the judge, and the examination of machines, on the hosts of ``--on``."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.execution.cluster.engine import Engine, EngineError
from autodiff_compare.execution.cluster.engines import engine
from autodiff_compare.execution.cluster.visits import Call, called, visits
from autodiff_compare.execution.display import Display, Silent
from autodiff_compare.judge.controls import SizeTrial
from autodiff_compare.judge.known_derivatives import DifferenceTrial
from autodiff_compare.judge.mutants import Trial
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import Problem
from autodiff_compare.results.formatting import plural
from autodiff_compare.summary import terminal
from autodiff_compare.vocabulary import Operator, Verdict


def trials(
    options: argparse.Namespace, found: Sequence[Problem], query: Query, listener: Silent
) -> tuple[list[Trial], list[SizeTrial], list[DifferenceTrial]]:
    """Return the trials of ``selftest``, each problem and dtype made on some host, in the order of a run here.

    Raises
    ------
    EngineError
        If the engine is not there, a problem is a user's file, or a host fails twice at a part of them.
    """
    own = [name for name in query.problems if name.endswith(".py")]
    if own:
        raise EngineError(f"got {own[0]} with --on, expected problems of this project: leave out --on")
    altered = [
        Call(f"{problem.name}/{dtype}", "mutants", {"problem": problem.name, "dtype": dtype, "seed": query.seed})
        for problem in found
        for dtype in query.dtypes
    ]
    sizes = Call("errors by size", "controls", {"dtypes": query.dtypes, "seed": query.seed})
    ladder = Call("known derivatives", "known derivatives", {"seed": query.seed})
    with engine_of(options) as there:
        # The two long ones first, so that no host idles at the end.
        called(there, [sizes, ladder, *altered], listener, options.unit_timeout)
    for call in (sizes, ladder, *altered):
        if call.failure:
            raise EngineError(f"{call.name} could not be tried: {call.failure}")
    return (
        [Trial(**r | {"operator": Operator(r["operator"])}) for call in altered for r in call.records],
        [SizeTrial(**r) for r in sizes.records],
        [DifferenceTrial(**r | {"verdict": Verdict(r["verdict"])}) for r in ladder.records],
    )


def doctor(options: argparse.Namespace) -> int:
    """Print what ``doctor`` finds on each host; return 3 if one cannot be examined, or cannot open a backend."""
    words = [word for name in options.backend for word in ("-b", name)]
    words += ["--threads", str(options.threads), *(word for text in options.env for word in ("--env", text))]
    try:
        with engine_of(options) as there, Display("hosts") as display, display.ticking():
            made = called(there, visits(there, "doctor", {"words": words}), display, options.unit_timeout, "host")
    except EngineError as error:
        return usage(str(error))
    if output.wanted(options):
        records = [{**record, "host": call.host} for call in made for record in call.records]
        output.write("doctor", records, options)
    else:
        _show(made)
    broken = any("cannot be opened" in str(record["found"]) for call in made for record in call.records)
    return exits.FAILED if broken or any(call.failure for call in made) else exits.OK


def _show(made: Sequence[Call]) -> None:
    out = console()
    for call in made:
        table = terminal.plain_table(call.host or call.place, header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for record in call.records:
            table.add_row(str(record["what"]), str(record["found"]))
        if call.failure:
            table.add_row("not examined", call.failure)
        out.print(table)
        for record in call.records:
            if record["advice"]:
                out.print(f"- {record['what']}: {record['advice']}")
        out.print()
    ready = sum(not call.failure and not any(record["advice"] for record in call.records) for call in made)
    out.print(f"{plural(len(made), 'host')}, {ready} of them ready for numbers that are quoted.")


@contextlib.contextmanager
def engine_of(options: argparse.Namespace) -> Iterator[Engine]:
    """Yield the engine of the options; Slurm's files go into a folder beside this command, which all nodes see."""
    settings = Settings(threads=getattr(options, "threads", 1))
    there = engine(options.on, settings, slurm_args=options.slurm_args, limit_s=options.unit_timeout)
    with contextlib.closing(there), tempfile.TemporaryDirectory(prefix=".autodiff-compare-", dir=Path.cwd()) as folder:
        there.use(Path(folder))
        for line in there.notes:
            print(line, file=sys.stderr)
        yield there
