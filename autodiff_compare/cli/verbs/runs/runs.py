"""The verb ``runs``: list the runs that were made, the latest first."""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import pathlib
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from autodiff_compare.cli import output
from autodiff_compare.cli.console import console
from autodiff_compare.cli.exits import OK
from autodiff_compare.results import places
from autodiff_compare.results.formatting import plural, printable
from autodiff_compare.summary import terminal

#: Runs that are shown without ``--all``.
_SHOWN = 20
#: Characters of a command in the table.
_LONGEST = 60
#: Table of a run -> the noun of its rows, for the runs that have no cells.
_ROWS = {"descents": "descent", "conventions": "answer", "findings": "finding"}
#: Bytes of a table that is counted: a run's folder may come from anywhere.
_LARGEST = 1 << 26


@dataclass(frozen=True)
class Entry:
    """A run in the list.

    Parameters
    ----------
    run
        Its name or id.
    latest
        How it is also called: ``latest``, ``latest~1``, ...
    started
        Start time, UTC, to the minute.
    results
        Its cells and how they ended, or what else it has.
    command
        Its command, without the program.
    folder
        Where it is.
    """

    run: str
    latest: str
    started: str
    results: str
    command: str
    folder: str


def runs(options: argparse.Namespace) -> int:
    """Print the list of runs; return the exit code."""
    chosen = [entry for entry in entries(options.out) if all(word in _text(entry) for word in options.words)]
    if output.wanted(options):
        output.write("run_list", [asdict(entry) for entry in chosen], options)
        return OK
    out = console()
    where = " or ".join(places.shown(place) for place in places.places(options.out))
    if not chosen:
        about = f" that has {' '.join(options.words)}" if options.words else ""
        out.print(f"No run{about} in {where}. Make one: compare.py run", soft_wrap=True)
        return OK
    few = chosen if options.all else chosen[:_SHOWN]
    for place in dict.fromkeys(str(pathlib.Path(entry.folder).parent) for entry in few):
        table = terminal.plain_table(f"Runs in {printable(place)}")
        for name in ("run", "also", "started, UTC", "results", "command"):
            table.add_column(name, overflow="fold", no_wrap=name != "command")
        for entry in few:
            if str(pathlib.Path(entry.folder).parent) == place:
                command = textwrap.shorten(entry.command, _LONGEST, placeholder=" ...")
                row = (entry.run, entry.latest, entry.started[5:], entry.results, command)
                table.add_row(*map(printable, row))
        out.print(table)
        out.print()
    if len(chosen) > len(few):
        out.print(f"{plural(len(chosen) - len(few), 'earlier run')}: compare.py runs --all")
    out.print("show RUN, diff RUN RUN, report RUN and history take a name, an id or latest~1", style="dim")
    return OK


def entries(out: pathlib.Path | None) -> Iterator[Entry]:
    """Yield the runs in the places where they are looked for, the latest first."""
    for k, folder in enumerate(places.found(out)):
        fields = places.run_fields(folder)
        yield Entry(
            run=folder.name,
            latest=f"latest~{k}" if k else "latest",
            started=str(fields.get("started_utc", ""))[:16].replace("T", " "),
            results=_results(folder, str(fields.get("planned_cells") or "")),
            command=_words(str(fields.get("command") or "")),
            folder=places.shown(folder),
        )


def _text(entry: Entry) -> str:
    return f"{entry.run} {entry.results} {entry.command} {entry.folder}"


def _words(command: str) -> str:
    """Return a command without the program, and without where it was written."""
    try:
        words = shlex.split(command)[1:]
    except ValueError:
        words = command.split()[1:]
    return shlex.join(words) or command


def _results(folder: pathlib.Path, planned: str) -> str:
    """Return how the cells of a run ended: ``12 ok``, ``11 ok 1 wrong``, ``5 of 12 cells``."""
    ends = collections.Counter(row.get("status") or "?" for row in _rows(folder / "cells.csv"))
    if planned.isdigit() and sum(ends.values()) < int(planned):
        return f"{sum(ends.values())} of {planned} cells"
    if ends:
        return " ".join(f"{n} {status.replace('_', ' ')}" for status, n in ends.most_common())
    for table, noun in _ROWS.items():
        count = sum(1 for _ in _rows(folder / f"{table}.csv"))
        if count:
            return plural(count, noun)
    return "no finding" if any(_rows(folder / "fuzz.csv")) else "nothing yet"


def _rows(path: pathlib.Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table as texts; none if it cannot be read."""
    with contextlib.suppress(OSError, ValueError, csv.Error), path.open(encoding="utf-8", newline="") as file:
        if path.stat().st_size <= _LARGEST:
            yield from csv.DictReader(file)
