"""The study of a robot arm: its Jacobian by rows and by columns, how well it predicts a move, where it is singular.

Row i of J is a reverse sweep with the i-th unit cotangent, column j a forward sweep with the j-th unit tangent; both
must give the same matrix. J predicts a small move, ``pose(theta + d) ~ pose(theta) + J d``, with an error that falls as
|d|^2: a hundredfold for a tenth of the move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff_compare.backends import Backend, Objective
from autodiff_compare.plan.cases import cast, objective_value, rounded
from autodiff_compare.problems import Array, Inputs, Problem
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.studies.tables import Sheet
from autodiff_compare.vocabulary import Operator

#: Lengths of the moves that J predicts, in radians.
MOVES = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians: where the study looks, and where the arm loses a direction, with the reason."""

    theta: tuple[float, ...]
    singular: tuple[float, ...]
    why: str


POSES: Mapping[str, Pose] = {
    "planar_arm": Pose((0.3, -0.5, 0.8), (0.3, 0.0, 0.8), "theta2 = 0: det J = l1 l2 sin(theta2) = 0"),
    "ur5_arm": Pose(
        (0.4, -1.2, 1.5, -0.9, -1.2, 0.3), (0.4, -1.2, 0.0, -0.9, -1.2, 0.3), "theta3 = 0: the elbow is stretched"
    ),
}


@dataclass(frozen=True)
class Jacobians:
    """J at one point by reverse rows and by forward columns, each (outputs, inputs) in the dtype of the backend."""

    rows: Array
    columns: Array


def at(problem: Problem, theta: Sequence[float]) -> Inputs:
    """The inputs of the smallest arm with its joints at ``theta``."""
    data = problem.inputs(np.random.default_rng(0), min(problem.sizes.values()))
    return Inputs((np.asarray(theta, dtype=np.float64),), data.data, data.static)


def jacobians_at(backend: Backend, problem: Problem, dtype: str, points: Sequence[Sequence[float]]) -> list[Jacobians]:
    """Differentiate the pose at each of several points: see `jacobians`."""
    return [jacobians(backend, problem, dtype, theta) for theta in points]


def jacobians(backend: Backend, problem: Problem, dtype: str, theta: Sequence[float]) -> Jacobians:
    """Differentiate the pose on one opened backend, by rows and by columns.

    Raises
    ------
    Unsupported
        If the backend lacks one of the two modes for this function.
    """
    inputs = rounded(at(problem, theta), dtype)
    function = problem.function(backend, inputs.static)
    objective = Objective(function, complete(problem, inputs))
    args = [backend.to_var(cast(a, dtype)) for a in inputs.arrays]
    n = len(theta)
    m = np.size(objective_value(problem, inputs))

    def units(k: int) -> list[Any]:
        return [backend.to_var(row) for row in np.eye(k, dtype=dtype)]

    pull = backend.prepare(Operator.VJP, objective, args, directions=units(m)[:1])
    push = backend.prepare(Operator.JVP, objective, args, directions=units(n)[:1])
    return Jacobians(
        rows=np.stack([backend.to_numpy(pull(*args, unit)[0]) for unit in units(m)]),
        columns=np.stack([backend.to_numpy(push(*args, unit)) for unit in units(n)], axis=-1),
    )


def sheets(problem: Problem, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> list[Sheet]:
    """The study's tables from each backend's Jacobians at the pose and at the singular one."""
    pose = POSES[problem.name]
    spec, (first, _) = next(iter(found.items()))
    return [
        Sheet(
            f"J at theta = {_listed(pose.theta)}, by reverse rows ({spec})",
            ("pose", f"d pose / d theta1 to theta{first.rows.shape[1]}"),
            tuple(zip(_pose(problem, pose.theta).tolist(), first.rows, strict=True)),
        ),
        _agreement(problem, pose, found),
        _linearisation(problem, pose, found),
        _singularity(problem, pose, found),
    ]


def _agreement(problem: Problem, pose: Pose, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> Sheet:
    inputs = at(problem, pose.theta)
    closed = complete(problem, inputs)[Operator.JACOBIAN](*inputs.arrays)[0]
    rows = tuple(
        (spec, _distance(J.rows, J.columns), _distance(J.rows, closed), _distance(J.columns, closed))
        for spec, (J, _) in found.items()
    )
    columns = ("backend", "rows - columns", "rows - by hand", "columns - by hand")
    return Sheet("Reverse rows against forward columns, largest difference of an entry", columns, rows)


def _linearisation(problem: Problem, pose: Pose, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> Sheet:
    """Poses in NumPy float64, J from each backend, along d = |d| (1, -1, 1, ...) / sqrt(n)."""
    theta = np.asarray(pose.theta)
    along = np.where(np.arange(theta.size) % 2, -1.0, 1.0) / np.sqrt(theta.size)
    here = _pose(problem, theta)
    errors = {
        spec: [float(np.linalg.norm(_pose(problem, theta + h * along) - here - h * (J.rows @ along))) for h in MOVES]
        for spec, (J, _) in found.items()
    }
    lines = [(h, *(errors[spec][k] for spec in found)) for k, h in enumerate(MOVES)]
    slopes = [float(np.polyfit(np.log(MOVES), np.log(e), 1)[0]) for e in errors.values()]
    note = "slope: of log error against log |d|; 2 is right, less where the rounding of J shows"
    title = "Error of the prediction pose + J d, by the length of d"
    return Sheet(title, ("|d|", *found), (*lines, ("slope", *slopes)), note)


def _singularity(problem: Problem, pose: Pose, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> Sheet:
    def row(where: str, spec: str, J: Array) -> tuple[Any, ...]:
        J = J.astype(np.float64)
        return (where, spec, float(np.linalg.det(J)), float(np.linalg.cond(J)), float(np.linalg.svd(J)[1][-1]))

    rows = [row("study", spec, J.rows) for spec, (J, _) in found.items()]
    rows += [row("singular", spec, J.rows) for spec, (_, J) in found.items()]
    columns = ("theta", "backend", "det J", "condition", "least singular value")
    note = f"singular: theta = {_listed(pose.singular)}; {pose.why}"
    return Sheet(f"How far {problem.name} is from a singular pose", columns, tuple(rows), note)


def _pose(problem: Problem, theta: Any) -> Array:
    inputs = at(problem, theta)
    return objective_value(problem, inputs)


def _distance(a: Array, b: Array) -> float:
    return float(np.max(np.abs(a - b)))


def _listed(values: Sequence[float]) -> str:
    return f"({', '.join(f'{v:g}' for v in values)})"
