"""What a campaign leaves behind: rows of ``fuzz.csv`` and ``findings.csv``, and a folder for each new finding.

``findings/NNN/`` holds ``program.py``, a problem file that ``compare.py check`` runs, ``script.py``, the same in the
framework's own words, and ``finding.json``, an entry for the list of known defects.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from autodiff_compare.fuzzing.findings import Finding
from autodiff_compare.fuzzing.known import entry
from autodiff_compare.fuzzing.oracle import Class, Oracle
from autodiff_compare.fuzzing.scripts import is_spoken, script
from autodiff_compare.fuzzing.searched import Searched
from autodiff_compare.results.rows import FindingRow, FuzzRow
from autodiff_compare.vocabulary import split_spec

#: Seconds that a script may take, most of them to import its framework.
_PATIENCE_S = 180.0


def fuzz_rows(searched: Searched, run_id: str) -> Iterator[FuzzRow]:
    """Yield the rows of ``fuzz.csv``."""
    for place, family, counted in searched.coverage.rows():
        backend, variant = split_spec(place.spec)
        numbers: dict[str, Any] = {str(classed): counted[classed] for classed in Class}
        yield FuzzRow(run_id, family, place.operation, place.operator, backend, variant, place.dtype, **numbers)


def script_of(finding: Finding) -> str:
    """Return the script of a finding; empty if there is none."""
    failure = finding.failure
    if not is_spoken(finding.key.backend):
        return ""
    oracle = Oracle(failure.program, failure.dtype)
    directions = oracle.point.case(failure.operator).directions
    return script(
        failure.program,
        failure.spec,
        failure.operator,
        failure.dtype,
        directions,
        oracle.reference(failure.operator),
        title_of(finding),
        failure.judgement.classed == Class.PRECISION,
    )


def title_of(finding: Finding) -> str:
    """Return a finding in one line: the backend, what is wrong, and the operations of its program."""
    failure, key = finding.failure, finding.key
    what = ", ".join(sorted(key.operations))
    return f"{failure.spec} {failure.operator} of {what} ({failure.dtype}): {key.classed}, {key.kind}"


def reproduces(text: str, folder: pathlib.Path) -> str:
    """Return whether a script shows its finding: ``yes`` or ``no``; empty if there is no script."""
    if not text:
        return ""
    path = folder / "script.py"
    try:
        done = subprocess.run(
            [sys.executable, str(path.resolve())],
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        return "yes" if "hang" in text.splitlines()[0] else "no"
    return "yes" if done.returncode else "no"


def write_finding(
    finding: Finding, number: int, folder: pathlib.Path, run_id: str, versions: Mapping[str, str]
) -> FindingRow:
    """Write the folder of a new finding and return its row; known ones have number 0 and no folder."""
    source, text, shown = finding.failure.program.source(title_of(finding)), "", ""
    if number:
        place = folder / "findings" / f"{number:03d}"
        place.mkdir(parents=True)
        (place / "program.py").write_text(source, encoding="utf-8")
        (place / "finding.json").write_text(json.dumps(entry(finding, versions)) + "\n", encoding="utf-8")
        text = script_of(finding)
        if text:
            (place / "script.py").write_text(text, encoding="utf-8")
            shown = reproduces(text, place)
    failure, key = finding.failure, finding.key
    return FindingRow(
        run_id=run_id,
        number=number,
        backend=key.backend,
        classed=str(key.classed),
        kind=key.kind,
        operations=" ".join(sorted(key.operations)),
        spec=failure.spec,
        operator=str(failure.operator),
        dtype=failure.dtype,
        reproduced=shown,
        message=failure.judgement.words,
        program=source,
        **counts(finding),
    )


def counts(finding: Finding) -> dict[str, Any]:
    """Return the fields of a finding's row that count programs."""
    seen = {" ".join(where): count for where, count in sorted(finding.seen.items())}
    return {"programs": len(finding.numbers), "seen": json.dumps(seen)}
