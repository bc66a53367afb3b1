"""Recommendation of a backend for one function and a planned number of calls, from the tables of a run alone.

A backend takes ``once + (calls - 1) * steady`` seconds: the preparation with the first call, then each later call. The
cheapest backend depends on the number of calls.

The certainty follows from what is known of the two parts. Times of a steady call are compared by the 99 % interval of
their per-round ratio (`autodiff_compare.timing.statistics`). The first call was measured once or a few times and is
trusted to a factor of 2: a choice that this factor could reverse is called open. Importing a framework is not counted.

A flagged time proves no difference. A backend whose time is not that of its computation (`unseen`) is no candidate.

Only cells of one machine are compared (`autodiff_compare.results.machines`): of that which has most of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodiff_compare.plan.operators import leading
from autodiff_compare.results.rows import CellRow, CheckRow, SampleRow, TimingRow
from autodiff_compare.results.tables import rows_from
from autodiff_compare.results.timings import doubtful, series_of, steady_of, unseen
from autodiff_compare.summary.break_even import Line, cheapest
from autodiff_compare.timing.statistics import ENOUGH_ROUNDS, MATTERS, Round, order_statistic_interval, quiet_pairs
from autodiff_compare.vocabulary import Phase, Status, because, join_spec

#: Differences of a whole job below this many seconds do not matter.
UNNOTICED_S = 0.1
#: The time of the first call, measured once, is trusted to this factor.
ONCE_FACTOR = 2.0
#: A backend that was not compared, because of a flag or of other programs on the CPU, is open up to this factor.
NEAR = 3.0
#: Largest number of calls that is considered.
_MOST_CALLS = 10**15
#: Reason for leaving out a cell that another machine computed.
_ELSEWHERE = "computed on another machine: times of two machines are not compared"


class RecommendError(ValueError):
    """A run from which nothing can be recommended; the message says what to do."""


class NothingRight(RecommendError):  # noqa: N818 - the run did not fail: no backend can be recommended
    """No backend is right and timed; the message gives the reason for each.

    Parameters
    ----------
    cells
        Rows of the backends' cells.
    """

    def __init__(self, cells: Sequence[CellRow]) -> None:
        why = "".join(f"\n  {_spec(c)}: {' '.join(_reason(c).split())[:200]}" for c in cells)
        super().__init__(f"got no backend that is right and timed, expected one:{why}")
        #: Whether any backend gave a wrong result; else none gave a result.
        self.wrong = any(c.status == Status.WRONG for c in cells)


@dataclass(frozen=True)
class Candidate:
    """Costs of one backend whose results are right.

    Parameters
    ----------
    spec
        ``name[@label][:variant]``.
    once_s
        Seconds of preparation and first call.
    steady_s, low_s, high_s
        Seconds of each later call: median over rounds, and its 95 % interval.
    rounds
        Its rounds.
    error
        Largest relative error; nan if unknown.
    peak_bytes
        Growth of peak memory in one call, or `None`.
    flags
        Flags of its timings.
    """

    spec: str
    once_s: float
    steady_s: float
    low_s: float
    high_s: float
    rounds: tuple[Round, ...]
    error: float
    peak_bytes: int | None
    flags: tuple[str, ...]

    def total(self, calls: int) -> float:
        """Return the seconds for ``calls`` calls."""
        return self.once_s + (calls - 1) * self.steady_s

    @property
    def doubts(self) -> list[str]:
        """Return the flags that forbid to conclude anything from its time."""
        return doubtful(" ".join(self.flags))


@dataclass(frozen=True)
class Recommendation:
    """Candidates for a planned number of calls, ranked, with the certainty of the ranking.

    Parameters
    ----------
    title
        Problem, size, dtype and operator.
    calls
        Calls planned.
    ranked
        Candidates by total time, the cheapest first.
    equals
        Candidates whose difference to the cheapest is not proved or does not matter.
    open_to
        Candidates that would be cheaper if times of first calls were off by `ONCE_FACTOR`, and those of ``uncompared``
        whose interval begins within a factor of `NEAR`.
    uncompared
        Candidates of which no difference is proved: their time or that of the cheapest is flagged, or too few rounds
        were quiet for both.
    ranges
        ``(first number of calls, candidate)``: the cheapest from there on.
    left_out
        Backend -> reason why it is no candidate.
    """

    title: str
    calls: int
    ranked: tuple[Candidate, ...]
    equals: tuple[Candidate, ...]
    open_to: tuple[Candidate, ...]
    uncompared: tuple[Candidate, ...]
    ranges: tuple[tuple[int, Candidate], ...]
    left_out: Mapping[str, str]

    @property
    def best(self) -> Candidate:
        return self.ranked[0]

    @property
    def busy(self) -> bool:
        """Return whether too few rounds of some candidate were quiet for it and for the cheapest."""
        return any(contended(self.best, c) for c in self.uncompared)

    @property
    def enough(self) -> bool:
        """Return whether all candidates have the rounds that a verdict takes."""
        return all(len(c.rounds) >= ENOUGH_ROUNDS for c in self.ranked)

    @property
    def sure(self) -> bool:
        """Return whether every other candidate would cost more even if first calls were off by `ONCE_FACTOR`."""
        others = self.equals or self.open_to or self.uncompared
        return len(self.ranked) == 1 or (self.enough and not others)


def recommendation(
    tables: Mapping[str, Any], problem: str | None, calls: int, operator: str | None = None, size: str | None = None
) -> Recommendation:
    """Return the recommendation from the tables of a run.

    Parameters
    ----------
    tables
        As returned by `autodiff_compare.results.tables.read_all`.
    problem, operator, size
        Cells to compare; `None` if the run has only one problem or size, or for the leading operator. The path of a
        file stands for the problem in it.
    calls
        Calls planned, at least 1.

    Raises
    ------
    RecommendError
        If the run has no such cells (with the choices), or none of them is right and timed (`NothingRight`).
    """
    every = rows_from(tables["cells"], CellRow)
    if not every:
        raise RecommendError("got a run without cells, expected one of compare.py run")
    cells = _chosen_cells(every, problem, operator, size)
    here = [c for c in cells if c.machine == _machine(cells)]
    found = _candidates(tables, here)
    if not found:
        raise NothingRight(here)
    names = {c.spec for c in found}
    left_out = {_spec(c): _reason(c) if c in here else _ELSEWHERE for c in cells if _spec(c) not in names}
    ranked = tuple(sorted(found, key=lambda c: c.total(calls)))
    best = ranked[0]
    equals = tuple(c for c in ranked[1:] if _equal(best, c, calls))
    others = [c for c in ranked[1:] if c not in equals]
    uncompared = tuple(c for c in others if best.doubts or c.doubts or contended(best, c))
    open_to = tuple(
        c for c in others if not (_far(best, c, calls) if c in uncompared else _surely_cheaper(best, c, calls))
    )
    return Recommendation(_title(cells[0]), calls, ranked, equals, open_to, uncompared, _ranges(found), left_out)


def _machine(cells: Sequence[CellRow]) -> str:
    """Return the machine that computed most of the cells; of several, the one that comes first."""
    return Counter(c.machine for c in cells).most_common(1)[0][0]


def _candidates(tables: Mapping[str, Any], cells: Sequence[CellRow]) -> list[Candidate]:
    """Return the cells that are right and timed, as candidates."""
    ids, machine = {cell.cell_id for cell in cells}, cells[0].machine
    rounds = steady_of(cells, series_of(s for s in rows_from(tables["samples"], SampleRow) if s.cell_id in ids))
    timings = (t for t in rows_from(tables["timings"], TimingRow) if t.cell_id in ids and t.machine == machine)
    timed = {(t.cell_id, t.phase): t for t in timings}
    errors: dict[str, float] = {}
    for check in rows_from(tables["checks"], CheckRow):
        if check.cell_id in ids and not math.isnan(check.norm_rel_error):
            errors[check.cell_id] = max(errors.get(check.cell_id, 0.0), check.norm_rel_error)
    return [c for c in (_candidate(cell, timed, rounds, errors) for cell in cells) if c is not None]


def _chosen_cells(
    cells: Sequence[CellRow], problem: str | None, operator: str | None, size: str | None
) -> list[CellRow]:
    """Return the cells of one group: of one problem, size, dtype and operator."""
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
    rounds: Mapping[str, Sequence[Round]],
    errors: Mapping[str, float],
) -> Candidate | None:
    steady = timed.get((cell.cell_id, Phase.STEADY))
    once = [timed.get((cell.cell_id, phase)) for phase in (Phase.PREPARE, Phase.FIRST_CALL)]
    if unseen(cell.flags) or cell.cell_id not in rounds or steady is None or None in once:
        return None
    known = not math.isnan(steady.ci_low_s)
    return Candidate(
        spec=_spec(cell),
        once_s=sum(t.median_s for t in once if t),
        steady_s=steady.median_s,
        low_s=steady.ci_low_s if known else steady.median_s,
        high_s=steady.ci_high_s if known else steady.median_s,
        rounds=tuple(rounds[cell.cell_id]),
        error=errors.get(cell.cell_id, math.nan),
        peak_bytes=cell.peak_rss_bytes,
        flags=tuple(cell.flags.split()),
    )


def _spec(cell: CellRow) -> str:
    return join_spec(cell.backend, cell.variant)


def _reason(cell: CellRow) -> str:
    if cell.status != Status.OK:
        return because(cell.status.replace("_", " "), cell.message)
    flags = unseen(cell.flags)
    return f"right, but its time is not that of its computation: {flags[0]}" if flags else "right, but not timed"


def _title(cell: CellRow) -> str:
    return f"{cell.problem}, {cell.size} ({cell.n_inputs} inputs), {cell.dtype}: {cell.operator}"


def _equal(best: Candidate, other: Candidate, calls: int) -> bool:
    """Return whether the difference is too small to matter, or not proved by the rounds."""
    gap = other.total(calls) - best.total(calls)
    if gap < max(UNNOTICED_S, MATTERS * best.total(calls)):
        return True
    steady = all(ONCE_FACTOR * c.once_s < MATTERS * c.total(calls) for c in (best, other))
    return steady and _least_ratio(other, best) <= 1 + MATTERS


def contended(best: Candidate, other: Candidate) -> bool:
    """Return whether two cells have enough rounds, and too few that were quiet for both."""
    return min(len(best.rounds), len(other.rounds)) >= ENOUGH_ROUNDS and math.isnan(_least_ratio(other, best))


def _far(best: Candidate, other: Candidate, calls: int) -> bool:
    """Return whether the intervals of the medians are further apart than `NEAR`, first calls off by `ONCE_FACTOR`."""
    most = ONCE_FACTOR * best.once_s + (calls - 1) * best.high_s
    return other.once_s / ONCE_FACTOR + (calls - 1) * other.low_s > NEAR * most


def _surely_cheaper(best: Candidate, other: Candidate, calls: int) -> bool:
    """Return whether ``best`` stays cheaper if first calls are off by `ONCE_FACTOR` and later calls differ least."""
    worst = ONCE_FACTOR * best.once_s + (calls - 1) * best.steady_s
    return worst < other.once_s / ONCE_FACTOR + (calls - 1) * best.steady_s * _least_ratio(other, best)


def _least_ratio(a: Candidate, b: Candidate) -> float:
    """Return the lower end of the 99 % interval of the ratio of ``a`` to ``b``; nan with too few quiet rounds."""
    pairs = quiet_pairs(a.rounds, b.rounds)
    if len(a.rounds) != len(b.rounds) or len(pairs[0]) < ENOUGH_ROUNDS:
        return math.nan
    ratios = [math.log(x / y) for x, y in zip(*pairs, strict=True)]
    return math.exp(order_statistic_interval(ratios, 0.99)[0])


def _ranges(found: Sequence[Candidate]) -> tuple[tuple[int, Candidate], ...]:
    """Return (number of calls, candidate that is cheapest from there on), from 1 call upwards."""
    by_spec = {c.spec: c for c in found}
    lines = {c.spec: Line(c.once_s, c.steady_s) for c in found}
    return tuple((n, by_spec[spec]) for n, spec in cheapest(lines, _MOST_CALLS))
