"""Estimated derivatives with their error bars, and the rule that settles between several attempts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autodiff_compare.plan.precision import MEANINGFUL
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: A derivative is zero within rounding if its bar is at most this many roundings of the function.
ROUNDINGS = 256.0
#: Two jumps of the slope are the same if they differ by at most this part.
_SAME_JUMP = 0.1
EPS = float(np.finfo(np.float64).eps)
#: Fields that scale with the derivative; arrays of shape ``(r,)``.
_ARRAYS = ("derivative", "bar", "doubt", "low", "high", "size")


@dataclass(frozen=True)
class Estimates:
    """Estimated derivatives of ``r`` scalar functions, each with its error bar.

    Parameters
    ----------
    derivative, bar
        The estimates and the bounds of their errors, shape ``(r,)``; ``nan`` where there is no estimate.
    doubt
        By how much more the derivative may differ if the function bends beside the point, nearer than any step that
        rounding resolves, shape ``(r,)``. It refutes no result that lies so near.
    low, high
        At a kink the interval of the one-sided derivatives, widened by their bars, shape ``(r,)``; else ``nan``.
    size
        The largest size of the functions along the first ladder, shape ``(r,)``, with the unit of the derivatives.
    step
        The smallest step that the estimates use, at a kink the smallest of the ladder, shape ``(r,)``.
    verdicts
        `Verdict.PASS` where there is an estimate. `NONSMOOTH` where no entry of the ladder is accepted or there is a
        kink; `UNDETERMINED` where fewer than three differences are finite, or two attempts exclude each other.
    """

    derivative: Array
    bar: Array
    doubt: Array
    low: Array
    high: Array
    size: Array
    step: Array
    verdicts: tuple[Verdict, ...]

    @staticmethod
    def join(parts: Sequence[Estimates]) -> Estimates:
        """Return several estimates as one, concatenated."""
        arrays = {n: np.concatenate([getattr(p, n) for p in parts]) for n in (*_ARRAYS, "step")}
        return Estimates(**arrays, verdicts=tuple(v for p in parts for v in p.verdicts))

    def only(self, r: int) -> Estimates:
        """Return the estimate of function ``r`` alone."""
        arrays = {n: getattr(self, n)[[r]] for n in (*_ARRAYS, "step")}
        return Estimates(**arrays, verdicts=(self.verdicts[r],))

    @staticmethod
    def choose(parts: Sequence[Estimates], which: Sequence[int]) -> Estimates:
        """Return the estimates that take function ``r`` from ``parts[which[r]]``."""
        arrays = {
            n: np.array([getattr(parts[k], n)[r] for r, k in enumerate(which)], dtype=float) for n in (*_ARRAYS, "step")
        }
        return Estimates(**arrays, verdicts=tuple(parts[k].verdicts[r] for r, k in enumerate(which)))

    @staticmethod
    def add(parts: Sequence[Estimates]) -> Estimates:
        """Return the estimates of the sums of derivatives; bars add, and so do the intervals at a kink."""
        if len(parts) == 1:
            return parts[0]
        kinked = np.any([p.kinked for p in parts], axis=0)
        low = sum(np.where(p.kinked, p.low, p.derivative - p.bar) for p in parts)
        high = sum(np.where(p.kinked, p.high, p.derivative + p.bar) for p in parts)
        order = [Verdict.UNDETERMINED, Verdict.NONSMOOTH, Verdict.PASS]
        return Estimates(
            derivative=np.sum([p.derivative for p in parts], axis=0),
            bar=np.sum([p.bar for p in parts], axis=0),
            doubt=np.sum([p.doubt for p in parts], axis=0),
            low=np.where(kinked, low, math.nan),
            high=np.where(kinked, high, math.nan),
            size=np.max([p.size for p in parts], axis=0),
            step=np.min([p.step for p in parts], axis=0),
            verdicts=tuple(min(row, key=order.index) for row in zip(*(p.verdicts for p in parts), strict=True)),
        )

    def divided(self, length: float | Array) -> Estimates:
        """Return the estimates for directions that are ``length`` times shorter; shape ``(r,)`` or a number."""
        with np.errstate(all="ignore"):
            arrays = {n: getattr(self, n) / length for n in _ARRAYS}
            return Estimates(**arrays, step=self.step * length, verdicts=self.verdicts)

    def without(self, lost: Array) -> Estimates:
        """Return the estimates with `UNDETERMINED` where ``lost``, shape ``(r,)``."""
        arrays = {n: np.where(lost, math.nan, getattr(self, n)) for n in ("derivative", "bar", "low", "high")}
        verdicts = (Verdict.UNDETERMINED if x else v for v, x in zip(self.verdicts, lost, strict=True))
        return replace(self, **arrays, verdicts=tuple(verdicts))

    def of_size(self, size: Array) -> Estimates:
        """Return the estimates with other sizes of the functions; with size 0 no derivative counts as `zero`."""
        return replace(self, size=size)

    @property
    def zero(self) -> Array:
        """Return where the derivative is zero within a few roundings of the function."""
        with np.errstate(all="ignore"):
            found: Array = (np.abs(self.derivative) <= self.bar) & (self.bar <= ROUNDINGS * EPS * self.size)
        return found

    @property
    def decided(self) -> Array:
        """Return where the bar is narrow enough to decide: at most `MEANINGFUL` of the derivative, or `zero`."""
        return (self.resolved | self.zero) & self.smooth

    @property
    def resolved(self) -> Array:
        """Return where three bars are at most `MEANINGFUL` of the derivative."""
        with np.errstate(all="ignore"):
            narrow: Array = 3 * self.bar <= MEANINGFUL * np.abs(self.derivative)
        return narrow & self.smooth

    @property
    def smooth(self) -> Array:
        """Return where there is an estimate."""
        return np.array([v == Verdict.PASS for v in self.verdicts], dtype=bool)

    @property
    def kinked(self) -> Array:
        """Return where the interval of the one-sided derivatives is known."""
        return np.isfinite(self.low) & np.isfinite(self.high)


@dataclass(frozen=True)
class Attempt:
    """The estimates of one ladder, and what is to be known about it; Boolean arrays have the shape ``(r,)``.

    Parameters
    ----------
    found
        The estimates.
    factor
        The steps of the ladder, relative to those of the first one.
    noisy
        Whether the function shows more noise, at the distances of this ladder, than rounding explains.
    still
        Whether the function does not move at all at the smallest steps.
    settled
        Whether the differences at the smallest steps agree with the estimate.
    doubted, refuted
        Whether differences at much smaller steps contradict the estimate at all, and by more than 2 % of it. A zero
        within rounding is in doubt too if they are not: the function may be much smaller there.
    """

    found: Estimates
    factor: float
    noisy: Array
    still: Array
    settled: Array
    doubted: Array
    refuted: Array


def settle(attempts: Sequence[Attempt]) -> Estimates:
    """Return, for each function, the estimate that the attempts support.

    Two decided attempts that exclude each other leave the derivative undetermined, with three exceptions:

    * A function that has a narrow peak nearby misleads large steps, and much smaller steps refute them. A function that
      is large at the ends of large steps hides its slope in their rounding. Where small steps settle on a derivative,
      these stand.
    * A function of values rounded to a grid, such as float32, is noisy at large steps and does not move at small
      ones. The small steps see one tread of a staircase: the large ones stand.
    * A function that oscillates fast looks noisy at large steps. Where small steps settle on a derivative, the noise
      was structure and the small steps stand. Where they do not settle, it was noise.

    If no attempt is decided, a kink is the result if one was seen, else the narrowest bar.
    """
    which, lost = [], []
    for r in range(len(attempts[0].found.verdicts)):
        k, excluded = _settled(attempts, r)
        which.append(k)
        lost.append(excluded)
    return Estimates.choose([a.found for a in attempts], which).without(np.array(lost, dtype=bool))


def _settled(attempts: Sequence[Attempt], r: int) -> tuple[int, bool]:
    """Return the index of the attempt for function r, and whether two attempts exclude each other."""
    dropped = _dropped(attempts, r)
    counted = [k for k, a in enumerate(attempts) if a.found.decided[r] and k not in dropped]
    kink = _kink(attempts, r)
    if not counted:
        bars = [math.inf if k in dropped else _or_infinite(a.found.bar[r]) for k, a in enumerate(attempts)]
        return (int(np.argmin(bars)), min(bars) == math.inf) if kink is None else (kink, False)
    best = min(counted, key=lambda k: float(attempts[k].found.bar[r]))
    narrower = _narrower(attempts, r, best, dropped)
    if narrower is not None:
        return narrower, False
    smallest = min(attempts[k].factor for k in counted)
    if kink is not None and attempts[kink].factor < smallest and not attempts[best].noisy[r]:
        return kink, False
    return best, bool(attempts[best].refuted[r]) or any(
        _exclude(attempts[k].found, attempts[best].found, r) for k in counted
    )


def _narrower(attempts: Sequence[Attempt], r: int, best: int, dropped: set[int]) -> int | None:
    """Return an attempt that is not zero within its narrower bar, if the best one is zero within rounding."""
    found = attempts[best].found
    if not found.zero[r]:
        return None
    for k, attempt in enumerate(attempts):
        other = attempt.found
        if k not in dropped and 3 * other.bar[r] < min(abs(other.derivative[r]), found.bar[r]):
            return None if _exclude(other, found, r) else k
    return None


def _dropped(attempts: Sequence[Attempt], r: int) -> set[int]:
    """Return the indices of the attempts that another one refutes for function r, by the rules of `settle`."""
    dropped = set()
    for k, j in itertools.permutations(range(len(attempts)), 2):
        coarse, fine = attempts[k], attempts[j]
        if not fine.factor < coarse.factor:
            continue
        if coarse.noisy[r] or coarse.refuted[r] or (coarse.found.zero[r] and coarse.doubted[r]):
            structure = fine.settled[r] and not (fine.still[r] or fine.noisy[r] or fine.refuted[r])
            if structure and fine.found.decided[r]:
                dropped.add(k)
            elif coarse.noisy[r] and (coarse.found.decided[r] or fine.still[r]):
                dropped.add(j)
    return dropped


def _or_infinite(bar: float) -> float:
    return math.inf if math.isnan(bar) else float(bar)


def _kink(attempts: Sequence[Attempt], r: int) -> int | None:
    """Return the index of the attempt at smallest steps that sees a kink, or of the largest that sees the same one.

    Larger steps give narrower bars. A kink nearer than the smallest step looks the same at all steps.
    """
    seen = sorted((k for k, a in enumerate(attempts) if a.found.kinked[r]), key=lambda k: attempts[k].factor)
    if not seen:
        return None
    jumps = [float(attempts[k].found.high[r] - attempts[k].found.low[r]) for k in seen]
    same = [k for k, jump in zip(seen, jumps, strict=True) if abs(jump - jumps[0]) <= _SAME_JUMP * jumps[0]]
    return same[-1]


def _exclude(a: Estimates, b: Estimates, r: int) -> bool:
    with np.errstate(all="ignore"):
        return bool(abs(a.derivative[r] - b.derivative[r]) > a.bar[r] + b.bar[r])
