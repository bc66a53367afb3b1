"""The summary of a run in the terminal, made from the CSV files alone: times, failures, kinks, descents, flags.

Whatever compares or counts cells does so on one machine (`autodiff_compare.results.machines.split`).
"""

from __future__ import annotations

import math
import pathlib
import textwrap
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from autodiff_compare.plan.precision import limits
from autodiff_compare.results import machines, ratios
from autodiff_compare.results.formatting import eps, plural, seconds
from autodiff_compare.results.tables import (
    CellRow,
    ConventionRow,
    MachineRow,
    SampleRow,
    read_all,
    resume_command,
    rows_from,
    specs_of,
)
from autodiff_compare.results.timings import Group as CellGroup
from autodiff_compare.results.timings import doubtful
from autodiff_compare.summary import conventions, conversions, failures, growth_table, headings, random_programs
from autodiff_compare.summary.marks import MARKS, marked, meaning
from autodiff_compare.summary.terminal import WIDTH, plain_table, side_by_side, split_tables

_STYLES = {"ok": "green", "wrong": "bold red", "unsupported": "yellow", "not_installed": "dim"}
#: Flag -> its meaning for a reader.
FLAGS = {
    "noisy": "noisy: the middle half of the rounds spreads over more than 10 % of the median",
    "contended": "contended: in over a quarter of the rounds, over 5 % of the time passed waiting for a CPU; other "
    "programs were running",
    "drift": "drift: the time rises or falls from round to round",
    "retraced": "retraced: the function was traced again while it was timed",
    "threads": "threads: more threads were busy than --threads allows",
    "lazy": "lazy: the result is computed when it is read, after the clock has stopped; the time is not compared",
    "remembers": "remembers: calls on an input that was seen before compute nothing; the time is not compared",
    "fallback": "fallback: not computed as the variant is described: numpy:numba by straight-line NumPy code, as "
    "numpy:compiled; numpy:compiled, in long loops whose length depends on data, as numpy",
    "cut": "cut: fewer rounds than requested, because the --budget was spent",
}
#: Words of the first table, defined where a reader first meets them.
_READING = (
    "error: the largest relative error of the row's cells against their references",
    "inputs: differentiated numbers; cell: a problem, size, dtype, operator, backend",
)
#: With more rows than this, the overview has one row per problem: the first of these operators that it has.
_MOST_ROWS, _LEADING = 12, ("gradient", "jacobian")
#: Columns of the questions with their expected answers, and least columns of an answer.
_ASKED, _ANSWER = 36, 11


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
        result, command = _found(tables, folder)
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
        yield from _overview(cells[cells["dtype"] == dtype], tables["checks"], timings, str(dtype), errors)
    relative = ratios.ratios(rows_from(cells, CellRow), rows_from(tables["samples"], SampleRow))
    if relative:
        yield from _relative_times(relative)
    failed = cells[cells["status"] != "ok"]
    if len(failed):
        yield failures.table(failed)
    at_kinks = kinks(cells, tables["checks"])
    if at_kinks:
        yield _kinks(at_kinks)
    if len(tables["descents"]):
        yield from _descents(tables["descents"])
    if len(tables["questions"]):
        yield from _questions(tables["questions"])
    if cells["flags"].any():
        yield _flagged(cells)
    yield from growth_table.tables(tables)
    if cells["conversion"].any():
        yield conversions.table(cells.assign(spec=specs_of(cells)))


def found(tables: Mapping[str, pd.DataFrame], folder: pathlib.Path) -> str:
    """Return the result of a run in one sentence, whether it has cells, descents or cases of the atlas.

    The sentence begins with ``interrupted`` if cells are missing, and ends with the command that goes on.
    """
    result, command = _found(tables, folder)
    return f"{result} Go on with: {command}" if command else result


def _found(tables: Mapping[str, pd.DataFrame], folder: pathlib.Path) -> tuple[str, str]:
    """Return the result in one sentence, and the command that goes on; empty for a whole run."""
    planned = tables["runs"]["planned_cells"].fillna(0).sum()
    if len(tables["cells"]) >= planned:
        return _results(tables), ""
    interrupted = f"interrupted: {len(tables['cells'])} of {planned} cells."
    result = f"{interrupted} So far {_results(tables)}" if len(tables["cells"]) else interrupted
    return result, resume_command(str(tables["runs"]["command"].iloc[0]), folder)


def _results(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the result of each machine in a sentence, and of several that their times are not compared."""
    parts = machines.split(tables)
    if len(parts) == 1:
        return _result(tables)
    titles = machines.titles(rows_from(tables["machines"], MachineRow), parts)
    told = " ".join(f"{titles.get(key, key).partition(':')[0]}: {_result(part)}" for key, part in parts.items())
    return f"{len(parts)} machines, whose times are not compared. {told}"


def _result(tables: Mapping[str, pd.DataFrame]) -> str:
    descents, answers = tables["descents"], tables["conventions"]
    if len(tables["cells"]):
        return sentence(tables["cells"], tables["checks"], tables["timings"])
    parts = []
    if len(descents):
        ended = descents[descents["status"] == "ok"]
        parts += [
            f"{len(ended)} of {len(descents)} descents ran",
            f"{int(ended['converged'].sum())} reached their goal",
        ]
    if len(answers):
        parts += [f"{answers['case'].nunique()} cases of the atlas, {len(answers)} answers"]
    if len(tables["fuzz"]):
        parts += [random_programs.sentence(tables)]
    return ("; ".join(parts) or "this run has no results") + "."


def sentence(cells: pd.DataFrame, checks: pd.DataFrame, timings: pd.DataFrame) -> str:
    """Return the result of a run with cells in one sentence: agreement, failures, kinks, fastest backends."""
    counts = cells["status"].value_counts()
    ok, total = int(counts.get("ok", 0)), len(cells)
    right = checks[checks["cell_id"].isin(cells.loc[cells["status"] == "ok", "cell_id"])]
    worst = right["norm_rel_error"].max() if len(right) else math.nan
    parts = [f"{ok} of {total} cells agree with their references"]
    if not math.isnan(worst):
        parts[0] += f" (largest relative error {worst:.1e})"
    parts += [f"{int(n)} {str(status).replace('_', ' ')}" for status, n in counts.items() if status != "ok"]
    places = Counter(place for place, _, _ in kinks(cells, checks))
    if places:
        differ = sum(n > 1 for n in places.values())
        differ_in = f" (backends differ in {differ})" if differ else ""
        parts.append(f"{plural(len(places), 'derivative')} at a kink{differ_in}")
    steady = timings[(timings["phase"] == "steady") & timings["cell_id"].isin(cells["cell_id"])]
    if len(steady):
        parts += _fastest(_proved_fastest(cells, steady))
    return "; ".join(parts) + "."


def _fastest(wins: pd.DataFrame) -> list[str]:
    """Return which backend is fastest how often; a comparison with a flagged time is not counted."""
    left = int(wins["flagged"].sum())
    if len(wins) == 1:
        return [f"fastest: {specs_of(wins).iloc[0]}{', by flagged times' if left else ''}"]
    if left and left == len(wins):
        return [f"fastest most often: not counted, since each of {left} comparisons has a flagged time"]
    shares = specs_of(wins[~wins["flagged"]]).value_counts()
    often = ", ".join(f"{name} {int(n)}" for name, n in shares.items())
    without = f" (not counted: {plural(left, 'comparison')} with a flagged time)" if left else ""
    return [f"fastest most often: {often}{without}"] if often else []


def _proved_fastest(cells: pd.DataFrame, steady: pd.DataFrame) -> pd.DataFrame:
    """Return the fastest cells of those groups in which some other cell is proved slower.

    Column ``flagged``: whether a time of the group that is compared has a flag which forbids to conclude from it.
    """
    versus = steady.set_index("cell_id")["versus_fastest"].fillna("")
    known = cells[cells["cell_id"].isin(versus.index)]
    known = known.assign(versus=versus[known["cell_id"]].to_numpy())
    known = known[known["versus"] != ""]
    flagged = [bool(doubtful(str(flags))) for flags in known["flags"]]
    known = known.assign(slower=known["versus"].str.contains("x"), flagged=pd.array(flagged, dtype="bool"))
    groups = known.groupby(["problem", "size", "dtype", "operator"])
    proved = groups["slower"].transform("any").astype("bool")
    found: pd.DataFrame = known.assign(flagged=groups["flagged"].transform("any").astype("bool"))
    return found[(found["versus"] == "fastest") & proved]


def effort(measured_s: float, prepared_s: float, wall_s: float) -> str:
    """Return the duration of a run, and the shares of it inside timed calls and inside compilers."""
    timed, prepared = measured_s / wall_s, prepared_s / wall_s
    return f"{wall_s:.0f} s, {timed:.0%} of it inside timed calls, {prepared:.0%} inside compilers and first calls"


def _overview(
    cells: pd.DataFrame, checks: pd.DataFrame, timings: pd.DataFrame, dtype: str, errors: bool
) -> Iterator[RenderableType]:
    """Yield tables of problem and operator by backend: the time of a steady call; below them, how to read them."""
    steady = timings[timings["phase"] == "steady"].set_index("cell_id")
    cells = cells.assign(spec=specs_of(cells))
    asked = _asked(cells)
    rows = [
        cells[(cells["problem"] == problem) & (cells["size"] == size) & (cells["operator"] == operator)]
        for problem, size, operator in asked
    ]
    inputs = [_largest(row["n_inputs"]) for row in rows]
    what, names = _row_names(asked, [_largest(row["n"]) for row in rows], inputs)
    title = f"{'Time' if len(steady) else 'Result'} of one {what}, {dtype}"
    steady = marked(steady[steady.index.isin([cell_id for row in rows for cell_id in row["cell_id"]])])
    beside = _errors_in_eps(checks, dtype) if errors else {}
    columns = {str(spec): _times(str(spec), rows, steady, beside) for spec in cells["spec"].unique()}
    second = {"inputs": [headings.whole(n) for n in inputs]}
    *tables, last = split_tables(title, names, columns, second=second, last=partial(_largest_errors, rows, checks))
    yield from tables
    marks = meaning(steady["versus_fastest"]).removesuffix("; ")
    overhead = headings.overhead(inputs) if len(steady) else ""
    lines = [headings.legend(columns), marks, *_READING, headings.longer(names), overhead]
    yield Group(last, Text("\n".join(filter(None, lines)), style="dim"))


def _largest(numbers: pd.Series[int]) -> float:
    """Return the largest of the numbers that are there; nan if there is none."""
    return float(numbers.astype("float64").max())


def _row_names(
    asked: Sequence[tuple[str, str, str]], n: Sequence[float], inputs: Sequence[float]
) -> tuple[str, list[str]]:
    """Return what the rows have in common, for the title, and the name of each row with its size."""
    operators = {operator for *_, operator in asked}
    if len(operators) == 1:
        what, marks = f"{asked[0][2]} call", {asked[0][2]: ""}
    elif operators <= {*_LEADING}:
        what, marks = "gradient (Jacobian: J) call", {"gradient": "", "jacobian": " J"}
    else:
        what, marks = "call (gradient unless named)", {"gradient": ""}
    return what, [
        headings.sized(problem + marks.get(operator, f" {operator}"), size, *numbers)
        for (problem, size, operator), *numbers in zip(asked, n, inputs, strict=True)
    ]


def _times(
    spec: str, rows: Sequence[pd.DataFrame], steady: pd.DataFrame, errors: Mapping[Hashable, str]
) -> list[Text | str]:
    """Return the column of one backend: its last cell in each row, empty where it has none.

    ``errors``: cell -> what stands below it.
    """
    found: list[Text | str] = []
    for row in rows:
        own = list(row[row["spec"] == spec].itertuples())
        text = _cell(own[-1], steady) if own else Text("")
        if own and own[-1].cell_id in errors:
            text.append(f"\n{errors[own[-1].cell_id]} ", style="not bold dim")
        found.append(text)
    return found


def _errors_in_eps(checks: pd.DataFrame, dtype: str) -> dict[Hashable, str]:
    """Return cell -> its largest error, in units of the rounding of its dtype."""
    largest = checks.groupby("cell_id")["norm_rel_error"].max().dropna() / float(limits(dtype).eps)
    return {cell_id: eps(float(error)) for cell_id, error in largest.items()}


def _largest_errors(
    rows: Sequence[pd.DataFrame], checks: pd.DataFrame, specs: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    """Return the column of the largest error of each row over ``specs``, over all backends if there are none."""
    errors = checks.groupby("cell_id")["norm_rel_error"].max()
    at_kink = set(checks.loc[checks["verdict"] == "subgradient", "cell_id"])
    found = []
    for row in rows:
        chosen = row[row["spec"].isin(specs)] if specs else row
        error = errors.reindex(chosen["cell_id"]).max()
        found.append(f"{error:.0e}" if error == error else "kink" if row["cell_id"].isin(at_kink).any() else "-")
    return {"error": found}


def _asked(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return (problem, size, operator) of each row; if they are many, only the leading operator of each problem."""
    every = list(dict.fromkeys(zip(cells["problem"], cells["size"], cells["operator"], strict=True)))
    if len(every) <= _MOST_ROWS:
        return every
    found: dict[tuple[str, str], list[str]] = {}
    for problem, size, operator in every:
        found.setdefault((problem, size), []).append(operator)
    return [(*key, next((o for o in _LEADING if o in operators), operators[0])) for key, operators in found.items()]


def _cell(row: object, steady: pd.DataFrame) -> Text:
    """Return the time of a cell with its mark, or its status if it was not timed."""
    status, cell_id = row.status, row.cell_id  # type: ignore[attr-defined]
    if status != "ok" or cell_id not in steady.index:
        return Text(status.replace("_", " "), style=_STYLES.get(status, "red"))
    timing = steady.loc[cell_id]
    mark = MARKS.get(timing["versus_fastest"], " ")
    # A flagged time does not stand out.
    strong = mark == "*" and not doubtful(row.flags)  # type: ignore[attr-defined]
    return Text(seconds(float(timing["median_s"])) + mark, style="bold" if strong else "")


def _relative_times(found: Mapping[CellGroup, Mapping[str, float]]) -> Iterator[Table]:
    """Yield tables of each group with the time of each backend relative to the hand-written baseline."""
    operators = {operator for *_, operator in found}
    usual = operators if len(operators) == 1 else {"gradient"}
    names = []
    for problem, size, dtype, operator in found:
        marks = [m for m, known in ((operator, usual), (size, {"small"}), (dtype, {"float64"})) if m not in known]
        names.append(problem + (f" ({', '.join(marks)})" if marks else ""))
    specs = dict.fromkeys(spec for row in found.values() for spec in row)
    columns = {spec: [ratios.in_words(row[spec]) if spec in row else "" for row in found.values()] for spec in specs}
    what = "" if "gradient" in usual else f" of {usual.pop()}"
    return split_tables(f"Time{what} relative to the hand-written NumPy derivative (manual = 1)", names, columns)


def _descents(descents: pd.DataFrame) -> Iterator[Table]:
    """Yield tables of the updates of each descent and their time on each backend."""
    parts = descents["cell_id"].str.split("/", n=4, expand=True)
    frame = pd.concat([descents, parts.set_axis(["problem", "descent", "dtype", "_", "spec"], axis=1)], axis=1)
    specs = list(dict.fromkeys(frame["spec"]))
    names, updates = [], []
    columns: dict[str, list[Text | str]] = {spec: [] for spec in specs}
    ways, starts = (dict(frame.groupby("problem")[name].nunique()) for name in ("descent", "start"))
    for (problem, descent, dtype, start), group in frame.groupby(["problem", "descent", "dtype", "start"], sort=False):
        marks = ((descent, ways[problem] > 1), (f"start {start}", starts[problem] > 1), (dtype, dtype != "float64"))
        names.append(" ".join([str(problem), *(str(mark) for mark, needed in marks if needed)]))
        updates.append(_updates(group))
        rows = {row["spec"]: row for row in group.to_dict("records")}
        for spec, column in columns.items():
            column.append(_descent_time(rows.get(spec)))
    title = "Descents: updates and time (+: ended before its stop rule, or has none)"
    return split_tables(title, names, columns, second={"updates": updates})


def kinks(cells: pd.DataFrame, checks: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return the distinct answers at kinks: problem and operator, backends that gave the answer, answer."""
    notes = checks[checks["verdict"] == "subgradient"].drop_duplicates("cell_id").set_index("cell_id")["note"]
    there = cells[cells["cell_id"].isin(notes.index) & (cells["status"] == "ok")]
    found: dict[tuple[str, str], list[str]] = {}
    for row, spec in zip(there.to_dict("records"), specs_of(there), strict=True):
        marks = [m for m, usual in ((row["size"], "small"), (row["dtype"], "float64")) if m != usual]
        place = " ".join([row["problem"], row["operator"], *marks])
        found.setdefault((place, str(notes[row["cell_id"]]).rpartition("; ")[2]), []).append(spec)
    return [
        (place, ", ".join(specs), answer) for (place, answer), specs in sorted(found.items(), key=lambda f: f[0][0])
    ]


def _kinks(found: Sequence[tuple[str, str, str]]) -> Table:
    """Return one row per answer at a kink, with the backends that gave it."""
    table = plain_table("At a kink: each of these answers is a subgradient, and right")
    for name in ("problem", "backends", "answer"):
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(*row)
    return table


def _updates(group: pd.DataFrame) -> str:
    """Return the number of updates over the backends that ran the descent: one number, or a range."""
    ran = group[group["status"] == "ok"]
    counts = sorted(set(ran["iterations"].dropna()))
    goal = "" if ran["converged"].all() else "+"
    return "-".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) + goal if counts else "-"


def _descent_time(row: dict[Hashable, Any] | None) -> str:
    if row is None:
        return ""
    return seconds(float(row["seconds"])) if row["status"] == "ok" else str(row["status"]).replace("_", " ")


def _flagged(cells: pd.DataFrame) -> Table:
    """Return one row per flag: its meaning, the number of cells that have it, their backends."""
    table = plain_table("Timings to read with care")
    for name in ("why", "cells", "backends"):
        table.add_column(name, overflow="fold", justify="right" if name == "cells" else "left")
    specs, sets = specs_of(cells), cells["flags"].str.split()
    for flag, words in FLAGS.items():
        having = sets.map(lambda flags, flag=flag: flag in flags)
        if having.any():
            table.add_row(words, f"{having.sum()} of {len(cells)}", ", ".join(dict.fromkeys(specs[having])))
    return table


def _questions(questions: pd.DataFrame) -> Iterator[Table]:
    """Yield tables of the questions of the tape study: expected, and each backend's answer (``=`` if equal)."""
    specs = list(dict.fromkeys(questions["backend"]))
    for group in side_by_side(dict.fromkeys(specs, _ANSWER), WIDTH - _ASKED):
        table = plain_table("Tape study: answers of each backend (= the expected answer)")
        table.add_column("question", no_wrap=True)
        table.add_column("expected", overflow="fold", max_width=13)
        for spec in group:
            table.add_column(spec.replace(":", "\n:"), overflow="fold")
        for name, asked in questions.groupby("question", sort=False):
            rows = asked.to_dict("records")
            answers = {row["backend"]: "=" if row["equal"] else row["convention"] or row["obtained"] for row in rows}
            table.add_row(str(name), str(rows[0]["expected"]), *(str(answers.get(spec, "")) for spec in group))
        yield table
