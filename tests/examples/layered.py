"""A layer of one unit with a loss over samples: scalar and vector functions for composite operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from autodiff_compare.problems import VECTOR, Inputs, Problem

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [-0.4, 0.8, 1.2], [2.0, -0.3, 0.1]])
Y = np.array([0.3, -1.2, 0.7, 2.2])


def _outputs(w: Any, b: Any, x: Any, y: Any, *, xp: Any) -> Any:
    return xp.tanh(xp.matmul(x, w)) + b * y


def _loss(w: Any, b: Any, x: Any, y: Any, *, xp: Any) -> Any:
    residual = xp.tanh(xp.matmul(x, w)) + b - y
    return xp.mean(residual * residual)


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((rng.normal(size=n), rng.normal(size=())), (X, Y))


#: Mean squared error of four samples; each sample alone has a loss of its own.
LOSS = Problem("loss", "mean squared error", "this file", {"small": 3}, _inputs, _loss, samples=(2, 3))
#: The outputs of the four samples.
OUTPUTS = replace(LOSS, name="outputs", objective=_outputs, operators=VECTOR)
