"""Real-valued functions of complex numbers: losses of signal processing, physics and learning.

Gradients are ``dL/da + i dL/db`` for an input ``a + ib``: ``g`` with ``dL = Re(conj(g) dz)``, summed over all entries.
A residual ``r`` that depends on z without its conjugate, ``dr = J dz``, gives ``|r|^2`` the gradient ``2 J^H r``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_COMPLEX = frozenset({"complex"})
#: A Hessian of complex numbers is no complex matrix.
_OPERATORS = SCALAR - {Operator.HESSIAN}


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    """Draw complex numbers whose squared modulus is 1 on average."""
    return np.asarray((rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2))


def _power(r: Any, xp: Any) -> Any:
    """Return the squared modulus of each entry."""
    return xp.real(r) ** 2 + xp.imag(r) ** 2


def _hermitian(A: Array) -> Array:
    """Return the conjugate transpose."""
    return np.conj(A.T)


# ---- least squares: |A z - b|^2, with gradient 2 A^H (A z - b)


def _least_squares(z: Any, A: Any, b: Any, *, xp: Any) -> Any:
    return xp.sum(_power(xp.matmul(A, z) - b, xp))


def _least_squares_gradient(z: Array, A: Array, b: Array) -> Array:
    return np.asarray(2 * _hermitian(A) @ (A @ z - b))


# ---- phase retrieval by Wirtinger flow: sum (|A z|^2 - y)^2 / m. With u = A z, d|u|^2 = 2 Re(conj(u) du) and
# du = A dz, so that the gradient is 4 A^H ((|u|^2 - y) u) / m.


def _wirtinger_flow(z: Any, A: Any, y: Any, *, xp: Any) -> Any:
    return xp.mean((_power(xp.matmul(A, z), xp) - y) ** 2)


def _wirtinger_flow_gradient(z: Array, A: Array, y: Array) -> Array:
    u = A @ z
    return np.asarray(4 * _hermitian(A) @ ((np.abs(u) ** 2 - y) * u) / y.size)


# ---- Hermitian form: Re(z^H H z) has the gradient 2 H z for Hermitian H


def _hermitian_form(z: Any, H: Any, *, xp: Any) -> Any:
    return xp.sum(xp.real(xp.conj(z) * xp.matmul(H, z)))


def _hermitian_inputs(rng: np.random.Generator, n: int) -> Inputs:
    A = _normal(rng, n, n)
    return Inputs((_normal(rng, n),), (A + _hermitian(A),))


# ---- beamformer: the received power P = w^H R w over the signal S = |d^H w|^2. As dP = 2 Re((R w)^H dw) and
# dS = 2 Re((d^H w) conj(d^H dw)), the gradient is 2 R w / S - 2 P d (d^H w) / S^2.


def _beamformer(w: Any, R: Any, d: Any, *, xp: Any) -> Any:
    power = xp.sum(xp.real(xp.conj(w) * xp.matmul(R, w)))
    return power / _power(xp.sum(xp.conj(d) * w), xp)


def _beamformer_gradient(w: Array, R: Array, d: Array) -> Array:
    a = np.sum(np.conj(d) * w)
    S, P = np.abs(a) ** 2, np.sum(np.real(np.conj(w) * (R @ w)))
    return np.asarray(2 * (R @ w) / S - 2 * P * d * a / S**2)


def _beamformer_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw weights, the covariance of two interferers and of noise, and the steering vector of a line of antennas."""
    k = np.arange(n)
    first, second, wanted = (np.exp(1j * np.pi * k * angle) for angle in (0.3, -0.6, 0.1))
    R = 3 * np.outer(first, np.conj(first)) + 2 * np.outer(second, np.conj(second)) + 0.1 * np.eye(n)
    return Inputs((_normal(rng, n) + wanted,), (R, wanted))


# ---- spectral energy: sum w_k |F_k|^2 of the discrete Fourier transform F of z. The adjoint of the transform of n
# numbers is n times its inverse, so that the gradient is 2 n ifft(w F).


def _spectral_energy(z: Any, weights: Any, *, xp: Any) -> Any:
    return xp.sum(weights * _power(xp.fft.fft(z), xp))


def _spectral_energy_gradient(z: Array, weights: Array) -> Array:
    return np.asarray(2 * z.size * np.fft.ifft(weights * np.fft.fft(z)))


# ---- point vortices: -sum_(i<j) s_ij log |z_i - z_j|, with the products s_ij of their strengths (Kirchhoff 1876). As
# d log |u| = Re(conj(u) du) / |u|^2, a pair adds -s u / |u|^2 to the gradient by z_i, and the opposite to that by z_j.


def _vortices(z: Any, products: Any, first: Any, second: Any, *, xp: Any) -> Any:
    return -xp.sum(products * xp.log(xp.abs(xp.take(z, first, axis=0) - xp.take(z, second, axis=0))))


def _vortices_gradient(z: Array, products: Array, first: Array, second: Array) -> Array:
    u, found = z[first] - z[second], np.zeros_like(z)
    term = products / np.conj(u)
    np.subtract.at(found, first, term)
    np.add.at(found, second, term)
    return found


def _vortices_inputs(rng: np.random.Generator, n: int) -> Inputs:
    first, second = np.triu_indices(n, 1)
    strength = rng.uniform(0.5, 1.5, n) * rng.choice([-1.0, 1.0], n)
    # On a spiral, so that no two come close.
    place = np.sqrt(np.arange(1.0, n + 1)) * np.exp(2.4j * np.arange(n))
    return Inputs((place + 0.1 * _normal(rng, n),), (strength[first] * strength[second], first, second))


# ---- infidelity of a quantum state: 1 - |c|^2 / N with the overlap c = f^H z and the norm N = z^H z. As
# dN = 2 Re(z^H dz) and d|c|^2 = 2 Re(conj(c) f^H dz), the gradient is 2 |c|^2 z / N^2 - 2 f c / N.


def _infidelity(z: Any, target: Any, *, xp: Any) -> Any:
    return 1 - _power(xp.sum(xp.conj(target) * z), xp) / xp.sum(_power(z, xp))


def _infidelity_gradient(z: Array, target: Array) -> Array:
    c, N = np.sum(np.conj(target) * z), np.sum(np.abs(z) ** 2)
    return np.asarray(2 * np.abs(c) ** 2 * z / N**2 - 2 * target * c / N)


# ---- damped oscillations: sum over t of |sum_k c_k exp(s_k t) - y_t|^2 (Prony 1795), amplitudes c and rates s. The
# residual r has dr = E dc + T E (c ds) with E = exp(t s) and T = diag(t).


def _oscillations(c: Any, s: Any, t: Any, y: Any, *, xp: Any) -> Any:
    return xp.sum(_power(xp.matmul(xp.exp(t[:, None] * s[None, :]), c) - y, xp))


def _oscillations_gradient(c: Array, s: Array, t: Array, y: Array) -> tuple[Array, Array]:
    E = np.exp(t[:, None] * s[None, :])
    r = E @ c - y
    return 2 * _hermitian(E) @ r, 2 * np.conj(c) * (_hermitian(E) @ (np.conj(t) * r))


def _oscillations_inputs(rng: np.random.Generator, n: int) -> Inputs:
    rates = -rng.uniform(0.1, 0.5, n) + 1j * rng.uniform(-4, 4, n)
    # Times are complex numbers too: TensorFlow multiplies no real array by a complex one.
    return Inputs((_normal(rng, n), rates), (np.linspace(0, 3, 6 * n) + 0j, _normal(rng, 6 * n)))


# ---- calibration of antennas: sum_ij |g_i conj(g_j) M_ij - V_ij|^2 for gains g. The gains enter with and without their
# conjugate. With the residual R, dR_ij = (dg_i conj(g_j) + g_i conj(dg_j)) M_ij gives the gradient
# 2 sum_j R_ij g_j conj(M_ij) + 2 sum_k conj(R_ki) M_ki g_k.


def _calibration(g: Any, M: Any, V: Any, *, xp: Any) -> Any:
    return xp.sum(_power(g[:, None] * xp.conj(g)[None, :] * M - V, xp))


def _calibration_gradient(g: Array, M: Array, V: Array) -> Array:
    R = np.outer(g, np.conj(g)) * M - V
    return np.asarray(2 * (R * np.conj(M)) @ g + 2 * (np.conj(R) * M).T @ g)


# ---- real gains of complex signals: |a z - d|^2 entry by entry. With r = a z - d, dr = z da + a dz: the gradient is
# 2 Re(conj(z) r) by the real a, and 2 a r by z.


def _real_gains(a: Any, z: Any, d: Any, *, xp: Any) -> Any:
    return xp.sum(_power(xp.astype(a, z.dtype) * z - d, xp))


def _real_gains_gradient(a: Array, z: Array, d: Array) -> tuple[Array, Array]:
    r = a * z - d
    return 2 * np.real(np.conj(z) * r), 2 * a * r


# ---- a network of complex numbers: mean |tanh(X W) v - y|^2 over the n rows. With h = tanh(X W) and the residual r,
# dr = h dv + ((X dW) (1 - h^2)) v: the gradients are 2/n h^H r by v, and 2/n X^H ((r v^H) conj(1 - h^2)) by W.


def _network(W: Any, v: Any, X: Any, y: Any, *, xp: Any) -> Any:
    return xp.mean(_power(xp.matmul(xp.tanh(xp.matmul(X, W)), v) - y, xp))


def _network_gradient(W: Array, v: Array, X: Array, y: Array) -> tuple[Array, Array]:
    h = np.tanh(X @ W)
    r = h @ v - y
    by_W = _hermitian(X) @ (np.outer(r, np.conj(v)) * np.conj(1 - h**2))
    return 2 * by_W / y.size, 2 * _hermitian(h) @ r / y.size


def _loss(name: str, title: str, source: str, inputs: Any, objective: Any, gradient: Any, **sizes: int) -> Problem:
    return Problem(
        name,
        title,
        source,
        sizes or {"small": 4, "medium": 32, "large": 256},
        inputs,
        objective,
        _OPERATORS,
        {Operator.GRADIENT: gradient},
        suites=_COMPLEX,
        complex_numbers=True,
    )


PROBLEMS = (
    _loss(
        "complex_least_squares",
        "least squares |A z - b|^2 in complex numbers",
        "normal equations; gradient 2 A^H (A z - b)",
        lambda rng, n: Inputs((_normal(rng, n),), (_normal(rng, 2 * n, n), _normal(rng, 2 * n))),
        _least_squares,
        _least_squares_gradient,
    ),
    _loss(
        "wirtinger_flow",
        "mean (|A z|^2 - y)^2: a signal from intensities",
        "Candes, Li and Soltanolkotabi 2015, Wirtinger flow, IEEE Trans. Inform. Theory 61",
        lambda rng, n: Inputs((_normal(rng, n),), (_normal(rng, 4 * n, n), rng.uniform(0.5, 2, 4 * n))),
        _wirtinger_flow,
        _wirtinger_flow_gradient,
    ),
    _loss(
        "hermitian_form",
        "z^H H z for Hermitian H",
        "gradient 2 H z",
        _hermitian_inputs,
        _hermitian_form,
        lambda z, H: 2 * H @ z,
    ),
    _loss(
        "beamformer",
        "received power over signal power of an antenna array",
        "Capon 1969, Proc. IEEE 57; the gradient follows from the quotient",
        _beamformer_inputs,
        _beamformer,
        _beamformer_gradient,
    ),
    _loss(
        "spectral_energy",
        "sum w |fft(z)|^2",
        "Parseval: the adjoint of the transform is n times its inverse",
        lambda rng, n: Inputs((_normal(rng, n),), (rng.uniform(0.5, 2, n),)),
        _spectral_energy,
        _spectral_energy_gradient,
        small=8,
        medium=256,
        large=4096,
    ),
    _loss(
        "vortices",
        "energy of point vortices in the plane",
        "Kirchhoff 1876, Vorlesungen ueber mathematische Physik, lecture 20",
        _vortices_inputs,
        _vortices,
        _vortices_gradient,
        small=5,
        medium=24,
        large=128,
    ),
    _loss(
        "infidelity",
        "1 - |f^H z|^2 / z^H z: how far a quantum state is from a target",
        "Nielsen and Chuang 2000, section 9.2; the gradient follows from the quotient",
        lambda rng, n: Inputs((_normal(rng, n),), (_normal(rng, n),)),
        _infidelity,
        _infidelity_gradient,
    ),
    _loss(
        "damped_oscillations",
        "fit of damped oscillations by complex amplitudes and rates",
        "Prony 1795; least squares of a sum of exponentials",
        _oscillations_inputs,
        _oscillations,
        _oscillations_gradient,
        small=2,
        medium=8,
        large=32,
    ),
    _loss(
        "calibration",
        "gains of antennas from products g_i conj(g_j) M_ij",
        "Smirnov and Tasse 2015, MNRAS 449: calibration by complex optimisation",
        lambda rng, n: Inputs((_normal(rng, n) + 1,), (_normal(rng, n, n), _normal(rng, n, n))),
        _calibration,
        _calibration_gradient,
    ),
    _loss(
        "real_gains",
        "|a z - d|^2 for real gains a and complex signals z",
        "gradients 2 Re(conj(z) r) and 2 a r of the residual r",
        lambda rng, n: Inputs((rng.uniform(0.5, 2, n), _normal(rng, n)), (_normal(rng, n),)),
        _real_gains,
        _real_gains_gradient,
    ),
    _loss(
        "complex_network",
        "a layer of tanh with complex weights",
        "Trabelsi et al. 2018, Deep complex networks; gradients by the chain rule",
        lambda rng, n: Inputs((_normal(rng, 3, n) / 2, _normal(rng, n)), (_normal(rng, 2 * n, 3), _normal(rng, 2 * n))),
        _network,
        _network_gradient,
        small=3,
        medium=24,
        large=128,
    ),
)
