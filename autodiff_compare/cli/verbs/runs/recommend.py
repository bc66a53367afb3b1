"""The verb ``recommend``: make a short run, or read one, and recommend a backend."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from autodiff_compare.cli import exits
from autodiff_compare.cli.console import console, usage, users_prints_aside
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.runs.run import open_folder
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.operators import leading
from autodiff_compare.plan.plan import PlanError, load_problems, plan_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import ProblemError
from autodiff_compare.results.places import locate, shown
from autodiff_compare.results.tables import TableError, read_all
from autodiff_compare.summary import recommendation_text
from autodiff_compare.summary.recommendation import NothingRight, RecommendError, recommendation


def recommend(options: argparse.Namespace) -> int:
    """Make a short run, or read the tables of one, and print which backend to use; return the exit code."""
    try:
        folder = _measured(options) if options.run is None else locate(options.run, options.out)
        if isinstance(folder, int):
            return folder
        # A run made here has one problem, whose name may differ from that of its file.
        name = options.problem if options.run is not None else None
        found = recommendation(read_all(folder), name, options.calls, options.operator, options.size)
    except NothingRight as error:
        complain(str(error))
        return exits.WRONG if error.wrong else exits.FAILED
    except (PlanError, ProblemError, TableError, RecommendError) as error:
        return usage(str(error))
    recommendation_text.show(found, console())
    print(f"tables: {shown(folder)}")
    return exits.OK


def _measured(options: argparse.Namespace) -> Any:
    """Make a short run of every variant; return its folder, or the exit code if it cannot start."""
    if not options.problem:
        raise RecommendError("got no problem, expected a name, a path of a .py file, or --from RUN")
    with users_prints_aside():
        query = Query(
            [options.problem],
            options.backend,
            dtypes=[options.dtype],
            sizes=[options.size] if options.size else [],
            seed=options.seed,
            variants="" if options.backend else "all",
            timeout_s=options.timeout,
        )
        found, sources = load_problems(query)
        if len(found) != 1:
            raise RecommendError(f"got {len(found)} problems in {options.problem}, expected a file with one")
        operator = options.operator or leading(found[0].operators)
        planned = plan_problems(found, sources, replace(query, operators=[operator]))
    settings = Settings(
        rounds=options.rounds, threads=options.threads, timeout_s=options.timeout, environment=environment_of(options)
    )
    folder = open_folder(options, planned, settings)
    if isinstance(folder, int):
        return folder
    try:
        with users_prints_aside(), Display() as display:
            Runner(planned, settings, folder, display).run()
    except KeyboardInterrupt:
        done = len(folder.rows["cells"])
        again = f": recommend --from {folder.path} answers from these" if done else ""
        complain(f"interrupted: {done} of {len(planned.cells)} cells were measured{again}")
        return exits.INTERRUPTED
    finally:
        folder.close()
    return folder.path
