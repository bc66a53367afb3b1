"""Sections of the robot-arm study: a regular and a singular pose, and the linear prediction by the Jacobian.

No table of a run has Jacobians. The figures are computed from the closed form, against which the cells of the run were
checked; the sentence below the heading gives the difference of each backend from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from autodiff_compare import problems
from autodiff_compare.problems import Array, Problem
from autodiff_compare.problems.base.closed_forms import complete
from autodiff_compare.report.page import style
from autodiff_compare.report.page.descent_traces import grid
from autodiff_compare.report.page.page import Section
from autodiff_compare.report.page.record import Record
from autodiff_compare.report.page.style import Picture
from autodiff_compare.results import formatting
from autodiff_compare.studies import robot_arm
from autodiff_compare.studies.tables import StudyTable
from autodiff_compare.vocabulary import Operator, Status


def sections(record: Record) -> Iterator[Section]:
    """Yield one section for each arm that the run has Jacobians of."""
    cells = record.cells[(record.cells["operator"] == Operator.JACOBIAN) & (record.cells["status"] == Status.OK)]
    for name in robot_arm.POSES:
        group = cells[cells["problem"] == name]
        problem = problems.available().get(name)
        if problem is None or group.empty:
            continue
        study = _study(problem)
        known = group[group["error_eps"].notna()]
        worst = known.groupby("spec", sort=False)["error_eps"].max()
        lead = (
            f"These figures are computed from the closed form of the Jacobian, not from the tables of the run. The "
            f"largest errors of the backends in this run: "
            f"{formatting.listed(f'{spec} {formatting.eps(v)}' for spec, v in worst.items())}."
        )
        tables = [grid(f"{name}-{k}", study[k]) for k in (0, 2, 3)]
        yield Section(f"study-{name}", name, lead, (*_pictures(problem, study), *tables))


def _study(problem: Problem) -> list[StudyTable]:
    """Return the tables of the study for the closed form."""
    pose = robot_arm.POSES[problem.name]
    found = (_jacobian(problem, pose.theta), _jacobian(problem, pose.singular))
    first, singular = (robot_arm.Jacobians(J, J) for J in found)
    return robot_arm.arm_tables(problem, {"closed form": (first, singular)})


def _jacobian(problem: Problem, theta: Sequence[float]) -> Array:
    inputs = robot_arm.at(problem, theta)
    return np.asarray(complete(problem, inputs)[Operator.JACOBIAN](*inputs.arrays)[0], dtype=np.float64)


def _pictures(problem: Problem, study: Sequence[StudyTable]) -> Iterator[Picture]:
    pose = robot_arm.POSES[problem.name]
    det = [float(row[2]) for row in study[3].rows]
    draw = {"planar_arm": _draw_planar, "ur5_arm": _draw_ur5}[problem.name]
    yield Picture(
        f"{problem.name}-poses", f"Regular and singular pose: {problem.name}",
        f"det J is {det[0]:.3g} at the pose of the study and {det[1]:.1e} at the singular pose ({pose.why}). At a "
        "singular pose the arm cannot move its end in every direction.",
        partial(draw, problem, {"study": pose.theta, "singular": pose.singular}),
    )  # fmt: skip
    *lines, (_, slope) = study[2].rows
    yield Picture(
        f"{problem.name}-linearisation", f"Error of the linear prediction: {problem.name}",
        f"The error of pose + J d falls from {lines[0][1]:.1e} for a move of {lines[0][0]:g} rad to "
        f"{lines[-1][1]:.1e} for {lines[-1][0]:g} rad, with a slope of {slope:.3f} in log-log scale. A right Jacobian "
        "has the slope 2: a tenth of the move gives a hundredth of the error.",
        partial(_draw_linearisation, problem.name, [(float(h), float(e)) for h, e in lines]),
    )  # fmt: skip


_STYLES: Mapping[str, dict[str, Any]] = {
    "study": {"color": style.BLUE, "marker": "o", "ls": "-"},
    "singular": {"color": style.VERMILLION, "marker": "s", "ls": (0, (4, 1.5))},
}


def _handles() -> dict[str, Line2D]:
    return {name: Line2D([], [], **given) for name, given in _STYLES.items()}


def _draw_planar(problem: Problem, poses: Mapping[str, Sequence[float]]) -> Figure:
    figure, (ax,) = style.canvas("Regular and singular pose", about=problem.name, handles=_handles(), panel=(3.7, 2.6))
    for name, theta in poses.items():
        (lengths,) = robot_arm.at(problem, theta).data
        angles = np.cumsum(theta)
        x = np.concatenate([[0], np.cumsum(lengths * np.cos(angles))])
        y = np.concatenate([[0], np.cumsum(lengths * np.sin(angles))])
        ax.plot(x, y, **_STYLES[name], lw=2.5, ms=7)
    ax.plot([0], [0], "s", color=style.INK, ms=10)
    ax.annotate("base", (0, 0), xytext=(8, -14), textcoords="offset points", size=9)
    ax.set_xlim(-0.3, 2.4)
    ax.set_ylim(-0.4, 1.5)
    ax.set_aspect("equal", adjustable="box", anchor="W")
    ax.set_xlabel("x (length of the first link)")
    ax.set_ylabel("y")
    return figure


def _draw_ur5(problem: Problem, poses: Mapping[str, Sequence[float]]) -> Figure:
    figure, axes = style.canvas(
        "Regular and singular pose", about=f"{problem.name}, joints in metres", handles=_handles(), panels=(1, 2),
        panel=(2.3, 2.3), gap=(0.7, 0.3), left=0.7, room=0.16,
    )  # fmt: skip
    for name, theta in poses.items():
        points = _joints(problem, theta)
        for ax, other in zip(axes, (2, 1), strict=True):
            ax.plot(points[:, 0], points[:, other], **_STYLES[name], lw=2.2, ms=5)
    for ax, (title, label) in zip(axes, (("from the side", "z (m)"), ("from above", "y (m)")), strict=True):
        ax.plot([0], [0], "s", color=style.INK, ms=8)
        ax.set_title(title, loc="left", pad=3)
        ax.set_xlabel("x (m)")
        ax.set_ylabel(label)
        ax.set_aspect("equal", adjustable="datalim")
    return figure


def _joints(problem: Problem, theta: Sequence[float]) -> Array:
    """Return the positions of the joints, (joints + 1, 3) in metres.

    Joint k is the origin of the frame ``T_1 ... T_k`` with ``T_i = cos(theta_i) C_i + sin(theta_i) S_i + K_i``, the
    Denavit-Hartenberg transform of link i with its constant matrices C, S, K.
    """
    C, S, K = robot_arm.at(problem, theta).data
    turn = np.asarray(theta)[:, None, None]
    frame, points = np.eye(4), [np.zeros(3)]
    for link in np.cos(turn) * C + np.sin(turn) * S + K:
        frame = frame @ link
        points.append(frame[:3, 3].copy())
    return np.stack(points)


def _draw_linearisation(problem: str, points: Sequence[tuple[float, float]]) -> Figure:
    figure, (ax,) = style.canvas(
        "Error of the linear prediction", about=problem, handles={
            "error of pose + J d": Line2D([], [], color=style.BLUE, marker="o"),
            "slope 2": Line2D([], [], color=style.SOFT, ls=(0, (6, 3)), lw=1),
        },
    )  # fmt: skip
    h, error = (np.array(column) for column in zip(*points, strict=True))
    ax.plot(h, error[0] * (h / h[0]) ** 2, color=style.SOFT, ls=(0, (6, 3)), lw=1)
    ax.plot(h, error, color=style.BLUE, marker="o", lw=1.7)
    style.log_axis(ax.xaxis, h, formatting.number)
    style.log_axis(ax.yaxis, error, formatting.number)
    ax.set_xlabel("length of the move d (rad)")
    ax.set_ylabel("error of the prediction")
    return figure
