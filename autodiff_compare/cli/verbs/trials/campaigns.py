"""Campaigns of random programs on the command line: what is asked, the search, the tables and what is printed."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from autodiff_compare import backends
from autodiff_compare.cli.messages import expected
from autodiff_compare.cli.options import environment_of
from autodiff_compare.execution.display import Silent
from autodiff_compare.execution.pool import Pool
from autodiff_compare.fuzzing.campaign import SCALAR_ALL, Campaign, Scope, stride
from autodiff_compare.fuzzing.executors import InWorker
from autodiff_compare.fuzzing.findings import Findings, Key
from autodiff_compare.fuzzing.generator import Recipe
from autodiff_compare.fuzzing.known import known_defects
from autodiff_compare.fuzzing.operations import FAMILIES, OPERATIONS
from autodiff_compare.fuzzing.oracle import Class
from autodiff_compare.fuzzing.record import counts, fuzz_rows, write_finding
from autodiff_compare.fuzzing.searched import Searched
from autodiff_compare.plan.plan import Plan, PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.results.formatting import listed, plural
from autodiff_compare.results.rows import FindingRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.summary import random_programs, terminal
from autodiff_compare.vocabulary import DTYPES, SECOND_ORDER, Operator

#: The backends without ``-b``. Those that run operation by operation get every program, compiled ones some.
DEFAULT = ("numpy", "numpy:compiled", "torch", "torch:ff", "tensorflow:eager", "jax:eager", "jax", "tensorflow")
#: Seconds of a campaign that is given neither a budget nor a number of programs.
_BUDGET_S = 60.0


def prepared(options: argparse.Namespace) -> tuple[Scope, Plan, Settings]:
    """Return what a campaign covers, its backends and its settings.

    Raises
    ------
    PlanError
        If a family, an operator, a backend or a dtype does not exist, or a backend computes none of the operators.
    """
    scope = scope_of(options)
    query = Query(backends=options.backend or DEFAULT, dtypes=options.dtype, seed=options.seed)
    for spec in query.backends:
        _require_general(spec)
        _require_second_order(spec, scope.operators)
    planned = dataclasses.replace(plan(query), problems=(), sources={}, cells=())
    return scope, planned, Settings(rounds=0, threads=options.threads, environment=environment_of(options))


def searched(
    scope: Scope, planned: Plan, settings: Settings, folder: RunFolder, listener: Silent
) -> tuple[Campaign, bool]:
    """Run a campaign on this machine; return it, and whether it was interrupted."""
    with contextlib.ExitStack() as stack:
        executors = executors_of(planned, settings, folder, stack)
        listener.begin(scope.programs or 0, 0)

        def tell(count: int, findings: Findings) -> None:
            listener.doing(plural(len(findings.new), "new finding"))
            listener.count(count)

        campaign = Campaign(executors, scope, known_findings(), tell)
        try:
            campaign.run()
        except KeyboardInterrupt:
            return campaign, True
    return campaign, False


def known_findings() -> Findings:
    """Return findings that know the listed defects and hold none yet."""
    return Findings([known.finding for known in known_defects()])


def scope_of(options: argparse.Namespace) -> Scope:
    """Return what the options ask for.

    Raises
    ------
    PlanError
        If a family, an operator or a dtype does not exist.
    """
    for name in options.dtype:
        if name not in DTYPES:
            raise PlanError(f"got dtype {name!r}{expected(name, list(DTYPES), 'some')}")
    for name in options.families:
        if name not in FAMILIES:
            raise PlanError(f"got family {name!r}{expected(name, list(FAMILIES), 'some')}")
    known = sorted(map(str, SCALAR_ALL))
    for name in options.operator:
        if name not in known:
            raise PlanError(f"got operator {name!r}{expected(name, known, 'some')}")
    recipe = Recipe(tuple(options.families) or tuple(FAMILIES), options.awkward / 100)
    budget = _BUDGET_S if options.budget is None and options.programs is None else options.budget
    return Scope(
        options.seed,
        recipe,
        tuple(options.dtype) or ("float64",),
        tuple(Operator(name) for name in options.operator),
        budget,
        options.programs,
    )


def _require_general(spec: str) -> None:
    """Reject a variant that differs from the default in operators only that no random program is asked for."""
    try:
        adapter = backends.load(spec.partition("@")[0])
    except ValueError as error:
        raise PlanError(str(error)) from error
    limited = adapter.limited.get(adapter.variant, SCALAR_ALL)
    if not limited & SCALAR_ALL:
        only = listed((str(o) for o in Operator if o in limited), most=len(limited))
        raise PlanError(f"got {spec}, which computes only {only}, expected a backend that computes gradients")


def _require_second_order(spec: str, operators: Sequence[Operator]) -> None:
    """Reject a backend with an order of modes if only operators of first order are asked for."""
    if operators and backends.load(spec.partition("@")[0]).order and not SECOND_ORDER & set(operators):
        raise PlanError(
            f"got {spec} with {listed(map(str, operators))}, expected hvp or hessian:"
            " an order of modes is one of second derivatives"
        )


def executors_of(
    planned: Plan, settings: Settings, folder: RunFolder, stack: contextlib.ExitStack
) -> dict[str, InWorker]:
    """Return the executor of each backend; its workers end when the stack is left."""
    found = {}
    for spec in planned.specs:
        pool = Pool(_only(planned, spec), settings, folder)
        stack.callback(pool.close)
        found[spec] = InWorker(functools.partial(pool.request, spec, "programs"))
    return found


def _only(planned: Plan, spec: str) -> Plan:
    """Return the plan with one backend: each has workers of its own, which compute side by side."""
    interpreters = {k: v for k, v in planned.interpreters.items() if k == spec}
    return dataclasses.replace(planned, adapters={spec: planned.adapters[spec]}, interpreters=interpreters)


def written(
    found: Searched, folder: RunFolder, versions: Mapping[str, str], earlier: dict[Key, FindingRow], machine: str = ""
) -> list[FindingRow]:
    """Write the tables of one machine and the folders of new findings; return the rows of findings, new ones first.

    Parameters
    ----------
    found
        What the machine has searched.
    versions
        Distribution -> version there.
    earlier
        Findings that another machine has shown, whose folders are there already; those of this one are added.
    machine
        Key of the machine; empty for this one.
    """
    rows = []
    for finding in [*found.findings.new, *filter(found.findings.is_known, found.findings)]:
        number = 0 if found.findings.is_known(finding) else 1 + sum(row.number > 0 for row in earlier.values())
        row = earlier.get(finding.key) or write_finding(
            finding, number, folder.path, folder.run_id, _versions(versions, finding.key.backend)
        )
        earlier.setdefault(finding.key, row)
        rows.append(dataclasses.replace(row, **counts(finding), machine=machine))
    fuzzed = [dataclasses.replace(row, machine=machine) for row in fuzz_rows(found, folder.run_id)]
    folder.add({"fuzz": fuzzed, "findings": rows})
    return rows


def _versions(recorded: Mapping[str, str], backend: str) -> dict[str, str]:
    """Return the versions of the distributions that a backend needs, of those that were recorded."""
    wanted = backends.load(backend).requires if backend in backends.available() else ()
    return {name: recorded[name] for name in wanted if name in recorded}


def processor_s() -> float:
    """Return the seconds of processor time of this process and of its workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def show(
    found: Searched,
    rows: Sequence[FindingRow],
    folder: pathlib.Path,
    used_s: float,
    out: Console,
    backends_as_written: Mapping[str, str],
) -> None:
    """Print what was searched and found on one machine."""
    out.print(_outcomes(found))
    out.print()
    for line in random_programs.findings(rows, folder, backends_as_written):
        out.print(line, markup=False, soft_wrap=True)
    out.print(
        f"\n{plural(found.count, 'program')} used {len(found.coverage.operations)} of {len(OPERATIONS)} operations and "
        f"{plural(len(found.coverage.pairs), 'pair')} of operations; {random_programs.told(rows)}. "
        f"Processor time: {used_s:.0f} s.",
        markup=False,
    )
    for spec, why in found.unavailable.items():
        out.print(f"{spec}: left out: {why}", markup=False)


def _outcomes(found: Searched) -> Table:
    """Return the number of outcomes by backend and class; classes without any are left out."""
    classes = [c for c in Class if c == Class.AGREE or any(counted[c] for counted in found.outcomes.values())]
    table = terminal.plain_table("Outcomes by backend; each is one operator of one program")
    random_programs.add_columns(table, list(found.outcomes), ("programs", *map(str, classes)))
    for spec, counted in found.outcomes.items():
        step = stride(spec)
        share = "all" if step == 1 else f"1 of {step}"
        table.add_row(spec, share, *(str(counted[classed]) for classed in classes))
    return table
