"""Bundle adjustment: reprojection errors of points in the images of cameras.

A camera is ``(r, C, f, u0, v0, k1, k2)``: rotation by the angle-axis vector r, centre C, focal length f, principal
point u, radial distortion k. Observation i is point X, seen by a camera at the feature m_i, with the weight w_i::

    Z = R(r) (X - C),    p = (Z_x, Z_y) / Z_z,    L = 1 + k1 |p|^2 + k2 |p|^4
    e_i = w_i (f L p + u - m_i),    and the error of the weight 1 - w_i^2

The output is all e_i, then the p weight errors. Observation i has camera i mod n and point i mod m.

A row of the Jacobian has at most 11 + 3 + 1 entries. Columns of different cameras share no row, nor do those of
different points or weights: columns have 15 colours. With copies of camera, point and weight for each observation,
no two observations share an input, and rows have two colours: two products give the whole Jacobian.

The entries follow by the chain rule from r to Z to p to e. With ``Y = X - C``, ``s = |p|^2``, ``L' = k1 + 2 k2 s``, b
as in `autodiff_compare.problems.base.rotations` and ``c = (|r| - sin |r|) / |r|^3``::

    de/dZ = G = w f (L I + 2 L' p p^T) (1, 0, -p_x; 0, 1, -p_y) / Z_z
    dZ/dr = -R [Y]x (I - b [r]x + c [r]x^2)

    r: G dZ/dr    C: -G R    X: G R    f: w L p    u: w I    k: w f (s p, s^2 p)    w: e / w

dZ/dr is ``-R [Y]x`` times the right Jacobian of SO(3), as in `autodiff_compare.problems.hand`.
"""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np

from autodiff_compare.problems.base import VECTOR, Array, Expansion, Inputs, Instances, Problem
from autodiff_compare.problems.base.instances import bundle_adjustment as instance
from autodiff_compare.problems.base.rotations import coefficients
from autodiff_compare.vocabulary import Operator

#: Size, the number of observations -> (cameras, points); the largest is the first public instance.
_SHAPES = {20: (3, 8), 5_000: (21, 1_200), 31_843: (49, 7_776)}


def _errors(cameras: Any, points: Any, weights: Any, features: Any, camera_of: Any, point_of: Any, *, xp: Any) -> Any:
    copies = _copies(cameras, points, weights, features, camera_of, point_of, xp=xp)
    return _of_copies(*copies, features, camera_of, point_of, xp=xp)


def _copies(cameras: Any, points: Any, weights: Any, _: Any, camera_of: Any, point_of: Any, *, xp: Any) -> Any:
    """Return camera (11, p) and point (3, p) of each observation, and its weight for each of the two kinds of error."""
    camera = xp.take(xp.matrix_transpose(cameras), camera_of, axis=1)
    return camera, xp.take(xp.matrix_transpose(points), point_of, axis=1), weights, weights


def _of_copies(camera: Any, point: Any, weights: Any, again: Any, features: Any, *_: Any, xp: Any) -> Any:
    # By components: contiguous vectors of p entries instead of p small matrices.
    rx, ry, rz, cx, cy, cz, f, u, v, k1, k2 = xp.unstack(camera)
    x, y, z = xp.unstack(point)
    mx, my = xp.unstack(features, axis=1)
    x, y, z = _rotated((rx, ry, rz), (x - cx, y - cy, z - cz), xp)
    px, py = x / z, y / z
    square = px * px + py * py
    scale = f * (1 + square * (k1 + square * k2))
    errors = xp.stack([weights * (scale * px + u - mx), weights * (scale * py + v - my)], axis=1)
    return xp.concat([xp.reshape(errors, (-1,)), 1 - again * again])


def _rotated(r: tuple[Any, ...], y: tuple[Any, ...], xp: Any) -> tuple[Any, ...]:
    """Return the rotated vector ``y + a r x y + b r x (r x y)``."""
    a, b = coefficients(r[0] * r[0] + r[1] * r[1] + r[2] * r[2], xp)
    once = _cross(r, y)
    twice = _cross(r, once)
    return tuple(start + a * first + b * second for start, first, second in zip(y, once, twice, strict=True))


def _cross(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _pattern(inputs: Inputs) -> list[tuple[Array, Array]]:
    _, camera_of, point_of = inputs.data
    p = camera_of.size
    rows = np.arange(2 * p).reshape(p, 2, 1)

    def block(which: Array, width: int) -> tuple[Array, Array]:
        columns = which.reshape(p, 1, 1) * width + np.arange(width)
        both = np.broadcast_arrays(rows, columns)
        return both[0].ravel(), both[1].ravel()

    seen = block(np.arange(p), 1)
    alone = np.arange(p)
    weight = np.concatenate([seen[0], 2 * p + alone]), np.concatenate([seen[1], alone])
    return [block(camera_of, 11), block(point_of, 3), weight]


def _pattern_of_copies(inputs: Inputs) -> list[tuple[Array, Array]]:
    p = inputs.data[1].size
    rows = np.arange(2 * p).reshape(p, 2, 1)

    def block(width: int) -> tuple[Array, Array]:
        columns = np.arange(width) * p + np.arange(p).reshape(p, 1, 1)
        both = np.broadcast_arrays(rows, columns)
        return both[0].ravel(), both[1].ravel()

    return [block(11), block(3), block(1), (2 * p + np.arange(p), np.arange(p))]


def _entries(
    cameras: Array, points: Array, weights: Array, features: Array, camera_of: Array, point_of: Array
) -> tuple[Array, ...]:
    camera, w = cameras[camera_of], weights[:, None]
    r, f, k1, k2 = camera[:, :3], camera[:, 6:7], camera[:, 9:10], camera[:, 10:11]
    Y = points[point_of] - camera[:, 3:6]
    K = _cross_matrices(r)
    a, b, c = (_series(np.sum(r * r, axis=1), k)[:, None, None] for k in (1, 2, 3))
    one = np.eye(3, dtype=cameras.dtype)
    R = one + a * K + b * (K @ K)
    Z = (R @ Y[:, :, None])[:, :, 0]
    p = Z[:, :2] / Z[:, 2:]
    s = np.sum(p * p, axis=1, keepdims=True)
    L = 1 + s * (k1 + s * k2)
    D = L[:, :, None] * one[:2, :2] + 2 * (k1 + 2 * k2 * s)[:, :, None] * p[:, :, None] * p[:, None, :]
    P = np.concatenate([np.broadcast_to(one[:2, :2], (len(p), 2, 2)), -p[:, :, None]], axis=2) / Z[:, 2:, None]
    GR = (w * f)[:, :, None] * (D @ P @ R)
    by_r = -GR @ _cross_matrices(Y) @ (one - b * K + c * (K @ K))
    by_u = w[:, :, None] * one[:2, :2]
    columns = [w * L * p, w * f * s * p, w * f * s * s * p]
    by_f, by_k1, by_k2 = (column[:, :, None] for column in columns)
    by_camera = np.concatenate([by_r, -GR, by_f, by_u, by_k1, by_k2], axis=2)
    by_weight = f * L * p + camera[:, 7:9] - features
    return by_camera.ravel(), GR.ravel(), np.concatenate([by_weight.ravel(), -2 * weights])


def _cross_matrices(v: Array) -> Array:
    """Return ``[v]x`` with ``[v]x y = v x y``, (p, 3, 3), of vectors (p, 3)."""
    x, y, z = v.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)


def _series(t: Array, k: int) -> Array:
    """Return ``sum_j (-t)^j / (2j + k)!``: a, b, c of squared angles t for k = 1, 2, 3, exact for a few full turns."""
    total = np.zeros_like(t)
    for j in reversed(range(40)):
        total = 1 - total * t / ((2 * j + k + 1) * (2 * j + k + 2))
    return total / math.factorial(k)


def _observed(p: int, n: int, m: int) -> tuple[Array, Array]:
    """Return camera and point of each observation."""
    return np.arange(p) % n, np.arange(p) % m


def _inputs(rng: np.random.Generator, p: int) -> Inputs:
    """Draw points near the origin, and cameras four to six units away, with all points in front of all cameras."""
    n, m = _SHAPES[p]
    r, distance = rng.uniform(-1, 1, (n, 3)), rng.uniform(4, 6, n)
    a, b = coefficients(np.sum(r * r, axis=1), np)
    K = _cross_matrices(r)
    R = np.eye(3) + a[:, None, None] * K + b[:, None, None] * (K @ K)
    # Lengths in units of the image, so that no parameter changes the errors thousands of times more than another.
    focus, distortion = rng.uniform(0.8, 1.5, n), rng.uniform(-0.1, 0.1, (2, n))
    lens = np.stack([focus, *rng.uniform(-0.1, 0.1, (2, n)), *distortion], axis=1)
    cameras = np.concatenate([r, -R[:, 2, :] * distance[:, None], lens], axis=1)
    points, weights = rng.uniform(-1, 1, (m, 3)), rng.uniform(0.2, 1.0, p)
    return Inputs((cameras, points, weights), (rng.uniform(-0.5, 0.5, (p, 2)), *_observed(p, n, m)))


def _from_file(path: pathlib.Path) -> Inputs:
    scene = instance.read(path)
    sizes = len(scene.weights), len(scene.cameras), len(scene.points)
    return Inputs((scene.cameras, scene.points, scene.weights), (scene.features, *_observed(*sizes)))


PROBLEM = Problem(
    name="ba",
    title="bundle adjustment: reprojection and weight errors of all observations",
    source="ADBench (Microsoft) and GradBench; size: observations; cameras and points: "
    + ", ".join(f"{n} and {m}" for n, m in _SHAPES.values()),
    sizes=dict(zip(("small", "medium", "large"), _SHAPES, strict=True)),
    inputs=_inputs,
    objective=_errors,
    operators=VECTOR | {Operator.SPARSE_JACOBIAN},
    reference={Operator.SPARSE_JACOBIAN: _entries},
    pattern=_pattern,
    samples=(2, 3, 4, 5),
    expansion=Expansion(_copies, _of_copies, (0, 1, 2, 2), _pattern_of_copies),
    suites=frozenset({"adbench", "gradbench"}),
    instances=Instances("ba*_n*_m*_p*.txt", _from_file),
)
