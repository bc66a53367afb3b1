"""The logarithm of a sum of exponentials.

With the softmax ``p_i = exp(x_i) / sum exp(x)``, the gradient is p and the Hessian is ``diag(p) - p p^T``.
Arguments are shifted by the largest, so that no exponential overflows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_compare.problems.base import SCALAR, Array, Inputs, Problem
from autodiff_compare.vocabulary import Operator


def _log_sum_exp(x: Any, *, xp: Any) -> Any:
    largest = xp.max(x)
    return largest + xp.log(xp.sum(xp.exp(x - largest)))


def _softmax(x: Array) -> Array:
    e = np.exp(x - np.max(x))
    return np.asarray(e / np.sum(e))


def _hvp(x: Array, t: Array) -> Array:
    """Return ``(diag(p) - p p^T) t``."""
    p = _softmax(x)
    return np.asarray(p * (t - np.sum(p * t)))


PROBLEM = Problem(
    name="lse",
    title="log sum exp of n numbers",
    source="GradBench, evaluation lse: x in [0, 1)^n, n = 2500 ... 2500 2^9; gradient softmax(x)",
    sizes={"small": 2500, "medium": 40_000, "large": 1_280_000},
    inputs=lambda rng, n: Inputs((rng.random(n),)),
    objective=_log_sum_exp,
    operators=SCALAR - {Operator.HESSIAN},
    reference={
        Operator.VALUE: lambda x: np.log(np.sum(np.exp(x))),
        Operator.GRADIENT: _softmax,
        Operator.HVP: _hvp,
    },
    suites=frozenset({"gradbench"}),
)
