"""The judge: the comparison of a result with its reference, and the verdict that follows from it.

A leaf ``g`` of a result passes against the reference ``g*`` if::

    ||g - g*|| <= min(10 sqrt(K) max(eps ||g*||, c), 1e-3 ||g*||)

*Rounding.* A sum of K terms makes K roundings of relative size up to ``eps``. If they are independent, they grow like a
random walk: the error is about ``eps sqrt(K)`` of the size of the sum. Right backends are near 0.3 of that; the factor
10 leaves thirty times as much.

*Conditioning.* ``c = ||g*(x~) - g*(x)||``, where the inputs ``x~`` differ from ``x`` by one rounding each. An algorithm
in the given dtype cannot tell ``x`` from ``x~``, so no smaller error can be demanded. For a well conditioned problem c
is about ``eps ||g*||``.

*Cap.* A tolerance above 1e-3 of the reference proves nothing. An error between the two terms of the minimum is
``inconclusive``, which is not a pass.

*Steps.* An optimizer step returns parameters ``p``; the update is compared. Its difference from ``p`` is rounded, which
adds ``eps ||p||`` to the tolerance.

*Cancelled leaves.* A leaf that is zero up to rounding has no norm to be relative to: see `Judge._floors`.

Errors are relative to the norm of the reference, so that zeros fail everywhere. Every test has the form ``error <=
tolerance``, which is false for nan. A result that fails is examined once more: at a kink it may be a subgradient, and
numerical differences may show that the closed form is wrong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autodiff_compare.judge.comparison import (
    absolute_difference,
    accumulation,
    allowed_rounding,
    compared,
    finite_or_zero,
    join_notes,
    layout,
    matrix_position,
    norm,
    normalisation,
    quantity,
    same_infinite,
    shapes_in_words,
)
from autodiff_compare.judge.differences import MEANINGFUL
from autodiff_compare.judge.probe import RESOLVED, Probe
from autodiff_compare.judge.reference import NUMERICAL_DIFFERENCE, Reference, reference_for
from autodiff_compare.plan.cases import Case
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator, Status, Verdict

#: Factor of ``eps sqrt(K)`` in the tolerance; right backends err by about 0.3 of it.
SAFETY = 10.0
#: Factor of ``eps sqrt(K)`` where a single entry is compared with a numerical difference.
_ENTRY_SAFETY = 8.0
#: A leaf whose norm is below this multiple of its rounding floor counts as zero up to rounding.
_CANCELLED = 100.0
#: Most wrong entries of a leaf that are examined for being subgradients; of more of them, a sample is.
_MOST_KINKS = 64
#: NumPy kinds of dtype that cannot be compared with real numbers: complex, objects, texts.
_NOT_REAL = "cOSU"
_PROVED = frozenset({Verdict.PASS, Verdict.SUBGRADIENT})
_REFUTED = frozenset({Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE})


@dataclass(frozen=True)
class Comparison:
    """One comparison of a result with its reference; `results.rows.CheckRow` documents the fields."""

    quantity: str
    reference: str
    max_abs_error: float
    norm_rel_error: float
    max_ulp_error: float
    reference_error_bound: float
    tolerance: float
    worst_index: str
    nonfinite_count: int
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class _Limits:
    """Absolute limits of one leaf: error bound of the reference, tolerance, and cap of the tolerance."""

    reference_error: float
    tolerance: float
    cap: float


class Judge:
    """The judge of one case: call it with a result to get the comparisons.

    The reference is computed once, when it is first needed.

    Parameters
    ----------
    case
        The numbers of one (problem, size, dtype, operator).
    reference
        The derivative to compare with; by default the best available (`reference_for`).
    every
        Whether numerical differences look at every entry singly, however many there are.
    """

    def __init__(self, case: Case, reference: Reference | None = None, *, every: bool = False) -> None:
        self.case = case
        self._every = every
        self._given = reference
        self.eps = float(np.finfo(case.dtype).eps)
        self.K = accumulation(case)
        self.safety = SAFETY * math.sqrt(self.K) if case.problem.tolerance is None else case.problem.tolerance
        self.layout = tuple(layout(case))

    @functools.cached_property
    def probe(self) -> Probe:
        """Numerical differences of this case."""
        return Probe(self.case, self._every)

    @functools.cached_property
    def reference(self) -> Reference:
        """The derivative with which results are compared."""
        return self._given or reference_for(self.case, lambda: self.probe)

    def __call__(
        self, result: Sequence[Array], *, repeatable: bool = True, inputs_unchanged: bool = True
    ) -> tuple[Comparison, ...]:
        """Compare one result in every respect.

        Parameters
        ----------
        result
            The leaves that the prepared callable returned, as NumPy arrays.
        repeatable
            Whether a second call gave the same bits.
        inputs_unchanged
            Whether the inputs held the same bits after the call.

        Returns
        -------
        tuple of Comparison
            The numbers leaf by leaf, then shape, dtype, ``repeat`` and ``inputs``. Only shape and dtype, if they make
            the numbers incomparable.
        """
        result = tuple(np.asarray(leaf) for leaf in result)
        shape, dtype = self._shape(result), self._dtype(result)
        if shape.verdict != Verdict.PASS or any(leaf.dtype.kind in _NOT_REAL for leaf in result):
            return (shape, dtype)
        return (
            *self._numbers(result),
            shape,
            dtype,
            _yes_or_no("repeat", repeatable, "a second call gave other bits"),
            _yes_or_no("inputs", inputs_unchanged, "the call changed its inputs"),
        )

    def _shape(self, result: Sequence[Array]) -> Comparison:
        got, expected = [leaf.shape for leaf in result], [leaf.shape for leaf in self.layout]
        note = f"got {shapes_in_words(got)}, expected {shapes_in_words(expected)}"
        return _yes_or_no("shape", got == expected, note)

    def _dtype(self, result: Sequence[Array]) -> Comparison:
        got = sorted({str(leaf.dtype) for leaf in result})
        words = " and ".join(got) or "nothing"
        return _yes_or_no("dtype", got == [self.case.dtype], f"got {words}, expected {self.case.dtype}")

    def _numbers(self, result: Sequence[Array]) -> Iterator[Comparison]:
        leaves, reference = compared(self.case, result), self.reference
        if reference.arrays is not None:
            expected = compared(self.case, reference.arrays)
            floors = self._floors(expected)
            for k, (got, want) in enumerate(zip(leaves, expected, strict=True)):
                yield self._leaf(k, got, want, floors[k])
            return
        has_value = self.case.operator == Operator.VALUE_AND_GRADIENT
        if has_value:
            yield self._value(leaves[0])
        yield self._against_differences(leaves[has_value:])

    def _value(self, got: Array) -> Comparison:
        """Compare the value beside a derivative without a reference, as in a case of operator `value`."""
        case = replace(self.case, operator=Operator.VALUE, directions=())
        return Judge(case)._leaf(0, got, compared(case, reference_for(case).arrays or ())[0], 0.0)

    def _leaf(self, k: int, got: Array, want: Array, floor: float) -> Comparison:
        """Compare leaf k with its reference; ``floor`` as in `_floors`."""
        limits = self._limits(k, norm(finite_or_zero(want)), floor)
        found = self._entrywise(self.layout[k].name, self.reference.names[k], got, want, limits)
        if self.case.operator == Operator.SPARSE_JACOBIAN and found.worst_index:
            pattern, at = self.case.patterns[k], int(found.worst_index.strip("[]"))
            found = replace(found, worst_index=str([int(pattern.rows[at]), int(pattern.columns[at])]))
        return self._reexamined(k, found, got, want) if found.verdict in _REFUTED else found

    def _limits(self, k: int, scale: float, floor: float) -> _Limits:
        """Return the limits of leaf k, whose reference has norm ``scale``, by the rules of this module's docstring."""
        change, is_step = self.reference.changes[k], self.case.operator == Operator.STEP
        # change is the effect of one rounding of the case's dtype; one of the reference's is smaller by the ratio of
        # eps.
        reference_error = math.sqrt(self.K) * self.reference.eps * max(scale, change / self.eps)
        parameters = self.eps * norm(self.case.inputs.differentiated[k]) if is_step else 0.0
        tolerance = self.safety * max(self.eps * scale, change, floor) + parameters
        if floor > 0 or scale == 0:
            return _Limits(reference_error, tolerance, math.inf)
        cap = MEANINGFUL * scale + (parameters if parameters <= RESOLVED * scale else 0)
        return _Limits(reference_error, tolerance, cap)

    def _entrywise(self, quantity: str, name: str, got: Array, want: Array, limits: _Limits) -> Comparison:
        """Compare one leaf with an array."""
        difference = absolute_difference(got, want)
        scale, error, biggest = norm(finite_or_zero(want)), norm(difference), float(difference.max(initial=0.0))
        unit = scale if scale > 0 else 1.0
        verdict = _verdict(got, want, error, limits)
        is_lost = verdict == Verdict.FAIL and quantity != Operator.VALUE and not got.any()
        return Comparison(
            quantity=quantity,
            reference=name,
            max_abs_error=biggest,
            norm_rel_error=error / unit,
            max_ulp_error=biggest / (self.eps * unit),
            reference_error_bound=limits.reference_error / unit,
            tolerance=min(limits.tolerance, limits.cap) / unit,
            worst_index=_worst_index(difference),
            nonfinite_count=int(np.count_nonzero(~np.isfinite(got))),
            verdict=Verdict.NO_GRAD if is_lost else verdict,
            note=self._note("" if scale > 0 else "the reference is zero: errors are absolute"),
        )

    def _floors(self, expected: Sequence[Array]) -> list[float]:
        """Return the absolute rounding error of each leaf that is zero up to rounding; 0 for the other leaves.

        Such a leaf, like the gradient by a shift that cancels, is what remains of terms as large as the other leaves.
        Let ``||x_i||`` be the norm of input i. ``T = sum_i ||g*_i|| ||x_i||`` has the unit of the function. Its
        rounding ``eps T`` is ``eps T / ||x_i||`` in the unit of leaf i. A leaf counts as zero if its norm is at most
        `_CANCELLED` times that.
        """
        sizes = [norm(x) or 1.0 for x in self.case.inputs.differentiated]
        units = [math.prod(sizes[i] for i in leaf.inputs) for leaf in self.layout]
        norms = [norm(finite_or_zero(e)) for e in expected]
        total = sum(n * u for n, u, leaf in zip(norms, units, self.layout, strict=True) if leaf.inputs)
        floors = [self.eps * total / u if leaf.inputs else 0.0 for u, leaf in zip(units, self.layout, strict=True)]
        return [f if n <= _CANCELLED * f else 0.0 for f, n in zip(floors, norms, strict=True)]

    def _against_differences(self, derivative: Sequence[Array]) -> Comparison:
        """Compare a derivative with numerical differences."""
        count = sum(int(np.count_nonzero(~np.isfinite(leaf))) for leaf in derivative)
        nan, name = math.nan, quantity(self.case.operator)
        if count:
            return Comparison(
                name, NUMERICAL_DIFFERENCE, nan, nan, nan, nan, nan, "", count, Verdict.NONFINITE, self._note()
            )
        found = self.probe.check(derivative, allowed_rounding(self.case, derivative, self.eps, self.K))
        lost = found.verdict == Verdict.FAIL and not any(leaf.any() for leaf in derivative)
        return Comparison(
            quantity=name,
            reference=NUMERICAL_DIFFERENCE,
            max_abs_error=found.error * (found.scale or 1.0),
            norm_rel_error=found.error,
            max_ulp_error=found.error / self.eps,
            reference_error_bound=found.bar,
            tolerance=found.tolerance,
            worst_index=found.index,
            nonfinite_count=0,
            verdict=Verdict.NO_GRAD if lost else found.verdict,
            note=self._note(found.note),
        )

    def _reexamined(self, k: int, found: Comparison, got: Array, want: Array) -> Comparison:
        """Examine a failed leaf once more: it may be a subgradient, or the closed form may be wrong."""
        inputs = self.layout[k].inputs
        if not inputs or not self.probe.projects or not np.isfinite(got).all() or not np.isfinite(want).all():
            return found
        suspects = _wrong_entries(got, want, found.tolerance)
        if suspects.size == 0:
            return found
        looked = _sampled(suspects, np.random.default_rng(self.case.seed))
        if all(self._is_subgradient(k, int(i), got) for i in looked):
            words = f"kink: {suspects.size} entries differ, each between the one-sided derivatives"
            words += f" ({looked.size} of them were looked at)" if looked.size < suspects.size else ""
            return replace(found, verdict=Verdict.SUBGRADIENT, note=join_notes(found.note, words))
        index = int(suspects[0])
        seen = self.probe.entry(*matrix_position(self.case, self.layout[k], index))
        d, bar = float(seen.derivative[0]), float(seen.bar[0])
        slack = 3 * bar + _ENTRY_SAFETY * self.eps * math.sqrt(self.K) * abs(d)
        a, b = float(np.ravel(got)[index]), float(np.ravel(want)[index])
        if abs(a - d) <= slack and not abs(b - d) <= slack:
            words = f"numerical differences agree with the result there ({d:.6g}): check the closed form ({b:.6g})"
            return replace(found, note=join_notes(found.note, words))
        return found

    def _is_subgradient(self, k: int, index: int, got: Array) -> bool:
        """Return whether an entry is at a kink and lies between the one-sided derivatives, within rounding."""
        seen, g = self.probe.entry(*matrix_position(self.case, self.layout[k], index)), float(np.ravel(got)[index])
        low, high = float(seen.low[0]), float(seen.high[0])
        slack = _ENTRY_SAFETY * self.eps * max(abs(low), abs(high))
        return seen.verdicts[0] == Verdict.NONSMOOTH and low - slack <= g <= high + slack

    def _note(self, words: str = "") -> str:
        return join_notes(words, normalisation(self.case), self.reference.note)


def overall(comparisons: Sequence[Comparison]) -> tuple[Status, str]:
    """Return the status of a cell from the comparisons of its result, and the reason if it is not ``OK``.

    The status is ``OK`` only if no comparison is refuted, at least one compares numbers, and all of those prove them
    right (``pass`` or ``subgradient``). Every other result is ``WRONG``.
    """
    refuted = [c for c in comparisons if c.verdict in _REFUTED]
    if refuted:
        return Status.WRONG, "; ".join(_description(c) for c in refuted[:2])
    numbers = [c for c in comparisons if c.reference]
    unproved = [c for c in numbers if c.verdict not in _PROVED]
    if unproved or not numbers:
        reason = "; ".join(map(_description, unproved[:2])) or "nothing was compared"
        return Status.WRONG, f"not proved right: {reason}"
    return Status.OK, ""


def _verdict(got: Array, want: Array, error: float, limits: _Limits) -> Verdict:
    if (~np.isfinite(got) & ~same_infinite(got, want)).any():
        return Verdict.NONFINITE
    if np.isnan(want).any():
        return Verdict.UNDETERMINED
    capped = min(limits.tolerance, limits.cap)
    if error <= capped and math.isfinite(capped):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE if error <= limits.tolerance else Verdict.FAIL


def _wrong_entries(got: Array, want: Array, tolerance: float) -> Array:
    """Return the flat indices of the entries that miss their share of the tolerance, the largest difference first.

    ``tolerance`` is relative to the norm of the reference. N entries that err by ``t / sqrt(N)`` each have the norm t.
    """
    difference = np.abs(np.ravel(got - want))
    share = tolerance * (norm(want) or 1.0) / math.sqrt(difference.size)
    wrong = np.flatnonzero(difference > share)
    return wrong[np.argsort(-difference[wrong])]


def _sampled(suspects: Array, rng: np.random.Generator) -> Array:
    """Return at most `_MOST_KINKS` of the wrong entries: those that differ most and least, and random ones between.

    An error that is no subgradient tends to stand out at one end: a kink moves an entry by a part of its jump.
    """
    part = _MOST_KINKS // 4
    if suspects.size <= _MOST_KINKS:
        return suspects
    between = rng.choice(suspects[part:-part], _MOST_KINKS - 2 * part, replace=False)
    return np.concatenate([suspects[:part], suspects[-part:], between])


def _yes_or_no(quantity: str, right: bool, note: str) -> Comparison:
    """Return a comparison that has no numbers; the note is kept if it failed."""
    nan = math.nan
    verdict = Verdict.PASS if right else Verdict.FAIL
    return Comparison(quantity, "", nan, nan, nan, nan, nan, "", 0, verdict, "" if right else note)


def _worst_index(difference: Array) -> str:
    """Return the index of the largest difference, nan counting as the largest; empty if all are zero."""
    if not difference.any():
        return ""
    flat = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
    return str([int(i) for i in np.unravel_index(flat, difference.shape)])


def _description(c: Comparison) -> str:
    """Return one comparison in words, for the message of a cell."""
    if not c.reference:
        return f"{c.quantity}: {c.note}"
    if c.verdict == Verdict.NONFINITE:
        entries = "entry" if c.nonfinite_count == 1 else "entries"
        return f"{c.quantity}: {c.nonfinite_count} {entries} nan or infinite ({c.reference})"
    words = f"{c.quantity} {c.verdict}: error {c.norm_rel_error:.2g}, tolerance {c.tolerance:.2g} ({c.reference})"
    return join_notes(words, c.note)
