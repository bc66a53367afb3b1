"""Ladders: the values of a function at a point, at steps that fall by factors of two, and their noise.

*Noise.* The standard deviation ``sigma`` of the rounding noise of ``f`` is estimated from 14 closely spaced values
``y``. They are the sum of a smooth part, which a polynomial of degree 7 fits, and of noise. Let ``R`` be orthonormal
rows that annihilate such polynomials. Each of the 6 residuals ``R y`` has the variance of the noise, so ``sigma^2 =
mean(residuals^2)``. More and Wild (2011, "Estimating computational noise", SIAM J. Sci. Comput. 33) use fourth
differences at equal distances. These miss a noise whose period divides the distance, which is likely for a staircase
of rounded values; here the distances are irregular.

*Size.* Values are divided by the largest size seen, so that sums and squares neither overflow nor vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autodiff_compare.problems import Array

#: A function of one flat vector that returns one flat vector.
FlatFunction = Callable[[Array], Array]

#: The widest floating type in which NumPy computes on this machine: longdouble, or float64 where that is no wider.
WIDE: Any = np.longdouble if float(np.finfo(np.longdouble).eps) < float(np.finfo(np.float64).eps) else np.float64
#: Steps of a ladder: a quarter of the direction, an eighth, ...
STEPS = 17
LADDER = 0.25 * 0.5 ** np.arange(STEPS)

_NOISE_DEGREE = 7
#: Fixed nodes at irregular distances in (0, 1], multiples of 2^-10 so that steps are exact; six residuals remain.
_NOISE_NODES = np.round((np.arange(14) + np.random.default_rng(0).uniform(0.1, 1.0, 14)) / 14 * 2**10) / 2**10
# Two distances, as rounding shows at any distance and the steps of a staircase only beyond their width. Each set of
# points lies on one side of x, so that a kink or jump at x is not taken for noise.
_NOISE_POINTS = (2.0**-18 * _NOISE_NODES, -(2.0**-13) * _NOISE_NODES)
#: Steps up to which noise is measured at a distance, if asked for, and by which factor they fall.
_DISTANT, _FACTOR = 9, 3
# Where noise is measured again if there is much, and the factor by which it may be larger near the point.
_AWAY = (2.0**-5, -(2.0**-5))
_UNEVEN = 8.0
#: Roundings of a value that the bound allows for, each of the size of the value: those of its last operations.
_OPERATIONS = 2.0
# The columns of a Vandermonde matrix span the polynomials on the nodes. In its complete QR factorisation the last
# columns of Q are orthonormal to them.
_RESIDUALS = np.linalg.qr(np.vander(2 * _NOISE_NODES - 1, _NOISE_DEGREE + 1), mode="complete")[0].T[_NOISE_DEGREE + 1 :]
#: Noise above this many roundings of the function is not rounding of the function alone.
NOISY = 64.0
#: Exceptions of an objective outside its domain; they count as nan.
_OUTSIDE_DOMAIN = (ArithmeticError, ValueError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Stencil:
    """A difference formula: ``sum_i c_i f(x + h v_i) / h^order`` is a derivative up to terms of order ``h^2``."""

    order: int
    coefficients: Array
    directions: tuple[Array, ...]


@dataclass(frozen=True)
class Seen:
    """A function at a point: linear combinations of its outputs, computed in ``dtype``.

    Parameters
    ----------
    f
        Function of a flat vector of shape ``(n,)``, with values of shape ``(m,)``.
    x
        The point, shape ``(n,)``.
    weights
        Linear combinations of the outputs, shape ``(r, m)``.
    dtype
        ``np.float64``, or a wider type that the function supports.
    """

    f: FlatFunction
    x: Array
    weights: Array
    dtype: Any = np.float64

    @property
    def eps(self) -> float:
        """Return the rounding unit."""
        return float(np.finfo(self.dtype).eps)

    def at(self, shift: Array) -> tuple[Array, Array]:
        """Return ``weights @ f`` and ``|weights| @ |f|`` at ``x + shift``; nan outside the domain."""
        with np.errstate(all="ignore"):
            try:
                y = np.asarray(self.f(self.x.astype(self.dtype) + shift), dtype=self.dtype)
            except _OUTSIDE_DOMAIN:
                nothing = np.full(len(self.weights), np.nan, self.dtype)
                return nothing, nothing
            return self.weights @ y, np.abs(self.weights) @ np.abs(y)


@dataclass(frozen=True)
class Samples:
    """Values of ``weights @ f`` on the stencil, divided by ``unit``: ``values[k, i, r]`` at step k and point i.

    ``sizes`` are those of ``|weights| @ |f|``, which bound the rounding of ``values``; ``center`` and ``center_size``
    are both at ``x``. ``steps[k]`` is the step achieved in floating point, ``unit[r]`` the largest size. The noise is
    ``sigma[k, r]``, of one row if it is the same at all steps.
    """

    stencil: Stencil
    values: Array
    sizes: Array
    center: Array
    center_size: Array
    steps: Array
    sigma: Array
    unit: Array
    eps: float

    @property
    def differences(self) -> tuple[Array, Array]:
        """Return the difference at each step and its rounding bound, both of shape ``(steps, r)``.

        Where ``x + h u`` crosses a power of two, it is rounded: the difference belongs to a point half a rounding away.
        That changes it by ``eps f''/2``, and ``f''`` is ``(f(x + h u) - 2 f(x) + f(x - h u)) / h^2``.
        """
        h = self.steps[:, None] ** self.stencil.order
        weight = np.abs(self.stencil.coefficients)
        d = (np.einsum("i,kir->kr", self.stencil.coefficients, self.values) / h).astype(np.float64)
        rounding = _OPERATIONS * self.eps * np.einsum("i,kir->kr", weight, self.sizes)
        rounding = np.maximum(rounding, 3 * self.sigma * weight.sum())
        if self.stencil.order == 1:
            bend = np.abs(self.values.sum(axis=1) - 2 * self.center)
            rounding = rounding + 0.5 * self.eps * bend / self.steps[:, None]
        return d, (rounding / h).astype(np.float64) + 2 * np.finfo(np.float64).eps * np.abs(d)


def sample(seen: Seen, stencil: Stencil, factor: float, distant: bool = False) -> Samples:
    """Evaluate a function on a stencil at all steps of a ladder, and measure its noise nearby.

    Noise is everywhere. A kink or a narrow peak near ``x`` looks like noise there, but not further away. Where the
    function is constant further away, it says nothing.

    Where terms cancel that grow with the step, noise is larger at larger steps; with ``distant`` it is measured there.
    """
    nothing = np.zeros((1, len(seen.weights)))
    samples = _evaluated(seen, stencil, LADDER * factor, nothing, seen.at(np.zeros_like(seen.x)))

    def noise(start: float, points: Array, v: Array = stencil.directions[0] * factor) -> Array:
        with np.errstate(all="ignore"):
            y = np.array([seen.at((start + h) * v)[0] for h in points]) / samples.unit
            return np.where((y == y[0]).all(axis=0) & (start != 0), np.nan, _noise(y))

    sigma = np.maximum(*(_or_zero(noise(0.0, points)) for points in _NOISE_POINTS))
    if factor <= 1 and (sigma > NOISY * seen.eps).any():
        elsewhere = np.fmax(*(noise(start, points) for start, points in zip(_AWAY, _NOISE_POINTS, strict=True)))
        spread = np.minimum(np.maximum(sigma, elsewhere), _UNEVEN * elsewhere)
        sigma = np.where(np.isfinite(elsewhere), spread, sigma)
    # Where all values agree to the bit, as along an input that is not used, no noise is in their difference.
    equal = (np.einsum("i,kir->kr", stencil.coefficients, samples.values) == 0).all(axis=0)
    sigmas = np.where(equal, 0.0, sigma)[None]
    if distant:
        sigmas = np.repeat(sigmas, STEPS, axis=0)
        for k in range(0, _DISTANT, _FACTOR):
            there = [noise(LADDER[k], _NOISE_POINTS[1], v * factor) for v in stencil.directions]
            sigmas[k : k + _FACTOR] = np.maximum(sigmas[k : k + _FACTOR], np.max(_or_zero(np.stack(there)), axis=0))
    return replace(samples, sigma=sigmas)


def scan(seen: Seen, stencil: Stencil, steps: Array, like: Samples) -> Samples:
    """Evaluate a function on a stencil at a few steps, with the noise and the unit of an earlier ladder."""
    found = _evaluated(seen, stencil, steps, like.sigma[-1:], (like.center * like.unit, like.center_size * like.unit))
    ratio = found.unit / like.unit
    return replace(
        found,
        values=found.values * ratio,
        sizes=found.sizes * ratio,
        center=found.center * ratio,
        center_size=found.center_size * ratio,
        unit=like.unit,
    )


def _evaluated(seen: Seen, stencil: Stencil, steps: Array, sigma: Array, middle: tuple[Array, Array]) -> Samples:
    rows = [[seen.at(h * v) for v in stencil.directions] for h in steps]
    values, sizes = (np.array([[pair[k] for pair in row] for row in rows]) for k in (0, 1))
    center, center_size = middle
    unit = _largest([*sizes.reshape(-1, len(seen.weights)), center_size])
    with np.errstate(all="ignore"):
        return Samples(
            stencil=stencil,
            values=values / unit,
            sizes=sizes / unit,
            center=center / unit,
            center_size=center_size / unit,
            steps=_achieved(seen.x, stencil, steps),
            sigma=sigma,
            unit=unit,
            eps=seen.eps,
        )


def _largest(sizes: Sequence[Array]) -> Array:
    """Return the largest finite size of each function, 1 where there is none."""
    finite = [np.where(np.isfinite(s), s, 0.0) for s in sizes]
    biggest = np.max(finite, axis=0)
    return np.where(biggest > 0, biggest, 1.0)


def _achieved(x: Array, stencil: Stencil, steps: Array) -> Array:
    """Return the steps that floating point achieves: ``x + h u`` is rounded where ``u`` does not fit ``x``.

    Along several coordinates each achieves another step; there the noise of the function contains the rounding.
    """
    u = stencil.directions[0]
    moved = np.flatnonzero(u)
    if stencil.order != 1 or moved.size != 1:
        return steps
    at, by = x[moved[0]], u[moved[0]]
    return np.array([((at + h * by) - (at - h * by)) / (2 * by) for h in steps])


def _noise(nearby: Array) -> Array:
    """Return the standard deviation of the rounding noise; nan where the domain ends within the points."""
    residuals = _RESIDUALS @ (nearby - nearby[0]).astype(np.float64)
    return np.asarray(np.sqrt(np.mean(residuals * residuals, axis=0)))


def _or_zero(sigma: Array) -> Array:
    return np.where(np.isfinite(sigma), sigma, 0.0)
