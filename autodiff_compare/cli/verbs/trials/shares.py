"""A campaign of random programs on the hosts of ``--on``: shares of it, searched apart, judged and shrunk there."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from autodiff_compare.cli import exits, output
from autodiff_compare.cli.arguments import parser
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.verbs.runs.run import open_folder
from autodiff_compare.cli.verbs.trials import campaigns
from autodiff_compare.cli.verbs.trials.elsewhere import engine_of
from autodiff_compare.execution.cluster.engine import Engine, EngineError
from autodiff_compare.execution.cluster.visits import Call, called
from autodiff_compare.execution.display import Display, Silent
from autodiff_compare.fuzzing.findings import Key
from autodiff_compare.fuzzing.searched import Searched
from autodiff_compare.plan.plan import PlanError
from autodiff_compare.results import places
from autodiff_compare.results.rows import FindingRow, MachineRow
from autodiff_compare.results.store import RunFolder


def spread(options: argparse.Namespace) -> int:
    """Search the shares of a campaign on the hosts of an engine; return the exit code of the whole.

    The batches are dealt out in turn, one share for each place that the engine has when it begins. With ``--budget``
    every share has the whole budget.
    """
    try:
        own = [spec for spec in options.backend if spec.partition(":")[0].endswith(".py")]
        if own:
            raise PlanError(f"got backend file {own[0]} with --on, expected backends by name: leave out --on")
        _, planned, settings = campaigns.prepared(options)
        with engine_of(options) as there, Display("shares") as display, display.ticking():
            folder = open_folder(options, planned, settings)
            if isinstance(folder, int):
                return folder
            made, interrupted = _calls(options, there), False
            try:
                called(there, made, display, options.unit_timeout, "share")
            except KeyboardInterrupt:
                interrupted = True
    except (EngineError, PlanError) as error:
        return usage(str(error))
    with contextlib.closing(folder):
        parts = _of_machines([call for call in made if call.records])
        earlier: dict[Key, FindingRow] = {}
        shown = [(part, _taken_up(part, planned.specs, folder, earlier)) for part in parts]
    _tell(options, made, shown, folder)
    if interrupted:
        complain("interrupted: the results of unfinished shares are lost")
        return exits.INTERRUPTED
    if any(row.number for _, (_, rows) in shown for row in rows):
        return exits.WRONG
    return exits.FAILED if any(call.failure for call in made) else exits.OK


def share(part: str, parts: str, *words: str) -> None:
    """Search one share of a campaign on this host, and print it as JSON.

    Parameters
    ----------
    part, parts
        Which share of how many.
    words
        Arguments of the verb ``fuzz``.
    """
    began_s = campaigns.processor_s()
    with tempfile.TemporaryDirectory(prefix="autodiff-compare-") as place:
        options = parser().parse_args(["fuzz", *words, "--out", place])
        options.command = "compare.py fuzz"
        scope, planned, settings = campaigns.prepared(options)
        folder = open_folder(options, planned, settings)
        assert isinstance(folder, RunFolder), "a new folder in a temporary one"
        scope = dataclasses.replace(scope, part=int(part), parts=int(parts))
        with contextlib.closing(folder):
            campaign, _ = campaigns.searched(scope, planned, settings, folder, Silent())
            (machine,) = folder.rows["machines"]
            data = campaign.as_data() | {"machine": vars(machine), "processor_s": campaigns.processor_s() - began_s}
    print(json.dumps(data))


def _calls(options: argparse.Namespace, there: Engine) -> list[Call]:
    """Return a call for each share."""
    words = ["--seed", str(options.seed), "--awkward", f"{options.awkward:g}", "--threads", str(options.threads)]
    several = {"-b": options.backend, "--dtype": options.dtype, "-o": options.operator}
    several |= {"--families": options.families, "--env": options.env}
    words += [word for flag, values in several.items() for value in values for word in (flag, str(value))]
    for flag, number in (("--budget", options.budget), ("--programs", options.programs)):
        words += [] if number is None else [flag, f"{number:g}" if flag == "--budget" else str(number)]
    count = len(there.places())
    names = (f"share {k + 1} of {count}" for k in range(count))
    return [Call(name, "fuzz", {"part": k, "parts": count, "words": words}) for k, name in enumerate(names)]


def _of_machines(made: Sequence[Call]) -> list[list[Mapping[str, Any]]]:
    """Return the shares of each machine: nothing is added up over two machines."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for call in made:
        (record,) = call.records
        found.setdefault(record["machine"]["key"], []).append(record)
    return list(found.values())


def _taken_up(
    shares: Sequence[Mapping[str, Any]], specs: Sequence[str], folder: RunFolder, earlier: dict[Key, FindingRow]
) -> tuple[Searched, list[FindingRow]]:
    """Return what the shares of one machine add up to, and the rows of its findings, which are written."""
    machine = MachineRow(**shares[0]["machine"])
    found = Searched(specs, campaigns.known_findings())
    for each in shares:
        found.take_up(each)
    folder.add({"machines": [machine]})
    return found, campaigns.written(found, folder, json.loads(machine.versions), earlier, machine.key)


def _tell(
    options: argparse.Namespace,
    made: Sequence[Call],
    shown: Sequence[tuple[Sequence[Mapping[str, Any]], tuple[Searched, list[FindingRow]]]],
    folder: RunFolder,
) -> None:
    """Print what was found, by machine."""
    out = console()
    if output.wanted(options):
        rows = [row for _, (_, rows) in shown for row in rows]
        records = [{"folder": str(folder.path), **dataclasses.asdict(row)} for row in rows]
        output.write("fuzz", records, options, [folder.path])
        return
    for shares, (found, rows) in shown:
        if len(shown) > 1:
            out.print(f"{shares[0]['machine']['hostname']}, {shares[0]['machine']['cpu_model']}", markup=False)
        campaigns.show(found, rows, folder.path, sum(each["processor_s"] for each in shares), out, {})
    for call in made:
        if call.failure:
            out.print(f"{call.name} is missing: {call.failure}", markup=False, soft_wrap=True)
    out.print(f"tables: {places.shown(folder.path)}", soft_wrap=True, markup=False)
