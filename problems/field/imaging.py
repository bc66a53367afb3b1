"""Objectives of imaging: relaxation times, diffraction, registration, denoising.

*Relaxometry.* A voxel with the magnetisation ``M = e^m`` and the rate ``R = e^r`` gives at the flip angle a the signal
``S = M sin a (1 - E)/(1 - E cos a)``, ``E = exp(-T R)``. L is the sum of squared errors over all angles, and
``dS/dE = M sin a (cos a - 1)/(1 - E cos a)^2``, ``dE/dr = -T R E``.

*Phase retrieval.* A detector sees the squared modulus of the Fourier transform F of an object x among zeros, and not
its phase. F of a real x is symmetric, so that half of it is enough: ``L = mean (|F|^2 - I)^2 / 2`` over M of N entries.
With ``g = (|F|^2 - I) F`` on this half and 0 on the other, ``dL/dx = 2 N/M Re(F^-1 g)``.

*Registration.* An image is moved by ``p -> A p + c`` and compared with another. Its values between pixels are those of
cubic B-splines: sixteen coefficients around p, weighted by ``w_y w_x``, with the fraction f of a pixel::

    w = ((1-f)^3, 3 f^3 - 6 f^2 + 4, 3 (1-f)^3 - 6 (1-f)^2 + 4, f^3) / 6

*Total variation.* An image u is near a noisy one y and has few edges:
``L = |u - y|^2/2 + 0.3 sum sqrt(|grad u|^2 + 0.01)``, with differences of neighbours, zero across the border.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_FIELD = frozenset({"field"})


# ---- magnetic resonance: relaxometry

_REPETITION = 0.015


def _relaxation(m: Any, r: Any, sines: Any, cosines: Any, seen: Any, *, xp: Any) -> Any:
    E = xp.exp(-_REPETITION * xp.exp(r))[:, None]
    signal = xp.exp(m)[:, None] * sines * (1 - E) / (1 - E * cosines)
    return xp.sum((signal - seen) ** 2) / 2


def _relaxation_gradient(m: Array, r: Array, sines: Array, cosines: Array, seen: Array) -> tuple[Array, Array]:
    rate = _REPETITION * np.exp(r)[:, None]
    E, M = np.exp(-rate), np.exp(m)[:, None]
    below = 1 - E * cosines
    signal = M * sines * (1 - E) / below
    by_E = M * sines * (cosines - 1) / below**2
    error = signal - seen
    return np.sum(error * signal, axis=1), np.sum(error * by_E * -rate * E, axis=1)


def _relaxation_inputs(rng: np.random.Generator, n: int) -> Inputs:
    angles = np.radians(np.array([2.0, 5.0, 10.0, 15.0, 20.0, 30.0]))
    seen = rng.uniform(0.05, 0.3, (n, angles.size))
    return Inputs((rng.normal(0.5, 0.2, n), rng.normal(0.3, 0.3, n)), (np.sin(angles), np.cos(angles), seen))


# ---- crystallography: phase retrieval


def _diffraction(x: Any, seen: Any, *, xp: Any) -> Any:
    wide = xp.concat([x, xp.zeros_like(x)], axis=1)
    F = xp.fft.rfftn(xp.concat([wide, xp.zeros_like(wide)], axis=0))
    excess = xp.real(F) ** 2 + xp.imag(F) ** 2 - seen
    return xp.mean(excess * excess) / 2


def _diffraction_gradient(x: Array, seen: Array) -> Array:
    n = x.shape[0]
    F = np.fft.rfftn(np.pad(x, (0, n)))
    whole = np.zeros((2 * n, 2 * n), F.dtype)
    whole[:, : n + 1] = (F.real**2 + F.imag**2 - seen) * F
    return np.asarray(2 * whole.size / seen.size * np.fft.ifftn(whole).real[:n, :n])


def _diffraction_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw an object of n x n pixels, and intensities of about the size of its own."""
    return Inputs((rng.random((n, n)),), (rng.exponential(n * n / 3, (2 * n, n + 1)),))


# ---- medical imaging: registration


def _spline(f: Any, xp: Any) -> Any:
    g = 1 - f
    return xp.stack([g**3, 3 * f**3 - 6 * f**2 + 4, 3 * g**3 - 6 * g**2 + 4, f**3], axis=1) / 6


def _registration(A: Any, c: Any, pixels: Any, image: Any, other: Any, offsets: Any, *, xp: Any) -> Any:
    places = xp.matmul(pixels, xp.matrix_transpose(A)) + c
    cells = xp.floor(places)
    fractions = places - cells
    corner = xp.astype(cells[:, 0] * image.shape[1] + cells[:, 1], xp.int64)
    around = xp.reshape(corner[:, None] + offsets, (-1,))
    values = xp.reshape(xp.take(xp.reshape(image, (-1,)), around, axis=0), (-1, 4, 4))
    rows, columns = _spline(fractions[:, 0], xp), _spline(fractions[:, 1], xp)
    error = xp.sum(rows[:, :, None] * columns[:, None, :] * values, axis=(1, 2)) - other
    return xp.mean(error * error)


def _registration_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw a smooth image with a border of half its size, and the n x n pixels of another, from its middle."""
    width = 2 * n + 8
    row, column = np.arange(width)[:, None] / n, np.arange(width) / n
    image = (
        np.sin(2 * row + 1) * np.cos(3 * column)
        + 0.5 * np.sin(4 * row * column)
        + 0.1 * rng.normal(size=(width, width))
    )
    pixels = np.stack([np.repeat(np.arange(1.0, n + 1), n), np.tile(np.arange(1.0, n + 1), n)], axis=1)
    offsets = (np.arange(-1, 3)[:, None] * width + np.arange(-1, 3)).ravel()
    A, c = np.eye(2) + rng.uniform(-0.1, 0.1, (2, 2)), rng.uniform(0.2, 0.8, 2) + n / 2
    return Inputs((A, c), (pixels, image, rng.uniform(-1.0, 1.0, n * n), offsets))


# ---- image processing: total variation


def _variation(u: Any, y: Any, *, xp: Any) -> Any:
    right = xp.concat([u[:, 1:] - u[:, :-1], xp.zeros_like(u[:, :1])], axis=1)
    down = xp.concat([u[1:, :] - u[:-1, :], xp.zeros_like(u[:1, :])], axis=0)
    return xp.sum((u - y) ** 2) / 2 + 0.3 * xp.sum(xp.sqrt(right * right + down * down + 0.01))


def _variation_gradient(u: Array, y: Array) -> Array:
    right, down = np.diff(u, axis=1, append=u[:, -1:]), np.diff(u, axis=0, append=u[-1:])
    size = np.sqrt(right**2 + down**2 + 0.01)
    right, down = 0.3 * right / size, 0.3 * down / size
    gradient: Array = u - y - right - down
    gradient[:, 1:] += right[:, :-1]
    gradient[1:] += down[:-1]
    return gradient


def _variation_inputs(rng: np.random.Generator, n: int) -> Inputs:
    y = np.kron(rng.random((2, 2)), np.ones((n - n // 2, n - n // 2)))[:n, :n]
    return Inputs((y + 0.2 * rng.normal(size=(n, n)),), (y + 0.2 * rng.normal(size=(n, n)),))


PROBLEMS = (
    Problem(
        name="relaxometry",
        title="magnetic resonance: relaxation times of n voxels from signals at variable flip angles",
        source="Christensen et al. (1974); Deoni, Rutt and Peters, Magnetic Resonance in Medicine 49 (2003)",
        sizes={"small": 5, "medium": 1000, "large": 100_000},
        inputs=_relaxation_inputs,
        objective=_relaxation,
        reference={Operator.GRADIENT: _relaxation_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="phase_retrieval",
        title="crystallography: an object of n x n pixels from the intensities of its diffraction",
        source="Fienup, Applied Optics 21 (1982); Shechtman et al., IEEE Signal Processing Magazine 32 (2015)",
        sizes={"small": 3, "medium": 32, "large": 256},
        inputs=_diffraction_inputs,
        objective=_diffraction,
        reference={Operator.GRADIENT: _diffraction_gradient},
        suites=_FIELD,
    ),
    Problem(
        name="image_registration",
        title="medical imaging: affine registration of an image to n x n pixels of another, by cubic B-splines",
        source="Thevenaz, Ruttimann and Unser, IEEE Transactions on Image Processing 7 (1998)",
        sizes={"small": 4, "medium": 32, "large": 256},
        inputs=_registration_inputs,
        objective=_registration,
        suites=_FIELD,
    ),
    Problem(
        name="total_variation",
        title="image processing: denoising of n x n pixels by their total variation",
        source="Rudin, Osher and Fatemi, Physica D 60 (1992); Vogel and Oman (1996), smoothed",
        sizes={"small": 4, "medium": 64, "large": 512},
        inputs=_variation_inputs,
        objective=_variation,
        reference={Operator.GRADIENT: _variation_gradient},
        suites=_FIELD,
    ),
)
