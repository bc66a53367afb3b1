"""The times of a run, by problem and backend, and their ratios to the hand-written derivative."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autodiff_compare.plan.precision import limits
from autodiff_compare.results import ratios
from autodiff_compare.results.formatting import eps, seconds
from autodiff_compare.results.tables import specs_of
from autodiff_compare.results.timings import Group as CellGroup
from autodiff_compare.results.timings import doubtful
from autodiff_compare.summary import headings
from autodiff_compare.summary.run.marks import MARKS, marked, meaning
from autodiff_compare.summary.terminal import split_tables

_STYLES = {"ok": "green", "wrong": "bold red", "unsupported": "yellow", "not_installed": "dim"}
#: Words of the first table, defined where a reader first meets them.
_READING = (
    "error: the largest relative error of the row's cells against their references",
    "reference: by a closed form, extended precision or numerical differences",
    "inputs: differentiated numbers; cell: a problem, size, dtype, operator, backend",
)
#: With more rows than this, the overview has one row per problem: the first of these operators that it has.
_MOST_ROWS, _LEADING = 12, ("gradient", "jacobian")


def overview(
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
    title = f"{'Median time' if len(steady) else 'Result'} of one {what}, {dtype}"
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


def relative_times(found: Mapping[CellGroup, Mapping[str, float]]) -> Iterator[Table]:
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
