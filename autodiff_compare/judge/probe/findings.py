"""The verdict on observations: numbers of a result beside numerical differences, and the words for the worst one.

An observation passes if ``|got - d| <= 3 bar + slack``: the error bar of the difference, and what rounding may do to
the result. Two conditions make a pass mean something:

* The difference is known: three bars are at most 1e-3 of it, or it is zero within a few roundings of the function, or
  its bar is of the order of the rounding of the result. Else the observation is ``inconclusive``. It may still refute
  a result if one bar is at most 1e-3 of the difference. A result that is right if the function bends beside the point,
  nearer than any step that rounding resolves, is not refuted.
* The slack is at most 1e-3 of the largest observation, or the derivative is zero. Else rounding alone explains
  anything, and the observation is ``inconclusive``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autodiff_compare.judge.differences import Estimates
from autodiff_compare.judge.probe.observations import Unseen
from autodiff_compare.plan.precision import MEANINGFUL
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: A bar of at most this many slacks is of the order of the rounding of the result.
_SLACKS = 64.0
#: Part of the larger of two one-sided values below which the other one is told as zero.
_NEGLIGIBLE = 1e-6
#: The verdicts from worst to best; a set of observations gets the worst of its verdicts.
SEVERITY = (
    Verdict.NONFINITE,
    Verdict.NO_GRAD,
    Verdict.FAIL,
    Verdict.UNDETERMINED,
    Verdict.NONSMOOTH,
    Verdict.INCONCLUSIVE,
    Verdict.SUBGRADIENT,
    Verdict.PASS,
)


@dataclass(frozen=True)
class Finding:
    """Summary of the observations of one result: the numbers and words of the worst one.

    Parameters
    ----------
    verdict
        The worst verdict among the observations.
    error, bar, tolerance
        Its error, its error bar and its tolerance, in units of ``scale``.
    scale
        The largest derivative that was observed.
    note
        How many observations share the verdict, the worst one in words, and what was not seen.
    position
        Row and column of the entry in the matrix of `Probe.matrix`; `None` if a direction was observed.
    index
        The entry's index in its leaf, as ``[1]``, or else the direction in words.
    got, expected, half_width
        The number from the result, the estimate, and its error bar, in the user's units: per unit of the input for a
        single entry, of the function along a direction. Both are nan where differences do not settle.
    low, high
        The one-sided derivatives at a kink, in the same units; nan without a kink.
    how
        How ``expected`` was obtained: which inputs moved, in which steps.
    resolution
        For entries that were not looked at singly, the smallest error of one of them that would have been found,
        relative to the largest entry, both times the size of the input. 0 if each was looked at.
    unproved
        Number of entries that are smaller than that and were not looked at singly: nothing is known about them.
    """

    verdict: Verdict
    error: float
    bar: float
    tolerance: float
    scale: float
    note: str
    position: tuple[int, int] | None = None
    index: str = ""
    got: float = math.nan
    expected: float = math.nan
    half_width: float = math.nan
    low: float = math.nan
    high: float = math.nan
    how: str = ""
    resolution: float = 0.0
    unproved: int = 0

    @property
    def blind_spot(self) -> str:
        """Return in words which errors of entries that were not looked at singly the check would have missed."""
        if not self.resolution:
            return ""
        words = f"one other entry off by {self.resolution:.1g} of the largest would have been found"
        if self.unproved:
            smaller = "1 entry is" if self.unproved == 1 else f"{self.unproved} entries are"
            words += f", {smaller} smaller than that: --entries all looks at each"
        return words


@dataclass(frozen=True)
class Judged:
    """Observations with their verdicts: arrays of shape ``(r,)``.

    Parameters
    ----------
    found, known
        The estimates, and whether each is narrow enough to decide.
    got, slack
        The numbers from the result, and what rounding may do to them.
    part
        Part of the largest observation that the slack may reach.
    excused
        Where a kink is no objection, because other observations keep clear of it or look at it alone.
    slopes
        Whether the derivatives are of first order.
    alone
        Where an observation is one derivative alone, so that any between those of both sides is a right choice at a
        kink. A second derivative along a direction that crosses several kinks has no such interval.
    """

    found: Estimates
    known: Array
    got: Array
    slack: Array
    part: float
    excused: Array
    alone: Array
    slopes: bool = True

    @property
    def scale(self) -> float:
        """Return the largest derivative that was observed."""
        sizes = np.abs(self.found.derivative[np.isfinite(self.found.derivative)])
        return float(sizes.max(initial=0.0)) if sizes.size else math.nan

    @property
    def error(self) -> Array:
        """Return the distances from the estimates."""
        with np.errstate(all="ignore"):
            return np.asarray(np.abs(self.got - self.found.derivative))

    @property
    def tolerance(self) -> Array:
        """Return the tolerances; where a derivative is zero within rounding, its bar bounds it."""
        with np.errstate(all="ignore"):
            return np.asarray(np.where(self.found.zero, 1, 3) * self.found.bar + self.slack)

    @functools.cached_property
    def verdicts(self) -> list[Verdict]:
        """Return the verdict of each observation."""
        with np.errstate(all="ignore"):
            known = self.known | (3 * self.found.bar <= _SLACKS * self.slack)
            clear = known | (self.found.bar <= MEANINGFUL * np.abs(self.found.derivative))
            clear &= ~(self.error <= self.tolerance + self.found.doubt)
            meant = (self.slack <= self.part * self.scale) | (np.abs(self.found.derivative) <= 3 * self.found.bar)
            meant &= np.isfinite(self.slack)
            within = self.error <= self.tolerance
            # Rounding that takes a result to the other side of a kink leaves it between both: it needs no wide slack.
            ends = np.maximum(np.abs(self.found.low), np.abs(self.found.high))
            slack = np.minimum(self.slack, self.part * ends)
            inside = (self.got >= self.found.low - slack) & (self.got <= self.found.high + slack)
            inside = (inside & np.isfinite(self.slack) & self.alone) | self.excused
        facts = np.stack([known, clear, meant, within, inside], axis=1).tolist()
        return [_verdict(v, *row) for v, row in zip(self.found.verdicts, facts, strict=True)]

    def without_drowned(self, single: Sequence[bool], sizes: Sequence[int]) -> list[bool]:
        """Return which groups of observations remain without single entries that are lost beside larger ones.

        Such an entry is inconclusive only because its bar, though small beside the largest observation, is wide for it.

        Parameters
        ----------
        single, sizes
            For each group whether it observes single entries, and the number of its observations.
        """
        with np.errstate(all="ignore"):
            small = (3 * self.found.bar <= MEANINGFUL * self.scale) & (self.error <= self.tolerance)
        drowned = small & np.array([v == Verdict.INCONCLUSIVE for v in self.verdicts])
        ends = np.cumsum(sizes)
        return [not (s and drowned[e - n : e].any()) for s, n, e in zip(single, sizes, ends, strict=True)]

    @functools.cached_property
    def worst(self) -> int:
        """Return the index of the observation with the worst verdict, of these the one that misses most."""
        verdict = worst(self.verdicts)
        return max((k for k, v in enumerate(self.verdicts) if v == verdict), key=self.miss)

    def miss(self, k: int) -> float:
        """Return the error of an observation in multiples of its tolerance; -inf if either is unknown."""
        with np.errstate(all="ignore"):
            return float(np.nan_to_num(self.error[k] / self.tolerance[k], nan=-math.inf))


@dataclass(frozen=True)
class Place:
    """An observation in words.

    Parameters
    ----------
    position
        Row and column in the matrix, if it is an entry.
    words
        The entry or the direction.
    lengths
        By how much both sides move, whose product may overflow.
    how
        How the estimate was obtained.
    """

    position: tuple[int, int] | None
    words: str
    lengths: tuple[float, ...]
    how: str


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of several verdicts, by `SEVERITY`."""
    return min(verdicts, key=SEVERITY.index)


def _verdict(estimate: Verdict, known: bool, clear: bool, meant: bool, within: bool, inside: bool) -> Verdict:
    """Return the verdict of one observation, by the rules of this module's docstring."""
    if estimate == Verdict.NONSMOOTH:
        return Verdict.SUBGRADIENT if inside else estimate
    if estimate != Verdict.PASS:
        return estimate
    if within:
        return Verdict.PASS if known and meant else Verdict.INCONCLUSIVE
    return Verdict.FAIL if clear else Verdict.INCONCLUSIVE


def summary(judged: Judged, k: int, place: Place, hidden: Unseen, unit: float) -> Finding:
    """Return the finding on observations in multiples of ``unit``, of which the k-th, at ``place``, is the worst."""
    scale = judged.scale
    verdict = judged.verdicts[k]
    largest = scale if scale > 0 else 1.0
    with np.errstate(all="ignore"):
        numbers = np.array(
            [judged.got[k], *(getattr(judged.found, n)[k] for n in ("derivative", "bar", "low", "high"))], float
        )
        for length in place.lengths:
            numbers = numbers / length
        got, expected, bar, low, high = (numbers * unit).tolist()
        bar, low, high = abs(bar), min(low, high), max(low, high)
        error, half, limit = (float(a[k] / largest) for a in (judged.error, judged.found.bar, judged.tolerance))
    same = judged.verdicts.count(verdict)
    note = f"{same} of {len(judged.verdicts)} tested entries or directions: {verdict}"
    if verdict == Verdict.INCONCLUSIVE and not judged.found.zero[k] and not bar <= MEANINGFUL * abs(expected):
        # Differences that do not settle give no number that could be expected.
        note += f"; {place.words}: got {got:.10g}; {_unsettled(expected, bar, place)}"
        expected = bar = math.nan
    elif verdict in (Verdict.NONSMOOTH, Verdict.SUBGRADIENT) and not judged.slopes:
        note += f"; {place.words}: got {got + 0.0:.10g}; {_absent(low, high, place)}"
    elif verdict != Verdict.PASS:
        note += f"; {place.words}: {_in_words(got, expected, bar, low, high)}, by {place.how}"
    finding = Finding(
        verdict,
        error,
        half,
        limit,
        scale * unit,
        note,
        place.position,
        place.words.removeprefix("entry "),
        got,
        expected,
        bar,
        low,
        high,
        place.how,
        hidden.resolution,
        hidden.count,
    )
    if verdict != Verdict.PASS or not finding.blind_spot:
        return finding
    return replace(finding, note=f"{note}; {finding.blind_spot}")


def _unsettled(estimate: float, bar: float, place: Place) -> str:
    """Return what numerical differences give that decide nothing, and why they may not settle."""
    why = "; at a kink there is no second derivative" if place.how.startswith("second") else ""
    return f"{place.how} do not settle ({estimate:.3g} +- {bar:.2g}){why}"


def _absent(low: float, high: float, place: Place) -> str:
    """Return in words that there is no derivative of second or higher order, and its values from both sides."""
    what = "no second derivative at this point (kink of the slope)"
    if not place.how.startswith("second"):
        what = "no derivative of this order (kink there or within the steps)"
    if not (math.isfinite(low) and math.isfinite(high)):
        return what
    # The values are widened by their bars: a zero among them is a rounding of the other one.
    ends = (end if abs(end) > _NEGLIGIBLE * max(abs(low), abs(high)) else 0.0 for end in (low, high))
    return f"{what}: from both sides it is {' and '.join(f'{end:.6g}' for end in ends)}"


def _in_words(got: float, expected: float, bar: float, low: float, high: float) -> str:
    """Return one observation in words: what was got, what was expected, and how certain that is."""
    if math.isfinite(low) and math.isfinite(high):
        return f"got {got:.6g}, one-sided derivatives {low:.6g} and {high:.6g} of a kink there or within the steps"
    if math.isnan(expected):
        return f"got {got:.10g}, no derivative is known"
    return f"got {got:.10g}, expected {expected:.10g} +- {bar:.2g}"
