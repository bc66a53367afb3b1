"""The table ``timings.csv``: statistics of each cell and phase, derived from ``samples.csv``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

# The median of some numbers takes 1 us with the standard library and 30 us with NumPy.
from statistics import median

from autodiff_compare.results.tables import CellRow, PairRow, SampleRow, TimingRow
from autodiff_compare.timing.statistics import order_statistic_interval, ratio_verdict
from autodiff_compare.vocabulary import Operator, Phase, Status, join_spec

#: Flags of a cell whose time is not that of its computation: it is compared with no other.
UNSEEN = frozenset({"lazy", "remembers"})

#: Problem, size, dtype, operator.
Group = tuple[str, str, str, str]


def group_of(row: CellRow | PairRow) -> Group:
    """Return the group to which a cell or a pair of backends belongs."""
    return (row.problem, row.size, row.dtype, row.operator)


def rounds_of(samples: Iterable[SampleRow]) -> dict[tuple[str, str], list[float]]:
    """Return (cell_id, phase) -> seconds per call of each round: the median of its blocks."""
    blocks: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for s in samples:
        blocks[s.cell_id, s.phase][s.round].append(s.seconds / s.calls)
    return {key: [median(per[r]) for r in sorted(per)] for key, per in blocks.items()}


def timings(cells: Sequence[CellRow], samples: Iterable[SampleRow]) -> list[TimingRow]:
    """Return the statistics of each cell and phase; ratios compare the steady phases of right cells of one group."""
    rounds = rounds_of(samples)
    steady = {
        cell.cell_id: rounds[cell.cell_id, Phase.STEADY]
        for cell in cells
        if cell.status == Status.OK and (cell.cell_id, Phase.STEADY) in rounds
    }
    by_id = {cell.cell_id: cell for cell in cells}
    ranked = {cell_id: values for cell_id, values in steady.items() if not UNSEEN & set(by_id[cell_id].flags.split())}
    fastest = _fastest(by_id, ranked)
    return [_row(key, values, by_id.get(key[0]), ranked, fastest) for key, values in rounds.items()]


def _row(
    key: tuple[str, str],
    values: Sequence[float],
    cell: CellRow | None,
    steady: Mapping[str, Sequence[float]],
    fastest: Mapping[Group, str],
) -> TimingRow:
    cell_id, phase = key
    middle = median(values)
    low, high = order_statistic_interval(values, 0.95)
    to_value = to_fastest = math.nan
    versus = ""
    if cell is not None and phase == Phase.STEADY and cell_id in steady:
        value_of = _cell_id(cell, Operator.VALUE)
        if value_of in steady:
            to_value = middle / median(steady[value_of])
        best = fastest[group_of(cell)]
        to_fastest = middle / median(steady[best])
        versus = "fastest" if best == cell_id else ratio_verdict(values, steady[best])
    return TimingRow(cell_id, phase, len(values), min(values), middle, low, high, to_value, to_fastest, versus)


def _fastest(by_id: Mapping[str, CellRow], steady: Mapping[str, Sequence[float]]) -> dict[Group, str]:
    """Return group -> cell_id of the cell with the smallest median."""
    best: dict[Group, str] = {}
    for cell_id, values in steady.items():
        group = group_of(by_id[cell_id])
        if group not in best or median(values) < median(steady[best[group]]):
            best[group] = cell_id
    return best


def _cell_id(cell: CellRow, operator: Operator) -> str:
    """Return the id of the cell of another operator beside a cell."""
    return "/".join((cell.problem, cell.size, cell.dtype, operator, join_spec(cell.backend, cell.variant)))
