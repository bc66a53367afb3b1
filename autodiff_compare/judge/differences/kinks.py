"""Kinks: points at which the slope of a function jumps, and the interval of its one-sided derivatives.

``S(h) = f(x + h u) - 2 f(x) + f(x - h u)`` is ``h^2 f'' + ...`` where ``f`` is smooth. At a kink it is ``h`` times the
difference of the one-sided derivatives. If ``S(h)/h`` has a limit other than 0, there is a kink at ``x``, or nearer
than the smallest step. The interval between the one-sided derivatives is extrapolated from forward differences.
"""

from __future__ import annotations

import numpy as np

from autodiff_compare.judge.differences.extrapolation import extrapolated, within_domain
from autodiff_compare.judge.differences.ladder import Samples
from autodiff_compare.problems import Array

_EPS = float(np.finfo(np.float64).eps)


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
    last = resolved.shape[0] - 1 - np.argmax(np.flip(resolved, 0), axis=0)
    found: Array = np.take_along_axis(three, np.maximum(last - 2, 0)[None], axis=0)[0]
    real: Array = found & resolved.any(axis=0) & (last >= 2)
    return real


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
