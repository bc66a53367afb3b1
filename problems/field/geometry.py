"""Objectives of geometry: shapes, satellites of navigation, maps of robots, embeddings, transport, surfaces.

*Procrustes.* The squared distance of points X from Y after the best rotation or reflection of X about the origin is
``|X|^2 + |Y|^2 - 2 |Y'X|_*``, with the sum ``|M|_*`` of singular values. For ``M = U S V'``, ``d|M|_* = <U V', dM>``,
so ``dL/dX = 2 X - 2 Y U V'``.

*Positioning.* A receiver at p with the clock error b measures ``|s - p| + b`` to each satellite s, in radii of the
Earth. With the residual r and the unit vector e from s to p, ``L = 1/2 sum r^2`` has the derivatives
``dL/dp = sum r e`` and ``dL/db = sum r``.

*Pose graph.* A robot moves from pose i to pose j, and measures the move d in its own frame, and the turn a:
``L = sum |R(-t_i) (x_j - x_i) - d|^2 + 2 (1 - cos(t_j - t_i - a))``.

*Embedding.* Points y of the plane have the similarities ``w_ij = 1/(1 + |y_i - y_j|^2)``, q after a division by their
sum. They are to resemble a given P: ``L = sum P log(P/q)``, ``dL/dy_i = 4 sum_j (P_ij - q_ij) w_ij (y_i - y_j)``.

*Sinkhorn divergence.* The entropic cost of transport W(x, y) between clouds of n points, less half of W(x, x) and of
W(y, y). Eight updates of the potentials, ``g_j = -e log mean_i exp((f_i - C_ij)/e)`` and f from g alike, then
``W = mean f + mean g``.

*Minimal surface.* The area above a grid of unit squares, ``sum sqrt(1 + |grad z|^2)``, in the heights inside a frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.problems.base.eigendecomposition import eigh
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})


# ---- shape analysis: Procrustes


def _shapes(X: Any, Y: Any, *, xp: Any) -> Any:
    values = xp.linalg.svdvals(xp.matmul(xp.matrix_transpose(Y), X))
    return xp.sum(X * X) + xp.sum(Y * Y) - 2 * xp.sum(values)


def _factors(X: Array, Y: Array) -> tuple[Array, Array]:
    """Return the singular values and U V' of Y'X: by LAPACK, or by the eigenvectors of ``M'M = V S^2 V'``."""
    M = Y.T @ X
    if M.dtype in (np.float32, np.float64):
        U, values, V = np.linalg.svd(M)
        return values, U @ V
    squares, V = eigh(M.T @ M)
    values = np.sqrt(squares)
    return values, (M @ V / values) @ V.T


def _shapes_value(X: Array, Y: Array) -> Array:
    return np.asarray(np.sum(X * X) + np.sum(Y * Y) - 2 * np.sum(_factors(X, Y)[0]))


def _shapes_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw two shapes whose coordinates have different spreads, so that no singular values are equal."""
    spreads = np.array([2.0, 1.2, 0.7])
    Y = spreads * rng.normal(size=(n, 3))
    return Inputs((np.roll(Y, 1, axis=1) + rng.normal(size=(n, 3)),), (Y,))


# ---- geodesy: positioning


def _receivers(p: Any, b: Any, s: Any, ranges: Any, *, xp: Any) -> Any:
    gaps = s - p[:, None, :]
    error = xp.sqrt(xp.sum(gaps * gaps, axis=2)) + b[:, None] - ranges
    return xp.sum(error * error) / 2


def _receivers_gradient(p: Array, b: Array, s: Array, ranges: Array) -> tuple[Array, Array]:
    gaps = p[:, None] - s
    distances = np.sqrt(np.sum(gaps * gaps, axis=2))
    error = distances + b[:, None] - ranges
    return np.sum((error / distances)[:, :, None] * gaps, axis=1), np.sum(error, axis=1)


def _receivers_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n receivers near the Earth, each with its eight satellites at about four radii."""
    s = rng.normal(size=(n, 8, 3))
    s = 4.2 * s / np.sqrt(np.sum(s * s, axis=2, keepdims=True))
    p = rng.normal(size=(n, 3))
    return Inputs(
        (p / np.sqrt(np.sum(p * p, axis=1, keepdims=True)), rng.normal(scale=0.1, size=n)),
        (s, rng.uniform(3.2, 5.2, (n, 8))),
    )


# ---- robotics: a graph of poses


def _poses(x: Any, t: Any, before: Any, after: Any, d: Any, a: Any, *, xp: Any) -> Any:
    start = xp.take(t, before, axis=0)
    move = xp.take(x, after, axis=0) - xp.take(x, before, axis=0)
    cosine, sine = xp.cos(start), xp.sin(start)
    ahead, left = cosine * move[:, 0] + sine * move[:, 1], cosine * move[:, 1] - sine * move[:, 0]
    turns = 2 * xp.sum(1 - xp.cos(xp.take(t, after, axis=0) - start - a))
    return xp.sum((ahead - d[:, 0]) ** 2) + xp.sum((left - d[:, 1]) ** 2) + turns


def _poses_gradient(x: Array, t: Array, before: Array, after: Array, d: Array, a: Array) -> tuple[Array, Array]:
    """Return the gradient; as the frame turns, ``d ahead = left dt`` and ``d left = -ahead dt``."""
    move, cosine, sine = x[after] - x[before], np.cos(t[before]), np.sin(t[before])
    ahead, left = cosine * move[:, 0] + sine * move[:, 1], cosine * move[:, 1] - sine * move[:, 0]
    u, v, w = 2 * (ahead - d[:, 0]), 2 * (left - d[:, 1]), 2 * np.sin(t[after] - t[before] - a)
    by_move = np.stack([cosine * u - sine * v, sine * u + cosine * v], axis=1)
    by_x, by_t = np.zeros_like(x), np.zeros_like(t)
    np.add.at(by_x, after, by_move)
    np.add.at(by_x, before, -by_move)
    np.add.at(by_t, after, w)
    np.add.at(by_t, before, u * left - v * ahead - w)
    return by_x, by_t


def _poses_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a path of n poses that closes n / 2 loops."""
    before = np.concatenate([np.arange(n - 1), rng.integers(n, size=n // 2)])
    after = np.concatenate([np.arange(1, n), (before[n - 1 :] + rng.integers(1, n, n // 2)) % n])
    d, a = rng.normal([1.0, 0.0], 0.3, (before.size, 2)), rng.normal(scale=0.3, size=before.size)
    return Inputs((rng.normal(size=(n, 2)), rng.uniform(-3.0, 3.0, n)), (before, after, d, a))


# ---- visualisation: an embedding


def _embedding(y: Any, P: Any, others: Any, *, xp: Any) -> Any:
    gaps = y[:, None, :] - y
    near = 1 + xp.sum(gaps * gaps, axis=2)
    return xp.sum(P * xp.log(near)) + xp.log(xp.sum(others / near)) + xp.sum(P * xp.log(P + 1 - others))


def _embedding_gradient(y: Array, P: Array, others: Array) -> Array:
    gaps = y[:, None] - y
    w = others / (1 + np.sum(gaps * gaps, axis=2))
    return np.asarray(4 * np.sum(((P - w / w.sum()) * w)[:, :, None] * gaps, axis=1))


def _embedding_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n points of the plane, and symmetric similarities that sum to 1."""
    others = 1 - np.eye(n)
    P = rng.exponential(size=(n, n)) * others
    return Inputs((rng.normal(size=(n, 2)),), ((P + P.T) / (2 * P.sum()), others))


# ---- optimal transport: a divergence of clouds

_UPDATES, _ENTROPY = 8, 0.5


def _transport(x: Any, y: Any, rounds: Any, *, scan: Callable[..., Any], xp: Any) -> Any:
    gaps = xp.stack([x, x, y])[:, :, None, :] - xp.stack([y, x, y])[:, None, :, :]
    scaled = xp.sum(gaps * gaps, axis=3) / _ENTROPY
    logarithm = math.log(x.shape[0])

    def update(f: Any, _: Any) -> tuple[Any, Any]:
        g = logarithm - xp.special.logsumexp(f[:, :, None] - scaled, axis=1)
        return logarithm - xp.special.logsumexp(g[:, None, :] - scaled, axis=2), None

    f, _ = scan(update, xp.zeros_like(scaled[:, :, 0]), rounds)
    g = logarithm - xp.special.logsumexp(f[:, :, None] - scaled, axis=1)
    costs = _ENTROPY * (xp.mean(f, axis=1) + xp.mean(g, axis=1))
    return costs[0] - (costs[1] + costs[2]) / 2


def _transport_inputs(rng: np.random.Generator, n: int) -> Inputs:
    x, y = rng.normal(size=(2, n, 2))
    return Inputs((x,), (0.7 * y + np.array([1.5, 0.5]), np.zeros(_UPDATES)))


# ---- differential geometry: a minimal surface


def _surface(z: Any, frame: Any, *, xp: Any) -> Any:
    across = xp.concat([frame[1:-1, :1], z, frame[1:-1, -1:]], axis=1)
    whole = xp.concat([frame[:1, :], across, frame[-1:, :]], axis=0)
    right, down = whole[:-1, 1:] - whole[:-1, :-1], whole[1:, :-1] - whole[:-1, :-1]
    return xp.sum(xp.sqrt(1 + right * right + down * down))


def _surface_gradient(z: Array, frame: Array) -> Array:
    whole = frame.copy()
    whole[1:-1, 1:-1] = z
    right, down = whole[:-1, 1:] - whole[:-1, :-1], whole[1:, :-1] - whole[:-1, :-1]
    size = np.sqrt(1 + right * right + down * down)
    gradient = np.zeros_like(whole)
    gradient[:-1, :-1] -= (right + down) / size
    gradient[:-1, 1:] += right / size
    gradient[1:, :-1] += down / size
    return gradient[1:-1, 1:-1]


def _surface_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw heights inside a frame that is bent like a saddle."""
    x = np.linspace(-1.0, 1.0, n + 2)
    return Inputs((rng.normal(scale=0.5, size=(n, n)),), (2 * (x[:, None] ** 2 - x**2),))


PROBLEMS = (
    Problem(
        name="procrustes",
        title="shape analysis: distance of two shapes of n points after the best rotation",
        source="Schoenemann, Psychometrika 31 (1966); Gower and Dijksterhuis, Procrustes Problems",
        sizes={"small": 6, "medium": 1000, "large": 100_000},
        inputs=_shapes_inputs,
        objective=_shapes,
        reference={
            Operator.VALUE: _shapes_value,
            Operator.GRADIENT: lambda X, Y: 2 * X - 2 * Y @ _factors(X, Y)[1],
        },
        suites=_FIELD,
    ),
    Problem(
        name="positioning",
        title="geodesy: places and clocks of n receivers of satellite navigation",
        source="Kaplan and Hegarty, Understanding GPS, section 2.5",
        sizes={"small": 2, "medium": 1000, "large": 50_000},
        inputs=_receivers_inputs,
        objective=_receivers,
        reference={Operator.GRADIENT: _receivers_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="pose_graph",
        title="robotics: a map of n poses of a robot from the moves between them",
        source="Lu and Milios, Autonomous Robots 4 (1997); Kuemmerle et al., ICRA (2011)",
        sizes={"small": 5, "medium": 500, "large": 20_000},
        inputs=_poses_inputs,
        objective=_poses,
        reference={Operator.GRADIENT: _poses_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="embedding",
        title="visualisation: stochastic embedding of n points in the plane",
        source="van der Maaten and Hinton, Journal of Machine Learning Research 9 (2008)",
        sizes={"small": 6, "medium": 200, "large": 2000},
        inputs=_embedding_inputs,
        objective=_embedding,
        reference={Operator.GRADIENT: _embedding_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="sinkhorn_divergence",
        title="optimal transport: Sinkhorn divergence of two clouds of n points",
        source="Feydy et al., AISTATS (2019); Cuturi, Sinkhorn Distances, NeurIPS (2013)",
        sizes={"small": 3, "medium": 100, "large": 500},
        inputs=_transport_inputs,
        objective=_transport,
        operators=SCALAR - {Operator.HESSIAN},
        suites=_FIELD,
        uses=("scan",),
    ),
    Problem(
        name="minimal_surface",
        title="differential geometry: area of a surface over n x n points inside a frame",
        source="Dolan, More and Munson, COPS 3.0 (2004), problem 17",
        sizes={"small": 3, "medium": 64, "large": 512},
        inputs=_surface_inputs,
        objective=_surface,
        reference={Operator.GRADIENT: _surface_gradient},
        suites=_FIELD,
    ),
)
