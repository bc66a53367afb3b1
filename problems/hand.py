"""Hand tracking: distances of measured points from a hand model of bones and skin with 26 parameters.

The parameters are a global rotation (3), a translation (3) and five fingers of 4 angles. The bones form a tree. Bone b
rotates by ``R_b = R_z R_x`` in the frame of its parent, and never about y::

    absolute_b = absolute_parent base_b (R_b 0; 0 1),    T_b = absolute_b inverse_b
    vertex_v   = R(r) sum_b weight_vb T_b (x_v, 1) + t

with R(r) as in `autodiff_compare.problems.base.rotations`, but the constant identity where ``|r| < 1e-4`` (ADBench's
convention). Three bones of each finger rotate: the first has an x and a z angle, the other two an x angle.

``hand`` returns each point minus its vertex. ``hand_complicated`` returns each point minus
``u0 a + u1 b + (1 - u0 - u1) c`` in a triangle of vertices a, b, c, and is differentiated also by the barycentric
coordinates u. Its Jacobian by u has two entries in a row; together with the 26 columns of the parameters it takes 28
products for any number of points.

Bones of equal depth in the tree are multiplied at once; they are kept in order of depth. Skinning is linear in the T_b:
weights and positions are one matrix ``skin`` (V, 4B), and its product with all T_b is the vertices.

The closed form carries the derivatives of ``absolute_b`` by all 26 parameters down the tree, by the product rule::

    d absolute_b = d absolute_parent relative_b + absolute_parent d relative_b,    relative_b = base_b (R_b 0; 0 1)

``dR_b`` replaces the cosine and sine of one angle by their derivatives and drops the constant column of R_x, or the
constant row of R_z. The global rotation has ``dR/dr_j = R [J e_j]x``, with the right Jacobian J of `_global_slopes`.
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.problems.base import VECTOR, Array, Inputs, Instances, Problem
from autodiff_compare.problems.base.instances import hand as instance
from autodiff_compare.problems.base.instances.hand import PARAMETERS, Model
from autodiff_compare.problems.base.rotations import away_from_zero
from autodiff_compare.vocabulary import Operator

#: First and last bone (exclusive) of each depth.
Levels = Sequence[tuple[int, int]]

#: Size, the number of points -> vertices.
_SHAPES = {10: 60, 100: 544, 10_000: 10_000}
#: Parents of the bones: wrist; thumb, index, middle, ring and little finger with four bones each; forearm.
_PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19, 0)
#: Squared angle below which the global rotation is the identity.
_NO_ROTATION = 1e-8


def _hand(
    theta: Any, base: Any, inverse: Any, skin: Any, angles: Any, parents: Any, points: Any, which: Any, *, xp: Any,
    levels: Levels,
) -> Any:  # fmt: skip
    vertices = _vertices(theta, base, inverse, skin, angles, parents, xp, levels)
    return points - xp.take(vertices, which, axis=0)


def _complicated(
    theta: Any, us: Any, base: Any, inverse: Any, skin: Any, angles: Any, parents: Any, points: Any, corners: Any, *,
    xp: Any, levels: Levels,
) -> Any:  # fmt: skip
    vertices = _vertices(theta, base, inverse, skin, angles, parents, xp, levels)
    a, b, c = (xp.take(vertices, which, axis=0) for which in xp.unstack(corners))
    u, v = us[:, 0:1], us[:, 1:2]
    return points - (u * a + v * b + (1 - u - v) * c)


def _vertices(
    theta: Any,
    base: Any,
    inverse: Any,
    skin: Any,
    angles: Any,
    parents: Any,
    xp: Any,
    levels: Levels,
) -> Any:
    # Index 26, the appended zero, is the angle of bones that do not rotate.
    turns = xp.take(xp.concat([theta, xp.zeros((1,), dtype=theta.dtype)]), xp.reshape(angles, (-1,)), axis=0)
    turns = xp.reshape(turns, angles.shape)
    relative = xp.concat([xp.matmul(base[:, :, :3], _turned(turns, xp)), base[:, :, 3:]], axis=2)
    (first, end), *others = levels
    depth = [relative[first:end, ...]]
    for start, end in others:
        depth.append(xp.matmul(xp.take(depth[-1], parents[start:end], axis=0), relative[start:end, ...]))
    transforms = xp.matmul(xp.concat(depth)[:, :3, :], inverse)
    stacked = xp.reshape(xp.matrix_transpose(transforms), (-1, 3))
    rotated = xp.matmul(stacked, xp.matrix_transpose(_global(theta[:3], xp)))
    return xp.matmul(skin, rotated) + theta[3:6]


def _turned(turns: Any, xp: Any) -> Any:
    """Return ``R_z R_x`` (B, 3, 3) of the angles (2, B) about x and z."""
    return _rotations(xp.cos(turns), xp.sin(turns), xp)


def _rotations(cosines: Any, sines: Any, xp: Any) -> Any:
    (cx, cz), (sx, sz) = xp.unstack(cosines), xp.unstack(sines)
    zero = xp.zeros_like(cx)
    rows = [cz, -sz * cx, sz * sx, sz, cz * cx, -cz * sx, zero, sx, cx]
    return xp.reshape(xp.stack(rows, axis=1), (-1, 3, 3))


def _global(r: Any, xp: Any) -> Any:
    x, y, z = xp.unstack(r)
    square = x * x + y * y + z * z
    is_none = square < _NO_ROTATION
    # No series near zero, where the rotation is the identity: torch's forward mode takes 60 us for each number in it.
    away = xp.where(is_none, xp.ones_like(square), square)
    a, b = (xp.where(is_none, xp.zeros_like(c), c) for c in away_from_zero(away, xp))
    zero = xp.zeros_like(x)
    K = xp.reshape(xp.stack([zero, -z, y, z, zero, -x, -y, x, zero]), (3, 3))
    return xp.eye(3, dtype=r.dtype) + a * K + b * xp.matmul(K, K)


@dataclass(frozen=True)
class _Skin:
    """Vertices (V, 3), and their derivatives by the 26 parameters (V, 3, 26)."""

    vertices: Array
    slopes: Array


def _by_hand(theta: Array, model: Sequence[Array], levels: Levels) -> _Skin:
    """Return vertices and derivatives, by the product rule for all 20 angles at once."""
    base, inverse, skin, angles, parents = model
    dtype = theta.dtype
    turns = np.append(theta, dtype.type(0))[angles]
    c, s = np.cos(turns), np.sin(turns)
    relative = np.concatenate([base[:, :, :3] @ _rotations(c, s, np), base[:, :, 3:]], axis=2)
    slopes = np.zeros((PARAMETERS, *base.shape), dtype=dtype)
    # R_b is linear in cosine and sine of each angle, except for the first column of R_x and the last row of R_z.
    by_x = _rotations(np.stack([-s[0], c[1]]), np.stack([c[0], s[1]]), np) * np.array([0, 1, 1])
    by_z = _rotations(np.stack([c[0], -s[1]]), np.stack([s[0], c[1]]), np) * np.array([[1], [1], [0]])
    for axis, dR in enumerate((by_x, by_z)):
        for bone in np.flatnonzero(angles[axis] < PARAMETERS):
            slopes[angles[axis, bone], bone, :, :3] += base[bone, :, :3] @ dR[bone]
    absolute, moved = relative.copy(), slopes.copy()
    for (before, _), (start, end) in itertools.pairwise(levels):
        above = parents[start:end] + before
        absolute[start:end] = absolute[above] @ relative[start:end]
        moved[:, start:end] = moved[:, above] @ relative[start:end] + absolute[above] @ slopes[:, start:end]
    stacked = (absolute[:, :3] @ inverse).transpose(0, 2, 1).reshape(-1, 3)
    dstacked = (moved[:, :, :3] @ inverse).transpose(0, 1, 3, 2).reshape(PARAMETERS, -1, 3)
    G, dG = _global(theta[:3], np), _global_slopes(theta[:3])
    dstacked = dstacked @ G.T
    dstacked[:3] += stacked @ dG.transpose(0, 2, 1)
    by_theta = (skin @ dstacked).transpose(1, 2, 0)
    by_theta[:, :, 3:6] += np.eye(3, dtype=dtype)
    return _Skin(skin @ (stacked @ G.T) + theta[3:6], by_theta)


def _global_slopes(r: Array) -> Array:
    """Return ``dR/dr_j = R [J e_j]x``, (3, 3, 3), with the right Jacobian ``J = I - b [r]x + c [r]x^2`` of SO(3).

    J is the integral of ``exp(-t [r]x)`` over t from 0 to 1: the change of a rotation, in its own frame.

    ``b = (1 - cos |r|) / |r|^2`` and ``c = (|r| - sin |r|) / |r|^3`` (Chirikjian, Stochastic Models, Information
    Theory, and Lie Groups, vol. 2 (2012), p. 40).
    """
    square = np.sum(r * r)
    if square < _NO_ROTATION:
        return np.zeros((3, 3, 3), dtype=r.dtype)
    angle = np.sqrt(square)
    K, one = _cross_matrix(r), np.eye(3, dtype=r.dtype)
    b, c = 2 * np.sin(angle / 2) ** 2 / square, (angle - np.sin(angle)) / (square * angle)
    J = one - b * K + c * (K @ K)
    return np.stack([_global(r, np) @ _cross_matrix(J[:, j]) for j in range(3)])


def _cross_matrix(v: Array) -> Array:
    x, y, z = v
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=v.dtype)


def _jacobian(theta: Array, *data: Array, levels: Levels) -> Array:
    *model, _, which = data
    return -_by_hand(theta, model, levels).slopes[which]


def _entries(theta: Array, us: Array, *data: Array, levels: Levels) -> tuple[Array, Array]:
    *model, _, corners = data
    found = _by_hand(theta, model, levels)
    shares = np.stack([us[:, 0], us[:, 1], 1 - us[:, 0] - us[:, 1]])
    by_theta = -np.sum(shares[:, :, None, None] * found.slopes[corners], axis=0)
    a, b, c = found.vertices[corners]
    return by_theta.ravel(), -np.stack([a - c, b - c], axis=2).ravel()


def _pattern(inputs: Inputs) -> list[tuple[Array, Array]]:
    n = len(inputs.differentiated[1])
    rows, columns = np.divmod(np.arange(3 * n * PARAMETERS), PARAMETERS)
    outputs = np.repeat(np.arange(3 * n), 2)
    return [(rows, columns), (outputs, outputs // 3 * 2 + np.arange(6 * n) % 2)]


def _data(model: Model) -> tuple[tuple[Array, ...], tuple[tuple[int, int], ...]]:
    """Return the arrays of a model that the objectives take, with bones in order of depth, and the levels."""
    depths: list[int] = []
    for parent in model.parents:
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    order = np.argsort(depths, kind="stable")
    starts = np.searchsorted(np.sort(depths), np.arange(max(depths) + 2))
    rank = np.argsort(order)
    above = np.array([rank[p] - starts[d - 1] if d else 0 for p, d in zip(model.parents, depths, strict=True)])
    angles = _angles(len(order))[:, order]
    homogeneous = np.concatenate([model.positions, np.ones((len(model.positions), 1))], axis=1)
    skin = (model.weights[:, order, None] * homogeneous[:, None, :]).reshape(len(homogeneous), -1)
    levels = tuple((int(s), int(e)) for s, e in itertools.pairwise(starts))
    return (model.base[order], model.inverse[order], skin, angles, above[order]), levels


def _angles(bones: int) -> Array:
    """Return the parameter that is the angle about x (first row) and about z of each bone; 26 means no rotation."""
    angles = np.full((2, bones), PARAMETERS)
    parameter = 6
    for finger in range(5):
        for joint in range(3):
            bone = 2 + 4 * finger + joint
            for axis in (0, 1) if joint == 0 else (0,):
                if bone < bones:
                    angles[axis, bone] = parameter
                parameter += 1
    return angles


def _drawn_model(rng: np.random.Generator, vertices: int) -> Model:
    """Draw a model: bones of about unit length, vertices near one bone that are moved by it and up to three others."""
    bones = len(_PARENTS)
    base = np.tile(np.eye(4), (bones, 1, 1))
    base[:, :3, :3] = _turned(rng.uniform(-0.4, 0.4, (2, bones)), np)
    base[1:, :3, 3] = rng.uniform([-0.3, 0.7, -0.3], [0.3, 1.3, 0.3], (bones - 1, 3))
    absolute = base.copy()
    for bone, parent in enumerate(_PARENTS):
        if parent >= 0:
            absolute[bone] = absolute[parent] @ base[bone]
    inverse = np.tile(np.eye(4), (bones, 1, 1))
    inverse[:, :3, :3] = absolute[:, :3, :3].transpose(0, 2, 1)
    inverse[:, :3, 3] = -np.sum(absolute[:, :3, :3] * absolute[:, :3, 3:], axis=1)
    near = rng.integers(bones, size=(vertices, 4))
    weights = np.zeros((vertices, bones))
    np.add.at(weights, (np.arange(vertices)[:, None], near), rng.dirichlet([4.0, 2.0, 1.0, 1.0], vertices))
    positions = absolute[near[:, 0], :3, 3] + rng.uniform(-0.4, 0.4, (vertices, 3))
    return Model(_PARENTS, base, inverse, positions, weights, rng.integers(vertices, size=(2 * vertices, 3)))


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    model = _drawn_model(rng, _SHAPES[n])
    data, levels = _data(model)
    which = rng.integers(_SHAPES[n], size=n)
    points = model.positions[which] + rng.uniform(-0.1, 0.1, (n, 3))
    return Inputs((_parameters(rng),), (*data, points, which), {"levels": levels})


def _complicated_inputs(rng: np.random.Generator, n: int) -> Inputs:
    model = _drawn_model(rng, _SHAPES[n])
    data, levels = _data(model)
    corners = model.triangles[rng.integers(len(model.triangles), size=n)].T
    us = rng.dirichlet([1.0, 1.0, 1.0], n)[:, :2]
    points = np.mean(model.positions[corners], axis=0) + rng.uniform(-0.1, 0.1, (n, 3))
    return Inputs((_parameters(rng), us), (*data, points, corners), {"levels": levels})


def _parameters(rng: np.random.Generator) -> Array:
    return np.concatenate([rng.uniform(0.2, 1.0, 3), rng.uniform(-1, 1, 3), rng.uniform(-0.6, 0.6, 20)])


def _from_file(path: pathlib.Path) -> Inputs:
    model, found = instance.read(path, complicated=False)
    data, levels = _data(model)
    return Inputs((found.theta,), (*data, found.points, found.correspondences), {"levels": levels})


def _complicated_from_file(path: pathlib.Path) -> Inputs:
    model, found = instance.read(path, complicated=True)
    assert found.us is not None, "points in triangles have barycentric coordinates"
    data, levels = _data(model)
    corners = model.triangles[found.correspondences].T
    return Inputs((found.theta, found.us), (*data, found.points, corners), {"levels": levels})


_SOURCE = "ADBench (Microsoft) and GradBench, after Taylor et al. 2014; size: points; vertices: " + ", ".join(
    map(str, _SHAPES.values())
)
#: In units of eps: 10 sqrt(K) with K the longest sum, 4 entries of each of 22 bones; by default K would be the number
#: of all entries of the model.
_TOLERANCE = 100.0
_SIZES = dict(zip(("small", "medium", "large"), _SHAPES, strict=True))

PROBLEMS = (
    Problem(
        name="hand",
        title="hand tracking: points minus vertices of a skinned hand",
        source=_SOURCE,
        sizes=_SIZES,
        inputs=_inputs,
        objective=_hand,
        operators=VECTOR,
        reference={Operator.JACOBIAN: _jacobian},
        samples=(6, 7),
        tolerance=_TOLERANCE,
        suites=frozenset({"adbench", "gradbench"}),
        instances=Instances("hand*_t26_c*.txt", _from_file, lambda path: not instance.is_complicated(path)),
    ),
    Problem(
        name="hand_complicated",
        title="hand tracking: points minus points in triangles of a skinned hand, in pose and barycentric coordinates",
        source=_SOURCE,
        sizes=_SIZES,
        inputs=_complicated_inputs,
        objective=_complicated,
        operators=VECTOR | {Operator.SPARSE_JACOBIAN},
        reference={Operator.SPARSE_JACOBIAN: _entries},
        pattern=_pattern,
        tolerance=_TOLERANCE,
        suites=frozenset({"adbench", "gradbench"}),
        instances=Instances("hand*_t26_c*.txt", _complicated_from_file, instance.is_complicated),
    ),
)
