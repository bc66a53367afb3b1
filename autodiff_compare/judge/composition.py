"""Composite operators: cases and results taken apart into those of single derivatives, so that each is judged alone.

A result of `vocabulary.PARTS` holds the leaves of its parts one after the other. A result of `vocabulary.BATCHES` holds
the rows of one operator along a new first axis: row r belongs to the r-th direction, or to the r-th sample. Either way
it is right if every part is right, and a part is an ordinary case: its reference, its tolerances and its numerical
differences are those of the single derivative. In this way batching is never judged by batching.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autodiff_compare.plan.cases import Case, sample_of
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import BATCHES, PARTS, SAMPLED, Operator

#: Most rows of a batch that are judged. Of more rows, the first, the last and random ones between are.
MOST_ROWS = 256


@dataclass(frozen=True)
class Part:
    """One part of a composite case.

    Parameters
    ----------
    case
        The case of a single derivative.
    row
        Number of the row in a batch; `None` for a part that stands beside others.
    """

    case: Case
    row: int | None = None


def is_composite(operator: Operator) -> bool:
    """Return whether an operator's results are composed of others'."""
    return operator in PARTS or operator in BATCHES


def rows_of(case: Case) -> int:
    """Return the number of rows of a batch."""
    if case.operator in SAMPLED:
        return case.samples
    return len(case.directions[0])


def parts_of(case: Case) -> tuple[Part, ...]:
    """Return the parts of a composite case that are judged; nothing for a single derivative."""
    if case.operator in PARTS:
        return tuple(Part(_beside(case, operator)) for operator in PARTS[case.operator])
    if case.operator in BATCHES:
        return tuple(Part(row_case(case, r), r) for r in _judged_rows(case))
    return ()


def unseen_rows(case: Case) -> int:
    """Return the number of rows of a batch that are not judged."""
    return rows_of(case) - len(_judged_rows(case)) if case.operator in BATCHES else 0


def row_case(case: Case, row: int) -> Case:
    """Return the case of one row of a batch."""
    operator = BATCHES[case.operator]
    if case.operator in SAMPLED:
        return replace(case, operator=operator, inputs=sample_of(case.problem, case.inputs, row))
    return replace(case, operator=operator, directions=tuple(direction[row] for direction in case.directions))


def split(case: Case, parts: Sequence[Part], counts: Sequence[int], result: Sequence[Array]) -> Iterator[list[Array]]:
    """Yield the leaves of each part of a result.

    Parameters
    ----------
    counts
        The number of leaves of each part.
    """
    start = 0
    for part, count in zip(parts, counts, strict=True):
        if case.operator in BATCHES:
            yield [np.asarray(leaf[part.row]) for leaf in result]
        else:
            yield list(result[start : start + count])
            start += count


def _beside(case: Case, operator: Operator) -> Case:
    directed = operator in (Operator.JVP, Operator.VJP, Operator.HVP)
    return replace(case, operator=operator, directions=case.directions if directed else ())


def _judged_rows(case: Case) -> list[int]:
    rows = rows_of(case)
    if rows <= MOST_ROWS:
        return list(range(rows))
    between = np.random.default_rng(case.seed).choice(np.arange(1, rows - 1), MOST_ROWS - 2, replace=False)
    return [0, *sorted(between.tolist()), rows - 1]
