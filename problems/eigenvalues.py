"""Derivatives of eigenvalues: the smallest eigenvalue, and the distance of all eigenvalues from a target.

The derivatives follow from perturbation theory (Kato 1966; Magnus 1985). For symmetric A with eigenvalues
``l_k`` and orthonormal eigenvectors ``v_k``, along a symmetric direction H with ``h_kl = v_k^T H v_l``::

    d l_k = h_kk        d^2 l_k = 2 sum over l != k of h_kl^2 / (l_k - l_l)

So ``dl_k/dA = v_k v_k^T``, and with M_k the symmetric part of ``v_0 v_k^T``, for which ``h_0k = <M_k, H>``::

    d^2 l_0 / dA^2 = 2 sum over k > 0 of M_k (x) M_k / (l_0 - l_k)

For the loss ``L = sum_k (l_k - t_k)^2 = |A|_F^2 - 2 sum_k t_k l_k + const``, the terms (k, l) and (l, k) of the second
derivatives of the l_k combine to divided differences::

    dL = sum_k 2 (l_k - t_k) h_kk
    d^2 L = sum_kl c_kl h_kl^2,    c_kl = 2 - 2 (t_k - t_l) / (l_k - l_l),    c_kk = 2

No single entry of a symmetric matrix can be perturbed off its diagonal, and frameworks read a full matrix in different
ways. Three of the problems are independent of that choice; ``eigenvalue_smallest_raw`` shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Descent, Inputs, Normalise, Problem
from autodiff_compare.problems.base.eigendecomposition import eigh
from autodiff_compare.vocabulary import Operator, Optimizer

_SIZES = {"small": 3, "medium": 10, "large": 30}


def _reflected(rng: np.random.Generator, spectrum: Array) -> Array:
    """Draw a full symmetric matrix with this spectrum: ``Q diag(spectrum) Q`` for a Householder reflection Q.

    The arithmetic is elementwise: LAPACK and BLAS may round differently with another number of threads.
    """
    u = rng.uniform(0.5, 1.5, spectrum.size) * rng.choice([-1.0, 1.0], spectrum.size)
    u /= np.sqrt(np.sum(u * u))
    w = spectrum * u
    A = np.diag(spectrum) - 2 * (np.outer(u, w) + np.outer(w, u)) + 4 * np.sum(u * w) * np.outer(u, u)
    return np.asarray((A + A.T) / 2)


def _one_apart(rng: np.random.Generator, n: int) -> Array:
    """Draw a symmetric matrix whose smallest eigenvalue, -1, is at least 1.5 below the others."""
    return _reflected(rng, np.concatenate([[-1.0], rng.uniform(0.5, 2.0, n - 1)]))


# ---- the smallest eigenvalue


def _smallest(A: Any, *, xp: Any) -> Any:
    return xp.linalg.eigh((A + xp.matrix_transpose(A)) / 2).eigenvalues[0]


def _smallest_raw(A: Any, *, xp: Any) -> Any:
    return xp.linalg.eigvalsh(A)[..., 0]


def _smallest_value(A: Array) -> Array:
    return np.asarray(eigh((A + A.T) / 2)[0][0])


def _smallest_gradient(A: Array) -> Array:
    v = eigh((A + A.T) / 2)[1][:, 0]
    return np.outer(v, v)


def _smallest_hessian(A: Array) -> Array:
    values, V = eigh((A + A.T) / 2)
    products = np.multiply.outer(V[:, 1:].T, V[:, 0])
    M = (products + products.transpose(0, 2, 1)) / 2
    weights = 2 / (values[0] - values[1:])
    return np.tensordot(weights[:, None, None] * M, M, axes=(0, 0))


def _any_matrix(rng: np.random.Generator, n: int) -> Inputs:
    K = rng.uniform(-1.0, 1.0, (n, n))
    return Inputs((_one_apart(rng, n) + (K - K.T) / 2,))


def _symmetric_matrix(rng: np.random.Generator, n: int) -> Inputs:
    return Inputs((_one_apart(rng, n),))


def _symmetric_part(G: Array) -> Array:
    """Symmetrise each pair of axes of a gradient (n, n) or a Hessian (n, n, n, n); return a scalar as it is."""
    for k in range(0, G.ndim - 1, 2):
        G = (G + np.swapaxes(G, k, k + 1)) / 2
    return G


# ---- eigenvalue targeting: r in R^(n(n+1)/2) -> symmetric A -> eigenvalues -> sum of squared distances


def _matrix_entries(n: int) -> Array:
    """Return the index into r of each entry of A in C order; r has the diagonal first, then each sub-diagonal.

    For n = 3: ``[[0, 3, 5], [3, 1, 4], [5, 4, 2]]``, so that A10 = r3, A21 = r4, A20 = r5.
    """
    i, j = np.indices((n, n))
    d = abs(i - j)
    return np.asarray(n * d - d * (d - 1) // 2 + np.minimum(i, j), dtype=np.int64).ravel()


def _distance(r: Any, target: Any, entries: Any, *, xp: Any) -> Any:
    n = target.shape[0]
    difference = xp.linalg.eigvalsh(xp.reshape(xp.take(r, entries, axis=0), (n, n))) - target
    return xp.sum(difference * difference)


def _matrix(r: Array, entries: Array) -> Array:
    n = round(entries.size**0.5)
    return np.asarray(r[entries].reshape(n, n))


def _onto_parameters(G: Array, r: Array, entries: Array) -> Array:
    """Return the gradient in r from that in A: each parameter off the diagonal is two entries of A."""
    out = np.zeros_like(r)
    np.add.at(out, entries, G.ravel())
    return out


def _targeting_value(r: Array, target: Array, entries: Array) -> Array:
    return np.asarray(np.sum((eigh(_matrix(r, entries))[0] - target) ** 2))


def _targeting_gradient(r: Array, target: Array, entries: Array) -> Array:
    values, V = eigh(_matrix(r, entries))
    return _onto_parameters((V * (2 * (values - target))) @ V.T, r, entries)


def _targeting_hessian(r: Array, target: Array, entries: Array) -> Array:
    """Return ``H_mn = sum_kl c_kl h[m, k, l] h[n, k, l]`` with ``h[m, k, l] = v_k^T (dA/dr_m) v_l``."""
    values, V = eigh(_matrix(r, entries))
    n = values.size
    gaps = values[:, None] - values + np.eye(n, dtype=r.dtype)
    c = 2 - 2 * (target[:, None] - target) / gaps
    h = np.zeros((r.size, n, n), r.dtype)
    np.add.at(h, entries, np.einsum("ik,jl->ijkl", V, V).reshape(n * n, n, n))
    return np.tensordot(c * h, h, axes=((1, 2), (1, 2)))


def _frobenius_weights(r: Array, entries: Array) -> Array:
    """Return the number of entries of A for each parameter: 1 on the diagonal, 2 off it."""
    return np.asarray(np.bincount(entries, minlength=r.size).astype(r.dtype))


def _identity(r: Array, entries: Array) -> Array:
    return np.asarray((_frobenius_weights(r, entries) == 1).astype(r.dtype))


# If all targets are 1, L = |A - I|_F^2: a sum of squares, without eigenvalues.
def _equal_value(r: Array, target: Array, entries: Array) -> Array:  # noqa: ARG001 - all ones
    return np.asarray(np.sum(_frobenius_weights(r, entries) * (r - _identity(r, entries)) ** 2))


def _equal_gradient(r: Array, target: Array, entries: Array) -> Array:  # noqa: ARG001
    return np.asarray(2 * _frobenius_weights(r, entries) * (r - _identity(r, entries)))


def _equal_hessian(r: Array, target: Array, entries: Array) -> Array:  # noqa: ARG001
    return np.diag(2 * _frobenius_weights(r, entries))


def _equal_target(n: int) -> Array:
    return np.ones(n)


def _distinct_target(n: int) -> Array:
    """Return n numbers from 0.5 to 2 by equal factors; (0.5, 1, 2) for n = 3."""
    return np.asarray(0.5 * 4.0 ** (np.arange(n) / max(n - 1, 1)))


def _descending_target(n: int) -> Array:
    return _distinct_target(n)[::-1].copy()


def _parameters(target: Callable[[int], Array]) -> Callable[[np.random.Generator, int], Inputs]:
    """Return ``inputs`` of a matrix with eigenvalues about 1 apart: where two are equal, L has no second derivative."""

    def inputs(rng: np.random.Generator, n: int) -> Inputs:
        A, entries = _reflected(rng, np.arange(n) - 1 + rng.uniform(0.0, 0.5, n)), _matrix_entries(n)
        r = np.empty(n * (n + 1) // 2)
        r[entries] = A.ravel()
        return Inputs((r,), (target(n), entries))

    return inputs


def _start(target: Callable[[int], Array], n: int) -> Callable[[int], Inputs]:
    def start(seed: int) -> Inputs:
        return Inputs((np.random.RandomState(seed).rand(n * (n + 1) // 2),), (target(n), _matrix_entries(n)))

    return start


def _eigenvalues(r: Array) -> Array:
    # r has n (n + 1) / 2 entries.
    n = (math.isqrt(8 * np.size(r) + 1) - 1) // 2
    return eigh(_matrix(np.asarray(r), _matrix_entries(n)))[0]


def _descent(target: Callable[[int], Array], n: int = 3, **changes: Any) -> Descent:
    """Return the classic descent: each iteration updates, then tests the loss from before its update."""
    settings: dict[str, Any] = {
        "optimizer": Optimizer("adam", learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-7, eps_hat=True),
        "start": _start(target, n),
        "starts": (0, 1, 2, 3),
        "stop_loss": 1e-8,
        "stop_when": "before",
        "max_iterations": 10_000,
        "follow": {"eigenvalues": _eigenvalues},
        "sized": lambda other: _descent(target, other, **changes),
        # The closed forms of equal targets hold for ones alone.
        "target": None if target is _equal_target else 0,
    }
    return Descent(**(settings | changes))


def _both_ways(target: Callable[[int], Array]) -> dict[str, Descent]:
    return {"by_hand": _descent(target), "minimise": _descent(target, way="minimise")}


def _targeting(
    name: str,
    title: str,
    target: Callable[[int], Array],
    reference: Mapping[Operator, Callable[..., Any]],
    descent: Mapping[str, Descent],
) -> Problem:
    return Problem(
        name=name,
        title=title,
        source=(
            "classic study: r in R^6 -> symmetric A -> ascending eigenvalues -> sum of squares, Adam until 1e-8 from "
            "RandomState(seed).rand(6); a descending target is never reached, since all eigenvalues go to its mean"
        ),
        sizes=_SIZES,
        inputs=_parameters(target),
        objective=_distance,
        reference=reference,
        descent=descent,
    )


PROBLEMS = (
    Problem(
        name="eigenvalue_smallest",
        title="smallest eigenvalue of (A + A^T)/2",
        source="classic study: d lambda_0 / dA by eigh; v v^T, and second-order perturbation theory (Kato 1966)",
        sizes=_SIZES,
        inputs=_any_matrix,
        objective=_smallest,
        reference={
            Operator.VALUE: _smallest_value,
            Operator.GRADIENT: _smallest_gradient,
            Operator.HESSIAN: _smallest_hessian,
        },
    ),
    Problem(
        name="eigenvalue_smallest_raw",
        title="smallest eigenvalue of a full symmetric matrix, as eigvalsh reads it",
        source=(
            "classic study; the gradient is symmetric, or lower triangular with doubled off-diagonals, by the "
            "framework's convention. No jvp or hvp: along a direction that is not symmetric the conventions differ"
        ),
        sizes=_SIZES,
        inputs=_symmetric_matrix,
        objective=_smallest_raw,
        operators=SCALAR - {Operator.JVP, Operator.HVP},
        reference={
            Operator.VALUE: _smallest_value,
            Operator.GRADIENT: _smallest_gradient,
            Operator.HESSIAN: _smallest_hessian,
        },
        normalise=Normalise("symmetric part (G + G^T)/2: frameworks read a full matrix differently", _symmetric_part),
    ),
    _targeting(
        "eigenvalue_targeting_equal",
        "eigenvalues to (1, 1, 1): |A - I|_F^2",
        _equal_target,
        {Operator.VALUE: _equal_value, Operator.GRADIENT: _equal_gradient, Operator.HESSIAN: _equal_hessian},
        _both_ways(_equal_target),
    ),
    _targeting(
        "eigenvalue_targeting_distinct",
        "eigenvalues to (0.5, 1, 2)",
        _distinct_target,
        {
            Operator.VALUE: _targeting_value,
            Operator.GRADIENT: _targeting_gradient,
            Operator.HESSIAN: _targeting_hessian,
        },
        {
            **_both_ways(_distinct_target),
            # Never converges: eigenvalues are ascending, the target is descending, and all eigenvalues go to its mean.
            "descending": _descent(_descending_target, max_iterations=4000),
        },
    ),
)
