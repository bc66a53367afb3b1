"""The summary: what a person reads in the terminal after a run, made from the CSV files alone."""

from __future__ import annotations

import math
import pathlib
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodiff_compare.results.formatting import seconds
from autodiff_compare.results.ratios import Group, in_words, ratios
from autodiff_compare.results.tables import CellRow, ConventionRow, SampleRow, read_all, rows_from
from autodiff_compare.summary.conventions import overview
from autodiff_compare.summary.terminal import plain_table
from autodiff_compare.vocabulary import because

_STYLES = {"ok": "green", "wrong": "bold red", "unsupported": "yellow", "not_installed": "dim"}
#: Flag -> what it means for a reader.
FLAGS = {
    "noisy": "noisy: the middle half of the rounds spreads over more than 10 % of the median",
    "contended": "contended: over 5 % of the time spent waiting for a processor in over a quarter of the rounds; "
    "other load on this machine",
    "drift": "drift: faster or slower from round to round",
    "retraced": "retraced: the function was traced again while it was timed",
    "threads": "threads: more were busy than --threads says",
    "cut": "cut: fewer rounds than asked for, the --budget was spent",
}
#: Columns of a terminal, and of them those that a name may take before it is broken after an underscore.
_WIDTH, _NAME = 80, 34
#: With more operators and problems than this, the overview keeps to the operator that stands for a problem.
_MOST_ROWS, _LEADING = 12, ("gradient", "jacobian")
#: Columns that the questions to a tape take with what is expected, and that an answer takes at least.
_ASKED, _ANSWER = 36, 11


def show(folder: pathlib.Path, console: Console) -> None:
    """Print the tables of a run, at most 80 columns wide, and one sentence that says what was found."""
    tables = read_all(folder)
    for table in _shown(tables):
        console.print(table)
        console.print()
    if len(tables["conventions"]):
        overview(rows_from(tables["conventions"], ConventionRow), console)
    if len(tables["cells"]) or not len(tables["conventions"]):
        console.print(found(tables))


def _shown(tables: Mapping[str, pd.DataFrame]) -> Iterator[Table]:
    """Times, failures, descents, questions, and what to read with care: those that the run has."""
    cells, timings = tables["cells"], tables["timings"]
    for dtype in cells["dtype"].unique():
        yield from _overview(cells[cells["dtype"] == dtype], tables["checks"], timings, str(dtype))
    by_hand = ratios(rows_from(cells, CellRow), rows_from(tables["samples"], SampleRow))
    if by_hand:
        yield from _by_hand(by_hand)
    failures = cells[cells["status"] != "ok"]
    if len(failures):
        yield _failures(failures)
    at_kinks = kinks(cells, tables["checks"])
    if at_kinks:
        yield _kinks(at_kinks)
    if len(tables["descents"]):
        yield from _descents(tables["descents"])
    if len(tables["questions"]):
        yield from _questions(tables["questions"])
    if cells["flags"].any():
        yield _care(cells)


def found(tables: Mapping[str, pd.DataFrame]) -> str:
    """What a run found, in words, whatever it was a run of."""
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
    return ("; ".join(parts) or "a run of nothing") + "."


def sentence(cells: pd.DataFrame, checks: pd.DataFrame, timings: pd.DataFrame) -> str:
    """What was found, in words."""
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
        parts.append(f"{len(places)} asked at a kink" + (f" (backends differ in {differ})" if differ else ""))
    steady = timings[(timings["phase"] == "steady") & timings["cell_id"].isin(cells["cell_id"])]
    if len(steady):
        wins = cells.set_index("cell_id").loc[steady.loc[steady["versus_fastest"] == "fastest", "cell_id"]]
        shares = (wins["backend"] + wins["variant"].map(lambda v: f":{v}" if v else "")).value_counts()
        parts.append("fastest most often: " + ", ".join(f"{name} {int(n)}" for name, n in shares.items()))
    return "; ".join(parts) + "."


def effort(measured_s: float, wall_s: float) -> str:
    """How long a run took and how much of that the clock was running."""
    return f"{wall_s:.0f} s, {measured_s / wall_s:.0%} of it inside timed calls"


def _beside(
    title: str,
    names: Sequence[str],
    columns: Mapping[str, Sequence[Text | str]],
    *,
    second: Mapping[str, Sequence[str]] | None = None,
    last: Callable[[Sequence[str]], Mapping[str, Sequence[str]]] | None = None,
) -> Iterator[Table]:
    """Problems by backends: as few tables as fit into 80 columns without a name or a number being broken.

    ``second`` stands beside the names in every table; ``last`` makes what stands at the right of some backends.
    """
    shown = [_broken(name) for name in names]
    around = {**(second or {}), **(last([]) if last else {})}
    taken = _wide("problem", shown) + sum(_wide(name, cells) for name, cells in around.items())
    for group in _abreast(
        {spec: _wide(spec.replace(":", "\n:"), cells) for spec, cells in columns.items()}, _WIDTH - taken
    ):
        right = {**(second or {}), **{spec: columns[spec] for spec in group}, **(last(group) if last else {})}
        table = plain_table(title)
        table.add_column("problem", no_wrap=True)
        for name in right:
            table.add_column(name.replace(":", "\n:"), justify="right", no_wrap=True)
        for k, name in enumerate(shown):
            table.add_row(name, *(cells[k] for cells in right.values()))
        yield table


def _wide(head: str, cells: Sequence[Text | str]) -> int:
    """Columns that one of these takes, with the gap to the next."""
    lines = [line for text in (head, *map(str, cells)) for line in text.split("\n")]
    return max(map(len, lines)) + 1


def _abreast(widths: Mapping[str, int], room: int) -> list[list[str]]:
    """The names in as few groups as fit into the room, about as many in each."""
    names = list(widths)
    for parts in range(1, len(names) + 1):
        each = math.ceil(len(names) / parts)
        groups = [names[k : k + each] for k in range(0, len(names), each)]
        if all(sum(widths[name] for name in group) <= room for group in groups):
            return groups
    return [[name] for name in names]


def _broken(name: str) -> str:
    """A name that is longer than its column, in lines that end with an underscore or at a space."""
    lines = [""]
    for part in re.findall(r"[^_ ]*[_ ]*", name):
        if len(lines[-1]) + len(part.rstrip()) > _NAME and lines[-1]:
            lines.append("  ")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _overview(cells: pd.DataFrame, checks: pd.DataFrame, timings: pd.DataFrame, dtype: str) -> Iterator[Table]:
    """Problem and operator by backend: steady time; ``~`` where not proved slower than the fastest."""
    steady = timings[timings["phase"] == "steady"].set_index("cell_id")
    errors = checks.groupby("cell_id")["norm_rel_error"].max()
    cells = cells.assign(spec=_specs(cells))
    bent = set(checks.loc[checks["verdict"] == "subgradient", "cell_id"])
    names, by_spec, at_kink = [], [], []
    columns: dict[str, list[Text | str]] = {str(spec): [] for spec in cells["spec"].unique()}
    asked = _asked(cells)
    operators = {operator for *_, operator in asked}
    one, usual = asked[0][2] if len(operators) == 1 else "", operators <= {*_LEADING}
    for problem, size, operator in asked:
        rows = cells[(cells["problem"] == problem) & (cells["size"] == size) & (cells["operator"] == operator)]
        shown = dict(zip(rows["spec"], (_cell(row, steady) for row in rows.itertuples()), strict=True))
        for spec, column in columns.items():
            column.append(shown.get(spec, Text("")))
        at_kink.append(bool(rows["cell_id"].isin(bent).any()))
        by_spec.append(dict(zip(rows["spec"], errors.reindex(rows["cell_id"]), strict=True)))
        mark = "" if operator in (one, "gradient") else " J" if usual and operator == "jacobian" else f" {operator}"
        names.append(problem + mark + ("" if size == "small" else f" ({size})"))

    def worst(specs: Sequence[str]) -> Mapping[str, Sequence[str]]:
        found = [pd.Series([row[s] for s in specs or row if s in row], dtype="float64").max() for row in by_spec]
        return {"error": [f"{error:.0e}" if error == error else "kink" if kink else "-"
                          for error, kink in zip(found, at_kink, strict=True)]}  # fmt: skip

    what = f"{one} call" if one else "gradient (Jacobian: J) call" if usual else "call (gradient unless named)"
    title = f"One {what}, {dtype}" + (": * fastest, ~ not proved slower" if len(steady) else "")
    return _beside(title, names, columns, last=worst)


def _asked(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(problem, size, operator) of each row; where they would be many, a problem has its leading operator only."""
    every = list(dict.fromkeys(zip(cells["problem"], cells["size"], cells["operator"], strict=True)))
    if len(every) <= _MOST_ROWS:
        return every
    found: dict[tuple[str, str], list[str]] = {}
    for problem, size, operator in every:
        found.setdefault((problem, size), []).append(operator)
    return [(*key, next((o for o in _LEADING if o in operators), operators[0])) for key, operators in found.items()]


def _cell(row: object, steady: pd.DataFrame) -> Text:
    status, cell_id = row.status, row.cell_id  # type: ignore[attr-defined]
    if status != "ok" or cell_id not in steady.index:
        return Text(status.replace("_", " "), style=_STYLES.get(status, "red"))
    timing = steady.loc[cell_id]
    mark = {"fastest": "*", "~": "~"}.get(timing["versus_fastest"], " ")
    return Text(seconds(float(timing["median_s"])) + mark, style="bold" if mark == "*" else "")


def _specs(cells: pd.DataFrame) -> list[str]:
    return [f"{b}:{v}" if v else b for b, v in zip(cells["backend"], cells["variant"], strict=True)]


def _by_hand(found: Mapping[Group, Mapping[str, float]]) -> Iterator[Table]:
    """Each group, with the time of each backend over that of the closed form."""
    operators = {operator for *_, operator in found}
    usual = operators if len(operators) == 1 else {"gradient"}
    names = []
    for problem, size, dtype, operator in found:
        marks = [m for m, known in ((operator, usual), (size, {"small"}), (dtype, {"float64"})) if m not in known]
        names.append(problem + (f" ({', '.join(marks)})" if marks else ""))
    specs = dict.fromkeys(spec for row in found.values() for spec in row)
    columns = {spec: [in_words(row[spec]) if spec in row else "" for row in found.values()] for spec in specs}
    what = "" if "gradient" in usual else f" of {usual.pop()}"
    return _beside(f"Time{what} over what is written by hand in NumPy (manual = 1)", names, columns)


def _failures(failures: pd.DataFrame) -> Table:
    """One row per distinct failure: backend, status, how many cells, which operators, why."""
    table = plain_table("What is not ok")
    for name in ("problem", "backend", "operators", "why"):
        table.add_column(name, overflow="fold")
    keys = ["problem", "backend", "variant", "status", "message"]
    for key, group in failures.groupby(keys, sort=False):
        problem, backend, variant, status, message = map(str, key)
        spec = f"{backend}:{variant}" if variant else backend
        operators = ", ".join(dict.fromkeys(group["operator"]))
        table.add_row(problem, spec, operators, because(status, message))
    return table


def _descents(descents: pd.DataFrame) -> Iterator[Table]:
    """Updates until the stop rule, over all backends, and how long they took on each."""
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
            column.append(_descended(rows.get(spec)))
    title = "Descents: updates and their time (+ not at its goal yet: descend goes on)"
    return _beside(title, names, columns, second={"updates": updates})


def kinks(cells: pd.DataFrame, checks: pd.DataFrame) -> list[tuple[str, str, str]]:
    """What was asked at a kink, and who answered what there: problem and operator, backends, answer."""
    notes = checks[checks["verdict"] == "subgradient"].drop_duplicates("cell_id").set_index("cell_id")["note"]
    there = cells[cells["cell_id"].isin(notes.index) & (cells["status"] == "ok")]
    found: dict[tuple[str, str], list[str]] = {}
    for row, spec in zip(there.to_dict("records"), _specs(there), strict=True):
        marks = [m for m, usual in ((row["size"], "small"), (row["dtype"], "float64")) if m != usual]
        place = " ".join([row["problem"], row["operator"], *marks])
        found.setdefault((place, str(notes[row["cell_id"]]).rpartition("; ")[2]), []).append(spec)
    return [
        (place, ", ".join(specs), answer) for (place, answer), specs in sorted(found.items(), key=lambda f: f[0][0])
    ]


def _kinks(found: Sequence[tuple[str, str, str]]) -> Table:
    """Each answer at a kink, with who gave it."""
    table = plain_table("At a kink: no derivative, and any value between the one-sided ones is right")
    for name in ("problem", "backends", "answer"):
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(*row)
    return table


def _updates(group: pd.DataFrame) -> str:
    """How many, of the backends that ran it: one number where they agree."""
    ran = group[group["status"] == "ok"]
    counts = sorted(set(ran["iterations"].dropna()))
    goal = "" if ran["converged"].all() else "+"
    return "-".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) + goal if counts else "-"


def _descended(row: dict[Hashable, Any] | None) -> str:
    if row is None:
        return ""
    return seconds(float(row["seconds"])) if row["status"] == "ok" else str(row["status"]).replace("_", " ")


def _care(cells: pd.DataFrame) -> Table:
    """Each flag in words, with how many timings of which backends have it."""
    table = plain_table("Timings to read with care")
    for name in ("why", "cells", "backends"):
        table.add_column(name, overflow="fold", justify="right" if name == "cells" else "left")
    specs, sets = pd.Series(_specs(cells), index=cells.index), cells["flags"].str.split()
    for flag, words in FLAGS.items():
        having = sets.map(lambda flags, flag=flag: flag in flags)
        if having.any():
            table.add_row(words, f"{having.sum()} of {len(cells)}", ", ".join(dict.fromkeys(specs[having])))
    return table


def _questions(questions: pd.DataFrame) -> Iterator[Table]:
    """Asked, expected, and each backend's answer: ``=``, or what it does instead."""
    specs = list(dict.fromkeys(questions["backend"]))
    for group in _abreast(dict.fromkeys(specs, _ANSWER), _WIDTH - _ASKED):
        table = plain_table("Questions to a tape (= as expected)")
        table.add_column("question", no_wrap=True)
        table.add_column("expected", overflow="fold", max_width=13)
        for spec in group:
            table.add_column(spec.replace(":", "\n:"), overflow="fold")
        for name, asked in questions.groupby("question", sort=False):
            rows = asked.to_dict("records")
            answers = {row["backend"]: "=" if row["equal"] else row["convention"] or row["obtained"] for row in rows}
            table.add_row(str(name), str(rows[0]["expected"]), *(str(answers.get(spec, "")) for spec in group))
        yield table
