"""The verb ``fuzz``: random programs through several backends; write tables and findings, and print what was found."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import pathlib
import tempfile

from rich.console import Console

from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.runs.run import open_folder
from autodiff_compare.cli.verbs.trials import campaigns
from autodiff_compare.cli.verbs.trials.shares import spread
from autodiff_compare.execution.display import Display
from autodiff_compare.fuzzing.known import Known, again, known_defects
from autodiff_compare.fuzzing.oracle import Class, Judgement
from autodiff_compare.fuzzing.record import script_of, title_of
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.results import places
from autodiff_compare.results.store import RunFolder


def fuzz(options: argparse.Namespace) -> int:
    """Run a campaign; return exit code 1 if it has a finding that was not known."""
    if options.known:
        return _known(options)
    if options.on:
        return spread(options)
    try:
        scope, planned, settings = campaigns.prepared(options)
        folder = open_folder(options, planned, settings)
    except PlanError as error:
        return usage(str(error))
    if isinstance(folder, int):
        return folder
    began_s = campaigns.processor_s()
    with Display("programs", budget_s=scope.budget_s) as display, display.ticking():
        campaign, interrupted = campaigns.searched(scope, planned, settings, folder, display)
    used_s = campaigns.processor_s() - began_s
    try:
        versions = json.loads(folder.rows["runs"][0].versions)
        rows = campaigns.written(campaign, folder, versions, {})
    finally:
        folder.close()
    if output.wanted(options):
        records = [{"folder": str(folder.path), **dataclasses.asdict(row)} for row in rows]
        output.write("fuzz", records, options, [folder.path])
    else:
        named = {spec: planned.written(spec) for spec in planned.specs}
        campaigns.show(campaign, rows, folder.path, used_s, console(), named)
        console().print(f"tables: {places.shown(folder.path)}", soft_wrap=True, markup=False)
    if interrupted:
        complain("interrupted")
    elif not any(counted.total() for counted in campaign.outcomes.values()):
        complain("nothing was computed: no program has these operators on a backend that could be run")
        return exits.FAILED
    return exits.INTERRUPTED if interrupted else exits.WRONG if campaign.findings.new else exits.OK


def _known(options: argparse.Namespace) -> int:
    """Run every known defect again, and print what each gives today with its script."""
    wanted, listed = options.backend, known_defects()
    if other := next((name for name in wanted if "@" in name), ""):
        return usage(f"got {other}, expected a backend without @PYTHON: known defects run in this environment")
    defects = [
        known for known in listed if not wanted or not {known.key.backend, known.failure.spec}.isdisjoint(wanted)
    ]
    specs = tuple(dict.fromkeys(known.failure.spec for known in defects))
    out = console()
    for name in wanted:
        if all(name not in (known.key.backend, known.failure.spec) for known in defects):
            out.print(f"No known defect is listed for {name}.", markup=False)
    if not defects:
        return exits.OK
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = stack.enter_context(contextlib.closing(RunFolder(pathlib.Path(name))))
        planned = dataclasses.replace(plan(Query(backends=specs)), problems=(), sources={}, cells=())
        executors = campaigns.executors_of(
            planned, Settings(rounds=0, environment=environment_of(options)), folder, stack
        )
        for known, judgement in again(defects, executors.__getitem__):
            _print_known(known, judgement, out)
    return exits.OK


def _today(known: Known, judgement: Judgement | None) -> str:
    """Return in words what becomes of a known defect on the installed versions."""
    if judgement is None:
        return "not run"
    words = {Class.AGREE: "gone", known.key.classed: "still there"}
    return words.get(judgement.classed, f"another outcome: {judgement.classed}, {judgement.words}")


def _print_known(known: Known, judgement: Judgement | None, out: Console) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in known.versions.items())
    today = _today(known, judgement)
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
