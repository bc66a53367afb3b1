"""Objectives of engineering: structures, satellites, power networks, sound.

*Truss.* Bars of area ``a_e = e^x_e`` and length l_e have the stiffness ``K = B' diag(a/l) B``. A row of B holds the
direction of a bar at its two ends. The displacements u solve ``K u = f``. L is the compliance ``f'u`` and a price for
the volume, ``sum a l``. Since ``dK^-1 = -K^-1 dK K^-1``, ``dL/dx_e = -a_e/l_e (B u)_e^2 + a_e l_e``.

*Hanging cable.* Links of stiffness 50 between two supports are at rest at the length r. With the differences d of
neighbours, ``L = 25 sum (|d| - r)^2 + sum heights``. Each link pulls with ``50 (|d| - r) d/|d|``.

*Satellite.* Free rotation by Euler's equations, in the logarithms of the moments of inertia I, from the angular
velocity w and the orientation q, a quaternion::

    w_1' = (I_2 - I_3)/I_1 w_2 w_3, and so on in turn,    q' = 1/2 q (0, w)

The midpoint rule integrates them. L is the sum of ``1 - (q . measured)^2``, which is zero where both orientations are
the same.

*Power flow.* At bus i, with voltage V_i and angle t_i, the powers into a network with the admittances G + iB are::

    P_i = V_i sum_j V_j (G_ij cos t_ij + B_ij sin t_ij),    Q_i = V_i sum_j V_j (G_ij sin t_ij - B_ij cos t_ij)

The function returns their excess over what is demanded. With g and b for the two sums' terms, the Jacobian is
``dP_i/dt_j = V_i b_ij V_j``, ``dQ_i/dt_j = -V_i g_ij V_j`` for j != i, and minus the sums of these for j = i.

*Acoustics.* Sources at x with strengths s are heard at microphones y as ``sum s cos(k d)/d`` and ``sum s sin(k d)/d``
with the distance d and the wave number k. L is half the sum of squared errors of both parts over all frequencies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, VECTOR, Array, Inputs, Problem
from autodiff_compare.problems.base.elimination import solve
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})


# ---- structural engineering: a truss


#: In units of eps: a solution has the rounding of K times its condition, near 90 for two bays, and a second
#: derivative consists of two solutions.
_TRUSS = 1e3


def _truss(x: Any, B: Any, lengths: Any, f: Any, *, xp: Any) -> Any:
    areas = xp.exp(x)
    K = xp.matmul(xp.matrix_transpose(B) * (areas / lengths), B)
    u = xp.linalg.solve(K, f)
    return xp.sum(f * u) + xp.sum(areas * lengths)


def _truss_value(x: Array, B: Array, lengths: Array, f: Array) -> Array:
    areas = np.exp(x)
    return np.asarray(f @ solve((B.T * (areas / lengths)) @ B, f) + np.sum(areas * lengths))


def _truss_gradient(x: Array, B: Array, lengths: Array, f: Array) -> Array:
    areas = np.exp(x)
    stretched = B @ solve((B.T * (areas / lengths)) @ B, f)
    return np.asarray(areas * lengths - areas / lengths * stretched**2)


def _truss_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw the bars of a cantilever of n square bays with crossed diagonals; it is held on the left."""
    places = np.array([(i, j) for i in range(n + 1) for j in range(2)], dtype=float)
    ends = [(2 * i + a, 2 * i + b) for i in range(n) for a, b in ((0, 2), (1, 3), (2, 3), (0, 3), (1, 2))]
    B, lengths = np.zeros((len(ends), 2 * len(places))), np.zeros(len(ends))
    for row, (a, b) in enumerate(ends):
        along = places[b] - places[a]
        lengths[row] = (along[0] ** 2 + along[1] ** 2) ** 0.5
        B[row, 2 * a : 2 * a + 2], B[row, 2 * b : 2 * b + 2] = -along / lengths[row], along / lengths[row]
    # The two nodes on the left do not move, so that their four columns are left out.
    loads = np.zeros(2 * len(places) - 4)
    loads[1::4] = -1 / n
    return Inputs((rng.normal(1.0, 0.3, len(ends)),), (B[:, 4:].copy(), lengths, loads))


# ---- civil engineering: a hanging cable

_STIFFNESS = 50.0


def _cable(x: Any, ends: Any, rest: Any, *, xp: Any) -> Any:
    places = xp.concat([ends[:1, :], x, ends[1:, :]])
    links = places[1:, :] - places[:-1, :]
    stretch = xp.sqrt(xp.sum(links * links, axis=1)) - rest
    return _STIFFNESS / 2 * xp.sum(stretch * stretch) + xp.sum(x[:, 1])


def _cable_gradient(x: Array, ends: Array, rest: Array) -> Array:
    links = np.diff(np.concatenate([ends[:1], x, ends[1:]]), axis=0)
    lengths = np.sqrt(np.sum(links * links, axis=1, keepdims=True))
    pulls = _STIFFNESS * (1 - rest / lengths) * links
    gradient: Array = pulls[:-1] - pulls[1:]
    gradient[:, 1] += 1
    return gradient


def _cable_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw the n free nodes of a cable between (0, 0) and (1, 0)."""
    t = np.arange(1.0, n + 1) / (n + 1)
    x = np.stack([t, -4 * t * (1 - t)], axis=1) + rng.uniform(-0.2, 0.2, (n, 2)) / (n + 1)
    return Inputs((x,), (np.array([[0.0, 0.0], [1.0, 0.0]]), np.asarray(1.5 / (n + 1))))


# ---- aerospace: a satellite


def _satellite(
    inertia: Any, spin: Any, start: Any, product: Any, steps: Any, seen: Any, *, scan: Callable[..., Any], xp: Any
) -> Any:
    a, b, c = xp.unstack(xp.exp(inertia))
    ratios = xp.stack([(b - c) / a, (c - a) / b, (a - b) / c])

    def slope(y: Any) -> Any:
        w, q = y[:3], y[3:]
        others = xp.concat([w[1:], w[:1]]) * xp.concat([w[2:], w[:2]])
        return xp.concat([ratios * others, xp.matmul(xp.matmul(product, q), w) / 2])

    def advance(y: Any, given: Any) -> tuple[Any, Any]:
        h, measured = given
        y = y + h * slope(y + h / 2 * slope(y))
        alike = xp.sum(y[3:] * measured)
        return y, 1 - alike * alike

    return xp.sum(scan(advance, xp.concat([spin, start]), (steps, seen))[1])


def _satellite_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a satellite and n measured orientations, a twentieth of a unit of time apart."""
    seen = np.array([0.6, 0.4, 0.3, 0.2]) + np.cumsum(rng.normal(scale=0.1, size=(n, 4)), axis=0)
    seen = seen / np.sqrt(np.sum(seen * seen, axis=1, keepdims=True))
    spin = np.array([0.8, 0.3, 1.2]) + rng.normal(scale=0.1, size=3)
    inertia = np.array([0.0, 0.3, 0.6]) + rng.normal(scale=0.05, size=3)
    # The product (s, v) (0, w) = (-v . w, s w + v x w) is the matrix "product q" times w.
    product = np.zeros((4, 3, 4))
    product[0, :, 1:], product[1:, :, 0] = -np.eye(3), np.eye(3)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        product[1 + i, k, 1 + j], product[1 + i, j, 1 + k] = 1.0, -1.0
    return Inputs((inertia, spin), (np.array([1.0, 0.0, 0.0, 0.0]), product, np.full(n, 0.05), seen))


# ---- electrical engineering: a power network


def _powers(V: Any, t: Any, G: Any, B: Any, demand: Any, *, xp: Any) -> Any:
    real, imaginary = V * xp.cos(t), V * xp.sin(t)
    current = xp.matmul(G, real) - xp.matmul(B, imaginary)
    across = xp.matmul(B, real) + xp.matmul(G, imaginary)
    return xp.concat([real * current + imaginary * across, imaginary * current - real * across]) - demand


def _powers_jacobian(V: Array, t: Array, G: Array, B: Array, demand: Array) -> tuple[Array, Array]:  # noqa: ARG001
    cosine, sine = np.cos(t[:, None] - t), np.sin(t[:, None] - t)
    real, reactive = V[:, None] * (G * cosine + B * sine), V[:, None] * (G * sine - B * cosine)
    # Row i: P_i = sum_j real_ij V_j. V_i is in every term, and once more in the term j = i.
    by_V = np.concatenate([real + np.diag(real @ V / V), reactive + np.diag(reactive @ V / V)])
    by_t = np.concatenate([reactive * V, -real * V])
    n = V.size
    by_t[:n] -= np.diag(reactive @ V)
    by_t[n:] += np.diag(real @ V)
    return by_V, by_t


def _powers_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a network of n buses: a ring with n / 2 further lines."""
    G, B = np.zeros((n, n)), np.zeros((n, n))
    lines = [(i, (i + 1) % n) for i in range(n)] + [tuple(rng.integers(n, size=2)) for _ in range(n // 2)]
    for i, j in lines:
        g, b = rng.uniform(1.0, 3.0), rng.uniform(-12.0, -4.0)
        for M, m in ((G, g), (B, b)):
            M[i, i] += m
            M[j, j] += m
            M[i, j] -= m
            M[j, i] -= m
    return Inputs((rng.uniform(0.95, 1.05, n), rng.uniform(-0.3, 0.3, n)), (G, B, rng.normal(scale=0.3, size=2 * n)))


# ---- acoustics: sources of sound

_SOURCES = 3


def _sounds(x: Any, s: Any, y: Any, k: Any, heard: Any, *, xp: Any) -> Any:
    gaps = y[:, None, :] - x
    distances = xp.sqrt(xp.sum(gaps * gaps, axis=2))
    phases = k[:, None, None] * distances
    amplitudes = s / distances
    real, imaginary = xp.sum(amplitudes * xp.cos(phases), axis=2), xp.sum(amplitudes * xp.sin(phases), axis=2)
    return (xp.sum((real - heard[0, :, :]) ** 2) + xp.sum((imaginary - heard[1, :, :]) ** 2)) / 2


def _sounds_gradient(x: Array, s: Array, y: Array, k: Array, heard: Array) -> tuple[Array, Array]:
    gaps = y[:, None] - x
    d = np.sqrt(np.sum(gaps * gaps, axis=2))
    cosine, sine = np.cos(k[:, None, None] * d), np.sin(k[:, None, None] * d)
    real, imaginary = np.sum(s / d * cosine, axis=2) - heard[0], np.sum(s / d * sine, axis=2) - heard[1]
    real, imaginary = real[:, :, None], imaginary[:, :, None]
    wave = k[:, None, None]
    by_d = np.sum(real * (-cosine / d - wave * sine) + imaginary * (wave * cosine - sine / d), axis=0) * s / d
    return -np.sum((by_d / d)[:, :, None] * gaps, axis=0), np.sum((real * cosine + imaginary * sine) / d, axis=(0, 1))


def _sounds_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw sources before a row of n microphones, heard at 8 frequencies."""
    y = np.stack([np.linspace(-1.0, 1.0, n), np.zeros(n)], axis=1)
    x = np.stack([np.array([-1.0, 0.0, 1.0]), np.full(_SOURCES, 2.0)], axis=1) + rng.uniform(-0.3, 0.3, (_SOURCES, 2))
    k = np.linspace(2.0, 6.0, 8)
    return Inputs((x, rng.uniform(0.5, 1.5, _SOURCES)), (y, k, rng.normal(scale=0.3, size=(2, 8, n))))


PROBLEMS = (
    Problem(
        name="truss",
        title="structural engineering: compliance and volume of a cantilever truss of n bays, in the areas of its bars",
        source="Bendsoe and Sigmund, Topology Optimization, section 4.1",
        sizes={"small": 2, "medium": 8, "large": 60},
        inputs=_truss_inputs,
        objective=_truss,
        reference={Operator.VALUE: _truss_value, Operator.GRADIENT: _truss_gradient},
        tolerance=_TRUSS,
        suites=_FIELD,
    ),
    Problem(
        name="hanging_cable",
        title="civil engineering: energy of a hanging cable of n + 1 elastic links",
        source="Irvine, Cable Structures, chapter 1; equilibrium: a catenary",
        sizes={"small": 6, "medium": 1000, "large": 100_000},
        inputs=_cable_inputs,
        objective=_cable,
        reference={Operator.GRADIENT: _cable_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="satellite",
        title="aerospace: n orientations of a rotating satellite, in its inertia and its angular velocity",
        source="Wertz, Spacecraft Attitude Determination and Control, sections 16.1 and 17.1",
        sizes={"small": 3, "medium": 100, "large": 1000},
        inputs=_satellite_inputs,
        objective=_satellite,
        operators=SCALAR - {Operator.HESSIAN},
        suites=_FIELD,
        uses=("scan",),
    ),
    Problem(
        name="power_flow",
        title="electrical engineering: mismatches of power in a network of n buses",
        source="Tinney and Hart, IEEE Transactions on Power Apparatus and Systems 86 (1967)",
        sizes={"small": 5, "medium": 50, "large": 300},
        inputs=_powers_inputs,
        objective=_powers,
        operators=VECTOR,
        reference={Operator.JACOBIAN: _powers_jacobian},
        suites=_FIELD,
    ),
    Problem(
        name="sound_sources",
        title=f"acoustics: places and strengths of {_SOURCES} sources of sound, from n microphones",
        source="Pierce, Acoustics, section 1.11; Van Trees, Optimum Array Processing, chapter 8",
        sizes={"small": 6, "medium": 100, "large": 5000},
        inputs=_sounds_inputs,
        objective=_sounds,
        reference={Operator.GRADIENT: _sounds_gradient},
        suites=_FIELD,
    ),
)
