"""Tidy frames: the tables of a run with the columns by which rows are chosen, and one frame with a row for each cell.

The CSV files name a cell by its ``cell_id``. In a frame one wants its parts: problem, size, n, dtype, operator,
backend and variant. `keyed` adds them to every table, and `tidy` joins what is known of a cell: its time with an
interval, its ratio to the fastest with an interval, its error, its verdict.

A ratio joins two cells of one group, measured in the same rounds. Rows of different machines are never joined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from autodiff_compare import problems
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems.base import number_of, split_degree, split_rows
from autodiff_compare.results.machines import split
from autodiff_compare.results.rows import SampleRow
from autodiff_compare.results.tables import rows_from, specs_of
from autodiff_compare.results.timings import series_of
from autodiff_compare.timing.statistics import CONTENDED, paired_ratio
from autodiff_compare.vocabulary import DTYPES, HALF_DTYPES, Phase, Status, split_spec

#: The columns by which the rows of every table are chosen.
KEYS = ("problem", "size", "n", "dtype", "operator", "backend", "variant")
#: References from the most trusted on; others come last.
_REFERENCES = ("closed_form", "extended_precision", "complex_step", "numerical_difference")
#: Word of ``timings.versus_fastest`` -> verdict; any other text is a proved ratio.
_VERDICTS = {"": "", "fastest": "fastest", "~": "tie", CONTENDED: CONTENDED}


def tidy(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row for each cell, with numbers for all that is known of it.

    Parameters
    ----------
    tables
        As returned by `autodiff_compare.results.tables.read_all`.

    Returns
    -------
    pandas.DataFrame
        `KEYS`, ``machine``, then ``spec`` (``backend[:variant]``), ``status``, ``verdict`` (``fastest``, ``slower``,
        ``tie``, ``contended``, empty if not compared), ``median_s`` with ``low_s`` and ``high_s`` (95 % interval;
        seconds per call), ``ratio`` with ``ratio_low`` and ``ratio_high`` (time over that of the fastest of the group,
        median over the rounds and 99 % interval), ``ratio_to_value``, ``setup_s`` (preparation and first call),
        ``error`` (largest relative error against the best reference), ``error_eps`` (the same in units of the dtype's
        eps), ``tolerance`` (of that comparison, relative), ``reference``, ``peak_bytes``, ``flags``, ``message``,
        ``cell_id``. What is not known is nan, or an empty text.
    """
    cells = keyed(tables)["cells"].assign(spec=specs_of(tables["cells"]))
    parts = [_tidied(part, cells.loc[part["cells"].index]) for part in split(tables).values()]
    return pd.concat(parts).sort_index(kind="stable")


def _tidied(tables: Mapping[str, pd.DataFrame], cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the cells of one machine, from its tables."""
    found = cells[[*KEYS, "machine", "spec", "status"]].copy()
    steady = _by_cell(tables["timings"], Phase.STEADY)
    versus = cells["cell_id"].map(steady["versus_fastest"]).fillna("")
    found["verdict"] = versus.map(lambda word: _VERDICTS.get(word, "slower")).astype("str")
    for name, column in {"median_s": "median_s", "low_s": "ci_low_s", "high_s": "ci_high_s"}.items():
        found[name] = cells["cell_id"].map(steady[column]).astype("float64")
    ratios = _ratios(cells.assign(verdict=found["verdict"]), tables["samples"])
    for k, name in enumerate(("ratio", "ratio_low", "ratio_high")):
        found[name] = [ratios.get(cell_id, (math.nan,) * 3)[k] for cell_id in cells["cell_id"]]
    found["ratio_to_value"] = cells["cell_id"].map(steady["ratio_to_value"]).astype("float64")
    found["setup_s"] = cells["cell_id"].map(setup_seconds(tables["timings"])).astype("float64")
    errors = worst_errors(tables["checks"]).set_index("cell_id")
    found["error"] = cells["cell_id"].map(errors["error"]).astype("float64")
    found["error_eps"] = in_eps(found["error"], found["dtype"])
    found["tolerance"] = cells["cell_id"].map(errors["tolerance"]).astype("float64")
    found["reference"] = cells["cell_id"].map(errors["reference"]).fillna("").astype("str")
    found["peak_bytes"] = cells["peak_rss_bytes"]
    return found.assign(flags=cells["flags"], message=cells["message"], cell_id=cells["cell_id"])


def keyed(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables with the columns `KEYS` in each whose rows belong to cells, backends or pairs of them.

    ``n`` is the number of the size as it is stored, of a batch its rows, of a Taylor series its degree, and in older
    tables the number of inputs. A row without such a part, such as the import of a framework, has an empty text or a
    missing number. The backend of a question is split into ``backend`` and ``variant``. Tables of runs and of random
    programs are unchanged. The number of timings, ``n`` in ``timings.csv``, is called ``count``, since ``n`` is the
    size.
    """
    cells = tables["cells"]
    counted = cells["size"].map(lambda size: split_rows(split_degree(size)[0])[1] or split_degree(size)[1]).notna()
    cells = cells.assign(n=cells["n"].where(~counted).fillna(sized(cells)["n"].round().astype("Int64")))
    keys = cells.set_index("cell_id")[[*KEYS]]
    found = dict(tables)
    found["cells"] = _first(cells, ("run_id", "cell_id", *KEYS))
    found["checks"] = _with_keys(tables["checks"], keys)
    found["samples"] = _with_keys(tables["samples"], keys)
    found["timings"] = _with_keys(tables["timings"].rename(columns={"n": "count"}), keys)
    for name in ("steps", "descents"):
        found[name] = _first(tables[name].join(_parts_of_descents(tables[name]["cell_id"])), ("cell_id", *KEYS))
    group = ["problem", "size"]
    numbers = cells.drop_duplicates(group).set_index(group)["n"]
    pairs = tables["pairs"]
    places = pd.MultiIndex.from_arrays([pairs["problem"], pairs["size"]])
    found["pairs"] = _first(pairs.assign(n=numbers.reindex(places).to_numpy()).astype({"n": "Int64"}), KEYS)
    specs = tables["questions"]["backend"].map(split_spec)
    backends = {"backend": specs.map(lambda spec: spec[0]), "variant": specs.map(lambda spec: spec[1])}
    found["questions"] = _first(tables["questions"].assign(**backends), ("backend", "variant"))
    return found


def _with_keys(frame: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Return a table of cells with their parts; the import of a framework has its backend alone."""
    found = frame.join(keys, on="cell_id")
    alone = found["backend"].isna()
    for name in KEYS:
        if name != "n":
            found[name] = found[name].fillna("").astype("str")
    specs = found.loc[alone, "cell_id"].map(split_spec)
    found.loc[alone, "backend"] = specs.map(lambda spec: spec[0]).astype("str")
    found.loc[alone, "variant"] = specs.map(lambda spec: spec[1]).astype("str")
    return _first(found, ("cell_id", *KEYS))


def _parts_of_descents(ids: pd.Series[str]) -> pd.DataFrame:
    """Return the parts of the ids of descents, ``problem/descent/dtype/step/backend[:variant]``."""
    parts = [text.split("/", 4) for text in ids]
    whole = [part if len(part) == 5 else ["", "", "", "", part[-1]] for part in parts]
    specs = [split_spec(part[4]) for part in whole]
    columns = {
        "problem": [part[0] for part in whole],
        # A descent has inputs of its own, whatever the sizes of its problem.
        "size": [""] * len(whole),
        "descent": [part[1] for part in whole],
        "dtype": [part[2] for part in whole],
        "operator": [part[3] for part in whole],
        "backend": [backend for backend, _ in specs],
        "variant": [variant for _, variant in specs],
    }
    found = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})
    return found.assign(n=pd.array([pd.NA] * len(whole), dtype="Int64")).set_index(ids.index)


def _first(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Return a frame with these of its columns first, and without other changes."""
    there = [name for name in names if name in frame]
    return frame[[*there, *frame.columns.drop(there)]]


# ---- times


def _by_cell(timings: pd.DataFrame, phase: Phase) -> pd.DataFrame:
    return timings[timings["phase"] == phase].drop_duplicates("cell_id").set_index("cell_id")


def setup_seconds(timings: pd.DataFrame) -> pd.Series[float]:
    """Return the seconds of preparation and first call, by cell."""
    early = timings[timings["phase"].isin([Phase.PREPARE, Phase.FIRST_CALL])]
    return early.drop_duplicates(["cell_id", "phase"]).groupby("cell_id")["median_s"].sum()


def _ratios(cells: pd.DataFrame, samples: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Return the ratio of each compared cell to the fastest of its group, with the ends of its interval."""
    compared = cells[cells["verdict"].isin(["fastest", "slower", "tie"])]
    chosen = samples[(samples["phase"] == Phase.STEADY) & samples["cell_id"].isin(compared["cell_id"])]
    rounds = {cell: series for (cell, _, _), series in series_of(rows_from(chosen, SampleRow)).items()}
    found: dict[str, tuple[float, float, float]] = {}
    for _, members in compared.groupby(["problem", "size", "dtype", "operator"], sort=False):
        best = members.loc[members["verdict"] == "fastest", "cell_id"]
        if len(best) != 1:
            continue
        for cell_id in members["cell_id"]:
            same = cell_id == best.iloc[0]
            found[cell_id] = (1.0, 1.0, 1.0) if same else paired_ratio(rounds[cell_id], rounds[best.iloc[0]])
    return found


# ---- errors


def worst_errors(checks: pd.DataFrame) -> pd.DataFrame:
    """Return for each cell the largest relative error against the best reference that it was compared with.

    Returns
    -------
    pandas.DataFrame
        ``cell_id``, ``error``, ``tolerance`` and ``reference`` of that comparison.
    """
    rows = checks[checks["norm_rel_error"].notna()].copy()
    rank = {name: k for k, name in enumerate(_REFERENCES)}
    rows["rank"] = rows["reference"].str.split(r"[ :(]", n=1, regex=True).str[0].map(rank).fillna(len(rank))
    best = rows[rows["rank"] == rows.groupby("cell_id")["rank"].transform("min")]
    worst = best.sort_values("norm_rel_error", kind="stable").drop_duplicates("cell_id", keep="last")
    chosen = worst[["cell_id", "norm_rel_error", "tolerance", "reference"]]
    return chosen.rename(columns={"norm_rel_error": "error"})


def in_eps(errors: pd.Series[float], dtypes: pd.Series[str]) -> pd.Series[float]:
    """Return relative errors in units of the machine epsilon of their dtypes."""
    eps = {dtype: limits(dtype).eps for dtype in (*DTYPES, *HALF_DTYPES)}
    return errors / dtypes.map(eps).astype("float64")


def right_and_timed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the right cells whose time a log axis can show."""
    measured = (frame["median_s"] > 0) & np.isfinite(frame["median_s"])
    right: pd.DataFrame = frame[(frame["status"] == Status.OK) & measured]
    return right


# ---- sizes


def sized(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells with their sizes as numbers: ``n``, and ``axis``, what it counts.

    It is the degree of a Taylor series, the rows of a batch, the number by which the size is given, the number of
    inputs if the sizes differ in it, or the problem's own number. It is nan if none of these is known.
    """
    cells = cells.assign(n=np.nan, axis="")
    series = cells["size"].map(lambda size: split_degree(size)[1]).astype("float64")
    cells.loc[series.notna(), "n"], cells.loc[series.notna(), "axis"] = series, "degree of the Taylor series"
    for problem, group in cells[series.isna()].groupby("problem", sort=False):
        numbers, axis = _numbers(str(problem), group)
        if numbers:
            cells.loc[group.index, "n"] = group["size"].map(numbers).astype("float64")
            cells.loc[group.index, "axis"] = axis
    return cells


def _numbers(problem: str, group: pd.DataFrame) -> tuple[dict[str, float], str]:
    """Return size -> number for the sizes of one problem, and what the numbers count; nothing if they are unknown."""
    names = list(dict.fromkeys(group["size"]))
    inputs = group.dropna(subset=["n_inputs"]).drop_duplicates("size").set_index("size")["n_inputs"]
    known = problems.available().get(problem)
    own = dict(known.sizes) if known is not None else {}
    given = {size: number_of(size) or own.get(size) for size in names}
    rows = {size: split_rows(size) for size in names}
    if len({base for base, _ in rows.values()}) == 1 and all(count is not None for _, count in rows.values()):
        return {size: float(count or 0) for size, (_, count) in rows.items()}, "rows of the batch"
    if any(map(number_of, names)) and None not in given.values():
        return {size: float(n or 0) for size, n in given.items()}, "size n"
    if len(inputs) == len(names) == inputs.nunique() and (inputs > 0).all():
        return {size: float(inputs[size]) for size in names}, "number of inputs"
    if set(names) <= set(own):
        return {size: float(own[size]) for size in names}, "size of the problem"
    return {}, ""
