"""Section of the tape study: questions, expected answers, and each backend's answer with the source that was run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autodiff_compare.report.page.grids import Cell, Grid, words
from autodiff_compare.report.page.page import Section
from autodiff_compare.report.page.record import Record


def sections(record: Record) -> Iterator[Section]:
    """Yield the section with the answers and their source texts, if the run has questions."""
    frame = record.tables["questions"]
    if frame.empty:
        return
    specs = list(dict.fromkeys(frame["backend"]))
    groups = [(str(name), group.to_dict("records")) for name, group in frame.groupby("question", sort=False)]
    equal, excused = int(frame["equal"].sum()), int((~frame["equal"] & (frame["convention"] != "")).sum())
    lead = (
        f"{equal} of {len(frame)} answers are as expected, {excused} follow a documented convention of their "
        f"framework, {len(frame) - equal - excused} do neither."
    )
    answers, spelled = [], []
    for name, rows in groups:
        by_spec = {str(row["backend"]): row for row in rows}
        asked = words(name, small=(str(rows[0]["asked"]),))
        answers.append(
            (asked, Cell(str(rows[0]["expected"]), code=True), *(_answer(by_spec.get(spec)) for spec in specs))
        )
        spelled.append((words(name), *(_spelled(by_spec.get(spec)) for spec in specs)))
    yield Section(
        "study-tape", "Tape study: questions to each system", lead,
        (
            Grid("questions", "Answers of each backend", ("question", "expected", *specs), tuple(answers)),
            Grid("spelled", "Source text that each backend ran", ("question", *specs), tuple(spelled), fold=True),
        ),
    )  # fmt: skip


def _answer(row: Mapping[Any, Any] | None) -> Cell:
    if row is None:
        return words("not asked", "dim")
    obtained, said = str(row["obtained"]), str(row["message"])
    shown = obtained if len(obtained) <= 60 else f"{obtained[:57]}..."
    if row["equal"]:
        return Cell("as expected", (shown,), kind="ok", hint=said)
    kind, why = ("dim", str(row["convention"])) if row["convention"] else ("bad", said or "not as expected")
    return Cell(why, (shown,), kind=kind, hint=said)


def _spelled(row: Mapping[Any, Any] | None) -> Cell:
    return Cell(str(row["spelled"]), code=True) if row is not None else words("", "dim")
