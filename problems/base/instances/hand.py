"""Hand-tracking instances in ADBench's format: an instance file, and a folder ``model`` with the hand model.

An instance begins with ``N 26``. Then come N lines ``correspondence x y z``, where the correspondence is a vertex in
simple instances and a triangle in complicated ones; for the latter, N lines ``u0 u1``; then the 26 parameters, one a
line.

The model has three files. ``bones.txt`` has a line ``name:parent`` and two 4 x 4 matrices by rows for each bone: the
transformation relative to its parent, and the inverse of the absolute one. ``vertices.txt`` has the position of a
vertex, five unused numbers, its number of bones and ``bone:weight`` for each. ``triangles.txt`` has lines ``a:b:c``.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.problems.base.instances.text import InstanceError, Text, bounded

Array = NDArray[Any]

PARAMETERS = 26
#: Fields of a vertex before its bones: its position, five unused numbers, the number of bones.
_AHEAD = 9


@dataclass(frozen=True)
class Model:
    """A hand model of B bones, V vertices and T triangles of vertices.

    Parameters
    ----------
    parents
        Parent of each bone, -1 for the root; parents precede their children.
    base
        Transformation of each bone relative to its parent at rest, (B, 4, 4).
    inverse
        Inverse of each bone's absolute transformation at rest, (B, 4, 4).
    positions
        Vertices at rest, (V, 3).
    weights
        Weight of each bone in the motion of each vertex, (V, B).
    triangles
        Vertices of each triangle, (T, 3).
    """

    parents: tuple[int, ...]
    base: Array
    inverse: Array
    positions: Array
    weights: Array
    triangles: Array


@dataclass(frozen=True)
class Instance:
    """Parameters (26,), points (N, 3), their vertices or triangles (N,), and barycentric coordinates (N, 2) or None."""

    theta: Array
    points: Array
    correspondences: Array
    us: Array | None


def read(path: pathlib.Path, *, complicated: bool) -> tuple[Model, Instance]:
    """Read one instance and its model, whose folder is next to it or next to the simple instances of the same size.

    Raises
    ------
    InstanceError
        If a file is not of this format, or there is no model.
    """
    model = read_model(_model_folder(path))
    text = Text(path)
    n, width = text.counts("npoints ntheta")
    if width != PARAMETERS:
        text.fail(f"{width} parameters", f"{PARAMETERS}")
    most = len(model.triangles if complicated else model.positions) - 1
    correspondences, points = [], []
    for i in range(1, n + 1):
        what = f"row {i} of {n}: correspondence x y z"
        which, *place = text.fields(what, width=4)
        correspondences.append(text.count(which, what, 0, most))
        points.append([text.number(field, what) for field in place])
    us = text.table("the barycentric coordinates", n, 2) if complicated else None
    theta = text.table("the parameters", PARAMETERS, 1)[:, 0]
    text.end()
    return model, Instance(theta, np.array(points), np.array(correspondences), us)


def is_complicated(path: pathlib.Path) -> bool:
    """Return whether the points of an instance lie in triangles: the line after the points then has two numbers.

    The answer is `False` for a file that is too damaged to be read.
    """
    try:
        text = Text(path)
        n, _ = text.counts("npoints ntheta")
        for _ in range(n):
            text.fields("a point")
        return len(text.fields("the next line")) == 2
    except InstanceError:
        return False


def read_model(folder: pathlib.Path) -> Model:
    """Read the three files of a model.

    Raises
    ------
    InstanceError
        If one is missing or not of this format.
    """
    parents, base, inverse = _bones(_some(folder / "bones.txt", "a bone"))
    positions, weights = _vertices(_some(folder / "vertices.txt", "a vertex"), len(parents))
    text, triangles = Text(folder / "triangles.txt"), []
    while text.more():
        fields = text.fields("a triangle", width=3, separator=":")
        triangles.append([text.count(f, "a vertex", 0, len(positions) - 1) for f in fields])
    return Model(parents, base, inverse, positions, weights, np.array(triangles).reshape(-1, 3))


def _some(path: pathlib.Path, what: str) -> Text:
    """Return the text of a file, which must not be empty: the number of bones or vertices is that of its lines."""
    text = Text(path)
    if not text.more():
        text.fail("the end of the file", what)
    return text


def _bones(text: Text) -> tuple[tuple[int, ...], Array, Array]:
    parents: list[int] = []
    matrices: list[list[float]] = []
    while text.more():
        what = "name:parent:base:inverse of a bone"
        _, parent, *numbers = text.fields(what, width=34, separator=":")
        # Only the first bone has no parent. Parents precede their children, so there is no cycle.
        parents.append(text.count(parent, "an earlier bone", -1 if not parents else 0, len(parents) - 1))
        matrices.append([text.number(field, what) for field in numbers])
    both = np.array(matrices).reshape(-1, 2, 4, 4)
    return tuple(parents), both[:, 0], both[:, 1]


def _vertices(text: Text, bones: int) -> tuple[Array, Array]:
    positions, weights = [], []
    while text.more():
        fields = text.fields("a vertex", separator=":")
        if len(fields) < _AHEAD:
            text.fail(f"{len(fields)} fields", f"{_AHEAD} or more: a vertex")
        count = text.count(fields[_AHEAD - 1], "the number of its bones", 0, bones)
        if len(fields) != _AHEAD + 2 * count:
            text.fail(f"{len(fields)} fields", f"{_AHEAD + 2 * count}: a vertex with {count} bones")
        positions.append([text.number(field, "a position") for field in fields[:3]])
        row = [0.0] * bones
        for bone, weight in zip(fields[_AHEAD::2], fields[_AHEAD + 1 :: 2], strict=True):
            row[text.count(bone, "a bone", 0, bones - 1)] = text.number(weight, "a weight")
        weights.append(row)
        bounded(text, 4 * bones * len(positions))
    return np.array(positions).reshape(-1, 3), np.array(weights).reshape(-1, bones)


def _model_folder(path: pathlib.Path) -> pathlib.Path:
    beside = path.parent.name.replace("complicated", "simple")
    places = [path.parent / "model", path.parent.parent / beside / "model", path.parent.parent / "model"]
    for place in places:
        if place.is_dir():
            return place
    looked = " or ".join(map(str, dict.fromkeys(places)))
    raise InstanceError(f"{path}: got no hand model, expected a folder {looked}")
