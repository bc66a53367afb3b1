"""The tolerance of each entry of a result: the error that rounding may cause there.

The tolerance of entry i of a result is::

    t_i = SAFETY s_i + FLOOR eps |g*_i|

with the spread ``s_i`` of the entry in Monte Carlo arithmetic (`autodiff_compare.judge.rounding.arithmetic`): the
difference of the largest and the smallest of a few samples. So an entry of a long sum, an entry that is one product, an
entry of a small leaf beside large ones and an entry that is zero by cancellation each get their own. `FLOOR` allows for
the last roundings of a result, which a small spread may have missed.

*Number of samples.* The spread of few samples is small by chance for some of many entries: that of two uniform
roundings is below a tenth of a rounding for every fifth entry, that of 8 for one of a million. So two samples may
accept a result, and 24 are drawn before it is refuted (`Tolerances.refined`). Of a derivative of many operations, such
as a Hessian column by column, 8 have to do: the work of a sample is counted, so that every machine draws the same.

*Outliers.* A comparison whose sides differ by rounding alone, such as that of a maximum near a tie, goes another way in
some samples. Such samples lie far from the others and are dropped.

*Scale.* Roundings of float64 cannot be imitated in float64: a relative change of ``eps/2`` is rounded to 0 or to
``eps``. They are imitated 64 times as large, and the spread is divided by 64.

*Without measurement.* Where our engine cannot run the function, or gives another derivative, the tolerance is a guess:
a sum of K terms makes K roundings, which grow like a random walk to ``eps sqrt(K)`` of the size of the sum. K is the
number of all inputs, and the size of an entry is at least the root mean square of its leaf. The change by one rounding
of the inputs is added.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_compare.judge.comparison import Leaf, accumulation, compared, finite_or_zero, norm
from autodiff_compare.judge.differences import scales
from autodiff_compare.judge.rounding import engine
from autodiff_compare.judge.rounding.sample import sample
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator

#: Factor of the measured spread. Of 3150 leaves of gradients and products, of all problems in both dtypes, computed
#: with NumPy, PyTorch, JAX and TensorFlow, the worst entry errs by 2.6 times the spread of six samples. In 98 % of the
#: leaves all err by less than it.
SAFETY = 8.0
#: Roundings of its own size that every entry is allowed.
FLOOR = 4.0
#: Factor of ``eps sqrt(K)`` where rounding could not be measured; right results err by about 0.3 of it.
GUESSED = 10.0
#: Samples of a spread at first, as long as a result seems wrong, and before it is refuted.
SAMPLES = (2, 4, 8, 24)
#: An error above so many tolerances is refuted by 8 samples: their spread is as small in one of 10^9 entries.
_HOPELESS = 30.0
#: Operations of a sample from which at most `_FEW` are drawn: about .05 s.
_DEAR, _FEW = 1000.0, 8
#: A sample further from the median than this multiple of the next one is an outlier.
_OUTLIER = 100.0
#: An entry of a closed form counts as zero by cancellation up to this multiple of its rounding.
_CANCELLED = 64.0
#: Spreads below this part of an entry need no search for outliers.
_WIDE = 1e-3
#: The engine's result may differ from the reference by this part of its norm, and still be of the same derivative.
_SAME = 0.1
#: Smallest spacing at 1 that float64 can imitate.
_FINEST = 2.0**-46


class Tolerances:
    """The tolerances of a case, from samples that are drawn when they are first needed.

    Parameters
    ----------
    case
        A case of any operator.
    changes
        Returns for each leaf the change of each entry when all inputs move by one rounding; used where rounding cannot
        be measured.

    Attributes
    ----------
    note
        Why rounding could not be measured; empty if it was, or was not yet needed.
    """

    def __init__(self, case: Case, changes: Callable[[], Sequence[Array]] | None = None) -> None:
        self.case, self.note = case, ""
        self.eps, self.tiny, _ = limits(case.dtype)
        self._changes = changes
        self._samples: list[tuple[Array, ...]] = []
        self._work = 0.0
        self._wanted = SAMPLES[0]

    def __call__(self, want: Sequence[Array], *, proved: bool = True) -> tuple[Array, ...]:
        """Return the absolute error that each entry is allowed.

        Parameters
        ----------
        want
            All leaves of the result, as `compared` returns them.
        proved
            Whether they are right. If so, rounding counts as measured only if our engine gives the same.
        """
        measured = self.measured(want if proved else None)
        allowed = self.floor(want)
        if measured is None:
            return tuple(f + g for f, g in zip(allowed, self._guessed(want), strict=True))
        least = self._declared(want)
        spread = tuple(SAFETY * s for s in measured)
        if not all(np.isfinite(s).all() for s in spread):
            # Samples that are nan, like those of 0 * inf, measure nothing: an infinite tolerance would allow anything.
            spread = tuple(np.where(np.isfinite(s), s, g) for s, g in zip(spread, self._guessed(want), strict=True))
        return tuple(np.maximum(f + s, d) for f, s, d in zip(allowed, spread, least, strict=True))

    def floor(self, want: Sequence[Array]) -> tuple[Array, ...]:
        """Return the error that every entry is allowed, without any measurement.

        Below the smallest normal number some frameworks return zero. A step adds its update to the parameters, and
        rounds the sum.
        """
        steps = self.case.operator == Operator.STEP
        parameters: Sequence[Any] = self.case.inputs.differentiated if steps else [0.0] * len(want)
        sizes = (np.abs(finite_or_zero(w)) for w in want)
        return tuple(
            FLOOR * self.eps * s + self.eps * np.abs(p) + self.tiny for s, p in zip(sizes, parameters, strict=True)
        )

    def refined(self, excess: float = 0.0) -> bool:
        """Draw more samples; return whether the tolerances may be wide enough then.

        Parameters
        ----------
        excess
            The largest error in units of its tolerance so far.
        """
        most = _FEW if self._work > _DEAR else SAMPLES[-1]
        more = [number for number in SAMPLES if self._wanted < number <= most]
        if self.note or not more or (excess > _HOPELESS and self._wanted > SAMPLES[1]):
            return False
        self._wanted = more[0]
        return True

    def distrust(self, why: str) -> None:
        """Measure no longer, for a reason."""
        self.note = f"rounding not measured: {why}"

    def centre(self) -> tuple[Array, ...]:
        """Return the mean of the samples: our engine's result. Empty if there is none."""
        self._draw()
        # Parts are added, as the sum of all may overflow.
        leaves = zip(*self._samples, strict=True)
        return () if self.note else tuple(sum(sample / len(leaf) for sample in leaf) for leaf in leaves)

    def measured(self, want: Sequence[Array] | None = None) -> tuple[Array, ...] | None:
        """Return the spread of each entry; `None` if it cannot be measured, or our engine does not give ``want``."""
        self._draw()
        if not self.note:
            spreads = [_spread(leaf) for leaf in zip(*self._samples, strict=True)]
            if want is None or self._same(want, spreads):
                return tuple(s * (self.eps / self._unit) for s in spreads)
            self.distrust("our engine gives another derivative")
        return None

    @functools.cached_property
    def _engine(self) -> Any:
        return engine.opened(self.case.operator)

    @property
    def _unit(self) -> float:
        return max(self.eps, _FINEST)

    def _draw(self) -> None:
        while not self.note and len(self._samples) < self._wanted:
            try:
                found, self._work = sample(self._engine, self.case, self._unit, self.case.seed + len(self._samples))
                self._samples.append(tuple(a.astype(np.float64) for a in compared(self.case, found)))
            except Exception as error:  # a user's function may do on our engine what it likes
                self.distrust(f"our engine cannot run the function ({type(error).__name__})")

    def _same(self, want: Sequence[Array], spreads: Sequence[Array]) -> bool:
        """Return whether the engine's result is that of the reference, but for rounding."""
        for w, c, s in zip(want, self.centre(), spreads, strict=True):
            if w.shape != c.shape:
                return False
            both = np.isfinite(w) & np.isfinite(c)
            away = norm(np.where(both, w, 0) - np.where(both, c, 0))
            if away > _SAME * norm(finite_or_zero(w)) + SAFETY * norm(finite_or_zero(s)):
                return False
        return True

    def _declared(self, want: Sequence[Array]) -> tuple[Array, ...]:
        """Return the tolerance that the problem declares."""
        declared = self.case.problem.tolerance
        return tuple(np.zeros(()) for _ in want) if declared is None else self._relative(declared, want)

    def _guessed(self, want: Sequence[Array]) -> tuple[Array, ...]:
        declared = self.case.problem.tolerance
        return self._relative(GUESSED * math.sqrt(accumulation(self.case)) if declared is None else declared, want)

    def _relative(self, factor: float, want: Sequence[Array]) -> tuple[Array, ...]:
        """Return a multiple of one rounding: of the entry, of the mean square of its leaf, or of the inputs.

        A product with a seed may cancel until its one entry is far smaller than its terms; the change by one rounding
        of the inputs keeps their size.
        """
        changes = (self._changes() if self._changes else ()) or [np.zeros(()) for _ in want]
        return tuple(factor * np.maximum(self.eps * _sizes(w), c) for w, c in zip(want, changes, strict=True))


def cancelled(
    case: Case, leaves: Sequence[Leaf], closed: Sequence[bool], expected: Sequence[Array], eps: float
) -> tuple[Array, ...]:
    """Return the rounding of closed forms in their own arithmetic, for the entries of which it leaves nothing else.

    A closed form may cancel where our engine does not: what remains is rounding of terms as large as the entries beside
    it, each in the unit of its input. Other entries have digits of their own, and are allowed nothing.

    Parameters
    ----------
    closed
        For each leaf whether its reference is a closed form.
    eps
        Rounding unit of the arithmetic in which they were computed.
    """
    return tuple(_cancelled(case, *row, eps) for row in zip(leaves, closed, expected, strict=True))


def _cancelled(case: Case, leaf: Leaf, closed: bool, want: Array, eps: float) -> Array:
    x = case.inputs.differentiated[leaf.inputs[-1]] if leaf.inputs else np.ones(())
    if not closed or not want.size or want.shape[want.ndim - x.ndim :] != x.shape:
        return np.zeros(want.shape)
    rows, unit = np.abs(finite_or_zero(want)).reshape(-1, x.size), scales(np.ravel(x).astype(np.float64))
    own = FLOOR * eps * (rows * unit).max(axis=1, keepdims=True) / unit
    return np.asarray(np.where(rows <= _CANCELLED * own, own, 0.0).reshape(want.shape))


def _sizes(leaf: Array) -> Array:
    """Return the size of each entry, at least the root mean square of all."""
    finite = finite_or_zero(leaf)
    return np.maximum(np.abs(finite), norm(finite) / math.sqrt(max(leaf.size, 1)))


def _spread(samples: Sequence[Array]) -> Array:
    """Return the difference of the largest and the smallest sample of each entry, without outliers.

    Entries that are nan in some samples have an infinite spread: rounding takes them out of the domain. Entries that
    are the same infinity in all have none.
    """
    # One pair after the other: all samples side by side would take their memory twice.
    top, bottom = functools.reduce(np.maximum, samples), functools.reduce(np.minimum, samples)
    with np.errstate(invalid="ignore"):
        spread = np.where(top == bottom, 0, top - bottom)
    spread = np.where(np.isnan(spread), np.inf, spread)
    wide = spread > _WIDE * np.maximum(np.abs(top), np.abs(bottom))
    if wide.any():
        spread[wide] = _without_outliers(np.array([sample[wide] for sample in samples]))
    return spread


def _without_outliers(samples: Array) -> Array:
    """Return the spread of each column, of whose entries up to a third may be outliers."""
    away = np.abs(samples - np.median(samples, axis=0))
    order = np.sort(away, axis=0)
    limit, count = order[-1], len(order)
    for last in range(count - 1, count - 1 - count // 3, -1):
        limit = np.where(order[last] > _OUTLIER * order[last - 1], order[last - 1], limit)
    kept = away <= limit
    found: Array = np.where(kept, samples, -np.inf).max(axis=0) - np.where(kept, samples, np.inf).min(axis=0)
    return np.where(np.isfinite(samples).all(axis=0), found, np.inf)
