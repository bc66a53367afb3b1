"""Models of physics and chemistry: magnets, stars, lenses, the atmosphere, wave functions, equilibria.

*Ising.* A spin s_i = +-1 has, given the others, the probability ``expit(2 s_i f_i)``, ``f_i = h_i + sum_j J_ij s_j``.
The pseudo-likelihood of m samples is ``L = 1/m sum softplus(-2 s f)``, J the symmetric part of a matrix, without its
diagonal. The slope in f is ``-2 s expit(-2 s f) / m``.

*Radial velocity.* A planet on an ellipse moves its star. The eccentric anomaly E of the time t solves
``E - e sin E = n t + p`` by Newton's method, whose steps are differentiated. With the true anomaly v::

    cos v = (cos E - e)/(1 - e cos E),    sin v = sqrt(1 - e^2) sin E/(1 - e cos E)
    velocity = c + K (cos(v + w) + e cos w)

*Ray tracing.* Rays (y; M, N) in a plane meet spherical surfaces of curvature c; n changes to n' (Welford, 4.2). At the
vertex plane, with ``F = c y^2`` and ``G = N - c y M``::

    cos I = sqrt(G^2 - c F),    y <- y + M F/(G + cos I),    z = N F/(G + cos I)
    cos I' = sqrt(1 - (n/n')^2 (1 - cos^2 I)),    k = cos I' - (n/n') cos I
    M <- (n/n') M - k c y,    N <- (n/n') N - k c z + k

L is the mean square of the distances of rays from the centre of their spot in the image.

*Radiative transfer.* Layers of an atmosphere, from the top, emit the radiance of Planck ``B = v^3 / (e^(v/T) - 1)`` and
absorb what comes from below. With the optical depths t_k of a channel and their sums s_k from the top to the bottom::

    R = sum_k B(T_k) (e^(-s_{k-1}) - e^(-s_k)) + B(T_ground) e^(-s_n),    L = 1/2 sum ((R - measured)/0.01)^2

*Wave function.* The energy ``E = (sum (u_{i+1} - u_i)^2 / (2 d^2) + sum V u^2) / sum u^2`` of an oscillator on a grid.
With H u half the gradient of the numerator, ``dE = 2 (H u - E u) / |u|^2``.

*Equilibrium.* The Gibbs energy of amounts ``m = e^x`` of species, ``sum m (g + log(m / sum m))``, and a penalty for the
balance of elements ``20/2 |A m - b|^2``. Since ``sum dm log(m / sum m)`` has no other terms,
``dL/dm = g + log(m / sum m) + 20 A'(A m - b)``, and ``dL/dx = m dL/dm``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})


# ---- statistical physics: an inverse Ising problem


def _spins(J: Any, h: Any, s: Any, others: Any, *, xp: Any) -> Any:
    symmetric = (J + xp.matrix_transpose(J)) * others / 2
    z = -2 * s * (h + xp.matmul(s, symmetric))
    return xp.sum(xp.logaddexp(xp.zeros_like(z), z)) / s.shape[0]


def _spins_gradient(J: Array, h: Array, s: Array, others: Array) -> tuple[Array, Array]:
    f = h + s @ ((J + J.T) * others / 2)
    slope = -2 * s / (1 + np.exp(2 * s * f)) / s.shape[0]
    by_J = s.T @ slope
    return (by_J + by_J.T) * others / 2, slope.sum(axis=0)


def _spins_inputs(rng: np.random.Generator, n: int) -> Inputs:
    s = np.where(rng.random((4 * n, n)) < 0.5, 1.0, -1.0)
    return Inputs((rng.normal(scale=0.4, size=(n, n)), rng.normal(scale=0.4, size=n)), (s, 1 - np.eye(n)))


# ---- astronomy: the orbit of a planet

_NEWTON = 6


def _star(orbit: Any, K: Any, c: Any, t: Any, y: Any, *, xp: Any) -> Any:
    n, phase, e, w = (orbit[i] for i in range(4))
    M = n * t + phase
    E = M + e * xp.sin(M)
    for _ in range(_NEWTON):
        E = E - (E - e * xp.sin(E) - M) / (1 - e * xp.cos(E))
    radius = 1 - e * xp.cos(E)
    cosine, sine = (xp.cos(E) - e) / radius, xp.sqrt(1 - e * e) * xp.sin(E) / radius
    velocity = c + K * (cosine * xp.cos(w) - sine * xp.sin(w) + e * xp.cos(w))
    return xp.sum((velocity - y) ** 2) / 2


def _star_gradient(orbit: Array, K: Array, c: Array, t: Array, y: Array) -> tuple[Array, Any, Any]:
    """Return the gradient; ``dE = (dM + sin E de) / (1 - e cos E)``, and dv as implied by both anomalies.

    ``dv/dE = sqrt(1 - e^2)/(1 - e cos E)``, and ``dv/de = sin E / (sqrt(1 - e^2) (1 - e cos E))`` at a constant E.
    """
    n, phase, e, w = orbit
    M = n * t + phase
    E = M + e * np.sin(M)
    for _ in range(60):
        E = E - (E - e * np.sin(E) - M) / (1 - e * np.cos(E))
    radius, root = 1 - e * np.cos(E), np.sqrt(1 - e * e)
    v = np.arctan2(root * np.sin(E), np.cos(E) - e)
    r = c + K * (np.cos(v + w) + e * np.cos(w)) - y
    by_v = -K * np.sin(v + w) * r
    by_M = by_v * root / radius**2
    by_e = by_M * np.sin(E) + by_v * np.sin(E) / (root * radius) + K * np.cos(w) * r
    by_w = by_v - K * e * np.sin(w) * r
    orbital = np.stack([np.sum(by_M * t), np.sum(by_M), np.sum(by_e), np.sum(by_w)])
    return orbital, np.sum((np.cos(v + w) + e * np.cos(w)) * r), np.sum(r)


def _star_inputs(rng: np.random.Generator, n: int) -> Inputs:
    t = np.sort(rng.uniform(0.0, 3.0, n))
    orbit = np.array([rng.normal(2.0, 0.1), rng.uniform(0, 2), rng.uniform(0.15, 0.4), rng.uniform(0, 3)])
    y = 2 * np.cos(2 * t + 1) + rng.normal(scale=0.3, size=n)
    return Inputs((orbit, np.asarray(rng.normal(2.0, 0.2)), np.asarray(rng.normal(scale=0.3))), (t, y))


# ---- optics: a lens

#: Refractive indices before the first surface, in the glass, and behind the second.
_INDICES = (1.0, 1.52, 1.0)


def _lens(curvatures: Any, distances: Any, heights: Any, sines: Any, *, xp: Any) -> Any:
    y, M = heights + xp.zeros_like(sines), sines + xp.zeros_like(heights)
    N = xp.sqrt(1 - M * M)
    for i in range(len(_INDICES) - 1):
        ratio, c = _INDICES[i] / _INDICES[i + 1], curvatures[i]
        F, G = c * y * y, N - c * y * M
        cosine = xp.sqrt(G * G - c * F)
        step = F / (G + cosine)
        y, z = y + M * step, N * step
        refracted = xp.sqrt(1 - ratio * ratio * (1 - cosine * cosine))
        k = refracted - ratio * cosine
        M, N = ratio * M - k * c * y, ratio * N - k * c * z + k
        y = y + (distances[i] - z) * M / N
    spread = y - xp.mean(y, axis=1, keepdims=True)
    return xp.mean(spread * spread)


def _lens_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a lens of focal length near 1, with n rays at each of three angles."""
    curvatures = np.array([1.2, -0.8]) + rng.normal(scale=0.05, size=2)
    distances = np.array([0.1, 0.85]) + rng.uniform(0.0, 0.05, 2)
    return Inputs((curvatures, distances), (np.linspace(-0.2, 0.2, n), np.array([[0.0], [0.08], [0.15]])))


# ---- meteorology: radiation of the atmosphere

_CHANNELS = 6


def _planck(v: Any, T: Any, xp: Any) -> Any:
    return v * v * v / xp.expm1(v / T)


def _atmosphere(T: Any, ground: Any, depths: Any, v: Any, absorption: Any, measured: Any, *, xp: Any) -> Any:
    optical = xp.exp(depths)[:, None] * absorption
    sums = xp.cumulative_sum(optical, axis=0)
    through, above = xp.exp(-sums), xp.exp(-(sums - optical))
    radiance = xp.sum(_planck(v, T[:, None], xp) * (above - through), axis=0) + _planck(v, ground, xp) * through[-1, :]
    residual = (radiance - measured) / 0.01
    return xp.sum(residual * residual) / 2


def _atmosphere_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n layers, with temperatures in units of 300 K and frequencies in units of k 300 K / h."""
    T, depths = np.linspace(0.72, 0.95, n) + rng.normal(scale=0.02, size=n), rng.normal(-np.log(n), 0.3, n)
    v, measured = np.linspace(2.0, 5.0, _CHANNELS), rng.uniform(0.3, 0.7, _CHANNELS)
    return Inputs((T, np.asarray(rng.normal(1.0, 0.02)), depths), (v, rng.uniform(0.2, 2.0, _CHANNELS), measured))


# ---- quantum mechanics: a wave function


def _oscillator(u: Any, V: Any, d: Any, *, xp: Any) -> Any:
    end = xp.zeros_like(u[:1])
    slope = xp.concat([u, end]) - xp.concat([end, u])
    return (xp.sum(slope * slope) / (2 * d * d) + xp.sum(V * u * u)) / xp.sum(u * u)


def _oscillator_gradient(u: Array, V: Array, d: Array) -> Array:
    curved = (2 * u - np.pad(u[1:], (0, 1)) - np.pad(u[:-1], (1, 0))) / (2 * d * d) + V * u
    norm = np.sum(u * u)
    return np.asarray(2 * (curved - np.sum(u * curved) / norm * u) / norm)


def _oscillator_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a function on n points of [-4, 4], in a quartic potential."""
    x = np.linspace(-4.0, 4.0, n)
    return Inputs((np.exp(-x * x / 2) + 0.1 * rng.normal(size=n),), (x**2 / 2 + x**4 / 20, np.asarray(8 / (n - 1))))


# ---- chemistry: a chemical equilibrium

#: Free energies of H, H2, H2O, N, N2, NH, NO, O, O2 and OH at 3500 K and 51 atmospheres, their atoms of H, N and O, and
#: the atoms in the mixture.
_FREE = (-6.089, -17.164, -34.054, -5.914, -24.721, -14.986, -24.100, -10.708, -26.662, -22.179)
_ATOMS = ((1, 2, 2, 0, 0, 1, 0, 0, 0, 1), (0, 0, 0, 1, 2, 1, 1, 0, 0, 0), (0, 0, 1, 0, 0, 0, 1, 1, 2, 1))
_MIXED = (2.0, 1.0, 1.0)


def _mixture(x: Any, g: Any, A: Any, b: Any, *, xp: Any) -> Any:
    amounts = xp.exp(x)
    fractions = xp.log(xp.sum(amounts, axis=1, keepdims=True))
    excess = xp.matmul(amounts, A) - b
    return xp.sum(amounts * (g + x - fractions)) + 10 * xp.sum(excess * excess)


def _mixture_gradient(x: Array, g: Array, A: Array, b: Array) -> Array:
    amounts = np.exp(x)
    potentials = g + x - np.log(amounts.sum(axis=1, keepdims=True))
    return np.asarray(amounts * (potentials + 20 * (amounts @ A - b) @ A.T))


def _mixture_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw the logarithms of the amounts of the ten species in n vessels."""
    data = np.array(_FREE), np.array(_ATOMS, dtype=float).T.copy(), np.array(_MIXED)
    return Inputs((rng.normal(-1.5, 0.7, (n, len(_FREE))),), data)


PROBLEMS = (
    Problem(
        name="inverse_ising",
        title="statistical physics: pseudo-likelihood of the couplings between n spins",
        source="Besag, The Statistician 24 (1975); Aurell and Ekeberg, Physical Review Letters 108 (2012)",
        sizes={"small": 5, "medium": 50, "large": 300},
        inputs=_spins_inputs,
        objective=_spins,
        reference={Operator.GRADIENT: _spins_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="radial_velocity",
        title="astronomy: orbit of a planet from n velocities of its star, Kepler's equation by Newton's method",
        source="Murray and Correia, Keplerian Orbits and Dynamics of Exoplanets (2010), equation (65)",
        sizes={"small": 8, "medium": 500, "large": 50_000},
        inputs=_star_inputs,
        objective=_star,
        reference={Operator.GRADIENT: _star_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="ray_tracing",
        title="optics: spots of 3 n rays through a lens, in curvatures, thickness and distance of the image",
        source="Welford, Aberrations of Optical Systems, section 4.2",
        sizes={"small": 5, "medium": 500, "large": 50_000},
        inputs=_lens_inputs,
        objective=_lens,
        suites=_FIELD,
    ),
    Problem(
        name="radiative_transfer",
        title=f"meteorology: radiances of an atmosphere of n layers in {_CHANNELS} channels",
        source="Liou, An Introduction to Atmospheric Radiation, section 7.4; Rodgers, Inverse Methods, chapter 1",
        sizes={"small": 5, "medium": 100, "large": 5000},
        inputs=_atmosphere_inputs,
        objective=_atmosphere,
        suites=_FIELD,
    ),
    Problem(
        name="wave_function",
        title="quantum mechanics: energy of an anharmonic oscillator by a wave function on n points",
        source="Griffiths, Introduction to Quantum Mechanics, chapter 7 (variational principle)",
        sizes={"small": 15, "medium": 1000, "large": 100_000},
        inputs=_oscillator_inputs,
        objective=_oscillator,
        reference={Operator.GRADIENT: _oscillator_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="gibbs_energy",
        title="chemistry: Gibbs energy of ten species in n vessels, with a penalty for the balance of elements",
        source="White, Johnson and Dantzig, Journal of Chemical Physics 28 (1958); Hock and Schittkowski, problem 112",
        sizes={"small": 1, "medium": 100, "large": 10_000},
        inputs=_mixture_inputs,
        objective=_mixture,
        reference={Operator.GRADIENT: _mixture_gradient},
        suites=_FIELD,
    ),
)
