"""The time of each backend relative to the hand-written derivative, the backend ``manual``.

All backends are timed within a round, so drift of the machine cancels in the ratio of one round. The median of the
ratios of all rounds is reported. Only right results of one machine are compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from autodiff_compare.results.rows import CellRow, SampleRow
from autodiff_compare.results.timings import Group, group_of, series_of, steady_of, unseen
from autodiff_compare.timing.statistics import ENOUGH_ROUNDS, Round, quiet_pairs
from autodiff_compare.vocabulary import join_spec

#: The backend that is the unit of the ratios.
BY_HAND = "manual"


def ratios(cells: Sequence[CellRow], samples: Iterable[SampleRow]) -> dict[Group, dict[str, float]]:
    """Return group -> ``backend[:variant]`` -> ratio, for the groups in which the hand-written derivative is timed.

    Backends without a right and timed result in the group are left out, those on another machine than the
    hand-written derivative, and those whose time is not that of their computation.
    """
    rounds = steady_of(cells, series_of(samples))
    groups: dict[tuple[Group, str], dict[str, Sequence[Round]]] = {}
    for cell in cells:
        if cell.cell_id in rounds and not unseen(cell.flags):
            found = groups.setdefault((group_of(cell), cell.machine), {})
            found[join_spec(cell.backend, cell.variant)] = rounds[cell.cell_id]
    return {
        group: {spec: _ratio(times, found[BY_HAND]) for spec, times in found.items() if spec != BY_HAND}
        for (group, _), found in groups.items()
        if BY_HAND in found and len(found) > 1
    }


def _ratio(times: Sequence[Round], by_hand: Sequence[Round]) -> float:
    """Return the median ratio over the rounds that were quiet for both; nan if they were too few for a verdict."""
    pairs = quiet_pairs(times, by_hand)
    wanted = min(ENOUGH_ROUNDS, len(times), len(by_hand))
    return median(a / b for a, b in zip(*pairs, strict=True)) if len(pairs[0]) >= wanted else math.nan


def markdown(found: Mapping[Group, Mapping[str, float]]) -> str:
    """Return the ratios as a Markdown table: one row for each group, one column for each backend."""
    specs = list(dict.fromkeys(spec for row in found.values() for spec in row))
    lines = ["| problem | size | " + " | ".join(specs) + " |", "|---|---" + "|---" * len(specs) + "|"]
    lines += [
        f"| {problem} | {size} | " + " | ".join(in_words(row.get(spec, math.nan)) for spec in specs) + " |"
        for (problem, size, _, _), row in found.items()
    ]
    return "\n".join(lines)


def in_words(ratio: float) -> str:
    """Return a ratio with three digits, or a dash for nan."""
    return "-" if math.isnan(ratio) else f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"
