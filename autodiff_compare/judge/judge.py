"""The judge: compares a result with its reference and says what that proves.

A leaf ``g`` of a result passes against the reference ``g*`` if::

    ||g - g*|| <= min(10 sqrt(K) max(eps ||g*||, c), 1e-3 ||g*||)

with ``K`` the longest accumulation and ``c = ||g*(x~) - g*(x)||`` for inputs ``x~`` one rounding away: an algorithm
that works in the given dtype cannot be asked to do better than that. Between the two terms of the minimum the
result is ``inconclusive``. Of a step the update is compared, and ``eps ||p||`` added, the rounding of
the parameters. Errors are relative to the norm of the reference, so that zeros fail everywhere. Every
test has the form ``error <= tolerance``, which is false for nan.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autodiff_compare.judge.comparison import (
    accumulation,
    compared,
    finite,
    joined,
    layout,
    norm,
    normalised,
    place,
    quantity,
    same_infinite,
    shapes_in_words,
)
from autodiff_compare.judge.pairs import Pair, pairwise
from autodiff_compare.judge.probe import MEANINGFUL, RESOLVED, Probe
from autodiff_compare.judge.reference import Reference, reference_for
from autodiff_compare.plan.cases import DEFAULT_OPTIMIZER, Case, rounded
from autodiff_compare.problems import Array, Inputs, Problem
from autodiff_compare.vocabulary import DTYPES, Operator, Status, Verdict

__all__ = ["Comparison", "Judge", "Pair", "assert_gradients", "overall", "pairwise"]

#: Right backends err by 0.3 sqrt(K) eps; this factor is thirty times that.
SAFETY = 10.0
#: Entries of a failed leaf that are looked at for being subgradients; more than that fail.
_KINKS = 64
#: Kinds of dtype that cannot be compared with real numbers: complex, objects, texts.
_NOT_REAL = "cOSU"
_PROVED = frozenset({Verdict.PASS, Verdict.SUBGRADIENT})
_REFUTED = frozenset({Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE})


@dataclass(frozen=True)
class Comparison:
    """One numerical comparison with a reference; `results.rows.CheckRow` documents the fields."""

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


class Judge:
    """Judges results of one case; the reference is made once, when it is first needed.

    Parameters
    ----------
    case
        The numbers of one (problem, size, dtype, operator).
    reference
        What to compare with; by default the best to be had.
    """

    def __init__(self, case: Case, reference: Reference | None = None) -> None:
        self.case = case
        self._given = reference
        self.eps = float(np.finfo(case.dtype).eps)
        self.K = accumulation(case)
        self.safety = SAFETY * math.sqrt(self.K) if case.problem.tolerance is None else case.problem.tolerance
        self.layout = tuple(layout(case))

    @functools.cached_property
    def probe(self) -> Probe:
        """Numerical differences of this case."""
        return Probe(self.case)

    @functools.cached_property
    def reference(self) -> Reference:
        """What results are compared with."""
        return self._given or reference_for(self.case, lambda: self.probe)

    def __call__(
        self, result: Sequence[Array], *, repeatable: bool = True, inputs_unchanged: bool = True
    ) -> tuple[Comparison, ...]:
        """Every comparison of one result.

        Parameters
        ----------
        result
            The leaves of what the prepared callable returned, as NumPy arrays.
        repeatable, inputs_unchanged
            Whether a second call gave the same bits, and whether the inputs still hold theirs.
        """
        result = tuple(np.asarray(leaf) for leaf in result)
        shape, dtype = self._shape(result), self._dtype(result)
        if shape.verdict != Verdict.PASS or any(leaf.dtype.kind in _NOT_REAL for leaf in result):
            return (shape, dtype)
        return (
            *self._numbers(result),
            shape,
            dtype,
            _plain("repeat", repeatable, "" if repeatable else "a second call gave other bits"),
            _plain("inputs", inputs_unchanged, "" if inputs_unchanged else "the call changed its inputs"),
        )

    def _shape(self, result: Sequence[Array]) -> Comparison:
        got, expected = [leaf.shape for leaf in result], [leaf.shape for leaf in self.layout]
        return _plain("shape", got == expected, f"got {shapes_in_words(got)}, expected {shapes_in_words(expected)}")

    def _dtype(self, result: Sequence[Array]) -> Comparison:
        got = sorted({str(leaf.dtype) for leaf in result})
        words = " and ".join(got) or "nothing"
        return _plain("dtype", got == [self.case.dtype], f"got {words}, expected {self.case.dtype}")

    def _numbers(self, result: Sequence[Array]) -> Iterator[Comparison]:
        leaves, reference = compared(self.case, result), self.reference
        if reference.arrays is not None:
            expected = compared(self.case, reference.arrays)
            floors = self._floors(expected)
            for k, (got, want) in enumerate(zip(leaves, expected, strict=True)):
                yield self._leaf(k, got, want, floors[k])
            return
        skip = self.case.operator == Operator.VALUE_AND_GRADIENT
        if skip:
            yield self._value(leaves[0])
        yield self._observed(leaves[skip:])

    def _value(self, got: Array) -> Comparison:
        """The value beside a derivative without a reference: that of the objective, as for a case of its own."""
        case = replace(self.case, operator=Operator.VALUE, directions=())
        return Judge(case)._leaf(0, got, compared(case, reference_for(case).arrays or ())[0], 0.0)

    def _leaf(self, k: int, got: Array, want: Array, floor: float) -> Comparison:
        reference, change = self.reference, self.reference.changes[k]
        scale = norm(finite(want))
        bound = math.sqrt(self.K) * reference.eps * max(scale, change / self.eps)
        extra = self.eps * norm(self.case.inputs.differentiated[k]) if self.case.operator == Operator.STEP else 0.0
        tolerance = self.safety * max(self.eps * scale, change, floor) + extra
        cap = math.inf if floor > 0 or scale == 0 else MEANINGFUL * scale + (extra if extra <= RESOLVED * scale else 0)
        found = self._entrywise(self.layout[k].name, reference.names[k], got, want, (bound, tolerance, cap))
        if self.case.operator == Operator.SPARSE_JACOBIAN and found.worst_index:
            pattern, at = self.case.patterns[k], int(found.worst_index.strip("[]"))
            found = replace(found, worst_index=str([int(pattern.rows[at]), int(pattern.columns[at])]))
        return self._reconsidered(k, found, got, want) if found.verdict in _REFUTED else found

    def _entrywise(
        self, quantity: str, name: str, got: Array, want: Array, limits: tuple[float, float, float]
    ) -> Comparison:
        """One leaf against an array; the limits are absolute: the reference's bound, the tolerance, its cap."""
        bound, tolerance, cap = limits
        with np.errstate(invalid="ignore"):
            difference = np.abs(np.where(same_infinite(got, want), 0, got - want))
        scale, error, biggest = norm(finite(want)), norm(difference), float(difference.max(initial=0.0))
        unit = scale if scale > 0 else 1.0
        verdict = _verdict(got, want, error, tolerance, cap)
        is_lost = verdict == Verdict.FAIL and quantity != Operator.VALUE and not got.any()
        return Comparison(
            quantity=quantity,
            reference=name,
            max_abs_error=biggest,
            norm_rel_error=error / unit,
            max_ulp_error=biggest / (self.eps * unit),
            reference_error_bound=bound / unit,
            tolerance=min(tolerance, cap) / unit,
            worst_index=_worst_index(difference),
            nonfinite_count=int(np.count_nonzero(~np.isfinite(got))),
            verdict=Verdict.NO_GRAD if is_lost else verdict,
            note=self._note("" if scale > 0 else "the reference is zero: errors are absolute"),
        )

    def _floors(self, expected: Sequence[Array]) -> list[float]:
        """Absolute rounding of the leaves that are zero but for rounding; 0 for the others.

        Such a leaf (the gradient of a shift that cancels, say) is what is left of terms as large as the other
        leaves, so those give the scale; each is multiplied by its inputs to bring all to the unit of the function.
        """
        sizes = [norm(x) or 1.0 for x in self.case.inputs.differentiated]
        units = [math.prod(sizes[i] for i in leaf.inputs) for leaf in self.layout]
        total = sum(norm(finite(e)) * u for e, u, leaf in zip(expected, units, self.layout, strict=True) if leaf.inputs)
        floors = [self.eps * total / u if leaf.inputs else 0.0 for u, leaf in zip(units, self.layout, strict=True)]
        return [f if norm(finite(e)) <= 100 * f else 0.0 for f, e in zip(floors, expected, strict=True)]

    def _observed(self, derivative: Sequence[Array]) -> Comparison:
        """A derivative against numerical differences."""
        count = sum(int(np.count_nonzero(~np.isfinite(leaf))) for leaf in derivative)
        nan, name = math.nan, quantity(self.case.operator)
        if count:
            return Comparison(
                name, "numerical_difference", nan, nan, nan, nan, nan, "", count, Verdict.NONFINITE, self._note()
            )
        found = self.probe.check(derivative, self.eps, self.K)
        lost = found.verdict == Verdict.FAIL and not any(leaf.any() for leaf in derivative)
        return Comparison(
            quantity=name,
            reference="numerical_difference",
            max_abs_error=found.error * (found.scale or 1.0),
            norm_rel_error=found.error,
            max_ulp_error=found.error / self.eps,
            reference_error_bound=found.bar,
            tolerance=found.tolerance,
            worst_index="",
            nonfinite_count=0,
            verdict=Verdict.NO_GRAD if lost else found.verdict,
            note=self._note(found.note),
        )

    def _reconsidered(self, k: int, found: Comparison, got: Array, want: Array) -> Comparison:
        """A failed leaf once more: it may be a subgradient, or the closed form may be wrong."""
        inputs = self.layout[k].inputs
        if not inputs or not self.probe.projects or not np.isfinite(got).all() or not np.isfinite(want).all():
            return found
        difference = np.abs(np.ravel(got - want))
        small = found.tolerance * (norm(want) or 1.0) / math.sqrt(difference.size)
        suspects = np.flatnonzero(difference > small)
        suspects = suspects[np.argsort(-difference[suspects])]
        if suspects.size == 0:
            return found
        if suspects.size <= _KINKS and all(self._at_kink(k, int(i), got) for i in suspects):
            words = f"kink: {suspects.size} entries differ, each between the one-sided derivatives"
            return replace(found, verdict=Verdict.SUBGRADIENT, note=joined(found.note, words))
        worst_one = int(suspects[0])
        seen = self.probe.entry(*place(self.case, self.layout[k], worst_one))
        d, bar = float(seen.derivative[0]), float(seen.bar[0])
        slack = 3 * bar + 8 * self.eps * math.sqrt(self.K) * abs(d)
        a, b = float(np.ravel(got)[worst_one]), float(np.ravel(want)[worst_one])
        if abs(a - d) <= slack and not abs(b - d) <= slack:
            words = f"numerical differences side with the result there ({d:.6g}): check the closed form ({b:.6g})"
            return replace(found, note=joined(found.note, words))
        return found

    def _at_kink(self, k: int, index: int, got: Array) -> bool:
        seen, g = self.probe.entry(*place(self.case, self.layout[k], index)), float(np.ravel(got)[index])
        low, high = float(seen.low[0]), float(seen.high[0])
        slack = 8 * self.eps * max(abs(low), abs(high))
        return seen.verdicts[0] == Verdict.NONSMOOTH and low - slack <= g <= high + slack

    def _note(self, words: str = "") -> str:
        return joined(words, normalised(self.case), self.reference.note)


def overall(comparisons: Sequence[Comparison]) -> tuple[Status, str]:
    """What a result's comparisons come to: the status of its cell, and why it is not ok.

    Returns
    -------
    tuple
        ``OK`` only if nothing is refuted and every number compared is proved, at least one of them.
    """
    refuted = [c for c in comparisons if c.verdict in _REFUTED]
    if refuted:
        return Status.WRONG, "; ".join(_words_of(c) for c in refuted[:2])
    numbers = [c for c in comparisons if c.reference]
    open_ones = [c for c in numbers if c.verdict not in _PROVED]
    if open_ones or not numbers:
        return Status.WRONG, "not proved right: " + ("; ".join(map(_words_of, open_ones[:2])) or "nothing was compared")
    return Status.OK, ""


def assert_gradients(
    f: Callable[..., Any],
    x: Any,
    gradient: Any,
    *,
    dtype: str | None = None,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Assert that ``gradient`` is the gradient of ``f`` at ``x``, by numerical differences with an error bar.

    Parameters
    ----------
    f
        Function of NumPy arrays (one per input) that returns a scalar. It is called with float64 arrays.
    x
        One array, or a tuple of arrays: the inputs.
    gradient
        One array, or a tuple shaped like ``x``; or a function of ``x`` that returns it. Anything that
        ``np.asarray`` takes.
    dtype
        The precision in which the gradient was computed; its own dtype by default.
    seed
        Of the random directions, used above 32 inputs.

    Returns
    -------
    tuple of Comparison
        What was compared, with errors and tolerances.

    Raises
    ------
    AssertionError
        If the gradient is wrong, or is not proved right (the function is not smooth here, or too noisy).
    ValueError
        If the function does not return a scalar.

    Examples
    --------
    >>> _ = assert_gradients(lambda x: np.sum(np.sin(x)), np.array([0.3, 1.0]), np.cos)
    """
    inputs = tuple(np.asarray(part) for part in x) if isinstance(x, tuple) else (np.asarray(x),)
    found = gradient(*inputs) if callable(gradient) else gradient
    leaves = tuple(np.asarray(part) for part in found) if isinstance(found, tuple) else (np.asarray(found),)
    output = np.shape(f(*inputs))
    if output != ():
        raise ValueError(f"got an output of shape {output}, expected a scalar: check a component or a projection")
    dtype = dtype or str(np.result_type(*leaves))
    if dtype not in DTYPES:
        raise AssertionError(f"got a gradient of dtype {dtype}, expected one of {', '.join(DTYPES)}")
    problem = Problem(
        name="f",
        title="a function under test",
        source="",
        sizes={"small": 1},
        inputs=lambda *_: Inputs(inputs),
        objective=lambda *args, xp: f(*args),  # noqa: ARG005 - f knows its own namespace
    )
    case = Case(problem, "small", dtype, Operator.GRADIENT, seed, rounded(Inputs(inputs), dtype), (), DEFAULT_OPTIMIZER)
    comparisons = Judge(case, Reference(("numerical_difference",), None))(leaves)
    status, why = overall(comparisons)
    if status != Status.OK:
        raise AssertionError(f"gradient is {status}: {why}")
    return comparisons


def _verdict(got: Array, want: Array, error: float, tolerance: float, cap: float) -> Verdict:
    if (~np.isfinite(got) & ~same_infinite(got, want)).any():
        return Verdict.NONFINITE
    if np.isnan(want).any():
        return Verdict.UNDETERMINED
    if error <= min(tolerance, cap) and math.isfinite(min(tolerance, cap)):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE if error <= tolerance else Verdict.FAIL


def _plain(quantity: str, right: bool, note: str) -> Comparison:
    """A comparison that is not one of numbers."""
    nan = math.nan
    verdict = Verdict.PASS if right else Verdict.FAIL
    return Comparison(quantity, "", nan, nan, nan, nan, nan, "", 0, verdict, "" if right else note)


def _worst_index(difference: Array) -> str:
    if not difference.any():
        return ""
    worst_one = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
    return str([int(i) for i in np.unravel_index(worst_one, difference.shape)])


def _words_of(c: Comparison) -> str:
    if not c.reference:
        return f"{c.quantity}: {c.note}"
    if c.verdict == Verdict.NONFINITE:
        entries = "entry" if c.nonfinite_count == 1 else "entries"
        return f"{c.quantity}: {c.nonfinite_count} {entries} nan or infinite ({c.reference})"
    words = f"{c.quantity} {c.verdict}: error {c.norm_rel_error:.2g}, tolerance {c.tolerance:.2g} ({c.reference})"
    return joined(words, c.note)
