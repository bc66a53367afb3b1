"""Models of biology: epidemics, drugs, evolution, populations, proteins.

*Epidemic.* Susceptibles and infected follow ``S' = -b S I``, ``I' = b S I - g I`` as shares of a population. Reports of
each day are Poisson with the mean ``1000 I``.

*Pharmacokinetics.* After a dose D is swallowed, the concentration is
``c = D ka / (V (ka - ke)) (exp(-ke t) - exp(-ka t))``. Patients have their own logarithms p = (ka, ke, V), drawn around
common means: ``L = 1/2 sum (log c - log y)^2 / 0.04 + 2 |p - means|^2``. With ``r = log c - log y`` and
``q = exp(-(ka - ke) t)``, so that ``log c = log(D ka/V) - log(ka - ke) - ke t + log(1 - q)``::

    d log c/dka = 1/ka - 1/(ka - ke) + t q/(1 - q),    d log c/dke = 1/(ka - ke) - t - t q/(1 - q)

*Phylogeny.* The likelihood of DNA at the leaves of a tree, by pruning. The matrix of a branch of length d mixes the
bases, with transitions (T-C, A-G) k times as frequent as transversions (Yang, equation 1.10)::

    P = 1/4 + e1 A + e2 B,    e1 = exp(-4 d/(k + 2)),    e2 = exp(-2 d (k + 1)/(k + 2))

A has 1/4 for equal bases and transitions, else -1/4; B has 1/2 for equal bases and -1/2 for transitions. The tree is
balanced, so that each generation is one product. Branches are listed from the leaves to the root.

*Populations.* Hares and lynxes, in logarithms: ``u' = a - b e^v``, ``v' = d e^u - c``, measured with lognormal errors.

*Protein.* A chain of atoms at fixed distances and angles is determined by its torsions t. Each turns the frame of the
next bond: ``R <- R Rx(t) Rz``. The energy has ``1 + cos 3 t`` of each torsion and the potential of Lennard and Jones
between atoms three or more bonds apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.problems.base.runge_kutta import advanced
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})
_LOOP = SCALAR - {Operator.HESSIAN}
Scan = Callable[..., Any]


# ---- epidemiology: susceptible, infected, recovered

#: Steps of a day, and people in the population.
_STEPS, _PEOPLE = 4, 1000.0


def _epidemic(b: Any, g: Any, start: Any, steps: Any, reports: Any, *, scan: Scan, xp: Any) -> Any:
    def slope(y: Any) -> Any:
        new = xp.exp(b) * y[0] * y[1]
        return xp.stack([-new, new - xp.exp(g) * y[1]])

    def advance(y: Any, h: Any) -> tuple[Any, Any]:
        y = advanced(slope, y, h)
        return y, y[1]

    infected = xp.exp(start)
    means = _PEOPLE * scan(advance, xp.stack([1 - infected, infected]), steps)[1][_STEPS - 1 :: _STEPS]
    return xp.sum(means - reports * xp.log(means))


def _epidemic_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw the reports of n days around a wave, and the logarithms of rates and of the first share."""
    wave = 20 + 200 * np.exp(-(((np.arange(n) - 0.6 * n) / (0.3 * n)) ** 2))
    numbers = rng.normal([-0.5, -1.6, -3.5], 0.2)
    data = np.full(n * _STEPS, 1 / _STEPS), np.floor(wave * rng.uniform(0.7, 1.3, n))
    return Inputs(tuple(np.asarray(x) for x in numbers), data)


# ---- pharmacology

_TIMES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0)
_MEANS = (0.4, -2.5, 3.4)


def _concentrations(p: Any, t: Any, y: Any, dose: Any, means: Any, *, xp: Any) -> Any:
    rates = xp.exp(p)
    ka, ke, volume = rates[:, 0:1], rates[:, 1:2], rates[:, 2:3]
    c = dose * ka / (volume * (ka - ke)) * (xp.exp(-ke * t) - xp.exp(-ka * t))
    residual, spread = xp.log(c) - xp.log(y), p - means
    return xp.sum(residual * residual) / 0.08 + 2 * xp.sum(spread * spread)


def _concentrations_gradient(p: Array, t: Array, y: Array, dose: Array, means: Array) -> Array:
    ka, ke, volume = (np.exp(p[:, i : i + 1]) for i in range(3))
    q = np.exp(-(ka - ke) * t)
    late = t * q / (1 - q)
    r = 25 * (np.log(dose * ka / (volume * (ka - ke)) * (np.exp(-ke * t) - np.exp(-ka * t))) - np.log(y))
    by_ka, by_ke = ka * (1 / ka - 1 / (ka - ke) + late), ke * (1 / (ka - ke) - t - late)
    slopes = [np.sum(r * by, axis=1) for by in (by_ka, by_ke, -np.ones_like(r))]
    return np.asarray(np.stack(slopes, axis=1) + 4 * (p - means))


def _concentrations_inputs(rng: np.random.Generator, n: int) -> Inputs:
    t, means = np.array(_TIMES), np.array(_MEANS)
    typical = 320 * t / (1 + t) * np.exp(-0.09 * t) / 30
    y = typical * np.exp(0.2 * rng.normal(size=(n, t.size)))
    return Inputs((means + rng.normal(scale=0.2, size=(n, 3)),), (t, y, np.asarray(320.0), means))


# ---- evolution: the likelihood of a tree

#: Leaves -> sites of the alignment. More leaves would leave the range of float32.
_SITES = {4: 6, 16: 300, 32: 3000}


def _pruning(lengths: Any, k: Any, leaves: Any, A: Any, B: Any, *, xp: Any) -> Any:
    ratio, d = xp.exp(k), xp.exp(lengths)[:, None, None]
    P = 0.25 + xp.exp(-4 * d / (ratio + 2)) * A + xp.exp(-2 * d * (ratio + 1) / (ratio + 2)) * B
    partial, first = leaves, 0
    while partial.shape[0] > 1:
        nodes = partial.shape[0]
        partial = xp.matmul(partial, P[first : first + nodes, :, :])
        partial, first = partial[0::2, :, :] * partial[1::2, :, :], first + nodes
    return -xp.sum(xp.log(xp.mean(partial[0, :, :], axis=1)))


def _pruning_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Evolve bases from the root to n leaves, a tenth of them replaced on each branch; draw other branch lengths."""
    bases = rng.integers(4, size=(1, _SITES[n]))
    while bases.shape[0] < n:
        bases = np.repeat(bases, 2, axis=0)
        bases = np.where(rng.random(bases.shape) < 0.1, rng.integers(4, size=bases.shape), bases)
    pair = np.kron(np.eye(2), np.ones((2, 2)))
    A, B = (pair - 0.5) / 2, np.eye(4) - pair / 2
    return Inputs((rng.normal(-2.0, 0.4, 2 * n - 2), np.asarray(rng.normal(1.0, 0.2))), (np.eye(4)[bases], A, B))


# ---- ecology: predators and prey

#: Pelts of hares and lynxes, in thousands, that the Hudson's Bay Company received in 1900, 1901, ...
_HARES = (30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1, 40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6,
          14.6, 16.2, 24.7)  # fmt: skip
_LYNXES = (4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4, 8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7,
           10.1, 8.6)  # fmt: skip


def _species(rates: Any, start: Any, spread: Any, steps: Any, pelts: Any, *, scan: Scan, xp: Any) -> Any:
    a, b, c, d = (xp.exp(rates[i]) for i in range(4))

    def slope(y: Any) -> Any:
        return xp.stack([a - b * xp.exp(y[1]), d * xp.exp(y[0]) - c])

    def advance(y: Any, h: Any) -> tuple[Any, Any]:
        y = advanced(slope, y, h)
        return y, y

    found = xp.concat([start[None, :], scan(advance, start, steps)[1][_STEPS - 1 :: _STEPS, :]])
    residual = (found - xp.log(pelts)) * xp.exp(-spread)
    return xp.sum(residual * residual) / 2 + pelts.shape[0] * pelts.shape[1] * spread


def _species_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Give the pelts of n years after the first, and draw parameters near those of the source."""
    rates = np.array([-0.6, -3.58, -0.22, -3.73]) + rng.normal(scale=0.05, size=4)
    start = np.array([3.5, 1.8]) + rng.normal(scale=0.1, size=2)
    pelts = np.stack([_HARES[: n + 1], _LYNXES[: n + 1]], axis=1)
    return Inputs((rates, start, np.asarray(rng.normal(-1.0, 0.2))), (np.full(n * _STEPS, 1 / _STEPS), pelts))


# ---- structural biology: torsions

#: Length of a bond, size of an atom, and cosine and sine of the angle between a bond and the next, 70 degrees.
_BOND, _ATOM, _COS, _SIN = 1.5, 3.0, math.cos(math.radians(70)), math.sin(math.radians(70))


def _folded(torsions: Any, turn: Any, along: Any, across: Any, apart: Any, *, scan: Scan, xp: Any) -> Any:
    cosines, sines = xp.cos(torsions)[:, None, None], xp.sin(torsions)[:, None, None]
    fixed = xp.eye(3, dtype=torsions.dtype) - along
    turns = xp.matmul(fixed + cosines * along + sines * across, turn)

    def advance(state: Any, R: Any) -> tuple[Any, Any]:
        place, frame = state
        frame = xp.matmul(frame, R)
        place = place + _BOND * frame[:, 0]
        return (place, frame), place

    origin, frame = xp.zeros_like(turn[0, :]), turn
    second = xp.concat([xp.full((1,), _BOND, dtype=turn.dtype), origin[:2]])
    third = second + _BOND * frame[:, 0]
    _, rest = scan(advance, (third, frame), turns)
    places = xp.concat([xp.stack([origin, second, third]), rest])
    gaps = places[:, None, :] - places
    # Pairs that are near along the chain have no potential: a square of 1 keeps their division finite.
    squares = xp.sum(gaps * gaps, axis=2) + (1 - apart)
    sixth = (_ATOM * _ATOM / squares) ** 3
    return xp.sum(apart * (sixth * sixth - 2 * sixth)) / 2 + xp.sum(1 + xp.cos(3 * torsions))


def _folded_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n torsions of a chain that is nearly stretched."""
    turn = np.array([[_COS, -_SIN, 0.0], [_SIN, _COS, 0.0], [0.0, 0.0, 1.0]])
    across = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    atoms = np.arange(n + 3)
    apart = (np.abs(atoms[:, None] - atoms) >= 3).astype(float)
    return Inputs((math.pi + rng.uniform(-0.9, 0.9, n),), (turn, np.diag([0.0, 1.0, 1.0]), across, apart))


PROBLEMS = (
    Problem(
        name="epidemic",
        title="epidemiology: likelihood of the reports of n days in the model of susceptible and infected people",
        source="Kermack and McKendrick, Proceedings of the Royal Society A 115 (1927)",
        sizes={"small": 3, "medium": 50, "large": 500},
        inputs=_epidemic_inputs,
        objective=_epidemic,
        operators=_LOOP,
        suites=_FIELD,
        uses=("scan",),
    ),
    Problem(
        name="pharmacokinetics",
        title="pharmacology: concentrations of a drug in n patients, by absorption and elimination",
        source="Pinheiro and Bates, Mixed-Effects Models in S and S-PLUS, section 8.2 (theophylline)",
        sizes={"small": 4, "medium": 500, "large": 20_000},
        inputs=_concentrations_inputs,
        objective=_concentrations,
        reference={Operator.GRADIENT: _concentrations_gradient},
        operators=SCALAR,
        suites=_FIELD,
    ),
    Problem(
        name="phylogeny",
        title="evolution: likelihood of DNA at the n leaves of a tree, by pruning",
        source="Felsenstein, Journal of Molecular Evolution 17 (1981); Kimura (1980); Yang (2006), chapter 4",
        sizes=dict(zip(("small", "medium", "large"), _SITES, strict=True)),
        inputs=_pruning_inputs,
        objective=_pruning,
        suites=_FIELD,
    ),
    Problem(
        name="predator_prey",
        title="ecology: hares and lynxes in n years after 1900, by the equations of Lotka and Volterra",
        source="Howard, Verhagen and Stephens, Stan case study (2018); pelts: Odum, Fundamentals of Ecology (1953)",
        sizes={"small": 3, "medium": 10, "large": 20},
        inputs=_species_inputs,
        objective=_species,
        operators=_LOOP,
        suites=_FIELD,
        uses=("scan",),
    ),
    Problem(
        name="protein_torsions",
        title="structural biology: energy of a chain of atoms in its n torsions",
        source="Parsons et al., Journal of Computational Chemistry 26 (2005): coordinates from torsions",
        sizes={"small": 4, "medium": 50, "large": 300},
        inputs=_folded_inputs,
        objective=_folded,
        operators=_LOOP,
        suites=_FIELD,
        uses=("scan",),
    ),
)
