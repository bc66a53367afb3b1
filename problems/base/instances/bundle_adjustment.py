"""Bundle-adjustment instances in ADBench's format.

The first line is ``n m p``. Four lines follow: a camera of 11 numbers, a point of 3, a weight, a feature of 2. All n
cameras, m points, p weights and p features are copies of these.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.problems.base.instances.text import Text, bounded

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """The numbers of a file: n cameras (n, 11), points (m, 3), weights (p,) and features (p, 2)."""

    cameras: Array
    points: Array
    weights: Array
    features: Array


def read(path: pathlib.Path) -> Scene:
    """Read one instance.

    Raises
    ------
    InstanceError
        If the file is not of this format.
    """
    text = Text(path)
    n, m, p = text.counts("n m p", largest=10**8)  # the largest public one has 28 987 644 observations
    bounded(text, 11 * n + 3 * m + 3 * p)
    copies = [(n, "the camera", 11), (m, "the point", 3), (p, "the weight", 1), (p, "the feature", 2)]
    cameras, points, weights, features = (np.tile(text.numbers(what, width), (k, 1)) for k, what, width in copies)
    text.end()
    return Scene(cameras, points, weights[:, 0], features)
