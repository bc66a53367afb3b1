"""The verb ``selftest``: the judge on trial, in the terminal.

Wrong results that must be rejected, right ones that must not, and numerical differences on functions whose
derivatives are known.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from harness import controls, exits, session, summary
from harness.controls import RIGHT, LadderTrial, Trial
from harness.plan import PlanError, chosen


def selftest(options: argparse.Namespace) -> int:
    """Print rejection rates and coverage; exit code 1 if the judge failed anywhere."""
    try:
        found, _ = chosen(options.problems, options.suite)
    except PlanError as error:
        return session.usage(str(error))
    trials = list(controls.selftest(found, options.dtype or ("float64",), options.seed))
    ladder = list(controls.ladder(seed=options.seed))
    out = session.console()
    out.print(_controls(trials))
    out.print()
    out.print(_ladder(ladder))
    missed = [t for t in trials if _failed(t)]
    for t in missed[:20]:
        out.print(f"{t.problem} {t.dtype} {t.operator}, {t.control}: {t.note}", markup=False)
    covered = sum(t.covered for t in ladder)
    tried = sum(t.tried - t.exempt for t in trials if t.control != RIGHT)
    rejected = sum(t.rejected for t in trials if t.control != RIGHT)
    rights = [t for t in trials if t.control == RIGHT and t.tried]
    out.print(
        f"\n{rejected} of {tried} wrong results were rejected, {sum(t.rejected for t in rights)} of {len(rights)} "
        f"right ones; the error bar covered the true error in {covered} of {len(ladder)} estimates."
    )
    return exits.WRONG if missed or covered < len(ladder) else exits.OK


def _failed(t: Trial) -> bool:
    return t.rejected > 0 if t.control == RIGHT else t.rejected < t.tried - t.exempt


def _controls(trials: Sequence[Trial]) -> Table:
    table = summary.plain_table("Controls: what the judge must reject (right results: must not)")
    for name in ("control", "tried", "equal to right", "rejected"):
        table.add_column(name, justify="left" if name == "control" else "right")
    names = dict.fromkeys(t.control for t in trials)
    for name in names:
        own = [t for t in trials if t.control == name]
        counts = (sum(t.tried for t in own), sum(t.exempt for t in own), sum(t.rejected for t in own))
        table.add_row(name, *map(str, counts))
    return table


def _ladder(trials: Sequence[LadderTrial]) -> Table:
    table = summary.plain_table("Numerical differences of functions with known derivatives")
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
