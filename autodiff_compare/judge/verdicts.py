"""Comparisons of a result with its reference, and the status of a cell that follows from all of them.

The comparisons of a composite result are those of its parts. Of a batch, each quantity has the comparison of its worst
row, so that a thousand rows are one line of the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autodiff_compare.judge.comparison import in_digits, join_notes
from autodiff_compare.judge.composition import unseen_rows
from autodiff_compare.judge.reference import NUMERICAL_DIFFERENCE
from autodiff_compare.plan.cases import Case
from autodiff_compare.vocabulary import BATCHES, Status, Verdict

#: Verdicts that prove a result right, and those that prove it wrong.
PROVED = frozenset({Verdict.PASS, Verdict.SUBGRADIENT, Verdict.ESTIMATE})
REFUTED = frozenset({Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE})


@dataclass(frozen=True)
class Comparison:
    """One comparison of a result with its reference; `results.rows.CheckRow` documents the fields."""

    quantity: str
    reference: str
    max_abs_error: float
    norm_rel_error: float
    max_ulp_error: float
    reference_error_bound: float
    tolerance: float
    worst_index: str
    nonfinite_count: int
    verdict: Verdict
    note: str
    got: float = math.nan
    expected: float = math.nan
    entry_tolerance: float = math.nan
    how: str = ""


def overall(comparisons: Sequence[Comparison]) -> tuple[Status, str]:
    """Return the status of a cell from the comparisons of its result, and the reason if it is not ``OK``.

    The status is ``OK`` only if no comparison is refuted, at least one compares numbers, and all of those prove them
    right (``pass``, ``subgradient`` or ``estimate``). Every other result is ``WRONG``.
    """
    refuted = [c for c in comparisons if c.verdict in REFUTED]
    if refuted:
        return Status.WRONG, "; ".join(_description(c) for c in refuted[:2])
    numbers = [c for c in comparisons if c.reference]
    unproved = [c for c in numbers if c.verdict not in PROVED]
    if unproved or not numbers:
        reason = "; ".join(map(_description, unproved[:2])) or "nothing was compared"
        return Status.WRONG, f"not proved right: {reason}"
    return Status.OK, ""


def merged(case: Case, parts: Sequence[Sequence[Comparison]], rows: Sequence[int | None]) -> tuple[Comparison, ...]:
    """Return the comparisons of a composite result from those of its parts.

    Parameters
    ----------
    case
        The composite case.
    parts
        The comparisons of the numbers of each part.
    rows
        The number of the row that each part is.
    """
    if case.operator not in BATCHES:
        return tuple(comparison for part in parts for comparison in part)
    by_quantity: dict[str, list[Comparison]] = {}
    for row, comparisons in zip(rows, parts, strict=True):
        for c in comparisons:
            index = f"[{', '.join(filter(None, (str(row), c.worst_index.strip('[]'))))}]"
            named = replace(c, worst_index=index, note=join_notes(f"row {row}", c.note))
            by_quantity.setdefault(c.quantity, []).append(named)
    hidden = unseen_rows(case)
    note = f"{hidden} other rows were not looked at" if hidden else ""
    found = []
    for quantity, every in by_quantity.items():
        worst = max(every, key=_badness)
        name = quantity.replace(str(BATCHES[case.operator]), str(case.operator), 1)
        count = sum(c.nonfinite_count for c in every)
        found.append(replace(worst, quantity=name, nonfinite_count=count, note=join_notes(worst.note, note)))
    return tuple(found)


def _badness(c: Comparison) -> tuple[int, float]:
    """Return an order of comparisons: refuted ones last, then by the error in units of the tolerance."""
    rank = 3 if c.verdict in REFUTED else 2 if c.verdict not in PROVED else int(c.verdict == Verdict.SUBGRADIENT)
    excess = c.norm_rel_error / c.tolerance if c.tolerance > 0 else c.norm_rel_error
    return rank, math.inf if math.isnan(excess) else excess


def yes_or_no(quantity: str, right: bool, note: str) -> Comparison:
    """Return a comparison that has no numbers; the note is kept if it failed."""
    nan = math.nan
    verdict = Verdict.PASS if right else Verdict.FAIL
    return Comparison(quantity, "", nan, nan, nan, nan, nan, "", 0, verdict, "" if right else note)


def _description(c: Comparison) -> str:
    """Return one comparison in words, for the message of a cell."""
    if not c.reference:
        return f"{c.quantity}: {c.note}"
    if c.verdict == Verdict.NONFINITE:
        entries = "entry" if c.nonfinite_count == 1 else "entries"
        return join_notes(f"{c.quantity}: {c.nonfinite_count} {entries} nan or infinite ({c.reference})", c.note)
    if c.reference == NUMERICAL_DIFFERENCE:
        # The note names the entry or direction, what was got and expected, and how.
        return f"{c.quantity} {c.verdict} ({c.reference}): {c.note}"
    where = f" at {c.worst_index}" if c.worst_index else ""
    got, expected = in_digits(c.got, c.expected)
    numbers = f"got {got}, expected {expected} +- {c.entry_tolerance:.2g} ({c.reference})"
    return join_notes(f"{c.quantity} {c.verdict}{where}: {numbers}", c.note)
