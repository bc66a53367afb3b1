"""The pose of a robot arm and its Jacobian: pose(theta + d) ~ pose(theta) + J d."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import VECTOR, Array, Inputs, Problem
from vocabulary import Operator


def _planar(theta: Any, lengths: Any, *, xp: Any) -> Any:
    angles = xp.cumulative_sum(theta)
    return xp.stack([xp.sum(lengths * xp.cos(angles)), xp.sum(lengths * xp.sin(angles)), xp.sum(theta)])


def _planar_jacobian(theta: Array, lengths: Array) -> Array:
    """Column j turns all links from j outwards about joint j."""
    angles = np.cumsum(theta)
    x, y = lengths * np.cos(angles), lengths * np.sin(angles)
    outwards = [np.cumsum(part[::-1])[::-1] for part in (-y, x)]
    return np.stack([*outwards, np.ones_like(theta)])


def _planar_inputs(rng: np.random.Generator, n: int) -> Inputs:
    # The three links of the study, (1, 0.7, 0.4), repeated for longer arms.
    return Inputs((rng.uniform(-np.pi / 2, np.pi / 2, n),), (np.resize([1.0, 0.7, 0.4], n),))


PROBLEM = Problem(
    name="planar_arm",
    title="pose (x, y, phi) of a planar arm with n joints",
    source="classic study: planar 3R arm, lengths (1, 0.7, 0.4); det J = l1 l2 sin(theta2)",
    sizes={"small": 3, "medium": 30, "large": 300},
    inputs=_planar_inputs,
    objective=_planar,
    operators=VECTOR,
    reference={Operator.JACOBIAN: _planar_jacobian},
)
