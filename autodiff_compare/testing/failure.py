"""A failed assertion in about ten lines: the entry, what was got, what was expected, and how that is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from autodiff_compare.judge.comparison import in_digits
from autodiff_compare.judge.complex_numbers import PAIRS
from autodiff_compare.judge.judge import Comparison
from autodiff_compare.judge.reference import NUMERICAL_DIFFERENCE
from autodiff_compare.testing.containers import Arrays
from autodiff_compare.vocabulary import Operator, Verdict

#: Verdicts that prove a part of a result right.
PROVED = (Verdict.PASS, Verdict.SUBGRADIENT)


#: Verdict without a number that was expected -> what stands in its place.
_UNKNOWN = defaultdict(
    lambda: "a number that can be determined",
    {
        Verdict.NONSMOOTH: "a number between the one-sided derivatives: the function has a kink here",
        Verdict.UNDETERMINED: "a point where the function is finite, and finite nearby",
    },
)


def failure(operator: Operator, point: Arrays, comparisons: Sequence[Comparison], why: str) -> str:
    """Return the failure in about ten lines: the first comparison that failed, with its numbers."""
    bad = next((c for c in comparisons if c.verdict not in PROVED), None)
    if bad is None or not bad.reference or bad.got != bad.got:
        return f"{operator} is wrong: {why}"
    got, expected = in_digits(bad.got, bad.expected)
    off = abs(bad.got - bad.expected)
    part = f" (relative: {off / abs(bad.expected):.2g})" if bad.expected else ""
    known = bad.expected == bad.expected
    observed = bad.reference == NUMERICAL_DIFFERENCE
    source = bad.how if observed else f"our engine in {bad.reference.replace('_', ' ')}"
    lines = {
        "entry": f"{bad.worst_index or 'none: along a direction'}{_of(bad, point)}",
        "got": got,
        "expected": f"{expected} +- {bad.entry_tolerance:.2g}" if known else _UNKNOWN[bad.verdict],
        "off by": f"{off:.2g}{part}" if known else "",
        "by": source,
        "note": _note(bad) if observed and known else bad.note,
    }
    return "\n".join([_head(operator, bad), *(f"  {k:<9} {v}" for k, v in lines.items() if v)])


def _head(operator: Operator, bad: Comparison) -> str:
    """Return the first line: the part of the result where there are several, and the verdict where it tells more."""
    words = [] if bad.quantity == operator else [bad.quantity]
    if bad.verdict != Verdict.FAIL:
        words.append(bad.verdict)
    proved = bad.verdict not in (Verdict.UNDETERMINED, Verdict.INCONCLUSIVE)
    return ": ".join([f"{operator} is {'wrong' if proved else 'not proved right'}", *words])


def _note(bad: Comparison) -> str:
    """Return the note of an observation without the numbers that follow, which are told already."""
    first = bad.note.partition(";")[0]
    return f"{first}; {PAIRS}" if PAIRS in bad.note else first


def _of(bad: Comparison, point: Arrays) -> str:
    """Return which array the entry belongs to, if there are several."""
    _, bracket, number = bad.quantity.partition("[")
    if not bracket or "," in number:
        return ""
    return f" of the derivative by {point.names[int(number.rstrip(']'))]}"
