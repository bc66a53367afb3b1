"""The robot-arm study: the Jacobian of a pose by rows and by columns, its linear prediction, a singular pose.

1. Row i of J is one reverse sweep with the i-th unit cotangent, ``e_i^T J``; column j is one forward sweep with the
   j-th unit tangent, ``J e_j``. Both must give the same matrix.
2. By Taylor's theorem ``pose(theta + d) = pose(theta) + J d + O(|d|^2)``. The error of the prediction falls a
   hundredfold for a tenth of the move: the slope of log error against log |d| is 2. An error in J leaves a term of
   first order, and the slope 1.
3. At a singular pose ``det J = 0``, and the arm cannot move its end in every direction. For the planar arm with links
   l1, l2, l3 subtract the second column of J from the first and the third from the second. With ``t12 = theta1 +
   theta2`` this leaves

       l1 (-sin theta1, cos theta1, 0),  l2 (-sin t12, cos t12, 0),  (., ., 1),

   so ``det J = l1 l2 (cos theta1 sin t12 - sin theta1 cos t12) = l1 l2 sin(theta2)``, which is 0 for theta2 = 0.

The expected numbers are in ``tests/studies/test_studies.py``: ``det J = -0.3356`` for the planar arm at the pose of the
study, a slope of 2 within 0.01, a smallest singular value below 1e-12 at the singular pose.
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
from autodiff_compare.studies.tables import StudyTable
from autodiff_compare.vocabulary import Operator

#: Lengths |d| of the moves that J predicts, in radians.
MOVES = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians: the pose of the study, a singular pose, and why that one is singular."""

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
    """Jacobian at one point, by rows (reverse mode) and columns (forward mode), each (outputs, inputs)."""

    rows: Array
    columns: Array


def at(problem: Problem, theta: Sequence[float]) -> Inputs:
    """Return the inputs of the smallest arm with its joint angles at ``theta``."""
    data = problem.inputs(np.random.default_rng(0), min(problem.sizes.values()))
    return Inputs((np.asarray(theta, dtype=np.float64),), data.data, data.static)


def arrays_at(problem: Problem, points: Sequence[Sequence[float]]) -> list[tuple[Array, ...]]:
    """Return the arguments of the objective at several points, to be sent to workers: their NumPy may be older."""
    return [at(problem, theta).arrays for theta in points]


def outputs(problem: Problem) -> int:
    """Return the number of entries of the pose."""
    return int(np.size(_pose(problem, POSES[problem.name].theta)))


def jacobians_at(
    backend: Backend, problem: Problem, dtype: str, points: Sequence[Sequence[Array]], outputs: int
) -> list[Jacobians]:
    """Differentiate the pose on an opened backend at several points, by rows and by columns.

    Parameters
    ----------
    dtype
        ``"float64"`` or ``"float32"``: of the inputs and of the result.
    points
        The arguments of the objective at each point, from `arrays_at`.
    outputs
        Entries of the pose.

    Raises
    ------
    Unsupported
        If the backend lacks one of the two modes for this function.
    """
    return [_jacobians(backend, problem, dtype, Inputs((arrays[0],), tuple(arrays[1:])), outputs) for arrays in points]


def _jacobians(backend: Backend, problem: Problem, dtype: str, inputs: Inputs, m: int) -> Jacobians:
    inputs = rounded(inputs, dtype)
    function = problem.function(backend, inputs.static)
    objective = Objective(function, complete(problem, inputs))
    args = [backend.to_var(cast(a, dtype)) for a in inputs.arrays]
    n = inputs.differentiated[0].size

    def units(k: int) -> list[Any]:
        return [backend.to_var(row) for row in np.eye(k, dtype=dtype)]

    pull = backend.prepare(Operator.VJP, objective, args, directions=units(m)[:1])
    push = backend.prepare(Operator.JVP, objective, args, directions=units(n)[:1])
    return Jacobians(
        rows=np.stack([backend.to_numpy(pull(*args, unit)[0]) for unit in units(m)]),
        columns=np.stack([backend.to_numpy(push(*args, unit)) for unit in units(n)], axis=-1),
    )


def arm_tables(problem: Problem, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> list[StudyTable]:
    """Return the four tables of the study: Jacobian, agreement, linear prediction, singularity.

    Parameters
    ----------
    found
        Backend -> its Jacobians at the pose of the study and at the singular pose.
    """
    pose = POSES[problem.name]
    spec, (first, _) = next(iter(found.items()))
    return [
        StudyTable(
            f"J at theta = {_listed(pose.theta)}, row by row in reverse mode ({spec})",
            ("pose", f"d pose / d theta1 to theta{first.rows.shape[1]}"),
            tuple(zip(_pose(problem, pose.theta).tolist(), first.rows, strict=True)),
        ),
        _agreement(problem, pose, found),
        _linearisation(problem, pose, found),
        _singularity(problem, pose, found),
    ]


def _agreement(problem: Problem, pose: Pose, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> StudyTable:
    inputs = at(problem, pose.theta)
    closed = complete(problem, inputs)[Operator.JACOBIAN](*inputs.arrays)[0]
    rows = tuple(
        (spec, _distance(J.rows, J.columns), _distance(J.rows, closed), _distance(J.columns, closed))
        for spec, (J, _) in found.items()
    )
    columns = ("backend", "rows - columns", "rows - exact", "columns - exact")
    note = "rows: reverse mode; columns: forward mode; exact: the closed form"
    return StudyTable("Largest difference of an entry of J", columns, rows, note)


def _linearisation(problem: Problem, pose: Pose, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> StudyTable:
    """Compare poses in NumPy float64 with the prediction by each J, along d = |d| (1, -1, 1, ...) / sqrt(n)."""
    theta = np.asarray(pose.theta)
    along = np.where(np.arange(theta.size) % 2, -1.0, 1.0) / np.sqrt(theta.size)
    here = _pose(problem, theta)
    errors = {
        spec: [float(np.linalg.norm(_pose(problem, theta + h * along) - here - h * (J.rows @ along))) for h in MOVES]
        for spec, (J, _) in found.items()
    }
    lines = [(h, *(errors[spec][k] for spec in found)) for k, h in enumerate(MOVES)]
    slopes = [float(np.polyfit(np.log(MOVES), np.log(e), 1)[0]) for e in errors.values()]
    note = "slope: of log error against log |d|; 2 is right, rounding errors of J make it smaller"
    title = "Error of the linear prediction pose + J d, by the length of d"
    return StudyTable(title, ("|d|", *found), (*lines, ("slope", *slopes)), note)


def _extreme_singular_values(J: Array) -> tuple[float, float]:
    """Return the largest and the least singular value, which is 0 where rounding hides it: as for a rank.

    The decomposition of an exactly singular matrix has 0 on one processor and some 1e-16 on another.
    """
    values = np.linalg.svd(J.astype(np.float64))[1]
    hidden = values[-1] <= max(J.shape) * np.finfo(J.dtype).eps * values[0]
    return float(values[0]), 0.0 if hidden else float(values[-1])


def _singularity(problem: Problem, pose: Pose, found: Mapping[str, tuple[Jacobians, Jacobians]]) -> StudyTable:
    def row(where: str, spec: str, J: Array) -> tuple[Any, ...]:
        largest, least = _extreme_singular_values(J)
        return (where, spec, float(np.linalg.det(J.astype(np.float64))), largest / least if least else np.inf, least)

    rows = [row("study", spec, J.rows) for spec, (J, _) in found.items()]
    rows += [row("singular", spec, J.rows) for spec, (_, J) in found.items()]
    columns = ("theta", "backend", "det J", "condition", "least singular value")
    note = f"singular: theta = {_listed(pose.singular)}; {pose.why}"
    return StudyTable(f"Singularity of {problem.name}: pose of the study and singular pose", columns, tuple(rows), note)


def _pose(problem: Problem, theta: Any) -> Array:
    """Return the pose in NumPy float64."""
    inputs = at(problem, theta)
    return objective_value(problem, inputs)


def _distance(a: Array, b: Array) -> float:
    return float(np.max(np.abs(a - b)))


def _listed(values: Sequence[float]) -> str:
    return f"({', '.join(f'{v:g}' for v in values)})"
