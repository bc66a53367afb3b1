"""The summary of a run in the terminal, made from the CSV files alone: times, failures, kinks, descents, flags.

Whatever compares or counts cells does so on one machine (`autodiff_compare.results.machines.split`).
"""

from __future__ import annotations

import pathlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd
from rich.console import Console, RenderableType

from autodiff_compare.results import machines, ratios
from autodiff_compare.results.rows import CellRow, ConventionRow, MachineRow, SampleRow
from autodiff_compare.results.tables import read_all, rows_from, specs_of
from autodiff_compare.summary import conventions, random_programs
from autodiff_compare.summary.run import conversions, failures, flags, growth_table, kinks, studies
from autodiff_compare.summary.run.overview import overview, relative_times
from autodiff_compare.summary.run.sentence import result_and_command
from autodiff_compare.summary.terminal import WIDTH


def show(folder: pathlib.Path, console: Console, *, errors: bool = False) -> None:
    """Print the tables of a run, at most 80 columns wide, and its result in one sentence."""
    show_tables(read_all(folder), folder, console, errors=errors)


def show_tables(
    tables: Mapping[str, pd.DataFrame], folder: pathlib.Path, console: Console, *, errors: bool = False
) -> None:
    """Print tables that have been read, as `show` does.

    A run on several machines has the tables of each, one machine below the other.

    Parameters
    ----------
    tables
        Table name -> rows.
    folder
        The run's folder, which is named where a run goes on.
    console
        Where they are printed.
    errors
        Whether each time has the error of its own cell below it.
    """
    parts = machines.split(tables)
    titles = machines.titles(rows_from(tables["machines"], MachineRow), parts)
    for key, part in parts.items():
        if len(parts) > 1:
            console.print(_wrapped(titles.get(key, key)), style="bold", markup=False)
            console.print()
        _show_one(part, folder, console, errors)
    if len(tables["cells"]) or not len(tables["conventions"]):
        result, command = result_and_command(tables, folder)
        console.print(result)
        if command:
            # On one line, to be pasted: a shell would run the first of several.
            console.print(f"go on with\n  {command}", soft_wrap=True, markup=False)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _show_one(tables: Mapping[str, pd.DataFrame], folder: pathlib.Path, console: Console, errors: bool) -> None:
    """Print the tables of one machine."""
    for table in _shown(tables, errors):
        console.print(table)
        console.print()
    if len(tables["conventions"]):
        conventions.overview(rows_from(tables["conventions"], ConventionRow), console)
    if len(tables["fuzz"]):
        random_programs.show(tables, folder, console)


def not_computed(dropped: Iterable[str]) -> list[str]:
    """Return a line for each operator or backend that a query names and no cell computes, as the plan words it."""
    return [textwrap.fill(f"Not computed: {what}", WIDTH, break_on_hyphens=False) for what in dropped]


def _shown(tables: Mapping[str, pd.DataFrame], errors: bool = False) -> Iterator[RenderableType]:
    """Yield the tables for what the run has: times, failures, kinks, descents, questions, flags."""
    cells, timings = tables["cells"], tables["timings"]
    for dtype in cells["dtype"].unique():
        yield from overview(cells[cells["dtype"] == dtype], tables["checks"], timings, str(dtype), errors)
    relative = ratios.ratios(rows_from(cells, CellRow), rows_from(tables["samples"], SampleRow))
    if relative:
        yield from relative_times(relative)
    failed = cells[cells["status"] != "ok"]
    if len(failed):
        yield failures.table(failed)
    answers = kinks.at_kinks(cells, tables["checks"])
    if answers:
        yield kinks.table(answers)
    if len(tables["descents"]):
        yield from studies.descents(tables["descents"])
    if len(tables["questions"]):
        yield from studies.questions(tables["questions"])
    if cells["flags"].any():
        yield flags.table(cells)
    yield from growth_table.tables(tables)
    if cells["conversion"].any():
        yield conversions.table(cells.assign(spec=specs_of(cells)))


def effort(measured_s: float, prepared_s: float, wall_s: float) -> str:
    """Return the duration of a run, and the shares of it inside timed calls and inside compilers."""
    timed, prepared = measured_s / wall_s, prepared_s / wall_s
    return f"{wall_s:.0f} s, {timed:.0%} of it inside timed calls, {prepared:.0%} inside compilers and first calls"
