"""Gaussian-mixture instances in ADBench's format.

The first line is ``d k n``. Then come k lines with a weight each, k lines with the d entries of a mean, and k lines
with the d logarithms and d (d - 1) / 2 further entries of a precision factor. n lines with a point of d numbers
follow, and ``gamma m``.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodiff_compare.problems.base.instances.text import Text, bounded

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """The numbers of a file: alphas (k,), means (k, d), factors (k, d (d + 1) / 2), points (n, d), gamma and m."""

    alphas: Array
    means: Array
    factors: Array
    points: Array
    gamma: float
    m: int


def read(path: pathlib.Path) -> Mixture:
    """Read one instance.

    Raises
    ------
    InstanceError
        If the file is not of this format.
    """
    text = Text(path)
    d, k, n = text.counts("d k n")
    bounded(text, k * d * n)
    alphas = text.table("the weights", k, 1)[:, 0]
    means = text.table("the means", k, d)
    factors = text.table("the precision factors", k, d * (d + 1) // 2)
    points = text.table("the points", n, d)
    gamma, m = text.fields("gamma and m", width=2)
    mixture = Mixture(alphas, means, factors, points, text.number(gamma, "gamma"), text.count(m, "m"))
    if mixture.gamma <= 0:
        text.fail(gamma, "a gamma above 0")
    text.end()
    return mixture
