"""k-means: the sum of squared distances of points to their nearest centre, and its Newton step.

Where no point is equally near to two centres, with n_j the number of points P_i nearest to centre C_j::

    L = sum_j sum_i |C_j - P_i|^2,    dL/dC_j = 2 (n_j C_j - sum_i P_i),    H = diag(2 n_j)

The Newton step is gradient / diagonal = C_j - mean of the points of j: one iteration of Lloyd's algorithm. The product
of a diagonal Hessian with a vector of ones is its diagonal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator

_DIMENSIONS = 8
#: Least gap between the two smallest squared distances of a point; float32's rounding does not close it.
_CLEAR = 1e-3


def _squared_distances(C: Any, P: Any, xp: Any) -> Any:
    """Return squared distances (k, n) as |C|^2 - 2 C.P + |P|^2, which needs no array of k n d entries."""
    return (
        xp.sum(C * C, axis=1, keepdims=True)
        - 2 * xp.matmul(C, xp.matrix_transpose(P))
        + xp.reshape(xp.sum(P * P, axis=1), (1, -1))
    )


def _cost(C: Any, P: Any, *, xp: Any) -> Any:
    return xp.sum(xp.min(_squared_distances(C, P, xp), axis=0))


def _newton_step(C: Any, P: Any, *, xp: Any, derivative: Callable[..., Any]) -> Any:
    gradient = derivative(lambda centres: _cost(centres, P, xp=xp))
    diagonal = derivative(lambda centres: xp.sum(gradient(centres)))
    return gradient(C) / diagonal(C)


def _assigned(C: Array, P: Array) -> tuple[Array, Array]:
    """Return the centre of each point, (n,), and the number of points of each centre, (k, 1)."""
    nearest = np.argmin(_squared_distances(C, P, np), axis=0)
    return nearest, np.bincount(nearest, minlength=C.shape[0])[:, None].astype(C.dtype)


def _value(C: Array, P: Array) -> Array:
    return np.asarray(np.sum((P - C[_assigned(C, P)[0]]) ** 2))


def _gradient(C: Array, P: Array) -> Array:
    nearest, counts = _assigned(C, P)
    return np.asarray(2 * (counts * C - _sums(nearest, P, C.shape[0])))


def _hvp(C: Array, P: Array, T: Array) -> Array:
    return 2 * _assigned(C, P)[1] * T


def _centre_minus_mean(C: Array, P: Array) -> Array:
    nearest, counts = _assigned(C, P)
    return np.asarray(C - _sums(nearest, P, C.shape[0]) / counts)


def _sums(nearest: Array, P: Array, k: int) -> Array:
    """Return the sum of the points of each centre, (k, d)."""
    sums = np.zeros((k, P.shape[1]), P.dtype)
    np.add.at(sums, nearest, P)
    return sums


def _inputs(rng: np.random.Generator, n: int) -> Inputs:
    """Draw n points in the unit cube, none near a tie; the last k = max(10, n / 100) of them are the centres."""
    points = rng.random((n, _DIMENSIONS))
    k = max(10, n // 100)
    centres = points[-k:]
    others = points[:-k]
    while (between := _gap(centres, others) < _CLEAR).any():
        others[between] = rng.random((np.count_nonzero(between), _DIMENSIONS))
    return Inputs((centres.copy(),), (points,))


def _gap(C: Array, P: Array) -> Array:
    """Return the gap between the two smallest squared distances of each point, (n,)."""
    nearest, next_one = np.partition(_squared_distances(C, P, np), 1, axis=0)[:2]
    return np.asarray(next_one - nearest)


_SOURCE = "GradBench, evaluation kmeans: n points in [0, 1)^d, the last k of them the centres"

PROBLEMS = (
    Problem(
        name="kmeans",
        title="sum of squared distances of n points to the nearest of k centres",
        source=_SOURCE,
        sizes={"small": 100, "medium": 1000, "large": 10_000},
        inputs=_inputs,
        objective=_cost,
        operators=SCALAR - {Operator.HESSIAN},
        reference={Operator.VALUE: _value, Operator.GRADIENT: _gradient, Operator.HVP: _hvp},
        samples=(1,),
        suites=frozenset({"gradbench"}),
    ),
    Problem(
        name="kmeans_newton",
        title="gradient over Hessian diagonal of kmeans: each centre minus the mean of its points",
        source=_SOURCE,
        sizes={"small": 100, "medium": 1000, "large": 10_000},
        inputs=_inputs,
        objective=_newton_step,
        operators=frozenset({Operator.VALUE}),
        reference={Operator.VALUE: _centre_minus_mean},
        suites=frozenset({"gradbench"}),
        uses=("derivative",),
    ),
)
