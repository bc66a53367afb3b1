"""The table ``timings.csv``: statistics of each cell and phase, derived from ``samples.csv``.

Rounds are pooled, and cells compared, within one machine (`autodiff_compare.results.machines`): where the cells of a
group come from two, each machine has a fastest cell of its own, and no ratio joins them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from autodiff_compare.results.rows import CellRow, PairRow, SampleRow, TimingRow
from autodiff_compare.timing.statistics import (
    CONTENDED,
    ENOUGH_ROUNDS,
    Round,
    order_statistic_interval,
    paired_verdict,
    quiet_pairs,
    round_of,
    steadiest,
)
from autodiff_compare.vocabulary import Operator, Phase, Status

#: Flags of a cell whose time is not that of its computation: it is compared with no other.
UNSEEN = frozenset({"lazy", "remembers"})
#: Flags of a time that is no property of the backend alone. The others tell that rounds were cut, and how it computed.
DOUBTFUL = UNSEEN | {"noisy", CONTENDED, "drift", "retraced", "threads"}
#: Flags of a time that is not that of the computation alone. A noisy time has a wide interval, which counts.
NOT_ITS_OWN = DOUBTFUL - {"noisy"}

#: Problem, size, dtype, operator.
Group = tuple[str, str, str, str]
#: Cell, phase, machine: what one series of rounds belongs to.
Key = tuple[str, str, str]


def group_of(row: CellRow | PairRow) -> Group:
    """Return the group to which a cell or a pair of backends belongs."""
    return (row.problem, row.size, row.dtype, row.operator)


def doubtful(flags: str) -> list[str]:
    """Return those of a cell's flags that forbid to conclude anything from its time."""
    return [flag for flag in flags.split() if flag in DOUBTFUL]


def unseen(flags: str) -> list[str]:
    """Return those of a cell's flags with which its time is compared with no other."""
    return [flag for flag in flags.split() if flag in UNSEEN]


def more_than_noise(flags: str) -> list[str]:
    """Return those of a cell's flags with which its time is not that of the computation alone."""
    return [flag for flag in flags.split() if flag in NOT_ITS_OWN]


def series_of(samples: Iterable[SampleRow]) -> dict[Key, list[Round]]:
    """Return (cell_id, phase, machine) -> its rounds.

    A round is the median of its quiet blocks, or of all blocks where few are quiet.
    """
    blocks: dict[Key, dict[int, list[SampleRow]]] = defaultdict(lambda: defaultdict(list))
    for s in samples:
        blocks[s.cell_id, s.phase, s.machine][s.round].append(s)
    return {key: [_round(per[r]) for r in sorted(per)] for key, per in blocks.items()}


def _round(blocks: Sequence[SampleRow]) -> Round:
    return round_of([s.seconds for s in blocks], [s.waited_s for s in blocks], blocks[0].calls)


def timings(cells: Sequence[CellRow], samples: Iterable[SampleRow]) -> list[TimingRow]:
    """Return the statistics of each cell and phase; ratios compare the steady phases of right cells of one group."""
    series = series_of(samples)
    steady = steady_of(cells, series)
    by_id = {cell.cell_id: cell for cell in cells}
    ranked = {cell_id: values for cell_id, values in steady.items() if not unseen(by_id[cell_id].flags)}
    fastest = _fastest(by_id, ranked)
    return [
        _row(key, values, by_id.get(key[0]), ranked, fastest, series.get((key[0], Phase.VALUE, key[2]), []))
        for key, values in series.items()
        if key[1] != Phase.VALUE
    ]


def steady_of(cells: Iterable[CellRow], series: Mapping[Key, Sequence[Round]]) -> dict[str, Sequence[Round]]:
    """Return cell_id -> its steady rounds, for the right cells that are timed on their own machine."""
    keys = {cell.cell_id: (cell.cell_id, Phase.STEADY, cell.machine) for cell in cells if cell.status == Status.OK}
    return {cell_id: series[key] for cell_id, key in keys.items() if key in series}


def _row(
    key: Key,
    rounds: Sequence[Round],
    cell: CellRow | None,
    ranked: Mapping[str, Sequence[Round]],
    fastest: Mapping[tuple[Group, str], str],
    beside: Sequence[Round],
) -> TimingRow:
    cell_id, phase, machine = key
    values = steadiest(rounds)
    middle = median(values)
    low, high = order_statistic_interval(values, 0.95)
    to_value = to_fastest = math.nan
    versus = ""
    if cell is not None and phase == Phase.STEADY and cell_id in ranked and machine == cell.machine:
        to_value = 1.0 if cell.operator == Operator.VALUE else _to_value(rounds, beside)
        best = fastest.get((group_of(cell), machine))
        versus = _versus(cell_id, rounds, best, ranked)
        if best is not None and versus not in ("", CONTENDED):
            to_fastest = middle / median(steadiest(ranked[best]))
    numbers = (len(values), min(values), middle, low, high, to_value, to_fastest)
    return TimingRow(cell_id, phase, *numbers, versus, machine)


def _to_value(rounds: Sequence[Round], beside: Sequence[Round]) -> float:
    """Return the median ratio of a derivative to the value beside it; nan if too few rounds were quiet for both."""
    pairs = quiet_pairs(rounds, beside)
    wanted = max(min(ENOUGH_ROUNDS, len(rounds)), 1)
    return median(a / b for a, b in zip(*pairs, strict=True)) if len(pairs[0]) >= wanted else math.nan


def _versus(cell_id: str, rounds: Sequence[Round], best: str | None, ranked: Mapping[str, Sequence[Round]]) -> str:
    """Return the comparison of a cell with the fastest of its group, in words."""
    if best is not None:
        return "fastest" if best == cell_id else paired_verdict(rounds, ranked[best])
    enough = sum(r.quiet for r in rounds) >= ENOUGH_ROUNDS
    return "" if enough or len(rounds) < ENOUGH_ROUNDS else CONTENDED


def _fastest(by_id: Mapping[str, CellRow], ranked: Mapping[str, Sequence[Round]]) -> dict[tuple[Group, str], str]:
    """Return (group, machine) -> cell_id of the cell with the smallest median, among those with enough quiet rounds.

    A cell that is compared with no other is not the fastest.
    """
    groups: dict[tuple[Group, str], list[str]] = defaultdict(list)
    for cell_id in ranked:
        groups[group_of(by_id[cell_id]), by_id[cell_id].machine].append(cell_id)
    found = {}
    for group, members in groups.items():
        enough = [c for c in members if sum(r.quiet for r in ranked[c]) >= ENOUGH_ROUNDS]
        best = min(enough, key=lambda c: (median(steadiest(ranked[c])), c), default="")
        others = (ranked[c] for c in members if c != best)
        # Some other cell must have enough rounds that were quiet for both.
        if best and any(paired_verdict(rounds, ranked[best]) not in ("", CONTENDED) for rounds in others):
            found[group] = best
    return found
