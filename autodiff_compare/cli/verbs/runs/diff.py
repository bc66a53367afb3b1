"""The verb ``diff``: compare two runs cell by cell; list what got slower, faster, wrong or right, or is missing.

Within a run, "slower" follows the paired rule of ``autodiff_compare/timing/statistics.py``: both backends are timed in
the same rounds, so that the drift of the machine cancels. Two runs have no common rounds, and nothing cancels.
So the rule uses the 99 % order-statistic interval of each run's median over rounds. An interval misses its median in
1 % of the cases, half of that on either side. If both hold their medians and lie apart by a factor, so do the medians.
A cell got slower where::

    lower end of B > (1 + threshold) * upper end of A

A claimed change is wrong in at most 1 % of the cells, *as far as the rounds of one launch show it*. They do not show
that a restarted process has another layout in memory, on a machine in another state. The threshold allows for that:
it is 10 % by default, and at least 2 %, since a smaller difference never counts as one. With fewer than eight rounds
there is no such interval and no claim.

No threshold makes up for other work on the machine. Of 390 comparisons of a cell with itself in five runs, on two
processors with a load of three, the rule claimed a change in 13 (in 32 with a threshold of 2 %, still in 6 with 25 %).
In each of the 13, one of the runs had flagged the cell as contended; of the 37 without that flag it claimed none.
So a claim about a contended cell is listed separately as unsure and is no regression: repeat the runs on a quieter
machine. (In that measurement the flag meant the share of all visits together. It now means more than a quarter of the
rounds, which is safer: the intervals lie apart only if more than half of the rounds do.) A claim about a cell with
another flag that tells of more than noise (`autodiff_compare.results.timings.NOT_ITS_OWN`) is unsure too.

Times are compared only between equal machines: the same processor, memory and system
(`autodiff_compare.results.provenance.HARDWARE`). Results are right or wrong on any machine, and are compared always.
Other versions of packages, or of Python, on one machine are a difference of the runs, which ``--force`` allows.

A cell of A that B lacks is missing: B was interrupted, or the problem, operator or variant no longer exists. This is a
regression if the cell was ok, unless B's command does not ask for it (`autodiff_compare.cli.scope`).
"""

from __future__ import annotations

import argparse
import math
import pathlib
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rich.console import Console

from autodiff_compare.cli import exits, output
from autodiff_compare.cli.console import console, usage, users_prints_aside
from autodiff_compare.cli.formats import markdown
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.regressions import Files, Regression, explained
from autodiff_compare.cli.scope import Axes, Scope
from autodiff_compare.plan.plan import PlanError
from autodiff_compare.plan.settings import Settings
from autodiff_compare.results import formatting, tables
from autodiff_compare.results.formatting import printable
from autodiff_compare.results.places import locate
from autodiff_compare.results.provenance import HARDWARE, SOFTWARE, differences
from autodiff_compare.results.rows import TABLES, CellRow, DescentRow, MachineRow, Run
from autodiff_compare.results.tables import TableError
from autodiff_compare.results.timings import more_than_noise, series_of, steady_of
from autodiff_compare.summary import terminal
from autodiff_compare.timing.statistics import CONTENDED, ENOUGH_ROUNDS, Round, order_statistic_interval, steadiest
from autodiff_compare.vocabulary import Status, join_spec

#: Smallest relative change between two runs that counts as one.
THRESHOLD = 0.1
_CONFIDENCE = 0.99
#: Status of a cell whose result was refuted; other cells that are no longer ok have no result to explain.
_REFUTED = Status.WRONG

SLOWER, FASTER, WRONG, RIGHT, OTHER = "slower", "faster", "no longer ok", "ok again", "fails differently"
UNSURE = "slower or faster, not proved"
APPEARED, MISSING, DISAPPEARED = "appeared", "missing", "disappeared"
#: The kinds in the order of the tables.
KINDS = (WRONG, MISSING, SLOWER, UNSURE, OTHER, DISAPPEARED, APPEARED, RIGHT, FASTER)
REGRESSIONS = frozenset({WRONG, MISSING, SLOWER})
#: Rows of one kind that are shown; further ones are counted.
_SHOWN = 40
#: Columns that a cell's name gets before it is broken.
_NAME = 52
#: Letters of a command that a message quotes.
_COMMAND = 60


@dataclass(frozen=True)
class End:
    """The end of a cell or a descent, and its values on the axes of the run; ``dtype`` is empty for a descent."""

    status: str
    message: str
    dtype: str = ""
    flags: str = ""
    axes: Axes = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """The part of a run that is compared.

    Parameters
    ----------
    run
        Its row of ``runs.csv``.
    cells
        Name of a cell, or of a descent and its start -> its end.
    rounds
        Cell -> its steady rounds.
    machines
        Name of a cell or descent -> the machine that computed it.
    """

    run: Run
    cells: Mapping[str, End]
    rounds: Mapping[str, Sequence[Round]]
    machines: Mapping[str, MachineRow]


@dataclass(frozen=True)
class Change:
    """A change of one cell; ``ratio`` is the time in B over the time in A, nan if the change is not one of time."""

    kind: str
    cell_id: str
    words: str
    ratio: float = math.nan


def recorded(folder: pathlib.Path) -> Recorded:
    """Read a run's tables.

    Raises
    ------
    TableError
        If a table is missing, damaged or of another schema, or two tables contradict each other.
    """
    names = ("runs", "machines", "cells", "samples", "descents")
    frames = tables.read_all(folder, names)
    runs, machines, cells, samples, descents = (tables.rows_from(frames[name], TABLES[name]) for name in names)
    if len(runs) != 1:
        raise TableError(f"got {len(runs)} rows in the table runs of {folder}, expected 1")
    ends = {row.cell_id: End(row.status, row.message, row.dtype, row.flags, _axes(row)) for row in cells}
    ends |= {_descent(row): End(_end(row), row.message, axes=_descent_axes(row)) for row in descents}
    known = {row.key: row for row in machines}
    made = {row.cell_id: row.machine for row in cells} | {_descent(row): row.machine for row in descents}
    lost = {key for key in made.values() if key not in known}
    if lost:
        raise TableError(f"got cells of machine {min(lost)!r} in {folder}, which its table machines lacks")
    steady = steady_of(cells, series_of(samples))
    return Recorded(runs[0], ends, steady, {name: known[key] for name, key in made.items()})


def _descent(row: DescentRow) -> str:
    return f"{row.cell_id} start {row.start}"


def _axes(row: CellRow) -> Axes:
    backend = join_spec(row.backend, row.variant)
    values = {name: getattr(row, name) for name in ("problem", "size", "dtype", "operator")}
    return values | {"backend": backend}


def _descent_axes(row: DescentRow) -> Axes:
    names = ("problem", "descent", "dtype", "operator", "backend")
    return dict(zip(names, row.cell_id.rsplit("/", len(names) - 1), strict=False)) | {"start": row.start}


def _end(row: DescentRow) -> str:
    """Return the status of a descent; it is ok only if it met its stop rule."""
    return "not converged" if row.status == Status.OK and not row.converged else row.status


def reasons(a: Recorded, b: Recorded) -> list[str]:
    """Return the reasons why two runs cannot be compared; empty if they can."""
    apart = differences(a.run, b.run, ("threads", "device", "seed"))
    # Where the machines differ only results are compared, which need no equal versions.
    for machines in dict.fromkeys(_machines(a, b).values()):
        if not differences(*machines, HARDWARE):
            apart += differences(*machines, SOFTWARE)
    dtypes = [{cell.dtype for cell in side.cells.values() if cell.dtype} for side in (a, b)]
    if dtypes[0] != dtypes[1]:
        apart.append(f"dtype {_listed(dtypes[0])} and {_listed(dtypes[1])}")
    if not set(a.cells) & set(b.cells):
        apart.append("no cell in common")
    return list(dict.fromkeys(apart))


def _machines(a: Recorded, b: Recorded) -> dict[str, tuple[MachineRow, MachineRow]]:
    """Return name -> the machines on which A and B computed it, for the cells and descents of both."""
    return {name: (a.machines[name], b.machines[name]) for name in b.cells if name in a.cells}


def elsewhere(a: Recorded, b: Recorded) -> dict[str, str]:
    """Return name -> how the machines differ, for the cells and descents that A and B computed on different ones."""
    pairs = _machines(a, b)
    apart = {pair: "; ".join(differences(*pair, HARDWARE)) for pair in set(pairs.values())}
    return {name: apart[pair] for name, pair in pairs.items() if apart[pair]}


def changes(a: Recorded, b: Recorded, threshold: float = THRESHOLD) -> list[Change]:
    """Return every changed cell, worst kind first, and within a kind the largest ratio first."""
    moved = elsewhere(a, b)
    found = [_change(cell_id, a, b, threshold, timed=cell_id not in moved) for cell_id in b.cells]
    gone = [cell_id for cell_id in a.cells if cell_id not in b.cells]
    if gone:
        # Two runs of equal cells need no scopes, which take longer than everything else.
        before, after = (Scope(run.run.command, (end.axes for end in run.cells.values())) for run in (a, b))
        found += [_gone(cell_id, a.cells[cell_id], before, after) for cell_id in gone]
    there = [change for change in found if change is not None]
    return sorted(there, key=lambda c: (KINDS.index(c.kind), -abs(math.log(c.ratio)) if c.ratio > 0 else 0.0))


def _gone(cell_id: str, end: End, before: Scope, after: Scope) -> Change:
    """Return the change of a cell that only A has: missing only if it was ok in A and B's command asks for it."""
    if not after.lost(end.axes, before):
        return Change(DISAPPEARED, cell_id, f"{end.status} in A, not asked for by B's command")
    kind = MISSING if end.status == Status.OK else DISAPPEARED
    return Change(kind, cell_id, f"{end.status} in A, missing in B, although B's command asks for it")


def _change(cell_id: str, a: Recorded, b: Recorded, threshold: float, *, timed: bool) -> Change | None:
    before, after = a.cells.get(cell_id), b.cells[cell_id]
    if before is None:
        return Change(APPEARED, cell_id, "only in B")
    if before.status != after.status:
        kind = {Status.OK.value: WRONG}.get(before.status, RIGHT if after.status == Status.OK else OTHER)
        words = f"{before.status} -> {after.status}"
        return Change(kind, cell_id, f"{words}: {after.message}" if after.message else words)
    if before.status != Status.OK or not timed:
        return None
    change = _timed(cell_id, a.rounds.get(cell_id, ()), b.rounds.get(cell_id, ()), threshold)
    quiet = min(_quiet(run.rounds.get(cell_id, ())) for run in (a, b))
    flags = dict.fromkeys(more_than_noise(f"{before.flags} {after.flags}"))
    if change is None or not (flags or quiet < ENOUGH_ROUNDS):
        return change
    return replace(change, kind=UNSURE, words=f"{change.words}; {', '.join(flags or [CONTENDED])}")


def _timed(cell_id: str, a: Sequence[Round], b: Sequence[Round], threshold: float) -> Change | None:
    before, after = steadiest(a), steadiest(b)
    if min(len(before), len(after)) < ENOUGH_ROUNDS:
        return None
    (low_a, high_a), (low_b, high_b) = (order_statistic_interval(rounds, _CONFIDENCE) for rounds in (before, after))
    middle_a, middle_b = statistics.median(before), statistics.median(after)
    kind = SLOWER if low_b > (1 + threshold) * high_a else FASTER if low_a > (1 + threshold) * high_b else None
    if kind is None:
        return None
    ratio = middle_b / middle_a
    words = f"{formatting.seconds(middle_a)} -> {formatting.seconds(middle_b)}, {ratio:.3g}x [{low_b / high_a:.3g}, "
    return Change(kind, cell_id, f"{words}{high_b / low_a:.3g}]", ratio)


def diff(options: argparse.Namespace) -> int:
    """Print the changes; return exit code 1 on a regression, 2 if the runs cannot be read or compared."""
    asked = (options.run_a, options.run_b)
    try:
        folders = [locate(run, options.out) for run in asked]
        a, b = map(recorded, folders)
        against = "; ".join(reasons(a, b))
    except TableError as error:
        return usage(str(error))
    for name, run in zip(asked, (a, b), strict=True):
        if not run.cells and not options.force:
            return usage(
                f"got run {name!r} ({_short(run.run.command)}), which has no cells, expected a run of the verbs run, "
                "check, recommend or descend (compare.py runs lists them)"
            )
    if against and not options.force:
        return usage(f"cannot compare runs that differ: {against} (--force compares them nevertheless)")
    if options.explain and output.wanted(options):
        return usage("got --explain with --json, --csv or --markdown, expected one of them: explanations are text")
    if against:
        print(f"autodiff-compare: the runs differ, so a change means little: {against}", file=sys.stderr)
    moved = elsewhere(a, b)
    if moved:
        complain(printable(_of_two_machines(moved)))
    found = changes(a, b, options.threshold / 100)
    regressions = REGRESSIONS - ({MISSING} if options.allow_missing else set())
    if options.json or options.csv:
        rows = [{**asdict(change), "regression": change.kind in regressions} for change in found]
        output.write("changes", rows, options, folders)
    else:
        out = markdown.console() if options.markdown else console()
        show(found, out)
        out.print(sentence(a, b, found))
    if options.explain:
        try:
            _explain(options, b, found)
        except PlanError as error:
            return usage(str(error))
    return exits.WRONG if any(change.kind in regressions for change in found) else exits.OK


def _of_two_machines(moved: Mapping[str, str]) -> str:
    """Return that the times of some cells are not compared, and why."""
    how = " or ".join(dict.fromkeys(moved.values()))
    return (
        f"{formatting.plural(len(moved), 'cell')} were computed on two machines ({how}): right and wrong results are "
        "compared, times are not"
    )


def _explain(options: argparse.Namespace, b: Recorded, found: Sequence[Change]) -> None:
    """Print where each cell that became wrong parts from a backend that is right."""
    wrong = [change.cell_id for change in found if change.kind == WRONG and b.cells[change.cell_id].status == _REFUTED]
    regressions = [Regression(cell_id, b.cells[cell_id].axes, _right(b, cell_id)) for cell_id in wrong]
    if not regressions:
        print("No cell became wrong: there is nothing to explain.")
    settings = Settings(rounds=0, threads=b.run.threads)
    with users_prints_aside():
        files = Files(options.explain_file)
    for line in explained(regressions, files, settings, b.run.seed):
        print(printable(line))


def _right(run: Recorded, cell_id: str) -> list[str]:
    """Return the backends that are right in the group of a cell."""
    axes = dict(run.cells[cell_id].axes)
    group = {name: value for name, value in axes.items() if name != "backend"}
    return [
        str(end.axes["backend"])
        for end in run.cells.values()
        if end.status == Status.OK and end.dtype and {k: v for k, v in end.axes.items() if k != "backend"} == group
    ]


def show(found: Sequence[Change], out: Console) -> None:
    """Print one table for each kind of change."""
    for kind in KINDS:
        rows = [change for change in found if change.kind == kind]
        if not rows:
            continue
        # Words that all rows share stand in the title once, so that a cell's name has the whole width.
        shared = len(rows) > 1 and len({change.words for change in rows}) == 1
        title = f"{kind}: {len(rows)}" + (f" (each {rows[0].words})" if shared else "")
        table = terminal.plain_table(title, header=False)
        if shared:
            table.add_column(overflow="fold", ratio=1)
        else:
            longest = max(len(change.cell_id) for change in rows[:_SHOWN])
            words = max(len(change.words) for change in rows[:_SHOWN])
            name = min(longest, max(_NAME, out.width - words - 1))
            table.add_column(overflow="fold", width=name)
            table.add_column(overflow="fold", max_width=out.width - name - 1)
        for change in rows[:_SHOWN]:
            table.add_row(change.cell_id, *([] if shared else [change.words]))
        if len(rows) > _SHOWN:
            table.add_row(f"... and {len(rows) - _SHOWN} more")
        out.print(table)
        out.print()


def sentence(a: Recorded, b: Recorded, found: Sequence[Change]) -> str:
    """Return the counts in words, and the median ratio of all cells: it tells a changed machine from a changed cell."""
    common, moved = [c for c in b.cells if c in a.cells], elsewhere(a, b)
    rounds = {c: (a.rounds.get(c, ()), b.rounds.get(c, ())) for c in common if c not in moved}
    timed = [c for c, sides in rounds.items() if min(map(len, sides)) >= ENOUGH_ROUNDS]
    counts = [(kind, sum(change.kind == kind for change in found)) for kind in KINDS]
    both = formatting.plural(len(common), "cell")
    parts = [f"{both} in both runs, {len(timed)} timed in {ENOUGH_ROUNDS} rounds or more in each"]
    parts += [f"{kind} {count}" for kind, count in counts if count]
    # Cells of one run alone do not tell whether the others changed.
    if common and not any(count for kind, count in counts if kind not in (APPEARED, MISSING, DISAPPEARED)):
        parts.append("no change is proved")
    busy = sum(min(map(_quiet, (a.rounds[c], b.rounds[c]))) < ENOUGH_ROUNDS for c in timed)
    if busy:
        parts.append(f"{busy} of them cannot be compared: too few rounds without other programs on the CPU")
    parts += _medians(a, b, timed)
    if moved:
        parts.append(f"{len(moved)} on two machines, whose times are not compared")
    return "; ".join(parts) + "."


def _medians(a: Recorded, b: Recorded, timed: Sequence[str]) -> Iterator[str]:
    """Yield the median ratio of the cells that are timed in both runs, for each machine by itself."""
    per: dict[str, list[float]] = defaultdict(list)
    for c in timed:
        ratio = statistics.median(steadiest(b.rounds[c])) / statistics.median(steadiest(a.rounds[c]))
        per[a.machines[c].key].append(ratio)
    for key, ratios in per.items():
        where = f" on machine {key}" if len(per) > 1 else ""
        yield f"median ratio of all B/A {statistics.median(ratios):.3g}{where}"


def _quiet(rounds: Sequence[Round]) -> int:
    return sum(r.quiet for r in rounds)


def _short(command: str) -> str:
    """Return the beginning of a command, as much as identifies it."""
    return command if len(command) <= _COMMAND else f"{command[: _COMMAND - 3]}..."


def _listed(names: Any) -> str:
    return ",".join(sorted(map(str, names))) or "none"
