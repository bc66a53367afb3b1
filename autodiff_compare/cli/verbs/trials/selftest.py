"""The verb ``selftest``: test the judge, or the clock, and print how often it errs.

The judge must reject altered results and accept right ones, and reject errors of known size down to a stated
resolution. Its numerical differences are compared with known derivatives. The clock must find no difference between
equal work, and must find one of 25 %.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from rich.table import Table

from autodiff_compare.cli import exits
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.verbs.trials import elsewhere
from autodiff_compare.execution.cluster.engine import EngineError
from autodiff_compare.execution.display import Display
from autodiff_compare.judge import controls, known_derivatives, mutants
from autodiff_compare.judge.controls import SizeTrial
from autodiff_compare.judge.known_derivatives import DifferenceTrial
from autodiff_compare.judge.mutants import RIGHT, Trial
from autodiff_compare.plan.plan import PlanError, load_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import Problem
from autodiff_compare.process.affinity import processors
from autodiff_compare.summary import terminal
from autodiff_compare.timing import trials as clock_trials
from autodiff_compare.timing.load import busy
from autodiff_compare.timing.trials import Count

_T = TypeVar("_T")


def selftest(options: argparse.Namespace) -> int:
    """Print rejection rates and coverage; return exit code 1 if the judge failed anywhere."""
    try:
        query = Query(options.problems, dtypes=options.dtype, seed=options.seed, suites=options.suite)
        found, _ = load_problems(query)
    except PlanError as error:
        return usage(str(error))
    try:
        with Display("parts" if options.on else "trials") as display, display.ticking():
            trials, sizes, ladder = _made(options, found, query, display)
    except EngineError as error:
        return usage(str(error))
    out = console()
    out.print(_controls(trials))
    out.print()
    out.print(_sizes(sizes))
    out.print(_resolution(sizes), markup=False)
    out.print()
    out.print(_ladder(ladder))
    missed = [t for t in trials if not t.passed]
    for t in missed[:20]:
        out.print(f"{t.problem} {t.dtype} {t.operator}, {t.mutation}: {t.note}", markup=False)
    unresolved = [t for t in sizes if not t.passed]
    for s in unresolved[:20]:
        out.print(f"{s.control}, {_way(s.dtype, s.numerically)}, {s.error}: {_verdict(s)}", markup=False)
    covered = sum(t.covered for t in ladder)
    wrong = [(t.tried - t.equivalent, t.rejected) for t in trials if t.mutation != RIGHT]
    wrong += [(s.tried, s.rejected) for s in sizes if s.error != controls.RIGHT and s.resolved]
    tried, rejected = (sum(counts) for counts in zip(*wrong, strict=True))
    rights = [t.rejected for t in trials if t.mutation == RIGHT and t.tried]
    rights += [s.rejected for s in sizes if s.error == controls.RIGHT]
    out.print(
        f"\n{rejected} of {tried} wrong results were rejected, {sum(rights)} of {len(rights)} "
        f"right ones; the error bar covered the true error in {covered} of {len(ladder)} estimates."
    )
    return exits.WRONG if missed or unresolved or covered < len(ladder) else exits.OK


def _made(
    options: argparse.Namespace, found: Sequence[Problem], query: Query, display: Display
) -> tuple[list[Trial], list[SizeTrial], list[DifferenceTrial]]:
    """Return the trials of altered results, of errors by size and of numerical differences, made here or elsewhere.

    Raises
    ------
    EngineError
        If they cannot be made where ``--on`` says.
    """
    if options.on:
        return elsewhere.trials(options, found, query, display)
    return (
        list(_counting(mutants.selftest(found, query.dtypes, query.seed), "altered results", display)),
        list(_counting(controls.trials(query.dtypes, query.seed), "errors by size", display)),
        list(_counting(known_derivatives.known_derivatives(seed=options.seed), "known derivatives", display)),
    )


def _counting(trials: Iterable[_T], what: str, display: Display) -> Iterator[_T]:
    """Yield trials as they are made, and count them in the display."""
    display.doing(what)
    for trial in trials:
        display.piece_done()
        yield trial


def timing(options: argparse.Namespace) -> int:
    """Print how often the clock claims a difference between two workers, on the machine as it is and under load.

    Return exit code 1 if it claims one too often for equal work, or too rarely for unequal work.
    """
    if options.on:
        return usage("got --on with --timing, which tests the clock of this machine: run it on each host")
    loads = tuple(_TIMED) if options.load == "both" else (options.load,)
    pieces = options.trials * sum(len(_TIMED[load]) for load in loads)
    kept, table = True, terminal.plain_table("Claims of a difference between two workers")
    for name in ("machine", "work", "launches pooled", "claims", "withheld", "trials", "bound"):
        table.add_column(name, justify="left" if name in ("machine", "work") else "right")
    with Display("trials") as display:
        display.begin(pieces, pieces)
        for load in loads:
            found = _counted(options, load, display)
            kept = kept and all(c.kept for c in found)
            for c in found:
                work, limit = ("equal", "at most") if c.identical else ("25 % more in one", "at least")
                bound = f"{limit} {clock_trials.BOUNDS[c.identical, c.pooled]:.0%}"
                launches = str(clock_trials.LAUNCHES if c.pooled else 1)
                table.add_row(_MACHINE[load], work, launches, str(c.claims), str(c.withheld), str(c.trials), bound)
    console().print(table)
    return exits.OK if kept else exits.WRONG


#: Load of the machine -> the kinds of work that are timed, and the load in words.
_TIMED = {"idle": (clock_trials.IDENTICAL, clock_trials.SLOWER), "busy": (clock_trials.IDENTICAL,)}
_MACHINE = {"idle": "as it is", "busy": "with busy CPUs"}


def _counted(options: argparse.Namespace, load: str, display: Display) -> list[Count]:
    """Make the trials of the clock under a load."""
    launched = itertools.count(1)

    def launch(work: Sequence[int], order: random.Random) -> clock_trials.Series:
        display.doing(f"timing {'equal work' if work == clock_trials.IDENTICAL else 'a slow-down'}, {_MACHINE[load]}")
        found = clock_trials.launch(work, order)
        if next(launched) % clock_trials.LAUNCHES == 0:
            display.piece_done()
        return found

    with busy(len(processors()) or os.cpu_count() or 1) if load == "busy" else contextlib.nullcontext():
        return clock_trials.counts(options.trials, launch, random.Random(options.seed), _TIMED[load])


def _controls(trials: Sequence[Trial]) -> Table:
    table = terminal.plain_table("Altered results (mutations): the judge must reject them; right ones must pass")
    for name in ("mutation", "tried", "equal to right", "rejected"):
        table.add_column(name, justify="left" if name == "mutation" else "right")
    names = dict.fromkeys(t.mutation for t in trials)
    for name in names:
        own = [t for t in trials if t.mutation == name]
        counts = (sum(t.tried for t in own), sum(t.equivalent for t in own), sum(t.rejected for t in own))
        table.add_row(name, *map(str, counts))
    return table


def _sizes(trials: Sequence[SizeTrial]) -> Table:
    table = terminal.plain_table("Errors by relative size, in gradients of mixed units: rejected of tried")
    ways = list(dict.fromkeys((t.dtype, t.numerically) for t in trials))
    for name in ("error", *(_way(*way) for way in ways)):
        table.add_column(name, justify="right")
    wrong = [t for t in trials if t.error != controls.RIGHT]
    for size in controls.SIZES:
        own = [[t for t in wrong if t.size == size and (t.dtype, t.numerically) == way] for way in ways]
        counts = [(sum(t.rejected for t in group), sum(t.tried for t in group)) for group in own]
        table.add_row(_size(size), *(f"{rejected} of {tried}" if tried else "-" for rejected, tried in counts))
    return table


def _resolution(trials: Sequence[SizeTrial]) -> str:
    """Return the stated resolution in words, and how many smaller errors were rejected."""
    ways = dict.fromkeys((t.dtype, t.numerically) for t in trials)
    stated = ", ".join(f"{_size(controls.RESOLUTION[way])} in {_way(*way)}" for way in ways)
    below = [t for t in trials if t.error != controls.RIGHT and not t.resolved]
    rejected, tried = sum(t.rejected for t in below), sum(t.tried for t in below)
    return (
        f"Every error from these sizes upwards must be rejected: {stated}. "
        f"Of the smaller ones {rejected} of {tried} were rejected."
    )


def _way(dtype: str, numerically: bool) -> str:
    return f"{dtype} by differences" if numerically else dtype


def _size(size: float) -> str:
    return "zeros" if math.isinf(size) else f"{size:.0e}"


def _verdict(s: SizeTrial) -> str:
    if s.error == controls.RIGHT:
        return "rejected"
    return f"accepted {s.tried - s.rejected} of {s.tried} results with an error of {_size(s.size)}"


def _ladder(trials: Sequence[DifferenceTrial]) -> Table:
    table = terminal.plain_table("Numerical differences of functions with known derivatives")
    for name in ("kind", "estimates", "covered", "median error", "median bar"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    ordered = sorted(trials, key=lambda t: t.kind)
    for kind, group in itertools.groupby(ordered, key=lambda t: t.kind):
        own = list(group)
        covered = sum(t.covered for t in own)
        errors = np.nanmedian([t.error for t in own]) if np.isfinite([t.error for t in own]).any() else np.nan
        bars = np.nanmedian([t.bar for t in own]) if np.isfinite([t.bar for t in own]).any() else np.nan
        table.add_row(kind, str(len(own)), str(covered), f"{errors:.1e}", f"{bars:.1e}")
    return table
