"""The verb ``conformance``: whether a backend keeps the contract, clause by clause, and what to do where it does not.

Everything runs in the backend's own worker, so that one that hangs or crashes breaks one clause.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from autodiff_compare.cli import exits
from autodiff_compare.cli.console import usage, users_prints_aside
from autodiff_compare.contract.clauses import CLAUSES
from autodiff_compare.execution.pool import Pool
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import Plan, PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.environment import PACKAGE
from autodiff_compare.results.store import RunFolder
from autodiff_compare.results.tables import CellRow
from autodiff_compare.summary.terminal import WIDTH
from autodiff_compare.vocabulary import DTYPES, Operator, Status, because

_FUNCTIONS = str(PACKAGE / "contract" / "functions.py")
_TIMEOUT_S = 60.0
#: What became of a clause -> its word; `None`: the backend offers no such thing, and says so.
_WORDS = {True: "kept", False: "BROKEN", None: "-"}
#: Status of a cell -> what to do about it.
_REMEDIES = {
    Status.WRONG: "compare.py check {path} -b {backend} -o {operator} shows every error",
    Status.ERROR: "make it work, or raise Unsupported with the reason",
    Status.CRASH: "its process died: run the function by itself",
    Status.TIMEOUT: "it did not answer in time: run the function by itself",
}


@dataclass(frozen=True)
class Finding:
    """What became of one clause: kept, broken, or (`None`) not offered."""

    clause: str
    kept: bool | None
    words: str
    remedy: str = ""


def conformance(options: argparse.Namespace) -> int:
    """Try a backend on every clause and print what was found; exit code 1 if one is broken."""
    try:
        with users_prints_aside():
            planned = plan(Query([_FUNCTIONS], [options.backend], dtypes=DTYPES))
    except PlanError as error:
        return usage(str(error))
    (spec,) = planned.specs
    print(f"{spec}: the contract of backends/interface.py")
    findings: list[Finding] = []
    try:
        for finding in findings_of(planned):
            findings.append(finding)
            print("\n".join(lines(finding)), flush=True)
    except WorkerError as error:
        reason = because(error.status.replace("_", " "), " ".join(str(error).split()))
        print(textwrap.fill(f"{spec} cannot be opened: {reason}", WIDTH, break_on_hyphens=False))
        return exits.FAILED
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    print(sentence(findings))
    return exits.WRONG if any(f.kept is False for f in findings) else exits.OK


def findings_of(planned: Plan) -> Iterator[Finding]:
    """Every clause, as it is tried.

    Raises
    ------
    WorkerError
        If the backend cannot be opened.
    """
    (spec,) = planned.specs
    settings = Settings(rounds=0, memory=False, timeout_s=_TIMEOUT_S)
    with tempfile.TemporaryDirectory(prefix="autodiff-compare-") as out:
        folder = RunFolder(pathlib.Path(out))
        pool = Pool(planned, settings, folder)
        try:
            # Refused once and for all if it cannot be opened: then no clause means anything.
            pool.request(spec, "clause", _TIMEOUT_S, number=0)
            for number, clause in enumerate(CLAUSES):
                try:
                    found = pool.request(spec, "clause", _TIMEOUT_S, number=number)
                except WorkerError as error:
                    yield Finding(clause.name, False, f"{error.status}: {error}", clause.remedy)
                else:
                    yield Finding(clause.name, found["kept"], found["words"], clause.remedy)
            Runner(planned, settings, folder, pool=pool).run()
        finally:
            pool.close()
            folder.close()
        yield from _operators(folder.rows["cells"], planned.adapters[spec])


def _operators(cells: Sequence[CellRow], backend: str) -> Iterator[Finding]:
    """A finding for each operator: what it gave of the functions, in every dtype."""
    for operator in (o for o in Operator if o in {c.operator for c in cells}):
        rows = [c for c in cells if c.operator == operator]
        bad = [c for c in rows if c.status not in (Status.OK, Status.UNSUPPORTED)]
        how = next((c.how for c in rows if c.how), "")
        name = f"{operator}{f' ({how})' if how else ''}"
        refused = [c for c in rows if c.status == Status.UNSUPPORTED]
        if bad:
            words = f"{len(bad)} of {len(rows)} cells ({_cells(bad)}): {bad[0].status}: {_first(bad[0].message)}"
            remedy = _REMEDIES.get(Status(bad[0].status), "").format(
                path=_FUNCTIONS, backend=backend, operator=operator
            )
            yield Finding(name, False, words, remedy)
        elif len(refused) == len(rows):
            yield Finding(name, None, f"unsupported: {refused[0].message}")
        elif refused:
            yield Finding(
                name, True, f"right where offered; unsupported: {_cells(refused)}: {_first(refused[0].message)}"
            )
        else:
            yield Finding(name, True, f"{len({c.problem for c in rows})} functions, {' and '.join(DTYPES)}")


def _cells(rows: Sequence[CellRow]) -> str:
    """``valley, layer; float32``: the functions, three of them at most, and the dtypes."""
    functions = list(dict.fromkeys(row.problem for row in rows))
    shown = ", ".join(functions[:3]) + (", ..." if len(functions) > 3 else "")
    return f"{shown}; {' and '.join(dict.fromkeys(row.dtype for row in rows))}"


def _first(message: str) -> str:
    """What a message says first: of several wrong arrays, the first."""
    return message.split("; ")[0]


def lines(finding: Finding) -> Iterator[str]:
    """A finding at most 80 columns wide."""
    head = f"  {_WORDS[finding.kept]:<7}{finding.clause}"
    words = " ".join(finding.words.split())
    if words:
        head += f": {words}"
    yield from textwrap.wrap(head, WIDTH, subsequent_indent=" " * 9, break_on_hyphens=False)
    if finding.kept is False and finding.remedy:
        yield from textwrap.wrap(
            finding.remedy, WIDTH, initial_indent=" " * 9 + "-> ", subsequent_indent=" " * 12, break_on_hyphens=False
        )


def sentence(findings: Iterable[Finding]) -> str:
    """How many of each."""
    kept = [f.kept for f in findings]
    parts = [f"{kept.count(True)} of {len(kept)} clauses are kept"]
    if kept.count(False):
        parts.append(f"{kept.count(False)} broken")
    if kept.count(None):
        parts.append(f"{kept.count(None)} not offered")
    return ", ".join(parts) + "."
