"""``conformance --needed``: the names of ``xp`` by the number of problems that use them."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping

from autodiff_compare.cli import exits
from autodiff_compare.cli.console import console, not_opened, usage, users_prints_aside
from autodiff_compare.cli.options import environment_of
from autodiff_compare.contract import needed as names
from autodiff_compare.execution.pool import passing_pool
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process.client import WorkerError
from autodiff_compare.summary.terminal import WIDTH, plain_table

_TIMEOUT_S = 60.0
#: Problems that are named for each name of ``xp``.
_EXAMPLES = 3


def needed(options: argparse.Namespace) -> int:
    """Print the names that problems need, or those of them that a backend lacks; return the exit code."""
    with users_prints_aside():
        used = names.needs()
    every = sorted(set().union(*used.values()))
    if options.backend is None:
        _show(f"Names of xp that the {len(used)} problems use, in the order to write them", used, every)
        return exits.OK
    try:
        spec, lacking = _lacking(options, every)
    except PlanError as error:
        return usage(str(error))
    except WorkerError as error:
        return not_opened(options.backend, error)
    complete = sum(not (uses & set(lacking)) for uses in used.values())
    has = f"{spec} has {len(every) - len(lacking)} of the {len(every)} names of xp that problems use"
    print(textwrap.fill(f"{has}: enough for {complete} of {len(used)} problems.", WIDTH))
    if lacking:
        _show(f"Names that {spec} lacks, in the order to write them", used, lacking)
    return exits.OK


def _lacking(options: argparse.Namespace, every: list[str]) -> tuple[str, list[str]]:
    """Return the backend, and the names that its namespace lacks, asked in its own worker."""
    with users_prints_aside():
        planned = plan(Query(["hello"], [options.backend]))
    (spec,) = planned.specs
    settings = Settings(rounds=0, memory=False, timeout_s=_TIMEOUT_S, environment=environment_of(options))
    with passing_pool(planned, settings) as pool:
        return spec, list(pool.request(spec, "absent", _TIMEOUT_S, names=every)["absent"])


def _show(title: str, used: Mapping[str, frozenset[str]], lacking: list[str]) -> None:
    table = plain_table(title)
    table.add_column("name", no_wrap=True)
    table.add_column("problems", justify="right")
    table.add_column("then complete", justify="right")
    table.add_column("such as", overflow="fold")
    for name, problems, complete in names.ranked(used, lacking):
        table.add_row(name, str(len(problems)), str(complete), ", ".join(problems[:_EXAMPLES]))
    console().print(table)
