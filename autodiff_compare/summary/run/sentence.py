"""The result of a run in one sentence: agreement, failures, kinks, and the backend that is fastest most often."""

from __future__ import annotations

import math
import pathlib
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from autodiff_compare.results import machines
from autodiff_compare.results.formatting import plural
from autodiff_compare.results.rows import MachineRow
from autodiff_compare.results.tables import resume_command, rows_from, specs_of
from autodiff_compare.results.timings import doubtful
from autodiff_compare.summary import random_programs
from autodiff_compare.summary.run.kinks import at_kinks


def result(tables: Mapping[str, pd.DataFrame], folder: pathlib.Path) -> str:
    """Return the result of a run in one sentence, whether it has cells, descents or cases of the atlas.

    The sentence begins with ``interrupted`` if cells are missing, and ends with the command that goes on.
    """
    result, command = result_and_command(tables, folder)
    return f"{result} Go on with: {command}" if command else result


def result_and_command(tables: Mapping[str, pd.DataFrame], folder: pathlib.Path) -> tuple[str, str]:
    """Return the result in one sentence, and the command that goes on; empty for a whole run."""
    planned = tables["runs"]["planned_cells"].fillna(0).sum()
    if len(tables["cells"]) >= planned:
        return _of_machines(tables), ""
    interrupted = f"interrupted: {len(tables['cells'])} of {planned} cells."
    result = f"{interrupted} So far {_of_machines(tables)}" if len(tables["cells"]) else interrupted
    return result, resume_command(str(tables["runs"]["command"].iloc[0]), folder)


def _of_machines(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the result of each machine in a sentence, and of several that their times are not compared."""
    parts = machines.split(tables)
    if len(parts) == 1:
        return _of_machine(tables)
    titles = machines.titles(rows_from(tables["machines"], MachineRow), parts)
    told = " ".join(f"{titles.get(key, key).partition(':')[0]}: {_of_machine(part)}" for key, part in parts.items())
    return f"{len(parts)} machines, whose times are not compared. {told}"


def _of_machine(tables: Mapping[str, pd.DataFrame]) -> str:
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
    places = Counter(place for place, _, _ in at_kinks(cells, checks))
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
