"""The verb ``explain``: name the operation at which two backends, variants or orders of modes part."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import usage, users_prints_aside
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.options import environment_of
from autodiff_compare.execution.display import Display
from autodiff_compare.explaining import session, wording
from autodiff_compare.explaining.records import Explanation
from autodiff_compare.plan.plan import Plan, PlanError
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Settings
from autodiff_compare.problems import ProblemError
from autodiff_compare.results.formatting import printable


def explain(options: argparse.Namespace) -> int:
    """Print where two backends part; return 0 if they agree, 1 if they part, 3 if no answer is possible."""
    query = Query(
        [options.problem],
        [options.a, options.b],
        [options.operator] if options.operator else [],
        [options.dtype],
        [options.size] if options.size else [],
        options.seed,
    )
    settings = Settings(
        rounds=0, threads=options.threads, timeout_s=options.timeout, environment=environment_of(options)
    )
    try:
        with users_prints_aside():
            plan = session.planned(query)
            with Display(failures=False) as display, display.ticking():
                display.begin(2, 1)
                found = session.explained(plan, settings, display)
    except (PlanError, ProblemError) as error:
        return usage(str(error))
    except session.ExplainError as error:
        print(f"autodiff-compare: {printable(str(error))}", file=sys.stderr)
        return exits.FAILED
    except KeyboardInterrupt:
        complain("interrupted")
        return exits.INTERRUPTED
    if output.wanted(options):
        output.write("explanation", [record(plan, found)], options)
    else:
        print(printable("\n".join(wording.lines(found, wording.subject_of(plan.cells[0])))))
    return exits.OK if found.result is None else exits.WRONG


def record(plan: Plan, found: Explanation) -> dict[str, object]:
    """Return an explanation as one flat record for other programs."""
    cell, parted, nan = plan.cells[0], found.parted, float("nan")
    place = parted.place if parted else None
    entry = parted.entry if parted else None
    trial = parted.trial if parted else None
    head = {"problem": cell.problem, "size": cell.size, "dtype": cell.dtype, "operator": str(cell.operator)}
    return {
        **head,
        "a": found.a,
        "b": found.b,
        "agree": found.result is None,
        **{f"result_{name}": value for name, value in (asdict(found.result) if found.result else {}).items()},
        "stage": parted.stage if parted else "",
        "operation": parted.operation if parted else "",
        "label": parted.label if parted else "",
        "file": place.file if place else "",
        "line": place.line if place else 0,
        "source": (place.part or place.text) if place else "",
        "operand": entry.name if entry else "",
        "index": entry.index if entry else "",
        "number_a": entry.a if entry else nan,
        "number_b": entry.b if entry else nan,
        "tolerance": entry.tolerance if entry else nan,
        "reference": trial.reference if trial else nan,
        "alone_a": trial.a.word if trial else "",
        "alone_b": trial.b.word if trial else "",
        "conventions": " ".join(parted.conventions) if parted else "",
    }
