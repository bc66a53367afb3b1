"""Kinks: points at which the slope or the curvature of a function jumps, and the interval of the one-sided values.

``S(h) = f(x + h u) - 2 f(x) + f(x - h u)`` is ``h^2 f'' + ...`` where ``f`` is smooth. At a kink it is ``h`` times the
difference of the one-sided derivatives. If ``S(h)/h`` has a limit other than 0, there is a kink at ``x``, or nearer
than the smallest step. The interval between the one-sided derivatives is extrapolated from forward differences.

*Kinks of the slope.* Central second differences settle on the mean of both sides where the curvature jumps, as that of
``max(x, 0)^2`` does at 0. There is no second derivative. The odd part of ``f`` shows the jump ``J``::

    O(h) = (f(x + h u) - f(x - h u)) / 2 = h f' + h^2 J / 4 + h^3 f''' / 6 + ...
    2 (O(2h) - 2 O(h)) / h^2 = J + 2 h f''' + ...

For the mixed derivative ``s H t`` with ``p = s + t`` and ``m = s - t`` let ``J(u)`` be the jump along u. From one side
of ``t`` to the other the derivative jumps by ``(J(p) + J(m)) / 4``: p and -m move with t. From one side of ``s`` to
the other it jumps by ``(J(p) - J(m)) / 4``.
"""

from __future__ import annotations

import numpy as np

from autodiff_compare.judge.differences.extrapolation import extrapolated, last_row, within_domain
from autodiff_compare.judge.differences.ladder import Samples
from autodiff_compare.problems import Array

_EPS = float(np.finfo(np.float64).eps)
#: Steps over which the power of an even part is measured, and by how much one differs from that of a smooth function.
_TIP_STEPS, _TIP_POWER = 4, 0.06


def kinked(s: Samples) -> Array:
    """Return where the slope jumps at the point, shape ``(r,)``.

    ``S(h)/h`` is ``jump + c h``. Two steps give ``jump = 2 S(h/2)/(h/2) - S(h)/h``. There is a kink if three successive
    values of it agree within 5 % and exceed eight times their rounding bound.
    """
    h = s.steps[:, None]
    jump = (s.values[:, 0] - 2 * s.center + s.values[:, 1]) / h
    size = s.sizes.sum(axis=1) + 2 * s.center_size
    bound = np.maximum(s.eps * size, 8 * s.sigma) / h
    limit = 2 * jump[1:] - jump[:-1]
    resolved = np.abs(limit) > 8 * bound[1:]
    steady = np.abs(np.diff(limit, axis=0)) <= 0.05 * np.abs(limit[1:])
    three = resolved[2:] & resolved[1:-1] & resolved[:-2] & steady[1:] & steady[:-1]
    # Only the smallest step that rounding resolves decides: larger ones may reach a kink nearby.
    last = last_row(resolved)
    found: Array = np.take_along_axis(three, np.maximum(last - 2, 0)[None], axis=0)[0]
    real: Array = found & resolved.any(axis=0) & (last >= 2)
    return real


def beside(s: Samples) -> Array:
    """Return the largest slope that a tip beside the point may have at it, shape ``(r,)``; 0 where there is none.

    Central differences of ``|x - c|^p`` nearly vanish at all steps beyond ``x - c``, as those at c do. The tip shows in
    ``S(h)/h``, which is ``2 h^(p - 1)`` there: an odd power where f is smooth, any other one at a tip. The slope at x
    is at most that at the smallest step that rounding resolves, ``p h^(p - 1)``.
    """
    h = s.steps[:, None]
    even = np.abs(s.values[:, 0] - 2 * s.center + s.values[:, 1]) / h
    bound = np.maximum(s.eps * (s.sizes.sum(axis=1) + 2 * s.center_size), 8 * s.sigma) / h
    resolved = even > 8 * bound
    last = last_row(resolved)
    first = np.maximum(last - _TIP_STEPS, 0)
    least, larger = (np.take_along_axis(even, k[None], axis=0)[0] for k in (last, first))
    with np.errstate(all="ignore"):
        power = np.log2(larger / least) / _TIP_STEPS
        smooth = np.abs(power - np.maximum(2 * np.round((power - 1) / 2) + 1, 1)) <= _TIP_POWER
        # A tip beyond the smallest steps is not beside the point: there rounding would resolve it.
        below = np.arange(len(h))[:, None] - last
        absent = ((below > 0) & (16 * bound < least * 2.0 ** (-power * below))).any(axis=0)
    seen = resolved.any(axis=0) & (last >= _TIP_STEPS) & ~absent
    return np.asarray(np.where(seen & ~smooth, 2 * least, 0.0), dtype=np.float64)


def one_sided(s: Samples, at: Array) -> tuple[Array, Array]:
    """Return the ends of the interval of the one-sided derivatives, widened by their bars; nan where not ``at``."""
    empty = np.full(at.shape, np.nan)
    if not at.any():
        return empty, empty
    h = s.steps[:, None]
    ends = []
    for sign, side in ((1.0, 0), (-1.0, 1)):
        d = within_domain((sign * (s.values[:, side] - s.center) / h).astype(np.float64))
        bound = np.maximum(s.eps * (s.sizes[:, side] + s.center_size), 4 * s.sigma) / h + 2 * _EPS * np.abs(d)
        ends.append(extrapolated(d, bound.astype(np.float64), base=2)[:2])
    (right, right_bar), (left, left_bar) = ends
    low = np.minimum(right - right_bar, left - left_bar)
    high = np.maximum(right + right_bar, left + left_bar)
    return np.where(at, low, np.nan), np.where(at, high, np.nan)


def bent(s: Samples) -> tuple[Array, Array, Array]:
    """Return the jumps of a mixed second derivative between the sides of t and of s, their bars, and where they are.

    Parameters
    ----------
    s
        Samples on the stencil ``(p, -p, m, -m)``.

    Returns
    -------
    jump, bar, found
        Arrays of shape ``(2, r)``: between the sides of t, and between those of s. ``found`` is true where the jump has
        a limit other than 0: at the smallest steps that rounding resolves, three successive values of it agree.
    """
    h = s.steps[1:, None] ** 2
    bound = np.maximum(s.eps * s.sizes.sum(axis=1), 8 * s.sigma)[:-1] / h
    odd = [(s.values[:, k] - s.values[:, k + 1]) / 2 for k in (0, 2)]
    jumps = []
    for sign in (1.0, -1.0):
        part = (odd[0] + sign * odd[1]) / 4
        jumps.append(_jump((2 * (part[:-1] - 2 * part[1:]) / h).astype(np.float64), bound.astype(np.float64)))
    jump, bar, found = (np.stack(parts) for parts in zip(*jumps, strict=True))
    return jump, bar, found


def _jump(at: Array, bound: Array) -> tuple[Array, Array, Array]:
    """Return the limit of values ``J + c h``, at steps halving with the row, its bar, and where it is not 0.

    ``bound`` are the bounds of their rounding errors.
    """
    limit = 2 * at[1:] - at[:-1]
    limit, bound = np.where(np.isfinite(limit), limit, 0.0), bound[1:]
    resolved = np.abs(limit) > 16 * bound
    steady = np.abs(np.diff(limit, axis=0)) <= 0.05 * np.abs(limit[1:]) + 3 * bound[1:]
    three = resolved[2:] & resolved[1:-1] & resolved[:-2] & steady[1:] & steady[:-1]
    last = last_row(resolved)
    row = np.maximum(last - 2, 0)[None]
    value = np.take_along_axis(limit, last[None], axis=0)[0]
    # A jump beyond the smallest steps is not at the point: there rounding would resolve it, and nothing is seen.
    smaller = np.arange(len(limit))[:, None] > last
    absent = (smaller & (16 * bound < 0.5 * np.abs(value))).any(axis=0)
    found = np.take_along_axis(three, row, axis=0)[0] & resolved.any(axis=0) & (last >= 2) & ~absent
    # Larger steps have less rounding: of those that show the same limit, the one where it is steadiest.
    change = np.full_like(limit, np.inf)
    change[1:] = np.abs(np.diff(limit, axis=0)) + 3 * bound[1:]
    change = np.where(smaller | (np.abs(limit - value) > 0.1 * np.abs(value)), np.inf, change)
    best = np.argmin(change, axis=0)[None]
    return *(np.take_along_axis(a, best, axis=0)[0] for a in (limit, change)), found
