"""Forward kinematics of robot arms: the pose in the joint angles, and its Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import VECTOR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator


def _planar(theta: Any, lengths: Any, *, xp: Any) -> Any:
    angles = xp.cumulative_sum(theta)
    return xp.stack([xp.sum(lengths * xp.cos(angles)), xp.sum(lengths * xp.sin(angles)), xp.sum(theta)])


def _planar_jacobian(theta: Array, lengths: Array) -> Array:
    """Return the Jacobian: joint j rotates the links i >= j, whose angles all contain theta_j.

    With ``phi_i = theta_0 + ... + theta_i``, ``dx/dtheta_j = -sum_{i>=j} l_i sin phi_i``, dy/dtheta_j is the same sum
    of ``l_i cos phi_i``, and the orientation, the sum of all angles, has derivative 1.
    """
    angles = np.cumsum(theta)
    x, y = lengths * np.cos(angles), lengths * np.sin(angles)
    outwards = [np.cumsum(part[::-1])[::-1] for part in (-y, x)]
    return np.stack([*outwards, np.ones_like(theta)])


def _planar_inputs(rng: np.random.Generator, n: int) -> Inputs:
    # The three link lengths of the study, repeated for longer arms.
    return Inputs((rng.uniform(-np.pi / 2, np.pi / 2, n),), (np.resize([1.0, 0.7, 0.4], n),))


# Denavit-Hartenberg parameters of the UR5. The twists alpha = (pi/2, 0, 0, pi/2, -pi/2, 0) are given by their exact
# cosines and sines.
_UR5_A = np.array([0.0, -0.425, -0.39225, 0.0, 0.0, 0.0])
_UR5_D = np.array([0.089159, 0.0, 0.0, 0.10915, 0.09465, 0.0823])
_UR5_COS = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0])
_UR5_SIN = np.array([1.0, 0.0, 0.0, 1.0, -1.0, 0.0])


def _links() -> tuple[Array, Array, Array]:
    """Return (C, S, K), each (6, 4, 4), such that joint i has the frame ``cos(theta_i) C_i + sin(theta_i) S_i + K_i``.

    The frame is Rot_z(theta) Trans_z(d) Trans_x(a) Rot_x(alpha), which is linear in the cosine and sine of theta.
    """
    C, S, K = np.zeros((3, 6, 4, 4))
    C[:, 0, 0], C[:, 1, 1], C[:, 1, 2], C[:, 0, 3] = 1, _UR5_COS, -_UR5_SIN, _UR5_A
    S[:, 1, 0], S[:, 0, 1], S[:, 0, 2], S[:, 1, 3] = 1, -_UR5_COS, _UR5_SIN, _UR5_A
    K[:, 2, 1], K[:, 2, 2], K[:, 2, 3], K[:, 3, 3] = _UR5_SIN, _UR5_COS, _UR5_D, 1
    return C, S, K


def _ur5(theta: Any, C: Any, S: Any, K: Any, *, xp: Any) -> Any:
    turn = xp.reshape(theta, (6, 1, 1))
    links = xp.cos(turn) * C + xp.sin(turn) * S + K
    # By pairs, (01)(23)(45): three matrix products instead of five.
    pairs = xp.matmul(links[0::2, :, :], links[1::2, :, :])
    T = xp.matmul(xp.matmul(pairs[0, :, :], pairs[1, :, :]), pairs[2, :, :])
    roll, pitch, yaw = xp.atan2(T[2, 1], T[2, 2]), xp.asin(-T[2, 0]), xp.atan2(T[1, 0], T[0, 0])
    return xp.stack([T[0, 3], T[1, 3], T[2, 3], roll, pitch, yaw])


def _ur5_jacobian(theta: Array, C: Array, S: Array, K: Array) -> Array:
    """Return the geometric Jacobian, with angular velocities converted to rates of roll, pitch and yaw.

    Joint j rotates the links beyond it about the axis z_j through p_j. The end effector at p moves with the velocity
    ``z_j x (p - p_j)`` and turns with the angular velocity ``w = z_j``. For R = Rot_z(yaw) Rot_y(pitch) Rot_x(roll)::

        w = (0, 0, yaw') + Rot_z(yaw) (0, pitch', 0) + Rot_z(yaw) Rot_y(pitch) (roll', 0, 0)

    Solved for the rates, with ``u = cos(yaw) w_x + sin(yaw) w_y``::

        roll' = u / cos(pitch),    pitch' = cos(yaw) w_y - sin(yaw) w_x,    yaw' = w_z + u tan(pitch)
    """
    turn = theta[:, None, None]
    frames = [np.eye(4, dtype=theta.dtype)]
    for link in np.cos(turn) * C + np.sin(turn) * S + K:
        frames.append(frames[-1] @ link)
    T = np.stack(frames)
    axes, origins, hand = T[:-1, :3, 2], T[:-1, :3, 3], T[-1]
    moved = np.cross(axes, hand[:3, 3] - origins).T
    cos_pitch = np.hypot(hand[0, 0], hand[1, 0])
    cos_yaw, sin_yaw = hand[0, 0] / cos_pitch, hand[1, 0] / cos_pitch
    wx, wy, wz = axes.T
    u = cos_yaw * wx + sin_yaw * wy
    return np.vstack([moved, u / cos_pitch, cos_yaw * wy - sin_yaw * wx, wz - u * hand[2, 0] / cos_pitch])


def _ur5_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw joint angles with the pitch away from gimbal lock, and roll and yaw away from the branch cut at +-pi."""
    links = _links()
    while True:
        theta = rng.uniform(-np.pi, np.pi, n)
        roll, pitch, yaw = _ur5(theta, *links, xp=np)[3:]
        if abs(pitch) < 1.1 and max(abs(roll), abs(yaw)) < 3.0:
            return Inputs((theta,), links)


PROBLEMS = (
    Problem(
        name="planar_arm",
        title="pose (x, y, phi) of a planar arm with n joints",
        source="classic study: planar 3R arm, lengths (1, 0.7, 0.4); det J = l1 l2 sin(theta2)",
        sizes={"small": 3, "medium": 30, "large": 300},
        inputs=_planar_inputs,
        objective=_planar,
        operators=VECTOR,
        reference={Operator.JACOBIAN: _planar_jacobian},
    ),
    Problem(
        name="ur5_arm",
        title="pose (x, y, z, roll, pitch, yaw) of the six-joint UR5",
        source="classic study: Denavit-Hartenberg parameters of Universal Robots; R = Rz(yaw) Ry(pitch) Rx(roll)",
        sizes={"small": 6},
        inputs=_ur5_inputs,
        objective=_ur5,
        operators=VECTOR,
        reference={Operator.JACOBIAN: _ur5_jacobian},
        # The last joint does not move the position. Written as a cross product of axes and levers, as by hand, this
        # zero is a difference of lengths of about a metre.
        tolerance=1.0,
    ),
)
