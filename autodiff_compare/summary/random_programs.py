"""Random programs in the terminal: outcomes by backend, and each finding with where its program lies."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table

from autodiff_compare.results.formatting import plural
from autodiff_compare.results.rows import FindingRow, FuzzRow
from autodiff_compare.results.tables import rows_from
from autodiff_compare.summary.terminal import plain_table
from autodiff_compare.vocabulary import join_spec, split_spec

#: Columns of `FuzzRow` that count outcomes; those without any are left out of a table.
CLASSES = ("agree", "convention", "precision", "defect", "unsupported", "error", "hang", "undecided")
_WIDTH = 80
#: Headers in two lines.
_BROKEN = MappingProxyType(
    {
        "operations": "opera-\ntions",
        "convention": "con-\nvention",
        "precision": "preci-\nsion",
        "unsupported": "unsup-\nported",
        "undecided": "unde-\ncided",
    }
)


def show(tables: Mapping[str, Any], folder: pathlib.Path, out: Console) -> None:
    """Print the outcomes by backend and the findings of a run, read from its tables."""
    out.print(_outcomes(rows_from(tables["fuzz"], FuzzRow)))
    out.print()
    for line in findings(rows_from(tables["findings"], FindingRow), folder, _files(tables["runs"]["command"])):
        out.print(line, markup=False, soft_wrap=True)


def _outcomes(rows: Sequence[FuzzRow]) -> Table:
    """Return the number of outcomes by backend and class.

    The tables count by operation: the outcome of a program counts once for each of its operations.
    """
    table = plain_table("Outcomes by backend; each counts once for every operation of its program")
    counts = counted(rows)
    classes = [name for name in CLASSES if name == "agree" or any(each[name] for each in counts.values())]
    add_columns(table, list(counts), ("operations", *classes))
    for spec, each in counts.items():
        table.add_row(spec, str(each["operations"]), *(str(each[name]) for name in classes))
    return table


def add_columns(table: Table, specs: Sequence[str], names: Sequence[str]) -> None:
    """Add a column of backends, whose names stay whole, and columns of counts; long headers break to fit 80 columns."""
    widest = max(map(len, ("backend", *specs)))
    broken = widest + sum(1 + len(name) for name in names) > _WIDTH
    table.add_column("backend", no_wrap=True, min_width=widest)
    for name in names:
        table.add_column(_BROKEN.get(name, name) if broken else name, justify="right", vertical="bottom")


def counted(rows: Sequence[FuzzRow]) -> Mapping[str, Counter[str]]:
    """Return backend -> class -> number of outcomes, with the number of distinct ``operations``."""
    found: dict[str, Counter[str]] = {}
    operations: dict[str, set[str]] = {}
    for row in rows:
        spec = join_spec(row.backend, row.variant)
        numbers = asdict(row)
        found.setdefault(spec, Counter()).update({name: numbers[name] for name in CLASSES})
        operations.setdefault(spec, set()).add(row.operation)
    return {spec: each + Counter(operations=len(operations[spec])) for spec, each in found.items()}


def _files(commands: Iterable[str]) -> Mapping[str, str]:
    """Return name -> path of the backend files that commands name."""
    words = [word for command in commands for word in command.split()]
    return {pathlib.Path(path).stem: path for path in (split_spec(word)[0] for word in words) if path.endswith(".py")}


def findings(
    found: Sequence[FindingRow], folder: pathlib.Path, written: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """Yield the lines of each new finding: what is wrong, both numbers, where it lies, and the next command.

    Parameters
    ----------
    written
        Backend, with its variant or without -> how the command line takes it, if not by its name.
    """
    for row in found:
        if row.number:
            place = folder / "findings" / f"{row.number:03d}"
            yield f"{row.classed}: {row.spec} {row.operator} of {row.operations} ({row.dtype})"
            yield f"  {row.message}"
            yield f"  shown by {plural(row.programs, 'program')}; {place}"
            backend = written.get(row.spec) or _by_file(row.spec, written)
            yield f"  next: compare.py check {place / 'program.py'} -b {backend} -o {row.operator}{_dtype(row)}"


def _by_file(spec: str, files: Mapping[str, str]) -> str:
    name, variant = split_spec(spec)
    return join_spec(files.get(name, name), variant)


def _dtype(row: FindingRow) -> str:
    return "" if row.dtype == "float64" else f" --dtype {row.dtype}"


def sentence(tables: Mapping[str, Any]) -> str:
    """Return the result of random programs in one sentence, without its full stop."""
    rows, found = rows_from(tables["fuzz"], FuzzRow), rows_from(tables["findings"], FindingRow)
    operations, specs = {row.operation for row in rows}, {join_spec(row.backend, row.variant) for row in rows}
    return (
        f"random programs with {plural(len(operations), 'operation')} on {plural(len(specs), 'backend')}: {told(found)}"
    )


def told(found: Sequence[FindingRow]) -> str:
    """Return the number of new findings, and of programs that show known defects, in words."""
    new, known = sum(row.number > 0 for row in found), sum(row.programs for row in found if not row.number)
    return f"{plural(new, 'new finding')}; known defects in {plural(known, 'program')}"
