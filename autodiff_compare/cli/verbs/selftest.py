"""The verb ``selftest``: the judge on trial, in the terminal.

Wrong results that must be rejected, right ones that must not, and numerical differences on functions whose
derivatives are known.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from autodiff_compare.cli import exits
from autodiff_compare.cli.console import console, usage
from autodiff_compare.judge import mutants
from autodiff_compare.judge.mutants import RIGHT, DifferenceTrial, Trial
from autodiff_compare.plan.plan import PlanError, chosen
from autodiff_compare.summary import terminal
from autodiff_compare.timing import trials as clock_trials


def selftest(options: argparse.Namespace) -> int:
    """Print rejection rates and coverage; exit code 1 if the judge failed anywhere."""
    try:
        found, _ = chosen(options.problems, options.suite)
    except PlanError as error:
        return usage(str(error))
    trials = list(mutants.selftest(found, options.dtype or ("float64",), options.seed))
    ladder = list(mutants.known_derivatives(seed=options.seed))
    out = console()
    out.print(_controls(trials))
    out.print()
    out.print(_ladder(ladder))
    missed = [t for t in trials if not t.passed]
    for t in missed[:20]:
        out.print(f"{t.problem} {t.dtype} {t.operator}, {t.mutation}: {t.note}", markup=False)
    covered = sum(t.covered for t in ladder)
    tried = sum(t.tried - t.equivalent for t in trials if t.mutation != RIGHT)
    rejected = sum(t.rejected for t in trials if t.mutation != RIGHT)
    rights = [t for t in trials if t.mutation == RIGHT and t.tried]
    out.print(
        f"\n{rejected} of {tried} wrong results were rejected, {sum(t.rejected for t in rights)} of {len(rights)} "
        f"right ones; the error bar covered the true error in {covered} of {len(ladder)} estimates."
    )
    return exits.WRONG if missed or covered < len(ladder) else exits.OK


def timing(options: argparse.Namespace) -> int:
    """Put the clock on trial: print how often a difference is claimed between two workers.

    Returns exit code 1 if it is claimed too often of identical work, or too rarely of unequal work.
    """
    found = clock_trials.counts(options.trials, clock_trials.launch, random.Random(options.seed))
    table = terminal.plain_table("Two workers against each other: claims of a difference")
    for name in ("work", "launches pooled", "claims", "trials", "bound"):
        table.add_column(name, justify="left" if name == "work" else "right")
    for c in found:
        work, limit = ("identical", "at most") if c.identical else ("25 % more in one", "at least")
        bound = f"{limit} {clock_trials.BOUNDS[c.identical, c.pooled]:.0%}"
        table.add_row(work, str(clock_trials.LAUNCHES if c.pooled else 1), str(c.claims), str(c.trials), bound)
    console().print(table)
    return exits.OK if all(c.kept for c in found) else exits.WRONG


def _controls(trials: Sequence[Trial]) -> Table:
    table = terminal.plain_table("Controls: what the judge must reject (right results: must not)")
    for name in ("control", "tried", "equal to right", "rejected"):
        table.add_column(name, justify="left" if name == "control" else "right")
    names = dict.fromkeys(t.mutation for t in trials)
    for name in names:
        own = [t for t in trials if t.mutation == name]
        counts = (sum(t.tried for t in own), sum(t.equivalent for t in own), sum(t.rejected for t in own))
        table.add_row(name, *map(str, counts))
    return table


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
