"""Numerical derivatives with an error bar, from central differences at many steps.

A single central difference has an unknown error. Differences at a ladder of steps give an estimate together with a
bound of its error. Along a direction ``u``, with ``D(h) = (f(x + h u) - f(x - h u)) / 2h``:

1. *Ladder.* Seventeen steps fall by factors of two from a quarter of ``u``; the noise of ``f`` is measured nearby
   (`judge.differences.ladder`). If a value is not finite, the domain ends there: that step and all larger ones are
   dropped.
2. *Extrapolation.* The differences are extrapolated to step 0 (`judge.differences.extrapolation`). The bound of
   their rounding error is ``max(2 eps (|f+| + |f-|), 6 sigma) / 2h + eps |f''| / 2 + 2 eps |D|``.
3. *Kinks.* Where the slope jumps, the one-sided derivatives are extrapolated (`judge.differences.kinks`). Where the
   curvature jumps there is no second derivative, though central second differences settle on the mean of both sides.
4. *Other scales.* A function may live on a scale far smaller than its input, like ``sin(1e6 x)`` at 0.3. A few much
   smaller steps must agree with the estimate. If they do not, or the function is noisy, a second ladder starts at
   ``2^-12`` of the first. An estimate that is still too wide is sought on a third ladder, and in extended precision
   if the function supports it. `judge.differences.estimates.settle` decides between the attempts.

Everything is computed on plain NumPy functions and shares no code with any backend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.judge.differences.estimates import EPS, ROUNDINGS, Attempt, Estimates, settle
from autodiff_compare.judge.differences.extrapolation import extrapolated, last_row, within_domain
from autodiff_compare.judge.differences.kinks import bent, beside, kinked, one_sided
from autodiff_compare.judge.differences.ladder import LADDER, NOISY, FlatFunction, Samples, Seen, Stencil, sample, scan
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Verdict

#: Order of the derivative -> factors of the second and the third ladder. Rounding grows as ``h^-order``.
_SMALLER = {1: (2.0**-12, 2.0**-24), 2: (2.0**-10, 2.0**-20)}
#: Order -> small steps that must agree with the estimate, between and below the steps of the first ladder.
_BELOW = {1: 0.5 ** np.array([21, 24, 27, 30, 34]), 2: 0.5 ** np.array([20, 23, 26])}
#: Steps at which a derivative that seems to be zero is looked for: in extended precision, and beyond the ladder.
_WITHIN, _ABOVE = 0.5 ** np.array([2, 4, 8]), 2.0 ** np.array([3, 7, 11])
#: Factors of steps that hardly differ, and the parts of a slope by which it, and a constant rounding, may change.
_ALIKE, _STEADY, _CONSTANT = (1 + 2.0**-7, 1 - 2.0**-7, 1 + 2.0**-6, 1 - 2.0**-6), 0.25, 2.0**-10
#: A bar above this part of the derivative is wide: other steps are tried.
_WIDE_BAR = 1e-7
#: Ratios of the errors at successive steps that are tried where even powers of the step leave a wide bar.
_OTHER_BASES = (2.0, 2.0**0.5)
#: Part of the direction by which a point is displaced to see whether a slope exists there.
_BESIDE = 2.0**-5
#: Factor that makes one direction short beside the other.
_SHORT = 2.0**-6
#: Number of smallest steps that must agree with an estimate, and the part of the range by which they may differ.
_LAST, _SETTLED = 5, 0.02
#: Number of smallest steps at which a function that does not move counts as still.
_STILL = 3


#: Returns the floating type wider than float64 in which a function computes, or `None`.
Wide = Callable[[], Any]


def float64_only() -> None:
    """Return no wider type."""


def first(
    f: FlatFunction, x: Array, u: Array, weights: Array, wide: Wide = float64_only, *, again: bool = False
) -> Estimates:
    """Estimate the first derivatives of ``weights @ f`` along ``u``: ``weights @ J @ u``.

    Parameters
    ----------
    f
        Function of a flat vector of shape ``(n,)``, with values of shape ``(m,)``.
    x, u
        Point and direction, shape ``(n,)``. ``u`` should move each input by about its scale.
    weights
        Linear combinations of the outputs, shape ``(r, m)``.
    wide
        Returns a floating type wider than float64 in which ``f`` computes, `None` if there is none. It is asked only
        if float64 leaves a derivative open.
    again
        Trust no single ladder: measure noise at every step, and hold the estimate against those of all other ladders.

    Returns
    -------
    Estimates
        Of ``r`` derivatives.
    """
    return _explored(Seen(f, x, weights), Stencil(1, np.array([0.5, -0.5]), (u, -u)), wide, again)


def second(
    f: FlatFunction, x: Array, s: Array, t: Array, weights: Array, wide: Wide = float64_only, *, again: bool = False
) -> Estimates:
    """Estimate the mixed second derivatives ``s @ H @ t`` of ``weights @ f``.

    Let ``p = s + t`` and ``m = s - t``. By Taylor's theorem and the symmetry of H::

        f(x + h p) + f(x - h p) = 2 f + h^2 p H p + O(h^4)
        p H p - m H m = 4 s H t

    So ``(f(x+hp) + f(x-hp) - f(x+hm) - f(x-hm)) / 4h^2`` is ``s H t`` with an error in even powers of ``h``, which is
    extrapolated as in `first`.

    Parameters
    ----------
    f
        Function of a flat vector of shape ``(n,)``, with values of shape ``(m,)``.
    x, s, t
        Point and directions, shape ``(n,)``; both should move each input by about its scale, or not at all.
    weights
        Linear combinations of the outputs, shape ``(r, m)``.
    wide, again
        As for `first`.

    Returns
    -------
    Estimates
        Of ``r`` derivatives.
    """
    return _explored(Seen(f, x, weights), _mixed(s, t), wide, again)


def _mixed(s: Array, t: Array) -> Stencil:
    p, m = s + t, s - t
    return Stencil(2, np.array([0.25, 0.25, -0.25, -0.25]), (p, -p, m, -m))


def _explored(seen: Seen, stencil: Stencil, wide: Wide, again: bool) -> Estimates:
    """Return the estimate that one ladder gives, or several if one leaves a doubt."""
    samples = sample(seen, stencil, 1.0, again)
    below = scan(seen, stencil, _BELOW[stencil.order], samples)
    attempts = [_attempt(seen, samples, 1.0, samples, below)]
    best = settle(attempts)

    def attempt(factor: float, dtype: Any = np.float64) -> Estimates:
        wider = replace(seen, dtype=dtype)
        attempts.append(_attempt(wider, sample(wider, stencil, factor, again), factor, samples, below))
        return settle(attempts)

    smaller, smallest = _SMALLER[stencil.order]
    if again or not _is_clear(attempts[0]):
        best = attempt(smaller)
        if again or (_open(best) & ~attempts[-1].noisy).any():
            best = attempt(smallest)
    dtype = wide() if again or (best.zero | _open(best)).any() else None
    finest = seen if dtype is None else replace(seen, dtype=dtype)
    if dtype is not None and (again or _open(best).any() or (best.zero & _shows(finest, samples, _WITHIN)).any()):
        best = attempt(1.0, dtype)
        best = attempt(smaller, dtype) if _open(best).any() else best
    if best.zero.any():
        best = best.of_size(np.where(best.zero & _shows(finest, samples, _ABOVE, best), 0.0, best.size))
    return best


def _open(best: Estimates) -> Array:
    """Return where there is neither a decided estimate nor a kink."""
    return np.asarray(~best.decided & ~best.kinked)


def _attempt(seen: Seen, s: Samples, factor: float, base: Samples, below: Samples) -> Attempt:
    """Return the estimates of one ladder and what they rest on.

    ``seen`` is the function as sampled in ``s``, ``base`` has its size, ``below`` the differences at much smaller
    steps. Where the function is smooth, a difference is nearer to the derivative than one at a larger step.
    """
    with np.errstate(all="ignore"):
        d, bound = s.differences
        d = within_domain(d)
        ratio = s.unit / below.unit
        near, near_bound = below.differences
        smaller = (below.steps < s.steps[-1])[:, None]

        def beyond(middle: Array, half: Array) -> Array:
            """Return by how much a difference at a much smaller step is further from a value than those seen."""
            excess = np.abs(near - middle * ratio) - 2 * near_bound - ratio * (half + np.abs(d[-1] - middle))
            return np.asarray(np.where(smaller, excess, -np.inf).max(axis=0, initial=-np.inf))

        def nearest(middle: Array) -> Array:
            """Return the distance from a value of the difference at the smallest step where it exceeds rounding."""
            distance = np.abs(np.concatenate([d, np.where(smaller, near / ratio, np.nan)]) - middle)
            return _last(distance, distance > 2 * np.concatenate([bound, near_bound / ratio]))

        value, bar, last, doubt = _limit(d, bound, base.unit / s.unit, beyond, nearest)
        if s.stencil.order == 1:
            tip = beside(s)
            doubt = np.where(np.abs(value) <= tip, np.maximum(doubt, tip), doubt)
            corners = kinked(s)
            low, high = one_sided(s, corners)
        else:
            corners, low, high = _sides(seen, s, value, bar)
        apart = np.abs(d - value)
        range_ = np.maximum(np.abs(value), np.fmax.reduce(apart, axis=0))
        settled = np.all(apart[-_LAST:] <= _SETTLED * range_ + bar + 2 * bound[-_LAST:], axis=0)
        # At a kink a central difference is the mean of the one-sided derivatives, at every step.
        middle, half = value, bar
        if s.stencil.order == 1:
            middle, half = np.where(corners, d[-1], value), np.where(corners, _SETTLED * (high - low), bar)
        excess = beyond(middle, half)
        unit = s.unit.astype(np.float64)
        verdicts = tuple(map(_verdict, np.isfinite(d).sum(axis=0), corners, value))
        good = np.array([v == Verdict.PASS for v in verdicts], dtype=bool)
        found = Estimates(
            derivative=np.where(good, value, np.nan) * unit,
            bar=np.where(good, bar, np.nan) * unit,
            doubt=np.where(good, doubt, 0.0) * unit,
            low=low * unit,
            high=high * unit,
            size=base.unit.astype(np.float64),
            step=np.where(corners, s.steps[-1], s.steps[last]),
            verdicts=verdicts,
        )
    still = np.asarray((s.values[-_STILL:] == s.center).all(axis=(0, 1)))
    return Attempt(
        found=found,
        factor=factor,
        noisy=np.asarray(s.sigma[-1] > NOISY * s.eps * below.unit / s.unit),
        still=still,
        settled=settled,
        doubted=np.asarray(~(excess <= 0) | (found.zero & _moves(below, smaller))),
        refuted=np.asarray(~(excess <= _SETTLED * np.abs(value) * ratio)),
    )


def _moves(below: Samples, smaller: Array) -> Array:
    """Return where differences at much smaller steps are not zero, by the rounding of the function at these steps."""
    near, bound = replace(below, sigma=np.zeros_like(below.sigma)).differences
    return np.asarray((smaller & (np.abs(near) > 8 * bound)).any(axis=0))


def _last(rows: Array, where: Array) -> Array:
    """Return of each column the entry in the last row ``where`` is true; 0 where it is in none."""
    last = last_row(where)
    found = np.take_along_axis(rows, last[None], axis=0)[0]
    return np.asarray(np.where(where.any(axis=0), found, 0.0))


def _limit(
    d: Array,
    bound: Array,
    size: Array,
    beyond: Callable[[Array, Array], Array],
    nearest: Callable[[Array], Array],
) -> tuple[Array, Array, Array, Array]:
    """Return the differences extrapolated to step 0, as `extrapolated` does, and what a bend beside the point may add.

    Where even powers of the step leave a wide bar, all powers are eliminated, and then those of its square root: the
    function may have no further derivative at the point. Beside a kink such a limit is that of the other side, which
    differences at much smaller steps are ``beyond``. ``size`` is that of the functions in units of ``d``.

    The kink may also lie beside the point, nearer than any step that rounding resolves. Let the curvature jump by J at
    the distance e. A central difference is ``f'`` for h < e, and ``f' + J (h^2 + e^2) / 4h - J e / 2`` for h > e. The
    limit of the latter in all powers of h is ``f' - J e / 2``. No difference is nearer to it than ``J e / 2``, since
    ``h^2 + e^2 >= 2 h e``. So the bar is widened by the distance of the ``nearest`` step that rounding resolves. Zero
    within rounding keeps its bar: at a tip it is right. Beside one that distance is a doubt.
    """
    value, bar, last = extrapolated(d, bound, base=4)
    doubt = np.zeros(value.shape)
    for base in _OTHER_BASES:
        wide = ~((bar <= _WIDE_BAR * np.abs(value)) | _zero(value, bar, size))
        if not wide.any():
            break
        limit, half, at = extrapolated(d, bound, base)
        away, zero = nearest(limit), _zero(limit, half, size)
        half = half + np.where(zero, 0.0, away)
        better = wide & (half < bar) & (beyond(limit, half) <= 0) & ~_leaves(d, bound, limit, half, at)
        found = limit, half, at, np.where(zero, away, 0.0)
        value, bar, last, doubt = (
            np.where(better, b, a) for a, b in zip((value, bar, last, doubt), found, strict=True)
        )
    return value, bar, last, doubt


def _zero(value: Array, bar: Array, size: Array) -> Array:
    """Return where a value is zero within a few roundings of functions of this size."""
    return np.asarray((np.abs(value) <= bar) & (bar <= ROUNDINGS * EPS * size))


def _leaves(d: Array, bound: Array, limit: Array, half: Array, last: Array) -> Array:
    """Return where differences at steps below the row ``last`` are further from a limit than all those above it.

    Where the slope jumps beside the point, larger steps see the mean of both sides, and the smallest ones leave it.
    """
    distance, rows = np.abs(d - limit), np.arange(len(d))[:, None]
    seen = np.fmax.reduce(np.where(rows <= last, distance, 0.0), axis=0)
    left = distance - 2 * bound > seen + half
    return np.asarray((left & (rows > last)).any(axis=0))


def _sides(seen: Seen, s: Samples, value: Array, bar: Array) -> tuple[Array, Array, Array]:
    """Return where there is no second derivative because the slope has a kink, and the one-sided values there.

    A jump between the sides of s is one of ``s H t`` only if the slope along s does not exist beside the point: else
    the directions p and m cross the kink with t. It is looked for at a point displaced by t.
    """
    jump, bars, found = bent(s)
    none = np.full(value.shape, np.nan)
    if not found.any():
        return found[0], none, none
    p, _, m, _ = s.stencil.directions
    along, t = (p + m) / 2, (p - m) / 2
    if m.any():
        beside = replace(seen, x=seen.x + _BESIDE * t)
        found[1] &= kinked(sample(beside, Stencil(1, np.array([0.5, -0.5]), (along, -along)), _BESIDE))
        # The sides of t are clear of those of s where s is short, and those of s where t is.
        for k, (a, b) in enumerate(((along * _SHORT, t), (along, t * _SHORT))):
            near = sample(seen, _mixed(a, b), s.steps[0] / LADDER[0])
            jump[k], bars[k], _ = (e[k] * near.unit / s.unit / _SHORT for e in bent(near))
    which = np.where(found[0], 0, 1)[None]
    size, more = (np.take_along_axis(a, which, axis=0)[0] for a in (np.abs(jump) / 2, bars))
    corners, half = np.asarray(found.any(axis=0)), size + more + bar
    return corners, np.where(corners, value - half, np.nan), np.where(corners, value + half, np.nan)


def _verdict(finite: int, corner: bool, value: float) -> Verdict:
    if finite < 3:
        return Verdict.UNDETERMINED
    return Verdict.NONSMOOTH if corner or not np.isfinite(value) else Verdict.PASS


def _is_clear(a: Attempt) -> bool:
    """Return whether an attempt has narrow estimates or kinks, without noise, and smaller steps agree with it."""
    with np.errstate(all="ignore"):
        narrow = (a.found.bar <= _WIDE_BAR * np.abs(a.found.derivative)) | a.found.zero
    return bool(((narrow & a.found.smooth | a.found.kinked) & ~a.noisy & ~a.doubted).all())


def _shows(seen: Seen, samples: Samples, steps: Array, best: Estimates | None = None) -> Array:
    """Return where a difference is not zero at some of these steps, shape ``(r,)``.

    The contribution of an input may drown in the rounding of the others: ``x[0] + x[1]`` at (1e8, 1e-9). Extended
    precision or larger steps may show it. Only a slope that the bar of ``best`` would hide counts: another one belongs
    to larger steps alone, like that of ``x^3`` at 0. Steps that hardly differ show the same slope. Of a rounding, as
    that of ``x^2`` in ``(x + x^2) - x^2 - x``, they show another one, or the same divided by another step.
    """
    with np.errstate(all="ignore"):
        found = scan(seen, samples.stencil, steps, samples)
        d, bound = found.differences
        shown = (np.abs(d) > 8 * bound) & np.isfinite(d)
        if best is not None:
            shown &= np.abs(d) <= best.bar / samples.unit
        for factor in _ALIKE if shown.any() else ():
            near, _ = scan(seen, samples.stencil, steps * factor, samples).differences
            rounding = np.abs(near * factor**samples.stencil.order - d) <= _CONSTANT * np.abs(d)
            shown &= (np.abs(near - d) <= _STEADY * np.abs(d)) & ~rounding
    return np.asarray(shown.any(axis=0))
