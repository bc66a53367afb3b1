"""Distance of a vector from the convex hull of points, by Wolfe's minimum-norm-point algorithm.

The nearest point to ``g`` in the hull of points ``p_i`` is ``g + x``, where ``x`` is the point of least norm in the
hull of ``p_i - g``. A point ``x`` of a hull has the least norm exactly if the plane through ``x``, normal to ``x``, has
no point on the near side of it: ``x . p_i >= x . x`` for all i. Wolfe (1976, *Finding the nearest point in a polytope*,
Mathematical Programming 11, 128-149) keeps a set of corners and alternates two steps:

1. Add the corner with the smallest ``x . p_i``; stop if it violates the condition no more.
2. Move to the least-norm point of the affine hull of the corners. With corners as the rows of Q, this minimises
   ``|w Q|^2`` under ``sum(w) = 1``; by Lagrange, ``Q Q^T w + mu 1 = 0`` and ``1^T w = 1``: one linear system. If a
   weight is negative, the point lies outside the hull: go only as far as the first weight that falls to zero, drop its
   corner and repeat.

Example: the hull of (1, -1) and (1, 1) is nearest to 0 at (1, 0). Corner (1, -1) is first; (1, 1) has
``x . p = 0 < x . x = 2``, so it is added, and both get the weight 1/2.
"""

from __future__ import annotations

import numpy as np

from autodiff_compare.problems import Array

_ITERATIONS = 500


def distance(points: Array, g: Array, *, box: bool = False) -> float:
    """Return the largest entry of the difference between ``g`` and the nearest point of the hull; 0 inside.

    If an entry of a point is infinite, the bounding box of the points replaces the hull. The distance is infinite if
    ``g`` has a nan or if no points are left.

    Parameters
    ----------
    points
        (points, entries); rows with nan are left out.
    g
        (entries,).
    box
        Take the bounding box of the points: each entry may come from another point.
    """
    points = points[~np.isnan(points).any(axis=1)]
    if np.isnan(g).any() or not len(points):
        return float("inf")
    if not g.size:
        return 0.0
    if box or np.isinf(points).any() or g.size == 1:
        return _distance_from_box(points, g)
    return float("inf") if np.isinf(g).any() else _distance_from_hull(points, g)


def _distance_from_box(points: Array, g: Array) -> float:
    low, high = points.min(axis=0), points.max(axis=0)
    with np.errstate(invalid="ignore"):
        beyond = np.where(g < low, low - g, np.where(g > high, g - high, 0.0))
    return float(np.max(beyond))


def _distance_from_hull(points: Array, g: Array) -> float:
    """Run Wolfe's algorithm on the points relative to ``g``, scaled to entries of at most 1."""
    shifted = points - g
    scale = float(np.abs(shifted).max()) or 1.0
    P = shifted / scale
    corners = [int(np.argmin(np.sum(P * P, axis=1)))]
    weights = np.ones(1)
    for _ in range(_ITERATIONS):
        x = weights @ P[corners]
        k = int(np.argmin(P @ x))
        if k in corners or x @ x - P[k] @ x <= 1e-15:
            break
        corners, weights = [*corners, k], np.append(weights, 0.0)
        corners, weights = _least_norm(P, corners, weights)
    return float(np.abs(weights @ P[corners]).max() * scale)


def _least_norm(P: Array, corners: list[int], weights: Array) -> tuple[list[int], Array]:
    """Return the corners that support the least-norm point of their hull, and its weights (step 2 above)."""
    while True:
        Q = P[corners]
        n = len(corners)
        system = np.block([[Q @ Q.T, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
        # lstsq: corners that are affinely dependent make the system singular, but consistent.
        affine = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)[0][:n]
        if np.all(affine >= 0) or n == 1:
            return corners, affine
        falling = affine < 0
        theta = float(np.min(weights[falling] / (weights[falling] - affine[falling])))
        weights = np.maximum(weights + theta * (affine - weights), 0.0)
        keep = weights > 1e-14
        if keep.all():
            # Rounding left the first weight to fall just above zero: drop it, or the loop would not end.
            keep[int(np.argmin(np.where(falling, weights, np.inf)))] = False
        corners, weights = [c for c, kept in zip(corners, keep, strict=True) if kept], weights[keep]
        weights = weights / weights.sum()
