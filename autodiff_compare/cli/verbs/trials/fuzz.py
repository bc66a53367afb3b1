"""The verb ``fuzz``: random programs through several backends; write tables and findings, and print what was found."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import tempfile
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from autodiff_compare import backends
from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.messages import complain, expected
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.runs.run import open_folder
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.pool import Pool
from autodiff_compare.fuzzing.campaign import SCALAR_ALL, Campaign, Scope, stride
from autodiff_compare.fuzzing.executors import InWorker
from autodiff_compare.fuzzing.findings import Findings
from autodiff_compare.fuzzing.generator import Recipe
from autodiff_compare.fuzzing.known import Known, again, known_defects
from autodiff_compare.fuzzing.operations import FAMILIES, OPERATIONS
from autodiff_compare.fuzzing.oracle import Class, Judgement
from autodiff_compare.fuzzing.record import fuzz_rows, script_of, title_of, write_finding
from autodiff_compare.plan.plan import Plan, PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.results import places
from autodiff_compare.results.formatting import listed, plural
from autodiff_compare.results.rows import FindingRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.summary import random_programs, terminal
from autodiff_compare.vocabulary import Operator

#: The backends without ``-b``. Those that run operation by operation get every program, compiled ones some.
DEFAULT = ("numpy", "numpy:compiled", "torch", "torch:ff", "tensorflow:eager", "jax:eager", "jax", "tensorflow")
#: Seconds of a campaign that is given neither a budget nor a number of programs.
_BUDGET_S = 60.0


def fuzz(options: argparse.Namespace) -> int:
    """Run a campaign; return exit code 1 if it has a finding that was not known."""
    if options.known:
        return _known(options)
    try:
        scope = scope_of(options)
        query = Query(backends=options.backend or DEFAULT, dtypes=options.dtype, seed=options.seed)
        for spec in query.backends:
            _require_general(spec)
        planned = dataclasses.replace(plan(query), problems=(), sources={}, cells=())
        settings = Settings(rounds=0, threads=options.threads, environment=environment_of(options))
        folder = open_folder(options, planned, settings)
    except PlanError as error:
        return usage(str(error))
    if isinstance(folder, int):
        return folder
    interrupted, began_s = False, _processor_s()
    with contextlib.ExitStack() as stack:
        executors = _executors(planned, settings, folder, stack)
        display = stack.enter_context(Display("programs", budget_s=scope.budget_s))
        display.begin(scope.programs or 0, 0)

        def tell(count: int, findings: Findings) -> None:
            display.doing(plural(len(findings), "finding"))
            display.count(count)

        campaign = Campaign(executors, scope, Findings([known.finding for known in known_defects()]), tell)
        try:
            with display.ticking():
                campaign.run()
        except KeyboardInterrupt:
            interrupted = True
    used_s = _processor_s() - began_s
    try:
        rows = _written(campaign, folder)
    finally:
        folder.close()
    if output.wanted(options):
        records = [{"folder": str(folder.path), **dataclasses.asdict(row)} for row in rows]
        output.write("fuzz", records, options, [folder.path])
    else:
        _print(campaign, rows, folder.path, used_s, console())
    if interrupted:
        complain("interrupted")
    return exits.INTERRUPTED if interrupted else exits.WRONG if campaign.findings.new else exits.OK


def scope_of(options: argparse.Namespace) -> Scope:
    """Return what the options ask for.

    Raises
    ------
    PlanError
        If a family or an operator does not exist.
    """
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


def _executors(
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


def _written(campaign: Campaign, folder: RunFolder) -> list[FindingRow]:
    """Write the tables and the folders of new findings; return the rows of the findings, new ones first."""
    found = [*enumerate(campaign.findings.new, 1)]
    found += [(0, finding) for finding in campaign.findings if campaign.findings.is_known(finding)]
    rows = [
        write_finding(finding, number, folder.path, folder.run_id, _versions(folder, finding.key.backend))
        for number, finding in found
    ]
    folder.add({"fuzz": list(fuzz_rows(campaign, folder.run_id)), "findings": rows})
    return rows


def _versions(folder: RunFolder, backend: str) -> dict[str, str]:
    """Return the versions of the distributions that a backend needs, as the run has recorded them."""
    recorded = json.loads(folder.rows["runs"][0].versions)
    wanted = backends.load(backend).requires if backend in backends.available() else ()
    return {name: recorded[name] for name in wanted if name in recorded}


def _processor_s() -> float:
    """Return the seconds of processor time of this process and of its workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _print(campaign: Campaign, rows: Sequence[FindingRow], folder: pathlib.Path, used_s: float, out: Console) -> None:
    out.print(_outcomes(campaign))
    out.print()
    for line in random_programs.findings(rows, folder):
        out.print(line, markup=False, soft_wrap=True)
    out.print(
        f"\n{plural(campaign.count, 'program')}: {len(campaign.coverage.operations)} of {len(OPERATIONS)} operations, "
        f"{plural(len(campaign.coverage.pairs), 'pair')} of them; {random_programs.told(rows)}. "
        f"Processor time: {used_s:.0f} s.",
        markup=False,
    )
    for spec, why in campaign.unavailable.items():
        out.print(f"{spec}: left out: {why}", markup=False)
    out.print(f"tables: {places.shown(folder)}", soft_wrap=True, markup=False)


def _outcomes(campaign: Campaign) -> Table:
    """Return the number of outcomes by backend and class; classes without any are left out."""
    classes = [c for c in Class if c == Class.AGREE or any(counted[c] for counted in campaign.outcomes.values())]
    table = terminal.plain_table("Outcomes by backend; each is one operator of one program")
    table.add_column("backend")
    for name in ("programs", *classes):
        table.add_column(str(name), justify="right")
    for spec, counted in campaign.outcomes.items():
        step = stride(spec)
        share = "all" if step == 1 else f"1 of {step}"
        table.add_row(spec, share, *(str(counted[classed]) for classed in classes))
    return table


def _known(options: argparse.Namespace) -> int:
    """Run every known defect again, and print what each gives today with its script."""
    defects = [known for known in known_defects() if not options.backend or known.key.backend in options.backend]
    specs = tuple(dict.fromkeys(known.failure.spec for known in defects))
    out = console()
    for name in options.backend:
        if all(known.key.backend != name for known in defects):
            out.print(f"No known defect is listed for {name}.", markup=False)
    if not defects:
        return exits.OK
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = stack.enter_context(contextlib.closing(RunFolder(pathlib.Path(name))))
        planned = dataclasses.replace(plan(Query(backends=specs)), problems=(), sources={}, cells=())
        executors = _executors(planned, Settings(rounds=0, environment=environment_of(options)), folder, stack)
        for known, judgement in again(defects, executors.__getitem__):
            _print_known(known, judgement, out)
    return exits.OK


def _print_known(known: Known, judgement: Judgement | None, out: Console) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in known.versions.items())
    today = "not run" if judgement is None else "gone" if judgement.classed == Class.AGREE else "still there"
    for line in (
        title_of(known.finding),
        f"  found in {versions}; in the installed versions: {today}",
        f"  {known.failure.judgement.words}",
        *([f"  {known.note}"] if known.note else []),
        "",
        *(f"    {line}".rstrip() for line in (script_of(known.finding) or known.failure.program.source()).splitlines()),
        "",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
