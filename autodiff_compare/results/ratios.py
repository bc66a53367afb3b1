"""What a backend costs over the gradient written by hand: its time over that of ``manual``, round by round.

The backends take turns within a round, so the ratio of one round is free of the drift of the machine; of the ratios of
all rounds the median counts. Only right results are compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from autodiff_compare.results.tables import CellRow, SampleRow
from autodiff_compare.results.timings import rounds_of
from autodiff_compare.vocabulary import Phase, Status, join_spec

#: The backend whose time is 1.
BY_HAND = "manual"
#: What was computed: problem, size, dtype, operator.
Group = tuple[str, str, str, str]


def ratios(cells: Sequence[CellRow], samples: Iterable[SampleRow]) -> dict[Group, dict[str, float]]:
    """Group -> ``backend[:variant]`` -> ratio, for the groups of which there is a time by hand.

    A backend that has no right and timed result there is left out.
    """
    rounds = {cell_id: values for (cell_id, phase), values in rounds_of(samples).items() if phase == Phase.STEADY}
    groups: dict[Group, dict[str, Sequence[float]]] = {}
    for cell in cells:
        if cell.status == Status.OK and cell.cell_id in rounds:
            spec = join_spec(cell.backend, cell.variant)
            groups.setdefault((cell.problem, cell.size, cell.dtype, cell.operator), {})[spec] = rounds[cell.cell_id]
    return {
        group: {spec: _ratio(times, found[BY_HAND]) for spec, times in found.items() if spec != BY_HAND}
        for group, found in groups.items()
        if BY_HAND in found and len(found) > 1
    }


def _ratio(times: Sequence[float], by_hand: Sequence[float]) -> float:
    """Of the rounds that both have."""
    return median(a / b for a, b in zip(times, by_hand, strict=False))


def markdown(found: Mapping[Group, Mapping[str, float]]) -> str:
    """The ratios as a table for a README: one row for each group, one column for each backend."""
    specs = list(dict.fromkeys(spec for row in found.values() for spec in row))
    lines = ["| problem | size | " + " | ".join(specs) + " |", "|---|---" + "|---" * len(specs) + "|"]
    lines += [
        f"| {problem} | {size} | " + " | ".join(in_words(row.get(spec, math.nan)) for spec in specs) + " |"
        for (problem, size, _, _), row in found.items()
    ]
    return "\n".join(lines)


def in_words(ratio: float) -> str:
    """With three digits, or a dash where there is none."""
    return "-" if math.isnan(ratio) else f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"
