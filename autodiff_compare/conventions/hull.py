"""How far a vector is from the convex hull of points."""

from __future__ import annotations

import numpy as np

from autodiff_compare.problems import Array

_SWEEPS = 500


def distance(points: Array, g: Array) -> float:
    """Largest entry of what separates ``g`` from the hull of ``points``; 0 inside.

    Where an entry of a point is infinite, the hull is taken for the box of the entries' ranges. ``nan`` in ``g`` is
    infinitely far from everything, and so is anything from no points.

    Parameters
    ----------
    points
        (points, entries); rows with nan are left out.
    g
        (entries,).
    """
    points = points[~np.isnan(points).any(axis=1)]
    if np.isnan(g).any() or not len(points):
        return float("inf")
    if not g.size:
        return 0.0
    if np.isinf(points).any() or g.size == 1:
        return _from_box(points, g)
    return float("inf") if np.isinf(g).any() else _from_hull(points, g)


def _from_box(points: Array, g: Array) -> float:
    low, high = points.min(axis=0), points.max(axis=0)
    with np.errstate(invalid="ignore"):
        beyond = np.where(g < low, low - g, np.where(g > high, g - high, 0.0))
    return float(np.max(beyond))


def _from_hull(points: Array, g: Array) -> float:
    """The nearest point of the hull by Wolfe's method: a least-norm point over a growing set of corners."""
    shifted = points - g
    scale = float(np.abs(shifted).max()) or 1.0
    P = shifted / scale
    corners = [int(np.argmin(np.sum(P * P, axis=1)))]
    weights = np.ones(1)
    for _ in range(_SWEEPS):
        x = weights @ P[corners]
        k = int(np.argmin(P @ x))
        if k in corners or x @ x - P[k] @ x <= 1e-15:
            break
        corners, weights = [*corners, k], np.append(weights, 0.0)
        corners, weights = _least(P, corners, weights)
    return float(np.abs(weights @ P[corners]).max() * scale)


def _least(P: Array, corners: list[int], weights: Array) -> tuple[list[int], Array]:
    """The least-norm point of the corners' hull, dropping those that it does not need."""
    while True:
        Q = P[corners]
        n = len(corners)
        system = np.block([[Q @ Q.T, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
        affine = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)[0][:n]
        if np.all(affine >= 0) or n == 1:
            return corners, affine
        falling = affine < 0
        theta = float(np.min(weights[falling] / (weights[falling] - affine[falling])))
        weights = np.maximum(weights + theta * (affine - weights), 0.0)
        keep = weights > 1e-14
        if keep.all():
            keep[int(np.argmin(np.where(falling, weights, np.inf)))] = False
        corners, weights = [c for c, kept in zip(corners, keep, strict=True) if kept], weights[keep]
        weights = weights / weights.sum()
