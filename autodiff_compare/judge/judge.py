"""The judge: the comparison of a result with its reference, and the verdict that follows from it.

Every entry ``g_i`` of a result has a tolerance of its own, the error that rounding may cause there
(`autodiff_compare.judge.tolerances`). A leaf passes against the reference ``g*`` if::

    |g_i - g*_i| <= t_i    for each entry i, and
    ||g - g*|| <= max(1e-3, 32 eps) ||g*||

*The norm supplements.* Tolerances that are wide against the whole leaf prove nothing: an error within them, but above
1e-3 of the norm, is ``inconclusive``, which is not a pass. Half precision has 32 of its roundings instead: 3 % in
float16, 25 % in bfloat16. A leaf that is zero has no norm: its reference is no larger than the reference's own rounding
error, which is the same tolerance in units of its arithmetic, and is added.

*Steps.* An optimizer step returns parameters ``p``. The update is compared; up to a tenth of it may be lost in ``p``.

Every test has the form ``error <= tolerance``, which is false for nan. A result that fails is examined once more: at a
kink it may be a subgradient, and numerical differences may show that the closed form is wrong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.judge import complex_numbers, kinks
from autodiff_compare.judge.comparison import (
    absolute_difference,
    accumulation,
    at_entry,
    compared,
    composed,
    examined,
    excess,
    finite_or_zero,
    join_notes,
    layout,
    matrix_position,
    norm,
    normalisation,
    overflowed,
    same_infinite,
    shapes_in_words,
    within,
)
from autodiff_compare.judge.composition import parts_of
from autodiff_compare.judge.estimate import estimated
from autodiff_compare.judge.probe import RESOLVED, Finding, probe_of
from autodiff_compare.judge.reference import NUMERICAL_DIFFERENCE, Reference, joined, reference_for
from autodiff_compare.judge.tolerances import FLOOR, Tolerances, cancelled
from autodiff_compare.judge.verdicts import PROVED, REFUTED, merged, yes_or_no
from autodiff_compare.judge.verdicts import Comparison as Comparison
from autodiff_compare.judge.verdicts import overall as overall
from autodiff_compare.plan.cases import Case, objective_value
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator, Verdict

#: NumPy kinds of dtype that cannot be compared with real numbers: complex, objects, texts.
_NOT_REAL = "cOSU"
#: What to do about float64 in the result of a narrower dtype: something in the function has promoted its inputs.
_WIDER = (
    ": write xp.asarray(A, dtype=x.dtype) of a NumPy array A, float(c) of a NumPy number c, and xp.astype(i, x.dtype)"
    " of integers i"
)
#: What contradicts our engine too proves nothing against a result, unless that is this many times as far off: then our
#: engine may be off by a rounding that was measured too small.
_FURTHER = 10.0
#: Verdicts of numerical differences that wider tolerances may change.
_UNSETTLED = frozenset({Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NONSMOOTH})


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
        self.eps = limits(case.dtype).eps
        self.K = accumulation(case)
        self.layout = tuple(layout(case))
        self.in_pairs: Judge | None = None
        self.parts: tuple[Judge, ...] = ()
        if complex_numbers.is_complex(case):
            self.in_pairs = Judge(complex_numbers.in_pairs(case), reference, every=every)
        else:
            self.parts = tuple(
                Judge(part.case, None if part.case.operator == Operator.VALUE else reference, every=every)
                for part in parts_of(case)
            )

    @functools.cached_property
    def probe(self) -> Any:
        """Numerical differences of this case; of complex numbers as pairs."""
        if self.in_pairs:
            return self.in_pairs.probe
        return probe_of(self.case, self._every)

    @functools.cached_property
    def reference(self) -> Reference:
        """The derivative with which results are compared; of complex numbers as pairs."""
        if self.in_pairs:
            return self.in_pairs.reference
        if self.parts:
            return self._given or joined(self.case, [judge.reference for judge in self.parts])
        return self._given or reference_for(self.case, lambda: self.probe)

    @functools.cached_property
    def tolerances(self) -> Tolerances:
        """The error that rounding may cause in each entry of a result."""
        return Tolerances(self.case, lambda: self.reference.changes())

    @functools.cached_property
    def nondeterminism(self) -> str:
        """Return the two values that the function gives at the same inputs, in words; empty if they are the same."""
        first, again = self.case.output, objective_value(self.case.problem, self.case.inputs)
        if first.shape == again.shape and first.tobytes() == again.tobytes():
            return ""
        values = " and ".join(
            f"{float(np.ravel(v)[0]):.17g}" for v in (first, again) if v.size and v.dtype.kind in "fiu"
        )
        return f"two evaluations of the function at the same inputs differ ({values}): it is not deterministic"

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
            the numbers incomparable. Only ``repeat``, if the function or the backend gives other numbers each time.
            Only ``inputs``, if the call changed them.
        """
        if not inputs_unchanged and not self.nondeterminism:
            return (yes_or_no("inputs", False, "the call changed its inputs"),)
        why = self.nondeterminism or ("" if repeatable else "a second call gave other bits: it is not deterministic")
        if why:
            return (yes_or_no("repeat", False, why),)
        result = tuple(np.asarray(leaf) for leaf in result)
        shape, dtype = self._shape(result), self._dtype(result)
        if shape.verdict != Verdict.PASS or not self._comparable(result, dtype):
            return (shape, dtype)
        return (
            *self.numbers(result),
            shape,
            dtype,
            yes_or_no("repeat", True, ""),
            yes_or_no("inputs", True, ""),
        )

    def numbers(self, result: Sequence[Array]) -> tuple[Comparison, ...]:
        """Compare the numbers alone, of leaves of the right shapes: those of a composite result part by part."""
        if self.in_pairs:
            leaves = complex_numbers.result_in_pairs(self.case, result)
            return complex_numbers.in_words(self.in_pairs.numbers(leaves))
        if self.case.operator == Operator.LAPLACIAN_ESTIMATE:
            return tuple(estimated(self.case, tuple(self._numbers(result)), result))
        if not self.parts:
            return tuple(self._together(tuple(self._numbers(result)), result))
        pairs = zip(self.parts, composed(self.case, result), strict=True)
        found = [judge.numbers(leaves) for judge, (_, leaves) in pairs]
        return merged(self.case, found, [part.row for part in parts_of(self.case)])

    def _shape(self, result: Sequence[Array]) -> Comparison:
        got, expected = [leaf.shape for leaf in result], [leaf.shape for leaf in self.layout]
        note = f"got {shapes_in_words(got)}, expected {shapes_in_words(expected)}"
        return yes_or_no("shape", got == expected, note)

    def _comparable(self, result: Sequence[Array], dtype: Comparison) -> bool:
        """Return whether the numbers of a result are of the kind that is expected."""
        if self.in_pairs:
            return dtype.verdict == Verdict.PASS
        return not any(leaf.dtype.kind in _NOT_REAL for leaf in result)

    def _dtype(self, result: Sequence[Array]) -> Comparison:
        if self.in_pairs:
            got, expected = [str(leaf.dtype) for leaf in result], complex_numbers.dtypes(self.case)
            return yes_or_no("dtype", got == expected, f"got {', '.join(got)}, expected {', '.join(expected)}")
        got = sorted({str(leaf.dtype) for leaf in result})
        words = " and ".join(got) or "nothing"
        advice = _WIDER if got[-1:] == ["float64"] and self.case.dtype != "float64" else ""
        return yes_or_no("dtype", got == [self.case.dtype], f"got {words}, expected {self.case.dtype}{advice}")

    def _numbers(self, result: Sequence[Array]) -> Iterator[Comparison]:
        leaves, reference = compared(self.case, result), self.reference
        if reference.arrays is not None:
            expected = compared(self.case, reference.arrays)
            allowed = self._allowed(leaves, expected)
            for k, (got, want) in enumerate(zip(leaves, expected, strict=True)):
                yield self._leaf(k, got, want, allowed[k])
            return
        yield self._against_differences(leaves)

    def _together(self, found: Sequence[Comparison], result: Sequence[Array]) -> Iterator[Comparison]:
        """Yield the comparisons, refuting subgradients whose entries are right only one by one."""
        kinked = [c.verdict == Verdict.SUBGRADIENT for c in found]
        proved = all(c.verdict in PROVED for c in found)
        wrong = proved and any(kinked) and kinks.outside(self.probe, compared(self.case, result))
        for c, at in zip(found, kinked, strict=True):
            yield replace(c, verdict=Verdict.FAIL, note=join_notes(kinks.OUTSIDE, c.note)) if wrong and at else c

    def _allowed(self, leaves: Sequence[Array], expected: Sequence[Array]) -> tuple[Array, ...]:
        """Return the tolerances of all entries, measured only as well as the result requires.

        Most results err by less than a few roundings of each entry. For the others rounding is measured, and measured
        better before a result is refuted.
        """
        # The reference errs too, in units of its own arithmetic.
        both = 1 + self.reference.eps / self.eps
        allowed = tuple(both * t for t in self.tolerances.floor(expected))
        if within(leaves, expected, allowed):
            return allowed
        closed = [name.startswith("closed") for name in self.reference.names]
        own = cancelled(self.case, self.layout, closed, expected, self.reference.eps)
        while True:
            allowed = tuple(both * t + e for t, e in zip(self.tolerances(expected), own, strict=True))
            if within(leaves, expected, allowed) or not self.tolerances.refined(excess(leaves, expected, allowed)):
                return allowed

    def _leaf(self, k: int, got: Array, want: Array, allowed: Array) -> Comparison:
        """Compare leaf k with its reference."""
        difference, size = absolute_difference(got, want), norm(finite_or_zero(want))
        unit = size if size > 0 else 1.0
        verdict = self._verdict(k, got, want, allowed)
        is_lost = verdict == Verdict.FAIL and self.layout[k].inputs and not got.any()
        biggest, error = float(difference.max(initial=0.0)), norm(difference)
        with np.errstate(all="ignore"):
            wrong = np.where(difference > 0, np.nan_to_num(difference / allowed, nan=np.inf), 0)
        wrong = np.where(np.isfinite(got) | same_infinite(got, want), wrong, np.inf)
        at = int(np.argmax(wrong)) if wrong.size and wrong.any() else -1
        tolerance = norm(allowed) / unit
        found = Comparison(
            quantity=self.layout[k].name,
            reference=self.reference.names[k],
            max_abs_error=biggest,
            norm_rel_error=error / unit,
            max_ulp_error=biggest / (self.eps * unit),
            reference_error_bound=tolerance * self._reference_part,
            tolerance=tolerance,
            worst_index=self._index(k, at, got.shape) if at >= 0 else "",
            nonfinite_count=int(np.count_nonzero(~np.isfinite(got))),
            verdict=Verdict.NO_GRAD if is_lost else verdict,
            note=self._note(
                overflowed(self.case, got, want, at)
                if verdict == Verdict.NONFINITE
                else ""
                if size > 0
                else "the reference is zero: errors are absolute"
            ),
            **at_entry(got, want, allowed, at),
        )
        return self._reexamined(k, found, got, want, allowed) if found.verdict in REFUTED else found

    @property
    def _reference_part(self) -> float:
        """The reference's share of the tolerance."""
        return self.reference.eps / (self.reference.eps + self.eps)

    def _verdict(self, k: int, got: Array, want: Array, allowed: Array) -> Verdict:
        if (~np.isfinite(got) & ~same_infinite(got, want)).any():
            return Verdict.NONFINITE
        if np.isnan(want).any():
            return Verdict.UNDETERMINED
        if not within([got], [want], [allowed]):
            return Verdict.FAIL
        error, size, tolerance = norm(absolute_difference(got, want)), norm(finite_or_zero(want)), norm(allowed)
        parameters = self.eps * norm(self.case.inputs.differentiated[k]) if self.case.operator == Operator.STEP else 0.0
        cap = limits(self.case.dtype).meaningful * size + (parameters if parameters <= RESOLVED * size else 0)
        is_zero = size <= tolerance * self._reference_part and math.isfinite(tolerance)
        return Verdict.PASS if error <= cap or is_zero else Verdict.INCONCLUSIVE

    def _index(self, k: int, at: int, shape: tuple[int, ...]) -> str:
        """Return the index of an entry of leaf k as text; row and column for a sparse Jacobian."""
        if self.case.entries and self.layout[k].inputs:
            pattern = self.case.entries[k]
            return str([int(pattern.rows[at]), int(pattern.columns[at])])
        return str([int(i) for i in np.unravel_index(at, shape)])

    def _against_differences(self, derivative: Sequence[Array]) -> Comparison:
        """Compare a derivative with numerical differences."""
        count = sum(int(np.count_nonzero(~np.isfinite(leaf))) for leaf in derivative)
        nan, name = math.nan, str(self.case.operator)
        if count:
            return Comparison(
                name, NUMERICAL_DIFFERENCE, nan, nan, nan, nan, nan, "", count, Verdict.NONFINITE, self._note()
            )
        found = self._finding(derivative)
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
            note=self._note(found.note if found.verdict in PROVED else join_notes(found.note, self._raised)),
            got=found.got,
            expected=found.expected,
            entry_tolerance=found.half_width,
            how=found.how,
        )

    @property
    def _raised(self) -> str:
        """Return the exception that ended the domain nearby, in words; empty if there was none."""
        return str(self.probe.objective.raised)

    def _finding(self, leaves: Sequence[Array]) -> Finding:
        """Compare with numerical differences, with tolerances measured only as well as the result requires."""
        tolerances = self.tolerances

        def seen(allowed: Sequence[Array], again: bool = False) -> Finding:
            finding: Finding = self.probe.check(leaves, allowed, again=again)
            return finding

        found = seen(tolerances.floor(leaves))
        if found.verdict not in _UNSETTLED:
            return found
        found = seen(tolerances(leaves, proved=False))
        while found.verdict == Verdict.FAIL and tolerances.refined():
            found = seen(tolerances(leaves, proved=False))
        if found.verdict == Verdict.FAIL:
            found = seen(tolerances(leaves, proved=False), again=True)
        centre = tolerances.centre()
        if found.verdict == Verdict.FAIL and centre:
            ours = self.probe.check(centre, tolerances(centre), again=True)
            if ours.verdict == Verdict.FAIL and found.error <= _FURTHER * ours.error:
                tolerances.distrust("numerical differences contradict our engine")
                found = seen(tolerances(leaves), again=True)
        return found

    def _reexamined(self, k: int, found: Comparison, got: Array, want: Array, allowed: Array) -> Comparison:
        """Examine a failed leaf once more: it may be a subgradient, or the closed form may be wrong."""
        inputs = self.layout[k].inputs
        if not inputs or not self.probe.projects or not np.isfinite(got).all() or not np.isfinite(want).all():
            return found
        difference = np.ravel(absolute_difference(got, want))
        suspects = np.flatnonzero(difference > np.ravel(allowed))
        if suspects.size == 0:
            return found
        suspects = suspects[np.argsort(-difference[suspects])]
        looked = examined(suspects, np.random.default_rng(self.case.seed))
        if all(self._is_subgradient(k, int(i), got, allowed) for i in looked):
            words = f"kink: {suspects.size} entries differ, each between the one-sided derivatives"
            words += f" ({looked.size} of them were looked at)" if looked.size < suspects.size else ""
            return replace(found, verdict=Verdict.SUBGRADIENT, note=join_notes(found.note, words))
        index = int(suspects[0])
        seen = self.probe.entry(*matrix_position(self.case, self.layout[k], index))
        d, bar = float(seen.derivative[0]), float(seen.bar[0])
        slack = 3 * bar + float(np.ravel(allowed)[index])
        a, b = float(np.ravel(got)[index]), float(np.ravel(want)[index])
        if abs(a - d) <= slack and not abs(b - d) <= slack:
            words = f"numerical differences agree with the result there ({d:.6g}): check the closed form ({b:.6g})"
            return replace(found, note=join_notes(found.note, words))
        return found

    def _is_subgradient(self, k: int, index: int, got: Array, allowed: Array) -> bool:
        """Return whether an entry is at a kink and lies between the one-sided derivatives, within rounding."""
        seen, g = self.probe.entry(*matrix_position(self.case, self.layout[k], index)), float(np.ravel(got)[index])
        low, high = float(seen.low[0]), float(seen.high[0])
        # The ends are themselves products and sums of the dtype.
        slack = float(np.ravel(allowed)[index]) + FLOOR * self.eps * max(abs(low), abs(high))
        return seen.verdicts[0] == Verdict.NONSMOOTH and low - slack <= g <= high + slack

    def _note(self, words: str = "") -> str:
        return join_notes(words, normalisation(self.case), self.reference.note, self.tolerances.note)
