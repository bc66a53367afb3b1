"""Known defects: a committed list of faults with the versions that have them. They are counted, and not reported again.

``known_defects.json`` holds a list of entries, each the ``finding.json`` of a finding, with the versions of the
distributions that showed it.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodiff_compare.fuzzing.executors import Executor, UnavailableError
from autodiff_compare.fuzzing.findings import Failure, Finding, Key
from autodiff_compare.fuzzing.oracle import Class, Judgement, Oracle
from autodiff_compare.fuzzing.program import Program
from autodiff_compare.vocabulary import Operator

_FILE = "known_defects.json"


@dataclass(frozen=True)
class Known:
    """A known defect.

    Parameters
    ----------
    key
        What makes a failure this defect.
    failure
        The smallest program that shows it, with the judgement when it was found.
    versions
        Distribution -> the version that was found to have it.
    note
        What is known of it elsewhere, such as the number of an issue.
    """

    key: Key
    failure: Failure
    versions: Mapping[str, str]
    note: str = ""

    @property
    def finding(self) -> Finding:
        """Return the defect as a finding."""
        return Finding(self.failure)


def known_defects() -> tuple[Known, ...]:
    """Return the committed list."""
    text = importlib.resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    return tuple(_known(entry) for entry in json.loads(text))


def entry(finding: Finding, versions: Mapping[str, str], note: str = "") -> dict[str, Any]:
    """Return a finding as an entry of the list."""
    failure = finding.failure
    return {
        "spec": failure.spec,
        "operator": str(failure.operator),
        "dtype": failure.dtype,
        "class": str(failure.judgement.classed),
        "kind": failure.judgement.kind,
        "words": failure.judgement.words,
        "program": failure.program.as_data(),
        "versions": dict(versions),
        "note": note,
    }


def finding_of(entry: Mapping[str, Any]) -> Finding:
    """Return the finding of an entry."""
    return _known(entry).finding


def _known(entry: Mapping[str, Any]) -> Known:
    judgement = Judgement(Class(entry["class"]), entry["kind"], entry["words"])
    program = Program.from_data(entry["program"])
    failure = Failure(-1, program, entry["spec"], Operator(entry["operator"]), entry["dtype"], judgement)
    return Known(Key.of(failure), failure, entry["versions"], entry["note"])


def again(known: Sequence[Known], executor: Callable[[str], Executor]) -> Iterator[tuple[Known, Judgement | None]]:
    """Yield each known defect with its judgement today; `None` if its backend cannot be run."""
    for defect in known:
        failure = defect.failure
        try:
            tasks = [(failure.program.source(), (str(failure.operator),))]
            ((outcome,),) = executor(failure.spec)(tasks, failure.dtype)
        except UnavailableError:
            yield defect, None
            continue
        yield defect, Oracle(failure.program, failure.dtype).judgement(failure.operator, outcome)
