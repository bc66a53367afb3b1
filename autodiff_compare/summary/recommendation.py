"""Which backend and variant for one function, given how many evaluations are planned: derived from tables alone.

A backend costs ``once + (calls - 1) * steady``: what it takes until the first result is there (preparing and the first
call), and each call after that. Which is cheapest depends on the number of calls.

How sure the answer is follows from what is known of the two parts. The times of a call are compared by the 99 %
interval of their per-round ratio (`autodiff_compare.timing.statistics`). What is paid once was measured once or a few
times, and is trusted to a factor of two: an answer that this factor could turn over is said to be open. Importing a
framework is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodiff_compare.results.tables import CellRow, CheckRow, SampleRow, TimingRow, rows_from
from autodiff_compare.results.timings import rounds_of
from autodiff_compare.timing.statistics import ENOUGH_ROUNDS, MATTERS, order_statistic_interval
from autodiff_compare.vocabulary import Operator, Phase, Status, because, join_spec

#: Seconds of a whole job below which nobody notices a difference.
UNNOTICED_S = 0.1
#: What was measured once is trusted to this factor.
ONCE_FACTOR = 2.0
#: A number of calls that no job makes.
_MOST_CALLS = 10**15


class RecommendError(ValueError):
    """There is nothing to recommend from; the message says what to do."""


class NothingRight(RecommendError):  # noqa: N818 - nothing failed: the answer is that there is none
    """Of the backends that were asked none is right and timed; the message says what became of each.

    Parameters
    ----------
    cells
        Their rows.
    """

    def __init__(self, cells: Sequence[CellRow]) -> None:
        why = "".join(f"\n  {_spec(c)}: {' '.join(_reason(c).split())[:200]}" for c in cells)
        super().__init__(f"got no backend that is right and timed, expected one:{why}")
        #: Whether some backend gave a wrong result, as opposed to none.
        self.wrong = any(c.status == Status.WRONG for c in cells)


@dataclass(frozen=True)
class Candidate:
    """What is known of one right backend.

    Parameters
    ----------
    spec
        ``name[@label][:variant]``.
    once_s
        Preparing and the first call.
    steady_s, low_s, high_s
        A call after that: median over rounds, and its 95 % interval.
    rounds
        Seconds per call of each round.
    error
        The largest relative error; ``nan`` if none is known.
    peak_bytes
        Growth of peak memory in one call, or `None`.
    flags
        What its timings are to be read with care for.
    """

    spec: str
    once_s: float
    steady_s: float
    low_s: float
    high_s: float
    rounds: tuple[float, ...]
    error: float
    peak_bytes: int | None
    flags: tuple[str, ...]

    def total(self, calls: int) -> float:
        """Seconds for so many calls."""
        return self.once_s + (calls - 1) * self.steady_s


@dataclass(frozen=True)
class Recommendation:
    """Which candidate for a number of calls, and what speaks for it.

    Parameters
    ----------
    title
        What was asked.
    calls
        Evaluations planned.
    ranked
        Candidates by total time, the cheapest first.
    equals
        Those that cannot be told from the cheapest, or not by as much as anybody would notice.
    open_to
        Those that would be cheaper if what was measured once were off by `ONCE_FACTOR`.
    ranges
        ``(first number of calls, candidate)``: the cheapest from there on.
    left_out
        Backend -> why it is no candidate.
    """

    title: str
    calls: int
    ranked: tuple[Candidate, ...]
    equals: tuple[Candidate, ...]
    open_to: tuple[Candidate, ...]
    ranges: tuple[tuple[int, Candidate], ...]
    left_out: Mapping[str, str]

    @property
    def best(self) -> Candidate:
        return self.ranked[0]


def leading(operators: Iterable[str]) -> Operator:
    """What one mostly wants of a function: its gradient, else its Jacobian."""
    has, order = set(operators), (Operator.GRADIENT, Operator.JACOBIAN, *Operator)
    return Operator(next(o for o in order if o in has))


def recommendation(
    tables: Mapping[str, Any], problem: str | None, calls: int, operator: str | None = None, size: str | None = None
) -> Recommendation:
    """What to take, from the tables of a run.

    Parameters
    ----------
    tables
        As `autodiff_compare.results.tables.read_all` gives them.
    problem, operator, size
        Which cells; where not given, those of the run if it has but one such. A path stands for the problem in it.
    calls
        Evaluations planned, from 1.

    Raises
    ------
    RecommendError
        If the run has no such cells, with the choices, or none of them is right and timed (`NothingRight`).
    """
    every = rows_from(tables["cells"], CellRow)
    if not every:
        raise RecommendError("got a run without cells, expected one of compare.py run")
    cells = _chosen_cells(every, problem, operator, size)
    ids = {cell.cell_id for cell in cells}
    rounds = rounds_of(s for s in rows_from(tables["samples"], SampleRow) if s.cell_id in ids)
    timed = {(t.cell_id, t.phase): t for t in rows_from(tables["timings"], TimingRow) if t.cell_id in ids}
    errors: dict[str, float] = {}
    for check in rows_from(tables["checks"], CheckRow):
        if check.cell_id in ids and not math.isnan(check.norm_rel_error):
            errors[check.cell_id] = max(errors.get(check.cell_id, 0.0), check.norm_rel_error)
    found = [c for c in (_candidate(cell, timed, rounds, errors) for cell in cells) if c is not None]
    if not found:
        raise NothingRight(cells)
    names = {c.spec for c in found}
    left_out = {_spec(c): _reason(c) for c in cells if _spec(c) not in names}
    ranked = tuple(sorted(found, key=lambda c: c.total(calls)))
    best = ranked[0]
    equals = tuple(c for c in ranked[1:] if _equal(best, c, calls))
    open_to = tuple(c for c in ranked[1:] if c not in equals and not _surely_cheaper(best, c, calls))
    return Recommendation(_title(cells[0]), calls, ranked, equals, open_to, _ranges(found), left_out)


def _chosen_cells(
    cells: Sequence[CellRow], problem: str | None, operator: str | None, size: str | None
) -> list[CellRow]:
    """The cells of one group."""
    if problem is not None and problem.endswith(".py"):
        problem = problem.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    wanted = {"problem": problem, "size": size}
    for name, value in wanted.items():
        cells = _matching(cells, name, value)
    if operator is None and cells:
        operator = leading({cell.operator for cell in cells})
    cells = _matching(cells, "operator", operator)
    return [c for c in cells if c.dtype == cells[0].dtype]


def _matching(cells: Sequence[CellRow], column: str, value: str | None) -> list[CellRow]:
    choices = list(dict.fromkeys(str(getattr(cell, column)) for cell in cells))
    if value is None and len(choices) > 1:
        raise RecommendError(f"got a run with more than one {column}, expected one of: {', '.join(choices)}")
    if value is not None and value not in choices:
        raise RecommendError(f"got {column} {value!r}, expected one of: {', '.join(choices) or 'none'}")
    return [cell for cell in cells if value is None or getattr(cell, column) == value]


def _candidate(
    cell: CellRow,
    timed: Mapping[tuple[str, str], TimingRow],
    rounds: Mapping[tuple[str, str], Sequence[float]],
    errors: Mapping[str, float],
) -> Candidate | None:
    steady = timed.get((cell.cell_id, Phase.STEADY))
    once = [timed.get((cell.cell_id, phase)) for phase in (Phase.PREPARE, Phase.FIRST_CALL)]
    if cell.status != Status.OK or steady is None or None in once:
        return None
    known = not math.isnan(steady.ci_low_s)
    return Candidate(
        spec=_spec(cell),
        once_s=sum(t.median_s for t in once if t),
        steady_s=steady.median_s,
        low_s=steady.ci_low_s if known else steady.median_s,
        high_s=steady.ci_high_s if known else steady.median_s,
        rounds=tuple(rounds[cell.cell_id, Phase.STEADY]),
        error=errors.get(cell.cell_id, math.nan),
        peak_bytes=cell.peak_rss_bytes,
        flags=tuple(cell.flags.split()),
    )


def _spec(cell: CellRow) -> str:
    return join_spec(cell.backend, cell.variant)


def _reason(cell: CellRow) -> str:
    return "right, but not timed" if cell.status == Status.OK else because(cell.status.replace("_", " "), cell.message)


def _title(cell: CellRow) -> str:
    return f"{cell.problem}, {cell.size} ({cell.n_inputs} inputs), {cell.dtype}: {cell.operator}"


def _equal(best: Candidate, other: Candidate, calls: int) -> bool:
    """Whether nobody would notice the difference, or whether the clock cannot tell it."""
    gap = other.total(calls) - best.total(calls)
    if gap < max(UNNOTICED_S, MATTERS * best.total(calls)):
        return True
    steady = all(ONCE_FACTOR * c.once_s < MATTERS * c.total(calls) for c in (best, other))
    return steady and not _least_ratio(other, best) > 1 + MATTERS


def _surely_cheaper(best: Candidate, other: Candidate, calls: int) -> bool:
    """Whether it stays so if what is paid once is off by a factor, and the calls differ as little as they may."""
    worst = ONCE_FACTOR * best.once_s + (calls - 1) * best.steady_s
    return worst < other.once_s / ONCE_FACTOR + (calls - 1) * best.steady_s * _least_ratio(other, best)


def _least_ratio(a: Candidate, b: Candidate) -> float:
    """The least that a call of ``a`` costs in calls of ``b``, 99 % sure; nan with too few rounds side by side."""
    if len(a.rounds) != len(b.rounds) or len(a.rounds) < ENOUGH_ROUNDS:
        return math.nan
    ratios = [math.log(x / y) for x, y in zip(a.rounds, b.rounds, strict=True)]
    return math.exp(order_statistic_interval(ratios, 0.99)[0])


def _ranges(found: Sequence[Candidate]) -> tuple[tuple[int, Candidate], ...]:
    """The lower envelope of the totals: from how many calls on which one is the cheapest."""
    ranges = [(1, min(found, key=lambda c: (c.total(1), c.steady_s)))]
    while True:
        at, now = ranges[-1]
        turns = [(turn, c) for c in found if (turn := _overtakes(c, now, at)) is not None]
        if not turns:
            return tuple(ranges)
        ranges.append(min(turns, key=lambda pair: (pair[0], pair[1].steady_s)))


def _overtakes(c: Candidate, now: Candidate, at: int) -> int | None:
    """The first number of calls after ``at`` from which ``c`` is cheaper than ``now``; `None` if it never is."""
    if not c.steady_s < now.steady_s:
        return None
    calls = math.floor((c.once_s - now.once_s) / (now.steady_s - c.steady_s)) + 2
    return max(calls, at + 1) if calls < _MOST_CALLS else None
