"""Loops, and derivatives within the function."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from autodiff_compare.fuzzing.operations.operation import Operation, Parameters, moderate
from autodiff_compare.problems import Array

#: Bodies of scans: from a carry ``c`` and an entry ``x`` of the same shape to the next carry.
_BODIES = ("xp.sin(c) + x", "0.5 * c * x", "xp.tanh(c + x) + 0.5 * c", "c / (1.0 + x * x)")
#: Functions of ``z`` whose value is a scalar.
_FUNCTIONS = ("xp.sum(xp.sin(z) * z)", "xp.sum(z * z * z)", "xp.sum(xp.exp(0.5 * z))")


def _rounds(rng: np.random.Generator, a: Array) -> Parameters | None:
    return {"body": _BODIES[int(rng.integers(len(_BODIES)))]} if a.ndim and a.shape[0] > 1 else None


def _function(rng: np.random.Generator, a: Array) -> Parameters:
    del a
    mode = ["reverse", "forward"][int(rng.integers(2))]
    return {"function": _FUNCTIONS[int(rng.integers(len(_FUNCTIONS)))], "mode": mode}


def _closed_over(rng: np.random.Generator, a: Array, b: Array) -> Parameters | None:
    if a.shape != b.shape:
        return None
    return {"mode": ["reverse", "forward"][int(rng.integers(2))]}


TABLE: Mapping[str, Operation] = {
    "scan": Operation(
        "loops",
        "scan(lambda c, x: ({body}, None), xp.zeros_like({0}[0, ...]), {0})[0]",
        1,
        _rounds,
        moderate,
        uses="scan",
    ),
    "scan_outputs": Operation(
        "loops",
        "scan(lambda c, x: ({body}, c * x), {0}[0, ...], {0})[1]",
        1,
        _rounds,
        moderate,
        uses="scan",
    ),
    "scan_pair": Operation(
        "loops",
        "scan(lambda c, x: ((c[1], xp.sin(c[0]) + x), c[0]), ({0}[0, ...], {0}[1, ...]), {0})[1]",
        1,
        _rounds,
        moderate,
        uses="scan",
    ),
    "derivative": Operation(
        "nested",
        'derivative(lambda z: {function}, "{mode}")({0})',
        1,
        _function,
        moderate,
        uses="derivative",
    ),
    # The inner function closes over a value that is differentiated outside: the two perturbations must be kept apart.
    "derivative_closing_over": Operation(
        "nested",
        'derivative(lambda z: xp.sum(z * z * xp.sin({1} * z)), "{mode}")({0})',
        2,
        _closed_over,
        moderate,
        uses="derivative",
    ),
}
