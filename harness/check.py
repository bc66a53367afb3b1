"""The judge: compares a result with its reference and says what that proves.

A leaf ``g`` of a result passes against the reference ``g*`` if::

    ||g - g*|| <= min(10 sqrt(K) max(eps ||g*||, c), 1e-3 ||g*||)

with ``K`` the longest accumulation and ``c = ||g*(x~) - g*(x)||`` for inputs ``x~`` one rounding away: an algorithm
that works in the given dtype cannot be asked to do better than that. Between the two terms of the minimum the
result is ``inconclusive``. Errors are relative to the norm of the reference, so that zeros fail everywhere. Every
test has the form ``error <= tolerance``, which is false for nan.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cells import DEFAULT_OPTIMIZER, Case, objective_value, rounded
from harness.probe import MEANINGFUL, Probe
from harness.reference import Reference, accumulation, compared, norm, reference_for
from problems import Inputs, Problem
from vocabulary import DTYPES, Operator, Status, Verdict

Array = NDArray[Any]

#: Right backends err by 0.3 sqrt(K) eps; this factor is thirty times that.
SAFETY = 10.0
#: Entries of a failed leaf that are looked at for being subgradients; more than that fail.
_KINKS = 64
_PROVED = frozenset({Verdict.PASS, Verdict.SUBGRADIENT})
_REFUTED = frozenset({Verdict.FAIL, Verdict.NO_GRAD, Verdict.NONFINITE})
#: What is compared of one leaf, where it is not the operator itself.
_QUANTITIES = {Operator.VALUE_AND_GRADIENT: Operator.GRADIENT}


@dataclass(frozen=True)
class Comparison:
    """One numerical comparison with a reference; the fields are documented in ``harness/tables.py`` (checks)."""

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
class Pair:
    """Difference between two backends; the fields are documented in ``harness/tables.py`` (pairs)."""

    backend_a: str
    backend_b: str
    max_abs_difference: float
    norm_rel_difference: float
    difference_in_eps: float
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
        self.layout = tuple(_layout(case))

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
        shape = self._shape(result)
        if shape.verdict != Verdict.PASS:
            return (shape,)
        return (
            *self._numbers(result),
            shape,
            self._dtype(result),
            _plain("repeat", repeatable, "" if repeatable else "a second call gave other bits"),
            _plain("inputs", inputs_unchanged, "" if inputs_unchanged else "the call changed its inputs"),
        )

    def _shape(self, result: Sequence[Array]) -> Comparison:
        got, expected = [leaf.shape for leaf in result], [leaf.shape for leaf in self.layout]
        return _plain("shape", got == expected, f"got {_words(got)}, expected {_words(expected)}")

    def _dtype(self, result: Sequence[Array]) -> Comparison:
        got = sorted({str(leaf.dtype) for leaf in result})
        return _plain("dtype", got == [self.case.dtype], f"got {' and '.join(got)}, expected {self.case.dtype}")

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
        scale = norm(_finite(want))
        bound = math.sqrt(self.K) * reference.eps * max(scale, change / self.eps)
        extra = self.eps * norm(self.case.inputs.differentiated[k]) if self.case.operator == Operator.STEP else 0.0
        tolerance = self.safety * max(self.eps * scale, change, floor) + extra
        cap = math.inf if floor > 0 or scale == 0 else MEANINGFUL * scale
        found = self._entrywise(self.layout[k].name, reference.names[k], got, want, (bound, tolerance, cap))
        return self._reconsidered(k, found, got, want) if found.verdict in _REFUTED else found

    def _entrywise(
        self, quantity: str, name: str, got: Array, want: Array, limits: tuple[float, float, float]
    ) -> Comparison:
        """One leaf against an array; the limits are absolute: the reference's bound, the tolerance, its cap."""
        bound, tolerance, cap = limits
        with np.errstate(invalid="ignore"):
            difference = np.abs(np.where(_same_infinite(got, want), 0, got - want))
        scale, error, biggest = norm(_finite(want)), norm(difference), float(difference.max(initial=0.0))
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
        total = sum(
            norm(_finite(e)) * u for e, u, leaf in zip(expected, units, self.layout, strict=True) if leaf.inputs
        )
        floors = [self.eps * total / u if leaf.inputs else 0.0 for u, leaf in zip(units, self.layout, strict=True)]
        return [f if norm(_finite(e)) <= 100 * f else 0.0 for f, e in zip(floors, expected, strict=True)]

    def _observed(self, derivative: Sequence[Array]) -> Comparison:
        """A derivative against numerical differences."""
        count = sum(int(np.count_nonzero(~np.isfinite(leaf))) for leaf in derivative)
        nan, quantity = math.nan, str(_QUANTITIES.get(self.case.operator, self.case.operator))
        if count:
            return Comparison(
                quantity, "numerical_difference", nan, nan, nan, nan, nan, "", count, Verdict.NONFINITE, self._note()
            )
        found = self.probe.check(derivative, self.eps, self.K)
        lost = found.verdict == Verdict.FAIL and not any(leaf.any() for leaf in derivative)
        return Comparison(
            quantity=quantity,
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
            return replace(found, verdict=Verdict.SUBGRADIENT, note=_joined(found.note, words))
        worst_one = int(suspects[0])
        seen = self.probe.entry(*self._place(k, worst_one))
        d, bar = float(seen.derivative[0]), float(seen.bar[0])
        slack = 3 * bar + 8 * self.eps * math.sqrt(self.K) * abs(d)
        a, b = float(np.ravel(got)[worst_one]), float(np.ravel(want)[worst_one])
        if abs(a - d) <= slack and not abs(b - d) <= slack:
            words = f"numerical differences side with the result there ({d:.6g}): check the closed form ({b:.6g})"
            return replace(found, note=_joined(found.note, words))
        return found

    def _at_kink(self, k: int, index: int, got: Array) -> bool:
        seen, g = self.probe.entry(*self._place(k, index)), float(np.ravel(got)[index])
        return seen.verdicts[0] == Verdict.NONSMOOTH and bool(seen.low[0] <= g <= seen.high[0])

    def _place(self, k: int, index: int) -> tuple[int, int]:
        """Row and column, in the matrix of `Probe`, of an entry of leaf ``k``."""
        sizes = [x.size for x in self.case.inputs.differentiated]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        inputs, operator = self.layout[k].inputs, self.case.operator
        if operator == Operator.JVP:
            return index, 0
        last = inputs[-1]
        if operator == Operator.HVP:
            return starts[last] + index, 0
        row, column = divmod(index, sizes[last])
        return row + (starts[inputs[0]] if operator == Operator.HESSIAN else 0), starts[last] + column

    def _note(self, words: str = "") -> str:
        normalise = self.case.problem.normalise
        applied = normalise is not None and self.case.operator not in (Operator.VALUE, Operator.JVP)
        return _joined(words, normalise.words if applied and normalise else "", self.reference.note)


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


def pairwise(case: Case, results: Mapping[str, Sequence[Array]]) -> list[Pair]:
    """Every pair of backends, compared leaf by leaf as the judge compares; the largest difference of a leaf counts.

    Parameters
    ----------
    case
        What was computed.
    results
        ``backend[:variant]`` -> leaves of its result.
    """
    ready = {spec: [np.asarray(leaf) for leaf in result] for spec, result in results.items()}
    return [_pair(case, a, b, ready[a], ready[b]) for a, b in itertools.combinations(ready, 2)]


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

    Examples
    --------
    >>> _ = assert_gradients(lambda x: np.sum(np.sin(x)), np.array([0.3, 1.0]), np.cos)
    """
    inputs = tuple(np.asarray(part) for part in x) if isinstance(x, tuple) else (np.asarray(x),)
    found = gradient(*inputs) if callable(gradient) else gradient
    leaves = tuple(np.asarray(part) for part in found) if isinstance(found, tuple) else (np.asarray(found),)
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


@dataclass(frozen=True)
class _Leaf:
    """What one leaf of a result is: its name, its shape, and the inputs by which it is differentiated."""

    name: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]


def _layout(case: Case) -> Iterator[_Leaf]:
    operator, shapes = case.operator, [x.shape for x in case.inputs.differentiated]
    out = objective_value(case.problem, case.inputs).shape
    if operator in (Operator.VALUE, Operator.VALUE_AND_GRADIENT):
        yield _Leaf("value", out, ())
    if operator == Operator.VALUE:
        return
    if operator == Operator.JVP:
        yield _Leaf("jvp", out, tuple(range(len(shapes))))
        return
    name = str(_QUANTITIES.get(operator, operator))
    if operator == Operator.HESSIAN:
        many = len(shapes) > 1
        for i, j in itertools.product(range(len(shapes)), repeat=2):
            yield _Leaf(f"{name}[{i},{j}]" if many else name, shapes[i] + shapes[j], (i, j))
        return
    lead = out if operator == Operator.JACOBIAN else ()
    for i, shape in enumerate(shapes):
        yield _Leaf(f"{name}[{i}]" if len(shapes) > 1 else name, lead + shape, (i,))


def _verdict(got: Array, want: Array, error: float, tolerance: float, cap: float) -> Verdict:
    if (~np.isfinite(got) & ~_same_infinite(got, want)).any():
        return Verdict.NONFINITE
    if np.isnan(want).any():
        return Verdict.UNDETERMINED
    if error <= min(tolerance, cap) and math.isfinite(min(tolerance, cap)):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE if error <= tolerance else Verdict.FAIL


def _pair(case: Case, a: str, b: str, first: Sequence[Array], second: Sequence[Array]) -> Pair:
    if [leaf.shape for leaf in first] != [leaf.shape for leaf in second]:
        words = f"shapes differ: {_words(leaf.shape for leaf in first)} and {_words(leaf.shape for leaf in second)}"
        return Pair(a, b, math.nan, math.nan, math.nan, words)
    absolute, relative = 0.0, 0.0
    for p, q in zip(compared(case, first), compared(case, second), strict=True):
        with np.errstate(invalid="ignore"):
            difference = np.abs(np.where(_same_infinite(p, q), 0, p - q))
        scale = max(norm(_finite(p)), norm(_finite(q)))
        absolute = max(float(difference.max(initial=0.0)), absolute, key=_nan_last)
        relative = max(norm(difference) / (scale or 1.0), relative, key=_nan_last)
    normalise = case.problem.normalise
    note = normalise.words if normalise and case.operator not in (Operator.VALUE, Operator.JVP) else ""
    step = "of the updates" if case.operator == Operator.STEP else ""
    return Pair(a, b, absolute, relative, relative / float(np.finfo(case.dtype).eps), _joined(step, note))


def _plain(quantity: str, right: bool, note: str) -> Comparison:
    """A comparison that is not one of numbers."""
    nan = math.nan
    verdict = Verdict.PASS if right else Verdict.FAIL
    return Comparison(quantity, "", nan, nan, nan, nan, nan, "", 0, verdict, "" if right else note)


def _same_infinite(a: Array, b: Array) -> Array:
    return np.asarray(np.isinf(a) & (a == b))


def _finite(array: Array) -> Array:
    return np.where(np.isfinite(array), array, 0)


def _worst_index(difference: Array) -> str:
    if not difference.any():
        return ""
    worst_one = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
    return str([int(i) for i in np.unravel_index(worst_one, difference.shape)])


def _nan_last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _words(shapes: Iterable[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes)) or "nothing"


def _words_of(c: Comparison) -> str:
    if not c.reference:
        return f"{c.quantity}: {c.note}"
    if c.verdict == Verdict.NONFINITE:
        return f"{c.quantity}: {c.nonfinite_count} entries nan or infinite ({c.reference})"
    words = f"{c.quantity} {c.verdict}: error {c.norm_rel_error:.2g}, tolerance {c.tolerance:.2g} ({c.reference})"
    return _joined(words, c.note)
