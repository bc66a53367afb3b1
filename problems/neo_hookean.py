"""The elastic energy of a deformed cube of rubber: compressible neo-Hookean material on a mesh of tetrahedra.

A tetrahedron of volume V has the deformation gradient ``F = (edges now) (edges at rest)^-1`` and ``J = det F``. The
energy is the sum over the tetrahedra of::

    V W(F),    W = mu/2 (|F|^2 - 3) - mu log J + lambda/2 log^2 J

Since ``dJ = J tr(F^-1 dF)`` and ``dF^-T = -F^-T dF^T F^-T``, the first Piola-Kirchhoff stress and its change are::

    P  = dW/dF = mu (F - F^-T) + lambda log J F^-T
    dP = mu dF + (mu - lambda log J) F^-T dF^T F^-T + lambda tr(F^-1 dF) F^-T

F is linear in the positions x of the nodes, so the gradient is the transpose of that map applied to V P, and a
Hessian-vector product is the same map applied to V dP (Bonet and Wood, 6.4.3).
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

#: Lame constants of a soft rubber, in units of its shear modulus.
_MU, _LAMBDA = 1.0, 4.0


def _energy(x: Any, corners: Any, inverse: Any, volumes: Any, *, xp: Any) -> Any:
    places = xp.reshape(xp.take(x, xp.reshape(corners, (-1,)), axis=0), (corners.shape[0], 4, 3))
    # Edges are rows here, so this is F^T, of the same norm and determinant.
    F = xp.matmul(inverse, places[:, 1:, :] - places[:, :1, :])
    log_J = xp.log(_triple(F, xp))
    stretch = xp.sum(xp.reshape(F * F, (-1, 9)), axis=1) - 3
    return xp.sum(volumes * (_MU / 2 * stretch - _MU * log_J + _LAMBDA / 2 * log_J * log_J))


def _triple(F: Any, xp: Any) -> Any:
    """Return the determinants of matrices (m, 3, 3), as triple products of their rows."""
    return xp.sum(F[:, 0, :] * xp.linalg.cross(F[:, 1, :], F[:, 2, :]), axis=1)


def _strain(x: Array, corners: Array, inverse: Array) -> Array:
    return np.asarray(inverse @ (x[corners[:, 1:]] - x[corners[:, :1]]))


def _inverse_transposed(F: Array) -> tuple[Array, Array]:
    """Return F^-T by cross products of the rows, and det F in the shape (m, 1, 1)."""
    a, b, c = F[:, 0], F[:, 1], F[:, 2]
    cofactors = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    J = np.sum(a * cofactors[:, 0], axis=1)[:, None, None]
    return cofactors / J, J


def _assembled(stress: Array, x: Array, corners: Array, inverse: Array) -> Array:
    """Return the forces at the nodes, (nodes, 3), of stresses (m, 3, 3): the transpose of `_strain`."""
    edges = np.swapaxes(inverse, 1, 2) @ stress
    forces = np.zeros_like(x)
    np.add.at(forces, corners[:, 1:], edges)
    np.add.at(forces, corners[:, 0], -np.sum(edges, axis=1))
    return forces


def _gradient(x: Array, corners: Array, inverse: Array, volumes: Array) -> Array:
    F = _strain(x, corners, inverse)
    G, J = _inverse_transposed(F)
    P = _MU * (F - G) + _LAMBDA * np.log(J) * G
    return _assembled(volumes[:, None, None] * P, x, corners, inverse)


def _hvp(x: Array, corners: Array, inverse: Array, volumes: Array, t: Array) -> Array:
    F, dF = _strain(x, corners, inverse), _strain(t, corners, inverse)
    G, J = _inverse_transposed(F)
    turned = G @ np.swapaxes(dF, 1, 2) @ G
    dP = _MU * dF + (_MU - _LAMBDA * np.log(J)) * turned + _LAMBDA * np.sum(G * dF, axis=(1, 2), keepdims=True) * G
    return _assembled(volumes[:, None, None] * dP, x, corners, inverse)


def _cube(n: int) -> tuple[Array, Array]:
    """Return the nodes (m, 3) of a cube with n cells an edge, and Kuhn's six tetrahedra of each cell (6 n^3, 4)."""
    grid = np.stack(np.meshgrid(*[np.arange(n + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    strides = np.array([(n + 1) ** 2, n + 1, 1])
    first = grid[(grid < n).all(axis=1)] @ strides
    paths = np.array([np.cumsum([0, *strides[list(order)]]) for order in permutations(range(3))])
    return grid / n, (first[:, None, None] + paths).reshape(-1, 4)


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw nodes that are moved by at most a tenth of a cell's edge, so that no tetrahedron is inverted."""
    nodes, corners = _cube(n)
    rest = nodes[corners[:, 1:]] - nodes[corners[:, :1]]
    # Each edge matrix joins three steps along the axes, so its inverse has entries 0 and +-n: rounding makes it exact.
    inverse = np.round(np.linalg.inv(rest * n)) * n
    volumes = np.full(corners.shape[0], 1 / (6 * n**3))
    return Inputs((nodes + rng.uniform(-0.1, 0.1, nodes.shape) / n,), (corners, inverse, volumes))


PROBLEM = Problem(
    name="neo_hookean",
    title="neo-Hookean energy of a cube of 6 n^3 tetrahedra, in the positions of its nodes",
    source="Bonet and Wood, Nonlinear Continuum Mechanics for Finite Element Analysis, 6.4.3; Kuhn's tetrahedra",
    sizes={"small": 1, "medium": 6, "large": 20},
    inputs=_inputs,
    objective=_energy,
    operators=SCALAR - {Operator.HESSIAN},
    reference={Operator.GRADIENT: _gradient, Operator.HVP: _hvp},
    suites=frozenset({"tests"}),
)
