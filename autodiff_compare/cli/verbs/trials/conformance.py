"""The verb ``conformance``: test a backend against each clause of the contract, and print how to repair broken ones.

Every clause runs in the backend's own worker, so that a hang or a crash breaks this clause only.
"""

from __future__ import annotations

import argparse
import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autodiff_compare.cli import exits
from autodiff_compare.cli.console import not_opened, usage, users_prints_aside
from autodiff_compare.cli.options import environment_of
from autodiff_compare.cli.verbs.trials.needed import needed
from autodiff_compare.contract.clauses import CLAUSES
from autodiff_compare.execution.display import Display
from autodiff_compare.execution.pool import passing_pool
from autodiff_compare.execution.runner import Runner
from autodiff_compare.plan.plan import Plan, PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.process.client import WorkerError
from autodiff_compare.process.environment import PACKAGE
from autodiff_compare.results.rows import CellRow
from autodiff_compare.summary.terminal import WIDTH
from autodiff_compare.vocabulary import DTYPES, Operator, Status

_FUNCTIONS = str(PACKAGE / "contract" / "functions.py")
_TIMEOUT_S = 60.0
#: Result of a clause -> its word; `None`: the backend declares that it does not offer the feature.
_WORDS = {True: "kept", False: "BROKEN", None: "-"}
#: Status of a cell -> how to repair it.
_REMEDIES = {
    Status.WRONG: "{check} shows every error",
    Status.ERROR: "make it work, or raise Unsupported with the reason; {check} shows where",
    Status.CRASH: "its process died; {check} repeats it",
    Status.TIMEOUT: "it did not answer in time; {check} repeats it",
}
_CHECK = "compare.py check {path} -b {backend} -o {operator}{dtypes}"
#: An operator with a NumPy array on the left, which asks a variable only if its class says that it takes arrays.
_OPERANDS = re.compile(r"unsupported operand type\(s\) for (\S+): 'numpy\.ndarray' and '(\w+)'")
_OVER_NUMPY = "__array_ufunc__ = None, so that NumPy leaves the operation to it"


@dataclass(frozen=True)
class Finding:
    """The result of one clause: kept, broken, or (`None`) not offered."""

    clause: str
    kept: bool | None
    words: str
    remedy: str = ""


def conformance(options: argparse.Namespace) -> int:
    """Test a backend against every clause and print the findings; return exit code 1 if one is broken."""
    if options.needed:
        return needed(options)
    if options.backend is None:
        return usage("got no backend, expected its name, or the path of its .py file, or --needed")
    try:
        with users_prints_aside():
            planned = plan(Query([_FUNCTIONS], [options.backend], dtypes=DTYPES))
    except PlanError as error:
        return usage(str(error))
    (spec,) = planned.specs
    print(f"{spec}: the contract of backends/interface.py")
    findings: list[Finding] = []
    try:
        with Display("clauses") as display, display.ticking():
            for finding in findings_of(planned, environment_of(options)):
                findings.append(finding)
                display.hide()
                print("\n".join(lines(finding)), flush=True)
                display.count(len(findings))
    except WorkerError as error:
        return not_opened(spec, error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    print(sentence(findings))
    return exits.WRONG if any(f.kept is False for f in findings) else exits.OK


def findings_of(planned: Plan, environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Test each clause, then each operator, and yield the findings one by one.

    Parameters
    ----------
    planned
        The plan of one backend on the functions of the contract.
    environment
        Variables that the user passes on to the worker.

    Raises
    ------
    WorkerError
        If the backend cannot be opened.
    """
    (spec,) = planned.specs
    settings = Settings(rounds=0, memory=False, timeout_s=_TIMEOUT_S, environment=environment or {})
    with passing_pool(planned, settings) as pool:
        # One request first: a backend that cannot be opened would break every clause with the same message.
        pool.request(spec, "clause", _TIMEOUT_S, number=0)
        for number, clause in enumerate(CLAUSES):
            try:
                found = pool.request(spec, "clause", _TIMEOUT_S, number=number)
            except WorkerError as error:
                yield Finding(clause.name, False, f"{error.status}: {error}", clause.remedy)
            else:
                yield Finding(clause.name, found["kept"], found["words"], clause.remedy)
        Runner(planned, settings, pool.folder, pool=pool).run()
    yield from _operators(pool.folder.rows["cells"], planned.written(spec))


def _operators(cells: Sequence[CellRow], backend: str) -> Iterator[Finding]:
    """Yield a finding for each operator, from the cells of all functions and dtypes."""
    for operator in (o for o in Operator if o in {c.operator for c in cells}):
        rows = [c for c in cells if c.operator == operator]
        bad = [c for c in rows if c.status not in (Status.OK, Status.UNSUPPORTED)]
        how = next((c.how for c in rows if c.how), "")
        name = f"{operator}{f' ({how})' if how else ''}"
        refused = [c for c in rows if c.status == Status.UNSUPPORTED]
        if bad:
            words = f"{len(bad)} of {len(rows)} cells ({_cells(bad)}): {bad[0].status}: {_first(bad[0].message)}"
            remedy = _REMEDIES.get(Status(bad[0].status), "")
            if named := _OPERANDS.search(bad[0].message):
                remedy = f"give {named[2]} the method of {named[1]} and its reflection, and {_OVER_NUMPY}"
            path, quoted = shlex.quote(_FUNCTIONS), shlex.quote(backend)
            check = _CHECK.format(path=path, backend=quoted, operator=operator, dtypes=_dtypes(bad))
            yield Finding(name, False, words, remedy.format(check=check))
        elif len(refused) == len(rows):
            yield Finding(name, None, f"unsupported: {refused[0].message}")
        elif refused:
            yield Finding(name, True, f"right where offered; unsupported: {_refusals(refused)}")
        else:
            yield Finding(name, True, f"{len({c.problem for c in rows})} functions, {' and '.join(DTYPES)}")


def _refusals(refused: Sequence[CellRow]) -> str:
    """Return each reason with its cells: a dtype may be refused for all functions, and some in the others."""
    reasons = dict.fromkeys(_first(row.message) for row in refused)
    return "; ".join(f"{_cells([r for r in refused if _first(r.message) == reason])}: {reason}" for reason in reasons)


def _cells(rows: Sequence[CellRow]) -> str:
    """Return at most three functions and all dtypes of the cells, as ``valley, layer; float32``."""
    functions = list(dict.fromkeys(row.problem for row in rows))
    shown = ", ".join(functions[:3]) + (", ..." if len(functions) > 3 else "")
    return f"{shown}; {' and '.join(dict.fromkeys(row.dtype for row in rows))}"


def _dtypes(rows: Sequence[CellRow]) -> str:
    """Return the options that compute the dtypes of the cells; empty for float64, which ``check`` takes by itself."""
    found = list(dict.fromkeys(row.dtype for row in rows))
    return "" if found == ["float64"] else "".join(f" --dtype {dtype}" for dtype in found)


def _first(message: str) -> str:
    """Return the first part of a message: it names several wrong arrays one after another."""
    return message.split("; ")[0]


def lines(finding: Finding) -> Iterator[str]:
    """Yield the lines of a finding, at most 80 columns wide."""
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
    """Return the counts of kept, broken and not offered clauses, in words."""
    kept = [f.kept for f in findings]
    parts = [f"{kept.count(True)} of {len(kept)} clauses are kept"]
    if kept.count(False):
        parts.append(f"{kept.count(False)} broken")
    if kept.count(None):
        parts.append(f"{kept.count(None)} not offered")
    return ", ".join(parts) + "."
