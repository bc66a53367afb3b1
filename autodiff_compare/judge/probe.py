"""Numerical differences of a case: observations of its derivative, and the same observations of a result.

Every derivative is read as a matrix ``M``: a gradient has one row, a JVP one column, a Jacobian is ``outputs x
inputs``, a Hessian ``inputs x inputs``. An observation is a number ``l @ M @ r``. Differences of the objective give it
without ``M``: for a first derivative ``l @ J @ r`` is the derivative of ``l @ f`` along ``r``, for a Hessian ``l @ H @
r`` is the mixed second derivative of ``f`` along ``l`` and ``r``. The same number is computed from the result under
test, and both must agree within the error bar of the difference and the rounding of the result.

Which ``l`` and ``r`` are observed: the side that the operator takes as an argument (the tangent of a JVP, the cotangent
of a VJP) is given; the other is probed coordinate by coordinate, or by few vectors if there are many coordinates. A
Hessian is probed on the right by one random vector ``r``. A wrong row ``e`` of the error goes unnoticed only if
``e @ r = 0``. Such ``r`` form a hyperplane, which has probability zero (the idea of Freivalds 1977).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autodiff_compare.backends import PLAIN
from autodiff_compare.judge import differences
from autodiff_compare.judge.differences import Estimates
from autodiff_compare.plan.cases import Case
from autodiff_compare.plan.sparsity import joined
from autodiff_compare.problems import Array
from autodiff_compare.problems.base.closed_forms import first_step
from autodiff_compare.vocabulary import Operator, Verdict

#: A bar or tolerance wider than this part of the scale proves nothing.
MEANINGFUL = 1e-3
#: Up to this part of an update, rounding of the parameters is added to the tolerance; above, the update is lost in it.
RESOLVED = 0.1
#: Multiple of the root of squares that a sum with random signs does not exceed.
_HOEFFDING = 6.0
#: The verdicts from worst to best; a set of observations gets the worst of its verdicts.
SEVERITY = (
    Verdict.NONFINITE,
    Verdict.NO_GRAD,
    Verdict.FAIL,
    Verdict.UNDETERMINED,
    Verdict.NONSMOOTH,
    Verdict.INCONCLUSIVE,
    Verdict.SUBGRADIENT,
    Verdict.PASS,
)


@dataclass(frozen=True)
class _Form:
    """Order of differentiation, and whether the left and right vectors of ``M`` are arguments of the operator."""

    order: int
    left_given: bool
    right_given: bool


_FORMS = {
    Operator.GRADIENT: _Form(1, True, False),
    Operator.VALUE_AND_GRADIENT: _Form(1, True, False),
    Operator.VJP: _Form(1, True, False),
    Operator.STEP: _Form(1, True, False),
    Operator.JVP: _Form(1, False, True),
    Operator.JACOBIAN: _Form(1, False, False),
    Operator.SPARSE_JACOBIAN: _Form(1, False, False),
    Operator.HVP: _Form(2, False, True),
    Operator.HESSIAN: _Form(2, False, False),
}


@dataclass(frozen=True)
class Finding:
    """Summary of the observations of one result: the numbers and words of the worst one.

    Parameters
    ----------
    verdict
        The worst verdict among the observations.
    error, bar, tolerance
        Its error, its error bar and its tolerance, in units of ``scale``.
    scale
        The largest derivative that was observed.
    note
        How many observations share the verdict.
    position
        Row and column of the entry in the matrix of `Probe.matrix`; `None` if a direction was observed.
    got, expected, half_width
        The number from the result, the estimate, and its error bar, in the user's units: per unit of the input for a
        single entry, of the function along a direction.
    low, high
        The one-sided derivatives at a kink, in the same units; nan without a kink.
    how
        How ``expected`` was obtained: which inputs moved, in which steps.
    resolution
        The smallest error of a single entry that would have been found, relative to the largest entry, for entries
        that were not looked at singly. 0 if each was.
    unproved
        Number of entries that are smaller than that and were not looked at singly: nothing is known about them.
    """

    verdict: Verdict
    error: float
    bar: float
    tolerance: float
    scale: float
    note: str
    position: tuple[int, int] | None = None
    got: float = math.nan
    expected: float = math.nan
    half_width: float = math.nan
    low: float = math.nan
    high: float = math.nan
    how: str = ""
    resolution: float = 0.0
    unproved: int = 0


class Probe:
    """Numerical differences of a case's objective, in float64 and plain NumPy whatever the dtype of the case.

    With a normalisation P, such as symmetrising, results are compared as ``P g``. If P is an orthogonal projection,
    ``<P g, P u> = <g, P u>``: the objective's derivative along a projected direction is then what the result must show.
    Other normalisations cannot be observed.

    Parameters
    ----------
    case
        A case whose operator is a derivative.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.form = _FORMS[case.operator]
        self.shapes = [x.shape for x in case.inputs.differentiated]
        self.x = _flat(case.inputs.differentiated).astype(np.float64)
        self.output = np.ravel(case.output).astype(np.float64)
        self.scales = differences.scales(self.x)
        self._entries: dict[tuple[int, int], Estimates] = {}

    def f(self, flat: Array) -> Array:
        """Return the objective, as a flat vector, at a flat vector of all differentiated inputs."""
        inputs, problem = self.case.inputs, self.case.problem
        value = problem.function(PLAIN, inputs.static)(*self._split(flat), *inputs.data)
        return np.ravel(np.asarray(value, dtype=np.float64))

    def matrix(self, leaves: Sequence[Array]) -> Any:
        """Return a derivative as the matrix ``M``: an array, or a SciPy matrix for a sparse Jacobian.

        Parameters
        ----------
        leaves
            Leaves of the derivative, without the value; for `step` the updates.
        """
        m, n = self.output.size, self.x.size
        sizes = [math.prod(shape) for shape in self.shapes]
        k = len(sizes)
        if self.case.operator == Operator.JVP:
            return leaves[0].reshape(m, 1)
        if self.case.operator == Operator.SPARSE_JACOBIAN:
            return joined(self.case.patterns, leaves)
        if self.case.operator == Operator.JACOBIAN:
            return np.concatenate([leaf.reshape(m, size) for leaf, size in zip(leaves, sizes, strict=True)], axis=1)
        if self.case.operator == Operator.HESSIAN:
            blocks = [[leaves[i * k + j].reshape(sizes[i], sizes[j]) for j in range(k)] for i in range(k)]
            return np.block(blocks)
        flat = _flat(leaves)
        return flat.reshape((n, 1) if self.case.operator == Operator.HVP else (1, n))

    def check(self, derivative: Sequence[Array], rounding: Sequence[Array]) -> Finding:
        """Compare a derivative with every observation ``d``.

        An observation passes if ``|l M r - d| <= 3 bar + slack``. The first term allows for the error of the
        difference. The slack is what the rounding of the entries, at most ``T_ij`` in each, does to ``l M r``. It is
        at most ``sum |l_i| T_ij |r_j|``. The signs of random directions are independent of the errors: by Hoeffding's
        inequality, ``k`` times the root of the sum of squares is exceeded with a probability below ``2 exp(-k^2/2)``.
        The slack is the smaller of both, with k = 6.

        Parameters
        ----------
        derivative
            Leaves as for `matrix`; all finite.
        rounding
            One array for each leaf, of its shape: the absolute error that rounding may cause in each entry. For
            `step` it includes the rounding of the parameters.
        """
        if not self.projects:
            return Finding(Verdict.UNDETERMINED, math.nan, math.nan, math.nan, math.nan, "normalisation not orthogonal")
        M, T = (self.matrix(leaves).astype(np.float64) for leaves in (derivative, rounding))
        if 0 in M.shape:
            return Finding(Verdict.PASS, 0.0, 0.0, 0.0, 0.0, "empty")
        left, right = self._sides
        seen = _observe(left, M, right)
        linear, root = _observe(abs(left), T, abs(right)), np.sqrt(_observe(left**2, T**2, right**2))
        slack = np.minimum(linear, _HOEFFDING * root)
        return _finding(self.estimates, seen, slack, RESOLVED if self.case.operator == Operator.STEP else MEANINGFUL)

    def entry(self, row: int, column: int) -> Estimates:
        """Return the estimate of one entry of the matrix; cached, since backends tend to be wrong in the same entry."""
        if (row, column) not in self._entries:
            self._entries[row, column] = self._entry(row, column)
        return self._entries[row, column]

    @functools.cached_property
    def estimates(self) -> Estimates:
        """The estimates of all observations, in the order of `_observe`."""
        left, right = self._sides
        if self.form.order == 1:
            return self._first(right if not self.form.right_given else self._tangent, left)
        return self._second(left, right[0] if not self.form.right_given else self._tangent[0])

    @functools.cached_property
    def _sides(self) -> tuple[Array, Array]:
        """The left and right vectors of the observations, shapes ``(r, rows)`` and ``(s, columns)``."""
        rng = np.random.default_rng(self.case.seed)
        one = np.ones((1, 1))
        if self.form.order == 2:
            random = rng.choice([-1.0, 1.0], self.x.size) * rng.uniform(0.5, 1.5, self.x.size) * self.scales
            rows = self._project(differences.directions(self.x, rng))
            return rows, one if self.form.right_given else self._project(random[None])
        outputs = differences.directions(np.ones(self.output.size), rng)
        inputs = differences.directions(self.x, rng)
        if self.case.operator == Operator.STEP:
            # An update rule need not be linear in the gradient: only single entries can be observed, unscaled.
            inputs = np.sign(inputs[np.count_nonzero(inputs, axis=1) == 1])
        else:
            inputs = self._project(inputs)
        return one if self.form.left_given else outputs, one if self.form.right_given else inputs

    def _entry(self, row: int, column: int) -> Estimates:
        if self.form.order == 2:
            s = self._unit(row)
            t, length = (self._tangent[0], 1.0) if self.form.right_given else (self._unit(column), self.scales[column])
            return self._second(s[None], t).divided(self.scales[row] * length)
        left = np.ones((1, 1)) if self.form.left_given else _unit_row(self.output.size, row)
        if self.form.right_given:
            return self._first(self._tangent, left)
        if self.case.operator == Operator.STEP:
            return self._first(_unit_row(self.x.size, column), left)
        return self._first(self._unit(column)[None], left).divided(self.scales[column])

    def _first(self, right: Array, left: Array) -> Estimates:
        weights = self._cotangent if self.form.left_given else left
        if self.form.right_given:
            c = self._tangent_scale
            return differences.first(self.f, self.x, right[0] * c, weights).divided(c)
        if self.case.operator != Operator.STEP:
            return Estimates.join([differences.first(self.f, self.x, u, weights) for u in right])
        lengths = right @ self.scales
        directions = self._project(right * lengths[:, None])
        found = [differences.first(self.f, self.x, u, weights) for u in directions]
        return self._updates(Estimates.join(found).divided(lengths))

    def _second(self, left: Array, t: Array) -> Estimates:
        c = self._tangent_scale if self.form.right_given else 1.0
        one = np.ones((1, 1))
        return Estimates.join([differences.second(self.f, self.x, s, t * c, one) for s in left]).divided(c)

    def _updates(self, gradient: Estimates) -> Estimates:
        """Return the estimates of updates from those of gradient entries.

        The update of an entry is a monotone function of its gradient, whatever the rule. So the ends of the bar of the
        gradient give the ends of the bar of the update.
        """

        def update(g: Array) -> Array:
            return first_step(self.case.optimizer, (np.zeros_like(g),), (g,))[0]

        d, bar = gradient.derivative, gradient.bar
        middle = update(d)
        ends = np.abs(np.stack([update(d - bar), update(d + bar)]) - middle)
        return replace(
            gradient, derivative=middle, bar=ends.max(axis=0), low=update(gradient.high), high=update(gradient.low)
        )

    @functools.cached_property
    def _cotangent(self) -> Array:
        given = self.case.directions if self.case.operator == Operator.VJP else (np.ones(self.output.size),)
        return np.ravel(given[0])[None].astype(np.float64)

    @functools.cached_property
    def _tangent(self) -> Array:
        return _flat(self.case.directions)[None].astype(np.float64)

    @functools.cached_property
    def _tangent_scale(self) -> float:
        """The largest factor of the given tangent that moves no input further than its scale."""
        t = np.abs(self._tangent[0])
        return float(np.min(self.scales[t > 0] / t[t > 0])) if (t > 0).any() else 1.0

    def _unit(self, coordinate: int) -> Array:
        unit = np.zeros((1, self.x.size))
        unit[0, coordinate] = self.scales[coordinate]
        projected: Array = self._project(unit)[0]
        return projected

    def _split(self, flat: Array) -> list[Array]:
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), self.shapes, strict=True)]

    def _project(self, rows: Array) -> Array:
        normalise = self.case.problem.normalise
        if normalise is None:
            return rows
        return np.stack([_flat([np.asarray(normalise.apply(part)) for part in self._split(row)]) for row in rows])

    @functools.cached_property
    def projects(self) -> bool:
        """Return whether the normalisation P is an orthogonal projection: ``P^T = P = P P`` on random vectors."""
        if self.case.problem.normalise is None:
            return True
        a, b = np.random.default_rng(0).normal(size=(2, 1, self.x.size))
        pa, pb = self._project(a), self._project(b)
        return bool(np.allclose(pa @ b.T, a @ pb.T) and np.allclose(self._project(pa), pa))


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of several verdicts, by `SEVERITY`."""
    return min(verdicts, key=SEVERITY.index)


def _finding(found: Estimates, seen: Array, slack: Array, part: float) -> Finding:
    """Compare what was computed from a result, ``seen``, with the estimates.

    The tolerance is capped, so that a wide one cannot prove a result: that of the difference at `MEANINGFUL` of the
    scale, that of rounding, ``slack``, at ``part`` of it.
    """
    sizes = np.abs(found.derivative[np.isfinite(found.derivative)])
    scale = float(sizes.max()) if sizes.size else math.nan
    error, tolerance = np.abs(seen - found.derivative), 3 * found.bar + slack
    cap = np.where(3 * found.bar <= MEANINGFUL * scale, part * scale, 0.0)
    with np.errstate(invalid="ignore"):
        inside = (seen >= found.low - slack) & (seen <= found.high + slack)
    verdicts = [
        _verdict(v, proved=bool(e <= min(t, c)), within=bool(e <= t), subgradient=bool(i))
        for v, e, t, c, i in zip(found.verdicts, error, tolerance, cap, inside, strict=True)
    ]
    verdict = worst(verdicts)
    same = [k for k, v in enumerate(verdicts) if v == verdict]
    k = max(same, key=lambda k: float(np.nan_to_num(error[k] - tolerance[k], nan=-np.inf)))
    unit = scale if scale > 0 else 1.0
    note = f"{len(same)} of {len(verdicts)} observations {verdict}"
    if verdict in (Verdict.SUBGRADIENT, Verdict.NONSMOOTH) and np.isfinite(found.low[k]):
        note += f"; got {seen[k]:.6g}, one-sided derivatives {found.low[k]:.6g} and {found.high[k]:.6g}"
    limit = float(min(tolerance[k], cap[k]))
    return Finding(verdict, float(error[k]) / unit, float(found.bar[k]) / unit, limit / unit, scale, note)


def _verdict(estimate: Verdict, *, proved: bool, within: bool, subgradient: bool) -> Verdict:
    """Return the verdict of one observation; ``within`` its tolerance, ``proved`` within the capped one."""
    if estimate == Verdict.PASS:
        return Verdict.PASS if proved else Verdict.INCONCLUSIVE if within else Verdict.FAIL
    return Verdict.SUBGRADIENT if estimate == Verdict.NONSMOOTH and subgradient else estimate


def _observe(left: Array, M: Any, right: Array) -> Array:
    """Return ``l @ M @ r`` for every right vector and, within it, every left vector."""
    return np.ravel(right @ M.T @ left.T)


def _unit_row(n: int, k: int) -> Array:
    row = np.zeros((1, n))
    row[0, k] = 1.0
    return row


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(a) for a in arrays])
