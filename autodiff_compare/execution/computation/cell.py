"""The cell that a worker computes: prepared at one point, called at another, timed in blocks, compared with itself.

*gc.freeze.* A framework leaves up to a million objects. A collection before each visit would examine them all: 56 ms
a visit with torch imported, 12 ms without. Frozen objects are skipped.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend
from autodiff_compare.execution.computation.objective_calls import code_of, counted
from autodiff_compare.execution.computation.peak_memory import peak_memory
from autodiff_compare.execution.computation.preparation import Companion, Key, Prepared, prepared, same_bits
from autodiff_compare.execution.computation.recheck import Recheck
from autodiff_compare.plan.cases import leaves
from autodiff_compare.problems import Array, Problem
from autodiff_compare.timing import clock, suspicion
from autodiff_compare.vocabulary import HALF_DTYPES, Operator

#: Equal inputs that the calls of a visit take in turn, all of them new in each visit.
_TURNS = 3
#: Copies of the inputs that take no more than this fit into a processor's own cache.
_CACHED_BYTES = 1 << 18

#: Source, problem, size, dtype.
Subject = tuple[str, str, str, str]


@dataclasses.dataclass
class Beside:
    """The value that is timed beside the derivatives of a problem, if it is held: one for all cells of a worker."""

    companion: Companion | None = None


class CellWorker:
    """A cell of one backend, and the value beside it.

    Parameters
    ----------
    backend
        The opened backend.
    beside
        The value that the cells of the worker share; by default one of its own.

    Attributes
    ----------
    timed
        The prepared callable of the current cell; `None` between cells.
    """

    def __init__(self, backend: Backend, beside: Beside | None = None) -> None:
        self.backend = backend
        self._beside = beside or Beside()
        self.timed: clock.Timed | None = None
        self._recheck: Recheck | None = None
        self._now: Prepared | None = None
        self._subject: Subject = ("", "", "", "")
        self._per_call_s = 0.0
        self._objective_code: Any = None
        self._calls_per_evaluation = 0

    def another(self) -> CellWorker:
        """Return the place of another cell of the same worker."""
        return CellWorker(self.backend, self._beside)

    @property
    def dtype(self) -> str:
        """Return the dtype of the cell; empty before the first one."""
        return self._subject[3]

    def compute(
        self, problem: Problem, subject: Subject, key: Key, *, memory: bool, numbers: Sequence[Any]
    ) -> dict[str, Any]:
        """Prepare a cell at one point, call it at another, and return the result with what is known of it.

        Parameters
        ----------
        problem, subject, key
            The cell.
        memory
            Whether to measure the growth of peak memory.
        numbers
            What is `sent` of the case, if this process cannot draw the same numbers from the seed.
        """
        self._subject = subject
        held = self._beside.companion
        if held is not None and held.subject != subject:
            self._beside.companion = None
        fallbacks = self.backend.fallbacks()
        self._now = now = prepared(self.backend, problem, key, numbers)
        case, self._per_call_s = now.case, 0.0
        before, start = clock.Elapsed.now(), time.perf_counter()
        first = self.backend.block(now.timed.run(*now.timed.args))
        first_call_s = time.perf_counter() - start
        waited_s = (clock.Elapsed.now() - before).contention_s
        self.timed = now.timed
        expansion = case.problem.expansion
        called = expansion.rows if expansion else case.problem.function(self.backend, case.inputs.static)
        self._objective_code = code_of(called)
        result = self._numpy(first)
        self._recheck = Recheck(self._numpy, result)
        self._calls_per_evaluation, again = counted(self.timed, self._objective_code)
        return {
            "result": result,
            "repeatable": same_bits(result, self._numpy(again)),
            "inputs_unchanged": now.unchanged(),
            "prepare_s": now.seconds,
            "prepare_waited_s": now.waited_s,
            "first_call_s": first_call_s,
            "first_call_waited_s": waited_s,
            "how": self.backend.how(case.operator),
            "mode": self.backend.mode(case.operator),
            "conversion": self.backend.conversion(case.operator) if case.problem.complex_numbers else "",
            "objective_calls": self._calls_per_evaluation,
            "flags": ["fallback"] if self.backend.fallbacks() != fallbacks else [],
            **(peak_memory(self.backend, self.timed) if memory else {"peak_bytes": None, "memory_method": ""}),
        }

    def calibrate(self) -> dict[str, Any]:
        """Return the calls of a block, after a warm-up, and whether the clock sees the whole computation."""
        # Not when the framework is opened: some of its objects are made at the first use of an operator.
        gc.collect()
        gc.freeze()
        timed, first = self.current(), self._recheck
        found = clock.calibrate(timed)
        calls, self._per_call_s = found.calls, found.per_call_s
        tests = {}
        if first is not None and self._now is not None:
            most = _CACHED_BYTES // max(self._input_bytes(), 1)
            with clock.uncollected():
                tests = {
                    "lazy": suspicion.lazy(timed, self._numpy, calls, first.leaves, first.bytes),
                    "remembers": suspicion.remembers(timed, self._now.neighbours, calls, most),
                }
        flags = [flag for flag, holds in tests.items() if holds]
        return {"calls": calls, "per_call_s": self._per_call_s, "flags": flags}

    def hold_value(self, problem: Problem, subject: Subject, key: Key, numbers: Sequence[Any]) -> dict[str, Any]:
        """Hold the value of the current cell's problem ready, to be timed in the same visits; return its seconds.

        The callable of the value's own cell is used if this process has timed it, else it is prepared again.
        """
        held = self._beside.companion
        if held is None:
            value = prepared(self.backend, problem, key, numbers)
            held = self._beside.companion = Companion(subject, value, clock.calibrate(value.timed).per_call_s)
        return {"per_call_s": held.per_call_s}

    def visit(self, calls: int, value_calls: int = 0) -> dict[str, Any]:
        """Make one visit of a round.

        Parameters
        ----------
        calls
            Calls of a block.
        value_calls
            Calls of a block of the value, which is timed afterwards; 0 to leave it out.

        Returns
        -------
        dict
            ``seconds`` of each block, and ``waited_s`` of them in which another process had the processor;
            ``retraced``, whether the framework traced a function during the visit; ``other``, a
            result that differs from the first in some bit, if there is one; ``value_seconds`` and
            ``value_waited_s`` of the blocks of the value.
        """
        timed = self.current()
        if self._recheck is not None and self._now is not None:
            timed = dataclasses.replace(timed, others=self._now.copies(_TURNS - 1))
        traces = self.backend.traces()
        blocks, values = clock.visit(timed, calls, self._recheck), []
        if value_calls and self._beside.companion is not None:
            value = self._beside.companion.prepared
            values = clock.beside(dataclasses.replace(value.timed, others=value.copies(_TURNS - 1)), value_calls)
        return {
            "seconds": [block.seconds for block in blocks],
            "waited_s": [block.waited_s for block in blocks],
            "value_seconds": [block.seconds for block in values],
            "value_waited_s": [block.waited_s for block in values],
            "retraced": self.backend.traces() != traces,
            "other": self._recheck.other if self._recheck else None,
        }

    def work(self, units: int) -> dict[str, Any]:
        """Make a known amount of work the current cell, for trials of the clock."""
        self.timed, self._recheck = clock.Timed(clock.synthetic_work, (units,), lambda out: out), None
        self._now = None
        return {}

    def finish(self) -> dict[str, Any]:
        """Drop the cell; return how it ends.

        Returns
        -------
        dict
            ``retraced``, whether an evaluation now calls the objective another number of times than before; ``flags``,
            ``remembers`` if a call at another point returns the result of the point before.
        """
        timed, before = self.timed, self._calls_per_evaluation
        retraced = timed is not None and counted(timed, self._objective_code)[0] != before
        now, seconds, first, flags = self._now, self._per_call_s, self._recheck, []
        if now is not None and first is not None and timed is now.timed:
            calls = round(clock.BLOCK_S / seconds) if seconds else 1
            if suspicion.repeats(timed, now.elsewhere, self._numpy, first.same, calls):
                flags.append("remembers")
        if now is not None and timed is now.timed and now.case.operator == Operator.VALUE and seconds:
            self._beside.companion = Companion(self._subject, now, seconds)
        self.timed = self._recheck = None
        return {"retraced": retraced, "flags": flags}

    def current(self) -> clock.Timed:
        """Return the prepared callable of the current cell.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.timed is None:
            raise ValueError("got a timing request without a cell, expected request 'cell' first")
        return self.timed

    def _input_bytes(self) -> int:
        return sum(np.asarray(array).nbytes for array in self._now.given) if self._now else 0

    def _numpy(self, result: Any) -> list[Array]:
        found = [np.asarray(self.backend.to_numpy(leaf)) for leaf in leaves(result)]
        for leaf in found:
            if leaf.dtype.kind not in "biufc" and leaf.dtype.name not in HALF_DTYPES:
                raise TypeError(f"got a result of dtype {leaf.dtype}, expected numbers")
        return found
