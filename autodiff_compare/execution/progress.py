"""The state of a cell and of a group while they are executed, and the row of ``cells.csv`` made from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autodiff_compare.judge.comparison import norm
from autodiff_compare.judge.judge import Judge
from autodiff_compare.plan.cases import Case, Cell
from autodiff_compare.results.rows import CellRow, CheckRow, PairRow, SampleRow
from autodiff_compare.results.timings import series_of
from autodiff_compare.timing.clock import CONTENDED_ROUNDS
from autodiff_compare.timing.statistics import Round, drifting, noisy
from autodiff_compare.vocabulary import PARTS, Operator, Phase, Status

#: Longest message of a cell, in characters.
LONGEST_MESSAGE = 300


@dataclass
class Progress:
    """The state of one cell while it is executed: its row, checks and samples so far."""

    cell: Cell
    row: CellRow
    checks: list[CheckRow] = field(default_factory=list)
    samples: list[SampleRow] = field(default_factory=list)
    result: tuple[Any, ...] = ()
    #: Digest of the result that was judged.
    judged: str = ""
    #: Seconds of an undisturbed call, and calls of a block.
    per_call_s: float = 0.0
    calls: int = 0
    #: Calls of a block of the value that is timed beside this derivative; 0 if none is.
    value_calls: int = 0
    flags: set[str] = field(default_factory=set)

    @property
    def series(self) -> list[Round]:
        """The timing rounds so far; the samples name no machine before they are added to a folder."""
        return series_of(self.samples).get((self.cell.cell_id, Phase.STEADY, ""), [])


@dataclass
class Effort:
    """The part of a run's time that is spent in timed calls, and in preparation and first calls."""

    measured_s: float = 0.0
    #: Intervals of time in which some framework traced or compiled; threads add them in any order.
    _preparing: list[tuple[float, float]] = field(default_factory=list)

    @property
    def prepared_s(self) -> float:
        """Seconds in which some framework traced or compiled; where two did side by side, they count once."""
        seconds, until = 0.0, -math.inf
        for start, end in sorted(self._preparing):
            seconds += max(end - max(start, until), 0.0)
            until = max(until, end)
        return seconds

    def prepare(self, start: float, end: float) -> None:
        """Add an interval of preparation."""
        self._preparing.append((start, end))


@dataclass
class Group:
    """The cells that are compared and timed against each other."""

    begun: list[Progress]
    #: Judges the results that have been asked for; `None` before and afterwards.
    judge: Judge | None = None
    #: Results that have not arrived yet.
    awaited: int = 0
    pairs: list[PairRow] = field(default_factory=list)
    #: Rounds in all launches so far.
    rounds: int = 0

    @property
    def entries(self) -> int:
        """Entries of the inputs and of a result."""
        if self.judge is None:
            return 0
        inputs = sum(x.size for x in (*self.judge.case.inputs.arrays, *self.judge.case.directions))
        return inputs + sum(math.prod(leaf.shape) for leaf in self.judge.layout)

    @property
    def right(self) -> list[Progress]:
        """The cells whose results are right so far: they are timed."""
        return [p for p in self.begun if p.row.status == Status.OK]


def flagged(p: Progress) -> CellRow:
    """Return the row with its timing flags."""
    flags, series = set(p.flags), p.series
    rounds, contended = [r.seconds for r in series], sum(not r.quiet for r in series)
    if rounds:
        tests = {
            "noisy": noisy(rounds),
            "drift": drifting(rounds),
            "contended": contended > CONTENDED_ROUNDS * len(rounds),
        }
        flags |= {name for name, holds in tests.items() if holds}
    return replace(p.row, flags=" ".join(sorted(flags)), contended_rounds=contended if rounds else None)


def blank_row(run_id: str, threads: int, cell: Cell, case: Case | None) -> CellRow:
    """Return the row of a cell that has not been executed; without a case its sizes are missing."""
    return CellRow(
        run_id=run_id,
        cell_id=cell.cell_id,
        problem=cell.problem,
        size=cell.size,
        n_inputs=sum(x.size for x in case.inputs.differentiated) if case else None,
        n_outputs=case.output.size if case else None,
        dtype=cell.dtype,
        operator=cell.operator,
        backend=cell.backend,
        variant=cell.variant,
        how="",
        mode="",
        status=Status.ERROR,
        message="",
        value=float("nan"),
        gradient_norm=float("nan"),
        objective_calls=None,
        peak_rss_bytes=None,
        memory_method="",
        threads_requested=threads,
        threads_effective=float("nan"),
        threads_active=None,
        contended_rounds=None,
        flags="",
        n=case.problem.n_of(cell.size) if case else None,
    )


def measured(row: CellRow, found: dict[str, Any], result: Sequence[Any]) -> CellRow:
    """Return the row with the properties of its result."""
    beside = row.operator in PARTS
    has_value = (beside or row.operator == Operator.VALUE) and result[0].shape == ()
    entries = result[1:] if beside else result
    return replace(
        row,
        how=found["how"],
        mode=found["mode"],
        conversion=found["conversion"],
        value=float(result[0]) if has_value and result[0].dtype.kind != "c" else float("nan"),
        gradient_norm=norm(np.concatenate([np.ravel(leaf) for leaf in entries])),
        objective_calls=found["objective_calls"],
        peak_rss_bytes=found["peak_bytes"],
        memory_method=found["memory_method"],
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, no longer than the message of a cell may be."""
    return next(_nonempty(str(error)), type(error).__name__)[:LONGEST_MESSAGE]


def _nonempty(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
