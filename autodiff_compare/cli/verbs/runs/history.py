"""The verb ``history``: the time of each cell over many runs, and the runs at which it changed.

Runs stand in one history only with the threads, device and seed of the latest one, and a cell's times only on the
hardware that computed it last. Rounds count, and are left out as contended, by the rules of ``diff``; the change points
are those of `autodiff_compare.timing.levels`.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import math
import pathlib
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TextIO

from autodiff_compare.cli import output
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.exits import OK
from autodiff_compare.cli.verbs.runs.diff import Recorded, recorded
from autodiff_compare.execution.display import Display
from autodiff_compare.results import formatting, places
from autodiff_compare.results.provenance import HARDWARE, SOFTWARE, differences
from autodiff_compare.results.rows import Run
from autodiff_compare.results.tables import TableError
from autodiff_compare.results.timings import more_than_noise
from autodiff_compare.summary import terminal
from autodiff_compare.timing.levels import Measured, levels
from autodiff_compare.timing.statistics import ENOUGH_ROUNDS, order_statistic_interval, steadiest
from autodiff_compare.vocabulary import Status

#: Columns of a run that must be equal for its times to stand in one series with others.
_SETTINGS = ("device", "threads", "seed")
#: Columns of a run whose change may explain a change of time, besides those of its machine's software.
_CAUSES = ("git_commit", "code")
_CONFIDENCE = 0.99
#: Heights of a sparkline; what stands for a run in which the cell was not right, and for one that does not count.
_BARS, _DIGITS, _BROKEN, _UNCOUNTED = "▁▂▃▄▅▆▇█", "12345678", "x", "."
#: Cells in each table.
_SHOWN = 40


@dataclass(frozen=True)
class Past:
    """A run in the history: its name, its row of ``runs.csv``, the cells that it has, and its folder."""

    name: str
    run: Run
    found: Recorded
    folder: pathlib.Path | None = None


@dataclass(frozen=True)
class Change:
    """A change of a cell's time: the first run of the new level, the ratio to the level before, what else changed."""

    run: str
    ratio: float
    cause: str


@dataclass(frozen=True)
class Series:
    """The times of one cell over the runs that have it.

    Parameters
    ----------
    cell_id
        The cell.
    runs
        Names of the runs in which it was right and timed, in their order in time.
    times
        Its time in each.
    starts
        Index of the first run of each level, as `autodiff_compare.timing.levels.levels` returns them.
    changes
        One for each start but the first.
    ends
        Name of each run of the history, and the status of the cell there; empty if the run lacks it.
    """

    cell_id: str
    runs: tuple[str, ...]
    times: tuple[Measured, ...]
    starts: tuple[int, ...]
    changes: tuple[Change, ...]
    ends: tuple[tuple[str, str], ...]

    def medians(self) -> list[float]:
        """Return the median time of each level."""
        bounds = [*self.starts, len(self.times)]
        return [statistics.median(m.median for m in self.times[a:b]) for a, b in itertools.pairwise(bounds)]


def history(options: argparse.Namespace) -> int:
    """Print the history of the chosen cells, and draw it if asked; return the exit code."""
    try:
        past, apart = _read(options.out, options.last)
    except TableError as error:
        return usage(str(error))
    found = series(past, options.words, options.threshold / 100)
    if not found:
        return usage(_nothing(past, options.words))
    if output.wanted(options):
        rows = [record for one in found for record in records(one)]
        output.write("history", rows, options, [one.folder for one in past if one.folder is not None])
    else:
        _show(found, past, apart)
    if options.svg is None:
        return OK
    # Programs read the records alone on standard output.
    return _drawn(found, past, options.svg, sys.stderr if output.wanted(options) else sys.stdout)


def _nothing(past: Sequence[Past], words: Sequence[str]) -> str:
    """Return why no cell has a time: none has the words in its name, none is right, or all right ones are flagged."""
    about = f" with {' '.join(words)} in its name" if words else ""
    read = formatting.plural(len(past), "timed run")
    named = [(one.found, cell) for one in past for cell in one.found.cells if all(word in cell for word in words)]
    right = [(run, cell) for run, cell in named if run.cells[cell].status == Status.OK and run.rounds.get(cell)]
    if not named:
        return f"got no cell{about} in {read}, expected a part of a name, such as gradient or numpy"
    if not right:
        return f"got no cell that is right and timed{about} in {read}, expected one: compare.py runs lists runs"
    flags = dict.fromkeys(flag for run, cell in right for flag in more_than_noise(run.cells[cell].flags))
    why = f"each is flagged ({', '.join(flags)})" if flags else f"none has {ENOUGH_ROUNDS} rounds on a quiet CPU"
    return f"got no time that is that of the cell alone{about} in {read}: {why}; repeat a run on an idle machine"


def _read(out: pathlib.Path | None, last: int) -> tuple[list[Past], int]:
    """Return the latest runs that stand beside each other, the earliest first, and the number of others.

    Raises
    ------
    TableError
        If there is no run that can be read.
    """
    found: list[Past] = []
    apart = 0
    with Display("runs") as display, display.ticking():
        folders = places.found(out)[:last]
        display.begin(len(folders), 0)
        for folder in folders:
            display.doing(f"reading {folder.name}")
            try:
                one = recorded(folder)
                comparable = not found or not differences(one.run, found[0].run, _SETTINGS)
            except TableError:
                comparable = False
            if not comparable:
                apart += 1
            elif one.rounds:
                found.append(Past(folder.name, one.run, one, folder))
            display.piece_done()
    if not found:
        raise TableError("got no run that was timed, expected some: make one with compare.py run")
    return found[::-1], apart


def series(past: Sequence[Past], words: Sequence[str], threshold: float) -> list[Series]:
    """Return the history of each cell whose name has all the words, in the order of the latest run that has it."""
    cells = dict.fromkeys(cell for one in reversed(past) for cell in one.found.cells)
    chosen = [cell for cell in cells if all(word in cell for word in words)]
    made = [_series(cell, past, threshold) for cell in chosen]
    return [one for one in made if one.times]


def _series(cell: str, past: Sequence[Past], threshold: float) -> Series:
    timed = [(one, measured) for one in past if (measured := _measured(one.found, cell)) is not None]
    if timed:
        last = timed[-1][0].found.machines[cell]
        timed = [(one, m) for one, m in timed if not differences(one.found.machines[cell], last, HARDWARE)]
    times = tuple(measured for _, measured in timed)
    starts = tuple(levels(times, threshold))
    ends = tuple((one.name, _end(one.found, cell)) for one in past)
    bare = Series(cell, tuple(one.name for one, _ in timed), times, starts, (), ends)
    middles = bare.medians()
    changes = tuple(
        Change(timed[start][0].name, middles[k] / middles[k - 1], _cause(cell, timed[start - 1][0], timed[start][0]))
        for k, start in enumerate(starts)
        if k
    )
    return replace(bare, changes=changes)


def _measured(run: Recorded, cell: str) -> Measured | None:
    """Return the time of a cell in a run; `None` if it is not right, not timed, or flagged for more than noise."""
    end, rounds = run.cells.get(cell), run.rounds.get(cell, ())
    quiet = sum(r.quiet for r in rounds)
    if end is None or end.status != Status.OK or quiet < ENOUGH_ROUNDS or more_than_noise(end.flags):
        return None
    values = steadiest(rounds)
    low, high = order_statistic_interval(values, _CONFIDENCE)
    return Measured(statistics.median(values), low, high) if low > 0 else None


def _end(run: Recorded, cell: str) -> str:
    end = run.cells.get(cell)
    return "" if end is None else end.status


def _cause(cell: str, before: Past, after: Past) -> str:
    """Return what changed from one run to the next besides the time: versions, code, Python."""
    found = differences(before.found.machines[cell], after.found.machines[cell], SOFTWARE)
    found += differences(before.run, after.run, _CAUSES)
    return "; ".join(w.partition(" ")[0] if w.startswith(("code ", "git_commit ")) else w for w in found)


def records(one: Series) -> Iterator[Mapping[str, Any]]:
    """Yield one flat record for each run of a cell: its time, its interval and its level."""
    changes = {change.run: change for change in one.changes}
    for k, (run, time) in enumerate(zip(one.runs, one.times, strict=True)):
        change = changes.get(run)
        yield {
            "cell_id": one.cell_id,
            "run": run,
            **{f"{name}_s": value for name, value in asdict(time).items()},
            "level": sum(start <= k for start in one.starts),
            "change": change.ratio if change else None,
            "cause": change.cause if change else "",
        }


def _show(found: Sequence[Series], past: Sequence[Past], apart: int) -> None:
    """Print the cells that changed, each with its changes, then those that did not."""
    out = console()
    changed, level = ([one for one in found if bool(one.changes) == which] for which in (True, False))
    if changed:
        table = terminal.plain_table(f"Cells whose time changed: {len(changed)} of {len(found)}", header=False)
        table.add_column(overflow="fold")
        table.add_column(no_wrap=True)
        for one in changed[:_SHOWN]:
            table.add_row(one.cell_id, _spark(one, out.encoding))
            middles = one.medians()
            for k, change in enumerate(one.changes, 1):
                words = f"{formatting.seconds(middles[k - 1])} -> {formatting.seconds(middles[k])}"
                cause = f"; changed with it: {change.cause}" if change.cause else ""
                table.add_row(f"  from {change.run}: {words}, {change.ratio:.3g}x{cause}", "")
        out.print(table)
        out.print()
    if level:
        table = terminal.plain_table(f"Cells without a change: {len(level)} of {len(found)}")
        for name in ("cell", "runs", "time", "history"):
            table.add_column(name, overflow="fold", no_wrap=name != "cell", justify="left")
        for one in level[:_SHOWN]:
            row = (str(len(one.times)), formatting.seconds(one.medians()[0]), _spark(one, out.encoding))
            table.add_row(one.cell_id, *row)
        if len(level) > _SHOWN:
            table.add_row(f"... and {len(level) - _SHOWN} more: history WORD chooses", "", "", "")
        out.print(table)
        out.print()
    out.print(_sentence(past, apart))


def _sentence(past: Sequence[Past], apart: int) -> str:
    others = formatting.plural(apart, "run")
    left = f" Left out: {others} with other threads, device or seed, or damaged." if apart else ""
    return (
        f"{formatting.plural(len(past), 'timed run')} from {past[0].run.started_utc[:10]} to "
        f"{past[-1].run.started_utc[:10]}.{left} A change exceeds the intervals of the runs and the threshold, as "
        "in diff. Not counted (.): runs on other hardware, and times that are flagged for more than noise."
    )


def _spark(one: Series, encoding: str) -> str:
    """Return a bar for each run of the history, higher for a longer time.

    ``x`` stands for a run in which the cell was not right, ``.`` for one that does not count, a space for one without
    the cell.
    """
    times = dict(zip(one.runs, one.times, strict=True))
    bars = _BARS if encoding.lower().startswith("utf") else _DIGITS
    logs = [math.log(m.median) for m in one.times]
    low, high = min(logs), max(logs)
    # Times that hardly differ are drawn as such: the bars span a factor of 1.5 at least.
    middle, span = (low + high) / 2, max(high - low, math.log(1.5))
    found = ""
    for run, end in one.ends:
        if run in times:
            found += bars[round(((math.log(times[run].median) - middle) / span + 0.5) * (len(bars) - 1))]
        else:
            found += " " if not end else _BROKEN if end != Status.OK else _UNCOUNTED
    return found


def _drawn(found: Sequence[Series], past: Sequence[Past], path: pathlib.Path, told: TextIO) -> int:
    """Write the figure of the cells that changed, or of the first ones if none did; return the exit code."""
    if importlib.util.find_spec("matplotlib") is None:
        return usage("not installed: matplotlib, needed for --svg: pip install 'autodiff-compare[report]'")
    from autodiff_compare.report.history import Panel, draw

    names = [one.name for one in past]
    chosen = [one for one in found if one.changes] or list(found)
    panels = [
        Panel(
            one.cell_id,
            [names.index(run) for run in one.runs],
            [(m.median, m.low, m.high) for m in one.times],
            list(one.starts),
            one.medians(),
        )
        for one in chosen
    ]
    try:
        left = draw(panels, [f"{p.run.started_utc[:10]} {p.name}" for p in past], path)
    except OSError as error:
        return usage(f"cannot write {path}: {error.strerror or error}")
    more = f" ({left} more cells are not drawn: history WORD chooses)" if left else ""
    print(f"figure: {path}{more}", file=told)
    return OK
