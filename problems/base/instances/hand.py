"""Hand tracking in ADBench's format: an instance, and the folder ``model`` with the hand it is about.

An instance is ``N 26``, then N lines ``correspondence x y z`` (of a vertex, or of a triangle where a point lies in
one), for the latter N lines ``u0 u1``, then the 26 parameters, a line each. The model is ``bones.txt``
(``name:parent`` and two 4 x 4 matrices by rows: relative to the parent, and the inverse of the absolute one),
``vertices.txt`` (position, five numbers that nobody needs, the number of bones and for each ``bone:weight``) and
``triangles.txt`` (``a:b:c``).
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
#: Ahead of the bones of a vertex: its position and five numbers more, then how many they are.
_AHEAD = 9


@dataclass(frozen=True)
class Model:
    """B bones with parents (-1: none; always before their children), V vertices, triangles of three of them.

    ``base`` and ``inverse`` are (B, 4, 4), ``positions`` (V, 3), ``weights`` (V, B), ``triangles`` (T, 3).
    """

    parents: tuple[int, ...]
    base: Array
    inverse: Array
    positions: Array
    weights: Array
    triangles: Array


@dataclass(frozen=True)
class Instance:
    """Parameters (26,), points (N, 3), the vertex or triangle of each, and (N, 2) barycentric coordinates, or none."""

    theta: Array
    points: Array
    correspondences: Array
    us: Array | None


def read(path: pathlib.Path, *, complicated: bool) -> tuple[Model, Instance]:
    """One instance and its model, which stands beside it or beside the simple instances of the same size.

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
    """Whether the points of an instance lie in triangles: the line after them has two numbers.

    A file that is too damaged to tell counts as one that does not.
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
    """The three files of a model.

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
    """The file, which must not be empty: nothing could be counted by what it holds."""
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
        # The first has none; a parent that came before rules out circles.
        parents.append(text.count(parent, "a bone that came before", -1 if not parents else 0, len(parents) - 1))
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
    looked = ", ".join(map(str, dict.fromkeys(places)))
    raise InstanceError(f"{path}: got no model of the hand, expected its folder as one of {looked}")
