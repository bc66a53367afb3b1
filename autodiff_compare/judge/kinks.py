"""Entries of a gradient at one kink, judged together.

Each of them may lie between the one-sided derivatives, and all of them outside the subdifferential: (1, 1) at a tie of
two is no gradient of their maximum (`autodiff_compare.judge.singular.subdifferential`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from autodiff_compare.judge.differences import FEW
from autodiff_compare.judge.probe import Probe
from autodiff_compare.judge.probe.observations import Direction
from autodiff_compare.judge.singular import curvatures
from autodiff_compare.judge.singular.slopes import MOST
from autodiff_compare.judge.singular.subdifferential import contains
from autodiff_compare.plan.precision import limits
from autodiff_compare.problems import Array
from autodiff_compare.vocabulary import Operator, Verdict

#: Operators whose result has a row of derivatives by all inputs for each output, or for a combination of outputs.
_ROWS = frozenset({Operator.GRADIENT, Operator.VJP, Operator.JACOBIAN})
#: Operators of second derivatives that are judged together.
_CURVED = frozenset({Operator.HVP, Operator.HESSIAN, Operator.SPARSE_HESSIAN})
#: Words for entries that are wrong together.
OUTSIDE = "the entries at the kink are not in the convex hull of the derivatives nearby, though each alone is"


def outside(probe: Probe, derivative: Sequence[Array]) -> bool:
    """Return whether entries at a kink lie outside the subdifferential together.

    Parameters
    ----------
    probe
        The numerical differences of the case.
    derivative
        Leaves of the derivative, without the value, each of whose entries is right or between those of both sides.

    Returns
    -------
    bool
        False also for other operators. Of more than `FEW` entries only the sum is judged: the derivative along the
        direction that moves all of them alike. A tie stays a tie there, so that the maximum has a slope.
    """
    case, objective = probe.case, probe.objective
    if case.problem.normalise is not None:
        return False
    if case.operator in _CURVED:
        return _outside_curvatures(probe, derivative)
    if case.operator not in _ROWS:
        return False
    matrix = np.asarray(probe.matrix(derivative), dtype=np.float64) / objective.unit
    columns = _suspects(objective.x)
    if len(matrix) > FEW:
        return False
    if columns.size > FEW:
        return _outside_in_sum(probe, matrix, columns)
    for row, weights in enumerate(_weights(probe)):
        kinked = [j for j in columns.tolist() if probe.entry(row, j).verdicts[0] == Verdict.NONSMOOTH]
        entries = np.array(kinked, dtype=int)

        def f(z: Array, weights: Array = weights) -> Array:
            return np.asarray(weights @ objective.f(z))[None]

        with np.errstate(all="ignore"):
            if not contains(f, objective.x, objective.scales, entries, matrix[row, entries]):
                return True
    return False


def _outside_in_sum(probe: Probe, matrix: Array, columns: Array) -> bool:
    """Return whether a row has another derivative along the direction that moves all of these inputs alike."""
    u = np.full(columns.size, np.median(probe.objective.scales[columns]))
    found, known = probe.objective.estimated(np.eye(len(matrix)), Direction(columns, u))
    terms = matrix[:, columns] * u
    slack = limits(probe.case.dtype).meaningful * np.abs(terms).sum(axis=1)
    low = np.where(known, found.derivative - 3 * found.bar, found.low) - slack
    high = np.where(known, found.derivative + 3 * found.bar, found.high) + slack
    return bool(((terms.sum(axis=1) < low) | (terms.sum(axis=1) > high)).any())


def _outside_curvatures(probe: Probe, derivative: Sequence[Array]) -> bool:
    """Return whether second derivatives are not those of one matrix of the generalised Hessian."""
    objective, n = probe.objective, probe.objective.x.size
    if n > MOST:
        return False
    matrix = probe.matrix(derivative)
    matrix = np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray(), np.float64) / objective.unit
    moves = np.diag(objective.scales)
    if probe.case.operator == Operator.HVP:
        v = np.concatenate([np.ravel(d) for d in probe.case.directions]).astype(np.float64)
        length = float(np.max(np.abs(v) / objective.scales, initial=0.0)) or 1.0
        pairs = [(s, v / length) for s in moves]
        got = np.array([s @ matrix[:, 0] for s in moves]) / length
    else:
        above = np.triu_indices(n)
        pairs = [(moves[i], moves[j]) for i, j in zip(*above, strict=True)]
        got = (moves @ matrix @ moves)[above]
    with np.errstate(all="ignore"):
        return not curvatures.contains(objective.f, objective.x, objective.scales, pairs, got)


def _suspects(x: Array) -> Array:
    """Return the inputs that may be at a kink: all if there are few, else those that are zero or equal to another."""
    if x.size <= FEW:
        return np.arange(x.size)
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    return np.flatnonzero((x == 0) | (count[place.ravel()] > 1))


def _weights(probe: Probe) -> Iterator[Array]:
    """Yield the combination of outputs that each row of the matrix differentiates."""
    m = probe.objective.output.size
    if probe.case.operator == Operator.JACOBIAN:
        yield from np.eye(m)
    else:
        yield np.ravel(probe.case.directions[0]) if probe.case.operator == Operator.VJP else np.ones(m)
