"""Laws of science in SI units: functions whose inputs differ by up to fifty orders of magnitude.

Each row is one function of scalars, written once against an array namespace ``xp``, at values from the literature.
Constants are those of CODATA 2018 (Tiesinga et al. 2021, Rev. Mod. Phys. 93, 025010).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

K_B, H, C, E = 1.380649e-23, 6.62607015e-34, 299792458.0, 1.602176634e-19
R, F, G, EPS_0 = 8.314462618, 96485.33212, 6.67430e-11, 8.8541878128e-12


@dataclass(frozen=True)
class Law:
    """One function with its parameters.

    Parameters
    ----------
    field
        Field of science; unique.
    source
        Origin of the formula and of the values.
    f
        ``f(*parameters, *data, xp)``, of scalars and of the arrays of ``data``; it returns a scalar.
    at
        Values of the parameters, in SI units. No derivative by any of them is zero.
    data
        Arrays that are not differentiated.
    """

    field: str
    source: str
    f: Callable[..., Any]
    at: tuple[float, ...]
    data: tuple[tuple[float, ...], ...] = ()

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Return the data as arrays."""
        return tuple(map(np.array, self.data))


def _planck(wavelength: Any, T: Any, xp: Any) -> Any:
    return 2 * H * C**2 / wavelength**5 / xp.expm1(H * C / (wavelength * K_B * T))


def _rlc(resistance: Any, L: Any, capacity: Any, w: Any, xp: Any) -> Any:
    return xp.sqrt(resistance**2 + (w * L - 1 / (w * capacity)) ** 2)


def _damped(m: Any, c: Any, k: Any, t: Any, xp: Any) -> Any:
    decay = c / (2 * m)
    return 0.02 * xp.exp(-decay * t) * xp.cos(xp.sqrt(k / m - decay**2) * t)


def _bateman(dose: Any, V: Any, absorption: Any, elimination: Any, t: Any, xp: Any) -> Any:
    decay = xp.exp(-elimination * t) - xp.exp(-absorption * t)
    return dose * absorption / (V * (absorption - elimination)) * decay


def _likelihood(mu: Any, sigma: Any, x: Any, xp: Any) -> Any:
    return -xp.sum(((x - mu) / sigma) ** 2) / 2 - x.shape[0] * xp.log(sigma)


def _friction(rho: Any, v: Any, D: Any, mu: Any, xp: Any) -> Any:
    factor = 0.316 * (rho * v * D / mu) ** -0.25
    return factor / D * rho * v**2 / 2


def _blackbody_fit(scale: Any, T: Any, wavelengths: Any, radiances: Any, xp: Any) -> Any:
    return xp.sum((scale * _planck(wavelengths, T, xp) / radiances - 1) ** 2)


def _lensmaker(n: Any, r1: Any, r2: Any, d: Any, xp: Any) -> Any:
    return (n - 1) * (1 / r1 - 1 / r2 + (n - 1) * d / (n * r1 * r2))


LAWS = (
    Law("enzyme kinetics", "Michaelis and Menten 1913; a fit of vmax and km to five rates",
        lambda vmax, km, s, v, xp: xp.sum((vmax * s / (km + s) - v) ** 2), (90.0, 1e-4),
        ((1e-5, 3e-5, 1e-4, 3e-4, 1e-3), (8.0, 21.0, 46.0, 71.0, 90.0))),
    Law("chemical kinetics", "Arrhenius 1889; a first-order reaction at 80 kJ/mol and 25 C",
        lambda A, energy, T, xp: A * xp.exp(-energy / (R * T)), (1e13, 8e4, 298.15)),
    Law("thermal radiation", "Planck 1900; the sun at 500 nm", _planck, (5e-7, 5778.0)),
    Law("blackbody fit", "Planck 1900; emissivity and temperature from four wavelengths", _blackbody_fit, (0.9, 3000.0),
        ((8e-7, 1e-6, 1.5e-6, 2e-6), (8.0e11, 9.5e11, 6.1e11, 3.3e11))),
    Law("thin lenses", "Hecht, Optics, 5.23: image distance of a 50 mm lens",
        lambda f, distance, xp: 1 / (1 / f - 1 / distance), (0.05, 2.0)),
    Law("lens design", "Hecht, Optics, 6.2: the lensmaker's equation, BK7 glass", _lensmaker,
        (1.5168, 0.1, -0.1, 5e-3)),
    Law("RC circuits", "Horowitz and Hill 1.4.2: 10 kOhm and 1 uF discharge from 5 V",
        lambda V, resistance, capacity, t, xp: V * xp.exp(-t / (resistance * capacity)), (5.0, 1e4, 1e-6, 5e-3)),
    Law("RLC circuits", "Horowitz and Hill 1.7.14: impedance in series at 120 kHz", _rlc, (50.0, 1e-3, 1e-9, 7.54e5)),
    Law("celestial mechanics", "Kepler 1619; the year of the earth", lambda a, M, xp: 2 * pi * xp.sqrt(a**3 / (G * M)),
        (1.495978707e11, 1.98847e30)),
    Law("relativity", "Einstein 1915: advance of the perihelion of Mercury",
        lambda M, a, e, xp: 6 * pi * G * M / (C**2 * a * (1 - e**2)), (1.98847e30, 5.7909e10, 0.2056)),
    Law("beam bending", "Timoshenko 1930: tip of a steel cantilever", lambda P, L, Y, J, xp: P * L**3 / (3 * Y * J),
        (1e3, 2.0, 2.0e11, 8.33e-6)),
    Law("electrochemistry", "Nernst 1889: a copper electrode in 1 mol/m^3",
        lambda E0, T, c, xp: E0 + R * T / (2 * F) * xp.log(c / 1e3), (0.34, 298.15, 1.0)),
    Law("plasma", "Debye and Hueckel 1923: screening at 1e4 K and 1e18 per m^3",
        lambda T, n, xp: xp.sqrt(EPS_0 * K_B * T / (n * E**2)), (1e4, 1e18)),
    Law("diodes", "Shockley 1949: 0.6 V forward", lambda Is, V, n, T, xp: Is * xp.expm1(E * V / (n * K_B * T)),
        (1e-14, 0.6, 1.2, 300.0)),
    Law("drag", "Rayleigh 1876: a car at 30 m/s", lambda rho, v, c, A, xp: rho * v**2 * c * A / 2,
        (1.225, 30.0, 0.3, 2.2)),
    Law("heat conduction", "Carslaw and Jaeger 10.3: a plane source in copper",
        lambda q, a, t, x, xp: q / xp.sqrt(4 * pi * a * t) * xp.exp(-(x**2) / (4 * a * t)),
        (0.01, 1.11e-4, 10.0, 0.03)),
    Law("real gases", "van der Waals 1873: a mole of carbon dioxide in a litre",
        lambda V, T, a, b, xp: R * T / (V - b) - a / V**2, (1e-3, 300.0, 0.3640, 4.267e-5)),
    Law("pharmacokinetics", "Bateman 1910; 320 mg of theophylline after two hours, rates per second", _bateman,
        (3.2e-4, 0.0325, 4.2e-4, 2.2e-5, 7200.0)),
    Law("statistics", "Gauss 1809: log-likelihood of lengths with sigma = 0.1 mm", _likelihood, (0.01015, 1e-4),
        ((0.01, 0.0101, 0.0103, 0.0102, 0.0104),)),
    Law("population growth", "Verhulst 1838: bacteria from a thousand, rates per second",
        lambda K, N, r, t, xp: K / (1 + (K - N) / N * xp.exp(-r * t)), (1e9, 1e3, 2e-4, 4e4)),
    Law("oscillations", "Landau and Lifshitz, Mechanics, 25: a damped spring", _damped, (0.2, 0.3, 50.0, 0.7)),
    Law("crystallography", "Bragg 1913: photon energy at the 111 reflection of silicon",
        lambda d, theta, xp: H * C / (2 * d * xp.sin(theta)), (3.1356e-10, 0.2475)),
    Law("sedimentation", "Stokes 1851: a grain of quartz in water",
        lambda rho, r, mu, xp: 2 / 9 * (rho - 998.0) * 9.80665 * r**2 / mu, (2650.0, 1e-6, 1.002e-3)),
    Law("pipe flow", "Blasius 1913: loss of pressure at Reynolds 2e4", _friction, (998.0, 1.0, 0.02, 1.002e-3)),
    Law("solid state", "Fermi 1926: occupation near the Fermi level of copper",
        lambda energy, mu, T, xp: 1 / (xp.exp((energy - mu) / (K_B * T)) + 1), (1.1235e-18, 1.1215e-18, 300.0)),
    Law("molecules", "Morse 1929: hydrogen chloride",
        lambda D, a, r, r0, xp: D * (1 - xp.exp(-a * (r - r0))) ** 2, (7.40e-19, 1.869e10, 1.4e-10, 1.2746e-10)),
    Law("molecular dynamics", "Lennard-Jones 1924: argon, Rahman 1964",
        lambda eps, s, r, xp: 4 * eps * ((s / r) ** 12 - (s / r) ** 6), (1.654e-21, 3.405e-10, 3.9e-10)),
    Law("vapour pressure", "Clausius 1850: water at 330 K",
        lambda p, L, T, T0, xp: p * xp.exp(-L / R * (1 / T - 1 / T0)), (101325.0, 40660.0, 330.0, 373.15)),
    Law("interferometry", "Michelson 1881: 123 um and helium-neon light",
        lambda A, d, wavelength, xp: A * (1 + 0.9 * xp.cos(4 * pi * d / wavelength)), (1e-3, 1.23456e-4, 6.328e-7)),
    Law("Hall effect", "Hall 1879: a foil of copper", lambda A, B, n, t, xp: A * B / (n * E * t),
        (1e-3, 0.5, 8.5e28, 1e-4)),
    Law("radioactivity", "Rutherford 1900: activity of carbon 14 after a half-life",
        lambda N, rate, t, xp: N * rate * xp.exp(-rate * t), (1e12, 3.836e-12, 1.8e11)),
    Law("acoustics", "Kinsler 5: level of a milliwatt at 10 m",
        lambda W, r, xp: 10 * xp.log10(W * 413.0 / (4 * pi * r**2) / 4e-10), (1e-3, 10.0)),
    Law("semiconductors", "Sze 2.2: depletion width of a silicon junction",
        lambda donors, V, xp: xp.sqrt(2 * 11.7 * EPS_0 * V * (1e-23 + 1 / donors) / E), (1e22, 0.75)),
    Law("atmosphere", "Laplace 1805: pressure on Mont Blanc",
        lambda p, M, h, T, xp: p * xp.exp(-M * 9.80665 * h / (R * T)), (101325.0, 0.0289644, 4808.0, 273.15)),
    Law("electrostatics", "Coulomb 1785: two ions in water, 1 nm apart",
        lambda q1, q2, r, xp: q1 * q2 / (4 * pi * EPS_0 * 78.4 * r), (E, -E, 1e-9)),
    Law("spectroscopy", "Rydberg 1888: H alpha", lambda n, m, rydberg, xp: 1 / (rydberg * (1 / n**2 - 1 / m**2)),
        (2.0, 3.0, 1.0967758e7)),
    Law("magnetic resonance", "Bloch 1946: spin echo of grey matter",
        lambda M, TR, T1, TE, T2, xp: M * (1 - xp.exp(-TR / T1)) * xp.exp(-TE / T2), (1.0, 0.5, 0.95, 0.02, 0.1)),
    Law("acids", "Ostwald 1888: hydrogen ions of 0.1 M acetic acid",
        lambda Ka, c, xp: (xp.sqrt(Ka**2 + 4 * Ka * c) - Ka) / 2, (1.8e-5, 0.1)),
    Law("rockets", "Tsiolkovsky 1903: first stage of Saturn V", lambda v, m0, m1, xp: v * xp.log(m0 / m1),
        (2580.0, 2.97e6, 7.9e5)),
    Law("cosmology", "Etherington 1933: luminosity distance for small z, per second",
        lambda H0, z, q, xp: C / H0 * (z + (1 - q) * z**2 / 2), (2.2e-18, 0.05, -0.55)),
)  # fmt: skip
