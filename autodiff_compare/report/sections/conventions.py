"""Section of the atlas of conventions: answers by class, defects with a remedy, and every case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from autodiff_compare.report.page import wording
from autodiff_compare.report.page.grids import Cell, Data, Grid, figure, words
from autodiff_compare.report.page.page import Section
from autodiff_compare.report.page.record import Record
from autodiff_compare.results import formatting
from autodiff_compare.results.tables import specs_of
from autodiff_compare.summary.conventions import LETTERS, order


def sections(record: Record) -> Iterator[Section]:
    """Yield the section, if the run has answers."""
    frame = _answers(record)
    if frame.empty:
        return
    specs = order(list(dict.fromkeys(frame["spec"])))
    cases, defects = frame["case"].nunique(), frame[frame["classed"] == "defect"]
    per = defects["spec"].value_counts()
    lead = (
        f"{wording.plural(cases, 'case')} of {wording.plural(frame['family'].nunique(), 'family', 'families')} on "
        f"{wording.plural(len(specs), 'backend')}. Defects: "
        f"{formatting.listed((f'{s} {per.get(s, 0)}' for s in specs), 20)}."
    )
    parts = (counts(record), _defects(defects), _atlas(frame, specs))
    yield Section("conventions", "Conventions: where systems disagree", lead, tuple(part for part in parts if part))


def _answers(record: Record) -> pd.DataFrame:
    """Return the table case by case, with the column ``spec`` (``backend[:variant]``)."""
    frame = record.tables["conventions"]
    places = {case: k for k, case in enumerate(frame["case"].unique())}
    return frame.assign(spec=specs_of(frame), place=frame["case"].map(places)).sort_values("place", kind="stable")


def counts(record: Record) -> Grid:
    """Return the number of answers by class and backend."""
    frame = _answers(record)
    specs = order(list(dict.fromkeys(frame["spec"])))
    found = frame.groupby(["classed", "spec"], sort=False).size()
    known = {str(classed): meaning for classed, (_, meaning) in LETTERS.items()}
    classes = [*(c for c in known if c in set(frame["classed"])), *sorted(set(frame["classed"]) - set(known))]
    rows = [
        (words(known.get(c, c)), *(figure(n, str(n)) for n in (int(found.get((c, s), 0)) for s in specs)))
        for c in classes
    ]
    numeric = frozenset(range(1, len(specs) + 1))
    return Grid("convention-counts", "Answers by class", ("class", *specs), tuple(rows), numeric)


def _defects(defects: pd.DataFrame) -> Grid:
    """Return each defect with its reason and remedy; backends with the same answer share a row."""
    rows = []
    keys = ["case", "operator", "dtype", "obtained", "message"]
    for (case, operator, dtype, obtained, message), group in defects.groupby(keys, sort=False):
        row = group.to_dict("records")[0]
        rows.append((
            words(str(case), small=(f"{row['family']}, {operator}, {dtype}",)), words(formatting.listed(group["spec"])),
            Cell(_plain(row["expected"]), code=True), Cell(_plain(obtained) or "nothing", code=True, kind="bad"),
            words(str(message) or "the answer is outside the right values", long=True),
            words(str(row["safe"]) or "no remedy is known", long=True),
        ))  # fmt: skip
    columns = ("case", "backends", "right", "obtained", "why", "write instead")
    return Grid("convention-defects", "Defects and their remedies", columns, tuple(rows))


def _plain(numbers: Any) -> str:
    """Return a list of a table without the quotes around nan and infinities; an empty text for an empty list."""
    return "" if numbers == "[]" else str(numbers).replace('"', "")


def _atlas(frame: pd.DataFrame, specs: Sequence[str]) -> Data:
    """Return one row for each case: the right answer, and each backend's class and answer."""
    rows = []
    keys = ["family", "case", "operator", "dtype"]
    for key, group in frame.groupby(keys, sort=False):
        by_spec = {row["spec"]: row for row in group.to_dict("records")}
        first = next(iter(by_spec.values()))
        answers = (
            f"{by_spec[s]['classed']} {_plain(by_spec[s]['obtained'])}".strip() if s in by_spec else "" for s in specs
        )
        family, case, operator, dtype = map(str, key)
        rows.append(
            (family, case, _plain(first["expected"]), *answers, first["function"], first["right"], operator, dtype)
        )
    columns = ("family", "case", "expected", *specs, "function", "right", "operator", "dtype")
    note = (
        "Filter by any words, for instance 'torch kinks' or 'defect'. compare.py conventions --explain CASE derives "
        "the right answer of a case."
    )
    title = f"All cases ({wording.plural(len(rows), 'row')})"
    return Data("atlas", title, columns, [False] * len(columns), rows, note)
