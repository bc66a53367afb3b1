"""Membership of a gradient in the subdifferential of a function at a kink.

Each entry of ``g = (1, 1)`` lies between the one-sided derivatives of ``max(a, b)`` at ``a = b``, which are 0 and 1.
Still ``g`` is wrong: every gradient nearby is (1, 0) or (0, 1), and the subdifferential is the segment between them. So
several entries at a kink are judged together: ``g`` must lie in the convex hull of the limits of gradients nearby
(Clarke 1983). `autodiff_compare.judge.singular.slopes` measures them, `autodiff_compare.judge.singular.hull` compares.

Independent kinks have a vertex for each choice of sides, so that the number of gradients nearby doubles with each
entry. Above `MOST` entries only the one-sided derivatives of each entry are compared.
"""

from __future__ import annotations

import math

import numpy as np

from autodiff_compare.judge.singular import hull
from autodiff_compare.judge.singular.slopes import MOST, Coordinates, Function, nearby
from autodiff_compare.problems import Array

_DTYPE = "float64"


def contains(f: Function, x: Array, scale: Array, entries: Array, g: Array) -> bool:
    """Return whether the entries ``g`` of a gradient lie in the subdifferential of ``f``, within half of the digits.

    Parameters
    ----------
    f
        Function of a flat vector, shape ``(n,)``, that returns one number as an array of shape ``(1,)``.
    x, scale
        Point and scale of each input, shape ``(n,)``.
    entries
        Indices of the inputs in which the slope jumps, shape ``(k,)``; the others are held fixed.
    g
        The gradient by these inputs, shape ``(k,)``.

    Returns
    -------
    bool
        True also where nothing can be said: for one entry, for more than `MOST`, and outside the domain.
    """
    if not 1 < len(entries) <= MOST:
        return True
    units = np.eye(x.size)[entries]
    at = Coordinates((x,), tuple((0, unit) for unit in units), scale[entries])
    points, bars = nearby(lambda by: f(x + by @ units), at, _DTYPE, (g / scale[entries], g * scale[entries]))
    # In units of the scales all entries are of one size, whatever their units.
    points, bars, g = points * scale[entries], bars * scale[entries], g * scale[entries]
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return True
    size = float(np.abs(points[known]).max(initial=0.0))
    tolerance = math.sqrt(np.finfo(_DTYPE).eps) * size + 3 * float(bars[known].max(initial=0.0))
    return hull.distance(points[known], g) <= tolerance
