"""Functions with complex values: holomorphic ones, one of real numbers, and some that are not holomorphic.

Jacobians are ``J`` with ``dy = J dz``, and ``dy = Re(J dz)`` for real values. What is not holomorphic has none; its
closed form is the derivative along a tangent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autodiff_compare.problems.base import VECTOR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_COMPLEX = frozenset({"complex"})
_SIZES: Mapping[str, int] = {"small": 4, "medium": 64, "large": 1024}


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    """Draw complex numbers whose squared modulus is 1 on average."""
    return np.asarray((rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2))


def _ring(rng: np.random.Generator, n: int) -> Array:
    """Draw numbers of modulus 0.8 to 1.6 whose argument is at most 2.5, away from the cut of the logarithm."""
    return np.asarray(rng.uniform(0.8, 1.6, n) * np.exp(1j * rng.uniform(-2.5, 2.5, n)))


def _diagonal(slope: Callable[..., Array]) -> Callable[..., Array]:
    """Return the Jacobian of a function that acts entry by entry."""
    return lambda z, *data: np.diag(slope(z, *data))


# ---- a polynomial of degree 5 at n points, by Horner's rule


def _polynomial(z: Any, c: Any, *, xp: Any) -> Any:
    found = xp.zeros_like(z) + c[0]
    for k in range(1, c.shape[0]):
        found = found * z + c[k]
    return found


def _polynomial_slope(z: Array, c: Array) -> Array:
    found = np.zeros_like(z)
    for k in range(c.size - 1):
        found = found * z + (c.size - 1 - k) * c[k]
    return found


# ---- a Moebius transformation (a z + b) / (c z + d) of n points, by its four coefficients


def _moebius(a: Any, b: Any, c: Any, d: Any, z: Any, *, xp: Any) -> Any:  # noqa: ARG001
    return (a * z + b) / (c * z + d)


def _moebius_jacobian(a: Array, b: Array, c: Array, d: Array, z: Array) -> tuple[Array, ...]:
    p, q = a * z + b, c * z + d
    return z / q, 1 / q, -z * p / q**2, -p / q**2


def _moebius_inputs(rng: np.random.Generator, n: int) -> Inputs:
    a, b, c = (np.asarray(_normal(rng)) for _ in range(3))
    # |d| over |c z|, so that no point comes close to the pole.
    return Inputs((a, b, c / (1 + abs(c)), np.asarray(3 + _normal(rng) / 3)), (_ring(rng, n),))


# ---- the solution x of A x = b: from dA x + A dx = db follows dx_i = sum_k (A^-1)_ik (db_k - sum_l dA_kl x_l)


def _solution(A: Any, b: Any, *, xp: Any) -> Any:
    return xp.linalg.solve(A, b[:, None])[:, 0]


def _solution_jacobian(A: Array, b: Array) -> tuple[Array, Array]:
    inverse = np.linalg.inv(A)
    return -inverse[:, :, None] * (inverse @ b)[None, None, :], inverse


# ---- the determinant: d det A = det A tr(A^-1 dA), so that J = det A (A^-1)^T


def _determinant_jacobian(A: Array) -> Array:
    return np.asarray(np.linalg.det(A) * np.linalg.inv(A).T)


def _matrix(rng: np.random.Generator, n: int) -> Array:
    return np.asarray(_normal(rng, n, n) / np.sqrt(n) + 2 * np.eye(n))


# ---- circular convolution y_i = sum_j z_j w_(i - j) by Fourier transforms


def _convolution(z: Any, w: Any, *, xp: Any) -> Any:
    return xp.fft.ifft(xp.fft.fft(z) * xp.fft.fft(w))


def _convolution_jacobian(z: Array, w: Array) -> tuple[Array, Array]:
    k = np.arange(z.size)
    shift = (k[:, None] - k) % z.size
    return w[shift], z[shift]


# ---- moduli |F_k| of the Fourier transform, real: d|F| = Re(conj(F) dF) / |F|, so that
# J_kj = conj(F_k)/|F_k| e^(-2 pi i jk/n)


def _spectrum_jacobian(z: Array) -> Array:
    F, k = np.fft.fft(z), np.arange(z.size)
    # Whole numbers of turns are exact, so that the phase keeps all digits.
    turns = (np.outer(k, k) % z.size).astype(z.real.dtype) / z.size
    angle = 2 * np.arctan2(np.zeros_like(turns), -np.ones_like(turns)) * turns
    return np.asarray((np.conj(F) / np.abs(F))[:, None] * (np.cos(angle) - 1j * np.sin(angle)))


# ---- impedance of a resistor, a coil and a capacitor in series, R + s L + 1 / (s C), at s = i omega


def _impedance(R: Any, L: Any, C: Any, s: Any, *, xp: Any) -> Any:
    of_R, of_L, of_C = (xp.astype(x, s.dtype) for x in (R, L, C))
    return of_R + s * of_L + 1 / (s * of_C)


def _impedance_jacobian(R: Array, L: Array, C: Array, s: Array) -> tuple[Array, ...]:  # noqa: ARG001
    return np.ones_like(s), s, -1 / (s * C**2)


def _impedance_inputs(rng: np.random.Generator, n: int) -> Inputs:
    R, L, C = (np.asarray(x) for x in rng.uniform(0.5, 2, 3))
    return Inputs((R, L, C), (1j * np.linspace(0.5, 3, n),))


# ---- the cubic term |z|^2 z of the nonlinear Schroedinger equation: along t it is 2 |z|^2 t + z^2 conj(t)


def _kerr(z: Any, *, xp: Any) -> Any:
    return z * z * xp.conj(z)


def _kerr_jvp(z: Array, t: Array) -> Array:
    return np.asarray(2 * np.abs(z) ** 2 * t + z * z * np.conj(t))


# ---- power injected at the nodes of an electric network, V conj(Y V): along t it is t conj(Y V) + V conj(Y t)


def _injections(V: Any, Y: Any, *, xp: Any) -> Any:
    return V * xp.conj(xp.matmul(Y, V))


def _injections_jvp(V: Array, Y: Array, t: Array) -> Array:
    return np.asarray(t * np.conj(Y @ V) + V * np.conj(Y @ t))


def _injections_inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw voltages near 1, and admittances of lines between any two nodes."""
    lines = np.triu(rng.uniform(0.5, 1, (n, n)) - 1j * rng.uniform(3, 8, (n, n)), 1)
    lines = lines + lines.T
    return Inputs((1 + 0.1 * _normal(rng, n),), (np.diag(lines.sum(axis=1)) - lines,))


def _map(
    name: str,
    title: str,
    source: str,
    inputs: Any,
    objective: Any,
    reference: Mapping[Operator, Any],
    sizes: Mapping[str, int] = _SIZES,
) -> Problem:
    operators = VECTOR if Operator.JACOBIAN in reference else VECTOR - {Operator.JACOBIAN}
    return Problem(
        name, title, source, sizes, inputs, objective, operators, reference, suites=_COMPLEX, complex_numbers=True
    )


_J, _T = Operator.JACOBIAN, Operator.JVP
_MATRICES: Mapping[str, int] = {"small": 3, "medium": 8, "large": 24}

PROBLEMS = (
    _map(
        "complex_polynomial",
        "a polynomial of degree 5 at complex points, by Horner's rule",
        "p' by Horner's rule",
        lambda rng, n: Inputs((_ring(rng, n),), (_normal(rng, 6),)),
        _polynomial,
        {_J: _diagonal(_polynomial_slope)},
    ),
    _map(
        "moebius",
        "(a z + b) / (c z + d), by a, b, c and d",
        "Needham 1997, Visual complex analysis, chapter 3; derivatives of the quotient",
        _moebius_inputs,
        _moebius,
        {_J: _moebius_jacobian},
    ),
    _map(
        "joukowski",
        "z + 1/z: circles to wing sections",
        "Joukowsky 1910; slope 1 - 1/z^2",
        lambda rng, n: Inputs((_ring(rng, n),)),
        lambda z, *, xp: z + 1 / z,  # noqa: ARG005
        {_J: _diagonal(lambda z: 1 - 1 / z**2)},
    ),
    _map(
        "complex_elementary",
        "exp(sin z) + log z + sqrt z",
        "slope cos z exp(sin z) + 1/z + 1/(2 sqrt z)",
        lambda rng, n: Inputs((_ring(rng, n),)),
        lambda z, *, xp: xp.exp(xp.sin(z)) + xp.log(z) + xp.sqrt(z),
        {_J: _diagonal(lambda z: np.cos(z) * np.exp(np.sin(z)) + 1 / z + 1 / (2 * np.sqrt(z)))},
    ),
    _map(
        "newton_fractal",
        "a step of Newton's method for z^3 = 1",
        "Cayley 1879; slope p p'' / p'^2 = 2/3 (1 - 1/z^3)",
        lambda rng, n: Inputs((_ring(rng, n),)),
        lambda z, *, xp: z - (z * z * z - 1) / (3 * z * z),  # noqa: ARG005
        {_J: _diagonal(lambda z: 2 * (1 - 1 / z**3) / 3)},
    ),
    _map(
        "complex_solve",
        "the solution of A x = b, by A and b",
        "dx = A^-1 (db - dA x)",
        lambda rng, n: Inputs((_matrix(rng, n), _normal(rng, n))),
        _solution,
        {_J: _solution_jacobian},
        _MATRICES,
    ),
    _map(
        "complex_determinant",
        "det A of a complex matrix",
        "Jacobi's formula: d det A = det A tr(A^-1 dA)",
        lambda rng, n: Inputs((_matrix(rng, n),)),
        lambda A, *, xp: xp.linalg.det(A),
        {_J: _determinant_jacobian},
        _MATRICES,
    ),
    _map(
        "circular_convolution",
        "ifft(fft(z) fft(w)), by z and w",
        "convolution theorem: y_i = sum_j z_j w_(i - j)",
        lambda rng, n: Inputs((_normal(rng, n), _normal(rng, n))),
        _convolution,
        {_J: _convolution_jacobian},
        {"small": 4, "medium": 32, "large": 256},
    ),
    _map(
        "spectrum_moduli",
        "|fft(z)|: real values of complex numbers",
        "d|F| = Re(conj(F) dF) / |F|",
        lambda rng, n: Inputs((_normal(rng, n),)),
        lambda z, *, xp: xp.abs(xp.fft.fft(z)),
        {_J: _spectrum_jacobian},
        {"small": 4, "medium": 32, "large": 256},
    ),
    _map(
        "impedance",
        "R + s L + 1/(s C): complex values of real numbers",
        "series circuit; derivatives 1, s and -1/(s C^2)",
        _impedance_inputs,
        _impedance,
        {_J: _impedance_jacobian},
    ),
    _map(
        "kerr",
        "|z|^2 z, which is not holomorphic",
        "Agrawal 2019, Nonlinear fiber optics, chapter 2",
        lambda rng, n: Inputs((_normal(rng, n),)),
        _kerr,
        {_T: _kerr_jvp},
    ),
    _map(
        "power_injections",
        "V conj(Y V): power flow of an electric network, not holomorphic",
        "Stott 1974, Review of load-flow calculation methods, Proc. IEEE 62",
        _injections_inputs,
        _injections,
        {_T: _injections_jvp},
        {"small": 4, "medium": 32, "large": 128},
    ),
)
